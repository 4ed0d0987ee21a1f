//! What lets an agent's stage rise, and what waits for a second operator.
//!
//! A stage rises on evidence (what a readiness report said, and the state of the log that it rests on)
//! or by force, with a reason; where the broker does not ask, it says that it did not. Whichever it was
//! is in the entry of the change.

use std::time::Duration;

use serde::Serialize;

use crate::access::{Stage, words};
use crate::id::DecisionId;
use crate::identity::Principal;
use crate::name::{AgentName, OperatorName};
use crate::registry::Row;
use crate::secret::Sha256;
use crate::time::Timestamp;

/// How long a proposal waits for another operator.
pub const PROPOSAL_TTL: Duration = Duration::from_hours(7 * 24);
/// The most proposals that wait.
pub const MAX_PROPOSALS: usize = 64;
/// How old a readiness report may be when a stage rises on it.
pub const READINESS_MAX_AGE: Duration = Duration::from_hours(1);

words!(
    /// By what a stage rose.
    Ground, "evidence, force, open", {
    /// A readiness report passed.
    Evidence => "evidence",
    /// An operator said so, with a reason.
    Force => "force",
    /// The broker does not ask.
    Open => "open",
});

words!(
    /// A change that one operator alone cannot make, if the configuration says so.
    SecondOperator, "force, promote, policy", {
    /// A stage rises otherwise than on evidence.
    Force => "force",
    /// A stage rises, by whatever.
    Promote => "promote",
    /// Another set of policies comes into force.
    Policy => "policy",
});

/// A readiness report that passed, by what pins it down.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ReadinessFacts {
    /// SHA-256 of the report: its JSON, on one line.
    pub report: Sha256,
    /// The origin of the newest log that it rests on.
    pub log: String,
    /// How many entries that log had.
    pub size: u64,
    /// The root over these.
    pub root: Sha256,
    /// When it was made.
    pub made_at: Timestamp,
    /// Whose it is: of no other agent it says anything.
    pub agent: AgentName,
    /// For which stage: for no other one.
    pub to: Stage,
    /// What was asked; `None` of what was proposed before that was said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requirements: Option<RequirementsFacts>,
}

/// What a readiness report asked: the reader decides it, and so it is recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct RequirementsFacts {
    /// SHA-256 of the requirements of the stage, as the report has them: their JSON, on one line.
    pub sha256: Sha256,
    /// How many were asked.
    pub asked: u32,
    /// How many were left out.
    pub not_asked: u32,
}

/// How a stage rose, or is to rise.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PromotionFacts {
    /// From here.
    pub from: Stage,
    /// To here.
    pub to: Stage,
    /// By what.
    pub by: Ground,
    /// The report, of evidence.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub readiness: Option<ReadinessFacts>,
    /// Who proposed it, where somebody else approved it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proposal: Option<ProposalFacts>,
}

/// What another operator approved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ProposalFacts {
    /// Its id: that of the entry that proposed it.
    pub id: DecisionId,
    /// Who proposed it.
    pub by: Principal,
    /// When.
    pub at: Timestamp,
}

/// A change that waits for another operator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proposal {
    /// Its id: that of the entry that proposed it.
    pub id: DecisionId,
    /// Whose stage is to rise.
    pub agent: AgentName,
    /// The version of the agent that was read: with another one it is stale.
    pub version: u64,
    /// From where to where, and by what. Of this it has no proposal.
    pub promotion: PromotionFacts,
    /// Why.
    pub reason: String,
    /// Who proposed it.
    pub by: OperatorName,
    /// SHA-256 of the public key by which they did.
    pub key: Sha256,
    /// When.
    pub at: Timestamp,
    /// From this instant on it is void.
    pub ends_at: Timestamp,
}

impl Proposal {
    /// Whether it can be approved or rejected at `now`.
    pub fn waits(&self, now: Timestamp) -> bool {
        now < self.ends_at
    }

    /// What the entry of the change says of it.
    pub fn facts(&self) -> ProposalFacts {
        ProposalFacts {
            id: self.id,
            by: Principal::Operator(self.by.clone()),
            at: self.at,
        }
    }
}

/// That an operator wants a set of policies in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyApproval {
    /// SHA-256 of the set.
    pub set: Sha256,
    /// Who.
    pub by: OperatorName,
    /// SHA-256 of the public key by which they said so.
    pub key: Sha256,
    /// From this instant on it counts for nothing.
    pub ends_at: Timestamp,
}

/// From which stage to which an agent rises if `new` is written over `old`; `None` if it does not.
pub fn rise(old: &Row, new: &Row) -> Option<(Stage, Stage)> {
    match (old, new) {
        (Row::Agent(old), Row::Agent(new)) if new.stage > old.stage => Some((old.stage, new.stage)),
        _ => None,
    }
}
