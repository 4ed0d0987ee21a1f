//! Of what use the log says: by the word of verifiers, which counts, and of the agents, which does not.
//!
//! A use belongs to the period if the last of those that were reported together does; verifiers gather
//! for half a minute. Coverage is kept for the whole log: whoever ever reported at a target and does not
//! any more has left a gap.

use std::collections::{BTreeMap, BTreeSet};

use super::agent::Count;
use crate::entry::{Ancestor, Covered, Entry};
use crate::period::Period;

/// What the log says of use.
#[derive(Debug, Default)]
pub struct Uses {
    agents: BTreeMap<String, AgentUses>,
    coverage: BTreeMap<String, BTreeMap<String, Vec<Covered>>>,
}

/// What one agent used in the period.
#[derive(Debug, Default)]
pub struct AgentUses {
    /// By scope, as TARGET#SCOPE.
    pub scopes: BTreeMap<String, ScopeUses>,
    /// Targets where it was let through with a token, and nobody said by which scope.
    pub unnamed: BTreeSet<String>,
    /// The same of agents beneath its tasks.
    pub unnamed_below: BTreeSet<String>,
}

/// How one scope was used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ScopeUses {
    /// By the agent: what verifiers let through.
    pub own: Count,
    /// By agents beneath its tasks.
    pub below: Count,
    /// What verifiers refused to the agent.
    pub refused: Count,
    /// What the agent itself says that it used.
    pub own_word: Count,
}

impl Uses {
    /// Takes an entry, if it is about use; `above` are the tasks above its task.
    pub(super) fn add(&mut self, entry: &Entry, above: &[Ancestor], period: Period) {
        if entry.kind != "use" || entry.outcome != "done" {
            return;
        }
        let Some(target) = &entry.target else {
            return;
        };
        if let (Some(covered), Some(verifier)) = (entry.coverage, entry.verifier()) {
            let of_target = self.coverage.entry(target.clone()).or_default();
            let spans = of_target.entry(verifier.to_owned()).or_default();
            spans.push(covered);
        }
        let (Some(agent), Some(used)) = (&entry.agent, &entry.used) else {
            return;
        };
        let is_certificate = entry
            .credential
            .as_ref()
            .is_some_and(|credential| credential.kind == "certificate");
        for item in &used.items {
            // No clock but the broker's says what is in the period.
            let at = item.last_at.min(entry.at);
            if !period.has(at) {
                continue;
            }
            let allowed = item.outcome == "allowed";
            let verified = used.by == "verifier";
            let Some(scope) = &item.scope else {
                // A certificate carries no scope that could have been used.
                if verified && allowed && !is_certificate {
                    self.unnamed(agent, above, target);
                }
                continue;
            };
            let scope = format!("{target}#{scope}");
            let own = self.scope(agent, &scope);
            match (verified, allowed) {
                (true, true) => own.own.more(item.count, at),
                (true, false) => own.refused.more(item.count, at),
                (false, true) => own.own_word.more(item.count, at),
                (false, false) => {}
            }
            if verified && allowed {
                for agent in distinct(above) {
                    self.scope(agent, &scope).below.more(item.count, at);
                }
            }
        }
    }

    fn scope(&mut self, agent: &str, scope: &str) -> &mut ScopeUses {
        let agent = self.agents.entry(agent.to_owned()).or_default();
        agent.scopes.entry(scope.to_owned()).or_default()
    }

    fn unnamed(&mut self, agent: &str, above: &[Ancestor], target: &str) {
        let own = self.agents.entry(agent.to_owned()).or_default();
        own.unnamed.insert(target.to_owned());
        for agent in distinct(above) {
            let above = self.agents.entry(agent.to_owned()).or_default();
            above.unnamed_below.insert(target.to_owned());
        }
    }

    /// What an agent used; `None` if nothing is reported of it.
    pub fn agent(&self, name: &str) -> Option<&AgentUses> {
        self.agents.get(name)
    }

    /// The agents of which anything is reported.
    pub fn agents(&self) -> impl Iterator<Item = &str> {
        self.agents.keys().map(String::as_str)
    }

    /// The verifiers that ever reported at a target, and of which time each did, in the log's order.
    pub fn reporters(&self, target: &str) -> impl Iterator<Item = (&str, &[Covered])> {
        let verifiers = self.coverage.get(target).into_iter().flatten();
        verifiers.map(|(name, spans)| (name.as_str(), spans.as_slice()))
    }
}

/// The agents above, each once: one that handed work on to itself in between is asked once.
fn distinct(above: &[Ancestor]) -> BTreeSet<&str> {
    above.iter().map(|above| above.agent.as_str()).collect()
}
