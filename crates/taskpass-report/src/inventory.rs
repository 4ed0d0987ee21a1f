//! Every agent: whose it is, what it is for, how far it is trusted, and what is wrong with it.

use serde::Serialize;
use taskpass_core::Timestamp;

use crate::facts::{About, Facts};
use crate::histogram::count;
use crate::registry::{Agent, Registry};

/// What is wrong with an agent.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(tag = "fault", rename_all = "snake_case")]
pub enum Fault {
    /// Nobody answers for it: its owner is not registered, or not active.
    NoOwner {
        /// The owner that is named.
        owner: String,
        /// Its state, if it is registered.
        state: Option<String>,
    },
    /// Its end date has passed, and it was not retired.
    Overdue {
        /// The end date.
        valid_until: Timestamp,
    },
    /// It never started a task, as far back as the log goes.
    NeverUsed,
    /// Another agent has, or proved itself by, the same key.
    SharedKey {
        /// The key.
        key: String,
        /// The other agents.
        with: Vec<String>,
    },
}

impl Fault {
    /// The fault in one line.
    pub fn text(&self) -> String {
        match self {
            Self::NoOwner { owner, state: None } => format!("no owner: {owner} is not registered"),
            Self::NoOwner {
                owner,
                state: Some(state),
            } => format!("no owner: {owner} is {state}"),
            Self::Overdue { valid_until } => format!("overdue since {valid_until}"),
            Self::NeverUsed => "never used".to_owned(),
            Self::SharedKey { with, .. } => format!("one key with {}", with.join(", ")),
        }
    }
}

/// One agent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Row {
    /// Its name.
    pub agent: String,
    /// Who answers for it.
    pub owner: String,
    /// How to reach that; `None` if the owner is not registered.
    pub owner_contact: Option<String>,
    /// What it is for.
    pub purpose: String,
    /// How far it is trusted.
    pub stage: Option<String>,
    /// Its state; `None` if neither registry nor log says.
    pub state: Option<String>,
    /// How it proved itself in the period.
    pub attestation: Vec<String>,
    /// Its end date.
    pub valid_until: Option<Timestamp>,
    /// When it last started a task.
    pub last_task_at: Option<Timestamp>,
    /// Tasks in the period.
    pub tasks: u64,
    /// Tokens and certificates that it was issued in the period.
    pub credentials: u64,
    /// Refusals in the period.
    pub denials: u64,
    /// How often verifiers saw a scope of its used in the period; `None` is unknown.
    pub uses: Option<u64>,
    /// Credentials that it has now.
    pub live_credentials: u64,
    /// What is wrong.
    pub faults: Vec<Fault>,
}

/// The report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Inventory {
    /// What it rests on.
    pub about: About,
    /// How many agents there are.
    pub agents: u64,
    /// How many of them have a fault.
    pub faulty: u64,
    /// The agents, those with faults first.
    pub rows: Vec<Row>,
}

/// Makes the report.
pub fn inventory(facts: &Facts, registry: &Registry, about: About) -> Inventory {
    let now = facts.period().until;
    let mut live = std::collections::BTreeMap::<&str, u64>::new();
    for life in facts.lives().filter(|life| life.is_live(now)) {
        *live.entry(&life.issued.agent).or_default() += 1;
    }
    let mut rows: Vec<Row> = registry
        .agents
        .iter()
        .map(|agent| {
            let live = live.get(agent.name.as_str()).copied().unwrap_or(0);
            row(facts, registry, agent, live)
        })
        .collect();
    rows.sort_by(|a, b| (a.faults.is_empty(), &a.agent).cmp(&(b.faults.is_empty(), &b.agent)));
    Inventory {
        about,
        agents: count(rows.len()),
        faulty: count(rows.iter().filter(|row| !row.faults.is_empty()).count()),
        rows,
    }
}

fn row(facts: &Facts, registry: &Registry, agent: &Agent, live_credentials: u64) -> Row {
    let seen = facts.agent(&agent.name);
    let of = |figure: fn(&crate::facts::AgentFacts) -> u64| seen.map_or(0, figure);
    let state = state(facts, "agent", &agent.name, agent.state.as_ref());
    Row {
        agent: agent.name.clone(),
        owner: agent.owner.clone(),
        owner_contact: registry.owner(&agent.owner).map(|o| o.contact.clone()),
        purpose: agent.purpose.clone(),
        stage: agent.stage.map(|stage| stage.to_string()),
        attestation: seen.map_or_else(Vec::new, |a| a.methods.iter().cloned().collect()),
        valid_until: agent.valid_until,
        last_task_at: seen.and_then(|a| a.last_task_at),
        tasks: of(|a| a.tasks),
        credentials: of(|a| a.tokens.saturating_add(a.certificates)),
        denials: of(|a| a.denials),
        uses: uses(facts, &agent.name),
        live_credentials,
        faults: if state.as_deref() == Some("retired") {
            Vec::new()
        } else {
            faults(facts, registry, agent)
        },
        state,
    }
}

/// How often verifiers saw that its scopes were used. That they saw nothing is not said here: it is known
/// of single targets, in the report on least privilege.
fn uses(facts: &Facts, agent: &str) -> Option<u64> {
    let scopes = facts.uses().agent(agent)?.scopes.values();
    let seen = scopes
        .map(|scope| scope.own.count)
        .fold(0, u64::saturating_add);
    Some(seen).filter(|seen| *seen > 0)
}

/// The state that the registry says, or else the one that the log last had.
pub(crate) fn state(
    facts: &Facts,
    kind: &str,
    name: &str,
    said: Option<&String>,
) -> Option<String> {
    let logged = || facts.state(&format!("{kind} {name}")).map(str::to_owned);
    said.cloned().or_else(logged)
}

fn faults(facts: &Facts, registry: &Registry, agent: &Agent) -> Vec<Fault> {
    let mut faults = Vec::new();
    let owner_state = registry.owner(&agent.owner).map(|owner| {
        let known = state(facts, "owner", &owner.name, owner.state.as_ref());
        known.unwrap_or_else(|| "in a state that is not known".to_owned())
    });
    if owner_state.as_deref() != Some("active") {
        let (owner, state) = (agent.owner.clone(), owner_state);
        faults.push(Fault::NoOwner { owner, state });
    }
    // An end that is not known counts as passed: nothing may be there without one.
    let valid_until = agent.valid_until.unwrap_or(Timestamp::ZERO);
    if valid_until <= facts.period().until {
        faults.push(Fault::Overdue { valid_until });
    }
    if facts
        .agent(&agent.name)
        .is_none_or(|a| a.last_task_at.is_none())
    {
        faults.push(Fault::NeverUsed);
    }
    let proved = facts
        .shared_keys()
        .filter(|(_, agents)| agents.contains(&agent.name))
        .map(|(key, agents)| (key.to_owned(), agents.iter().cloned().collect()));
    let registered = agent.keys.iter().map(|key| {
        let holders = registry.agents.iter().filter(|a| a.keys.contains(key));
        (key.clone(), holders.map(|a| a.name.clone()).collect())
    });
    for (key, holders) in proved.chain(registered) {
        let holders: Vec<String> = holders;
        let with: Vec<_> = holders.into_iter().filter(|a| *a != agent.name).collect();
        if !with.is_empty() {
            faults.push(Fault::SharedKey { key, with });
        }
    }
    faults.sort_unstable();
    faults.dedup();
    faults
}

#[cfg(test)]
mod tests;
