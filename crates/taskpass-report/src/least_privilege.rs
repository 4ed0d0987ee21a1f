//! What each agent may have, beside what it was granted and what is known of its use.
//!
//! *Permitted* is what registration and stage let the agent have: its scopes, at targets that are
//! active, with an access that its stage admits. A policy can forbid more than that; it cannot permit
//! more. *Granted* is from the log. *Used* is known only of targets whose verifiers report use; where
//! none does, it is unknown, never zero.

mod suggest;

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use taskpass_core::Timestamp;

use crate::facts::{About, AgentFacts, Count, Facts};
use crate::histogram::count;
use crate::inventory::state;
use crate::registry::{Agent, Registry};

pub use suggest::{Denied, Narrower, Suggestion, suggest};

/// Which agents and scopes a report is about.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Scope {
    /// Only this agent.
    pub agent: Option<String>,
    /// Only this owner's agents.
    pub owner: Option<String>,
    /// Only scopes at this target.
    pub target: Option<String>,
}

/// What was named is not there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UnknownName {
    /// No such agent.
    #[error("agent {0} is neither registered nor in the log")]
    Agent(String),
    /// No such owner.
    #[error("owner {0} is not registered")]
    Owner(String),
    /// No such target.
    #[error("target {0} is not registered")]
    Target(String),
}

impl Scope {
    /// Checks that what is named exists: a report on a name that nobody has would say that all is well.
    pub fn check(&self, facts: &Facts, registry: &Registry) -> Result<(), UnknownName> {
        match self {
            Self {
                agent: Some(name), ..
            } if registry.agent(name).is_none() && facts.agent(name).is_none() => {
                Err(UnknownName::Agent(name.clone()))
            }
            Self {
                owner: Some(name), ..
            } if registry.owner(name).is_none() => Err(UnknownName::Owner(name.clone())),
            Self {
                target: Some(uri), ..
            } if registry.target(uri).is_none() => Err(UnknownName::Target(uri.clone())),
            _ => Ok(()),
        }
    }

    /// Whether an agent is meant.
    pub fn has(&self, agent: &str, owner: Option<&str>) -> bool {
        self.agent.as_deref().is_none_or(|name| name == agent)
            && self.owner.as_deref().is_none_or(|name| Some(name) == owner)
    }

    fn has_scope(&self, scope: &str) -> bool {
        let target = scope.split_once('#').map(|(target, _)| target);
        self.target.is_none() || self.target.as_deref() == target
    }
}

/// One scope of one agent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Row {
    /// The agent.
    pub agent: String,
    /// Its owner.
    pub owner: Option<String>,
    /// The scope, as TARGET#SCOPE.
    pub scope: String,
    /// What the scope does; `None` if the target does not have it.
    pub access: Option<String>,
    /// Whether the agent may have it now.
    pub permitted: bool,
    /// Why not, if it may not.
    pub blocked_by: Option<&'static str>,
    /// How many of its tokens in the period had it.
    pub granted: u64,
    /// How many tokens of agents beneath its tasks had it.
    pub granted_below: u64,
    /// When last.
    pub last_granted_at: Option<Timestamp>,
    /// For how long it was not granted, in seconds: since the last time, or since the beginning of
    /// what was looked at.
    pub not_granted_for_s: Option<u64>,
    /// How often verifiers reported its use; `None` is unknown.
    pub used: Option<u64>,
}

/// What is known of use, and of which targets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Coverage {
    /// Targets whose verifiers report use.
    pub reporting: Vec<String>,
    /// Targets in the report of whose use nothing can be known.
    pub silent: Vec<String>,
    /// The same in words.
    pub says: String,
}

/// One agent in numbers.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Ratio {
    /// Scopes that it may have.
    pub permitted: u64,
    /// How many of these it, or an agent beneath its tasks, was granted in the period.
    pub granted: u64,
}

/// The report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LeastPrivilege {
    /// What it rests on.
    pub about: About,
    /// Permitted scopes of all agents in the report, and granted ones.
    pub total: Ratio,
    /// The same of each agent.
    pub agents: BTreeMap<String, Ratio>,
    /// What is known of use.
    pub coverage: Coverage,
    /// Each scope of each agent.
    pub rows: Vec<Row>,
    /// The narrower registration, if it was asked for.
    pub suggestion: Option<Suggestion>,
}

