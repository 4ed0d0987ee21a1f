//! By what an agent came to the stage that it is at, as the log says.

use serde::Serialize;
use taskpass_core::Timestamp;

use crate::facts::Facts;
use crate::registry::Agent;

/// By what.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RoseBy {
    /// A readiness report that passed.
    Evidence,
    /// An operator's word.
    Force,
    /// Nothing was asked.
    Open,
    /// It was registered so, as far as the log goes back.
    Registration,
}

/// By what an agent came to its stage.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct GroundOfStage {
    /// By what.
    pub by: RoseBy,
    /// When; `None` if the log does not say.
    pub at: Option<Timestamp>,
    /// SHA-256 of the report, of evidence.
    pub report: Option<String>,
    /// The operators who did it: who proposed it, and who approved it.
    pub operators: Vec<String>,
    /// The same in words.
    pub says: String,
}

/// By what `agent` came to its stage: the last time that it rose at least as high.
pub(super) fn of(facts: &Facts, agent: &Agent) -> GroundOfStage {
    let last = facts.rise(&agent.name);
    let Some(rise) = last.filter(|rise| rise.to.is_some() && rise.to >= agent.stage) else {
        return GroundOfStage {
            by: RoseBy::Registration,
            at: None,
            report: None,
            operators: Vec::new(),
            says: "registered so: no evidence".to_owned(),
        };
    };
    let by = match rise.by.as_str() {
        "evidence" => RoseBy::Evidence,
        "force" => RoseBy::Force,
        _ => RoseBy::Open,
    };
    let operators = rise.operators.join(" and ");
    let says = match (by, &rise.report) {
        (RoseBy::Evidence, Some(report)) => {
            format!("on report {report} by {operators} at {}", rise.at)
        }
        (RoseBy::Force, _) => format!("forced by {operators} at {}: {}", rise.at, rise.reason),
        _ => format!("by {operators} at {}: no evidence was asked for", rise.at),
    };
    GroundOfStage {
        by,
        at: Some(rise.at),
        report: rise.report.clone(),
        operators: rise.operators.clone(),
        says,
    }
}
