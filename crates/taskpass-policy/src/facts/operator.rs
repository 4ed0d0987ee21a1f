//! An operator's act as Cedar sees it: who, and one thing that is acted upon.

use cedar_policy::{Context, Entities, Entity, EntityUid, RestrictedExpression as Value};
use taskpass_core::OperatorName;
use taskpass_core::registry::{Role, Verifier};

use super::entities::make;
use super::{Facts, Question, Unbuildable, entity, long, text};
use crate::operator::{Act, Thing};
use crate::set::PolicySet;
use crate::vocabulary::{Vocabulary, uid};

impl Facts {
    /// What must be allowed for `act` on `thing`. Each thing has its own entities: an update names one
    /// entry twice, as it is and as it would be.
    pub(crate) fn of_act(
        set: &PolicySet,
        act: &Act<'_>,
        thing: &Thing<'_>,
    ) -> Result<Self, Unbuildable> {
        let words = set.vocabulary();
        let (resource, mut entities) = words.thing(thing, act)?;
        let principal = words.operator_uid(act.operator);
        // Who acts upon itself is one entity, with the roles that it is asked about: of an update those
        // that it has are asked about as well.
        if resource != principal {
            entities.push(words.operator_entity(act.operator, act.roles)?);
        }
        let context = [text("reason", act.reason), long("time", act.now.minute())?];
        let context = Context::from_pairs(context).map_err(Unbuildable::schema)?;
        let (action, schema) = (words.verb(act.verb), Some(set.schema()));
        let request = cedar_policy::Request::new(principal, action, resource, context, schema)
            .map_err(Unbuildable::schema)?;
        let question = Question {
            request,
            scope: None,
            observed: false,
        };
        Ok(Self {
            entities: Entities::from_entities(entities, schema).map_err(Unbuildable::schema)?,
            questions: vec![question],
        })
    }
}

impl Vocabulary {
    fn thing(
        &self,
        thing: &Thing<'_>,
        act: &Act<'_>,
    ) -> Result<(EntityUid, Vec<Entity>), Unbuildable> {
        let mut entities = Vec::new();
        let uid = match thing {
            Thing::Broker => self.broker.clone(),
            Thing::Owner(owner) => {
                entities.push(self.owner_entity(owner)?);
                self.owner_uid(&owner.name)
            }
            Thing::Agent(agent, owner) => {
                entities.push(self.agent_entity(agent, act.now)?);
                if let Some(owner) = owner {
                    entities.push(self.owner_entity(owner)?);
                }
                self.agent_uid(&agent.name)
            }
            Thing::Target(target) => {
                entities.push(self.target_entity(target)?);
                self.target_uid(&target.uri)
            }
            Thing::Operator(operator) => {
                entities.push(self.operator_entity(&operator.name, &operator.roles)?);
                self.operator_uid(&operator.name)
            }
            Thing::Verifier(verifier) => {
                entities.push(self.verifier_entity(verifier)?);
                uid(&self.verifier, verifier.name.as_str())
            }
            Thing::Task { id, agent } => {
                entities.push(self.task_entity(*id, &agent.name)?);
                entities.push(self.agent_entity(agent, act.now)?);
                self.task_uid(*id)
            }
            Thing::Credential { id, agent } => {
                let credential = uid(&self.credential, &id.to_string());
                let attributes = [("agent".into(), entity(self.agent_uid(&agent.name)))];
                entities.push(make(credential.clone(), attributes, None, [])?);
                entities.push(self.agent_entity(agent, act.now)?);
                credential
            }
            Thing::Key(id) => uid(&self.key, id),
        };
        Ok((uid, entities))
    }

    fn operator_uid(&self, name: &OperatorName) -> EntityUid {
        uid(&self.operator, name.as_str())
    }

    fn operator_entity<'a>(
        &self,
        name: &OperatorName,
        roles: impl IntoIterator<Item = &'a Role>,
    ) -> Result<Entity, Unbuildable> {
        let roles = roles
            .into_iter()
            .map(|role| entity(uid(&self.role, role.as_str())));
        let attributes = [("roles".into(), Value::new_set(roles))];
        make(self.operator_uid(name), attributes, None, [])
    }

    fn verifier_entity(&self, verifier: &Verifier) -> Result<Entity, Unbuildable> {
        let targets = verifier.targets.iter();
        let targets = targets.map(|target| entity(self.target_uid(target)));
        let attributes = [("targets".into(), Value::new_set(targets))];
        make(
            uid(&self.verifier, verifier.name.as_str()),
            attributes,
            None,
            [],
        )
    }
}
