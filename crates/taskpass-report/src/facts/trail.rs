//! What happened in the period, counted over all agents: kinds of entries, refusals, policies, operators,
//! drills. It is the ground that evidence stands on, and keeps numbers and words only.

use std::collections::{BTreeMap, BTreeSet};

use taskpass_core::Timestamp;

use crate::entry::{Drill, Entry};

/// How often each of these happened.
pub type Tally = BTreeMap<String, u64>;

/// What happened in the period.
#[derive(Debug, Default)]
pub struct Trail {
    /// Entries by kind and outcome, such as `credential.token allow`.
    pub kinds: Tally,
    /// Refusals by reason, those that were only counted as `counted`.
    pub refusals: Tally,
    /// Refusals by policy, by the policies that determined them.
    pub by_policy: Tally,
    /// Refusals because a policy could not be evaluated.
    pub errors: u64,
    /// What agents were allowed, by how they had proved themselves.
    pub methods: Tally,
    /// What agents were allowed by the word of others, by who vouched for them.
    pub vouched: Tally,
    /// The policy sets under which was decided.
    pub policy_sets: BTreeSet<String>,
    /// Decisions, allowed and refused, that name the policies that made them.
    pub decided: u64,
    /// Decisions that name none.
    pub undecided: u64,
    /// Tasks, by how many are above them.
    pub depths: Tally,
    /// Revocations, by what they named.
    pub revocations: Tally,
    /// Live credentials that these ended, by their own count.
    pub ended: u64,
    /// Operators that did something, with how much.
    pub operators: Tally,
    /// Changes of the registry that let somebody have or do more.
    pub widened: u64,
    /// Credentials that were issued to an agent while it was suspended or retired. None, or the broker is
    /// broken.
    pub after_end: u64,
    /// Reports of what a credential was used for; that some time is covered is none.
    pub uses: u64,
    /// Drills, the oldest first.
    pub drills: Vec<Drill>,
    /// The state of each agent, from when on, in the whole log.
    ends: BTreeMap<String, (Timestamp, String)>,
}

fn more(tally: &mut Tally, word: &str, many: u64) {
    let count = tally.entry(word.to_owned()).or_default();
    *count = count.saturating_add(many);
}

fn one(count: &mut u64) {
    *count = count.saturating_add(1);
}

impl Trail {
    pub(super) fn add(&mut self, entry: &Entry, in_period: bool) {
        self.state_of(entry);
        if !in_period {
            return;
        }
        let (kind, outcome) = (entry.kind.as_str(), entry.outcome.as_str());
        more(&mut self.kinds, &format!("{kind} {outcome}"), 1);
        if let Some(operator) = entry.actor.as_deref() {
            let operator = operator.strip_prefix("operator/");
            if let Some(name) = operator {
                more(&mut self.operators, name, 1);
            }
        }
        match outcome {
            "deny" => self.refused(entry),
            "allow" => self.allowed(entry),
            _ => {}
        }
        if let Some(revocation) = &entry.revocation {
            more(&mut self.revocations, &revocation.selector, 1);
            self.ended = self.ended.saturating_add(revocation.credentials);
        }
        if !entry.widened.is_empty() {
            one(&mut self.widened);
        }
        if kind == "use" && entry.used.is_some() {
            one(&mut self.uses);
        }
        if let ("drill", Some(drill)) = (kind, &entry.drill) {
            self.drills.push(drill.clone());
        }
    }

    /// Follows the states of agents, and what is issued against them.
    fn state_of(&mut self, entry: &Entry) {
        let agent = || entry.subject.as_deref()?.strip_prefix("agent ");
        if let ("registry", Some(agent), Some(state)) = (entry.kind.as_str(), agent(), &entry.state)
        {
            self.ends
                .insert(agent.to_owned(), (entry.at, state.clone()));
        }
    }

    fn refused(&mut self, entry: &Entry) {
        if entry.kind == "denials" {
            more(&mut self.refusals, "counted", entry.count.unwrap_or(1));
            return;
        }
        more(
            &mut self.refusals,
            entry.reason.as_deref().unwrap_or("unknown"),
            1,
        );
        if let Some(decision) = &entry.decision {
            self.decided(&decision.policies, decision.policy_set.as_ref());
            for policy in &decision.policies {
                more(&mut self.by_policy, policy, 1);
            }
            if decision.errored {
                one(&mut self.errors);
            }
        }
    }

    fn allowed(&mut self, entry: &Entry) {
        let issued = entry.kind.starts_with("credential.");
        if !issued && entry.kind != "task.start" {
            return;
        }
        match &entry.decision {
            Some(decision) => self.decided(&decision.policies, decision.policy_set.as_ref()),
            None => one(&mut self.undecided),
        }
        if let Some(attestation) = &entry.attestation {
            more(&mut self.methods, &attestation.method, 1);
            let vouched = attestation
                .issuer
                .as_ref()
                .or(attestation.spiffe_id.as_ref());
            if let Some(by) = vouched {
                more(&mut self.vouched, by, 1);
            }
        }
        if entry.kind == "task.start" {
            more(&mut self.depths, &entry.ancestors.len().to_string(), 1);
        }
        let state = entry.agent.as_ref().and_then(|agent| self.ends.get(agent));
        // The log is in order but for moments: what was issued before the change is none of this.
        let ended = state.is_some_and(|(at, state)| state != "active" && entry.at > *at);
        if issued && ended {
            one(&mut self.after_end);
        }
    }

    fn decided(&mut self, policies: &[String], set: Option<&String>) {
        if policies.is_empty() {
            one(&mut self.undecided);
        } else {
            one(&mut self.decided);
        }
        self.policy_sets.extend(set.cloned());
    }

    /// How often a kind of entry was made, with whatever outcome.
    pub fn of_kind(&self, kind: &str) -> u64 {
        let found = self.kinds.iter().filter(|(word, _)| {
            let found = word.split_once(' ').map(|(found, _)| found);
            found == Some(kind)
        });
        found.map(|(_, count)| *count).sum()
    }

    /// When each agent that is retired was.
    pub fn retired(&self) -> impl Iterator<Item = (&str, Timestamp)> {
        let retired = self
            .ends
            .iter()
            .filter(|(_, (_, state))| state == "retired");
        retired.map(|(agent, (at, _))| (agent.as_str(), *at))
    }
}
