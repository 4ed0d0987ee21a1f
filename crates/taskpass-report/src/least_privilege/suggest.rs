//! A narrower registration, and what it would have denied.
//!
//! An agent keeps the scopes that tokens had in the period: its own, and those of agents that it
//! handed parts of tasks on to, for it is asked about these as well. By use, it keeps those that were
//! used, where everything is known of the whole period; elsewhere, again those that tokens had. Then everything that was allowed
//! in the period is put to the narrower registration. It denies tasks whose ceiling had a scope that no
//! token ever had; tokens only where the registration of today has lost their scope already.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use taskpass_core::Timestamp;

use super::{LeastPrivilege, Row};
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

/// By what the scopes that an agent keeps are chosen.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum By {
    /// What tokens had.
    #[default]
    Granted,
    /// What verifiers saw, at targets of whose use everything is known of the whole period; what tokens
    /// had at the others.
    Used,
}

/// The narrower registration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Suggestion {
    /// By what it was asked for.
    pub by: By,
    /// The targets at which use has decided.
    pub by_used: Vec<String>,
    /// Those at which grants have, although use was asked for: of their use not everything is known.
    pub by_granted: Vec<String>,
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
    suggest_by(facts, registry, report, By::Granted)
}

/// The same, by grants or by use.
pub fn suggest_by(
    facts: &Facts,
    registry: &Registry,
    report: &LeastPrivilege,
    by: By,
) -> Suggestion {
    let (by_used, by_granted) = deciding(report, by);
    let idle = |agent: &str, scope: &str| {
        report
            .rows
            .iter()
            .any(|row| row.agent == agent && row.scope == scope && is_idle(row, &by_used))
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
                // Also who loses nothing here, and has lost it already.
                let without = |agent: &str| {
                    let keeps = kept.get(agent);
                    let reported = report.agents.contains_key(agent);
                    reported && keeps.is_none_or(|s| !s.contains(scope.as_str()))
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
        says: says(count(agents.len()), &by_used, &by_granted),
        by,
        by_used,
        by_granted,
        requests: would_have_denied.iter().map(|denied| denied.times).sum(),
        agents,
        would_have_denied,
        of_requests,
    }
}

/// The targets of the report at which use decides, and those at which grants do although use was asked
/// for.
fn deciding(report: &LeastPrivilege, by: By) -> (Vec<String>, Vec<String>) {
    if by == By::Granted {
        return (Vec::new(), Vec::new());
    }
    let uris = report
        .rows
        .iter()
        .filter_map(|row| row.scope.split_once('#'));
    let uris: BTreeSet<&str> = uris.map(|(target, _)| target).collect();
    let whole = |uri: &&str| {
        let coverage = report.coverage.target(uri);
        coverage.is_some_and(|target| target.whole_period)
    };
    let (used, granted): (Vec<&str>, Vec<&str>) = uris.into_iter().partition(whole);
    let own = |uris: Vec<&str>| uris.into_iter().map(str::to_owned).collect();
    (own(used), own(granted))
}

/// Whether an agent can do without a scope, as far as that is known.
fn is_idle(row: &Row, by_used: &[String]) -> bool {
    let target = row.scope.split_once('#').map(|(target, _)| target);
    let decides = by_used.iter().any(|uri| Some(uri.as_str()) == target);
    match row.was_used().filter(|_| decides) {
        Some(used) => !used,
        None => row.granted == 0 && row.granted_below == 0,
    }
}

fn says(agents: u64, by_used: &[String], by_granted: &[String]) -> String {
    let (many, few) = (count(by_used.len()), by_granted.join(", "));
    let unknown = if few.is_empty() {
        String::new()
    } else {
        format!(
            "; by grants at {few}, for not everything is known of the use there in the whole period"
        )
    };
    match (agents, many) {
        (0, 0) => format!("nothing to remove: every scope was granted in the period{unknown}"),
        (0, _) => format!("nothing to remove: every scope was used in the period{unknown}"),
        (_, 0) => format!(
            "{agents} agents lose scopes that no token had in the period; what happens more rarely than \
             that is denied as well, and what was used is not looked at{unknown}"
        ),
        (_, _) => format!(
            "{agents} agents lose scopes that were not used in the period, by the word of the verifiers of \
             {many} targets; what happens more rarely than that is denied as well{unknown}"
        ),
    }
}
