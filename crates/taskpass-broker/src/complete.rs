//! Ending a task: its agent says that the work is done, or the process that it was tied to is gone.

use taskpass_core::audit::{Cause, Entry, EntryKind, Outcome, RevocationFacts};
use taskpass_core::identity::Principal;
use taskpass_core::revocation::{RuleDraft, Selector};
use taskpass_core::task::{EndReason, Ended, Task, TaskState};
use taskpass_core::tie::Tie;
use taskpass_core::{DecisionId, TaskId, Timestamp};
use taskpass_store::{Change, Commit, CommitError, Guard, Refusal};

use crate::broker::Broker;
use crate::entry::{concern, outbox};
use crate::error::Error;
use crate::live::LiveUnder;
use crate::standing::{Standing, calling_agent};

/// Why a task ends, and by whom.
#[derive(Clone, Copy)]
enum Ending<'a> {
    /// A caller says that the work is done.
    Completed(&'a Standing),
    /// The process is gone; the entry is that of the tie.
    Lost(DecisionId),
}

impl Ending<'_> {
    const fn reason(self) -> EndReason {
        match self {
            Self::Completed(_) => EndReason::Completed,
            Self::Lost(_) => EndReason::Lost,
        }
    }
}

impl Broker {
    /// Ends a task of the caller, or one beneath a task of the caller that another agent runs, and
    /// whatever it issued that still lives. Returns the task and how many credentials that were.
    ///
    /// A rule is written only if something lives, a credential or a task beneath, in the commit that
    /// ends the task, and for as long as that lives: it is what ends the tasks beneath in their
    /// records. Completing again after a lost reply does what was left to do.
    pub async fn complete_task(&self, caller: &Standing, id: TaskId) -> Result<(Task, u64), Error> {
        let agent = calling_agent(caller)?;
        let now = self.clock.safe_now()?;
        let Some(mut task) = self.task_in_reach(agent, id).await? else {
            let error = Error::TaskNotFound { task: id };
            let mut entry = self.entry(caller, now, EntryKind::TaskEnd, Outcome::Deny);
            entry.task = Some(id);
            self.record_denial(entry, &error).await?;
            return Err(error);
        };
        let mut live = self.live_under(id, now).await?;
        if task.state(now) == TaskState::Active {
            let by = Ending::Completed(caller);
            if let Some((ended, entry)) = self.end(by, &task, &live, now).await? {
                task.ended = Some(ended);
                let count = self.end_late(by, &task, &live, entry, now).await?;
                return Ok((task, count));
            }
            // Somebody else ended it meanwhile: this is as completing again.
            task = self.task_in_reach(agent, id).await?.unwrap_or(task);
            live = self.live_under(id, now).await?;
        }
        if live.may_live() {
            let by = Ending::Completed(caller);
            self.revoke_rest(by, &task, &live, None, now).await?;
        }
        Ok((task, live.count))
    }

    /// Ends a tied task as lost, as completing would. `false` if it is over already.
    pub(crate) async fn end_lost_task(&self, tie: &Tie) -> Result<bool, Error> {
        let now = self.clock.safe_now()?;
        let Some(task) = self.store.task(tie.task).await? else {
            return Ok(false);
        };
        if self.state_with_ancestors(&task, now).await? != TaskState::Active {
            return Ok(false);
        }
        let live = self.live_under(task.id, now).await?;
        let by = Ending::Lost(tie.entry);
        let Some((_, entry)) = self.end(by, &task, &live, now).await? else {
            return Ok(false);
        };
        self.end_late(by, &task, &live, entry, now).await?;
        Ok(true)
    }

