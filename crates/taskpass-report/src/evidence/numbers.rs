//! Everything that figures are made of, computed once for a report.

use taskpass_core::Timestamp;

use crate::entry::Drill;
use crate::exposure::{Exposure, exposure};
use crate::facts::{About, Facts, Life, Tally, Trail};
use crate::histogram::count;
use crate::inventory::{Fault, Inventory, inventory};
use crate::least_privilege::{LeastPrivilege, Scope, least_privilege};
use crate::registry::Registry;

/// The other reports, the trail, and what only evidence asks.
pub(super) struct Numbers<'a> {
    pub(super) trail: &'a Trail,
    pub(super) about: &'a About,
    pub(super) inventory: Inventory,
    pub(super) exposure: Exposure,
    /// `None` cannot be: nothing is named that might not be there.
    pub(super) privilege: Option<LeastPrivilege>,
    /// Tokens of the period, and how many of them are bound to a certificate.
    pub(super) tokens: u64,
    pub(super) bound_tokens: u64,
    pub(super) would_deny: u64,
    /// Credentials that were issued twice under one id, in the whole log.
    pub(super) same_ids: u64,
    pub(super) shared_keys: u64,
    /// The most targets at which one agent was granted something.
    pub(super) most_targets: u64,
    /// By how much a credential outlived the retirement of its agent, at most, in the whole log.
    pub(super) beyond_retirement: Option<u64>,
    pub(super) retired: u64,
    pub(super) registered: Tally,
}

impl<'a> Numbers<'a> {
    pub(super) fn of(facts: &'a Facts, registry: &Registry, about: &'a About) -> Self {
        let seen: Vec<_> = facts.agents().map(|(_, agent)| agent).collect();
        let sum = |of: fn(&crate::facts::AgentFacts) -> u64| seen.iter().map(|a| of(a)).sum();
        let targets = seen.iter().map(|agent| {
            let own = agent.given.iter().filter(|(_, given)| given.own.count > 0);
            let targets = own.filter_map(|(scope, _)| Some(scope.split_once('#')?.0));
            targets.collect::<std::collections::BTreeSet<_>>().len()
        });
        let mut ids: Vec<&str> = facts.lives().map(|life| &*life.issued.id).collect();
        let all = ids.len();
        ids.sort_unstable();
        ids.dedup();
        let registered = [
            ("owners", registry.owners.len()),
            ("agents", registry.agents.len()),
            ("targets", registry.targets.len()),
        ];
        Self {
            trail: facts.trail(),
            about,
            inventory: inventory(facts, registry, about.clone()),
            exposure: exposure(facts, about.clone(), |_| true),
            privilege: least_privilege(facts, registry, about.clone(), &Scope::default()).ok(),
            tokens: sum(|agent| agent.tokens),
            bound_tokens: sum(|agent| agent.bound_tokens),
            would_deny: sum(|agent| agent.would_deny),
            same_ids: count(all.saturating_sub(ids.len())),
            shared_keys: count(facts.shared_keys().count()),
            most_targets: count(targets.max().unwrap_or(0)),
            beyond_retirement: beyond_retirement(facts),
            retired: count(facts.trail().retired().count()),
            registered: registered
                .map(|(word, many)| (word.to_owned(), count(many)))
                .into(),
        }
    }

    /// How many agents have a fault.
    pub(super) fn with_fault(&self, which: fn(&Fault) -> bool) -> u64 {
        let rows = self.inventory.rows.iter();
        count(rows.filter(|row| row.faults.iter().any(which)).count())
    }

    /// The newest drill.
    pub(super) fn drill(&self) -> Option<&Drill> {
        self.trail.drills.last()
    }
}

fn beyond_retirement(facts: &Facts) -> Option<u64> {
    facts
        .trail()
        .retired()
        .filter_map(|(agent, at)| longest_after(facts, agent, at))
        .max()
}

/// By how many seconds the last of an agent's credentials outlived `at`; `None` if it had none alive then.
fn longest_after(facts: &Facts, agent: &str, at: Timestamp) -> Option<u64> {
    let lives = facts.lives().filter(|life: &Life<'_>| {
        &*life.issued.agent == agent && life.issued.issued_at <= at && at <= life.ended_at
    });
    lives
        .map(|life| {
            u64::try_from(life.ended_at.since(at).as_millis().div_ceil(1_000)).unwrap_or(u64::MAX)
        })
        .max()
}
