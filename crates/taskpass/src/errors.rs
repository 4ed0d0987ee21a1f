//! What a command answers instead of a result.
//!
//! Each error has a reason in the broker's spelling (`INVALID_TTL`), whether the broker refused or
//! this side did, so that a script can tell them apart by the first word. How it is printed is in
//! [`render`], what to do next in [`hint`].

mod hint;
mod render;

use std::error::Error;
use std::io;
use std::path::Path;

use taskpass_client::{
    AgentError, ConnectError, EnrolError, FollowError, IdentityError, KeyError, Refused,
};

/// A command failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CliError {
    /// This side refused or failed.
    #[error("{message}")]
    Local {
        /// The reason, such as `INVALID_TTL`.
        reason: &'static str,
        /// What happened.
        message: String,
        /// What to do, where the reason alone does not say.
        hint: Option<String>,
        /// Why.
        #[source]
        source: Option<Box<dyn Error + Send + Sync>>,
    },
    /// The broker refused, or the call to it failed.
    #[error("{}", .0.message)]
    Refused(Box<Refused>),
    /// Several things are wrong at once.
    #[error("{message}")]
    Faulty {
        /// The reason, such as `INVALID_REGISTRY`.
        reason: &'static str,
        /// What happened.
        message: String,
        /// Each of them: where, and what.
        faults: Vec<(String, String)>,
    },
    /// The command that was run ended, or was ended, with this code; what there is to say was said.
    #[error("the command ended with {code}")]
    Ended {
        /// Ours, too.
        code: u8,
    },
    /// Whoever read standard output has stopped: not worth a word.
    #[error("standard output was closed")]
    OutputClosed,
}

impl CliError {
    /// An error with a reason and a message.
    pub(crate) fn new(reason: &'static str, message: impl Into<String>) -> Self {
        Self::Local {
            reason,
            message: message.into(),
            hint: None,
            source: None,
        }
    }

    /// An error that another one caused.
    pub(crate) fn caused(
        reason: &'static str,
        message: impl Into<String>,
        source: impl Into<Box<dyn Error + Send + Sync>>,
    ) -> Self {
        Self::Local {
            reason,
            message: message.into(),
            hint: None,
            source: Some(source.into()),
        }
    }

    /// Adds what to do next.
    #[must_use]
    pub(crate) fn hint(mut self, text: impl Into<String>) -> Self {
        if let Self::Local { hint, .. } = &mut self {
            *hint = Some(text.into());
        }
        self
    }

    /// A file or folder could not be used.
    pub(crate) fn file(action: &str, path: &Path, source: io::Error) -> Self {
        let message = format!("could not {action} {}", path.display());
        Self::caused("FILE_ERROR", message, source)
    }

    /// The broker's answer lacks what it always has.
    pub(crate) fn bad_reply(what: &str) -> Self {
        Self::new("BAD_REPLY", format!("the broker's answer has no {what}"))
            .hint("the broker may be of another version than this command line")
    }

    /// The reason, for scripts.
    pub(crate) fn reason(&self) -> &str {
        match self {
            Self::Local { reason, .. } | Self::Faulty { reason, .. } => reason,
            Self::Refused(refused) => &refused.reason,
            Self::Ended { .. } => "ENDED",
            Self::OutputClosed => "OUTPUT_CLOSED",
        }
    }
}

impl From<Refused> for CliError {
    fn from(refused: Refused) -> Self {
        Self::Refused(Box::new(refused))
    }
}

impl From<tonic::Status> for CliError {
    fn from(status: tonic::Status) -> Self {
        Refused::from(status).into()
    }
}

impl From<IdentityError> for CliError {
    fn from(error: IdentityError) -> Self {
        let reason = match &error {
            IdentityError::Missing { .. } => "NO_IDENTITY",
            IdentityError::Io { .. } => "FILE_ERROR",
            IdentityError::Exposed { .. } => "IDENTITY_EXPOSED",
            IdentityError::Malformed { .. } | IdentityError::Mismatch => "INVALID_IDENTITY",
        };
        flattened(reason, error)
    }
}

impl From<ConnectError> for CliError {
    fn from(error: ConnectError) -> Self {
        let reason = match &error {
            ConnectError::Address { .. } => "INVALID_ADDRESS",
            ConnectError::Anchors => "INVALID_ANCHORS",
            ConnectError::Tls(_) | ConnectError::IdentityAtSocket => "INVALID_IDENTITY",
            ConnectError::Unreachable { .. } => "UNREACHABLE",
        };
        flattened(reason, error)
    }
}

impl From<KeyError> for CliError {
    fn from(error: KeyError) -> Self {
        flattened("KEY_ERROR", error)
    }
}

impl From<FollowError> for CliError {
    fn from(error: FollowError) -> Self {
        match error {
            FollowError::Identity(error) => error.into(),
            FollowError::Connect(error) => error.into(),
        }
    }
}

impl From<AgentError> for CliError {
    fn from(error: AgentError) -> Self {
        match error {
            AgentError::Connect(error) => error.into(),
            AgentError::Refused(refused) => refused.into(),
            AgentError::Key(error) => error.into(),
            error @ AgentError::Scope(_) => flattened("INVALID_SCOPE", error),
            error @ AgentError::Deadline => flattened("TASK_NOT_ACTIVE", error),
            error @ (AgentError::Certificate(_) | AgentError::Answer { .. }) => {
                flattened("BAD_REPLY", error)
            }
        }
    }
}

impl From<EnrolError> for CliError {
    fn from(error: EnrolError) -> Self {
        match error {
            EnrolError::Connect(error) => error.into(),
            EnrolError::Key(error) => error.into(),
            EnrolError::Refused(refused) => refused.into(),
            EnrolError::Folder(error) => error.into(),
            error @ (EnrolError::Answer(_) | EnrolError::Empty) => flattened("BAD_REPLY", error),
        }
    }
}

/// The error's own text as the message, its causes as the source.
fn flattened(reason: &'static str, error: impl Error + Send + Sync + 'static) -> CliError {
    let causes = causes(&error);
    let message = error.to_string();
    if causes.is_empty() {
        CliError::new(reason, message)
    } else {
        CliError::caused(reason, message, causes.join(": "))
    }
}

/// The texts of whatever caused `error`, the nearest first, each said once.
fn causes(error: &(dyn Error + 'static)) -> Vec<String> {
    let mut texts = Vec::new();
    let mut last = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let text = cause.to_string();
        if !last.contains(&text) {
            texts.push(text.clone());
        }
        last = text;
        next = cause.source();
    }
    texts
}

#[cfg(test)]
mod tests;