    /// Nothing can be issued any more. What was issued between the count and the commit, and that no
    /// rule covers for long enough, gets a rule of its own. Returns how many credentials lived.
    async fn end_late(
        &self,
        by: Ending<'_>,
        task: &Task,
        live: &LiveUnder,
        ended_by: DecisionId,
        now: Timestamp,
    ) -> Result<u64, Error> {
        if !live.may_live() {
            // No rule was made: whatever lives came later.
            let late = self.live_under(task.id, now).await?;
            if late.may_live() {
                self.revoke_rest(by, task, &late, Some(ended_by), now)
                    .await?;
            }
            return Ok(late.count);
        }
        let late = self.unexpired_under(task.id, now).await?;
        let outlasts = late.last_end() > live.last_end();
        if !(live.whole && late.whole) {
            if outlasts {
                self.revoke_rest(by, task, &late, Some(ended_by), now)
                    .await?;
            }
            return Ok(live.count.max(late.count));
        }
        // At one moment nothing goes away: more than before are new ones, and were not counted. What was
        // revoked before may outlast what lived; it needs no further rule.
        let new = late.unexpired.saturating_sub(live.unexpired);
        if new > 0 && outlasts {
            let late = LiveUnder { count: new, ..late };
            self.revoke_rest(by, task, &late, Some(ended_by), now)
                .await?;
        }
        Ok(live.count.saturating_add(new))
    }

    /// Commits the end, and the rule about what lives, together. Returns the end, and the id of its
    /// entry; nothing if the task had ended before.
    async fn end(
        &self,
        by: Ending<'_>,
        task: &Task,
        live: &LiveUnder,
        now: Timestamp,
    ) -> Result<Option<(Ended, DecisionId)>, Error> {
        let ended = Ended {
            at: now,
            reason: by.reason(),
        };
        let entry = self.end_entry(by, task, now);
        let mut commit = Commit::new(now)
            .guard(Guard::NotEnded { id: task.id })
            .change(Change::EndTask { id: task.id, ended })
            .change(outbox(&entry)?);
        if live.may_live() {
            commit.changes.push(Change::Revoke(draft(by, task, live)));
            commit.changes.push(outbox(&self.revoke_entry(
                by,
                task,
                live,
                Some(entry.id),
                now,
            ))?);
        }
        match self.commit(commit).await {
            Ok(_) => Ok(Some((ended, entry.id))),
            Err(CommitError::Refused(Refusal::TaskNotLive { .. })) => Ok(None),
            Err(error) => Err(Error::from_commit(error)),
        }
    }

    async fn revoke_rest(
        &self,
        by: Ending<'_>,
        task: &Task,
        live: &LiveUnder,
        ended_by: Option<DecisionId>,
        now: Timestamp,
    ) -> Result<(), Error> {
        let entry = self.revoke_entry(by, task, live, ended_by, now);
        let commit = Commit::new(now)
            .change(Change::Revoke(draft(by, task, live)))
            .change(outbox(&entry)?);
        self.commit(commit)
            .await
            .map(drop)
            .map_err(Error::from_commit)
    }

    fn revoke_entry(
        &self,
        by: Ending<'_>,
        task: &Task,
        live: &LiveUnder,
        ended_by: Option<DecisionId>,
        now: Timestamp,
    ) -> Entry {
        let mut entry = self.end_entry(by, task, now);
        entry.kind = EntryKind::Revoke;
        let selector = Selector::Task(task.id);
        entry.revocation = Some(RevocationFacts::new(&selector, live.count, live.whole));
        entry.cause = ended_by.map(Cause::Entry);
        entry
    }

    fn end_entry(&self, by: Ending<'_>, task: &Task, now: Timestamp) -> Entry {
        let (kind, outcome) = (EntryKind::TaskEnd, Outcome::Done);
        let mut entry = match by {
            Ending::Completed(caller) => self.entry(caller, now, kind, outcome),
            Ending::Lost(tie) => {
                let mut entry = Entry::new(self.decision_id(now), now, kind, outcome);
                entry.cause = Some(Cause::Entry(tie));
                entry
            }
        };
        // The task's agent, whoever ended it.
        let agent = Principal::Agent(task.agent.clone());
        concern(&mut entry, &self.registry.load(), &agent);
        entry.set_task(task);
        entry.reason = Some(by.reason().to_string());
        entry
    }
}

/// The rule that ends what a completed task issued, for as long as any of it would live.
fn draft(by: Ending<'_>, task: &Task, live: &LiveUnder) -> RuleDraft {
    RuleDraft {
        selector: Selector::Task(task.id),
        only_target: None,
        reason: by.reason().to_string(),
        actor: match by {
            Ending::Completed(caller) => caller.caller.principal(),
            Ending::Lost(_) => Principal::Agent(task.agent.clone()),
        },
        owner: None,
        key: None,
        // Of a task too large to be counted the rule stays until the task's deadline.
        live_until: live.last_end().filter(|_| live.whole),
    }
}
