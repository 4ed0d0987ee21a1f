//! Reading tasks.

use taskpass_core::caller::Caller;
use taskpass_core::revocation::Facts;
use taskpass_core::task::{Task, TaskState};
use taskpass_core::{AgentName, TaskId, Timestamp};

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

/// Some of the tasks that a list has.
#[derive(Debug, Clone)]
pub struct TaskPage {
    /// The tasks; fewer than asked for, even none, do not mean that these are all.
    pub items: Vec<TaskView>,
    /// After which one to go on, if there is more to look at.
    pub next: Option<TaskId>,
}

/// Tasks that one call looks at, about.
const LOOK_AT: usize = 5_000;
/// Tasks that are read at a time where many may be passed over.
const AT_ONCE: usize = 500;

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
    pub(crate) async fn state_with_ancestors(
        &self,
        task: &Task,
        now: Timestamp,
    ) -> Result<TaskState, Error> {
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

    /// Reads a task: an agent its own and what stands beneath them, an operator any.
    pub async fn task(&self, caller: &Standing, id: TaskId) -> Result<TaskView, Error> {
        self.record_read(caller, format!("task {id}")).await?;
        let now = self.clock.now();
        let task = self
            .store
            .task(id)
            .await?
            .filter(|task| may_see(&caller.caller, task))
            .ok_or(Error::TaskNotFound { task: id })?;
        let state = self.state_with_ancestors(&task, now).await?;
        Ok(TaskView { task, state })
    }

    /// Lists tasks by deadline: of an agent its own, or, beneath a task, what it may see there.
    ///
    /// Tasks that have ended are bounded by nothing but their deadlines, so one call looks at so many
    /// and says where to go on.
    pub async fn list_tasks(
        &self,
        caller: &Standing,
        mut filter: TaskFilter,
        after: Option<TaskId>,
        limit: usize,
    ) -> Result<TaskPage, Error> {
        self.record_read(caller, "tasks").await?;
        if let Caller::Agent(name) = &caller.caller
            && filter.parent.is_none()
        {
            filter.agent = Some(name.clone());
        }
        let now = self.clock.now();
        let mut after = after;
        let mut at_once = limit;
        if filter.active_only {
            // What is past its deadline lies before this edge.
            after = after.max(Some(TaskId::first_at(now)));
            at_once = limit.max(AT_ONCE);
        }
        let mut looked_at = 0_usize;
        let mut items = Vec::new();
        loop {
            let page = if let Some(parent) = filter.parent {
                self.store.children(parent, after, at_once).await?
            } else {
                let agent = filter.agent.clone();
                self.store.tasks(agent, after, at_once).await?
            };
            looked_at = looked_at.saturating_add(page.items.len());
            for task in page.items {
                after = Some(task.id);
                if let Some(view) = self.listed(&caller.caller, &filter, task, now).await? {
                    items.push(view);
                }
                if items.len() == limit {
                    return Ok(TaskPage { items, next: after });
                }
            }
            let next = after.filter(|_| page.more);
            if next.is_none() || looked_at >= LOOK_AT {
                return Ok(TaskPage { items, next });
            }
        }
    }

    /// A task as a list shows it, if it does.
    async fn listed(
        &self,
        caller: &Caller,
        filter: &TaskFilter,
        task: Task,
        now: Timestamp,
    ) -> Result<Option<TaskView>, Error> {
        let of_another = filter
            .agent
            .as_ref()
            .is_some_and(|name| task.agent != *name);
        if of_another || !may_see(caller, &task) {
            return Ok(None);
        }
        let state = self.state_with_ancestors(&task, now).await?;
        let shown = !filter.active_only || state == TaskState::Active;
        Ok(shown.then_some(TaskView { task, state }))
    }
}

/// Whether a caller may know of a task: of its own, of whatever was started beneath one of those by
/// whomever, and an operator of any.
pub(crate) fn may_see(caller: &Caller, task: &Task) -> bool {
    match caller {
        Caller::Agent(name) => task.is_in_chain(name),
        Caller::Operator(..) => true,
        Caller::Verifier(..) => false,
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
