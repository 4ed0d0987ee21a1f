//! What the broker counts. Names and meanings are in `docs/METRICS.md`.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use taskpass_core::audit::DrillFacts;

use crate::limits::Limit;

/// A number that only grows.
#[derive(Debug, Default)]
pub struct Count(AtomicU64);

impl Count {
    /// One more.
    pub fn one(&self) {
        self.add(1);
    }

    /// `n` more.
    pub fn add(&self, n: u64) {
        self.0.fetch_add(n, Ordering::Relaxed);
    }

    /// One less: for gauges.
    pub fn less(&self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }

    /// Sets it: for gauges.
    pub fn set(&self, n: u64) {
        self.0.store(n, Ordering::Relaxed);
    }

    /// The number.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// The upper bounds of the buckets, in microseconds.
pub const BUCKETS_MICROS: [u64; 12] = [
    100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 500_000, 2_500_000,
];

/// How long something took, in fixed buckets.
#[derive(Debug, Default)]
pub struct Histogram {
    buckets: [Count; BUCKETS_MICROS.len()],
    count: Count,
    sum_micros: Count,
}

impl Histogram {
    /// Takes one duration in.
    pub fn record(&self, took: Duration) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        for (bound, bucket) in BUCKETS_MICROS.iter().zip(&self.buckets) {
            if micros <= *bound {
                bucket.one();
                break;
            }
        }
        self.count.one();
        self.sum_micros.add(micros);
    }

    /// The cumulated buckets (upper bound in microseconds, how many), the count and the sum.
    pub fn read(&self) -> (Vec<(u64, u64)>, u64, u64) {
        let mut sum = 0;
        let buckets = BUCKETS_MICROS
            .iter()
            .zip(&self.buckets)
            .map(|(bound, bucket)| {
                sum += bucket.get();
                (*bound, sum)
            })
            .collect();
        (buckets, self.count.get(), self.sum_micros.get())
    }
}

/// Everything the broker counts.
#[derive(Debug, Default)]
pub struct Metrics {
    /// Tokens that were issued.
    pub tokens: Count,
    /// Certificates that were issued.
    pub certificates: Count,
    /// Tasks that were started.
    pub tasks: Count,
    /// Tasks that ended because their process was gone.
    pub tasks_lost: Count,
    /// Streams that keep tasks alive now.
    pub keep_alive_streams: Count,
    /// Requests that were denied.
    pub denials: Count,
    /// Refusals for a limit, in the order of [`Limit::ALL`].
    pub limited: [Count; Limit::ALL.len()],
    /// What was allowed although no policy permits it, because its target is only observed.
    pub would_deny: Count,
    /// Steps in the life of keys that were due and done.
    pub key_steps: Count,
    /// Rules that were made.
    pub revocations: Count,
    /// Introspections that answered active.
    pub introspected_active: Count,
    /// Introspections that answered inactive.
    pub introspected_inactive: Count,
    /// Batches of uses that were recorded.
    pub use_batches: Count,
    /// Batches of uses that had been recorded before.
    pub use_batches_repeated: Count,
    /// Items about uses that were recorded.
    pub uses_recorded: Count,
    /// Items about credentials that are not known, or not the reporter's.
    pub uses_unknown: Count,
    /// Items about credentials that ended so long ago that their record may be gone.
    pub uses_late: Count,
    /// Items about uses that could not be read.
    pub uses_refused: Count,
    /// Uses that verifiers saw and could not report.
    pub uses_lost: Count,
    /// Credentials that the reaper removed.
    pub reaped_credentials: Count,
    /// Tasks that the reaper removed.
    pub reaped_tasks: Count,
    /// Rules that the reaper forgot.
    pub pruned_rules: Count,
    /// Entries that the archiver moved to the log.
    pub archived: Count,
    /// Checkpoints that were published.
    pub checkpoints: Count,
    /// Entries of the current log under its published checkpoint.
    pub log_size: Count,
    /// Times that the log could not be written.
    pub log_failures: Count,
    /// Status lists that were signed.
    pub signed_status_lists: Count,
    /// CRLs that were signed.
    pub signed_crls: Count,
    /// Blocks of places that were leased.
    pub leased_blocks: Count,
    /// Verifiers and operators on the feed now.
    pub feed_subscribers: Count,
    /// How many rules the slowest subscriber is behind.
    pub feed_lag: Count,
    /// Drills of the kill switch that were held.
    pub drills: Count,
    /// Streams that did not confirm in the last of them.
    pub drill_silent: Count,
    /// Microseconds until the last confirmation of the last of them, or the broker's own refusal.
    pub drill_micros: Count,
    /// Decisions that had to be made twice, because the registry changed in between.
    pub decided_again: Count,
    /// Changed policy sets that came into force.
    pub policy_loads: Count,
    /// Changed policy sets that were refused.
    pub policy_refusals: Count,
    /// From the request to the durable credential.
    pub issue: Histogram,
    /// From the request to the durable rule.
    pub revoke: Histogram,
}

impl Metrics {
    /// A drill was held.
    pub(crate) fn drilled(&self, facts: &DrillFacts) {
        self.drills.one();
        self.drill_silent.set(facts.silent);
        let last = facts.last_us.max(facts.introspect_us);
        self.drill_micros.set(last.unwrap_or(0));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_cumulate() {
        let histogram = Histogram::default();
        for micros in [50, 100, 101, 3_000_000] {
            histogram.record(Duration::from_micros(micros));
        }
        let (buckets, count, sum) = histogram.read();
        assert_eq!(buckets[0], (100, 2));
        assert_eq!(buckets[1], (250, 3));
        assert_eq!(buckets[11].1, 3);
        assert_eq!((count, sum), (4, 3_000_251));
    }
}
