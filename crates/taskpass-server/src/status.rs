//! Where an error becomes a gRPC status: one exhaustive match, and nowhere else.
//!
//! Details travel as `google.rpc.ErrorInfo` with the stable reason; what was refused by policy says
//! what was asked, what would have been allowed, and by which policy. Of our own faults the caller
//! gets an id, and the log the whole chain.

use std::collections::HashMap;
use std::time::Duration;

use taskpass_api::ERROR_DOMAIN;
use taskpass_broker::{Error, Fault};
use taskpass_core::ScopeRef;
use taskpass_store::CommitError;
use tonic::body::Body;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

/// The status of an error.
#[expect(
    clippy::needless_pass_by_value,
    reason = "reads as `map_err(status::of)` everywhere"
)]
pub(crate) fn of(error: Error) -> Status {
    let code = code(&error);
    let reason = error.reason();
    let metadata = metadata(&error);
    let mut details = ErrorDetails::new();
    details.set_error_info(reason, ERROR_DOMAIN, metadata);
    if let Some(delay) = retry_after(&error) {
        details.set_retry_info(Some(delay));
    }
    if let Error::InvalidEntries { faults } = &error {
        violations(faults, &mut details);
    }
    let message = match &error {
        // Said when it fills, by readiness, and by the metrics: a line for each request of a caller
        // that tries again would fill the disk that may be full already.
        Error::StoreUnavailable(source) if is_full(&**source) => {
            tracing::debug!(chain = %Chain(&error), reason, "a request was refused");
            format!("{error}: {source}")
        }
        Error::Internal(_)
        | Error::StoreUnavailable(_)
        | Error::RolledBack(_)
        | Error::LogUnavailable(_) => {
            let id = error_id(&error);
            tracing::error!(error_id = %id, chain = %Chain(&error), reason, "a request failed");
            format!("{error} (error id {id})")
        }
        _ => error.to_string(),
    };
    Status::with_error_details(code, message, details)
}

