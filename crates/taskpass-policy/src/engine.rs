//! The decision.
//!
//! Each scope is a question of its own; the grant covers all of them or nothing. What is reported
//! as allowed is for the asker to narrow its next request, never half a grant.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwap;
use cedar_policy::{Authorizer, Decision, PolicyId, Response};
use taskpass_core::grant::{Basis, Denial, Grant};
use taskpass_core::{DecisionId, ScopeRef};

use crate::facts::Facts;
use crate::request::Request;
use crate::set::PolicySet;

/// What stands for a policy's `@id` where none determined a denial.
pub const DEFAULT_DENY: &str = "default-deny";

/// Decides requests by the policy set in force, which can be replaced at any time.
pub struct Engine {
    authorizer: Authorizer,
    current: ArcSwap<PolicySet>,
}

impl Engine {
    /// An engine that decides by `set`.
    pub fn new(set: PolicySet) -> Self {
        Self {
            authorizer: Authorizer::new(),
            current: ArcSwap::from_pointee(set),
        }
    }

    /// The policy set in force.
    pub fn current(&self) -> Arc<PolicySet> {
        self.current.load_full()
    }

    /// Puts `set` in force. A decision under way ends by the set it began with.
    pub fn replace(&self, set: PolicySet) {
        self.current.store(Arc::new(set));
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
        let set = self.current.load();
        let verdict = Facts::of(&set, request)
            .map_or_else(|_| Verdict::unanswered(), |facts| self.answer(&set, &facts));
        let basis = |policies: BTreeSet<String>| Basis {
            id,
            policies: policies.into_iter().collect(),
            policy_set: set.hash(),
        };
        if verdict.is_allowed() {
            let agent = request.agent.value.name.clone();
            let basis = basis(verdict.permits);
            return Ok(Grant::decided(
                basis,
                agent,
                request.ask.clone(),
                request.read(),
            ));
        }
        Err(Denial {
            errored: verdict.errored,
            asked: request.ask.scopes().cloned().collect(),
            allowed: verdict.allowed_scopes(),
            basis: basis(verdict.reasons()),
        })
    }

    fn answer(&self, set: &PolicySet, facts: &Facts) -> Verdict {
        let mut verdict = Verdict::default();
        for question in &facts.questions {
            let response =
                self.authorizer
                    .is_authorized(&question.request, set.policies(), &facts.entities);
            verdict.take(&response, question.scope.as_ref());
        }
        verdict
    }
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine")
            .field("current", &self.current.load())
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
    allowed: Vec<ScopeRef>,
    permits: BTreeSet<String>,
    forbids: BTreeSet<String>,
}

impl Verdict {
    /// For a request that could not even be put.
    pub(crate) fn unanswered() -> Self {
        Self {
            errored: true,
            ..Self::default()
        }
    }

    pub(crate) fn take(&mut self, response: &Response, scope: Option<&ScopeRef>) {
        self.questions += 1;
        let diagnostics = response.diagnostics();
        for error in diagnostics.errors() {
            // Cedar skipped it and answered as if it were not there. It may be a forbid.
            let cedar_policy::AuthorizationError::PolicyEvaluationError(error) = error;
            self.errored = true;
            self.forbids.insert(error.policy_id().to_string());
        }
        let reasons = diagnostics.reason().map(PolicyId::to_string);
        match response.decision() {
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

    /// What determined a grant.
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
