//! Retiring an entry: refused for ever, and of an agent or owner, whatever it holds is revoked in the
//! same commit.
//!
//! Retiring an owner is offboarding it: one act that ends the tasks and credentials of each of its
//! agents, voids their pending enrolment tokens, and leaves the agents registered, so that they can be
//! given to somebody else. What that ends is counted before, and told truthfully: exactly, or as a
//! bound that is not exceeded.

use std::collections::BTreeSet;

use taskpass_core::registry::{Registry, Row, RowKey, State, Versioned};
use taskpass_core::task::{Task, TaskState};
use taskpass_core::verb::Verb;
use taskpass_core::{AgentName, TaskId, Timestamp};
use taskpass_store::Counter;

use super::plan::{Count, Plan, unchanged};
use super::{ATTEMPTS, Revoke, RevokeWhat, check_reason};
use crate::broker::Broker;
use crate::error::Error;
use crate::live::Live;
use crate::registry::{read, state};
use crate::standing::Standing;
use crate::start::Attempt;

/// Tasks read at a time.
const PAGE: usize = 500;
/// Tasks looked at before counting gives up for the bound of the counters: retiring must not wait for
/// an agent that made itself large.
const LOOK_AT: usize = 4_000;
/// The bound above which nothing is looked at.
const MOST: u64 = 4_000;

/// How many tasks are ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tasks {
    /// How many.
    pub count: u64,
    /// Whether that is exact, or an upper bound.
    pub exact: bool,
}

impl Tasks {
    const NONE: Self = Self {
        count: 0,
        exact: true,
    };
}

/// What retiring an entry ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ended {
    /// Agents that are registered and, from then on, get nothing.
    pub agents: u64,
    /// Their tasks, with what was started beneath them.
    pub tasks: Tasks,
    /// Live credentials.
    pub live: Live,
}

impl Ended {
    pub(crate) const NOTHING: Self = Self {
        agents: 0,
        tasks: Tasks::NONE,
        live: Live::NONE,
    };
}

/// A retired entry, or one that would be.
#[derive(Debug, Clone)]
pub struct Retired {
    /// The entry; of a dry run, as it is.
    pub row: Versioned<Row>,
    /// What that ended, or would.
    pub ended: Ended,
    /// The version of the registry: the one that this made, or of a dry run the present one.
    pub registry_version: u64,
}

impl Broker {
    /// Refuses an entry for ever; of an agent or owner, revokes what it holds.
    pub async fn retire(
        &self,
        caller: &Standing,
        key: RowKey,
        reason: &str,
    ) -> Result<Retired, Error> {
        check_reason(reason)?;
        let Some(what) = holder(&key) else {
            let written = self.set_state(caller, key, State::Retired, reason).await?;
            return Ok(Retired {
                registry_version: written.registry_version,
                row: written.row,
                ended: Ended::NOTHING,
            });
        };
        let request = Revoke {
            what,
            reason: reason.to_owned(),
            dry_run: false,
            no_suspend: true,
        };
        for attempt in 0..ATTEMPTS {
            let now = self.clock.now().max(self.store.last_committed_at());
            let registry = self.registry.load_full();
            let row = not_retired(&registry, &key)?;
            let caller = &self
                .let_write(caller, Verb::Retire, &registry, &row.value, reason, now)
                .await?;
            let id = self.decision_id(now);
            let count = Count::at(attempt);
            let mut plan = self.plan(&registry, &request, id, (now, count)).await?;
            let retired = retired(row.value);
            put_retired(&mut plan, &registry, retired.clone());
            let live = plan.live.unwrap_or(Live::NONE);
            let ended = self.ended(&registry, &key, live, (now, count)).await?;
            match self
                .commit_plan(caller, &request, id, &registry, plan, now)
                .await
            {
                Ok(committed) => {
                    let mut versions = committed.rows.iter();
                    let version = versions.rfind(|(written, _)| *written == key);
                    return Ok(Retired {
                        row: Versioned {
                            value: retired,
                            version: version.map_or(0, |(_, version)| *version),
                        },
                        ended,
                        registry_version: committed.registry_version.unwrap_or(0),
                    });
                }
                Err(Attempt::Again) => self.read_again().await?,
                Err(Attempt::Failed(error)) => return Err(error),
            }
        }
        Err(Error::QueueFull)
    }

    /// What retiring an entry would end. Changes nothing.
    pub async fn what_retiring_ends(
        &self,
        caller: &Standing,
        key: &RowKey,
    ) -> Result<Retired, Error> {
        let now = self.clock.now().max(self.store.last_committed_at());
        let registry = self.registry.load_full();
        let row = not_retired(&registry, key)?;
        let caller = &self
            .let_write(caller, Verb::Retire, &registry, &row.value, "", now)
            .await?;
        let agents = agents_behind(&registry, key);
        let live = self.live_of_agents(&agents, now).await?;
        let ended = self.ended(&registry, key, live, (now, Count::Look)).await?;
        self.record_read(caller, format!("what retiring {key} would end"))
            .await?;
        Ok(Retired {
            row,
            ended,
            registry_version: registry.version_of_all(),
        })
    }

