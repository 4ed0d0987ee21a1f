//! What the log says, gathered while its entries go by.
//!
//! One pass, in the order of the log. What counts *how much* counts the period; what says *what is
//! true now* (states, live credentials, ended tasks) is read from the whole log, for a credential
//! that was issued before the period can be alive in it. One small record is kept for each credential
//! and each task of the log, and nothing of what entries say beyond the fields that reports have.

mod agent;
mod lives;
mod rises;
mod rules;
mod tasks;
mod trail;
mod uses;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::Serialize;
use taskpass_core::Timestamp;
use taskpass_core::secret::Sha256;

use crate::entry::Entry;
use crate::period::Period;
use rules::Rules;
use tasks::Tasks;

pub use agent::{AgentFacts, Ask, AskKind, Asks, Count, Given};
pub use lives::{Issued, Life};
pub use rises::{Drilled, Rise};
pub use trail::{Tally, Trail};
pub use uses::{AgentUses, ScopeUses, Uses};

/// Which keys a log was verified by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum KeysFrom {
    /// Keys that the reader brought.
    Given,
    /// Those that came with the copy: it fits together, but vouches for itself.
    Copy,
}

/// A state of a log: what its checkpoint says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LogHead {
    /// Its origin.
    pub origin: String,
    /// How many entries it has.
    pub size: u64,
    /// The root over these, in hex.
    pub root: Sha256,
}

/// What a report rests on: it stands at the head of each.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct About {
    /// When the report was made.
    pub generated_at: Timestamp,
    /// The first instant of the period; `None` is the log's beginning.
    pub since: Option<Timestamp>,
    /// How many entries the log has.
    pub log_entries: u64,
    /// The first of them.
    pub log_first_at: Option<Timestamp>,
    /// The last of them.
    pub log_last_at: Option<Timestamp>,
    /// By which keys it was verified.
    pub log_keys_from: KeysFrom,
    /// The state of the newest log, by which another can be compared with it; `None` if it was not said.
    pub log_head: Option<LogHead>,
    /// The version of the registry; a file has none.
    pub registry_version: Option<u64>,
}

/// What the log says.
#[derive(Debug)]
pub struct Facts {
    period: Period,
    entries: u64,
    first_at: Option<Timestamp>,
    last_at: Option<Timestamp>,
    agents: BTreeMap<String, AgentFacts>,
    issued: Vec<Issued>,
    tasks: Tasks,
    rules: Rules,
    keys: BTreeMap<String, BTreeSet<String>>,
    states: BTreeMap<String, String>,
    head: Option<LogHead>,
    rises: BTreeMap<String, Rise>,
    drill: Option<Drilled>,
    trail: Trail,
    uses: Uses,
    words: BTreeSet<Arc<str>>,
}

impl Facts {
    /// Nothing yet, of a period.
    pub fn new(period: Period) -> Self {
        Self {
            period,
            entries: 0,
            first_at: None,
            last_at: None,
            agents: BTreeMap::new(),
            issued: Vec::new(),
            tasks: Tasks::default(),
            rules: Rules::default(),
            keys: BTreeMap::new(),
            states: BTreeMap::new(),
            head: None,
            rises: BTreeMap::new(),
            drill: None,
            trail: Trail::default(),
            uses: Uses::default(),
            words: BTreeSet::new(),
        }
    }

    /// Takes the next entry of the log.
    pub fn add(&mut self, entry: &Entry) {
        self.entries = self.entries.saturating_add(1);
        self.first_at.get_or_insert(entry.at);
        self.last_at = Some(entry.at);
        self.key_of(entry);
        self.tasks.add(entry);
        if let (Some(revocation), "done") = (&entry.revocation, entry.outcome.as_str()) {
            self.rules.add(revocation, entry.at);
        }
        if let ("registry", Some(subject), Some(state)) =
            (entry.kind.as_str(), &entry.subject, &entry.state)
        {
            self.states.insert(subject.clone(), state.clone());
        }
        if let (Some(rise), Some(agent)) = (Rise::of(entry), &entry.agent) {
            self.rises.insert(agent.clone(), rise);
        }
        self.drill = Drilled::of(entry).or_else(|| self.drill.take());
        self.trail.add(entry, self.period.has(entry.at));
        if let Some(issued) = Issued::of(entry, |text| interned(&mut self.words, text)) {
            self.issued.push(issued);
        }
        let task = entry.task.as_deref();
        let above = task.map_or(&[][..], |task| self.tasks.above(task));
        self.uses.add(entry, above, self.period);
        self.agent_of(entry);
    }

    /// Remembers which agents used one key to prove who they are.
    fn key_of(&mut self, entry: &Entry) {
        let enrolled = entry.identity.as_ref().and_then(|identity| {
            let agent = entry.subject.as_deref()?.strip_prefix("agent/");
            Some((identity.key.as_str(), agent.or(entry.agent.as_deref())?))
        });
        // The other methods name the key of whoever vouches for many agents.
        let called = entry.attestation.as_ref().and_then(|attestation| {
            let own = matches!(
                attestation.method.as_str(),
                "mtls" | "private_key_jwt" | "foreign_svid"
            );
            let key = attestation.key.as_deref().filter(|_| own)?;
            Some((key, entry.caller()?))
        });
        for (key, agent) in enrolled.into_iter().chain(called) {
            let users = self.keys.entry(key.to_owned()).or_default();
            users.insert(agent.to_owned());
        }
    }

