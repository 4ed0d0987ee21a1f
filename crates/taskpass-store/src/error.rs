//! What can go wrong with a store, by operation.

use std::path::PathBuf;

use crate::commit::Refusal;

/// The store could not do its work: the disk, the file, or a record that does not read.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The backend failed while doing `operation`.
    #[error("the store failed while it {operation}")]
    Backend {
        /// What it was doing, as in "wrote a commit".
        operation: &'static str,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A stored record does not read.
    #[error("a record of table `{table}` does not read")]
    Corrupt {
        /// The table.
        table: &'static str,
    },
    /// An earlier write failed: nothing is accepted until the process is restarted, because what
    /// is on disk is unknown.
    #[error("the store stopped after a failed write")]
    Stopped,
}

impl StoreError {
    /// This backend makes no backups.
    pub(crate) fn no_backup() -> Self {
        Self::Backend {
            operation: "made a backup",
            source: "this store leaves backups to its database".into(),
        }
    }
}

/// Why a commit did not happen.
#[derive(Debug, thiserror::Error)]
pub enum CommitError {
    /// A guard did not hold. Nothing changed.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// Too many commits are waiting. Nothing changed.
    #[error("too many commits are waiting")]
    QueueFull,
    /// The outbox of audit entries is full: the log does not keep up. Nothing changed.
    #[error("the audit outbox is full")]
    OutboxFull,
    /// The disk is nearly full: what is left is for revocations and the reaper. Nothing changed.
    #[error("the store's disk is nearly full")]
    DiskFull,
    /// The store failed. Whether the commit is on disk is unknown.
    #[error(transparent)]
    Failed(#[from] StoreError),
}

/// Why a store did not open.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// There is no store.
    #[error("there is no store at {path}; make one with `taskpass init`", path = path.display())]
    Missing {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// There is one already.
    #[error("there is a store at {path} already", path = path.display())]
    Exists {
        /// Where.
        path: PathBuf,
    },
    /// Another process has it open.
    #[error("the store at {path} is open in another process", path = path.display())]
    InUse {
        /// Where.
        path: PathBuf,
    },
    /// A newer version wrote it.
    #[error("the store is of schema {found}, this program knows {known}; use a newer taskpass")]
    Newer {
        /// The store's.
        found: u32,
        /// The newest known here.
        known: u32,
    },
    /// The file is empty or lost its birth record although a store was made here.
    #[error(
        "the store at {path} is empty although one was made here; restore a backup, do not go on \
         with an empty store: revocations would be forgotten",
        path = path.display()
    )]
    UnexpectedlyEmpty {
        /// Where.
        path: PathBuf,
    },
    /// The file could not be reached or written: permissions, space, the disk.
    #[error("the store at {path} could not be opened", path = path.display())]
    Failed {
        /// Where.
        path: PathBuf,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The file does not read as a store.
    #[error("the store at {path} is damaged; restore a backup", path = path.display())]
    Damaged {
        /// Where.
        path: PathBuf,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}
