//! Starting a task: the ceiling under which everything else happens.
//!
//! A child task is run by the agent that starts it, or handed on to another one. Handing on is denied
//! until a policy permits the pair; the child then belongs to the other agent, and stands beneath the
//! starter's task with all that follows from that.

mod decide;
mod shape;

use std::collections::BTreeSet;

use taskpass_core::audit::{DecisionFacts, Entry, EntryKind, Granted, Outcome};
use taskpass_core::grant::Grant;
use taskpass_core::identity::Principal;
use taskpass_core::registry::Registry;
use taskpass_core::revocation::Facts;
use taskpass_core::secret::Sha256;
use taskpass_core::task::{Task, TaskState};
use taskpass_core::ttl::{self, Bound, Clamp, Ttl};
use taskpass_core::{AgentName, ScopeRef, TaskId, Timestamp};
use taskpass_store::{Change, Commit, CommitError, Guard, IdempotencyKey, Refusal};

use crate::broker::Broker;
use crate::chain::{Chain, refused_above};
use crate::entry::{concern, outbox};
use crate::error::Error;
use crate::issue::{self, ATTEMPTS};
use crate::policy::current::is_outdated;
use crate::standing::{Standing, calling_agent};
use decide::{Starting, runner};
use shape::{asked, check_shape, fingerprint};

pub(crate) use shape::check_purpose;

/// How many times more children a task may have before their deadlines than live ones, and how many
/// at least: ended ones are counted one by one.
const ENDED_CHILDREN: (u64, u64) = (16, 1024);

/// What an agent asks for.
#[derive(Debug, Clone)]
pub struct StartRequest {
    /// What the task is for.
    pub purpose: String,
    /// The ceiling.
    pub scopes: BTreeSet<ScopeRef>,
    /// How long it may last.
    pub ttl: Option<Ttl>,
    /// The task that it becomes a part of.
    pub parent: Option<TaskId>,
    /// The agent that is to run it; whoever asks, if absent. Needs a parent.
    pub agent: Option<AgentName>,
    /// What makes a repeated start the same start.
    pub idempotency_key: Option<String>,
}

/// A task that has started.
#[derive(Debug, Clone)]
pub struct Started {
    /// The task as it is recorded.
    pub task: Task,
    /// What shortened it.
    pub clamped_by: Option<Clamp>,
    /// Whether no policy permits it, and it was started because its targets are only observed.
    pub would_deny: bool,
}

impl Broker {
    /// Starts a task. It is recorded, with the decision, before this returns.
    pub async fn start_task(
        &self,
        caller: &Standing,
        request: StartRequest,
    ) -> Result<Started, Error> {
        let agent = calling_agent(caller)?.clone();
        check_shape(&request)?;
        let mut attempt = 0;
        let error = loop {
            attempt += 1;
            match self.try_start(caller, &agent, &request).await {
                Ok(started) => {
                    self.metrics.tasks.one();
                    self.metrics.would_deny.add(started.would_deny.into());
                    return Ok(started);
                }
                Err(Attempt::Again) if attempt < ATTEMPTS => {
                    self.metrics.decided_again.one();
                    self.read_again().await?;
                }
                Err(Attempt::Again) => break Error::QueueFull,
                Err(Attempt::Failed(error)) => break error,
            }
        };
        if self.count_limited(caller, &error) {
            return Err(error);
        }
        if error.is_denial() {
            let mut entry = self.denied_start(caller, &agent, &request).await?;
            let runner = request.agent.as_ref().unwrap_or(&agent);
            entry.subject = refused_above(&error, runner).map(|agent| format!("agent {agent}"));
            self.record_denial(entry, &error).await?;
        }
        Err(error)
    }

    async fn denied_start(
        &self,
        caller: &Standing,
        agent: &AgentName,
        request: &StartRequest,
    ) -> Result<Entry, Error> {
        let now = self.clock.now();
        let mut entry = self.entry(caller, now, EntryKind::TaskStart, Outcome::Deny);
        entry.purpose = Some(request.purpose.clone());
        entry.asked = Some(asked(request));
        entry.parent = request.parent;
        if let Some(other) = &request.agent {
            let other = Principal::Agent(other.clone());
            concern(&mut entry, &self.registry.load(), &other);
        }
        if let Some(id) = request.parent
            && let Some(parent) = self.own_task(agent, id).await?
        {
            entry.ancestors = parent.lineage();
        }
        Ok(entry)
    }

    async fn try_start(
        &self,
        caller: &Standing,
        agent: &AgentName,
        request: &StartRequest,
    ) -> Result<Started, Attempt> {
        let now = self.clock.safe_now()?;
        let registry = self.registry.load_full();
        issue::check_system(&registry)?;
        let parent = match request.parent {
            Some(id) => Some(self.live_own_task(agent, id, now).await?),
            None => None,
        };
        let runner = runner(&registry, agent, request.agent.as_ref(), now)?;
        let ancestors = parent.as_ref().map(Task::lineage).unwrap_or_default();
        let asked_ttl = request.ttl.unwrap_or(self.limits.task_ttl);
        let starting = Starting {
            registry: &registry,
            starter: agent,
            agent: runner,
            parent: parent.as_ref(),
            ancestors: &ancestors,
            ttl: asked_ttl,
            now,
        };
        let (grant, chain) = self.decide_start(caller, request, &starting)?;
        let mut bounds = vec![Bound {
            until: now.plus(self.limits.task_max_ttl.duration()),
            clamp: Clamp::TaskMax,
        }];
        let agents = std::iter::once(&runner.value).chain(chain.agents.iter().copied());
        bounds.extend(agents.map(|agent| Bound {
            until: agent.valid_until,
            clamp: Clamp::AgentValidity,
        }));
        bounds.extend(parent.iter().map(|task| Bound {
            until: task.deadline_at(),
            clamp: Clamp::ParentDeadline,
        }));
        let (deadline, clamped_by) = ttl::clamp(now, asked_ttl, &bounds);
        let task = Task {
            id: TaskId::generate(deadline, &*self.rng),
            agent: runner.value.name.clone(),
            purpose: request.purpose.clone(),
            scopes: request.scopes.clone(),
            ancestors,
            started_at: now,
            decision: grant.basis().id,
            ended: None,
        };
        let started = Started {
            task,
            clamped_by,
            would_deny: grant.basis().would_deny || chain.would_deny,
        };
        self.commit_start(caller, request, (grant, chain), &registry, started, now)
            .await
    }

