//! Reading the audit log: entries, and proofs about them.
//!
//! Everything is of what a published checkpoint covers, so whatever is shown can be proved. Files are
//! read off the runtime, beside the archiver that writes them: a file that a checkpoint covers never
//! changes. Each call of an operator is itself recorded, once; the checkpoint is public.
//!
//! | file | what it does |
//! |---|---|
//! | `query` | pages of entries that match a filter, the newest first |
//! | `filter` | what a filter may name |
//! | `tail` | entries as they come |
//! | `proofs` | inclusion and consistency |
//! | `export` | the files of a log, for a mirror |
//! | `vouch` | whether what a readiness report rests on is this log, and of late |
//! | `index` | the summaries that queries go by |

mod export;
mod filter;
mod index;
mod proofs;
mod query;
mod tail;
mod vouch;

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

use taskpass_log::{Checkpoint, LogName, Reader, proof};
use tokio::sync::watch;

use crate::archive::aside;
use crate::broker::Broker;
use crate::error::Error;
use crate::standing::Standing;

pub use export::{Export, LogFile};
pub use proofs::{Consistency, Inclusion, WhichEntry};
pub use query::{EntryPage, EntryQuery};
pub use tail::Tail;

use index::Index;

/// The logs of all months, for reading.
#[derive(Debug)]
pub struct AuditLog {
    broker: Arc<Broker>,
    root: PathBuf,
    newest: watch::Receiver<Option<Signed>>,
    index: Index,
}

/// A published checkpoint, and what to check it by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signed {
    /// Of which log.
    pub log: LogName,
    /// How many entries it covers.
    pub size: u64,
    /// The signed note.
    pub checkpoint: String,
    /// The public key, as signed notes write it.
    pub vkey: String,
}

/// An entry and where it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoggedEntry {
    /// In which log.
    pub log: LogName,
    /// At which index.
    pub index: u64,
    /// The entry, byte for byte as it is hashed.
    pub json: Vec<u8>,
}

/// A place between entries: before this index of this log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// The log.
    pub log: LogName,
    /// The index.
    pub before: u64,
}

/// A log that is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptLog {
    /// Its name.
    pub log: LogName,
    /// What its checkpoints call it.
    pub origin: String,
    /// Entries under its newest checkpoint.
    pub size: u64,
}

impl AuditLog {
    pub(crate) fn new(
        broker: Arc<Broker>,
        root: PathBuf,
        newest: watch::Receiver<Option<Signed>>,
    ) -> Self {
        Self {
            broker,
            root,
            newest,
            index: Index::default(),
        }
    }

    /// Whose log it is.
    pub(crate) fn broker(&self) -> &Broker {
        &self.broker
    }

    /// Tells of each checkpoint that is published.
    pub fn watch(&self) -> watch::Receiver<Option<Signed>> {
        self.newest.clone()
    }

    /// The newest checkpoint of a log, the current one if none is named. It is public.
    pub async fn checkpoint(&self, log: Option<LogName>) -> Result<Signed, Error> {
        let newest = self.newest.borrow().clone();
        match (log, newest) {
            (None, Some(newest)) => Ok(newest),
            (Some(log), Some(newest)) if log == newest.log => Ok(newest),
            (None, None) => Err(Error::NotLogged {
                what: "there is no log yet".to_owned(),
            }),
            (Some(log), _) => {
                let root = self.root.clone();
                aside(move || earlier(&root, log)).await
            }
        }
    }

    /// Which logs are kept, the oldest first.
    pub async fn logs(&self, caller: &Standing) -> Result<Vec<KeptLog>, Error> {
        self.broker.record_read(caller, "audit logs").await?;
        let mut kept = Vec::new();
        for log in self.names().await? {
            match self.checkpoint(Some(log)).await {
                Ok(signed) => kept.push(KeptLog {
                    log,
                    origin: origin(&signed)?,
                    size: signed.size,
                }),
                // Made, and nothing of it published yet; or just removed.
                Err(Error::LogNotFound { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(kept)
    }

    /// The root over the first `size` entries of a log: to see whether it is the one that somebody
    /// once wrote down.
    pub async fn root_at(&self, log: LogName, size: u64) -> Result<taskpass_log::Hash, Error> {
        let signed = self.checkpoint(Some(log)).await?;
        if size > signed.size {
            return Err(beyond(size, &signed));
        }
        let folder = log.folder(&self.root);
        aside(move || {
            let reader = Reader::open(&folder);
            proof::root(&reader.at(signed.size), size).map_err(Error::log)
        })
        .await
    }

    /// The names of the logs that are there, the oldest first.
    async fn names(&self) -> Result<Vec<LogName>, Error> {
        let root = self.root.clone();
        aside(move || LogName::list(&root).map_err(Error::log)).await
    }
}

/// A size that the log has not reached.
fn beyond(size: u64, signed: &Signed) -> Error {
    let (log, has) = (signed.log, signed.size);
    Error::field(
        "size",
        format!("at most {has}, the size of log {log}, not {size}"),
    )
}

/// The origin that a checkpoint of our own names: its first line.
fn origin(signed: &Signed) -> Result<String, Error> {
    let checkpoint = Checkpoint::parse_unverified(signed.checkpoint.as_bytes());
    Ok(checkpoint.map_err(Error::log)?.origin.to_string())
}

/// The published checkpoint of a log that is not written to any more.
fn earlier(root: &Path, log: LogName) -> Result<Signed, Error> {
    let Some((checkpoint, note)) = read_checkpoint(&log.folder(root))? else {
        return Err(unknown(root, log));
    };
    let vkey = std::fs::read_to_string(log.vkey(root)).map_err(Error::log)?;
    Ok(Signed {
        log,
        size: checkpoint.size,
        checkpoint: note,
        vkey: vkey.trim_end().to_owned(),
    })
}

/// The checkpoint in a log's folder.
pub(crate) fn read_checkpoint(folder: &Path) -> Result<Option<(Checkpoint, String)>, Error> {
    let Some(note) = Reader::open(folder).checkpoint().map_err(Error::log)? else {
        return Ok(None);
    };
    let checkpoint = Checkpoint::parse_unverified(&note).map_err(Error::log)?;
    let note = String::from_utf8(note).map_err(Error::log)?;
    Ok(Some((checkpoint, note)))
}

fn unknown(root: &Path, log: LogName) -> Error {
    let kept = LogName::list(root).unwrap_or_default();
    let kept: Vec<_> = kept.iter().map(ToString::to_string).collect();
    Error::LogNotFound {
        log: log.to_string(),
        kept: if kept.is_empty() {
            "none".to_owned()
        } else {
            kept.join(", ")
        },
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.log, self.before)
    }
}

impl FromStr for Place {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let parts = text.split_once('/');
        let place = parts.and_then(|(log, before)| {
            Some(Self {
                log: log.parse().ok()?,
                before: before.parse().ok()?,
            })
        });
        place.ok_or_else(|| Error::field("page_token", "the token of the page before"))
    }
}
