//! Beginning the log of a month: its origin, its public key, its first entry.

use std::io;
use std::path::Path;

use bytes::Bytes;
use taskpass_core::Timestamp;
use taskpass_core::audit::{Entry, EntryKind, LogFacts, Outcome};
use taskpass_log::files::{Disk, Files as _};
use taskpass_log::writer::OpenError;
use taskpass_log::{Checkpoint, LogName, NoteKey, Origin, Reader, State, TileLog};

use super::{Archiver, OpenLog, aside, retention};
use crate::entry;
use crate::error::Error;
use crate::restore::{Mark, note_key};

/// The on-disk key of a log is not the one that would sign it.
#[derive(Debug, thiserror::Error)]
#[error(
    "{path} holds another public key than the one that signs checkpoints now; if the store was \
     made anew, give it an empty folder for its audit log"
)]
struct OtherKey {
    path: String,
}

/// The store does not know a log that was published: going on would make a second history.
#[derive(Debug, thiserror::Error)]
#[error(
    "log {log} is published, but the store does not know of it; was an older store put back, or \
     was it made anew? Give it an audit folder of its own"
)]
struct UnknownLog {
    log: LogName,
}

/// The log goes on beyond what the backup knows of it.
#[derive(Debug, thiserror::Error)]
#[error("log {log} is here, and is longer than the restored store knows; restore with it as --log")]
struct WentOn {
    log: LogName,
}

impl Archiver {
    /// Closes the log before, whose last entry must be under a published checkpoint, and opens that
    /// of `month`. Returns its first entry, which is to be appended before any other.
    ///
    /// The first log of a restored store goes on from the checkpoint that is remembered in `mark`.
    pub(super) async fn begin(
        &mut self,
        month: LogName,
        mark: Option<Mark>,
        now: Timestamp,
    ) -> Result<Bytes, Error> {
        let previous = if self.open.is_some() {
            self.publish().await?;
            let signed = self.published.borrow().clone();
            signed.map(|signed| signed.checkpoint)
        } else if let Some(mark) = mark {
            let root = self.settings.folder.clone();
            let remembered = mark.clone();
            aside(move || not_gone_on(&root, &remembered)).await?;
            mark.previous
        } else {
            None
        };
        let origin = self.origin(month)?;
        let key = self.note_key(&origin)?;
        let root = self.settings.folder.clone();
        let state = State::new(origin.clone());
        let log = aside(move || {
            check_key(&root, month, &key)?;
            TileLog::open(&month.folder(&root), state).map_err(Error::log)
        })
        .await?;
        self.open = Some(OpenLog { name: month, log });
        let id = self.broker.decision_id(now);
        let mut first = Entry::new(id, now, EntryKind::Log, Outcome::Done);
        first.log = Some(LogFacts {
            origin: origin.to_string(),
            previous,
        });
        tracing::info!(log = %month, %origin, "a log begins");
        entry::to_json(&first)
    }

    /// What the checkpoints of `log` name: where the public finds them, without the scheme.
    fn origin(&self, log: LogName) -> Result<Origin, Error> {
        let url = &self.broker.birth().public_url;
        let host = url.split_once("://").map_or(url.as_str(), |(_, host)| host);
        log.origin(host.trim_end_matches('/')).map_err(Error::log)
    }

    /// The public key by which the checkpoints of `origin` are checked.
    pub(super) fn note_key(&self, origin: &Origin) -> Result<NoteKey, Error> {
        note_key(&self.broker.issuer(), origin)
    }
}

/// A log that lies here must end where the restored one is to go on from it.
fn not_gone_on(root: &Path, mark: &Mark) -> Result<(), Error> {
    let (Some(log), Some(previous)) = (mark.before, &mark.previous) else {
        return Ok(());
    };
    let here = Reader::open(&log.folder(root))
        .checkpoint()
        .map_err(Error::log)?;
    let read = |note: &[u8]| Checkpoint::parse_unverified(note).map_err(Error::log);
    match here {
        Some(here) if read(&here)? != read(previous.as_bytes())? => {
            Err(Error::RolledBack(Box::new(WentOn { log })))
        }
        _ => Ok(()),
    }
}

/// Why a log did not open where the store says that it ends.
pub(super) fn opening(error: OpenError) -> Error {
    match error {
        OpenError::Behind { .. } | OpenError::Forked { .. } => Error::RolledBack(Box::new(error)),
        error => Error::log(error),
    }
}

/// Removes what a crash left of logs that were begun after `known` and never committed.
pub(super) fn clear_abandoned(root: &Path, known: Option<LogName>) -> Result<(), Error> {
    let logs = LogName::list(root).map_err(Error::log)?;
    for log in logs.into_iter().filter(|log| Some(*log) > known) {
        if Reader::open(&log.folder(root))
            .checkpoint()
            .map_err(Error::log)?
            .is_some()
        {
            return Err(Error::RolledBack(Box::new(UnknownLog { log })));
        }
        retention::remove(root, log)?;
    }
    Ok(())
}

/// Writes the public key beside the log if it is not there; another one there is an error.
pub(super) fn check_key(root: &Path, log: LogName, key: &NoteKey) -> Result<(), Error> {
    let path = log.vkey(root);
    let text = format!("{key}\n");
    match std::fs::read_to_string(&path) {
        Ok(found) if found == text => Ok(()),
        Ok(_) => Err(Error::log(OtherKey {
            path: path.display().to_string(),
        })),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let files = Disk::create(root).map_err(Error::log)?;
            let name = format!("{log}{}", taskpass_log::name::VKEY);
            let part = format!(".{name}");
            files
                .write(&part, text.as_bytes())
                .and_then(|()| files.rename(&part, &name))
                .and_then(|()| files.sync_folder(""))
                .map_err(Error::log)
        }
        Err(error) => Err(Error::log(error)),
    }
}
