//! Errors as OAuth says them (RFC 6749 §5.2, 8693 §2.2.2, 8707 §2, 9396 §5): one exhaustive match.

use std::time::Duration;

use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use taskpass_broker::Error;

use crate::status;

/// The longest description.
const MAX_DESCRIPTION: usize = 400;

/// The codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Code {
    InvalidRequest,
    InvalidClient,
    InvalidGrant,
    UnauthorizedClient,
    UnsupportedGrantType,
    InvalidScope,
    InvalidTarget,
    InvalidAuthorizationDetails,
    TemporarilyUnavailable,
    /// The same word, of a caller's own limit: others are served.
    TooMuch,
    ServerError,
}

impl Code {
    const fn parts(self) -> (&'static str, StatusCode) {
        match self {
            Self::InvalidRequest => ("invalid_request", StatusCode::BAD_REQUEST),
            Self::InvalidClient => ("invalid_client", StatusCode::UNAUTHORIZED),
            Self::InvalidGrant => ("invalid_grant", StatusCode::BAD_REQUEST),
            Self::UnauthorizedClient => ("unauthorized_client", StatusCode::BAD_REQUEST),
            Self::UnsupportedGrantType => ("unsupported_grant_type", StatusCode::BAD_REQUEST),
            Self::InvalidScope => ("invalid_scope", StatusCode::BAD_REQUEST),
            Self::InvalidTarget => ("invalid_target", StatusCode::BAD_REQUEST),
            Self::InvalidAuthorizationDetails => {
                ("invalid_authorization_details", StatusCode::BAD_REQUEST)
            }
            Self::TemporarilyUnavailable => {
                ("temporarily_unavailable", StatusCode::SERVICE_UNAVAILABLE)
            }
            Self::TooMuch => ("temporarily_unavailable", StatusCode::TOO_MANY_REQUESTS),
            Self::ServerError => ("server_error", StatusCode::INTERNAL_SERVER_ERROR),
        }
    }
}

/// A request that is answered with an error.
#[derive(Debug)]
pub(super) struct Refusal {
    code: Code,
    description: String,
    retry_after: Option<Duration>,
    challenge: bool,
}

impl Refusal {
    pub(super) fn new(code: Code, description: impl AsRef<str>) -> Self {
        Self {
            code,
            description: plain(description.as_ref()),
            retry_after: None,
            challenge: false,
        }
    }

    /// Answers an `Authorization` header that is of no use here.
    pub(super) fn challenged(mut self) -> Self {
        self.challenge = true;
        self
    }

    #[cfg(test)]
    pub(super) fn code(&self) -> &'static str {
        self.code.parts().0
    }
}

/// The characters that a description may have (RFC 6749 §5.2).
fn plain(text: &str) -> String {
    text.chars()
        .take(MAX_DESCRIPTION)
        .map(|c| match c {
            '"' | '`' => '\'',
            '\u{20}'..='\u{7e}' if c != '\\' => c,
            _ => '?',
        })
        .collect()
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        let code = code(&error);
        let retry_after = status::retry_after(&error);
        let description = match &error {
            Error::PolicyDenied(denial) | Error::AboveDenied { denial, .. } => {
                let allowed: Vec<_> = denial.allowed.iter().map(ToString::to_string).collect();
                format!(
                    "{error} ({}); allowed would be: {}; decision {}",
                    denial.basis.policies.join(" "),
                    allowed.join(" "),
                    denial.basis.id
                )
            }
            // Of our own faults an id, and the chain only in the log.
            _ => status::of(error).message().to_owned(),
        };
        Self {
            retry_after,
            ..Self::new(code, description)
        }
    }
}

