//! Rules instead of lists: what a revocation matches, and until when it must be remembered.
//!
//! One rule matches whatever its selector names and was issued at or before `issued_before`. Since
//! every lifetime has a hard maximum, it is known when the rule is made from when on it can match
//! nothing any more. [`Rule::matches`] is the only place where the broker and every verifier decide
//! whether something is revoked.

mod digest;
mod set;

use std::fmt;
use std::time::Duration;

use crate::id::{CredentialId, TaskId};
use crate::identity::Principal;
use crate::key::{KeyId, KeyPurpose};
use crate::name::{AgentName, OwnerName};
use crate::scope::TargetUri;
use crate::task::Ancestor;
use crate::time::Timestamp;
use crate::ttl;

pub use digest::{DigestView, SetDigest};
pub use set::RuleSet;

/// The longest reason.
pub const MAX_REASON_LEN: usize = 256;

/// How long a verifier may go on with a JWKS it could not refresh. A key rule outlives it.
pub const MAX_JWKS_AGE: Duration = Duration::from_hours(24);

/// What a rule matches.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Selector {
    /// One credential.
    Credential(CredentialId),
    /// A task with its whole subtree.
    Task(TaskId),
    /// Whatever an agent holds, and whatever was delegated beneath a task of it.
    Agent(AgentName),
    /// Tokens for a target.
    Target(TargetUri),
    /// Whatever a key signed.
    Key(KeyId),
    /// Every credential of every task; never the identities that call the broker.
    Everything,
}

impl Selector {
    /// The word for its kind.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Credential(_) => "credential",
            Self::Task(_) => "task",
            Self::Agent(_) => "agent",
            Self::Target(_) => "target",
            Self::Key(_) => "key",
            Self::Everything => "all",
        }
    }

    /// What it names; empty for everything.
    pub fn value(&self) -> String {
        match self {
            Self::Credential(id) => id.to_string(),
            Self::Task(id) => id.to_string(),
            Self::Agent(name) => name.to_string(),
            Self::Target(uri) => uri.to_string(),
            Self::Key(id) => id.to_string(),
            Self::Everything => String::new(),
        }
    }

    /// Reads a kind and a value back.
    pub fn from_parts(kind: &str, value: &str) -> Option<Self> {
        match kind {
            "credential" => value.parse().ok().map(Self::Credential),
            "task" => value.parse().ok().map(Self::Task),
            "agent" => value.parse().ok().map(Self::Agent),
            "target" => value.parse().ok().map(Self::Target),
            "key" => KeyId::parse(value).map(Self::Key),
            "all" if value.is_empty() => Some(Self::Everything),
            _ => None,
        }
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Everything => f.write_str("all"),
            other => write!(f, "{} {}", other.kind(), other.value()),
        }
    }
}

/// A revocation as it is recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// Its place in the order of all rules; gap-free within an epoch.
    pub seq: u64,
    /// What it matches.
    pub selector: Selector,
    /// It matches what was issued in this second or before (whole seconds, set by the store).
    pub issued_before: u64,
    /// Only verifiers of this target need it; `None` means all of them.
    pub only_target: Option<TargetUri>,
    /// Why, in the actor's words.
    pub reason: String,
    /// Who.
    pub actor: Principal,
    /// The owner whose revocation this rule is a part of.
    pub owner: Option<OwnerName>,
    /// When.
    pub at: Timestamp,
    /// From this instant on it can match nothing, and is forgotten.
    pub prune_at: Timestamp,
}

/// A rule before the store gives it its place and time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleDraft {
    /// What it matches.
    pub selector: Selector,
    /// Only verifiers of this target need it.
    pub only_target: Option<TargetUri>,
    /// Why.
    pub reason: String,
    /// Who.
    pub actor: Principal,
    /// The owner whose revocation it is a part of.
    pub owner: Option<OwnerName>,
    /// For a key: what it signs, and, of an authority, when its certificate ends.
    pub key: Option<(KeyPurpose, Option<Timestamp>)>,
    /// Do not keep the rule beyond this instant: when the last thing that it matches has ended,
    /// where that is known. Skew and staleness are added to it.
    pub live_until: Option<Timestamp>,
}

impl RuleDraft {
    /// The rule, once its place `seq`, the instant `at` and the newest committed `iat` are known.
    pub fn commit(self, seq: u64, at: Timestamp, newest_iat: u64) -> Rule {
        let issued_before = at.secs().max(newest_iat);
        let prune_at = self.prune_at(Timestamp::from_secs(issued_before.saturating_add(1)));
        Rule {
            seq,
            selector: self.selector,
            issued_before,
            only_target: self.only_target,
            reason: self.reason,
            actor: self.actor,
            owner: self.owner,
            at,
            prune_at,
        }
    }

