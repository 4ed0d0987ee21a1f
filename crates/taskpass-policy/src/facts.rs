//! A request as Cedar sees it: entities, and one question for each thing that must be allowed.
//!
//! Built from structs, once for each decision, and checked against the schema. Whatever cannot be
//! built is an [`Unbuildable`], which the engine answers with a denial; nothing is left out to make
//! a request fit.

mod entities;
mod operator;

use std::collections::BTreeMap;
use std::error::Error;

use cedar_policy::{Context, Entities, EntityUid, RestrictedExpression as Value};
use taskpass_core::access::{Access, Risk};
use taskpass_core::grant::Ask;
use taskpass_core::registry::{State, Target};
use taskpass_core::{AgentName, ScopeRef, TargetUri, TaskId};

use crate::request::Request;
use crate::set::PolicySet;
use crate::vocabulary::{Vocabulary, uid};

type Fields = Vec<(String, Value)>;

/// Why a request could not be put to the policies.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unbuildable {
    #[error("the agent's owner is not there")]
    Owner,
    #[error("scope {0} is not there")]
    Scope(ScopeRef),
    #[error("no task is named")]
    Task,
    #[error("a number is out of range")]
    Number(#[from] std::num::TryFromIntError),
    #[error(transparent)]
    Schema(Box<dyn Error + Send + Sync>),
}

impl Unbuildable {
    fn schema(error: impl Error + Send + Sync + 'static) -> Self {
        Self::Schema(Box::new(error))
    }
}

/// Everything that one decision evaluates.
pub(crate) struct Facts {
    pub(crate) entities: Entities,
    pub(crate) questions: Vec<Question>,
}

/// One thing that must be allowed.
pub(crate) struct Question {
    pub(crate) request: cedar_policy::Request,
    /// The scope in question; none where the whole ask depends on the answer.
    pub(crate) scope: Option<ScopeRef>,
    /// Whether it is allowed, and marked, where no policy determines anything.
    pub(crate) observed: bool,
}

impl Facts {
    pub(crate) fn of(set: &PolicySet, request: &Request<'_>) -> Result<Self, Unbuildable> {
        Ok(Self {
            entities: describe(set, request)?,
            questions: questions(set, request)?,
        })
    }
}

/// The rows of `request`, and what it asks about: the larger part of the work, and the same for whatever
/// else is asked about them.
pub(crate) fn describe(set: &PolicySet, request: &Request<'_>) -> Result<Entities, Unbuildable> {
    Builder::new(set, request).entities()
}

/// What `request` needs to be allowed.
pub(crate) fn questions(
    set: &PolicySet,
    request: &Request<'_>,
) -> Result<Vec<Question>, Unbuildable> {
    Builder::new(set, request).questions()
}

struct Builder<'a> {
    set: &'a PolicySet,
    words: &'a Vocabulary,
    request: &'a Request<'a>,
    targets: BTreeMap<&'a TargetUri, &'a Target>,
}

impl<'a> Builder<'a> {
    fn new(set: &'a PolicySet, request: &'a Request<'a>) -> Self {
        let targets = request.targets.iter();
        Self {
            set,
            words: set.vocabulary(),
            request,
            targets: targets
                .map(|target| (&target.value.uri, &target.value))
                .collect(),
        }
    }

    fn questions(&self) -> Result<Vec<Question>, Unbuildable> {
        let mut questions = Vec::new();
        if matches!(&self.request.ask, Ask::Scopes(scopes) if scopes.is_empty()) {
            // Nothing asked for is nothing to allow, also where a delegation alone would be.
            return Ok(questions);
        }
        let common = self.context()?;
        if let Some((task, _)) = self.task()? {
            let task = self.words.task_uid(task);
            let words = self.words;
            let delegated = self.request.delegating_from.map(|_| &words.delegate);
            // What is forbidden of certificates is forbidden of those that can do more.
            let certified: &[_] = match self.request.ask {
                Ask::Certificate => &[&words.issue_certificate],
                Ask::Svid => &[&words.issue_certificate, &words.issue_svid],
                Ask::Scopes(_) => &[],
            };
            for action in delegated.into_iter().chain(certified.iter().copied()) {
                questions.push(self.question(action, task.clone(), common.clone())?);
            }
        }
        for scope in self.request.ask.scopes() {
            let (target, access) = self.find(scope)?;
            let mut context = common.clone();
            context.push(("risk".into(), self.risk(target.risk)));
            let (action, resource) = (self.words.action(access), self.words.scope_uid(scope));
            questions.push(Question {
                scope: Some(scope.clone()),
                observed: self.is_observed(scope, target),
                ..self.question(action, resource, context)?
            });
        }
        Ok(questions)
    }