const fn code(error: &Error) -> Code {
    match error {
        Error::InvalidTtl(_) | Error::InvalidField { .. } => Code::InvalidAuthorizationDetails,
        Error::InvalidScope { .. }
        | Error::UnknownScope { .. }
        | Error::ScopeExceedsTask { .. }
        | Error::BindingRequired { .. }
        | Error::PolicyDenied(_)
        | Error::AboveDenied { .. } => Code::InvalidScope,
        Error::UnknownTarget { .. } | Error::TargetNotActive { .. } => Code::InvalidTarget,
        Error::Unauthenticated { .. }
        | Error::AttestationRefused(_)
        | Error::EnrolmentRefused
        | Error::IdentityConflict
        | Error::AgentSuspended { .. }
        | Error::CallerSuspended { .. } => Code::InvalidClient,
        Error::MethodNotAllowed { .. } => Code::UnauthorizedClient,
        Error::TaskNotActive { .. }
        | Error::TaskNotFound { .. }
        | Error::CredentialNotFound { .. }
        | Error::InvalidBinding { .. } => Code::InvalidGrant,
        Error::LimitReached(_) => Code::TooMuch,
        Error::QueueFull
        | Error::RetryAfterRevocation
        | Error::ClockUnsafe
        | Error::AttestationUnavailable { .. }
        | Error::BrokerHalted
        | Error::BrokerSealed
        | Error::StoreUnavailable(_)
        | Error::RolledBack(_)
        | Error::LogUnavailable(_) => Code::TemporarilyUnavailable,
        // None of these can come of what is asked here.
        Error::InvalidCsr { .. }
        | Error::TooManyItems { .. }
        | Error::MessageTooLarge { .. }
        | Error::TaskTooDeep { .. }
        | Error::KeepAliveStreams
        | Error::TooManyChildren { .. }
        | Error::LastAdmin { .. }
        | Error::Retired { .. }
        | Error::OwnerNotActive { .. }
        | Error::EntryNotFound { .. }
        | Error::LogNotFound { .. }
        | Error::NotLogged { .. }
        | Error::KeyNotReady { .. }
        | Error::InvalidCertificate { .. }
        | Error::KeyNotFound { .. }
        | Error::AlreadyRegistered { .. }
        | Error::IdempotencyKeyReused { .. }
        | Error::VersionChanged { .. }
        | Error::RegistryVersionChanged { .. }
        | Error::InvalidEntries { .. }
        | Error::NotReady { .. }
        | Error::SecondOperatorRequired { .. }
        | Error::ProposalNotFound { .. }
        | Error::AlreadyProposed { .. }
        | Error::ProposalsFull
        | Error::ForeignTarget { .. }
        | Error::DrillNotNow { .. }
        | Error::NotDrillable { .. }
        | Error::TooManyChanges { .. } => Code::InvalidRequest,
        Error::Internal(_) => Code::ServerError,
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let (code, status) = self.code.parts();
        let body = serde_json::json!({ "error": code, "error_description": self.description });
        let mut response = (status, axum::Json(body)).into_response();
        let headers = response.headers_mut();
        if self.challenge {
            // What was tried is answered in kind (RFC 6749 §5.2), though no secret would help.
            let basic = HeaderValue::from_static("Basic realm=\"taskpass\"");
            headers.insert(header::WWW_AUTHENTICATE, basic);
        }
        if let Some(delay) = self.retry_after {
            let seconds = delay.as_millis().div_ceil(1000).max(1).to_string();
            if let Ok(seconds) = HeaderValue::from_str(&seconds) {
                headers.insert(header::RETRY_AFTER, seconds);
            }
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_error_has_its_code() {
        let scope: taskpass_core::ScopeRef = "https://a#x".parse().unwrap();
        for (error, code, status) in [
            (Error::QueueFull, "temporarily_unavailable", 503),
            (Error::BrokerHalted, "temporarily_unavailable", 503),
            (
                Error::internal(std::io::Error::other("canary")),
                "server_error",
                500,
            ),
            (
                Error::field("purpose", "x"),
                "invalid_authorization_details",
                400,
            ),
            (
                Error::UnknownTarget { target: "x".into() },
                "invalid_target",
                400,
            ),
            (Error::ScopeExceedsTask { scope }, "invalid_scope", 400),
            (
                Error::Unauthenticated { message: "no" },
                "invalid_client",
                401,
            ),
        ] {
            let refusal = Refusal::from(error);
            assert_eq!(refusal.code(), code);
            assert!(!refusal.description.contains("canary"));
            assert_eq!(refusal.into_response().status().as_u16(), status, "{code}");
        }
        let response = Refusal::from(Error::QueueFull).into_response();
        assert_eq!(response.headers()[header::RETRY_AFTER], "1");
    }

    #[test]
    fn a_description_has_only_the_characters_that_it_may_have() {
        let refusal = Refusal::new(Code::InvalidRequest, "a \"b\" \\ `c`\r\n\u{e4}");
        assert_eq!(refusal.description, "a 'b' ? 'c'???");
    }
}
