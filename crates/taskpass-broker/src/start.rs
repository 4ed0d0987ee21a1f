//! Starting a task: the ceiling under which everything else happens.

use std::collections::BTreeSet;

use taskpass_core::audit::{Asked, Entry, EntryKind, Granted, Outcome};
use taskpass_core::grant::{Ask, Grant};
use taskpass_core::registry::Registry;
use taskpass_core::revocation::Facts;
use taskpass_core::secret::Sha256;
use taskpass_core::task::{MAX_DEPTH, MAX_PURPOSE_LEN, MAX_SCOPES, Task, TaskState};
use taskpass_core::ttl::{self, Bound, Clamp, Ttl};
use taskpass_core::{AgentName, ScopeRef, TaskId, Timestamp};
use taskpass_policy::Request;
use taskpass_store::{Change, Commit, CommitError, Guard, IdempotencyKey, Refusal};

use crate::broker::Broker;
use crate::entry::outbox;
use crate::error::Error;
use crate::issue::{self, ATTEMPTS};
use crate::standing::{Standing, calling_agent};

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
                    return Ok(started);
                }
                Err(Attempt::Again) if attempt < ATTEMPTS => {
                    self.metrics.decided_again.one();
                    self.reload_registry().await?;
                }
                Err(Attempt::Again) => break Error::QueueFull,
                Err(Attempt::Failed(error)) => break error,
            }
        };
        if error.is_denial() {
            let entry = self.denied_start(caller, &agent, &request).await?;
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
        let asked_ttl = request.ttl.unwrap_or(self.limits.task_ttl);
        let grant =
            self.decide_start(&registry, caller, request, parent.as_ref(), asked_ttl, now)?;
        if let Some(parent) = &parent
            && let Some(scope) = request
                .scopes
                .iter()
                .find(|scope| !parent.scopes.contains(scope))
        {
            return Err(Error::ScopeExceedsTask {
                scope: scope.clone(),
            }
            .into());
        }
        let agent_row = registry
            .agent(agent)
            .ok_or_else(|| issue::unknown_agent(agent))?;
        let mut bounds = vec![
            Bound {
                until: now.plus(self.limits.task_max_ttl.duration()),
                clamp: Clamp::TaskMax,
            },
            Bound {
                until: agent_row.value.valid_until,
                clamp: Clamp::AgentValidity,
            },
        ];
        bounds.extend(parent.iter().map(|task| Bound {
            until: task.deadline_at(),
            clamp: Clamp::ParentDeadline,
        }));
        let (deadline, clamped_by) = ttl::clamp(now, asked_ttl, &bounds);
        let task = Task {
            id: TaskId::generate(deadline, &*self.rng),
            agent: agent.clone(),
            purpose: request.purpose.clone(),
            scopes: request.scopes.clone(),
            ancestors: parent.as_ref().map(Task::lineage).unwrap_or_default(),
            started_at: now,
            decision: grant.basis().id,
            ended: None,
        };
        let started = Started { task, clamped_by };
        self.commit_start(caller, request, grant, &registry, started, now)
            .await
    }

    fn decide_start(
        &self,
        registry: &Registry,
        caller: &Standing,
        request: &StartRequest,
        parent: Option<&Task>,
        ttl: Ttl,
        now: Timestamp,
    ) -> Result<Grant, Error> {
        let agent = calling_agent(caller)?;
        let agent = registry
            .agent(agent)
            .ok_or_else(|| issue::unknown_agent(agent))?;
        let targets = issue::targets_of(registry, &request.scopes)?;
        let depth = parent.map_or(0, |task| task.ancestors.len() + 1);
        if depth > MAX_DEPTH {
            return Err(Error::TaskTooDeep { max: MAX_DEPTH });
        }
        self.policy
            .decide(
                self.decision_id(now),
                &Request {
                    agent,
                    owner: registry.owner(&agent.value.owner).map(AsRef::as_ref),
                    targets,
                    ask: Ask::Scopes(request.scopes.clone()),
                    delegating_from: parent.map(|task| &task.agent),
                    task: parent.map(|task| task.id),
                    purpose: &request.purpose,
                    depth,
                    ttl,
                    attestation: caller.method(),
                    now,
                },
            )
            .map_err(|denial| Error::PolicyDenied(Box::new(denial)))
    }

    async fn commit_start(
        &self,
        caller: &Standing,
        request: &StartRequest,
        grant: Grant,
        registry: &Registry,
        started: Started,
        now: Timestamp,
    ) -> Result<Started, Attempt> {
        let task = &started.task;
        let idempotency = request.idempotency_key.as_ref().map(|key| IdempotencyKey {
            agent: task.agent.clone(),
            key: Sha256::of(key.as_bytes()),
            request: fingerprint(request),
        });
        let mut entry = self.entry(caller, now, EntryKind::TaskStart, Outcome::Allow);
        entry.id = grant.basis().id;
        entry.set_task(task);
        entry.asked = Some(asked(request));
        entry.granted = Some(Granted::new(task.scopes.clone(), now, task.deadline_at()));
        entry.clamped_by = started.clamped_by;
        entry.decision = Some(grant.basis().into());

        let mut commit = Commit::new(now);
        commit.guards.extend(issue::unchanged(&grant, registry));
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
        let commit = commit
            .change(Change::StartTask {
                task: task.clone(),
                idempotency,
            })
            .change(outbox(&entry)?);
        match self.commit(commit).await {
            Ok(_) => Ok(started),
            Err(CommitError::Refused(Refusal::Changed { .. })) => Err(Attempt::Again),
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

fn asked(request: &StartRequest) -> Asked {
    Asked {
        scopes: request.scopes.clone(),
        ttl: request.ttl,
    }
}

fn check_shape(request: &StartRequest) -> Result<(), Error> {
    check_purpose(&request.purpose)?;
    if !(1..=MAX_SCOPES).contains(&request.scopes.len()) {
        let message = format!("name 1 to {MAX_SCOPES} scopes as TARGET#SCOPE");
        return Err(Error::InvalidScope { message });
    }
    if let Some(key) = &request.idempotency_key
        && !(1..=128).contains(&key.len())
    {
        return Err(Error::field("idempotency_key", "1 to 128 bytes"));
    }
    Ok(())
}

/// Whether a task can be for this.
pub(crate) fn check_purpose(purpose: &str) -> Result<(), Error> {
    if !(1..=MAX_PURPOSE_LEN).contains(&purpose.chars().count())
        || purpose.chars().any(char::is_control)
        || purpose.trim().is_empty()
    {
        return Err(Error::field(
            "purpose",
            format!("what the task is for, 1 to {MAX_PURPOSE_LEN} characters without line breaks"),
        ));
    }
    Ok(())
}

/// What a request asks for, so that one idempotency key cannot stand for two requests.
fn fingerprint(request: &StartRequest) -> Sha256 {
    let mut text = Vec::new();
    let mut part = |bytes: &[u8]| {
        text.extend_from_slice(&u64::try_from(bytes.len()).unwrap_or(u64::MAX).to_be_bytes());
        text.extend_from_slice(bytes);
    };
    part(request.purpose.as_bytes());
    part(
        &request
            .ttl
            .map_or(0, |ttl| ttl.duration().as_millis())
            .to_be_bytes(),
    );
    part(
        request
            .parent
            .map_or_else(String::new, |id| id.to_string())
            .as_bytes(),
    );
    for scope in &request.scopes {
        part(scope.to_string().as_bytes());
    }
    Sha256::of(&text)
}
