//! How full the outbox of the audit log is, said long before it stops issuing.
//!
//! Each step up is one line in the log, and so is the way back; between the two marks nothing is
//! said, so that a level that swings about a mark does not fill the log.

use std::sync::Arc;
use std::time::Duration;

use taskpass_broker::Broker;
use taskpass_store::Stats;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

/// How often it is looked at.
const PERIOD: Duration = Duration::from_secs(1);
/// From this percentage on it is critical, and the broker not ready.
const CRITICAL: u64 = 80;
/// From this percentage on it is high.
const HIGH: u64 = 50;
/// Below this percentage it is well again.
const WELL: u64 = 40;

/// What was said last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Level {
    Well,
    High,
    Critical,
}

impl Level {
    /// What is to be said now: up at the marks, down only when all is well again.
    fn next(self, entries: u64, limit: u64) -> Self {
        if reaches(entries, limit, CRITICAL) {
            Self::Critical
        } else if reaches(entries, limit, HIGH) {
            self.max(Self::High)
        } else if reaches(entries, limit, WELL) {
            self
        } else {
            Self::Well
        }
    }
}

/// Whether `entries` are at least `percent` of `limit`.
fn reaches(entries: u64, limit: u64, percent: u64) -> bool {
    u128::from(entries) * 100 >= u128::from(limit) * u128::from(percent)
}

/// Whether issuing is about to stop.
pub(crate) fn is_critical(stats: &Stats) -> bool {
    reaches(stats.outbox, stats.outbox_limit, CRITICAL)
}

/// Looks at the outbox until it is time to stop.
pub(crate) async fn watch(broker: Arc<Broker>, stop: CancellationToken) {
    let mut ticks = interval(PERIOD);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut level = Level::Well;
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = ticks.tick() => {}
        }
        let stats = broker.store_stats();
        let next = level.next(stats.outbox, stats.outbox_limit);
        if next != level {
            say(next, &stats);
            level = next;
        }
    }
}

fn say(level: Level, stats: &Stats) {
    let (entries, limit) = (stats.outbox, stats.outbox_limit);
    match level {
        Level::Well => tracing::info!(entries, limit, "the outbox of the audit log is well again"),
        Level::High => tracing::warn!(
            entries,
            limit,
            "the outbox of the audit log fills: the log does not keep up"
        ),
        Level::Critical => tracing::error!(
            entries,
            limit,
            "the outbox of the audit log is nearly full: when it is, nothing is issued"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_step_is_said_once() {
        use Level::{Critical, High, Well};
        for (level, entries, expected) in [
            (Well, 0, Well),
            (Well, 399, Well),
            (Well, 499, Well),
            (Well, 500, High),
            (Well, 800, Critical),
            (High, 499, High),
            (High, 400, High),
            (High, 399, Well),
            (High, 799, High),
            (High, 800, Critical),
            (Critical, 799, Critical),
            (Critical, 500, Critical),
            (Critical, 400, Critical),
            (Critical, 399, Well),
            (Critical, 5_000, Critical),
        ] {
            assert_eq!(
                level.next(entries, 1_000),
                expected,
                "{level:?} at {entries}"
            );
        }
        assert_eq!(Well.next(u64::MAX, u64::MAX), Critical);
        assert_eq!(Well.next(u64::MAX / 2, u64::MAX), Well);
    }

    #[test]
    fn readiness_follows_the_level_at_once() {
        let at = |outbox| {
            is_critical(&Stats {
                outbox,
                outbox_limit: 1_000,
                ..Stats::default()
            })
        };
        assert!(!at(799));
        assert!(at(800));
    }
}
