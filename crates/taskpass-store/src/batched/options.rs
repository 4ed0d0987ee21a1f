//! How much may wait, and how a store is opened.

use std::sync::Arc;

use taskpass_core::Clock;

/// Settings of an open store.
#[derive(Debug, Clone)]
pub struct Options {
    /// The most commits in one group.
    pub group_limit: usize,
    /// The most urgent commits that wait.
    pub urgent_queue: usize,
    /// The most normal commits that wait: beyond it the answer is `QueueFull` at once.
    pub normal_queue: usize,
    /// The most background commits that wait: beyond it their callers wait for a place.
    pub background_queue: usize,
    /// The most audit entries that the log may owe: beyond it a normal commit that adds one is
    /// refused.
    pub outbox_limit: u64,
    /// How far urgent commits may go beyond `outbox_limit`; background commits half as far.
    pub outbox_reserve: u64,
    /// The most rows that the reaper removes before it lets waiting commits pass.
    pub reap_chunk: usize,
    /// Whether every commit also records what makes opening after a crash quick. Costs about a
    /// sync a group.
    pub quick_repair: bool,
    /// Memory for pages of the file, in bytes.
    pub cache_bytes: usize,
    /// What groups are timed by; without one their times stay 0.
    pub clock: Option<Arc<dyn Clock>>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            group_limit: 1024,
            urgent_queue: 256,
            normal_queue: 8192,
            background_queue: 64,
            outbox_limit: 200_000,
            outbox_reserve: 20_000,
            reap_chunk: 2000,
            quick_repair: true,
            cache_bytes: 256 * 1024 * 1024,
            clock: None,
        }
    }
}
