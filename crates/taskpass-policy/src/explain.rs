//! A decision for somebody who wants to know: the same evaluation, question by question, and no
//! grant.

use std::collections::BTreeSet;

use cedar_policy::Authorizer;
use taskpass_core::ScopeRef;
use taskpass_core::secret::Sha256;

use crate::engine::Verdict;
use crate::facts::{Facts, Question};
use crate::request::Request;
use crate::set::PolicySet;

/// What [`Engine::decide`](crate::Engine::decide) answers to a request, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explanation {
    /// Whether all of it is allowed.
    pub allowed: bool,
    /// The `@id`s of the determining policies; `default-deny` where none permitted.
    pub policies: Vec<String>,
    /// Of a denial: which of the scopes asked for would be allowed without the others.
    pub allowed_scopes: Vec<ScopeRef>,
    /// Whether a policy could not be evaluated, or the request could not be put: then nothing is
    /// allowed.
    pub errored: bool,
    /// Whether no policy permits some of it, and it is allowed because its target is only observed.
    pub would_deny: bool,
    /// By which set.
    pub policy_set: Sha256,
    /// Each question that was put. None where the request could not be put.
    pub answers: Vec<Answer>,
}

/// One question and its answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The Cedar action, such as `read` or `issue_certificate`.
    pub action: String,
    /// The scope in question; none where it was about the task.
    pub scope: Option<ScopeRef>,
    /// Whether it was allowed.
    pub allowed: bool,
    /// Whether only because its target is observed.
    pub would_deny: bool,
    /// The determining policies.
    pub policies: Vec<String>,
}

impl PolicySet {
    /// Evaluates `request` as a decision would, and says everything about it.
    pub fn explain(&self, request: &Request<'_>) -> Explanation {
        let Ok(facts) = Facts::of(self, request) else {
            let mut unanswered = Verdict::default();
            unanswered.fail();
            return self.total(request, unanswered, Vec::new());
        };
        let authorizer = Authorizer::new();
        let mut total = Verdict::default();
        let mut answers = Vec::new();
        for question in &facts.questions {
            let response =
                authorizer.is_authorized(&question.request, self.for_agents(), &facts.entities);
            total.take(&response, question);
            let mut alone = Verdict::default();
            alone.take(&response, question);
            answers.push(answer(question, alone));
        }
        self.total(request, total, answers)
    }

    fn total(&self, request: &Request<'_>, total: Verdict, answers: Vec<Answer>) -> Explanation {
        let allowed = total.is_allowed();
        Explanation {
            allowed,
            allowed_scopes: if allowed {
                request.ask.scopes().cloned().collect()
            } else {
                total.allowed_scopes()
            },
            errored: total.errored(),
            would_deny: total.would_deny(),
            policies: determining(total, allowed),
            policy_set: self.hash(),
            answers,
        }
    }
}

fn answer(question: &Question, alone: Verdict) -> Answer {
    let action = question.request.action();
    let allowed = alone.is_allowed();
    Answer {
        action: action.map_or_else(String::new, |uid| uid.id().unescaped().to_owned()),
        scope: question.scope.clone(),
        allowed,
        would_deny: alone.would_deny(),
        policies: determining(alone, allowed),
    }
}

fn determining(verdict: Verdict, allowed: bool) -> Vec<String> {
    let policies: BTreeSet<String> = if allowed {
        verdict.permits()
    } else {
        verdict.reasons()
    };
    policies.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Engine;
    use crate::testing::{World, decision, ledger, mail, scopes, set, task};
    use taskpass_core::access::{Access, Stage};
    use taskpass_core::grant::Ask;

    type Change = fn(&mut World);

    /// What is said is what is decided, whatever is asked.
    #[test]
    fn it_says_what_a_decision_says() {
        let failing = r#"
            @id("all") permit (principal, action, resource);
            @id("fails") forbid (principal, action == Action::"write", resource)
            when { context.time + 9223372036854775807 > 0 };"#;
        let changes: [Change; 5] = [
            |_| {},
            |w| w.agent.value.stage = Stage::Bounded,
            |w| w.agent.value.scopes.clear(),
            |w| w.owner = None,
            |w| w.delegating_from = Some("planner".parse().unwrap()),
        ];
        let asks = || {
            [
                scopes([]),
                scopes([ledger(Access::Read)]),
                scopes([ledger(Access::Actuate), mail(Access::Write)]),
                Ask::Certificate,
                Ask::Svid,
            ]
        };
        let (mut granted, mut denied, mut errored) = (0, 0, 0);
        for text in [None, Some(failing)] {
            let set = || text.map_or_else(|| PolicySet::shipped().unwrap(), set);
            let (engine, set) = (Engine::new(set()), set());
            for change in changes {
                for ask in asks() {
                    let mut world = World::new();
                    world.task = Some(task());
                    change(&mut world);
                    let said = set.explain(&world.request(ask.clone()));
                    assert_eq!(said.policy_set, set.hash());
                    match engine.decide(decision(), &world.request(ask.clone())) {
                        Ok(grant) => {
                            granted += 1;
                            assert!(said.allowed && !said.errored);
                            assert_eq!(said.policies, grant.basis().policies);
                            assert_eq!(said.would_deny, grant.basis().would_deny);
                            assert!(said.answers.iter().all(|answer| answer.allowed));
                        }
                        Err(denial) => {
                            denied += 1;
                            errored += usize::from(denial.errored);
                            assert!(!said.allowed);
                            assert_eq!(said.errored, denial.errored);
                            assert_eq!(said.policies, denial.basis.policies);
                            assert_eq!(said.allowed_scopes, denial.allowed);
                        }
                    }
                }
            }
        }
        assert!(
            granted > 5 && denied > 20 && errored > 5,
            "{granted} {denied} {errored}"
        );
    }

    #[test]
    fn every_question_has_its_answer() {
        let mut world = World::new();
        world.agent.value.stage = Stage::Bounded;
        let asked = scopes([ledger(Access::Actuate), mail(Access::Read)]);
        let said = PolicySet::shipped().unwrap().explain(&world.request(asked));
        assert!(!said.allowed);
        assert_eq!(said.policies, ["stage-bounded"]);
        assert_eq!(said.allowed_scopes, [mail(Access::Read)]);
        let answers: Vec<_> = said
            .answers
            .iter()
            .map(|answer| {
                let policies: Vec<_> = answer.policies.iter().map(String::as_str).collect();
                (answer.action.as_str(), answer.allowed, policies)
            })
            .collect();
        assert_eq!(
            answers,
            [
                ("actuate", false, vec!["stage-bounded"]),
                ("read", true, vec!["permit-registered-scopes"]),
            ]
        );
    }
}
