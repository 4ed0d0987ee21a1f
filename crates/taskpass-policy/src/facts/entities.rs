//! The rows of a request as Cedar entities.

use cedar_policy::{Entities, Entity, EntityUid, RestrictedExpression as Value};
use taskpass_core::registry::{Agent, Owner, State, Target};
use taskpass_core::{AgentName, OwnerName, ScopeRef, TargetUri, TaskId, Timestamp};

use super::{Builder, Unbuildable, boolean, entity, text};
use crate::vocabulary::{Vocabulary, uid};

impl Builder<'_> {
    /// Every entity that the questions can reach, checked against the schema.
    pub(super) fn entities(&self) -> Result<Entities, Unbuildable> {
        let (words, request) = (self.words, self.request);
        let mut entities = vec![
            words.owner_entity(self.checked_owner()?)?,
            words.agent_entity(&request.agent.value, request.now)?,
        ];
        for target in self.targets.values() {
            entities.push(words.target_entity(target)?);
        }
        for scope in request.ask.scopes() {
            entities.push(words.scope_entity(scope)?);
        }
        if let Some((task, agent)) = self.task()? {
            entities.push(words.task_entity(task, agent)?);
        }
        Entities::from_entities(entities, Some(self.set.schema())).map_err(Unbuildable::schema)
    }

    fn checked_owner(&self) -> Result<&Owner, Unbuildable> {
        self.request
            .owner
            .map(|owner| &owner.value)
            .filter(|owner| owner.name == self.request.agent.value.owner)
            .ok_or(Unbuildable::Owner)
    }
}

impl Vocabulary {
    pub(super) fn owner_entity(&self, owner: &Owner) -> Result<Entity, Unbuildable> {
        let attributes = [boolean("active", owner.state == State::Active)];
        make(self.owner_uid(&owner.name), attributes, None, [])
    }

    pub(super) fn agent_entity(
        &self,
        agent: &Agent,
        now: Timestamp,
    ) -> Result<Entity, Unbuildable> {
        let owner = self.owner_uid(&agent.owner);
        let scopes = agent
            .scopes
            .iter()
            .map(|scope| entity(self.scope_uid(scope)));
        let active = agent.state == State::Active && now < agent.valid_until;
        let attributes = [
            ("owner".into(), entity(owner.clone())),
            (
                "stage".into(),
                entity(uid(&self.stage, agent.stage.as_str())),
            ),
            ("scopes".into(), Value::new_set(scopes)),
            boolean("active", active),
        ];
        let labels = agent.labels.iter().map(|(key, value)| text(key, value));
        make(self.agent_uid(&agent.name), attributes, Some(owner), labels)
    }

    pub(super) fn target_entity(&self, target: &Target) -> Result<Entity, Unbuildable> {
        let attributes = [
            ("risk".into(), entity(uid(&self.risk, target.risk.as_str()))),
            boolean("active", target.state == State::Active),
        ];
        make(self.target_uid(&target.uri), attributes, None, [])
    }

    fn scope_entity(&self, scope: &ScopeRef) -> Result<Entity, Unbuildable> {
        let target = self.target_uid(&scope.target);
        let attributes = [
            ("target".into(), entity(target.clone())),
            text("name", scope.scope.as_str()),
        ];
        make(self.scope_uid(scope), attributes, Some(target), [])
    }

    pub(super) fn task_entity(
        &self,
        task: TaskId,
        agent: &AgentName,
    ) -> Result<Entity, Unbuildable> {
        let attributes = [("agent".into(), entity(self.agent_uid(agent)))];
        make(self.task_uid(task), attributes, None, [])
    }

    pub(super) fn owner_uid(&self, name: &OwnerName) -> EntityUid {
        uid(&self.owner, name.as_str())
    }

    pub(super) fn agent_uid(&self, name: &AgentName) -> EntityUid {
        uid(&self.agent, name.as_str())
    }

    pub(super) fn target_uid(&self, target: &TargetUri) -> EntityUid {
        uid(&self.target, target.as_str())
    }

    pub(super) fn scope_uid(&self, scope: &ScopeRef) -> EntityUid {
        uid(&self.scope, &scope.to_string())
    }

    pub(super) fn task_uid(&self, task: TaskId) -> EntityUid {
        uid(&self.task, &task.to_string())
    }
}

pub(super) fn make(
    uid: EntityUid,
    attributes: impl IntoIterator<Item = (String, Value)>,
    parent: Option<EntityUid>,
    tags: impl IntoIterator<Item = (String, Value)>,
) -> Result<Entity, Unbuildable> {
    Entity::new_with_tags(uid, attributes, parent, tags).map_err(Unbuildable::schema)
}
