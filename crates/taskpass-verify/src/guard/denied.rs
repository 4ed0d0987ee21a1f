//! What a request is refused with (RFC 6750 §3).
//!
//! | | status | `error` |
//! |---|---|---|
//! | no token | 401 | none: nothing was presented that could be wrong |
//! | a request that cannot be read | 400 | `invalid_request` |
//! | a token that is not good, for whatever reason | 401 | `invalid_token` |
//! | a token that does not permit this | 403 | `insufficient_scope` |
//! | no scope is known for this method | 403 | none, and no challenge: no token would help |
//! | this verifier cannot say | 503 | none, and no challenge: no other token would help |
//!
//! Beyond these words the peer learns nothing: not whether a token is forged, expired, revoked or
//! bound to somebody else. The reason is for the log and the metrics.

use std::fmt::Write as _;

use http::{HeaderValue, StatusCode};
use taskpass_core::ScopeName;

use crate::refusal::Refusal;

/// Why a request was refused.
#[derive(Debug, thiserror::Error)]
pub enum Denied {
    /// No token was presented.
    #[error("no bearer token was presented")]
    NoToken,
    /// The request is not one of RFC 6750.
    #[error("the request is malformed: {0}")]
    Malformed(&'static str),
    /// The token is bound to no certificate, and this API demands that.
    #[error("the token is bound to no certificate, and this api demands that")]
    Unbound,
    /// Nobody has said which scope this method needs.
    #[error("no scope is known for this method")]
    Unlisted,
    /// Token or certificate were refused.
    #[error(transparent)]
    Refused(#[from] Refusal),
}

impl Denied {
    /// The answer's status.
    pub fn status(&self) -> StatusCode {
        match self {
            Self::Malformed(_) => StatusCode::BAD_REQUEST,
            Self::Unlisted | Self::Refused(Refusal::Scope { .. }) => StatusCode::FORBIDDEN,
            Self::Refused(refusal) if refusal.is_ours() => StatusCode::SERVICE_UNAVAILABLE,
            Self::NoToken | Self::Unbound | Self::Refused(_) => StatusCode::UNAUTHORIZED,
        }
    }

    /// RFC 6750's word for it, where there is one.
    pub fn error(&self) -> Option<&'static str> {
        match self {
            Self::NoToken | Self::Unlisted => None,
            Self::Malformed(_) => Some("invalid_request"),
            Self::Refused(Refusal::Scope { .. }) => Some("insufficient_scope"),
            Self::Refused(refusal) if refusal.is_ours() => None,
            Self::Unbound | Self::Refused(_) => Some("invalid_token"),
        }
    }

    /// One word for the log.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::NoToken => "missing",
            Self::Malformed(_) => "malformed",
            Self::Unbound => "binding",
            Self::Unlisted => "unlisted",
            Self::Refused(refusal) => refusal.reason().as_str(),
        }
    }

    /// Whether it says something of the token, and not of the request or of this verifier.
    pub(crate) fn is_of_the_token(&self) -> bool {
        match self {
            Self::NoToken | Self::Malformed(_) | Self::Unlisted => false,
            Self::Unbound => true,
            Self::Refused(refusal) => !refusal.is_ours(),
        }
    }

    /// Whether another token could help, so that the answer has to say which.
    fn has_challenge(&self) -> bool {
        matches!(self, Self::NoToken) || self.error().is_some()
    }
}

/// What `WWW-Authenticate` says beside the error.
#[derive(Debug, Clone, Copy)]
pub struct Challenge<'a> {
    /// The scope that is needed.
    pub scope: Option<&'a ScopeName>,
    /// Where the resource's metadata are (RFC 9728 §5.1).
    pub metadata_url: Option<&'a str>,
}

impl Challenge<'_> {
    /// The field's value; `None` where no token would help.
    pub fn value(&self, denied: &Denied) -> Option<HeaderValue> {
        if !denied.has_challenge() {
            return None;
        }
        let mut text = String::from("Bearer");
        let parts = [
            ("error", denied.error()),
            ("scope", self.scope.map(ScopeName::as_str)),
            ("resource_metadata", self.metadata_url),
        ];
        let mut separator = " ";
        for (name, value) in parts {
            if let Some(value) = value {
                // None of the three can hold a quote or a backslash. Writing to a string cannot fail.
                let _ = write!(text, "{separator}{name}=\"{value}\"");
                separator = ", ";
            }
        }
        HeaderValue::try_from(text).ok()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use taskpass_token::TokenError;

    fn all() -> Vec<(Denied, u16, &'static str)> {
        let scope: ScopeName = "invoices:read".parse().unwrap();
        let ours = "";
        let invalid = r#"Bearer error="invalid_token", scope="invoices:read", resource_metadata="https://a.example/m""#;
        vec![
            (
                Denied::NoToken,
                401,
                r#"Bearer scope="invoices:read", resource_metadata="https://a.example/m""#,
            ),
            (
                Denied::Malformed("x"),
                400,
                r#"Bearer error="invalid_request", scope="invoices:read", resource_metadata="https://a.example/m""#,
            ),
            (
                Refusal::Scope { needed: scope }.into(),
                403,
                r#"Bearer error="insufficient_scope", scope="invoices:read", resource_metadata="https://a.example/m""#,
            ),
            (Denied::Unbound, 401, invalid),
            (Denied::Unlisted, 403, ours),
            (Refusal::Token(TokenError::Expired).into(), 401, invalid),
            (Refusal::Token(TokenError::Signature).into(), 401, invalid),
            (Refusal::Revoked { seq: 7 }.into(), 401, invalid),
            (Refusal::CertificateMissing.into(), 401, invalid),
            (Refusal::OtherCertificate.into(), 401, invalid),
            (Refusal::OtherTask.into(), 401, invalid),
            (Refusal::NotReady.into(), 503, ours),
            (
                Refusal::Stale {
                    age: Duration::from_secs(31),
                }
                .into(),
                503,
                ours,
            ),
            (
                Refusal::KeysStale {
                    age: Duration::from_hours(25),
                }
                .into(),
                503,
                ours,
            ),
        ]
    }

    #[test]
    fn the_answers_of_rfc_6750() {
        let scope: ScopeName = "invoices:read".parse().unwrap();
        let challenge = Challenge {
            scope: Some(&scope),
            metadata_url: Some("https://a.example/m"),
        };
        for (denied, status, value) in all() {
            assert_eq!(denied.status().as_u16(), status, "{denied}");
            let given = challenge.value(&denied);
            let given = given.as_ref().map_or("", |v| v.to_str().unwrap());
            assert_eq!(given, value, "{denied}");
        }
        let bare = Challenge {
            scope: None,
            metadata_url: None,
        };
        assert_eq!(bare.value(&Denied::NoToken).unwrap(), "Bearer");
        let given = bare.value(&Denied::Unbound).unwrap();
        assert_eq!(given, r#"Bearer error="invalid_token""#);
    }
}
