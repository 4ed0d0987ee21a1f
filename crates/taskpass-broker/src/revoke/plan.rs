//! What a revocation will change, worked out before it does: rules, states, keys, and how many
//! credentials that ends.

use taskpass_core::identity::Principal;
use taskpass_core::key::KeyPurpose;
use taskpass_core::registry::{Registry, Row, RowKey, State, System};
use taskpass_core::revocation::Selector;
use taskpass_core::task::{EndReason, Ended};
use taskpass_core::{AgentName, CredentialId, DecisionId, OwnerName, TargetUri, TaskId, Timestamp};
use taskpass_store::{Change, Counter, Guard, MetaKey, registry_version_value};

use super::describe::Named;
use super::taint::Which;
use super::{Revoke, RevokeWhat};
use crate::broker::Broker;
use crate::error::Error;
use crate::live::Live;

/// What one rule will match, the only target it concerns, and what is known of a tainted key.
pub(super) type Draft = (
    Selector,
    Option<TargetUri>,
    Option<(KeyPurpose, Option<Timestamp>)>,
);

/// What a revocation will change, before it does.
#[derive(Default)]
pub(super) struct Plan {
    pub(super) drafts: Vec<Draft>,
    pub(super) owner: Option<OwnerName>,
    pub(super) rows: Vec<Row>,
    pub(super) guards: Vec<Guard>,
    pub(super) changes: Vec<Change>,
    pub(super) live: Option<Live>,
    pub(super) keys_change: bool,
    /// What was read of the credential or task.
    pub(super) named: Option<Named>,
}

/// How what an owner's agents hold is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Count {
    /// One by one, as far as that goes.
    Look,
    /// By the counters' bound: somebody changes the registry faster than things can be looked at.
    Bound,
}

impl Count {
    /// That of an attempt, the first of which is 0.
    pub(super) const fn at(attempt: u32) -> Self {
        if attempt < 2 { Self::Look } else { Self::Bound }
    }
}

impl Broker {
    /// Works out what `request` will change, and `id` will record.
    pub(super) async fn plan(
        &self,
        registry: &Registry,
        request: &Revoke,
        id: DecisionId,
        (now, count): (Timestamp, Count),
    ) -> Result<Plan, Error> {
        let suspend = !request.no_suspend;
        match &request.what {
            RevokeWhat::Credential(id) => self.plan_credential(*id, now).await,
            RevokeWhat::Task(id) => self.plan_task(*id, now).await,
            RevokeWhat::Agent(name) => {
                let live = self.live_of_agents(std::slice::from_ref(name), now).await?;
                let mut plan = Plan {
                    live: Some(live),
                    ..Plan::default()
                };
                plan_agent(registry, name, suspend, &mut plan)?;
                Ok(plan)
            }
            RevokeWhat::Owner(name) => {
                let state = suspend.then_some(State::Suspended);
                self.plan_owner(registry, name, state, (now, count)).await
            }
            RevokeWhat::Target(uri) => self.plan_target(registry, uri, suspend, now).await,
            RevokeWhat::Key(text) => self.plan_key(text, id, Which::OfTasks, now).await,
            RevokeWhat::Everything => {
                let system = Row::System(System {
                    state: State::Suspended,
                    ..registry.system()
                });
                Ok(Plan {
                    drafts: vec![(Selector::Everything, None, None)],
                    guards: vec![unchanged(registry, RowKey::System)],
                    rows: vec![system],
                    live: Some(self.live_at_all(now).await?),
                    ..Plan::default()
                })
            }
        }
    }

    async fn plan_credential(&self, id: CredentialId, now: Timestamp) -> Result<Plan, Error> {
        let credential = self.store.credential(id).await?;
        let credential = credential.ok_or(Error::CredentialNotFound { credential: id })?;
        let live = Live::exactly(u64::from(self.is_live(&credential, now)));
        let only = credential.target().cloned();
        Ok(Plan {
            drafts: vec![(Selector::Credential(id), only, None)],
            live: Some(live),
            named: Some(Named::Credential(Box::new(credential))),
            ..Plan::default()
        })
    }

