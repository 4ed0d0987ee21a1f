//! What each agent may have, beside what it was granted and what is known of its use.
//!
//! *Permitted* is what the policies say, where they were asked: at targets that are active, for agents
//! that are. Where they were not, it is what registration and stage let the agent have, which a policy
//! can narrow; the report says which of the two it is. *Granted* is from the log. *Used* is known only of
//! targets whose verifiers report use; where none does, it is unknown, never zero.

mod coverage;
mod permits;
mod suggest;
mod used;

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use taskpass_core::Timestamp;

use crate::facts::{About, AgentFacts, Count, Facts};
use crate::histogram::count;
use crate::inventory::state;
use crate::registry::{Agent, Registry};

pub use coverage::{Coverage, Gap, TargetCoverage, VerifierCoverage};
pub use permits::{Answer, Permits, PermittedBy};
pub use suggest::{By, Denied, Narrower, Suggestion, suggest, suggest_by};

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
    pub blocked_by: Option<String>,
    /// The policies that determine it; empty where they were not asked.
    pub policies: Vec<String>,
    /// Whether it may only because its target is observed: no policy permits it.
    pub would_deny: bool,
    /// How many of its tokens in the period had it.
    pub granted: u64,
    /// How many tokens of agents beneath its tasks had it.
    pub granted_below: u64,
    /// When last.
    pub last_granted_at: Option<Timestamp>,
    /// For how long it was not granted, in seconds: since the last time, or since the beginning of
    /// what was looked at.
    pub not_granted_for_s: Option<u64>,
    /// How often verifiers reported its use by the agent; `None` is unknown.
    pub used: Option<u64>,
    /// How often by agents beneath its tasks; `None` is unknown.
    pub used_below: Option<u64>,
    /// Since when everything is known of its use; `None` if that is of no time until now.
    pub use_known_since: Option<Timestamp>,
    /// When it was last used in the period, by either.
    pub last_used_at: Option<Timestamp>,
    /// For how long it was not used, in seconds, as far as everything is known: since the last time, or
    /// since that began.
    pub not_used_for_s: Option<u64>,
    /// How often verifiers refused it to the agent, in the period.
    pub refused: u64,
    /// How often the agent itself says that it used it. Proves nothing, and is in no other figure.
    pub own_word: u64,
}

/// One agent in numbers.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Ratio {
    /// Scopes that it may have.
    pub permitted: u64,
    /// How many of these it, or an agent beneath its tasks, was granted in the period.
    pub granted: u64,
    /// Of how many of these it is known whether it, or an agent beneath its tasks, used them.
    pub use_known: u64,
    /// How many of these were.
    pub used: u64,
}

/// The report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LeastPrivilege {
    /// What it rests on.
    pub about: About,
    /// What said what is permitted.
    pub permitted_by: PermittedBy,
    /// SHA-256 of the policy set that was asked, in hex.
    pub policy_set: Option<String>,
    /// The same in words.
    pub permitted_says: String,
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
        agents.insert(name.to_owned(), Ratio::default());
        rows.extend(of_agent);
    }
    let coverage = Coverage::of(facts, registry, &rows);
    used::fill(facts, &coverage, &mut rows);
    for of_agent in rows.chunk_by(|a, b| a.agent == b.agent) {
        if let [row, ..] = of_agent {
            agents.insert(row.agent.clone(), ratio(of_agent));
        }
    }
    let (permitted_by, policy_set, permitted_says) = permits::source(registry);
    Ok(LeastPrivilege {
        about,
        permitted_by,
        policy_set,
        permitted_says,
        total: ratio(&rows),
        agents,
        coverage,
        rows,
        suggestion: None,
    })
}

/// Registered agents, and those that are only in the log.
fn names<'a>(facts: &'a Facts, registry: &'a Registry) -> BTreeSet<&'a str> {
    let registered = registry.agents.iter().map(|agent| agent.name.as_str());
    let granted = facts.agents().filter(|(_, facts)| !facts.given.is_empty());
    let granted = granted.map(|(name, _)| name);
    registered
        .chain(granted)
        .chain(facts.uses().agents())
        .collect()
}

