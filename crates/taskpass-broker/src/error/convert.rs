//! How what other layers say becomes an [`Error`].

use taskpass_core::access::UnknownWord;
use taskpass_core::scope::ParseScopeError;
use taskpass_core::task::TaskState;
use taskpass_store::{CommitError, Refusal, StoreError};

use super::Error;
use crate::limits::LimitReached;

impl From<LimitReached> for Error {
    fn from(reached: LimitReached) -> Self {
        Self::LimitReached(Box::new(reached))
    }
}

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        Self::StoreUnavailable(Box::new(error))
    }
}

impl From<ParseScopeError> for Error {
    fn from(error: ParseScopeError) -> Self {
        Self::InvalidScope {
            message: error.to_string(),
        }
    }
}

impl From<UnknownWord> for Error {
    fn from(error: UnknownWord) -> Self {
        Self::InvalidField {
            field: "value",
            expected: error.to_string(),
        }
    }
}

impl Error {
    /// Translates a commit's failure where no guard can fail for a reason that the caller should
    /// hear about.
    pub(crate) fn from_commit(error: CommitError) -> Self {
        match error {
            CommitError::QueueFull => Self::QueueFull,
            CommitError::OutboxFull => Self::StoreUnavailable(Box::new(CommitError::OutboxFull)),
            CommitError::DiskFull => Self::StoreUnavailable(Box::new(CommitError::DiskFull)),
            CommitError::Failed(source) => Self::StoreUnavailable(Box::new(source)),
            CommitError::Refused(refusal) => match refusal {
                Refusal::TaskNotLive { id } => Self::TaskNotActive {
                    task: id,
                    state: TaskState::Revoked,
                },
                Refusal::TaskUnknown { id } => Self::TaskNotFound { task: id },
                Refusal::Revoked { .. } => Self::RetryAfterRevocation,
                Refusal::EnrolmentSpent => Self::EnrolmentRefused,
                Refusal::LimitReached {
                    counter,
                    limit,
                    live,
                    room_in,
                } => LimitReached::counted(&counter, limit, live, room_in).into(),
                Refusal::TooManyChildren { parent } => Self::TooManyChildren { parent },
                Refusal::AlreadyStarted { task, .. } => Self::IdempotencyKeyReused { task },
                // Somebody keeps changing what the decision reads: the caller may well try again.
                Refusal::Changed { .. }
                | Refusal::GenerationChanged
                | Refusal::Tied { .. }
                | Refusal::PlacesLeased { .. }
                | Refusal::ReportingChanged { .. }
                | Refusal::MetaChanged { .. } => Self::QueueFull,
            },
        }
    }
}
