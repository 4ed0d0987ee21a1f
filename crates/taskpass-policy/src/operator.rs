//! What operators may do.
//!
//! Which roles may call a method at all is a table beside the methods; what is decided here narrows it.
//! The rules are the same as for agents: everything that is acted upon is a question of its own, `forbid`
//! wins, nothing that is not permitted is allowed, and a policy that fails denies. Nothing here is ever
//! overridden by observing.

use std::collections::BTreeSet;

use taskpass_core::grant::{Basis, Denial};
use taskpass_core::registry::{Agent, Operator, Owner, Role, Target, Verifier};
use taskpass_core::verb::Verb;
use taskpass_core::{CredentialId, DecisionId, OperatorName, TaskId, Timestamp};

use crate::engine::{Engine, Verdict, answer};
use crate::facts::Facts;
use crate::set::PolicySet;

/// What an operator is about to do.
#[derive(Debug)]
pub struct Act<'a> {
    /// Who.
    pub operator: &'a OperatorName,
    /// With which roles, today.
    pub roles: &'a BTreeSet<Role>,
    /// What.
    pub verb: Verb,
    /// To what: each must be allowed. Nothing is nothing to allow.
    pub things: Vec<Thing<'a>>,
    /// Why, in the operator's words.
    pub reason: &'a str,
    /// The present.
    pub now: Timestamp,
}

/// What an operator acts upon.
#[derive(Debug, Clone)]
pub enum Thing<'a> {
    /// The broker as a whole.
    Broker,
    /// An owner.
    Owner(&'a Owner),
    /// An agent, and its owner where there is one.
    Agent(&'a Agent, Option<&'a Owner>),
    /// A target.
    Target(&'a Target),
    /// An operator.
    Operator(&'a Operator),
    /// A verifier.
    Verifier(&'a Verifier),
    /// A task, and the agent that runs it.
    Task {
        /// Which.
        id: TaskId,
        /// Whose.
        agent: &'a Agent,
    },
    /// A credential, and the agent that holds it.
    Credential {
        /// Which.
        id: CredentialId,
        /// Whose.
        agent: &'a Agent,
    },
    /// A signing key.
    Key(&'a str),
}

impl Engine {
    /// Allows `act`, or denies it. `id` names the decision.
    #[expect(
        clippy::result_large_err,
        reason = "a denial is read at once, by its one caller; a box would only move it"
    )]
    pub fn authorize(&self, id: DecisionId, act: &Act<'_>) -> Result<Basis, Denial> {
        self.current().authorize(id, act)
    }
}

impl PolicySet {
    #[expect(
        clippy::result_large_err,
        reason = "a denial is read at once, by its one caller; a box would only move it"
    )]
    pub(crate) fn authorize(&self, id: DecisionId, act: &Act<'_>) -> Result<Basis, Denial> {
        let mut verdict = Verdict::default();
        for thing in &act.things {
            match Facts::of_act(self, act, thing) {
                Ok(Facts {
                    entities,
                    questions,
                }) => answer(self.for_operators(), &entities, &questions, &mut verdict),
                Err(_) => verdict.fail(),
            }
        }
        let (allowed, errored) = (verdict.is_allowed(), verdict.errored());
        let policies = if allowed {
            verdict.permits()
        } else {
            verdict.reasons()
        };
        let basis = Basis {
            id,
            policies: policies.into_iter().collect(),
            policy_set: self.hash(),
            would_deny: false,
        };
        if allowed {
            return Ok(basis);
        }
        Err(Denial {
            basis,
            asked: Vec::new(),
            allowed: Vec::new(),
            errored,
        })
    }
}

#[cfg(test)]
mod tests;
