//! What the log says of one agent.

use std::collections::{BTreeMap, BTreeSet};

use taskpass_core::Timestamp;

use crate::entry::Entry;

/// One agent.
#[derive(Debug, Default)]
pub struct AgentFacts {
    /// Its owner, as the log last had it.
    pub owner: Option<String>,
    /// The methods by which it proved itself in the period.
    pub methods: BTreeSet<String>,
    /// When it last started a task, in the whole log.
    pub last_task_at: Option<Timestamp>,
    /// Tasks that it started in the period.
    pub tasks: u64,
    /// Tokens that it was issued in the period.
    pub tokens: u64,
    /// How many of these are bound to a certificate.
    pub bound_tokens: u64,
    /// Certificates that it was issued in the period.
    pub certificates: u64,
    /// What it asked for and was refused in the period, those that were only counted too.
    pub denials: u64,
    /// What it was allowed in the period only because a target is observed.
    pub would_deny: u64,
    /// The scopes of its tokens in the period, and of those beneath its tasks.
    pub given: BTreeMap<String, Given>,
    /// What it was allowed in the period, by what was asked.
    pub asks: BTreeMap<Ask, Asks>,
}

/// How often a scope was granted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Given {
    /// To the agent itself.
    pub own: Count,
    /// To agents that it handed a part of a task on to: it must be permitted these scopes as well.
    pub below: Count,
}

/// How often, and when last.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Count {
    /// How often.
    pub count: u64,
    /// When last.
    pub last_at: Option<Timestamp>,
}

impl Count {
    fn once_more(&mut self, at: Timestamp) {
        self.more(1, at);
    }

    /// So often more, the last time at `at`.
    pub(super) fn more(&mut self, times: u64, at: Timestamp) {
        self.count = self.count.saturating_add(times);
        self.last_at = self.last_at.max(Some(at));
    }
}

/// What was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum AskKind {
    /// A task with a ceiling of scopes.
    Task,
    /// A token with scopes.
    Token,
}

/// One way of asking that was allowed: as long as all its scopes are permitted to the agent and to
/// every agent above, it will be again.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ask {
    /// For what.
    pub kind: AskKind,
    /// With which scopes, sorted.
    pub scopes: Vec<String>,
    /// The agents above.
    pub above: Vec<String>,
}

/// How often it was asked so.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Asks {
    /// How often, and when last.
    pub times: Count,
    /// The decision that was the last.
    pub last_id: String,
}

impl AgentFacts {
    /// Takes an entry that is about this agent.
    pub(super) fn add(&mut self, entry: &Entry, in_period: bool) {
        if entry.owner.is_some() {
            self.owner.clone_from(&entry.owner);
        }
        let kind = entry.kind.as_str();
        let allowed = entry.outcome == "allow";
        if kind == "task.start" && allowed {
            self.last_task_at = self.last_task_at.max(Some(entry.at));
        }
        if !in_period {
            return;
        }
        if entry.outcome == "deny" {
            let many = entry.count.filter(|_| kind == "denials").unwrap_or(1);
            self.denials = self.denials.saturating_add(many);
        }
        if !allowed {
            return;
        }
        if entry.decision.as_ref().is_some_and(|d| d.would_deny) {
            self.would_deny = self.would_deny.saturating_add(1);
        }
        match kind {
            "task.start" => {
                self.tasks = self.tasks.saturating_add(1);
                self.asked(AskKind::Task, entry);
            }
            "credential.token" => {
                self.tokens = self.tokens.saturating_add(1);
                let bound = entry
                    .credential
                    .as_ref()
                    .is_some_and(|c| c.bound_to.is_some());
                self.bound_tokens = self.bound_tokens.saturating_add(u64::from(bound));
                for scope in scopes(entry) {
                    let given = self.given.entry(scope.clone()).or_default();
                    given.own.once_more(entry.at);
                }
                self.asked(AskKind::Token, entry);
            }
            "credential.certificate" => {
                self.certificates = self.certificates.saturating_add(1);
            }
            _ => {}
        }
    }

    /// Takes an entry of the period that is about a task beneath one of this agent's.
    pub(super) fn add_below(&mut self, entry: &Entry) {
        if entry.kind == "credential.token" && entry.outcome == "allow" {
            for scope in scopes(entry) {
                let given = self.given.entry(scope.clone()).or_default();
                given.below.once_more(entry.at);
            }
        }
    }

    fn asked(&mut self, kind: AskKind, entry: &Entry) {
        let mut asked = scopes(entry).to_vec();
        asked.sort_unstable();
        let ask = Ask {
            kind,
            scopes: asked,
            above: entry.ancestors.iter().map(|a| a.agent.clone()).collect(),
        };
        let asks = self.asks.entry(ask).or_default();
        asks.times.once_more(entry.at);
        asks.last_id.clone_from(&entry.id);
    }
}

/// What was granted.
fn scopes(entry: &Entry) -> &[String] {
    entry
        .granted
        .as_ref()
        .map_or(&[], |granted| &granted.scopes)
}
