//! Completing a task: its agent says that the work is done.

use taskpass_core::audit::{Entry, EntryKind, Outcome, RevocationFacts};
use taskpass_core::identity::Principal;
use taskpass_core::revocation::{RuleDraft, Selector};
use taskpass_core::task::{EndReason, Ended, Task, TaskState};
use taskpass_core::{TaskId, Timestamp};
use taskpass_store::{Change, Commit};

use crate::broker::Broker;
use crate::entry::outbox;
use crate::error::Error;
use crate::live::LiveUnder;
use crate::standing::{Standing, calling_agent};

impl Broker {
    /// Ends a task of the caller, and whatever it issued that still lives. Returns the task and how
    /// many credentials that were.
    ///
    /// A rule is written only if something lives, in the commit that ends the task, and for as long
    /// as that lives. Completing again after a lost reply does what was left to do.
    pub async fn complete_task(&self, caller: &Standing, id: TaskId) -> Result<(Task, u64), Error> {
        let agent = calling_agent(caller)?;
        let now = self.clock.safe_now()?;
        let task = self
            .store
            .task(id)
            .await?
            .filter(|task| task.agent == *agent);
        let Some(mut task) = task else {
            let error = Error::TaskNotFound { task: id };
            let mut entry = self.entry(caller, now, EntryKind::TaskEnd, Outcome::Deny);
            entry.task = Some(id);
            self.record_denial(entry, &error).await?;
            return Err(error);
        };
        let live = self.live_under(id, now).await?;
        let mut count = live.count;
        if task.state(now) == TaskState::Active {
            task.ended = Some(self.end(caller, &task, &live, now).await?);
            // Nothing can be issued any more. What was issued between the count and the commit, and
            // that no rule covers for long enough, gets a rule of its own.
            let late = if live.may_live() {
                self.unexpired_under(id, now).await?
            } else {
                self.live_under(id, now).await?
            };
            if late.last_expiry > live.last_expiry {
                count = count.max(late.count);
                self.revoke_rest(caller, &task, &late, now).await?;
            }
        } else if live.may_live() {
            self.revoke_rest(caller, &task, &live, now).await?;
        }
        Ok((task, count))
    }

    /// Commits the end, and the rule about what lives, together.
    async fn end(
        &self,
        caller: &Standing,
        task: &Task,
        live: &LiveUnder,
        now: Timestamp,
    ) -> Result<Ended, Error> {
        let ended = Ended {
            at: now,
            reason: EndReason::Completed,
        };
        let entry = self.end_entry(caller, task, now);
        let mut commit = Commit::new(now)
            .change(Change::EndTask { id: task.id, ended })
            .change(outbox(&entry)?);
        if live.may_live() {
            commit.changes.push(Change::Revoke(draft(task, live)));
            commit
                .changes
                .push(outbox(&self.revoke_entry(caller, task, live, now))?);
        }
        self.commit(commit).await.map_err(Error::from_commit)?;
        Ok(ended)
    }

    async fn revoke_rest(
        &self,
        caller: &Standing,
        task: &Task,
        live: &LiveUnder,
        now: Timestamp,
    ) -> Result<(), Error> {
        let entry = self.revoke_entry(caller, task, live, now);
        let commit = Commit::new(now)
            .change(Change::Revoke(draft(task, live)))
            .change(outbox(&entry)?);
        self.commit(commit)
            .await
            .map(drop)
            .map_err(Error::from_commit)
    }

    fn revoke_entry(
        &self,
        caller: &Standing,
        task: &Task,
        live: &LiveUnder,
        now: Timestamp,
    ) -> Entry {
        let mut entry = self.end_entry(caller, task, now);
        entry.kind = EntryKind::Revoke;
        entry.revocation = Some(RevocationFacts {
            credentials: Some(live.count),
            exact: Some(live.whole),
            ..RevocationFacts::from(&Selector::Task(task.id))
        });
        entry
    }

    fn end_entry(&self, caller: &Standing, task: &Task, now: Timestamp) -> Entry {
        let mut entry = self.entry(caller, now, EntryKind::TaskEnd, Outcome::Done);
        entry.task = Some(task.id);
        entry.ancestors.clone_from(&task.ancestors);
        entry.reason = Some(EndReason::Completed.to_string());
        entry
    }
}

/// The rule that ends what a completed task issued, for as long as any of it would live.
fn draft(task: &Task, live: &LiveUnder) -> RuleDraft {
    RuleDraft {
        selector: Selector::Task(task.id),
        only_target: None,
        reason: EndReason::Completed.to_string(),
        actor: Principal::Agent(task.agent.clone()),
        owner: None,
        key: None,
        // Of a task too large to be counted the rule stays until the task's deadline.
        live_until: live.last_expiry.filter(|_| live.whole),
    }
}
