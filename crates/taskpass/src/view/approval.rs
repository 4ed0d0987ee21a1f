//! What waits for another operator.

use serde::Serialize;
use taskpass_api::v1;
use taskpass_core::Timestamp;

use super::wire;
use crate::output::table::{Fields, Table};
use crate::output::text::{brief, instant};
use crate::output::{Ink, View};

/// A change that waits.
#[derive(Debug, Serialize)]
struct Proposal {
    id: String,
    agent: String,
    from: Option<&'static str>,
    to: Option<&'static str>,
    force: bool,
    version: u64,
    reason: String,
    proposed_by: String,
    proposed_at: Option<Timestamp>,
    ends_at: Option<Timestamp>,
}

impl From<v1::Proposal> for Proposal {
    fn from(proposal: v1::Proposal) -> Self {
        Self {
            id: proposal.id,
            agent: proposal.agent,
            from: wire::stage(proposal.from),
            to: wire::stage(proposal.to),
            force: proposal.force,
            version: proposal.version,
            reason: proposal.reason,
            proposed_by: proposal.proposed_by,
            proposed_at: wire::instant(proposal.proposed_at),
            ends_at: wire::instant(proposal.ends_at),
        }
    }
}

impl Proposal {
    const fn ground(&self) -> &'static str {
        if self.force {
            "force"
        } else {
            "a readiness report, or none is asked for"
        }
    }

    fn fields(&self, ink: &Ink) -> Fields {
        Fields::default()
            .with("proposal", &self.id)
            .with("agent", &self.agent)
            .with("from", wire::shown(self.from))
            .with("to", wire::shown(self.to))
            .with("on", self.ground())
            .with("reason", &self.reason)
            .with("proposed by", &self.proposed_by)
            .with("proposed", instant(self.proposed_at, ink))
            .with("ends", instant(self.ends_at, ink))
    }
}

/// A change that was not made, because it waits.
#[derive(Debug, Serialize)]
pub(crate) struct Waits {
    proposal: Proposal,
}

impl From<v1::Proposal> for Waits {
    fn from(proposal: v1::Proposal) -> Self {
        Self {
            proposal: proposal.into(),
        }
    }
}

impl View for Waits {
    fn text(&self, ink: &Ink) -> String {
        let fields = self.proposal.fields(ink).render(ink);
        let id = crate::output::text::harmless(&self.proposal.id);
        format!(
            "Nothing has changed: this waits for another operator.\n\n{fields}\nAnother operator: \
             taskpass approval approve {id}\n"
        )
    }
}

/// A proposal that was rejected.
#[derive(Debug, Serialize)]
pub(crate) struct Rejected {
    rejected: Proposal,
}

impl From<v1::Proposal> for Rejected {
    fn from(proposal: v1::Proposal) -> Self {
        Self {
            rejected: proposal.into(),
        }
    }
}

impl View for Rejected {
    fn text(&self, ink: &Ink) -> String {
        format!("Rejected.\n\n{}", self.rejected.fields(ink).render(ink))
    }
}

/// Everything that waits.
#[derive(Debug, Serialize)]
pub(crate) struct Proposals {
    proposals: Vec<Proposal>,
}

impl From<v1::ListProposalsResponse> for Proposals {
    fn from(reply: v1::ListProposalsResponse) -> Self {
        Self {
            proposals: reply.proposals.into_iter().map(Into::into).collect(),
        }
    }
}

impl View for Proposals {
    fn text(&self, ink: &Ink) -> String {
        let mut table = Table::new(&[
            "PROPOSAL", "AGENT", "FROM", "TO", "ON", "BY", "ENDS", "REASON",
        ]);
        for proposal in &self.proposals {
            table.row([
                proposal.id.clone(),
                proposal.agent.clone(),
                wire::shown(proposal.from),
                wire::shown(proposal.to),
                if proposal.force { "force" } else { "report" }.to_owned(),
                proposal.proposed_by.clone(),
                brief(proposal.ends_at, ink),
                proposal.reason.clone(),
            ]);
        }
        table.render(ink, "nothing waits")
    }
}

/// An approval of a set of policies.
#[derive(Debug, Serialize)]
pub(crate) struct PolicyApproved {
    policy_set: String,
    approved_by: Vec<String>,
    missing: u32,
    ends_at: Option<Timestamp>,
}

impl PolicyApproved {
    /// Of this set.
    pub(crate) fn new(policy_set: String, reply: v1::ApprovePolicyResponse) -> Self {
        Self {
            policy_set,
            approved_by: reply.approved_by,
            missing: reply.missing,
            ends_at: wire::instant(reply.ends_at),
        }
    }
}

impl View for PolicyApproved {
    fn text(&self, ink: &Ink) -> String {
        Fields::default()
            .with("set", &self.policy_set)
            .each("approved by", &self.approved_by)
            .with("missing", self.missing.to_string())
            .with("counts until", instant(self.ends_at, ink))
            .render(ink)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proposal() -> v1::Proposal {
        v1::Proposal {
            id: "01M82ESWM1NZKTJBETD1S1PBMC".into(),
            agent: "invoice-bot".into(),
            from: v1::Stage::ReadOnly.into(),
            to: v1::Stage::Bounded.into(),
            force: true,
            version: 3,
            reason: "six\u{1b}[31m weeks".into(),
            proposed_by: "ops".into(),
            proposed_at: Some(prost_types::Timestamp {
                seconds: 1,
                nanos: 0,
            }),
            ends_at: None,
        }
    }

    #[test]
    fn what_waits_says_who_and_what_to_do() {
        let text = Waits::from(proposal()).text(&Ink::plain());
        assert!(text.starts_with("Nothing has changed"), "{text}");
        assert!(text.contains("taskpass approval approve 01M82ESWM1NZKTJBETD1S1PBMC"));
        assert!(!text.contains('\u{1b}'), "{text:?}");
        let json = serde_json::to_value(Waits::from(proposal())).unwrap();
        let inner = json["proposal"].as_object().unwrap();
        assert_eq!(inner.len(), 10);
        assert_eq!(inner["to"], "bounded");
        assert!(inner["ends_at"].is_null(), "absent, and there all the same");
    }

    #[test]
    fn a_list_of_nothing_says_so() {
        let none = Proposals::from(v1::ListProposalsResponse::default());
        assert!(none.text(&Ink::plain()).contains("nothing waits"));
        let some = v1::ListProposalsResponse {
            proposals: vec![proposal()],
        };
        let text = Proposals::from(some).text(&Ink::plain());
        assert!(
            text.contains("force") && text.contains("invoice-bot"),
            "{text}"
        );
    }
}