    fn agent_of(&mut self, entry: &Entry) {
        let in_period = self.period.has(entry.at);
        // A use is of its agent as it was when the credential was issued, and says nothing newer of it.
        if let Some(agent) = entry.agent.as_ref().filter(|_| entry.kind != "use") {
            let facts = self.agents.entry(agent.clone()).or_default();
            facts.add(entry, in_period);
        }
        // How the *caller* proved itself: with a task that was handed on, that is another agent.
        if let (Some(caller), Some(attestation), true) =
            (entry.caller(), &entry.attestation, in_period)
        {
            let facts = self.agents.entry(caller.to_owned()).or_default();
            facts.methods.insert(attestation.method.clone());
        }
        if in_period {
            for above in &entry.ancestors {
                let facts = self.agents.entry(above.agent.clone()).or_default();
                facts.add_below(entry);
            }
        }
    }

    /// Says of which state of the newest log these are the facts.
    pub fn of_head(&mut self, head: LogHead) {
        self.head = Some(head);
    }

    /// What a report rests on.
    pub fn about(&self, keys_from: KeysFrom, registry_version: Option<u64>) -> About {
        About {
            generated_at: self.period.until,
            since: self.period.since,
            log_entries: self.entries,
            log_first_at: self.first_at,
            log_last_at: self.last_at,
            log_keys_from: keys_from,
            log_head: self.head.clone(),
            registry_version,
        }
    }

    /// The period.
    pub const fn period(&self) -> Period {
        self.period
    }

    /// The first instant that the period and the log have both; `None` of an empty log.
    pub fn seen_since(&self) -> Option<Timestamp> {
        let first = self.first_at?;
        Some(self.period.since.map_or(first, |since| since.max(first)))
    }

    /// What the log says of an agent; `None` if it never names it.
    pub fn agent(&self, name: &str) -> Option<&AgentFacts> {
        self.agents.get(name)
    }

    /// All agents that it names.
    pub fn agents(&self) -> impl Iterator<Item = (&str, &AgentFacts)> {
        self.agents
            .iter()
            .map(|(name, facts)| (name.as_str(), facts))
    }

    /// What it says of use.
    pub const fn uses(&self) -> &Uses {
        &self.uses
    }

    /// The state that a registry entry, such as `agent invoice-bot`, was last changed to.
    pub fn state(&self, subject: &str) -> Option<&str> {
        self.states.get(subject).map(String::as_str)
    }

    /// How an agent's stage last rose, in the whole log; `None` if it never did.
    pub fn rise(&self, agent: &str) -> Option<&Rise> {
        self.rises.get(agent)
    }

    /// The last drill of the kill switch, in the whole log.
    pub const fn last_drill(&self) -> Option<&Drilled> {
        self.drill.as_ref()
    }

    /// What happened in the period, over all agents.
    pub const fn trail(&self) -> &Trail {
        &self.trail
    }

    /// The keys by which more than one agent proved itself, with these agents.
    pub fn shared_keys(&self) -> impl Iterator<Item = (&str, &BTreeSet<String>)> {
        let shared = self.keys.iter().filter(|(_, agents)| agents.len() > 1);
        shared.map(|(key, agents)| (key.as_str(), agents))
    }

    /// The credentials of the whole log, each with how it ended.
    pub fn lives(&self) -> impl Iterator<Item = Life<'_>> {
        self.issued.iter().map(|issued| self.life(issued))
    }

    fn life<'a>(&'a self, issued: &'a Issued) -> Life<'a> {
        let above = self.tasks.above(&issued.task);
        let owner = |agent: &str| self.agents.get(agent).and_then(|a| a.owner.as_deref());
        let revoked_at = self.rules.end_of(issued, above, owner);
        let began = self.tasks.began(&issued.task).unwrap_or(issued.issued_at);
        let ruled = self.rules.end_of_task(issued, above, owner, began);
        let task_ended_at = [ruled, self.tasks.end(&issued.task)]
            .into_iter()
            .flatten()
            .min();
        let revoked_at = revoked_at.filter(|at| *at < issued.expires_at);
        Life {
            issued,
            ended_at: revoked_at.unwrap_or(issued.expires_at),
            revoked_at,
            task_ended_at,
        }
    }
}

/// The one copy of a text that comes again and again.
fn interned(words: &mut BTreeSet<Arc<str>>, text: &str) -> Arc<str> {
    if let Some(known) = words.get(text) {
        return Arc::clone(known);
    }
    let new: Arc<str> = Arc::from(text);
    words.insert(Arc::clone(&new));
    new
}

#[cfg(test)]
mod tests;
