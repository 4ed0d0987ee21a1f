//! Verifying the logs of all months offline: each by itself, and that each follows the one before.
//!
//! The first entry of a month holds the last checkpoint of the month before, as it was signed. It
//! must be the very checkpoint that the folder before has: so a closed month can neither lose its
//! end nor gain one, and none can be left out between two others. Months without an entry do not
//! exist. What was removed before the first month that is kept is not missed.
//!
//! Keys that lie in the folder itself vouch for nothing but that the folder fits together: whoever
//! made it made them too. [`ChainReport::keys_given`] says whether there were others.

mod error;
mod keys;
mod link;
mod survey;

use std::path::{Path, PathBuf};
use std::slice;

use crate::checkpoint::{Checkpoint, Origin};
use crate::files::{Disk, Files as _};
use crate::name::LogName;
use crate::note::{MAX_NOTE, NoteKey};
use crate::read::Reader;
use crate::verify::{Report, VerifyError, verify_under};

pub use error::ChainError;
pub use keys::{KeysError, OtherOrigin, PublicKeys};
pub use link::Before;
pub use survey::{Place, survey};

/// What a folder of logs, or of one log, was found to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChainReport {
    /// The logs, the oldest first.
    pub logs: Vec<LogReport>,
    /// Whether the keys were given. If not, they are from the folder, which vouches for itself.
    pub keys_given: bool,
    /// The older checkpoint from which the log of its origin was shown to have grown.
    pub since: Option<Checkpoint>,
}

/// What one of the logs was found to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogReport {
    /// Its month; `None` for the folder of one log that is not named so.
    pub name: Option<LogName>,
    /// Its folder.
    pub folder: PathBuf,
    /// The key that signed it.
    pub key: NoteKey,
    /// What is in it.
    pub report: Report,
    /// What it says about the log before it.
    pub before: Before,
}

/// A log that was looked at, but not verified.
struct Opened {
    place: Place,
    note: Vec<u8>,
    origin: Origin,
    keys: Vec<NoteKey>,
}

/// Verifies the logs in `root`: the folder of one log, or the one that holds those of all months.
///
/// Checkpoints must be signed by one of `keys`; without, by the key beside each log. `since` is an
/// older checkpoint of any of the logs, which must have grown from it.
pub fn verify_logs(
    root: &Path,
    keys: Option<&PublicKeys>,
    since: Option<&[u8]>,
) -> Result<ChainReport, ChainError> {
    let opened: Vec<_> = survey(root)?
        .into_iter()
        .map(|place| open(place, keys))
        .collect::<Result<_, _>>()?;
    if keys.is_some_and(PublicKeys::any_bare) {
        one_family(&opened)?;
    }
    let of_since = since.map(|note| origin_of(note, &opened)).transpose()?;
    let mut logs: Vec<LogReport> = Vec::new();
    for log in &opened {
        let since = since.filter(|_| of_since.as_ref() == Some(&log.origin));
        let report = verify_one(log, since)?;
        logs.push(link::follow(log, report, logs.last())?);
    }
    let since = logs.iter().find_map(|log| log.report.since.clone());
    Ok(ChainReport {
        logs,
        keys_given: keys.is_some(),
        since,
    })
}

/// Reads a log's checkpoint and finds the keys to check it by.
fn open(place: Place, given: Option<&PublicKeys>) -> Result<Opened, ChainError> {
    let invalid = |place: &Place, source| ChainError::Log {
        log: place.shown(),
        source: Box::new(source),
    };
    let note = Reader::open(&place.folder)
        .checkpoint()
        .map_err(|error| invalid(&place, error.into()))?
        .ok_or_else(|| invalid(&place, VerifyError::NoCheckpoint))?;
    let origin = Checkpoint::parse_unverified(&note)
        .map_err(|error| invalid(&place, VerifyError::Checkpoint(error)))?
        .origin;
    if let Some(name) = place.name
        && keys::month_of(origin.as_str()).is_none_or(|(_, month)| month != name)
    {
        let log = name;
        return Err(ChainError::OtherMonth { log, origin });
    }
    let keys = match given {
        Some(given) => given.of(&origin).map_err(|source| ChainError::OtherKey {
            log: place.shown(),
            source,
        })?,
        None => vec![key_beside(&place)?],
    };
    Ok(Opened {
        place,
        note,
        origin,
        keys,
    })
}

/// The key in the file beside a log.
fn key_beside(place: &Place) -> Result<NoteKey, ChainError> {
    let path = &place.vkey;
    let (folder, name) = (
        path.parent(),
        path.file_name().and_then(|name| name.to_str()),
    );
    let (Some(folder), Some(name)) = (folder, name) else {
        return Err(ChainError::NoKey { path: path.clone() });
    };
    let limit = u64::try_from(MAX_NOTE).unwrap_or(u64::MAX);
    let text = match Disk::at(folder).read(name, limit) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(ChainError::NoKey { path: path.clone() });
        }
        Err(source) => {
            let path = path.clone();
            return Err(ChainError::Io { path, source });
        }
        Ok(text) => text,
    };
    let text = String::from_utf8_lossy(&text);
    NoteKey::parse(text.trim()).map_err(|source| ChainError::Key {
        path: path.clone(),
        source,
    })
}

/// A bare public key has no name: then at least all logs must be of one broker.
fn one_family(logs: &[Opened]) -> Result<(), ChainError> {
    let mut first = None;
    for log in logs {
        let family = keys::month_of(log.origin.as_str()).map(|(family, _)| family);
        if *first.get_or_insert(family) != family {
            return Err(ChainError::OtherFamily {
                log: log.place.shown(),
                origin: log.origin.clone(),
                expected: first.flatten().unwrap_or_default().to_owned(),
            });
        }
    }
    Ok(())
}

/// The origin that the older checkpoint is of, which must be one of those here.
fn origin_of(since: &[u8], logs: &[Opened]) -> Result<Origin, ChainError> {
    let found = Checkpoint::parse_unverified(since)
        .map_err(ChainError::Since)?
        .origin;
    if logs.iter().any(|log| log.origin == found) {
        return Ok(found);
    }
    let here: Vec<_> = logs.iter().map(|log| log.origin.as_str()).collect();
    Err(ChainError::OtherLog {
        expected: here.join(", "),
        found,
    })
}

fn verify_one(log: &Opened, since: Option<&[u8]>) -> Result<(NoteKey, Report), ChainError> {
    let invalid = |source| ChainError::Log {
        log: log.place.shown(),
        source: Box::new(source),
    };
    let files = Disk::at(&log.place.folder);
    let report = verify_under(&files, &log.note, &log.keys, since).map_err(invalid)?;
    let signed = |key: &&NoteKey| Checkpoint::open(&log.note, slice::from_ref(*key)).is_ok();
    match log.keys.iter().find(signed) {
        Some(key) => Ok((key.clone(), report)),
        None => Err(ChainError::NoKey {
            path: log.place.vkey.clone(),
        }),
    }
}

#[cfg(test)]
mod tests;
