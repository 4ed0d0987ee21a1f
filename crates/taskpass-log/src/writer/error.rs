//! What can go wrong with writing a log, by operation.

use std::io;

use crate::checkpoint::{CheckpointError, Origin};
use crate::hash::Hash;
use crate::read::ReadError;
use crate::tile::EntryTooLong;

/// Why entries were not appended.
#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    /// An entry does not fit. Nothing was written, and the log can be used on.
    #[error("entry {position} of the batch cannot be logged")]
    Entry {
        /// Which one, from 0.
        position: usize,
        /// Why.
        #[source]
        source: EntryTooLong,
    },
    /// A file could not be written. What is on disk beyond the committed state is unknown: the log
    /// must be opened anew.
    #[error("could not write {path} of the log")]
    Write {
        /// Its path in the log's folder.
        path: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// An earlier write failed.
    #[error("the log stopped after a failed write, it must be opened anew")]
    Stopped,
}

/// Why a checkpoint was not published. The one before it still is.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// It does not read.
    #[error("what was to be published is no checkpoint")]
    Form(#[from] CheckpointError),
    /// It is of another log.
    #[error("the checkpoint is of log {found}, expected {expected}")]
    OtherLog {
        /// This log.
        expected: Origin,
        /// The log in the checkpoint.
        found: Origin,
    },
    /// A larger one is published.
    #[error("the checkpoint is of size {size}, one of size {published} is published")]
    Older {
        /// The size in the checkpoint.
        size: u64,
        /// The size that is published.
        published: u64,
    },
    /// The store does not have a state of that size.
    #[error("the checkpoint is of size {size}, only {committed} entries are committed")]
    Uncommitted {
        /// The size in the checkpoint.
        size: u64,
        /// How many entries are committed.
        committed: u64,
    },
    /// The log has another root at that size.
    #[error("the checkpoint has the root {found} at size {size}, expected {expected}")]
    OtherRoot {
        /// The size.
        size: u64,
        /// The log's root.
        expected: Hash,
        /// The root in the checkpoint.
        found: Hash,
    },
    /// The log's root at that size could not be read.
    #[error("could not read the log's root at that size")]
    Read(#[from] ReadError),
    /// The file could not be written.
    #[error("could not write the checkpoint")]
    Write(#[source] io::Error),
}

/// Why superseded files were not removed. They do no harm.
#[derive(Debug, thiserror::Error)]
#[error("could not remove {path} of the log")]
pub struct PruneError {
    /// The path in the log's folder.
    pub path: String,
    /// Why.
    #[source]
    pub source: io::Error,
}
