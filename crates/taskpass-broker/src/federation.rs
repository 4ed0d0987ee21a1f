//! Whom the broker believes besides itself, and which agent that makes of a caller.
//!
//! Another issuer's token, a certificate of another trust domain, or the kernel's word about a process
//! on this machine proves *something* about a caller; the rules here say which registered agent that is.
//! A rule compares whole values, or beginnings that end where a part of the value ends: there is no
//! wildcard and no pattern. Exactly one agent must come out; none, or two, is a refusal. Nobody is
//! registered by this, and nobody becomes an operator or a verifier.

mod claims;
mod jwt;
mod pattern;
mod process;
mod svid;

use taskpass_core::AgentName;
use taskpass_token::foreign::ForeignTokenError;

pub use claims::{ClaimPath, ClaimRule};
pub use jwt::{DEFAULT_MAX_AGE, JwtTrust, MAX_MAX_AGE};
pub use pattern::Pattern;
pub use process::{Process, ProcessRule, ProcessTrust};
pub use svid::{SvidId, SvidRule, SvidTrust};

/// Why a rule, or what it belongs to, is not taken into the configuration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {expected}")]
pub struct RuleError {
    field: String,
    expected: String,
}

impl RuleError {
    fn new(field: impl Into<String>, expected: impl Into<String>) -> Self {
        Self {
            field: field.into(),
            expected: expected.into(),
        }
    }
}

/// Why what a caller brought makes no agent of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AttestationRefusal {
    /// The metadata is not one bearer token.
    #[error("`authorization` is `Bearer` and one token")]
    Header,
    /// Two ways at once.
    #[error("authenticate in one way: leave the certificate or the `authorization` metadata out")]
    TwoWays,
    /// Nobody that the broker believes.
    #[error("the token is not accepted: its `iss` is no issuer that the broker federates with")]
    UnknownIssuer,
    /// No key of its issuer.
    #[error("the token is not accepted: its issuer publishes no key of its `kid`")]
    UnknownKey,
    /// Not as pinned.
    #[error("the token is not accepted: {0}")]
    Token(#[from] ForeignTokenError),
    /// No rule.
    #[error("what was proved is accepted, but no rule of the broker makes it an agent")]
    Nobody,
    /// Rules for different agents.
    #[error("what was proved is accepted, but rules of the broker make it more than one agent")]
    Ambiguous,
}

/// The one agent that rules came to.
fn only<'a>(
    mut agents: impl Iterator<Item = &'a AgentName>,
) -> Result<&'a AgentName, AttestationRefusal> {
    let first = agents.next().ok_or(AttestationRefusal::Nobody)?;
    if agents.all(|other| other == first) {
        Ok(first)
    } else {
        Err(AttestationRefusal::Ambiguous)
    }
}

#[cfg(test)]
mod tests;
