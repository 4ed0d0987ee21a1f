//! How stages rose, and when the kill switch was last tried.

use taskpass_core::Timestamp;
use taskpass_core::access::Stage;

use crate::entry::{Drill, Entry};

/// How an agent's stage rose.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rise {
    /// To which stage; `None` is a word that is not known here.
    pub to: Option<Stage>,
    /// By what: `evidence`, `force` or `open`.
    pub by: String,
    /// SHA-256 of the report, of evidence.
    pub report: Option<String>,
    /// The operators who did it: who proposed it, if that was another one, and who made it.
    pub operators: Vec<String>,
    /// Their reason.
    pub reason: String,
    /// When.
    pub at: Timestamp,
}

/// A drill.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Drilled {
    /// When.
    pub at: Timestamp,
    /// What was measured.
    pub figures: Drill,
}

impl Rise {
    /// From the entry of the change; `None` of any other entry, also of one that only proposes it.
    pub(super) fn of(entry: &Entry) -> Option<Self> {
        let promotion = entry.promotion.as_ref()?;
        if entry.kind != "registry" || entry.outcome != "done" {
            return None;
        }
        let proposer = promotion.proposal.as_ref().map(|proposal| &proposal.by);
        let operators = proposer.into_iter().chain(&entry.actor);
        Some(Self {
            to: promotion.to.parse().ok(),
            by: promotion.by.clone(),
            report: promotion
                .readiness
                .as_ref()
                .map(|readiness| readiness.report.clone()),
            operators: operators.cloned().collect(),
            reason: entry.reason.clone().unwrap_or_default(),
            at: entry.at,
        })
    }
}

impl Drilled {
    /// From the entry of a drill.
    pub(super) fn of(entry: &Entry) -> Option<Self> {
        let figures = entry.drill.clone()?;
        (entry.kind == "drill" && entry.outcome == "done").then_some(Self {
            at: entry.at,
            figures,
        })
    }
}
