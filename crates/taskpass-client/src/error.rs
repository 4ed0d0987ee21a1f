//! What the broker answered instead of a result.
//!
//! A [`Refused`] holds the machine-readable reason (`google.rpc.ErrorInfo`) and, where the broker
//! named one, how long to wait. It never holds a credential: the broker puts none into an error.

use std::collections::BTreeMap;
use std::time::Duration;

use taskpass_api::ERROR_DOMAIN;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

/// The reason of a refusal because a revocation happened within the same second.
pub const RETRY_AFTER_REVOCATION: &str = "RETRY_AFTER_REVOCATION";

/// A call that did not succeed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message} ({reason})")]
pub struct Refused {
    /// The gRPC code.
    pub code: Code,
    /// The reason, such as `POLICY_DENIED`. If the answer is not a broker's (a connection that
    /// broke, a proxy), the name of the code.
    pub reason: String,
    /// What happened, for people.
    pub message: String,
    /// Further facts, such as `decision_id`.
    pub metadata: BTreeMap<String, String>,
    /// How long to wait before the same call may succeed, if the broker said so.
    pub retry_after: Option<Duration>,
}

impl Refused {
    /// Whether the broker itself gave this reason, whatever the code.
    pub fn is(&self, reason: &str) -> bool {
        self.reason == reason
    }

    /// Whether the same call may succeed if it is made again.
    pub fn is_transient(&self) -> bool {
        self.retry_after.is_some() || matches!(self.code, Code::Unavailable)
    }
}

impl From<Status> for Refused {
    fn from(status: Status) -> Self {
        // Details that cannot be decoded are as good as none: the code still stands.
        let details = status.check_error_details().unwrap_or_default();
        let info = details
            .error_info()
            .filter(|info| info.domain == ERROR_DOMAIN);
        Self {
            code: status.code(),
            reason: info.map_or_else(|| code_name(status.code()).into(), |i| i.reason.clone()),
            message: if status.message().is_empty() {
                status.code().description().to_owned()
            } else {
                status.message().to_owned()
            },
            metadata: info
                .map(|i| i.metadata.clone().into_iter().collect())
                .unwrap_or_default(),
            retry_after: details.retry_info().and_then(|retry| retry.retry_delay),
        }
    }
}

/// The code as gRPC spells it.
const fn code_name(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tonic_types::ErrorDetails;

    fn detailed(domain: &str) -> Status {
        let mut details = ErrorDetails::with_error_info(
            "POLICY_DENIED",
            domain,
            [("decision_id".to_owned(), "D".to_owned())],
        );
        details.set_retry_info(Some(Duration::from_millis(700)));
        Status::with_error_details(Code::PermissionDenied, "denied by no-weekend", details)
    }

    #[test]
    fn takes_the_brokers_details() {
        let refused = Refused::from(detailed("taskpass"));
        assert!(refused.is("POLICY_DENIED"));
        assert_eq!(refused.code, Code::PermissionDenied);
        assert_eq!(refused.metadata["decision_id"], "D");
        assert_eq!(refused.retry_after, Some(Duration::from_millis(700)));
        assert_eq!(refused.to_string(), "denied by no-weekend (POLICY_DENIED)");
    }

    #[test]
    fn a_strangers_reason_is_not_the_brokers() {
        for status in [
            detailed("proxy.example"),
            Status::permission_denied("no"),
            Status::with_details(Code::PermissionDenied, "no", vec![0xff, 0xff].into()),
        ] {
            let refused = Refused::from(status);
            assert_eq!(refused.reason, "PERMISSION_DENIED");
            assert!(refused.metadata.is_empty());
        }
    }
}