    async fn ended(
        &self,
        registry: &Registry,
        key: &RowKey,
        live: Live,
        (now, count): (Timestamp, Count),
    ) -> Result<Ended, Error> {
        let names = agents_behind(registry, key);
        Ok(Ended {
            agents: u64::try_from(names.len()).unwrap_or(u64::MAX),
            tasks: match count {
                Count::Look => self.live_tasks_of(&names, now).await?,
                Count::Bound => self.bound_of_tasks(&names, now).await?,
            },
            live,
        })
    }

    /// The tasks of these agents that live, and those beneath them, whoever runs them.
    pub(crate) async fn live_tasks_of(
        &self,
        agents: &[AgentName],
        now: Timestamp,
    ) -> Result<Tasks, Error> {
        let bound = self.bound_of_tasks(agents, now).await?.count;
        let mut walk = Walk::default();
        if bound <= MOST {
            for agent in agents {
                let mut after = Some(TaskId::first_at(now));
                loop {
                    let page = self.store.tasks(Some(agent.clone()), after, PAGE).await?;
                    after = page.items.last().map(|task| task.id);
                    walk.waiting.extend(page.items);
                    self.look_beneath(&mut walk, now).await?;
                    if !page.more || walk.gave_up() {
                        break;
                    }
                }
            }
            if !walk.gave_up() {
                return Ok(Tasks {
                    count: walk.live,
                    exact: true,
                });
            }
        }
        Ok(Tasks {
            count: bound.max(walk.live),
            exact: false,
        })
    }

    /// An upper bound on the tasks of these agents that live.
    pub(crate) async fn bound_of_tasks(
        &self,
        agents: &[AgentName],
        now: Timestamp,
    ) -> Result<Tasks, Error> {
        let mut count = 0_u64;
        for agent in agents {
            let counter = Counter::AgentTasks(agent.clone());
            count = count.saturating_add(self.store.live(counter, now).await?);
        }
        let exact = count == 0;
        Ok(Tasks { count, exact })
    }

    async fn look_beneath(&self, walk: &mut Walk, now: Timestamp) -> Result<(), Error> {
        while let Some(task) = walk.waiting.pop() {
            if walk.gave_up() {
                return Ok(());
            }
            if !walk.seen.insert(task.id) {
                continue;
            }
            // Beneath what is over, everything is.
            if self.state_with_ancestors(&task, now).await? != TaskState::Active {
                continue;
            }
            walk.live += 1;
            let mut after = None;
            loop {
                let page = self.store.children(task.id, after, PAGE).await?;
                after = page.items.last().map(|task| task.id);
                walk.waiting.extend(page.items);
                if !page.more || walk.gave_up() {
                    break;
                }
            }
        }
        Ok(())
    }
}

/// A walk over tasks and what is beneath them.
#[derive(Default)]
struct Walk {
    waiting: Vec<Task>,
    seen: BTreeSet<TaskId>,
    live: u64,
}

impl Walk {
    fn gave_up(&self) -> bool {
        self.seen.len().saturating_add(self.waiting.len()) > LOOK_AT
    }
}

/// What is revoked when this entry is retired.
fn holder(key: &RowKey) -> Option<RevokeWhat> {
    match key {
        RowKey::Agent(name) => Some(RevokeWhat::Agent(name.clone())),
        RowKey::Owner(name) => Some(RevokeWhat::Owner(name.clone())),
        RowKey::Target(_) | RowKey::Operator(_) | RowKey::Verifier(_) | RowKey::System => None,
    }
}

/// The agents that an entry is, or answers for.
fn agents_behind(registry: &Registry, key: &RowKey) -> Vec<AgentName> {
    match key {
        RowKey::Agent(name) => vec![name.clone()],
        RowKey::Owner(name) => registry
            .agents_of(name)
            .filter(|row| row.value.state != State::Retired)
            .map(|row| row.value.name.clone())
            .collect(),
        RowKey::Target(_) | RowKey::Operator(_) | RowKey::Verifier(_) | RowKey::System => {
            Vec::new()
        }
    }
}

fn not_retired(registry: &Registry, key: &RowKey) -> Result<Versioned<Row>, Error> {
    let row = read(registry, key)?;
    if state(&row.value) == State::Retired {
        return Err(Error::Retired { key: key.clone() });
    }
    Ok(row)
}

/// The row as it is from then on. Registered keys go: nothing else ends them.
pub(crate) fn retired(row: Row) -> Row {
    match crate::registry::with_state(row, State::Retired) {
        Row::Agent(mut agent) => {
            agent.client_keys.clear();
            Row::Agent(agent)
        }
        other => other,
    }
}

fn put_retired(plan: &mut Plan, registry: &Registry, row: Row) {
    let key = row.key();
    plan.rows.retain(|row| row.key() != key);
    plan.guards.push(unchanged(registry, key));
    plan.rows.push(row);
}