fn is_full(source: &(dyn std::error::Error + Send + Sync + 'static)) -> bool {
    matches!(
        source.downcast_ref(),
        Some(CommitError::OutboxFull | CommitError::DiskFull)
    )
}

/// How many bytes of violations an answer carries: its trailers have little room, and clients less.
const VIOLATIONS_LEN: usize = 6 * 1024;
/// How much of one.
const VIOLATION_LEN: usize = 300;

/// Each fault by its field, as many as fit.
fn violations(faults: &[Fault], details: &mut ErrorDetails) {
    let mut room = VIOLATIONS_LEN;
    for fault in faults {
        let (path, text) = (fault.path(), fault.to_string());
        let text: String = text.chars().take(VIOLATION_LEN).collect();
        let Some(left) = room.checked_sub(path.len() + text.len()) else {
            return;
        };
        room = left;
        details.add_bad_request_violation(path, text);
    }
}

fn code(error: &Error) -> Code {
    match error {
        Error::InvalidTtl(_)
        | Error::InvalidScope { .. }
        | Error::UnknownTarget { .. }
        | Error::UnknownScope { .. }
        | Error::InvalidField { .. }
        | Error::InvalidCsr { .. }
        | Error::InvalidBinding { .. }
        | Error::InvalidCertificate { .. }
        | Error::TooManyItems { .. }
        | Error::TooManyChanges { .. }
        | Error::InvalidEntries { .. }
        | Error::MessageTooLarge { .. } => Code::InvalidArgument,
        Error::Unauthenticated { .. } | Error::AttestationRefused(_) | Error::EnrolmentRefused => {
            Code::Unauthenticated
        }
        Error::MethodNotAllowed { .. }
        | Error::AgentSuspended { .. }
        | Error::CallerSuspended { .. }
        | Error::ForeignTarget { .. }
        | Error::IdentityConflict
        | Error::SecondOperatorRequired { .. }
        | Error::PolicyDenied(_)
        | Error::AboveDenied { .. }
        | Error::ScopeExceedsTask { .. }
        | Error::BindingRequired { .. } => Code::PermissionDenied,
        Error::TaskNotActive { .. }
        | Error::TaskTooDeep { .. }
        | Error::TargetNotActive { .. }
        | Error::BrokerHalted
        | Error::BrokerSealed
        | Error::LastAdmin { .. }
        | Error::NotDrillable { .. }
        | Error::KeyNotReady { .. }
        | Error::Retired { .. }
        | Error::NotReady { .. }
        | Error::OwnerNotActive { .. } => Code::FailedPrecondition,
        Error::TaskNotFound { .. }
        | Error::CredentialNotFound { .. }
        | Error::EntryNotFound { .. }
        | Error::LogNotFound { .. }
        | Error::NotLogged { .. }
        | Error::ProposalNotFound { .. }
        | Error::KeyNotFound { .. } => Code::NotFound,
        Error::AlreadyRegistered { .. }
        | Error::IdempotencyKeyReused { .. }
        | Error::AlreadyProposed { .. } => Code::AlreadyExists,
        Error::VersionChanged { .. } | Error::RegistryVersionChanged { .. } => Code::Aborted,
        Error::LimitReached { .. }
        | Error::KeepAliveStreams
        | Error::DrillNotNow { .. }
        | Error::TooManyChildren { .. }
        | Error::ProposalsFull
        | Error::QueueFull => Code::ResourceExhausted,
        Error::RetryAfterRevocation
        | Error::ClockUnsafe
        | Error::AttestationUnavailable { .. }
        | Error::StoreUnavailable(_)
        | Error::RolledBack(_)
        | Error::LogUnavailable(_) => Code::Unavailable,
        Error::Internal(_) => Code::Internal,
    }
}

pub(crate) fn retry_after(error: &Error) -> Option<Duration> {
    match error {
        Error::RetryAfterRevocation | Error::LogUnavailable(_) => Some(Duration::from_secs(1)),
        Error::AttestationUnavailable { .. } => Some(Duration::from_secs(5)),
        Error::QueueFull => Some(Duration::from_millis(100)),
        Error::LimitReached(reached) => reached.retry_after,
        Error::DrillNotNow { retry_after, .. } => Some(*retry_after),
        Error::ClockUnsafe => Some(Duration::from_secs(10)),
        _ => None,
    }
}

/// What `ErrorInfo.metadata` says; also used for the items of a batch.
pub(crate) fn metadata(error: &Error) -> HashMap<String, String> {
    let mut metadata = HashMap::new();
    let mut put = |key: &str, value: String| metadata.insert(key.to_owned(), value);
    match error {
        Error::AgentSuspended { agent, .. } => {
            put("agent", agent.clone());
        }
        Error::TooManyChildren { parent } => {
            put("task_id", parent.to_string());
        }
        Error::PolicyDenied(denial) | Error::AboveDenied { denial, .. } => {
            if let Error::AboveDenied { agent, .. } = error {
                put("agent", agent.to_string());
            }
            put("decision_id", denial.basis.id.to_string());
            put("policies", denial.basis.policies.join(","));
            put("policy_set", denial.basis.policy_set.to_string());
            put("asked", join(&denial.asked));
            put("allowed", join(&denial.allowed));
        }
        Error::InvalidField { field, .. } => {
            put("field", (*field).to_owned());
        }
        Error::AlreadyProposed { proposal, .. } => {
            put("proposal", proposal.to_string());
        }
        Error::UnknownTarget { target } => {
            put("target", target.clone());
        }
        Error::UnknownScope { scope }
        | Error::ScopeExceedsTask { scope }
        | Error::BindingRequired { scope } => {
            put("scope", scope.to_string());
        }
        Error::TaskNotActive { task, state } => {
            put("task_id", task.to_string());
            put("state", state.to_string());
        }
        Error::VersionChanged { found, .. } | Error::RegistryVersionChanged { found, .. } => {
            put("version", found.to_string());
        }
        Error::InvalidEntries { faults } => {
            put("faults", faults.len().to_string());
        }
        Error::IdempotencyKeyReused { task } => {
            put("task_id", task.to_string());
        }
        Error::LimitReached(reached) => {
            put("whose", reached.whose.clone());
            put("limit", reached.allowed.to_string());
            if let Some(used) = reached.used {
                put("used", used.to_string());
            }
        }
        Error::LogNotFound { log, .. } => {
            put("log", log.clone());
        }
        _ => {}
    }
    metadata
}

/// The numeric code of an error, for the items of a batch.
pub(crate) fn code_number(error: &Error) -> i32 {
    i32::from(code(error))
}

fn join(scopes: &[ScopeRef]) -> String {
    scopes
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(" ")
}

/// An id to find the chain in the log by: a hash of the chain, so that one fault has one id.
fn error_id(error: &Error) -> String {
    let hash = taskpass_core::secret::Sha256::of(Chain(error).to_string().as_bytes());
    hash.to_string().chars().take(12).collect()
}

struct Chain<'a>(&'a Error);

