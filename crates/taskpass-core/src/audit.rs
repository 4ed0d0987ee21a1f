//! Entries of the audit trail: one for every decision and every effect, in the same commit.
//!
//! An entry is one JSON object, versioned by `v`; fields that do not apply are left out. It never
//! holds a token, a key or an enrolment secret: those appear as ids and SHA-256. Its form is
//! documented in `docs/AUDIT_LOG.md`, and as a JSON Schema in `docs/audit-entry.schema.json`.

mod drill;
mod facts;
mod uses;

use serde::Serialize;

use crate::access::words;
use crate::id::{DecisionId, TaskId};
use crate::identity::Principal;
use crate::name::{AgentName, OwnerName};
use crate::promotion::PromotionFacts;
use crate::registry::Widening;
use crate::scope::TargetUri;
use crate::task::{Ancestor, Task};
use crate::time::Timestamp;
use crate::ttl::Clamp;

pub use drill::{DrillFacts, micros};
pub use facts::{
    Asked, Attestation, Cause, CredentialFacts, DecisionFacts, EnrolmentFacts, Granted,
    IdentityFacts, LogFacts, MAX_POLICIES, RevocationFacts,
};
pub use uses::{
    CoverageFacts, MAX_ACTION_LEN, MAX_RESOURCE_LEN, MAX_USE_ITEMS, UseFacts, UseItem, UseOutcome,
    UsedBy,
};

/// The version of the entry's form.
pub const ENTRY_VERSION: u8 = 1;
/// The most bytes that an entry can have: the log's bundles give its length in 16 bits. The limits
/// of the fields keep every entry below it.
pub const MAX_ENTRY_LEN: usize = 65_535;

words!(
    /// What an entry is about.
    EntryKind, "a kind of audit entry", {
    /// A task started, or was not let.
    TaskStart => "task.start",
    /// A task was tied to a process: it ends when that is gone.
    TaskTie => "task.tie",
    /// A task ended before its deadline: completed by its agent, by a rule, or lost with its process.
    TaskEnd => "task.end",
    /// A token was issued, or denied.
    Token => "credential.token",
    /// A certificate was issued, or denied.
    Certificate => "credential.certificate",
    /// Credentials were used, or of some time it is known what they were used for.
    Use => "use",
    /// A revocation.
    Revoke => "revocation",
    /// A drill of the kill switch was measured.
    Drill => "drill",
    /// An enrolment token was made.
    EnrolmentToken => "enrolment.token",
    /// A principal enrolled, or was not let.
    Enrol => "enrolment",
    /// An identity was renewed.
    Renew => "identity.renew",
    /// Two keys claimed one generation of an identity.
    Theft => "identity.theft",
    /// The registry changed.
    Registry => "registry",
    /// A change waits for a second operator, or does not wait any more.
    Approval => "approval",
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
    /// The log of a month began, or was removed.
    Log => "log",
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
    /// How the caller proved who it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attestation: Option<Attestation>,
    /// The task.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub task: Option<TaskId>,
    /// What it is for, in its agent's words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub purpose: Option<String>,
    /// The task that it is a part of, or was to be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parent: Option<TaskId>,
    /// The tasks above it, the nearest first: the parent, its parent, and so on.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ancestors: Vec<Ancestor>,
    /// The target, of a token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<TargetUri>,
    /// What was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub asked: Option<Asked>,
    /// What was granted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub granted: Option<Granted>,
    /// What shortened the lifetime.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clamped_by: Option<Clamp>,
    /// The policies that decided, and the set they are from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decision: Option<DecisionFacts>,
    /// The credential.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub credential: Option<CredentialFacts>,
    /// What the credential was used for.
    #[serde(rename = "use", skip_serializing_if = "Option::is_none")]
    pub used: Option<UseFacts>,
    /// Of which time a verifier reports what it saw at the target.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub coverage: Option<CoverageFacts>,
    /// The revocation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revocation: Option<RevocationFacts>,
    /// How long it took until everybody refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub drill: Option<DrillFacts>,
    /// The enrolment token that was made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enrolment: Option<EnrolmentFacts>,
    /// The identity certificate that was issued.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub identity: Option<IdentityFacts>,
    /// The log that begins with this entry.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log: Option<LogFacts>,
    /// What was changed or read, such as `agent invoice-bot`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// The new version of what was changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<u64>,
    /// The state of what was changed, from now on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<&'static str>,
    /// What a change of the registry lets somebody have or do who could not before.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub widened: Vec<Widening>,
    /// By what an agent's stage rose, or is to rise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub promotion: Option<PromotionFacts>,
    /// How many: denials that were counted, credentials that were removed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub count: Option<u64>,
    /// What the effect followed from, where that was no call of somebody.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cause: Option<Cause>,
    /// Why: a refusal's reason code, an operator's words, or the broker's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The caller's W3C trace id, if it sent one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trace_id: Option<String>,
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
            attestation: None,
            task: None,
            purpose: None,
            parent: None,
            ancestors: Vec::new(),
            target: None,
            asked: None,
            granted: None,
            clamped_by: None,
            decision: None,
            credential: None,
            used: None,
            coverage: None,
            revocation: None,
            drill: None,
            enrolment: None,
            identity: None,
            log: None,
            subject: None,
            version: None,
            state: None,
            widened: Vec::new(),
            promotion: None,
            count: None,
            cause: None,
            reason: None,
            trace_id: None,
        }
    }

    /// Says which task this is about, what it is for, and where it stands.
    pub fn set_task(&mut self, task: &Task) {
        self.task = Some(task.id);
        self.purpose = Some(task.purpose.clone());
        self.parent = task.parent();
        self.ancestors.clone_from(&task.ancestors);
    }
}

#[cfg(test)]
mod tests;