fn rows_of(
    facts: &Facts,
    registry: &Registry,
    name: &str,
    registered: Option<&Agent>,
    seen: &AgentFacts,
) -> Vec<Row> {
    let scopes = registered.map_or(&[][..], |agent| &agent.scopes);
    let asked = registry.permits.as_ref();
    let by_policy = asked.into_iter().flat_map(|asked| asked.permitted(name));
    let all: BTreeSet<&String> = scopes
        .iter()
        .chain(seen.given.keys())
        .chain(by_policy)
        .chain(
            facts
                .uses()
                .agent(name)
                .iter()
                .flat_map(|uses| uses.scopes.keys()),
        )
        .collect();
    all.into_iter()
        .map(|scope| {
            let given = seen.given.get(scope).copied().unwrap_or_default();
            let blocked_by = blocked(facts, registry, registered, scope);
            let last_granted_at = given.own.last_at.max(given.below.last_at);
            let since = last_granted_at.or_else(|| facts.seen_since());
            let answer = asked.and_then(|asked| asked.answer(name, scope));
            let would_deny = answer.is_some_and(|answer| answer.would_deny);
            Row {
                agent: name.to_owned(),
                owner: None,
                access: access(registry, scope).map(str::to_owned),
                scope: scope.clone(),
                permitted: blocked_by.is_none(),
                policies: answer.map_or_else(Vec::new, |answer| answer.policies.clone()),
                would_deny: would_deny && blocked_by.is_none(),
                blocked_by,
                granted: times(given.own),
                granted_below: times(given.below),
                last_granted_at,
                not_granted_for_s: since.map(|at| facts.period().until.since(at).as_secs()),
                used: None,
                used_below: None,
                use_known_since: None,
                last_used_at: None,
                not_used_for_s: None,
                refused: 0,
                own_word: 0,
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
) -> Option<String> {
    if let Some(beneath) = beneath_policy(facts, registry, agent, scope) {
        return Some(beneath.to_owned());
    }
    match (&registry.permits, agent) {
        (Some(asked), Some(agent)) => asked.blocked(&agent.name, scope),
        _ => None,
    }
}

/// The same, as far as no policy is needed to know it; where none was asked, all that is known.
fn beneath_policy(
    facts: &Facts,
    registry: &Registry,
    agent: Option<&Agent>,
    scope: &str,
) -> Option<&'static str> {
    let Some(agent) = agent else {
        return Some("the agent is not registered");
    };
    // What an agent is registered and trusted for is a rule of the policies, where these are known.
    let asked = registry.permits.is_some();
    let is = |kind, name: &str, said: Option<&String>, word: &str| {
        state(facts, kind, name, said).is_some_and(|state| state == word)
    };
    if !asked && !agent.scopes.iter().any(|own| own == scope) {
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
    (!asked && !admitted).then_some("its stage does not admit it")
}

fn ratio(rows: &[Row]) -> Ratio {
    let permitted = rows.iter().filter(|row| row.permitted);
    let granted = permitted
        .clone()
        .filter(|row| row.granted > 0 || row.granted_below > 0);
    let used = permitted.clone().filter(|row| row.was_used() == Some(true));
    let use_known = permitted.clone().filter(|row| row.was_used().is_some());
    Ratio {
        granted: count(granted.count()),
        use_known: count(use_known.count()),
        used: count(used.count()),
        permitted: count(permitted.count()),
    }
}

impl Row {
    /// Whether the agent, or one beneath its tasks, used it; `None` is unknown.
    pub fn was_used(&self) -> Option<bool> {
        match (self.used, self.used_below) {
            (Some(1..), _) | (_, Some(1..)) => Some(true),
            (Some(0), Some(0)) => Some(false),
            (None, _) | (_, None) => None,
        }
    }
}

#[cfg(test)]
mod tests;
