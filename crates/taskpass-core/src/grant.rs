//! Decisions, and the only proof that one was made.
//!
//! A [`Grant`] cannot be cloned and has one constructor, which the workspace's lints forbid to
//! everybody but the policy engine. Issuing consumes it. So whoever holds a signed credential can
//! read back, in types, that a decision allowed exactly this.

use std::collections::BTreeSet;

use crate::id::DecisionId;
use crate::name::AgentName;
use crate::registry::RowKey;
use crate::scope::ScopeRef;
use crate::secret::Sha256;

/// What a request asks policy for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ask {
    /// These scopes: as a task's ceiling, or in a token.
    Scopes(BTreeSet<ScopeRef>),
    /// A certificate that proves the task.
    Certificate,
    /// The same as an X.509-SVID, with which the task can also be a server.
    Svid,
}

impl Ask {
    /// The scopes asked for; none for a certificate.
    pub fn scopes(&self) -> impl Iterator<Item = &ScopeRef> {
        match self {
            Self::Scopes(scopes) => Some(scopes.iter()),
            Self::Certificate | Self::Svid => None,
        }
        .into_iter()
        .flatten()
    }
}

/// Which policies decided, and under which set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Basis {
    /// Names the decision and its audit entry.
    pub id: DecisionId,
    /// The `@id`s of the determining policies; `default-deny` where none permitted.
    pub policies: Vec<String>,
    /// SHA-256 of the whole policy set and schema.
    pub policy_set: Sha256,
    /// Whether no policy permits some of it, and it was allowed because its target is only observed.
    pub would_deny: bool,
}

/// A request that policy allowed.
#[derive(Debug)]
#[must_use = "a grant is there to be issued from"]
pub struct Grant {
    basis: Basis,
    agent: AgentName,
    ask: Ask,
    read: Vec<(RowKey, u64)>,
}

impl Grant {
    /// Records that policy allowed `ask` to `agent`, having read `read`.
    ///
    /// For the policy engine alone: the `disallowed_methods` lint refuses every other call.
    pub fn decided(basis: Basis, agent: AgentName, ask: Ask, read: Vec<(RowKey, u64)>) -> Self {
        Self {
            basis,
            agent,
            ask,
            read,
        }
    }

    /// Why it was allowed.
    pub fn basis(&self) -> &Basis {
        &self.basis
    }

    /// To whom.
    pub fn agent(&self) -> &AgentName {
        &self.agent
    }

    /// What.
    pub fn ask(&self) -> &Ask {
        &self.ask
    }

    /// The rows of the registry that the decision read, with the versions it saw.
    pub fn read(&self) -> &[(RowKey, u64)] {
        &self.read
    }
}

/// A request that policy denied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Denial {
    /// Why.
    pub basis: Basis,
    /// What was asked for.
    pub asked: Vec<ScopeRef>,
    /// Which of that would have been allowed.
    pub allowed: Vec<ScopeRef>,
    /// Whether a policy could not be evaluated: then nothing is allowed.
    pub errored: bool,
}
