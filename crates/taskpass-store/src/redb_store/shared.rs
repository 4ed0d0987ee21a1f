//! What the writer and all readers of one open store share in memory.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use taskpass_core::Timestamp;

use crate::counters::Counters;
use crate::rules::SharedRules;
use crate::store::Birth;

/// Copies of small tables, and high-water marks. Only the writer changes them, after what they say
/// is on disk.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) birth: Birth,
    pub(super) rules: Arc<SharedRules>,
    /// Where the file is; none in memory.
    pub(super) path: Option<PathBuf>,
    pub(super) counters: RwLock<Counters>,
    pub(super) last_committed_at: AtomicU64,
    pub(super) outbox: AtomicU64,
}

impl Shared {
    /// Looks at the counters.
    pub(super) fn counters<T>(&self, look: impl FnOnce(&Counters) -> T) -> T {
        look(&self.counters.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Changes the counters.
    pub(super) fn change_counters<T>(&self, change: impl FnOnce(&mut Counters) -> T) -> T {
        change(
            &mut self
                .counters
                .write()
                .unwrap_or_else(PoisonError::into_inner),
        )
    }

    /// The latest wall clock of a commit.
    pub(super) fn last_committed_at(&self) -> Timestamp {
        Timestamp::from_millis(self.last_committed_at.load(Ordering::Relaxed))
    }
}
