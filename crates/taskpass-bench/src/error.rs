//! Why a bench has no figures.

use tonic::Status;

/// Why a bench has no figures.
#[derive(Debug, thiserror::Error)]
pub enum BenchError {
    /// A step before measuring failed.
    #[error("could not {step}")]
    Setup {
        /// What was to be done.
        step: &'static str,
        /// Why it was not.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The broker refused what was to be timed.
    #[error("{work} was refused: {}", status.message())]
    Refused {
        /// Which call.
        work: String,
        /// The answer.
        status: Box<Status>,
    },
    /// Nothing came back in the time that was measured.
    #[error("{work} gave no answer within its turn")]
    Nothing {
        /// Which call.
        work: String,
    },
}

impl BenchError {
    /// Wraps the cause of a failed `step`.
    pub(crate) fn setup<E>(step: &'static str) -> impl FnOnce(E) -> Self
    where
        E: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        move |source| Self::Setup {
            step,
            source: source.into(),
        }
    }
}
