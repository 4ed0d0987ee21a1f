//! The rows of a request as Cedar entities.

use cedar_policy::{Entities, Entity, EntityUid, RestrictedExpression as Value};
use taskpass_core::registry::{Owner, State, Target};
use taskpass_core::{AgentName, ScopeRef, TaskId};

use super::{Builder, Unbuildable, boolean, entity, text};
use crate::vocabulary::uid;

impl Builder<'_> {
    /// Every entity that the questions can reach, checked against the schema.
    pub(super) fn entities(&self) -> Result<Entities, Unbuildable> {
        let mut entities = vec![self.owner(self.checked_owner()?)?, self.agent()?];
        for target in self.targets.values() {
            entities.push(self.target(target)?);
        }
        for scope in self.request.ask.scopes() {
            entities.push(self.scope(scope)?);
        }
        if let Some((task, agent)) = self.task()? {
            entities.push(self.task_of(task, agent)?);
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

    fn owner(&self, owner: &Owner) -> Result<Entity, Unbuildable> {
        let attributes = [boolean("active", owner.state == State::Active)];
        let uid = uid(&self.words.owner, owner.name.as_str());
        make(uid, attributes, None, [])
    }

    fn agent(&self) -> Result<Entity, Unbuildable> {
        let agent = &self.request.agent.value;
        let owner = uid(&self.words.owner, agent.owner.as_str());
        let scopes = agent
            .scopes
            .iter()
            .map(|scope| entity(self.scope_uid(scope)));
        let active = agent.state == State::Active && self.request.now < agent.valid_until;
        let attributes = [
            ("owner".into(), entity(owner.clone())),
            (
                "stage".into(),
                entity(uid(&self.words.stage, agent.stage.as_str())),
            ),
            ("scopes".into(), Value::new_set(scopes)),
            boolean("active", active),
        ];
        let labels = agent.labels.iter().map(|(key, value)| text(key, value));
        make(self.agent_uid(&agent.name), attributes, Some(owner), labels)
    }

    fn target(&self, target: &Target) -> Result<Entity, Unbuildable> {
        let attributes = [
            ("risk".into(), self.risk(target.risk)),
            boolean("active", target.state == State::Active),
        ];
        make(self.target_uid(&target.uri), attributes, None, [])
    }

    fn scope(&self, scope: &ScopeRef) -> Result<Entity, Unbuildable> {
        let target = self.target_uid(&scope.target);
        let attributes = [
            ("target".into(), entity(target.clone())),
            text("name", scope.scope.as_str()),
        ];
        make(self.scope_uid(scope), attributes, Some(target), [])
    }

    fn task_of(&self, task: TaskId, agent: &AgentName) -> Result<Entity, Unbuildable> {
        let attributes = [("agent".into(), entity(self.agent_uid(agent)))];
        make(
            uid(&self.words.task, &task.to_string()),
            attributes,
            None,
            [],
        )
    }
}

fn make(
    uid: EntityUid,
    attributes: impl IntoIterator<Item = (String, Value)>,
    parent: Option<EntityUid>,
    tags: impl IntoIterator<Item = (String, Value)>,
) -> Result<Entity, Unbuildable> {
    Entity::new_with_tags(uid, attributes, parent, tags).map_err(Unbuildable::schema)
}
