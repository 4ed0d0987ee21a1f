//! Removing what has expired, in bounded steps.
//!
//! Nothing depends on it: whoever reads a record compares it with the clock. It keeps the store
//! small, and forgets rules that can match nothing any more. A sweep has its entry behind it, not in
//! its commits: the entry says how much it was. While none can be written the sum is kept, and only a
//! crash loses it.

use std::sync::{Mutex, MutexGuard, PoisonError};

use taskpass_core::Timestamp;
use taskpass_core::audit::{Entry, EntryKind, Outcome};
use taskpass_store::{Commit, Lane, Reaped};

use crate::broker::Broker;
use crate::entry::outbox;
use crate::error::Error;

/// Rows removed in one commit: few milliseconds, so that issuing hardly notices.
const STEP: usize = 1_000;

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
        let mut sum = self.reaped.take();
        let swept = self.sweep(before, &mut sum).await;
        if sum != Reaped::default()
            && let Err(error) = self.record_sweep(before, &sum).await
        {
            self.reaped.put_back(sum);
            return Err(error);
        }
        swept.map(|()| sum)
    }

    /// Adds what is removed to `sum`, also if not all of it could be.
    async fn sweep(&self, before: Timestamp, sum: &mut Reaped) -> Result<(), Error> {
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
                return Ok(());
            }
        }
    }

    async fn record_sweep(&self, before: Timestamp, sum: &Reaped) -> Result<(), Error> {
        tracing::info!(
            credentials = sum.credentials,
            tasks = sum.tasks,
            rules = sum.rules,
            others = sum.others,
            "reaped"
        );
        let at = self.background_now();
        let mut entry = Entry::new(self.decision_id(at), at, EntryKind::Reap, Outcome::Done);
        entry.count = Some(sum.credentials);
        entry.subject = Some(format!(
            "{} credentials, {} tasks, {} rules, {} others that expired before {before}",
            sum.credentials, sum.tasks, sum.rules, sum.others
        ));
        let commit = Commit::new(at)
            .in_lane(Lane::Background)
            .change(outbox(&entry)?);
        self.commit(commit)
            .await
            .map(drop)
            .map_err(Error::from_commit)
    }
}

/// What was removed and has no entry yet, because none could be written.
#[derive(Debug, Default)]
pub(crate) struct Unrecorded(Mutex<Reaped>);

impl Unrecorded {
    fn take(&self) -> Reaped {
        std::mem::take(&mut self.lock())
    }

    fn put_back(&self, sum: Reaped) {
        let mut kept = self.lock();
        kept.credentials += sum.credentials;
        kept.tasks += sum.tasks;
        kept.rules += sum.rules;
        kept.others += sum.others;
    }

    fn lock(&self) -> MutexGuard<'_, Reaped> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
