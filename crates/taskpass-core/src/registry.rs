//! Owners, agents, targets, operators, verifiers: what is registered, and in which state.
//!
//! These are values. The store keeps them, each row with a version that every change raises; a
//! decision remembers the versions it read, and the commit that follows from it checks them again.

mod limits;
mod observe;
mod snapshot;
mod widening;

use std::collections::{BTreeMap, BTreeSet};

use crate::access::{Access, Risk, Stage, TokenAlg, TokenProfile, words};
use crate::key::KeyId;
use crate::name::{AgentName, OperatorName, OwnerName, VerifierName};
use crate::scope::{ScopeName, ScopeRef, TargetUri};
use crate::time::Timestamp;
use crate::ttl::Ttl;

pub use limits::{LimitError, LimitName, Limits};
pub use observe::{MAX_OBSERVE, Observe};
pub use snapshot::Registry;
pub use widening::{Widening, widening};

words!(
    /// Whether an entry of the registry may take part. Retired is for ever; names are not reused.
    State, "active, suspended, retired", {
    /// Takes part.
    Active => "active",
    /// Refused until an operator resumes it.
    Suspended => "suspended",
    /// Refused for ever.
    Retired => "retired",
});

words!(
    /// What an operator may do.
    Role, "admin, responder, auditor", {
    /// Everything.
    Admin => "admin",
    /// Revoke, suspend and read.
    Responder => "responder",
    /// Read.
    Auditor => "auditor",
});

/// The accountable person or team of agents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner {
    /// Its name.
    pub name: OwnerName,
    /// How to reach it: an address, a channel, a rota.
    pub contact: String,
    /// An owner that is not active has no agent that is.
    pub state: State,
    /// How much all its agents together may take.
    pub limits: Limits,
}

/// A non-human workload with an identity of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Agent {
    /// Its name; its identity is `spiffe://<trust domain>/agent/<name>`.
    pub name: AgentName,
    /// Who is accountable for it.
    pub owner: OwnerName,
    /// What it is for, in the owner's words.
    pub purpose: String,
    /// How far it is trusted.
    pub stage: Stage,
    /// The scopes that it may be granted at all. Empty means none.
    pub scopes: BTreeSet<ScopeRef>,
    /// From this instant on it gets nothing; `None` is not offered by the API.
    pub valid_until: Timestamp,
    /// The longest credential it may hold, beneath the targets' caps.
    pub max_ttl: Option<Ttl>,
    /// Free facts for policy, such as `env = prod`.
    pub labels: BTreeMap<String, String>,
    /// Whether it may take part.
    pub state: State,
    /// When it was registered.
    pub created_at: Timestamp,
    /// Keys by which it may authenticate where it has no identity certificate at hand.
    pub client_keys: Vec<ClientKey>,
    /// How much it may take.
    pub limits: Limits,
}

/// A public key that is registered for an agent (RFC 7523), until an instant that is set with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientKey {
    /// Its thumbprint.
    pub id: KeyId,
    /// The public key as a JWK.
    pub jwk: String,
    /// When it was registered: rules match it by this, as they match certificates by their issue.
    pub added_at: Timestamp,
    /// From this instant on it proves nothing.
    pub until: Timestamp,
}

/// A protected API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// Its audience URI.
    pub uri: TargetUri,
    /// What can be permitted there, and what each scope does.
    pub scopes: BTreeMap<ScopeName, Access>,
    /// How much harm it can do.
    pub risk: Risk,
    /// The algorithm its tokens are signed with.
    pub token_alg: TokenAlg,
    /// The form of its tokens.
    pub token_profile: TokenProfile,
    /// The longest token it accepts.
    pub max_ttl: Option<Ttl>,
    /// Tokens are issued for an active target only.
    pub state: State,
    /// How much may be issued for it.
    pub limits: Limits,
    /// Whether, and until when, what no policy permits there is allowed and marked.
    pub observe: Option<Observe>,
}

/// A person or pipeline that runs the broker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operator {
    /// Its name.
    pub name: OperatorName,
    /// What it may do. Empty means nothing.
    pub roles: BTreeSet<Role>,
    /// Whether it may take part.
    pub state: State,
}

/// A downstream API that asks the broker about credentials.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verifier {
    /// Its name.
    pub name: VerifierName,
    /// The targets it speaks for: it may introspect and watch only what concerns these.
    pub targets: BTreeSet<TargetUri>,
    /// Whether it may take part.
    pub state: State,
}

/// The broker as a whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct System {
    /// `Suspended` after everything was revoked, until an operator resumes.
    pub state: State,
    /// Since when it is sealed: its store came out of a backup, and no operator has looked at it yet.
    /// Nothing is issued and nobody enrols but operators.
    pub sealed_at: Option<Timestamp>,
}

impl Default for System {
    fn default() -> Self {
        Self {
            state: State::Active,
            sealed_at: None,
        }
    }
}

/// Names one row of the registry.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RowKey {
    /// An owner.
    Owner(OwnerName),
    /// An agent.
    Agent(AgentName),
    /// A target.
    Target(TargetUri),
    /// An operator.
    Operator(OperatorName),
    /// A verifier.
    Verifier(VerifierName),
    /// The one row about the broker as a whole.
    System,
}

/// One row of the registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Row {
    /// An owner.
    Owner(Owner),
    /// An agent.
    Agent(Agent),
    /// A target.
    Target(Target),
    /// An operator.
    Operator(Operator),
    /// A verifier.
    Verifier(Verifier),
    /// The broker as a whole.
    System(System),
}

impl Row {
    /// The row's name.
    pub fn key(&self) -> RowKey {
        match self {
            Self::Owner(owner) => RowKey::Owner(owner.name.clone()),
            Self::Agent(agent) => RowKey::Agent(agent.name.clone()),
            Self::Target(target) => RowKey::Target(target.uri.clone()),
            Self::Operator(operator) => RowKey::Operator(operator.name.clone()),
            Self::Verifier(verifier) => RowKey::Verifier(verifier.name.clone()),
            Self::System(_) => RowKey::System,
        }
    }
}

/// A row with its version: 0 is "there is none", 1 the first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Versioned<T> {
    /// The value.
    pub value: T,
    /// Raised by one with every change.
    pub version: u64,
}

impl std::fmt::Display for RowKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Owner(name) => write!(f, "owner {name}"),
            Self::Agent(name) => write!(f, "agent {name}"),
            Self::Target(uri) => write!(f, "target {uri}"),
            Self::Operator(name) => write!(f, "operator {name}"),
            Self::Verifier(name) => write!(f, "verifier {name}"),
            Self::System => f.write_str("broker"),
        }
    }
}
