//! The claims of a token (RFC 9068, RFC 9396, RFC 8705), written and read.
//!
//! `act` (RFC 8693) is no field: it follows from `sub` and the ancestors (`act.rs`).
//!
//! Reading is stricter than JSON asks for: a claim of the wrong type is an error and never counts
//! as absent, times are whole non-negative numbers, no member may stand twice, `aud` names exactly
//! one audience. Claims that are not ours are ignored. Whether they hold *now* and *here* is
//! [`check`](mod@crate::check)'s question.

mod act;
mod read;
mod write;

use taskpass_core::access::Stage;
use taskpass_core::id::{CredentialId, DecisionId, TaskId};
use taskpass_core::name::AgentName;
use taskpass_core::scope::{ScopeName, TargetUri};
use taskpass_core::secret::Sha256;
use taskpass_core::spiffe::SpiffeId;
use taskpass_core::task::Ancestor;

/// The `type` of our one entry in `authorization_details`.
pub const TASK_DETAILS_TYPE: &str = "urn:taskpass:task";

/// What a token says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claims {
    /// `iss`.
    pub issuer: String,
    /// `sub`: the agent's SPIFFE ID.
    pub subject: SpiffeId,
    /// `aud`.
    pub audience: TargetUri,
    /// `client_id`: the agent's name.
    pub client_id: AgentName,
    /// `exp`, in whole seconds.
    pub expires_at: u64,
    /// `iat`, in whole seconds.
    pub issued_at: u64,
    /// `nbf`, in whole seconds.
    pub not_before: u64,
    /// `jti`.
    pub id: CredentialId,
    /// `scope`, space-delimited; at least one.
    pub scopes: Vec<ScopeName>,
    /// `authorization_details`.
    pub task: TaskClaims,
    /// `cnf.x5t#S256`: SHA-256 of the certificate that must present the token.
    pub bound_to: Option<Sha256>,
}

/// The task a token was issued under.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskClaims {
    /// The task.
    pub task: TaskId,
    /// What it is for.
    pub purpose: String,
    /// The tasks above it, the nearest first.
    pub ancestors: Vec<Ancestor>,
    /// How far the agent was trusted when it was issued.
    pub stage: Stage,
    /// The decision that allowed it.
    pub decision: DecisionId,
}

/// The `status` claim: where it is published whether the token was revoked (Token Status List,
/// draft-ietf-oauth-status-list §6.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatusRef {
    /// `idx`: the place on the list.
    pub index: u64,
    /// `uri`: the list.
    pub uri: String,
}

/// A payload does not hold the claims of a token.
#[derive(Debug, thiserror::Error)]
pub enum ClaimsError {
    /// Not an object, a claim missing, twice, or of the wrong JSON type.
    #[error("the claims are malformed")]
    Json(#[from] serde_json::Error),
    /// A claim has a value that it may not have.
    #[error("the claim `{0}` has a wrong value")]
    Value(&'static str),
}

impl Claims {
    /// As JSON, in a fixed order.
    pub fn to_json(&self) -> String {
        write::to_json(self, None)
    }

    /// As JSON, with the place on a status list.
    pub fn to_json_listed(&self, status: Option<&StatusRef>) -> String {
        write::to_json(self, status)
    }

    /// Reads a payload.
    pub fn from_json(payload: &[u8]) -> Result<Self, ClaimsError> {
        read::from_json(payload).map(|(claims, _)| claims)
    }

    /// Reads a payload, and the place on a status list if it names one.
    pub fn from_json_listed(payload: &[u8]) -> Result<(Self, Option<StatusRef>), ClaimsError> {
        read::from_json(payload)
    }
}

#[cfg(test)]
pub(crate) mod tests;
