//! What the writer and all readers of one open store share in memory.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use taskpass_core::credential::Credential;
use taskpass_core::identity::{IdentityLine, Principal};
use taskpass_core::task::Task;
use taskpass_core::{CredentialId, TaskId, Timestamp};

use super::group::Effects;
use super::remembered::Remembered;

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
    pub(super) recent: Recent,
}

/// Rows that every request asks for.
#[derive(Debug)]
pub(super) struct Recent {
    pub(super) tasks: Remembered<TaskId, Task>,
    pub(super) identities: Remembered<Principal, IdentityLine>,
    pub(super) credentials: Remembered<CredentialId, Credential>,
}

impl Recent {
    /// What was written is durable, and is read anew.
    pub(super) fn changed(&self, effects: &Effects) {
        for principal in &effects.identities {
            self.identities.forget(principal);
        }
        self.gone(&effects.tasks, &effects.credentials);
    }

    /// The same of tasks and credentials alone: they were removed.
    pub(super) fn gone(&self, tasks: &[TaskId], credentials: &[CredentialId]) {
        for id in tasks {
            self.tasks.forget(id);
        }
        for id in credentials {
            self.credentials.forget(id);
        }
    }
}

impl Default for Recent {
    /// Some megabytes at the most.
    fn default() -> Self {
        Self {
            tasks: Remembered::new(4096),
            identities: Remembered::new(4096),
            credentials: Remembered::new(4096),
        }
    }
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