/// Makes the report.
pub fn least_privilege(
    facts: &Facts,
    registry: &Registry,
    about: About,
    scope: &Scope,
) -> Result<LeastPrivilege, UnknownName> {
    scope.check(facts, registry)?;
    let nobody = AgentFacts::default();
    let mut rows = Vec::new();
    let mut agents = BTreeMap::new();
    for name in names(facts, registry) {
        let seen = facts.agent(name).unwrap_or(&nobody);
        let registered = registry.agent(name);
        let owner = registered.map_or(seen.owner.as_deref(), |agent| Some(agent.owner.as_str()));
        if !scope.has(name, owner) {
            continue;
        }
        let of_agent = rows_of(facts, registry, name, registered, seen);
        let of_agent: Vec<Row> = of_agent
            .into_iter()
            .filter(|row| scope.has_scope(&row.scope))
            .map(|row| Row {
                owner: owner.map(str::to_owned),
                ..row
            })
            .collect();
        agents.insert(name.to_owned(), ratio(&of_agent));
        rows.extend(of_agent);
    }
    Ok(LeastPrivilege {
        about,
        total: ratio(&rows),
        agents,
        coverage: coverage(&rows),
        rows,
        suggestion: None,
    })
}

/// Registered agents, and those that are only in the log.
fn names<'a>(facts: &'a Facts, registry: &'a Registry) -> BTreeSet<&'a str> {
    let registered = registry.agents.iter().map(|agent| agent.name.as_str());
    let granted = facts.agents().filter(|(_, facts)| !facts.given.is_empty());
    registered.chain(granted.map(|(name, _)| name)).collect()
}

fn rows_of(
    facts: &Facts,
    registry: &Registry,
    name: &str,
    registered: Option<&Agent>,
    seen: &AgentFacts,
) -> Vec<Row> {
    let scopes = registered.map_or(&[][..], |agent| &agent.scopes);
    let all: BTreeSet<&String> = scopes.iter().chain(seen.given.keys()).collect();
    all.into_iter()
        .map(|scope| {
            let given = seen.given.get(scope).copied().unwrap_or_default();
            let blocked_by = blocked(facts, registry, registered, scope);
            let last_granted_at = given.own.last_at.max(given.below.last_at);
            let since = last_granted_at.or_else(|| facts.seen_since());
            Row {
                agent: name.to_owned(),
                owner: None,
                access: access(registry, scope).map(str::to_owned),
                scope: scope.clone(),
                permitted: blocked_by.is_none(),
                blocked_by,
                granted: times(given.own),
                granted_below: times(given.below),
                last_granted_at,
                not_granted_for_s: since.map(|at| facts.period().until.since(at).as_secs()),
                used: None,
            }
        })
        .collect()
}

const fn times(count: Count) -> u64 {
    count.count
}

fn access(registry: &Registry, scope: &str) -> Option<&'static str> {
    let (target, name) = scope.split_once('#')?;
    let access = registry.target(target)?.scopes.get(name)?;
    access.map(taskpass_core::access::Access::as_str)
}

/// Why an agent may not have a scope; `None` if it may.
fn blocked(
    facts: &Facts,
    registry: &Registry,
    agent: Option<&Agent>,
    scope: &str,
) -> Option<&'static str> {
    let Some(agent) = agent else {
        return Some("the agent is not registered");
    };
    let is = |kind, name: &str, said: Option<&String>, word: &str| {
        state(facts, kind, name, said).is_some_and(|state| state == word)
    };
    if !agent.scopes.iter().any(|own| own == scope) {
        return Some("not in its registration");
    }
    if !is("agent", &agent.name, agent.state.as_ref(), "active") {
        return Some("the agent is not active");
    }
    let owner = registry.owner(&agent.owner);
    if !owner.is_some_and(|owner| is("owner", &owner.name, owner.state.as_ref(), "active")) {
        return Some("its owner is not active");
    }
    if agent
        .valid_until
        .is_none_or(|until| until <= facts.period().until)
    {
        return Some("its end date has passed");
    }
    let Some((uri, name)) = scope.split_once('#') else {
        return Some("no scope");
    };
    let Some(target) = registry.target(uri) else {
        return Some("the target is not registered");
    };
    if !is("target", uri, target.state.as_ref(), "active") {
        return Some("the target is not active");
    }
    let Some(access) = target.scopes.get(name).copied().flatten() else {
        return Some("the target does not have it");
    };
    let admitted = agent.stage.is_some_and(|stage| stage.admits(access));
    (!admitted).then_some("its stage does not admit it")
}

fn ratio(rows: &[Row]) -> Ratio {
    let permitted = rows.iter().filter(|row| row.permitted);
    let granted = permitted
        .clone()
        .filter(|row| row.granted > 0 || row.granted_below > 0);
    Ratio {
        permitted: count(permitted.count()),
        granted: count(granted.count()),
    }
}

fn coverage(rows: &[Row]) -> Coverage {
    let targets = rows.iter().filter_map(|row| row.scope.split_once('#'));
    let silent: BTreeSet<&str> = targets.map(|(target, _)| target).collect();
    Coverage {
        reporting: Vec::new(),
        silent: silent.into_iter().map(str::to_owned).collect(),
        says:
            "no verifier reports use: what was granted is known, and whether it was used cannot be \
               known from this log"
                .to_owned(),
    }
}

#[cfg(test)]
mod tests;
