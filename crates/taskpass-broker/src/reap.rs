//! Removing what has expired, in bounded steps.
//!
//! Nothing depends on it: whoever reads a record compares it with the clock. It keeps the store
//! small, and forgets rules that can match nothing any more. Each step adds what it removed to a sum,
//! in its own commit; one commit takes that sum and records the entry about it. So each removed row
//! is told once: also after a crash in between, and by whichever sweep finds room for an entry.

use taskpass_core::Timestamp;
use taskpass_core::audit::{Entry, EntryKind, Outcome};
use taskpass_store::{Change, Commit, CommitError, Guard, Lane, MetaKey, Reaped, Refusal, Swept};

use crate::broker::Broker;
use crate::entry::outbox;
use crate::error::Error;

/// Rows removed in one commit: few milliseconds, so that issuing hardly notices.
const STEP: usize = 2_000;

impl Broker {
    /// Removes everything that expired longer ago than the retention and the clocks' difference,
    /// and records one entry about it if there was anything.
    ///
    /// Does nothing while the clock is not trusted.
    pub async fn reap(&self) -> Result<Reaped, Error> {
        let Some(now) = self.clock.reap_now() else {
            return Ok(Reaped::default());
        };
        let before = now.minus(self.limits.skew).minus(self.limits.retention);
        self.prune_lists(now);
        let swept = self.sweep(before).await;
        // Also of a sweep that was cut off: what it removed is gone.
        self.record_sweep().await?;
        swept
    }

    async fn sweep(&self, before: Timestamp) -> Result<Reaped, Error> {
        let mut sum = Reaped::default();
        loop {
            let step = self
                .store
                .reap(before, STEP)
                .await
                .map_err(Error::from_commit)?;
            sum.credentials += step.credentials;
            sum.tasks += step.tasks;
            sum.rules += step.rules;
            sum.others += step.others;
            self.metrics.reaped_credentials.add(step.credentials);
            self.metrics.reaped_tasks.add(step.tasks);
            self.metrics.pruned_rules.add(step.rules);
            if !step.more {
                return Ok(sum);
            }
        }
    }

    /// Records what was removed and is told by no entry yet, if there is anything.
    async fn record_sweep(&self) -> Result<(), Error> {
        let kept = self.store.meta(MetaKey::Swept).await?;
        let swept = Swept::from_kept(kept.as_deref())?;
        if swept.is_none() {
            return Ok(());
        }
        let Swept {
            credentials,
            tasks,
            rules,
            others,
            before,
        } = swept;
        tracing::info!(credentials, tasks, rules, others, "reaped");
        let at = self.background_now();
        let mut entry = Entry::new(self.decision_id(at), at, EntryKind::Reap, Outcome::Done);
        entry.count = Some(credentials);
        entry.subject = Some(format!(
            "{credentials} credentials, {tasks} tasks, {rules} rules, {others} others that expired \
             before {before}"
        ));
        let commit = Commit::new(at)
            .in_lane(Lane::Background)
            .guard(Guard::MetaIs {
                key: MetaKey::Swept,
                value: kept,
            })
            .change(Change::PutMeta {
                key: MetaKey::Swept,
                value: Swept::NONE.to_kept(),
            })
            .change(outbox(&entry)?);
        match self.commit(commit).await {
            // Another reaper was here: what it left is for the next turn.
            Ok(_) | Err(CommitError::Refused(Refusal::MetaChanged { .. })) => Ok(()),
            Err(error) => Err(Error::from_commit(error)),
        }
    }
}
