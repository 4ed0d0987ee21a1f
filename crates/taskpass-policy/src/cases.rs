//! Cases: requests, and the decisions that are expected of a policy set.
//!
//! A file of cases holds a small registry of its own, so that it says the same wherever it is run. A
//! case names the decision *and* the policies that determine it: a set that denies for another
//! reason than was meant fails. What a case names must be in the file; a misspelt scope is an error,
//! not a denial.

mod file;
mod operator;
mod parse;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use taskpass_core::grant::Ask;
use taskpass_core::registry::{Agent, Owner, Target, Versioned};
use taskpass_core::{AgentName, OwnerName, ScopeRef, TargetUri, TaskId, Timestamp, Ttl};

use self::operator::OperatorCase;
use crate::explain::Explanation;
use crate::place::Place;
use crate::request::Request;
use crate::set::PolicySet;

/// Why a file of cases does not read.
#[derive(Debug, thiserror::Error)]
pub enum CaseError {
    /// It is not TOML, or has a field that no such file has.
    #[error("{place}: {message}")]
    Syntax {
        /// Where.
        place: Place,
        /// What is wrong.
        message: String,
    },
    /// A value is not one.
    #[error("{place}: {message}")]
    Invalid {
        /// Which part of the file, such as `case "a reader writes"`.
        place: String,
        /// What is wrong.
        message: String,
    },
    /// There is nothing to check.
    #[error("there is no [[case]] in the file")]
    Empty,
}

/// The cases of a file.
#[derive(Debug)]
pub struct Cases {
    owners: BTreeMap<OwnerName, Versioned<Owner>>,
    agents: BTreeMap<AgentName, Versioned<Agent>>,
    targets: BTreeMap<TargetUri, Versioned<Target>>,
    all: Vec<Case>,
}

#[derive(Debug)]
struct Case {
    name: String,
    asked: Asked,
    at: Timestamp,
    expected: Expected,
}

/// Who asks in a case, and what for.
#[derive(Debug)]
enum Asked {
    Agent(AgentCase),
    Operator(OperatorCase),
}

#[derive(Debug)]
struct AgentCase {
    agent: AgentName,
    ask: Ask,
    from: Option<AgentName>,
    purpose: String,
    ttl: Ttl,
    depth: usize,
    attestation: String,
}

/// A decision: expected, or found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expected {
    /// Whether all is allowed.
    pub allowed: bool,
    /// The determining policies.
    pub policies: BTreeSet<String>,
    /// Whether a policy fails.
    pub errored: bool,
    /// Whether it is allowed only because its target is observed.
    pub would_deny: bool,
    /// Of a denial: what would be allowed on its own. Not compared where a case does not say it.
    pub narrower: Option<BTreeSet<ScopeRef>>,
}

/// What became of one case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// The case's name.
    pub name: String,
    /// What it expects.
    pub expected: Expected,
    /// What the set says.
    pub found: Expected,
}

/// What became of all of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// In the order of the file.
    pub outcomes: Vec<Outcome>,
    /// Policies of the set that determined no case: a change to them would go unnoticed.
    pub unexercised: Vec<String>,
}

impl Cases {
    /// Reads a file of cases; `file` is what errors call it.
    pub fn parse(file: &str, text: &str) -> Result<Self, CaseError> {
        parse::cases(file, text)
    }

    /// Puts every case to `set`.
    pub fn run(&self, set: &PolicySet) -> Report {
        let outcomes: Vec<_> = self.all.iter().map(|case| self.put(case, set)).collect();
        let mut unexercised = set.policy_ids();
        unexercised.retain(|id| {
            !outcomes
                .iter()
                .any(|outcome| outcome.found.policies.contains(id))
        });
        Report {
            outcomes,
            unexercised,
        }
    }

    fn put(&self, case: &Case, set: &PolicySet) -> Outcome {
        let found = match &case.asked {
            Asked::Agent(asked) => self.ask(asked, case.at, set),
            Asked::Operator(asked) => asked.put(self, set, case.at),
        };
        Outcome {
            name: case.name.clone(),
            expected: case.expected.clone(),
            found,
        }
    }

    fn ask(&self, case: &AgentCase, at: Timestamp, set: &PolicySet) -> Expected {
        // The parser found every agent and target that a case names.
        let said = self.agents.get(&case.agent).map(|agent| {
            set.explain(&Request {
                agent,
                owner: self.owners.get(&agent.value.owner),
                targets: self.targets.values().collect(),
                ask: case.ask.clone(),
                delegating_from: case.from.as_ref(),
                task: Some(TaskId::first_at(at)),
                purpose: &case.purpose,
                depth: case.depth,
                ttl: case.ttl,
                attestation: &case.attestation,
                now: at,
            })
        });
        said.map_or_else(Expected::unanswered, Expected::found)
    }
}

impl Expected {
    fn unanswered() -> Self {
        Self {
            allowed: false,
            policies: BTreeSet::new(),
            errored: true,
            would_deny: false,
            narrower: None,
        }
    }

    fn found(said: Explanation) -> Self {
        Self {
            allowed: said.allowed,
            policies: said.policies.into_iter().collect(),
            errored: said.errored,
            would_deny: said.would_deny,
            narrower: (!said.allowed).then(|| said.allowed_scopes.into_iter().collect()),
        }
    }
}

impl Outcome {
    /// Whether the set says what the case expects.
    pub fn passed(&self) -> bool {
        let (expected, found) = (&self.expected, &self.found);
        expected.allowed == found.allowed
            && expected.errored == found.errored
            && expected.would_deny == found.would_deny
            && expected.policies == found.policies
            && (expected.narrower.is_none() || expected.narrower == found.narrower)
    }
}

impl Report {
    /// How many cases failed.
    pub fn failed(&self) -> usize {
        let failed = self.outcomes.iter().filter(|outcome| !outcome.passed());
        failed.count()
    }
}

impl fmt::Display for Expected {
    /// Such as `deny by stage-read-only`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.allowed { "allow" } else { "deny" })?;
        if self.errored {
            f.write_str(" for an error")?;
        }
        if self.would_deny {
            f.write_str(", observed only,")?;
        }
        let policies: Vec<_> = self.policies.iter().map(String::as_str).collect();
        if !policies.is_empty() {
            write!(f, " by {}", policies.join(", "))?;
        }
        match &self.narrower {
            Some(scopes) if !scopes.is_empty() => {
                let scopes: Vec<_> = scopes.iter().map(ToString::to_string).collect();
                write!(f, "; would allow {}", scopes.join(", "))
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests;
