//! Why logs are not accepted.

use std::io;
use std::path::PathBuf;

use crate::checkpoint::{CheckpointError, Origin};
use crate::hash::Hash;
use crate::name::LogName;
use crate::note::KeyError;
use crate::read::CHECKPOINT;
use crate::verify::VerifyError;

use super::keys::OtherOrigin;

/// Why a folder of logs is not accepted.
#[derive(Debug, thiserror::Error)]
pub enum ChainError {
    /// A folder or file could not be read.
    #[error("could not read {path}", path = path.display())]
    Io {
        /// Which one.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// There is no log.
    #[error(
        "{root} holds no log: expected the file {CHECKPOINT} and the folder tile, or folders named \
         like 2026-11",
        root = root.display()
    )]
    NoLogs {
        /// The folder.
        root: PathBuf,
    },
    /// Something does not belong there.
    #[error(
        "{path} does not belong into a folder of logs, which has folders named like 2026-11 and \
         keys named like 2026-11.vkey",
        path = path.display()
    )]
    Foreign {
        /// What.
        path: PathBuf,
    },
    /// A key is there, but not its log.
    #[error("the key {log}.vkey is there, but the folder {log} of its log is missing")]
    NoLog {
        /// The log.
        log: LogName,
    },
    /// A log is there, but not its key, and none was given.
    #[error("the log's public key, {path}, is missing", path = path.display())]
    NoKey {
        /// Where it should be.
        path: PathBuf,
    },
    /// The file of a key holds none.
    #[error("{path} holds no public key", path = path.display())]
    Key {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: KeyError,
    },
    /// The keys that were given are for other logs.
    #[error("log {log} is not one that the given key is for")]
    OtherKey {
        /// The log's folder.
        log: String,
        /// What they are for.
        #[source]
        source: OtherOrigin,
    },
    /// A log is of another broker than the first one.
    #[error("log {log} is {origin}, expected one beneath {expected}, as the first")]
    OtherFamily {
        /// The log's folder.
        log: String,
        /// Its origin.
        origin: Origin,
        /// What the first log's origin begins with.
        expected: String,
    },
    /// A folder holds the log of another month.
    #[error("the folder {log} holds the log {origin}, expected one whose name ends in /{log}")]
    OtherMonth {
        /// The folder.
        log: LogName,
        /// The log in it.
        origin: Origin,
    },
    /// The older checkpoint does not read.
    #[error("the older checkpoint does not read")]
    Since(#[source] CheckpointError),
    /// The older checkpoint is of a log that is not there.
    #[error("the older checkpoint is of log {found}, here are: {expected}")]
    OtherLog {
        /// The logs that are there.
        expected: String,
        /// The one in the older checkpoint.
        found: Origin,
    },
    /// One log does not hold by itself.
    #[error("log {log} does not hold")]
    Log {
        /// The log's folder.
        log: String,
        /// Why.
        #[source]
        source: Box<VerifyError>,
    },
    /// A month does not begin as a month does.
    #[error("log {log} must begin with an entry of kind `log` that names {origin}")]
    Beginning {
        /// The log's folder.
        log: String,
        /// What the entry must name.
        origin: Origin,
    },
    /// A month says that it is the first of all, but is not.
    #[error("log {log} begins as if there was none before it, but {previous} is there")]
    Unlinked {
        /// The log's folder.
        log: String,
        /// The one before.
        previous: String,
    },
    /// A month follows one that is not there.
    #[error("log {log} follows {named}, but the one before it here is {found}: one is missing")]
    Missing {
        /// The log's folder.
        log: String,
        /// The log that it follows.
        named: Origin,
        /// The one that is there.
        found: Origin,
    },
    /// The checkpoint that a month begins with is not signed by the month before.
    #[error("log {log} begins with a checkpoint that is not one of {previous}")]
    Previous {
        /// The log's folder.
        log: String,
        /// The one before.
        previous: String,
        /// Why it is not accepted.
        #[source]
        source: Box<CheckpointError>,
    },
    /// A closed month has lost its end.
    #[error(
        "log {previous} has {found} entries, but {log} began after {named}: its end is missing"
    )]
    CutOff {
        /// The log's folder.
        log: String,
        /// The one before.
        previous: String,
        /// How many entries that has.
        found: u64,
        /// How many it had when it was closed.
        named: u64,
    },
    /// A closed month has gone on.
    #[error(
        "log {previous} has {found} entries, but {log} began after {named}: it went on after it was \
         closed"
    )]
    WentOn {
        /// The log's folder.
        log: String,
        /// The one before.
        previous: String,
        /// How many entries that has.
        found: u64,
        /// How many it had when it was closed.
        named: u64,
    },
    /// A closed month was replaced by another of the same size.
    #[error("log {previous} has the root {found}, but {log} began after {named}: it was rewritten")]
    Rewritten {
        /// The log's folder.
        log: String,
        /// The one before.
        previous: String,
        /// Its root.
        found: Hash,
        /// Its root when it was closed.
        named: Hash,
    },
}
