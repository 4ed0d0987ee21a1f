//! A token that passed every check, and the steps on the way there.

mod stages;

use taskpass_core::access::Stage;
use taskpass_core::name::AgentName;
use taskpass_core::task::{Ancestor, actors};
use taskpass_core::{CredentialId, ScopeName, TargetUri, TaskId, Timestamp};
use taskpass_token::Checked;

use crate::refusal::Refusal;

pub use stages::{SignedToken, TargetedToken, UnverifiedToken};

/// What a token says, once it is known to be good. Only the last
/// step, [`TargetedToken::unbound`] or [`TargetedToken::presented_with`], makes one.
///
/// It was good at that instant. Whoever holds on to it (a stream, a session) asks again with
/// [`Verifier::recheck_token`](crate::Verifier::recheck_token).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedToken {
    checked: Checked,
}

impl VerifiedToken {
    pub(crate) fn new(checked: Checked) -> Self {
        Self { checked }
    }

    pub(crate) fn checked(&self) -> &Checked {
        &self.checked
    }

    /// The agent that acts.
    pub fn agent(&self) -> &AgentName {
        self.checked.agent()
    }

    /// The task it acts in.
    pub fn task(&self) -> TaskId {
        self.checked.task()
    }

    /// The tasks above that one, the nearest first.
    pub fn ancestors(&self) -> &[Ancestor] {
        &self.checked.claims().task.ancestors
    }

    /// Who acts, and who acted before (`act`): [`agent`](Self::agent) first, then each agent that
    /// handed the work on, back to the one that began. Only the first may decide about access; the
    /// others are for the record.
    pub fn actors(&self) -> Vec<&AgentName> {
        actors(self.agent(), self.ancestors())
    }

    /// What the task is for, in the agent's words.
    pub fn purpose(&self) -> &str {
        &self.checked.claims().task.purpose
    }

    /// How far the agent was trusted when the token was issued.
    pub fn stage(&self) -> Stage {
        self.checked.claims().task.stage
    }

    /// The API it is for.
    pub fn audience(&self) -> &TargetUri {
        self.checked.target()
    }

    /// What it permits there.
    pub fn scopes(&self) -> &[ScopeName] {
        self.checked.scopes()
    }

    /// `jti`.
    pub fn credential_id(&self) -> CredentialId {
        self.checked.id()
    }

    /// When it was issued.
    pub fn issued_at(&self) -> Timestamp {
        self.checked.issued_at()
    }

    /// The instant from which it is no longer valid.
    pub fn expires_at(&self) -> Timestamp {
        self.checked.expires_at()
    }

    /// Whether it is bound to a certificate, which was then presented with it.
    pub fn is_bound(&self) -> bool {
        self.checked.bound_to().is_some()
    }

    /// Refuses unless the token permits `scope`.
    pub fn require_scope(&self, scope: &ScopeName) -> Result<(), Refusal> {
        if self.checked.has_scope(scope) {
            Ok(())
        } else {
            Err(Refusal::Scope {
                needed: scope.clone(),
            })
        }
    }
}