    /// When nothing that this matches can be alive: by the code's maxima, plus the clocks'
    /// difference, plus what a verifier may lag behind.
    fn prune_at(&self, from: Timestamp) -> Timestamp {
        let by_maxima = match &self.selector {
            Selector::Credential(id) => id.expires_at(),
            Selector::Task(id) => id.deadline(),
            Selector::Agent(_) => from.plus(ttl::MAX_IDENTITY_TTL.duration()),
            Selector::Target(_) => from.plus(ttl::MAX_TOKEN_TTL.duration()),
            Selector::Key(_) => self.key_end(from),
            Selector::Everything => from.plus(ttl::MAX_CERTIFICATE_TTL.duration()),
        };
        let end = self
            .live_until
            .map_or(by_maxima, |until| until.min(by_maxima));
        end.plus(ttl::CLOCK_SKEW).plus(ttl::MAX_FEED_STALENESS)
    }

    /// A thief chooses `iat` and lifetime, so a key rule stays until nobody accepts the key: until
    /// an authority's certificate ends, or every cached JWKS that still has the key is too old.
    fn key_end(&self, from: Timestamp) -> Timestamp {
        let cached = from.plus(MAX_JWKS_AGE).plus(ttl::MAX_TOKEN_TTL.duration());
        match self.key {
            Some((_, Some(not_after))) => not_after.max(cached),
            _ => cached,
        }
    }
}

/// What a rule is matched against. All of it is in the credential itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// The credential; `None` for a task or an identity.
    pub credential: Option<CredentialId>,
    /// The agent, unless it is an operator's or verifier's identity.
    pub agent: Option<AgentName>,
    /// The task; `None` for an identity.
    pub task: Option<TaskId>,
    /// The tasks above, with their agents.
    pub ancestors: Vec<Ancestor>,
    /// `aud`, of a token.
    pub target: Option<TargetUri>,
    /// The key that signed it.
    pub key: Option<KeyId>,
    /// `iat`, in whole seconds.
    pub issued_at: u64,
}

impl Facts {
    /// The facts of a task: what ends it.
    pub fn of_task(task: &crate::task::Task) -> Self {
        Self {
            credential: None,
            agent: Some(task.agent.clone()),
            task: Some(task.id),
            ancestors: task.ancestors.clone(),
            target: None,
            key: None,
            issued_at: task.started_at.secs(),
        }
    }

    /// The facts of an identity certificate.
    pub fn of_identity(principal: &Principal, key: Option<KeyId>, issued_at: Timestamp) -> Self {
        let agent = match principal {
            Principal::Agent(name) => Some(name.clone()),
            Principal::Operator(_) | Principal::Verifier(_) => None,
        };
        Self {
            credential: None,
            agent,
            task: None,
            ancestors: Vec::new(),
            target: None,
            key,
            issued_at: issued_at.secs(),
        }
    }
}

impl Rule {
    /// Whether this rule revokes what `facts` describe.
    pub fn matches(&self, facts: &Facts) -> bool {
        let in_time = facts.issued_at <= self.issued_before;
        match &self.selector {
            Selector::Credential(id) => facts.credential.as_ref() == Some(id),
            Selector::Task(id) => {
                in_time
                    && (facts.task.as_ref() == Some(id)
                        || facts.ancestors.iter().any(|above| above.task == *id))
            }
            Selector::Agent(name) => {
                in_time
                    && (facts.agent.as_ref() == Some(name)
                        || facts.ancestors.iter().any(|above| above.agent == *name))
            }
            Selector::Target(uri) => in_time && facts.target.as_ref() == Some(uri),
            // Whoever stole the key chooses `iat`.
            Selector::Key(id) => facts.key.as_ref() == Some(id),
            Selector::Everything => in_time && facts.task.is_some(),
        }
    }

    /// Whether a verifier of `targets` needs this rule.
    pub fn concerns(&self, targets: &std::collections::BTreeSet<TargetUri>) -> bool {
        self.only_target
            .as_ref()
            .is_none_or(|target| targets.contains(target))
    }

    /// Whether the rule can match nothing any more.
    pub fn is_prunable(&self, now: Timestamp) -> bool {
        now >= self.prune_at
    }
}

#[cfg(test)]
mod tests;
