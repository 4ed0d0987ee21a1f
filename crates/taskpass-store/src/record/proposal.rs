//! What waits for a second operator, on disk: all of it in one record, for it is little and bounded.

use taskpass_core::access::Stage;
use taskpass_core::promotion::{
    MAX_PROPOSALS, PolicyApproval, PromotionFacts, Proposal, ReadinessFacts, RequirementsFacts,
};
use taskpass_core::{AgentName, DecisionId};

use crate::record::{instant, optional, sha256};

/// Every proposal.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct ProposalsRecord {
    #[prost(message, repeated, tag = "1")]
    waiting: Vec<ProposalRecord>,
}

/// A [`Proposal`].
#[derive(Clone, PartialEq, prost::Message)]
struct ProposalRecord {
    #[prost(bytes = "vec", tag = "1")]
    id: Vec<u8>,
    #[prost(string, tag = "2")]
    agent: String,
    #[prost(uint64, tag = "3")]
    version: u64,
    #[prost(string, tag = "4")]
    from: String,
    #[prost(string, tag = "5")]
    to: String,
    #[prost(string, tag = "6")]
    ground: String,
    #[prost(message, optional, tag = "7")]
    readiness: Option<ReadinessRecord>,
    #[prost(string, tag = "8")]
    reason: String,
    #[prost(string, tag = "9")]
    by: String,
    #[prost(bytes = "vec", tag = "10")]
    key: Vec<u8>,
    /// In milliseconds.
    #[prost(uint64, tag = "11")]
    at: u64,
    /// In milliseconds.
    #[prost(uint64, tag = "12")]
    ends_at: u64,
}

/// A [`ReadinessFacts`]: its agent and its stage are those of the proposal.
#[derive(Clone, PartialEq, prost::Message)]
struct ReadinessRecord {
    #[prost(bytes = "vec", tag = "1")]
    report: Vec<u8>,
    #[prost(string, tag = "2")]
    log: String,
    #[prost(uint64, tag = "3")]
    size: u64,
    #[prost(bytes = "vec", tag = "4")]
    root: Vec<u8>,
    /// In milliseconds.
    #[prost(uint64, tag = "5")]
    made_at: u64,
    /// Absent of what was proposed before it was said.
    #[prost(message, optional, tag = "6")]
    requirements: Option<RequirementsRecord>,
}

/// A [`RequirementsFacts`].
#[derive(Clone, PartialEq, prost::Message)]
struct RequirementsRecord {
    #[prost(bytes = "vec", tag = "1")]
    sha256: Vec<u8>,
    #[prost(uint32, tag = "2")]
    asked: u32,
    #[prost(uint32, tag = "3")]
    not_asked: u32,
}

impl From<&[Proposal]> for ProposalsRecord {
    fn from(proposals: &[Proposal]) -> Self {
        Self {
            waiting: proposals.iter().map(Into::into).collect(),
        }
    }
}

impl ProposalsRecord {
    /// More than may wait is no record.
    pub(crate) fn into_proposals(self) -> Option<Vec<Proposal>> {
        if self.waiting.len() > MAX_PROPOSALS {
            return None;
        }
        let each = self.waiting.into_iter();
        each.map(ProposalRecord::into_proposal).collect()
    }
}

impl From<&Proposal> for ProposalRecord {
    fn from(proposal: &Proposal) -> Self {
        let promotion = &proposal.promotion;
        Self {
            id: proposal.id.as_bytes().to_vec(),
            agent: proposal.agent.to_string(),
            version: proposal.version,
            from: promotion.from.to_string(),
            to: promotion.to.to_string(),
            ground: promotion.by.to_string(),
            readiness: promotion.readiness.as_ref().map(Into::into),
            reason: proposal.reason.clone(),
            by: proposal.by.to_string(),
            key: proposal.key.as_bytes().to_vec(),
            at: proposal.at.millis(),
            ends_at: proposal.ends_at.millis(),
        }
    }
}