impl std::fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0)?;
        let mut source = std::error::Error::source(self.0);
        while let Some(error) = source {
            write!(f, ": {error}")?;
            source = error.source();
        }
        Ok(())
    }
}

/// Gives the statuses that the gRPC library makes by itself our form: an oversized message is
/// malformed, and says so.
pub(crate) fn explain(response: http::Response<Body>) -> http::Response<Body> {
    let own = |response: &http::Response<Body>| {
        response.headers().contains_key("grpc-status-details-bin")
    };
    let code = response
        .headers()
        .get("grpc-status")
        .and_then(|code| code.to_str().ok());
    match code {
        // OUT_OF_RANGE: a message over the decoding limit.
        Some("11") if !own(&response) => library(
            Code::InvalidArgument,
            "MESSAGE_TOO_LARGE",
            "the request message is larger than the broker accepts",
        ),
        // INTERNAL while decoding: not a message of this method.
        Some("13") if !own(&response) => library(
            Code::InvalidArgument,
            "MALFORMED_MESSAGE",
            "the request message could not be read",
        ),
        _ => response,
    }
}

fn library(code: Code, reason: &str, message: &str) -> http::Response<Body> {
    let mut details = ErrorDetails::new();
    details.set_error_info(reason, ERROR_DOMAIN, HashMap::new());
    Status::with_error_details(code, message, details).into_http()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_own_faults_say_nothing_but_an_id() {
        let secret = std::io::Error::other("canary");
        let status = of(Error::internal(secret));
        assert_eq!(status.code(), Code::Internal);
        assert!(!status.message().contains("canary"));
        assert!(status.message().contains("error id"));
    }

    /// Or each attempt of a caller that tries again would be a line in the log.
    #[test]
    fn a_full_outbox_has_no_line_to_look_for() {
        let status = of(Error::StoreUnavailable(Box::new(CommitError::OutboxFull)));
        assert_eq!(status.code(), Code::Unavailable);
        let said = "the store does not take writes: the audit outbox is full";
        assert_eq!(status.message(), said);
        let stopped = CommitError::Failed(taskpass_store::StoreError::Stopped);
        let status = of(Error::StoreUnavailable(Box::new(stopped)));
        assert!(status.message().contains("error id"));
    }

    #[test]
    fn a_retry_says_when() {
        let status = of(Error::RetryAfterRevocation);
        let retry = status.get_details_retry_info().unwrap();
        assert_eq!(retry.retry_delay, Some(Duration::from_secs(1)));
        let info = status.get_details_error_info().unwrap();
        assert_eq!(
            (info.reason.as_str(), info.domain.as_str()),
            ("RETRY_AFTER_REVOCATION", "taskpass")
        );
    }
}
