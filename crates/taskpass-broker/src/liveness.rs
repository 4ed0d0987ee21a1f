//! Keeping a task alive: it is tied to the process that says so, and ends as lost when that is gone.
//!
//! The tie is recorded, once, with its entry; who holds it is not. So after a restart every tied
//! task has one grace in which its process comes back. While the clock is not trusted nothing is
//! ended. Ending goes through the same code as completing: the task, its subtree, and a rule for
//! what lives.
//!
//! What a tie is not: proof that the process does anything. It proves that something which holds the
//! agent's identity still runs and still reaches the broker.

mod ties;

use std::sync::Arc;
use std::time::Duration;

use taskpass_core::audit::{EntryKind, Outcome};
use taskpass_core::revocation::Facts;
use taskpass_core::task::{Task, TaskState};
use taskpass_core::tie::Tie;
use taskpass_core::{AgentName, TaskId, Timestamp};
use taskpass_store::{Change, Commit, CommitError, Guard, Refusal, Store, StoreError};

use crate::broker::Broker;
use crate::entry::outbox;
use crate::error::Error;
use crate::standing::{Standing, calling_agent};
use ties::Hold;
pub(crate) use ties::Ties;

/// How long a tied task goes on without its process, where nobody says otherwise.
pub const LOST_AFTER: Duration = Duration::from_secs(30);
/// The shortest and the longest such time.
pub const LOST_AFTER_BOUNDS: (Duration, Duration) =
    (Duration::from_secs(5), Duration::from_mins(5));

const PAGE: usize = 1_000;

/// A process that keeps a task alive, until this is dropped.
#[derive(Debug)]
pub struct KeptAlive {
    broker: Arc<Broker>,
    task: TaskId,
    agent: AgentName,
}

impl Drop for KeptAlive {
    fn drop(&mut self) {
        let broker = &self.broker;
        let now = broker.clock.monotonic();
        broker.ties.release(self.task, &self.agent, now);
        broker.metrics.keep_alive_streams.less();
    }
}

impl KeptAlive {
    /// What the task is doing now, rules and the tasks above it included.
    pub async fn state(&self) -> Result<TaskState, Error> {
        let now = self.broker.clock.now();
        match self.broker.store.task(self.task).await? {
            Some(task) => self.broker.state_with_ancestors(&task, now).await,
            // The reaper removes a task only after its deadline.
            None => Ok(TaskState::Expired),
        }
    }

    /// When the task ends at the latest.
    pub fn deadline_at(&self) -> Timestamp {
        self.task.deadline()
    }

    /// How long the task goes on without a process.
    pub fn lost_after(&self) -> Duration {
        self.broker.limits.lost_after
    }
}

impl Broker {
    /// Ties a task of the caller to whoever holds what this returns, unless it is tied already, and
    /// holds the tie.
    pub async fn keep_alive(
        self: &Arc<Self>,
        caller: &Standing,
        id: TaskId,
    ) -> Result<KeptAlive, Error> {
        let agent = calling_agent(caller)?.clone();
        let held = self.try_keep_alive(caller, &agent, id).await;
        if let Err(error) = &held
            && error.is_denial()
        {
            let now = self.clock.now();
            let mut entry = self.entry(caller, now, EntryKind::TaskTie, Outcome::Deny);
            entry.task = Some(id);
            self.record_denial(entry, error).await?;
        }
        held?;
        self.metrics.keep_alive_streams.one();
        Ok(KeptAlive {
            broker: Arc::clone(self),
            task: id,
            agent,
        })
    }

    async fn try_keep_alive(
        &self,
        caller: &Standing,
        agent: &AgentName,
        id: TaskId,
    ) -> Result<(), Error> {
        let now = self.clock.now();
        let task = self.live_own_task(agent, id, now).await?;
        match self.ties.hold(id, agent) {
            Hold::Held => return Ok(()),
            Hold::Full => return Err(Error::KeepAliveStreams),
            Hold::NotTied => self.tie(caller, &task).await?,
        }
        match self.ties.hold(id, agent) {
            Hold::Held => Ok(()),
            // Others came first, or it was lost in between.
            Hold::Full | Hold::NotTied => Err(Error::KeepAliveStreams),
        }
    }

    /// Records the tie.
    async fn tie(&self, caller: &Standing, task: &Task) -> Result<(), Error> {
        let now = self.clock.safe_now()?;
        let mut entry = self.entry(caller, now, EntryKind::TaskTie, Outcome::Done);
        entry.set_task(task);
        let tie = Tie {
            task: task.id,
            at: now,
            entry: entry.id,
        };
        let commit = Commit::new(now)
            .guard(Guard::TaskLive { id: task.id })
            .guard(Guard::NotRevoked(Facts::of_task(task)))
            .guard(Guard::NotRevoked(caller.facts.clone()))
            .guard(Guard::NotTied { id: task.id })
            .change(Change::TieTask(tie))
            .change(outbox(&entry)?);
        match self.commit(commit).await {
            Ok(_) => {
                self.ties.add(tie);
                Ok(())
            }
            // Another stream of the same task was first: by now it is in memory too, or will be.
            Err(CommitError::Refused(Refusal::Tied { .. })) => self.read_tie(task.id).await,
            Err(error) => Err(Error::from_commit(error)),
        }
    }

    async fn read_tie(&self, task: TaskId) -> Result<(), Error> {
        // Ties lie by deadline: few have the same one.
        let mut after = Some(TaskId::first_at(task.deadline()));
        loop {
            let page = self.store.ties(after, PAGE).await?;
            if let Some(tie) = page.items.iter().find(|tie| tie.task == task) {
                self.ties.add(*tie);
                return Ok(());
            }
            after = page.items.last().map(|tie| tie.task);
            if !page.more || after.is_some_and(|last| last.deadline() > task.deadline()) {
                return Ok(());
            }
        }
    }

    /// Ends the tasks whose process is gone for longer than the grace; returns how many. Call it
    /// every second.
    pub async fn end_lost(&self) -> Result<usize, Error> {
        // Without a clock to write by nothing is ended; the graces go on.
        let now = self.clock.safe_now();
        let wall = self.clock.now();
        let lost = self
            .ties
            .lost(self.clock.monotonic(), wall, self.limits.lost_after);
        if now.is_err() {
            return Ok(0);
        }
        let mut ended = 0;
        let mut failed = None;
        for tie in lost {
            // It may have come back while others were ended.
            if !self.ties.is_away(tie.task) {
                continue;
            }
            match self.end_lost_task(&tie).await {
                Ok(true) => {
                    ended += 1;
                    self.metrics.tasks_lost.one();
                    tracing::info!(task = %tie.task, "the task's process is gone; it has ended");
                    self.ties.forget(tie.task);
                }
                Ok(false) => self.ties.forget(tie.task),
                // Tried again at the next turn; the others do not wait for it.
                Err(error) => failed = Some(error),
            }
        }
        failed.map_or(Ok(ended), Err)
    }

    /// How many tasks are tied, and how many of them nobody holds.
    pub fn tied_tasks(&self) -> (usize, usize) {
        self.ties.count()
    }
}

/// The ties that an earlier run recorded.
pub(crate) async fn recorded(store: &dyn Store) -> Result<Ties, StoreError> {
    let ties = Ties::default();
    let mut after = None;
    loop {
        let page = store.ties(after, PAGE).await?;
        after = page.items.last().map(|tie| tie.task);
        for tie in page.items {
            ties.add(tie);
        }
        if !page.more {
            return Ok(ties);
        }
    }
}