    async fn plan_task(&self, id: TaskId, now: Timestamp) -> Result<Plan, Error> {
        let task = self.store.task(id).await?;
        let task = task.ok_or(Error::TaskNotFound { task: id })?;
        let found = self.live_under(id, now).await?;
        let live = if found.whole {
            Live::exactly(found.count)
        } else {
            let bound = self
                .store
                .live(Counter::Agent(task.agent.clone()), now)
                .await?;
            Live::at_most(bound.max(found.count))
        };
        let ended = Ended {
            at: now,
            reason: EndReason::Revoked,
        };
        Ok(Plan {
            drafts: vec![(Selector::Task(id), None, None)],
            changes: vec![Change::EndTask { id, ended }],
            live: Some(live),
            named: Some(Named::Task(Box::new(task))),
            ..Plan::default()
        })
    }

    /// One rule for each agent of the owner, so that verifiers need not know who owns whom.
    async fn plan_owner(
        &self,
        registry: &Registry,
        name: &OwnerName,
        state: Option<State>,
        (now, count): (Timestamp, Count),
    ) -> Result<Plan, Error> {
        let key = RowKey::Owner(name.clone());
        let row = registry
            .owner(name)
            .ok_or_else(|| Error::EntryNotFound { key: key.clone() })?;
        let agents: Vec<_> = registry
            .agents_of(name)
            .map(|row| row.value.name.clone())
            .collect();
        let live = match count {
            Count::Look => self.live_of_agents(&agents, now).await?,
            Count::Bound => Live::at_most(self.bound_of_agents(&agents, now).await?),
        };
        let mut plan = Plan {
            owner: Some(name.clone()),
            live: Some(live),
            ..Plan::default()
        };
        // An agent that comes to the owner after this checks the owner's version in its own commit; of
        // one that came before, and is not known here yet, only the version of the whole tells.
        plan.guards.push(unchanged(registry, key));
        plan.guards.push(Guard::MetaIs {
            key: MetaKey::RegistryVersion,
            value: registry_version_value(registry.version_of_all()),
        });
        for agent in &agents {
            plan_agent(registry, agent, false, &mut plan)?;
            plan.guards
                .push(unchanged(registry, RowKey::Agent(agent.clone())));
        }
        // Retired is for ever: what is suspended could be resumed.
        if let Some(state) = state
            && row.value.state == State::Active
        {
            let mut owner = row.value.clone();
            owner.state = state;
            plan.rows.push(Row::Owner(owner));
        }
        Ok(plan)
    }

    async fn plan_target(
        &self,
        registry: &Registry,
        uri: &TargetUri,
        suspend: bool,
        now: Timestamp,
    ) -> Result<Plan, Error> {
        let key = RowKey::Target(uri.clone());
        let row = registry
            .target(uri)
            .ok_or_else(|| Error::EntryNotFound { key: key.clone() })?;
        let mut plan = Plan {
            drafts: vec![(Selector::Target(uri.clone()), Some(uri.clone()), None)],
            live: Some(self.live_at_target(uri, now).await?),
            ..Plan::default()
        };
        if suspend {
            plan.guards.push(unchanged(registry, key));
        }
        if suspend && row.value.state == State::Active {
            let mut target = row.value.clone();
            target.state = State::Suspended;
            plan.rows.push(Row::Target(target));
        }
        Ok(plan)
    }
}

fn plan_agent(
    registry: &Registry,
    name: &AgentName,
    suspend: bool,
    plan: &mut Plan,
) -> Result<(), Error> {
    let key = RowKey::Agent(name.clone());
    let row = registry
        .agent(name)
        .ok_or_else(|| Error::EntryNotFound { key: key.clone() })?;
    plan.drafts
        .push((Selector::Agent(name.clone()), None, None));
    plan.changes
        .push(Change::VoidEnrolments(Principal::Agent(name.clone())));
    // The rule is forgotten once every certificate that it matches has ended; registered keys last
    // longer, so they go now.
    let has_keys = !row.value.client_keys.is_empty();
    if suspend || has_keys {
        // Also of one that is suspended already: a resume must not slip in between.
        plan.guards.push(unchanged(registry, key));
    }
    let suspends = suspend && row.value.state == State::Active;
    if suspends || has_keys {
        let mut agent = row.value.clone();
        agent.client_keys.clear();
        if suspends {
            agent.state = State::Suspended;
        }
        plan.rows.push(Row::Agent(agent));
    }
    Ok(())
}

/// The guard that a row still is as it was read.
pub(super) fn unchanged(registry: &Registry, key: RowKey) -> Guard {
    let version = registry.version(&key);
    Guard::Unchanged { key, version }
}