    fn question(
        &self,
        action: &EntityUid,
        resource: EntityUid,
        context: Fields,
    ) -> Result<Question, Unbuildable> {
        let context = Context::from_pairs(context).map_err(Unbuildable::schema)?;
        let agent = self.words.agent_uid(&self.request.agent.value.name);
        let schema = Some(self.set.schema());
        let request = cedar_policy::Request::new(agent, action.clone(), resource, context, schema)
            .map_err(Unbuildable::schema)?;
        Ok(Question {
            request,
            scope: None,
            observed: false,
        })
    }

    /// Whether the absence of a permit may be overridden. What is no matter of policies is asked here
    /// too, so that a set without a `forbid` for it opens nothing: the scope is registered for the
    /// agent, and agent, owner and target are active.
    fn is_observed(&self, scope: &ScopeRef, target: &Target) -> bool {
        let Request {
            agent, owner, now, ..
        } = *self.request;
        let agent = &agent.value;
        target.is_observed(now)
            && agent.scopes.contains(scope)
            && agent.state == State::Active
            && now < agent.valid_until
            && owner.is_some_and(|owner| owner.value.state == State::Active)
    }

    fn context(&self) -> Result<Fields, Unbuildable> {
        let Request { depth, now, .. } = *self.request;
        let stage = self.request.agent.value.stage;
        Ok(vec![
            long("ttl_seconds", self.request.ttl_seconds())?,
            text("purpose", self.request.stated_purpose()),
            (
                "stage".into(),
                entity(uid(&self.words.stage, stage.as_str())),
            ),
            long("depth", depth)?,
            text("attestation", self.request.attestation),
            long("time", now.minute())?,
        ])
    }

    /// The task that the ask is about, and the agent that runs it.
    ///
    /// A certificate proves a task of the asking agent; where a child task starts, the task is the
    /// parent and its agent the one that delegates.
    fn task(&self) -> Result<Option<(TaskId, &AgentName)>, Unbuildable> {
        if !self.request.is_about_a_task() {
            return Ok(None);
        }
        let own = &self.request.agent.value.name;
        let agent = self.request.delegating_from.unwrap_or(own);
        let task = self.request.task_asked_about();
        let task = task.ok_or(Unbuildable::Task)?;
        Ok(Some((task, agent)))
    }

    fn find(&self, scope: &ScopeRef) -> Result<(&Target, Access), Unbuildable> {
        self.targets
            .get(&scope.target)
            .and_then(|target| Some((*target, *target.scopes.get(&scope.scope)?)))
            .ok_or_else(|| Unbuildable::Scope(scope.clone()))
    }

    fn risk(&self, risk: Risk) -> Value {
        entity(uid(&self.words.risk, risk.as_str()))
    }
}

fn entity(uid: EntityUid) -> Value {
    Value::new_entity_uid(uid)
}

fn text(key: &str, value: &str) -> (String, Value) {
    (key.to_owned(), Value::new_string(value.to_owned()))
}

fn boolean(key: &str, value: bool) -> (String, Value) {
    (key.to_owned(), Value::new_bool(value))
}

fn long<N>(key: &str, value: N) -> Result<(String, Value), Unbuildable>
where
    i64: TryFrom<N, Error = std::num::TryFromIntError>,
{
    Ok((key.to_owned(), Value::new_long(i64::try_from(value)?)))
}
