//! The decision.
//!
//! Each scope is a question of its own; the grant covers all of them or nothing. What is reported
//! as allowed is for the asker to narrow its next request, never half a grant.
//!
//! Of a target that is only observed, the absence of a permit is overridden and marked. Nothing else
//! is: a `forbid` that holds and a policy that fails deny there as everywhere.

mod memo;

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwap;
use cedar_policy::{Authorizer, Decision, Entities, PolicyId, Response};
use taskpass_core::grant::{Basis, Denial, Grant};
use taskpass_core::{DecisionId, ScopeRef};

use self::memo::{Answered, Memo};
use crate::facts::{Question, describe, questions};
use crate::request::Request;
use crate::set::PolicySet;

/// What stands for a policy's `@id` where none determined a denial.
pub const DEFAULT_DENY: &str = "default-deny";

/// Decides requests by the policy set in force, which can be replaced at any time.
///
/// The same request, asked of the same set, is not evaluated twice; of a set that reads the time, in the same
/// minute.
pub struct Engine {
    current: ArcSwap<InForce>,
}

/// How many answers are kept.
const ANSWERS: usize = 1024;

/// A policy set and what was answered by it: the one goes with the other.
struct InForce {
    set: Arc<PolicySet>,
    memo: Memo,
}

impl InForce {
    fn new(set: PolicySet) -> Self {
        Self {
            memo: Memo::new(ANSWERS, set.agents_read()),
            set: Arc::new(set),
        }
    }
}

impl Engine {
    /// An engine that decides by `set`.
    pub fn new(set: PolicySet) -> Self {
        Self {
            current: ArcSwap::from_pointee(InForce::new(set)),
        }
    }

    /// The policy set in force.
    pub fn current(&self) -> Arc<PolicySet> {
        Arc::clone(&self.current.load().set)
    }

    /// Puts `set` in force. A decision under way ends by the set it began with.
    pub fn replace(&self, set: PolicySet) {
        self.current.store(Arc::new(InForce::new(set)));
    }

    /// Allows all that `request` asks for, or denies it.
    ///
    /// `id` names the decision and its audit entry. Nothing asked for, a row that is missing and a
    /// policy that fails are all denials.
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place where a grant is made: every question was answered with allow"
    )]
    #[expect(
        clippy::result_large_err,
        reason = "a denial is read at once, by its one caller; a box would only move it"
    )]
    pub fn decide(&self, id: DecisionId, request: &Request<'_>) -> Result<Grant, Denial> {
        let in_force = self.current.load();
        let set = &in_force.set;
        let answered = in_force.memo.answer(
            request,
            || describe(set, request),
            |entities| evaluate(set, entities, request),
        );
        let basis = Basis {
            id,
            policies: answered.policies.clone(),
            policy_set: set.hash(),
            would_deny: answered.would_deny,
        };
        if answered.allowed {
            let agent = request.agent.value.name.clone();
            return Ok(Grant::decided(
                basis,
                agent,
                request.ask.clone(),
                request.read(),
            ));
        }
        Err(Denial {
            errored: answered.errored,
            asked: request.ask.scopes().cloned().collect(),
            allowed: answered.scopes.clone(),
            basis,
        })
    }
}

/// Works out what `set` says to `request`, whose rows are `entities`.
fn evaluate(set: &PolicySet, entities: &Entities, request: &Request<'_>) -> Answered {
    let mut verdict = Verdict::default();
    match questions(set, request) {
        Ok(questions) => answer(set.for_agents(), entities, &questions, &mut verdict),
        Err(_) => verdict.fail(),
    }
    Answered::of(verdict)
}

impl Answered {
    fn of(verdict: Verdict) -> Self {
        let (allowed, errored) = (verdict.is_allowed(), verdict.errored());
        let would_deny = verdict.would_deny();
        let scopes = if allowed {
            Vec::new()
        } else {
            verdict.allowed_scopes()
        };
        let policies = if allowed {
            verdict.permits()
        } else {
            verdict.reasons()
        };
        Self {
            allowed,
            errored,
            would_deny,
            policies: policies.into_iter().collect(),
            scopes,
        }
    }

    /// The answer where the request could not be put.
    fn failed() -> Self {
        let mut verdict = Verdict::default();
        verdict.fail();
        Self::of(verdict)
    }
}

/// Puts all questions to `policies`.
pub(crate) fn answer(
    policies: &cedar_policy::PolicySet,
    entities: &Entities,
    questions: &[Question],
    verdict: &mut Verdict,
) {
    let authorizer = Authorizer::new();
    for question in questions {
        let response = authorizer.is_authorized(&question.request, policies, entities);
        verdict.take(&response, question);
    }
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine")
            .field("current", &self.current.load().set)
            .finish_non_exhaustive()
    }
}

/// What the answers add up to.
#[derive(Default)]
pub(crate) struct Verdict {
    questions: usize,
    permitted: usize,
    /// A question about the whole ask was answered with deny.
    barred: bool,
    errored: bool,
    /// A question was answered with nothing at all, and its target is only observed.
    overridden: bool,
    allowed: Vec<ScopeRef>,
    permits: BTreeSet<String>,
    forbids: BTreeSet<String>,
}

impl Verdict {
    /// A request, or a part of one, could not even be put.
    pub(crate) const fn fail(&mut self) {
        self.errored = true;
    }

    pub(crate) fn take(&mut self, response: &Response, question: &Question) {
        let scope = question.scope.as_ref();
        self.questions += 1;
        let diagnostics = response.diagnostics();
        for error in diagnostics.errors() {
            // Cedar skipped it and answered as if it were not there. It may be a forbid.
            let cedar_policy::AuthorizationError::PolicyEvaluationError(error) = error;
            self.errored = true;
            self.forbids.insert(error.policy_id().to_string());
        }
        let reasons = diagnostics.reason().map(PolicyId::to_string);
        let nothing =
            diagnostics.reason().next().is_none() && diagnostics.errors().next().is_none();
        match response.decision() {
            Decision::Deny if nothing && question.observed => {
                self.overridden = true;
                self.permits.insert(DEFAULT_DENY.to_owned());
                self.permitted += 1;
                self.allowed.extend(scope.cloned());
            }
            Decision::Allow => {
                self.permits.extend(reasons);
                self.permitted += 1;
                self.allowed.extend(scope.cloned());
            }
            Decision::Deny => {
                if diagnostics.reason().next().is_none() {
                    self.forbids.insert(DEFAULT_DENY.to_owned());
                }
                self.forbids.extend(reasons);
                self.barred |= scope.is_none();
            }
        }
    }

    pub(crate) fn is_allowed(&self) -> bool {
        !self.errored && self.questions > 0 && self.permitted == self.questions
    }

    /// What would have been allowed on its own; nothing where more than a scope was denied.
    pub(crate) fn allowed_scopes(&self) -> Vec<ScopeRef> {
        if self.errored || self.barred {
            return Vec::new();
        }
        self.allowed.clone()
    }

    pub(crate) const fn errored(&self) -> bool {
        self.errored
    }

    /// Whether it is allowed only because of what is observed.
    pub(crate) fn would_deny(&self) -> bool {
        self.overridden && self.is_allowed()
    }

    /// What determined a grant; `default-deny` where no policy did.
    pub(crate) fn permits(self) -> BTreeSet<String> {
        self.permits
    }

    /// What determined a denial.
    pub(crate) fn reasons(self) -> BTreeSet<String> {
        if self.forbids.is_empty() {
            return [DEFAULT_DENY.to_owned()].into();
        }
        self.forbids
    }
}

#[cfg(test)]
mod tests;
