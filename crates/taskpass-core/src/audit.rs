//! Entries of the audit trail: one for every decision and every effect, in the same commit.
//!
//! An entry is one JSON object, versioned by `v`; fields that do not apply are left out. It never
//! holds a token, a key or an enrolment secret: those appear as ids and SHA-256.

use std::collections::BTreeSet;

use serde::Serialize;

use crate::access::words;
use crate::credential::CredentialKind;
use crate::grant::Basis;
use crate::id::{CredentialId, DecisionId, TaskId};
use crate::identity::Principal;
use crate::key::KeyId;
use crate::name::{AgentName, OwnerName};
use crate::revocation::Selector;
use crate::scope::{ScopeRef, TargetUri};
use crate::secret::Sha256;
use crate::task::Ancestor;
use crate::time::Timestamp;
use crate::ttl::{Clamp, Ttl};

/// The version of the entry's form.
pub const ENTRY_VERSION: u8 = 1;

words!(
    /// What an entry is about.
    EntryKind, "a kind of audit entry", {
    /// A task started, or was not let.
    TaskStart => "task.start",
    /// A task ended before its deadline: completed by its agent, or by a rule.
    TaskEnd => "task.end",
    /// A token was issued, or denied.
    Token => "credential.token",
    /// A certificate was issued, or denied.
    Certificate => "credential.certificate",
    /// A revocation.
    Revoke => "revocation",
    /// An enrolment token was made.
    EnrolmentToken => "enrolment.token",
    /// A principal enrolled, or was not let.
    Enrol => "enrolment",
    /// An identity was renewed, or not.
    Renew => "identity.renew",
    /// Two keys claimed one generation of an identity.
    Theft => "identity.theft",
    /// The registry changed.
    Registry => "registry",
    /// A key was made or changed its state.
    Key => "key",
    /// A policy set came into force.
    Policy => "policy",
    /// An operator read.
    Read => "read",
    /// A call was refused before it was looked at: the caller may not call, or not this.
    Call => "call",
    /// The reaper removed what had expired.
    Reap => "reap",
    /// Denials beyond a caller's budget, counted.
    Denials => "denials",
    /// The broker started or stopped.
    Broker => "broker",
});

words!(
    /// How it went.
    Outcome, "allow, deny, done", {
    /// A decision allowed it, and it happened.
    Allow => "allow",
    /// It was refused.
    Deny => "deny",
    /// It happened; no decision was needed.
    Done => "done",
});

/// One entry.
#[derive(Debug, Clone, Serialize)]
pub struct Entry {
    /// [`ENTRY_VERSION`].
    pub v: u8,
    /// Its id; of a decision, the decision's.
    pub id: DecisionId,
    /// When.
    pub at: Timestamp,
    /// What it is about.
    pub kind: EntryKind,
    /// How it went.
    pub outcome: Outcome,
    /// Who called; absent for what the broker did by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub actor: Option<Principal>,
    /// The agent concerned.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent: Option<AgentName>,
    /// Its owner at that moment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owner: Option<OwnerName>,
    /// The generation of the identity that called.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub generation: Option<u64>,
    /// The task.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub task: Option<TaskId>,
    /// Its purpose, when it started.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub purpose: Option<String>,
    /// The tasks above it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ancestors: Vec<Ancestor>,
    /// The target, of a token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<TargetUri>,
    /// What was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub asked: Option<Terms>,
    /// What was granted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub granted: Option<Terms>,
    /// What shortened the lifetime.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clamped_by: Option<Clamp>,
    /// The policies that decided, and the set they are from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decision: Option<DecisionFacts>,
    /// The credential.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub credential: Option<CredentialFacts>,
    /// The revocation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revocation: Option<RevocationFacts>,
    /// What was changed or read, such as `agent invoice-bot`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// The new version of what was changed, or how many of something.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub count: Option<u64>,
    /// Why: a refusal's reason code, an operator's words, or the rule that caused it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The caller's W3C trace id, if it sent one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trace_id: Option<String>,
}

/// Scopes and lifetime, asked for or granted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Terms {
    /// The scopes.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub scopes: BTreeSet<ScopeRef>,
    /// The lifetime in seconds, as asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ttl: Option<Ttl>,
    /// The end, as granted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
}

/// Which policies decided.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DecisionFacts {
    /// The determining policies.
    pub policies: Vec<String>,
    /// SHA-256 of the policy set.
    pub policy_set: Sha256,
    /// Whether a policy could not be evaluated.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub errored: bool,
}

impl From<&Basis> for DecisionFacts {
    fn from(basis: &Basis) -> Self {
        Self {
            policies: basis.policies.clone(),
            policy_set: basis.policy_set,
            errored: false,
        }
    }
}

/// Which credential.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CredentialFacts {
    /// Its kind.
    pub kind: CredentialKind,
    /// Its id.
    pub id: CredentialId,
    /// SHA-256 of the token, or of the certificate's DER.
    pub sha256: Sha256,
    /// The key that signed it.
    pub key: KeyId,
    /// SHA-256 of the certificate that a token is bound to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bound_to: Option<Sha256>,
}

/// Which revocation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RevocationFacts {
    /// `credential`, `task`, `agent`, `owner`, `target`, `key` or `all`.
    pub selector: &'static str,
    /// What it names.
    pub value: String,
    /// How many live credentials it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub credentials: Option<u64>,
    /// Whether that number is exact or an upper bound.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exact: Option<bool>,
}

impl From<&Selector> for RevocationFacts {
    fn from(selector: &Selector) -> Self {
        Self {
            selector: selector.kind(),
            value: selector.value(),
            credentials: None,
            exact: None,
        }
    }
}

impl Entry {
    /// An entry that says no more than this; the caller fills in the fields that apply.
    pub fn new(id: DecisionId, at: Timestamp, kind: EntryKind, outcome: Outcome) -> Self {
        Self {
            v: ENTRY_VERSION,
            id,
            at,
            kind,
            outcome,
            actor: None,
            agent: None,
            owner: None,
            generation: None,
            task: None,
            purpose: None,
            ancestors: Vec::new(),
            target: None,
            asked: None,
            granted: None,
            clamped_by: None,
            decision: None,
            credential: None,
            revocation: None,
            subject: None,
            count: None,
            reason: None,
            trace_id: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::SeededRng;

    #[test]
    fn an_entry_leaves_out_what_does_not_apply() {
        let at = Timestamp::from_secs(1_700_000_000);
        let id = DecisionId::generate(at, &SeededRng::new(1));
        let entry = Entry::new(id, at, EntryKind::Reap, Outcome::Done);
        let json = serde_json::to_value(&entry).unwrap();
        assert_eq!(
            json,
            serde_json::json!({
                "v": 1, "id": id.to_string(), "at": "2023-11-14T22:13:20Z",
                "kind": "reap", "outcome": "done"
            })
        );
    }
}
