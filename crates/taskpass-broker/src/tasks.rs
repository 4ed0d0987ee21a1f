//! Reading tasks.

use taskpass_core::caller::Caller;
use taskpass_core::revocation::Facts;
use taskpass_core::task::{Task, TaskState};
use taskpass_core::{AgentName, TaskId, Timestamp};
use taskpass_store::Page;

use crate::broker::Broker;
use crate::error::Error;
use crate::standing::Standing;

/// A task with its state at the moment it was read.
#[derive(Debug, Clone)]
pub struct TaskView {
    /// The task.
    pub task: Task,
    /// What it is doing.
    pub state: TaskState,
}

/// Which tasks to list.
#[derive(Debug, Clone, Default)]
pub struct TaskFilter {
    /// Only this agent's.
    pub agent: Option<AgentName>,
    /// Only those directly under this task.
    pub parent: Option<TaskId>,
    /// Only active ones.
    pub active_only: bool,
}

impl Broker {
    /// The state of a task, rules included: a rule ends a task before its record says so.
    pub(crate) fn task_state(&self, task: &Task, now: Timestamp) -> TaskState {
        match task.state(now) {
            TaskState::Active if self.store.rules().matching(&Facts::of_task(task)).is_some() => {
                TaskState::Revoked
            }
            state => state,
        }
    }

    /// Whether any task above has ended: then nothing is issued under this one either.
    async fn state_with_ancestors(&self, task: &Task, now: Timestamp) -> Result<TaskState, Error> {
        let state = self.task_state(task, now);
        if state != TaskState::Active {
            return Ok(state);
        }
        for above in &task.ancestors {
            let state = match self.store.task(above.task).await? {
                Some(ancestor) => self.task_state(&ancestor, now),
                None => TaskState::Expired,
            };
            if state != TaskState::Active {
                return Ok(state);
            }
        }
        Ok(TaskState::Active)
    }

    /// Reads a task: its agent its own, an operator any.
    pub async fn task(&self, caller: &Standing, id: TaskId) -> Result<TaskView, Error> {
        self.record_read(caller, format!("task {id}")).await?;
        let now = self.clock.now();
        let task = self
            .store
            .task(id)
            .await?
            .filter(|task| may_read(&caller.caller, &task.agent))
            .ok_or(Error::TaskNotFound { task: id })?;
        let state = self.state_with_ancestors(&task, now).await?;
        Ok(TaskView { task, state })
    }

    /// Lists tasks by deadline.
    pub async fn list_tasks(
        &self,
        caller: &Standing,
        mut filter: TaskFilter,
        after: Option<TaskId>,
        limit: usize,
    ) -> Result<Page<TaskView>, Error> {
        self.record_read(caller, "tasks").await?;
        if let Caller::Agent(name) = &caller.caller {
            filter.agent = Some(name.clone());
        }
        let now = self.clock.now();
        let mut after = after;
        let mut views = Vec::new();
        loop {
            let page = match filter.parent {
                Some(parent) => self.store.children(parent, after, limit).await?,
                None => self.store.tasks(filter.agent.clone(), after, limit).await?,
            };
            for task in page.items {
                after = Some(task.id);
                if filter
                    .agent
                    .as_ref()
                    .is_some_and(|agent| task.agent != *agent)
                {
                    continue;
                }
                let state = self.state_with_ancestors(&task, now).await?;
                if filter.active_only && state != TaskState::Active {
                    continue;
                }
                views.push(TaskView { task, state });
                if views.len() == limit {
                    return Ok(Page {
                        items: views,
                        more: true,
                    });
                }
            }
            if !page.more {
                return Ok(Page {
                    items: views,
                    more: false,
                });
            }
        }
    }
}

/// Whether a caller may know of what belongs to `agent`.
pub(crate) fn may_read(caller: &Caller, agent: &AgentName) -> bool {
    match caller {
        Caller::Agent(name) => name == agent,
        Caller::Operator(..) => true,
        Caller::Verifier(..) => false,
    }
}
