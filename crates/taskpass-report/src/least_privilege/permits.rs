//! What the policies say: the answers of the engine that decides, worked out by whoever has it.
//!
//! A report evaluates nothing itself. Where it was handed answers, what is permitted is what they say;
//! where not, it is what registration and stage let an agent have, and the report says so. A pair that no
//! answer is about is not permitted.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::registry::Registry;

/// The refusal that policies determine; every other one is of something beneath them.
const DENIED: &str = "POLICY_DENIED";

/// What said which scopes are permitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PermittedBy {
    /// The policies, each agent and scope asked about.
    Policy,
    /// Registration, stage and states alone: a policy can forbid more.
    Registration,
}

/// What the policies say to one agent's wish for one scope.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Answer {
    /// The reason that the agent would be refused for; none if it can have the scope.
    pub refused: Option<String>,
    /// The policies that determine it.
    pub policies: Vec<String>,
    /// Whether it can only because its target is observed: no policy permits it.
    pub would_deny: bool,
}

/// The answers of one set of policies, by agent and scope.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Permits {
    /// SHA-256 of the set, in hex.
    pub policy_set: String,
    answers: BTreeMap<String, BTreeMap<String, Answer>>,
}

impl Permits {
    /// No answer yet, of a set.
    pub fn new(policy_set: impl Into<String>) -> Self {
        Self {
            policy_set: policy_set.into(),
            answers: BTreeMap::new(),
        }
    }

    /// Takes an answer.
    pub fn add(&mut self, agent: &str, scope: &str, answer: Answer) {
        let of_agent = self.answers.entry(agent.to_owned()).or_default();
        of_agent.insert(scope.to_owned(), answer);
    }

    /// What is said of one pair.
    pub fn answer(&self, agent: &str, scope: &str) -> Option<&Answer> {
        self.answers.get(agent)?.get(scope)
    }

    /// The scopes that an agent can have, registered for it or not.
    pub(super) fn permitted<'a>(&'a self, agent: &str) -> impl Iterator<Item = &'a String> {
        let of_agent = self.answers.get(agent).into_iter().flatten();
        of_agent.filter_map(|(scope, answer)| answer.refused.is_none().then_some(scope))
    }

    /// Why an agent may not have a scope; `None` if it may.
    pub(super) fn blocked(&self, agent: &str, scope: &str) -> Option<String> {
        let Some(answer) = self.answer(agent, scope) else {
            return Some("the policies were not asked about it".to_owned());
        };
        let refused = answer.refused.as_deref()?;
        if refused != DENIED {
            return Some(format!("refused before the policies: {refused}"));
        }
        let word = if answer.policies.len() == 1 {
            "policy"
        } else {
            "policies"
        };
        Some(format!("{word} {}", answer.policies.join(", ")))
    }
}

/// What said what is permitted, and the same in words.
pub(super) fn source(registry: &Registry) -> (PermittedBy, Option<String>, String) {
    match &registry.permits {
        Some(permits) => (
            PermittedBy::Policy,
            Some(permits.policy_set.clone()),
            format!(
                "each agent and scope was put to the policies (set {})",
                permits.policy_set
            ),
        ),
        None => (
            PermittedBy::Registration,
            None,
            "the policies were not asked: permitted is what registration, stage and states allow, and \
             a policy can forbid more"
                .to_owned(),
        ),
    }
}

#[cfg(test)]
mod tests;
