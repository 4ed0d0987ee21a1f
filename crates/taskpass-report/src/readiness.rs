//! Whether an agent may go to a stage, or stay at it: each requirement with what was measured.
//!
//! A requirement passes on a figure and on nothing else. What the log cannot say is *unknown*, which does
//! not pass, and says what would make it known. Which figures are enough is the reader's to decide
//! ([`RequirementsFile`]); what was asked is in the report beside what was found.

mod checks;
mod ground;
mod requirements;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use taskpass_core::access::Stage;

use crate::facts::{About, Facts};
use crate::histogram::count;
use crate::inventory::state;
use crate::least_privilege::{LeastPrivilege, Scope, UnknownName, least_privilege};
use crate::registry::{Agent, Registry};

pub use ground::{GroundOfStage, RoseBy};
pub use requirements::{LogKeys, Overrides, Requirements, RequirementsError, RequirementsFile};

/// What can be asked of an agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Requirement {
    /// Somebody active answers for it.
    OwnerActive,
    /// It proves itself by nothing that another one has too.
    Attestation,
    /// It uses what it may.
    LeastPrivilege,
    /// Its credentials are short.
    Ttl,
    /// Its tokens are bound to a key.
    BoundTokens,
    /// It is seldom refused.
    Denials,
    /// What it does is permitted, and not only observed.
    WouldDeny,
    /// The kill switch was tried, and works.
    Drill,
    /// The log that all of this is from holds.
    LogVerified,
    /// Somebody looks at it again before long.
    ReviewDate,
}

impl Requirement {
    /// All of them, in the order of a report.
    pub const ALL: [Self; 10] = [
        Self::OwnerActive,
        Self::Attestation,
        Self::LeastPrivilege,
        Self::Ttl,
        Self::BoundTokens,
        Self::Denials,
        Self::WouldDeny,
        Self::Drill,
        Self::LogVerified,
        Self::ReviewDate,
    ];

    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::OwnerActive => "owner_active",
            Self::Attestation => "attestation",
            Self::LeastPrivilege => "least_privilege",
            Self::Ttl => "ttl",
            Self::BoundTokens => "bound_tokens",
            Self::Denials => "denials",
            Self::WouldDeny => "would_deny",
            Self::Drill => "drill",
            Self::LogVerified => "log_verified",
            Self::ReviewDate => "review_date",
        }
    }
}

/// How a check went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The figure is good enough.
    Pass,
    /// It is not.
    Fail,
    /// There is none.
    Unknown,
}

impl Outcome {
    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::Unknown => "unknown",
        }
    }
}

/// One requirement, as one agent meets it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    /// Which.
    pub requirement: Requirement,
    /// What is asked.
    pub asks: String,
    /// What was measured; `None` if it cannot be.
    pub measured: Option<u64>,
    /// Of what that is a number.
    pub unit: &'static str,
    /// What it rests on.
    pub rests_on: String,
    /// How it went.
    pub outcome: Outcome,
    /// What would make it pass, or known; `None` of what passes.
    pub to_do: Option<String>,
}

/// One agent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Row {
    /// Its name.
    pub agent: String,
    /// Its owner.
    pub owner: String,
    /// Its state, if that is known.
    pub state: Option<String>,
    /// The stage that it is at.
    pub stage: Option<String>,
    /// The stage that it is judged for.
    pub for_stage: String,
    /// By what it came to the stage that it is at.
    pub ground: GroundOfStage,
    /// Whether every requirement passes.
    pub ready: bool,
    /// How many do not.
    pub missing: u64,
    /// Each requirement.
    pub checks: Vec<Check>,
}

/// The report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Readiness {
    /// What it rests on.
    pub about: About,
    /// What was asked, by stage.
    pub requirements: BTreeMap<String, Requirements>,
    /// How many agents there are.
    pub agents: u64,
    /// How many of them are ready.
    pub ready: u64,
    /// The agents, those that are not ready first.
    pub rows: Vec<Row>,
}

impl Readiness {
    /// Whether each agent is ready. Of none it cannot be said.
    pub fn passed(&self) -> bool {
        self.agents > 0 && self.ready == self.agents
    }
}

/// Makes the report: of one agent, or of all that are not retired; for one stage, or for the one that each
/// is at.
pub fn readiness(
    facts: &Facts,
    registry: &Registry,
    about: About,
    (agent, stage): (Option<&str>, Option<Stage>),
    file: &RequirementsFile,
) -> Result<Readiness, UnknownName> {
    let asked = asked(facts, registry, agent)?;
    let scope = Scope {
        agent: agent.map(str::to_owned),
        ..Scope::default()
    };
    let least = least_privilege(facts, registry, about.clone(), &scope)?;
    let mut requirements = BTreeMap::new();
    let mut rows = Vec::with_capacity(asked.len());
    for agent in asked {
        // Of a stage that is not known here the most is asked.
        let stage = stage.or(agent.stage).unwrap_or(Stage::Autonomous);
        let asks = file.at(stage);
        rows.push(row(facts, registry, &least, agent, (stage, &asks)));
        requirements.insert(stage.to_string(), asks);
    }
    rows.sort_by(|a, b| (a.ready, &a.agent).cmp(&(b.ready, &b.agent)));
    Ok(Readiness {
        about,
        requirements,
        agents: count(rows.len()),
        ready: count(rows.iter().filter(|row| row.ready).count()),
        rows,
    })
}

/// The one agent that is named, or all that are not retired.
fn asked<'a>(
    facts: &Facts,
    registry: &'a Registry,
    agent: Option<&str>,
) -> Result<Vec<&'a Agent>, UnknownName> {
    if let Some(name) = agent {
        let found = registry.agent(name);
        return Ok(vec![
            found.ok_or_else(|| UnknownName::Agent(name.to_owned()))?,
        ]);
    }
    let retired = |agent: &&Agent| state_of(facts, agent).as_deref() == Some("retired");
    let all = registry.agents.iter();
    Ok(all.filter(|agent| !retired(agent)).collect())
}

fn row(
    facts: &Facts,
    registry: &Registry,
    least: &LeastPrivilege,
    agent: &Agent,
    (stage, asks): (Stage, &Requirements),
) -> Row {
    let checks = checks::Subject {
        facts,
        registry,
        least,
        agent,
        asks,
    };
    let checks: Vec<Check> = Requirement::ALL
        .into_iter()
        .filter(|requirement| !asks.not_asked.contains(requirement))
        .map(|requirement| checks.check(requirement))
        .collect();
    let failing = |check: &&Check| check.outcome != Outcome::Pass;
    let missing = count(checks.iter().filter(failing).count());
    Row {
        agent: agent.name.clone(),
        owner: agent.owner.clone(),
        state: state_of(facts, agent),
        stage: agent.stage.map(|stage| stage.to_string()),
        for_stage: stage.to_string(),
        ground: ground::of(facts, agent),
        ready: missing == 0,
        missing,
        checks,
    }
}

fn state_of(facts: &Facts, agent: &Agent) -> Option<String> {
    state(facts, "agent", &agent.name, agent.state.as_ref())
}

#[cfg(test)]
mod tests;
