//! Beginning the log of a month: its origin, its public key, its first entry.

use std::io;
use std::path::Path;

use bytes::Bytes;
use taskpass_core::Timestamp;
use taskpass_core::audit::{Entry, EntryKind, LogFacts, Outcome};
use taskpass_log::files::{Disk, Files as _};
use taskpass_log::{LogName, NoteKey, Origin, Reader, State, TileLog};
use taskpass_token::PublicKey;

use super::{Archiver, OpenLog, aside, retention};
use crate::entry;
use crate::error::Error;

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

impl Archiver {
    /// Closes the log before, whose last entry must be under a published checkpoint, and opens that
    /// of `month`. Returns its first entry, which is to be appended before any other.
    pub(super) async fn begin(&mut self, month: LogName, now: Timestamp) -> Result<Bytes, Error> {
        let previous = if self.open.is_some() {
            self.publish().await?;
            self.published.borrow().clone()
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
            previous: previous.map(|signed| signed.checkpoint),
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
        match self.broker.issuer().checkpoint_key().key() {
            PublicKey::Ed25519(key) => {
                NoteKey::new(origin.as_str(), key.as_bytes()).map_err(Error::log)
            }
            PublicKey::P256(_) => Err(Error::log(io::Error::other(
                "the key that signs checkpoints is not an Ed25519 key",
            ))),
        }
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
            return Err(Error::log(UnknownLog { log }));
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
