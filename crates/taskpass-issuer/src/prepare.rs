//! What tokens and certificates share before they are signed: whether the grant covers the terms.
//!
//! The broker computes terms from the same decision that gave the grant, so a refusal here is a
//! fault in the broker, not the caller's. It is checked all the same: this is the last place
//! before a signature.

use std::time::Duration;

use taskpass_core::access::TokenProfile;
use taskpass_core::grant::Grant;
use taskpass_core::id::TaskId;
use taskpass_core::key::KeyPurpose;
use taskpass_core::name::AgentName;
use taskpass_core::scope::ScopeRef;
use taskpass_core::task::{Ancestor, MAX_DEPTH, Task};
use taskpass_core::time::Timestamp;
use taskpass_core::ttl::Ttl;

use crate::keys::SignatureError;

/// A credential's terms were refused before signing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PrepareError {
    /// The grant is another agent's.
    #[error("the grant is for agent {granted}, the credential for {asked}")]
    OtherAgent {
        /// Whom policy allowed.
        granted: AgentName,
        /// Whom the terms name.
        asked: AgentName,
    },
    /// The grant does not cover a scope at this target.
    #[error("the grant does not cover {0}")]
    ScopeNotGranted(ScopeRef),
    /// The grant is not for a certificate.
    #[error("the grant is not for a certificate")]
    CertificateNotGranted,
    /// A token without a scope allows nothing.
    #[error("a token needs at least one scope")]
    NoScope,
    /// The form of the token needs another algorithm.
    #[error("a token of the profile {0} is signed with ES256")]
    ProfileAlg(TokenProfile),
    /// It would end before the second after its beginning.
    #[error("the credential would end before it begins")]
    TooShort,
    /// It would live longer than any credential of its kind may.
    #[error("the credential would live longer than {0}")]
    TooLong(Ttl),
    /// It would outlive its task.
    #[error("the credential would outlive its task")]
    BeyondTask,
    /// It would outlive the authority that issues it.
    #[error("the credential would outlive the {0} authority")]
    BeyondAuthority(KeyPurpose),
    /// The task has more ancestors than a task can have.
    #[error("the task has more than {MAX_DEPTH} ancestors")]
    TooDeep,
}

/// Something prepared could not be signed.
#[derive(Debug, thiserror::Error)]
pub enum SignError {
    /// The key refused.
    #[error("the signature could not be made")]
    Signature(#[from] SignatureError),
    /// The certificate could not be put together.
    #[error("the certificate could not be made")]
    Certificate(#[from] rcgen::Error),
}

/// What a credential says about its task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskFacts {
    /// The task.
    pub id: TaskId,
    /// What it is for.
    pub purpose: String,
    /// The tasks above it, the nearest first.
    pub ancestors: Vec<Ancestor>,
}

impl TaskFacts {
    /// Those of a recorded task.
    pub fn of(task: &Task) -> Self {
        Self {
            id: task.id,
            purpose: task.purpose.clone(),
            ancestors: task.ancestors.clone(),
        }
    }
}

/// Whether the grant is for this agent.
pub(crate) fn same_agent(grant: &Grant, asked: &AgentName) -> Result<(), PrepareError> {
    if grant.agent() == asked {
        return Ok(());
    }
    Err(PrepareError::OtherAgent {
        granted: grant.agent().clone(),
        asked: asked.clone(),
    })
}

/// Whether a credential of `task` may live from `now` to `ends_at`.
pub(crate) fn may_live(
    task: &TaskFacts,
    now: Timestamp,
    ends_at: Timestamp,
    max: Ttl,
) -> Result<(), PrepareError> {
    if task.ancestors.len() > MAX_DEPTH {
        return Err(PrepareError::TooDeep);
    }
    if ends_at.secs() <= now.secs() {
        return Err(PrepareError::TooShort);
    }
    // Both in whole seconds, as the credential states them and verifiers check them.
    if Duration::from_secs(ends_at.secs() - now.secs()) > max.duration() {
        return Err(PrepareError::TooLong(max));
    }
    if ends_at > task.id.deadline() {
        return Err(PrepareError::BeyondTask);
    }
    Ok(())
}
