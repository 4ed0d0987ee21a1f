//! Removing what has expired, in bounded steps.
//!
//! Nothing depends on it: whoever reads a record compares it with the clock. It keeps the store
//! small, and forgets rules that can match nothing any more.

use taskpass_core::audit::{Entry, EntryKind, Outcome};
use taskpass_store::Reaped;

use crate::broker::Broker;
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
        self.revoked_certificates.prune(now);
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
            if !step.more {
                break;
            }
        }
        self.metrics.reaped_credentials.add(sum.credentials);
        self.metrics.reaped_tasks.add(sum.tasks);
        self.metrics.pruned_rules.add(sum.rules);
        if sum != Reaped::default() {
            tracing::info!(
                credentials = sum.credentials,
                tasks = sum.tasks,
                rules = sum.rules,
                "reaped"
            );
            let at = self.background_now();
            let mut entry = Entry::new(self.decision_id(at), at, EntryKind::Reap, Outcome::Done);
            entry.count = Some(sum.credentials);
            entry.subject = Some(format!(
                "{} credentials, {} tasks, {} rules that expired before {before}",
                sum.credentials, sum.tasks, sum.rules
            ));
            self.record(entry).await?;
        }
        Ok(sum)
    }
}
