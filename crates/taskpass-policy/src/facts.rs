//! A request as Cedar sees it: entities, and one question for each thing that must be allowed.
//!
//! Built from structs, once for each decision, and checked against the schema. Whatever cannot be
//! built is an [`Unbuildable`], which the engine answers with a denial; nothing is left out to make
//! a request fit.

mod entities;

use std::collections::BTreeMap;
use std::error::Error;

use cedar_policy::{Context, Entities, EntityUid, RestrictedExpression as Value};
use taskpass_core::access::{Access, Risk};
use taskpass_core::grant::Ask;
use taskpass_core::registry::Target;
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
}

impl Facts {
    pub(crate) fn of(set: &PolicySet, request: &Request<'_>) -> Result<Self, Unbuildable> {
        let builder = Builder {
            set,
            words: set.vocabulary(),
            request,
            targets: request
                .targets
                .iter()
                .map(|target| (&target.value.uri, &target.value))
                .collect(),
        };
        Ok(Self {
            entities: builder.entities()?,
            questions: builder.questions()?,
        })
    }
}

struct Builder<'a> {
    set: &'a PolicySet,
    words: &'a Vocabulary,
    request: &'a Request<'a>,
    targets: BTreeMap<&'a TargetUri, &'a Target>,
}

impl Builder<'_> {
    fn questions(&self) -> Result<Vec<Question>, Unbuildable> {
        let mut questions = Vec::new();
        if matches!(&self.request.ask, Ask::Scopes(scopes) if scopes.is_empty()) {
            // Nothing asked for is nothing to allow, also where a delegation alone would be.
            return Ok(questions);
        }
        let common = self.context()?;
        if let Some((task, _)) = self.task()? {
            let task = uid(&self.words.task, &task.to_string());
            let words = self.words;
            let delegated = self.request.delegating_from.map(|_| &words.delegate);
            // What is forbidden of certificates is forbidden of those that can do more.
            let certified: &[_] = match self.request.ask {
                Ask::Certificate => &[&words.issue_certificate],
                Ask::Svid => &[&words.issue_certificate, &words.issue_svid],
                Ask::Scopes(_) => &[],
            };
            for action in delegated.into_iter().chain(certified.iter().copied()) {
                questions.push(self.question(action, task.clone(), common.clone(), None)?);
            }
        }
        for scope in self.request.ask.scopes() {
            let (target, access) = self.find(scope)?;
            let mut context = common.clone();
            context.push(("risk".into(), self.risk(target.risk)));
            let (action, resource) = (self.words.action(access), self.scope_uid(scope));
            questions.push(self.question(action, resource, context, Some(scope.clone()))?);
        }
        Ok(questions)
    }

    fn question(
        &self,
        action: &EntityUid,
        resource: EntityUid,
        context: Fields,
        scope: Option<ScopeRef>,
    ) -> Result<Question, Unbuildable> {
        let context = Context::from_pairs(context).map_err(Unbuildable::schema)?;
        let agent = self.agent_uid(&self.request.agent.value.name);
        let schema = Some(self.set.schema());
        let request = cedar_policy::Request::new(agent, action.clone(), resource, context, schema)
            .map_err(Unbuildable::schema)?;
        Ok(Question { request, scope })
    }

    fn context(&self) -> Result<Fields, Unbuildable> {
        let Request {
            ttl, depth, now, ..
        } = *self.request;
        let ttl = ttl.duration();
        let rounded_up = ttl.as_secs() + u64::from(ttl.subsec_nanos() > 0);
        let stage = self.request.agent.value.stage;
        Ok(vec![
            long("ttl_seconds", rounded_up)?,
            text("purpose", self.request.purpose.trim()),
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
        let needed =
            self.request.delegating_from.is_some() || !matches!(self.request.ask, Ask::Scopes(_));
        if !needed {
            return Ok(None);
        }
        let own = &self.request.agent.value.name;
        let agent = self.request.delegating_from.unwrap_or(own);
        let task = self.request.task.ok_or(Unbuildable::Task)?;
        Ok(Some((task, agent)))
    }

    fn find(&self, scope: &ScopeRef) -> Result<(&Target, Access), Unbuildable> {
        self.targets
            .get(&scope.target)
            .and_then(|target| Some((*target, *target.scopes.get(&scope.scope)?)))
            .ok_or_else(|| Unbuildable::Scope(scope.clone()))
    }

    fn agent_uid(&self, name: &AgentName) -> EntityUid {
        uid(&self.words.agent, name.as_str())
    }

    fn target_uid(&self, target: &TargetUri) -> EntityUid {
        uid(&self.words.target, target.as_str())
    }

    fn scope_uid(&self, scope: &ScopeRef) -> EntityUid {
        uid(&self.words.scope, &scope.to_string())
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
