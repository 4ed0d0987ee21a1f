//! Figures that the writer keeps and everybody reads, without a lock.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::watch;

/// What is counted, and whether the store has stopped.
#[derive(Debug)]
pub(super) struct Figures {
    commits: AtomicU64,
    groups: AtomicU64,
    last_group: AtomicU64,
    last_group_micros: AtomicU64,
    total_group_micros: AtomicU64,
    disk_full: AtomicBool,
    stopped: AtomicBool,
    told: watch::Sender<bool>,
}

impl Figures {
    pub(super) fn new() -> Self {
        Self {
            commits: AtomicU64::new(0),
            groups: AtomicU64::new(0),
            last_group: AtomicU64::new(0),
            last_group_micros: AtomicU64::new(0),
            total_group_micros: AtomicU64::new(0),
            disk_full: AtomicBool::new(false),
            stopped: AtomicBool::new(false),
            told: watch::Sender::new(false),
        }
    }

    /// A group of `size` commits, `made` of them not refused, took `time`.
    pub(super) fn group(&self, size: usize, made: usize, time: Duration) {
        let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        self.commits.fetch_add(count(made), Ordering::Relaxed);
        self.groups.fetch_add(1, Ordering::Relaxed);
        self.last_group.store(count(size), Ordering::Relaxed);
        self.last_group_micros.store(micros, Ordering::Relaxed);
        self.total_group_micros.fetch_add(micros, Ordering::Relaxed);
    }

    /// Whether there is room on the disk.
    pub(super) fn disk(&self, room: bool) {
        self.disk_full.store(!room, Ordering::Relaxed);
    }

    /// The store has failed: nothing is accepted from here on.
    pub(super) fn stop(&self) {
        self.stopped.store(true, Ordering::Release);
        self.told.send_replace(true);
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Acquire)
    }

    /// Turns true when the store stops.
    pub(super) fn watch(&self) -> watch::Receiver<bool> {
        self.told.subscribe()
    }

    /// The figures as [`Stats`](crate::Stats); what the reader knows is left at 0.
    pub(super) fn stats(&self) -> crate::Stats {
        crate::Stats {
            commits: self.commits.load(Ordering::Relaxed),
            groups: self.groups.load(Ordering::Relaxed),
            last_group: self.last_group.load(Ordering::Relaxed),
            last_group_micros: self.last_group_micros.load(Ordering::Relaxed),
            total_group_micros: self.total_group_micros.load(Ordering::Relaxed),
            disk_full: self.disk_full.load(Ordering::Relaxed),
            ..crate::Stats::default()
        }
    }
}

fn count(size: usize) -> u64 {
    u64::try_from(size).unwrap_or(u64::MAX)
}
