//! A narrower registration, and what it would have denied.
//!
//! An agent keeps the scopes that tokens had in the period: its own, and those of agents that it
//! handed parts of tasks on to, for it is asked about these as well. Then everything that was allowed
//! in the period is put to the narrower registration. It denies tasks whose ceiling had a scope that no
//! token ever had; tokens only where the registration of today has lost their scope already.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use taskpass_core::Timestamp;

use super::LeastPrivilege;
use crate::facts::{AskKind, Facts};
use crate::histogram::count;
use crate::registry::Registry;

/// What one agent would keep.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Narrower {
    /// The agent.
    pub agent: String,
    /// The scopes that it keeps.
    pub keep: Vec<String>,
    /// The scopes that it loses.
    pub remove: Vec<String>,
}

/// A way of asking that was allowed, and would not be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Denied {
    /// The agent that asked.
    pub agent: String,
    /// `task.start` or `credential.token`.
    pub kind: &'static str,
    /// The scopes that it asked for.
    pub scopes: Vec<String>,
    /// Those that it, or an agent above it, would no longer have.
    pub missing: Vec<String>,
    /// How often it asked so in the period.
    pub times: u64,
    /// When last.
    pub last_at: Option<Timestamp>,
    /// The decision that was the last.
    pub last_decision: String,
}

/// The narrower registration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Suggestion {
    /// The agents that it changes.
    pub agents: Vec<Narrower>,
    /// What it would have denied in the period.
    pub would_have_denied: Vec<Denied>,
    /// How many requests these are.
    pub requests: u64,
    /// Of how many that were allowed.
    pub of_requests: u64,
    /// What to think of before applying it.
    pub says: String,
}

/// Makes the suggestion for the agents of a report.
///
/// A report on one target keeps all scopes elsewhere.
pub fn suggest(facts: &Facts, registry: &Registry, report: &LeastPrivilege) -> Suggestion {
    let idle = |agent: &str, scope: &str| {
        report.rows.iter().any(|row| {
            let unused = row.granted == 0 && row.granted_below == 0;
            row.agent == agent && row.scope == scope && unused
        })
    };
    let mut agents = Vec::new();
    let mut kept: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for agent in &registry.agents {
        let (remove, keep): (Vec<&String>, Vec<&String>) = agent
            .scopes
            .iter()
            .partition(|scope| idle(&agent.name, scope));
        kept.insert(&agent.name, keep.iter().map(|s| s.as_str()).collect());
        if !remove.is_empty() && report.agents.contains_key(&agent.name) {
            agents.push(Narrower {
                agent: agent.name.clone(),
                keep: keep.into_iter().cloned().collect(),
                remove: remove.into_iter().cloned().collect(),
            });
        }
    }
    let narrowed: BTreeSet<&str> = agents.iter().map(|a| a.agent.as_str()).collect();
    let mut would_have_denied = Vec::new();
    let mut of_requests = 0_u64;
    for (agent, seen) in facts.agents() {
        for (ask, asks) in &seen.asks {
            let chain = || std::iter::once(agent).chain(ask.above.iter().map(String::as_str));
            if !chain().any(|agent| report.agents.contains_key(agent)) {
                continue;
            }
            of_requests = of_requests.saturating_add(asks.times.count);
            let lost = |scope: &&String| {
                let without = |agent: &str| {
                    let keeps = kept.get(agent);
                    narrowed.contains(agent) && keeps.is_none_or(|s| !s.contains(scope.as_str()))
                };
                chain().any(without)
            };
            let missing: Vec<String> = ask.scopes.iter().filter(lost).cloned().collect();
            if !missing.is_empty() {
                would_have_denied.push(Denied {
                    agent: agent.to_owned(),
                    kind: match ask.kind {
                        AskKind::Task => "task.start",
                        AskKind::Token => "credential.token",
                    },
                    scopes: ask.scopes.clone(),
                    missing,
                    times: asks.times.count,
                    last_at: asks.times.last_at,
                    last_decision: asks.last_id.clone(),
                });
            }
        }
    }
    Suggestion {
        says: says(count(agents.len())),
        requests: would_have_denied.iter().map(|denied| denied.times).sum(),
        agents,
        would_have_denied,
        of_requests,
    }
}

fn says(agents: u64) -> String {
    if agents == 0 {
        return "nothing to remove: every scope was granted in the period".to_owned();
    }
    format!(
        "{agents} agents lose scopes that no token had in the period; what happens more rarely than \
         that is denied as well, and use is not known"
    )
}