impl ProposalRecord {
    fn into_proposal(self) -> Option<Proposal> {
        let agent: AgentName = self.agent.parse().ok()?;
        let to: Stage = self.to.parse().ok()?;
        let readiness = |record: ReadinessRecord| record.into_facts(agent.clone(), to);
        Some(Proposal {
            id: DecisionId::from_slice(&self.id)?,
            version: self.version,
            promotion: PromotionFacts {
                from: self.from.parse().ok()?,
                to,
                by: self.ground.parse().ok()?,
                readiness: optional(self.readiness, readiness)?,
                proposal: None,
            },
            agent,
            reason: self.reason,
            by: self.by.parse().ok()?,
            key: sha256(&self.key)?,
            at: instant(self.at)?,
            ends_at: instant(self.ends_at)?,
        })
    }
}

impl From<&ReadinessFacts> for ReadinessRecord {
    fn from(facts: &ReadinessFacts) -> Self {
        Self {
            report: facts.report.as_bytes().to_vec(),
            log: facts.log.clone(),
            size: facts.size,
            root: facts.root.as_bytes().to_vec(),
            made_at: facts.made_at.millis(),
            requirements: facts.requirements.as_ref().map(Into::into),
        }
    }
}

impl ReadinessRecord {
    fn into_facts(self, agent: AgentName, to: Stage) -> Option<ReadinessFacts> {
        Some(ReadinessFacts {
            report: sha256(&self.report)?,
            log: self.log,
            size: self.size,
            root: sha256(&self.root)?,
            made_at: instant(self.made_at)?,
            agent,
            to,
            requirements: optional(self.requirements, RequirementsRecord::into_facts)?,
        })
    }
}

impl From<&RequirementsFacts> for RequirementsRecord {
    fn from(facts: &RequirementsFacts) -> Self {
        Self {
            sha256: facts.sha256.as_bytes().to_vec(),
            asked: facts.asked,
            not_asked: facts.not_asked,
        }
    }
}

impl RequirementsRecord {
    fn into_facts(self) -> Option<RequirementsFacts> {
        Some(RequirementsFacts {
            sha256: sha256(&self.sha256)?,
            asked: self.asked,
            not_asked: self.not_asked,
        })
    }
}

/// Every approval of a set of policies.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct PolicyApprovalsRecord {
    #[prost(message, repeated, tag = "1")]
    approvals: Vec<PolicyApprovalRecord>,
}

/// A [`PolicyApproval`].
#[derive(Clone, PartialEq, prost::Message)]
struct PolicyApprovalRecord {
    #[prost(bytes = "vec", tag = "1")]
    set: Vec<u8>,
    #[prost(string, tag = "2")]
    by: String,
    #[prost(bytes = "vec", tag = "3")]
    key: Vec<u8>,
    /// In milliseconds.
    #[prost(uint64, tag = "4")]
    ends_at: u64,
}

impl From<&[PolicyApproval]> for PolicyApprovalsRecord {
    fn from(approvals: &[PolicyApproval]) -> Self {
        let record = |approval: &PolicyApproval| PolicyApprovalRecord {
            set: approval.set.as_bytes().to_vec(),
            by: approval.by.to_string(),
            key: approval.key.as_bytes().to_vec(),
            ends_at: approval.ends_at.millis(),
        };
        Self {
            approvals: approvals.iter().map(record).collect(),
        }
    }
}

impl PolicyApprovalsRecord {
    /// More than are kept is no record.
    pub(crate) fn into_approvals(self) -> Option<Vec<PolicyApproval>> {
        if self.approvals.len() > MAX_PROPOSALS {
            return None;
        }
        let approval = |record: PolicyApprovalRecord| {
            Some(PolicyApproval {
                set: sha256(&record.set)?,
                by: record.by.parse().ok()?,
                key: sha256(&record.key)?,
                ends_at: instant(record.ends_at)?,
            })
        };
        self.approvals.into_iter().map(approval).collect()
    }
}