    async fn commit_start(
        &self,
        caller: &Standing,
        request: &StartRequest,
        (grant, chain): (Grant, Chain<'_>),
        registry: &Registry,
        started: Started,
        now: Timestamp,
    ) -> Result<Started, Attempt> {
        let task = &started.task;
        let idempotency = request.idempotency_key.as_ref().map(|key| IdempotencyKey {
            agent: task.starter().clone(),
            key: Sha256::of(key.as_bytes()),
            request: fingerprint(request),
        });
        let mut entry = self.entry(caller, now, EntryKind::TaskStart, Outcome::Allow);
        entry.id = grant.basis().id;
        let runner = Principal::Agent(task.agent.clone());
        concern(&mut entry, registry, &runner);
        entry.set_task(task);
        entry.asked = Some(asked(request));
        entry.granted = Some(Granted::new(task.scopes.clone(), now, task.deadline_at()));
        entry.clamped_by = started.clamped_by;
        entry.decision = Some(DecisionFacts {
            would_deny: started.would_deny,
            ..grant.basis().into()
        });

        let mut commit = Commit::new(now);
        commit.guards.extend(issue::unchanged(&grant, registry));
        commit.guards.extend(chain.guards());
        // The parent first: of one that was just revoked it is said that it is over, not that
        // trying again may help.
        commit
            .guards
            .extend(task.parent().map(|id| Guard::TaskLive { id }));
        commit.guards.push(Guard::NotRevoked(Facts::of_task(task)));
        commit.guards.push(Guard::NotRevoked(caller.facts.clone()));
        commit
            .guards
            .extend(idempotency.clone().map(Guard::NotStarted));
        // Last: what was started already is answered also where there is no room for another one.
        commit.guards.extend(task.ancestors.first().map(|above| {
            let amounts = &self.limits.amounts;
            fewer_children(above.task, amounts.fan_out(registry, &above.agent))
        }));
        commit
            .guards
            .extend(self.limits.amounts.task_guards(registry, task));
        let commit = commit
            .change(Change::StartTask {
                task: task.clone(),
                idempotency,
                owner: issue::owner_of(registry, &task.agent)?,
            })
            .change(outbox(&entry)?);
        match self.commit(commit).await {
            Ok(_) => Ok(started),
            Err(error) if is_outdated(&error) => Err(Attempt::Again),
            Err(CommitError::Refused(Refusal::AlreadyStarted {
                task,
                same_request: true,
            })) => {
                let task = self
                    .store
                    .task(task)
                    .await?
                    .ok_or(Error::TaskNotFound { task })?;
                Ok(Started {
                    task,
                    clamped_by: None,
                    would_deny: started.would_deny,
                })
            }
            Err(error) => Err(Error::from_commit(error).into()),
        }
    }

    /// A task of `agent`, whatever became of it.
    pub(crate) async fn own_task(
        &self,
        agent: &AgentName,
        id: TaskId,
    ) -> Result<Option<Task>, Error> {
        let task = self.store.task(id).await?;
        Ok(task.filter(|task| task.agent == *agent))
    }

    /// A task that `agent` runs, or one beneath such a task, whatever became of it: what it may see
    /// and end.
    pub(crate) async fn task_in_reach(
        &self,
        agent: &AgentName,
        id: TaskId,
    ) -> Result<Option<Task>, Error> {
        let task = self.store.task(id).await?;
        Ok(task.filter(|task| task.is_in_chain(agent)))
    }

    /// A task of `agent` that is live at `now`. Another agent's task is as unknown as none.
    pub(crate) async fn live_own_task(
        &self,
        agent: &AgentName,
        id: TaskId,
        now: Timestamp,
    ) -> Result<Task, Error> {
        let task = self.own_task(agent, id).await?;
        let task = task.ok_or(Error::TaskNotFound { task: id })?;
        match self.task_state(&task, now) {
            TaskState::Active => Ok(task),
            state => Err(Error::TaskNotActive { task: id, state }),
        }
    }
}

/// The guard of how many tasks may stand directly beneath one: `live` live ones.
fn fewer_children(parent: TaskId, live: u64) -> Guard {
    let (times, least) = ENDED_CHILDREN;
    Guard::FewerChildren {
        parent,
        live,
        all: live.saturating_mul(times).max(least),
    }
}

/// One attempt's outcome: what it decided on may have changed meanwhile.
pub(crate) enum Attempt {
    /// Decide once more.
    Again,
    /// That is the answer.
    Failed(Error),
}

impl From<Error> for Attempt {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

impl From<taskpass_store::StoreError> for Attempt {
    fn from(error: taskpass_store::StoreError) -> Self {
        Self::Failed(error.into())
    }
}
