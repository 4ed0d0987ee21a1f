//! Which logs lie in a folder, before any of them is read.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::files::{Disk, Files as _, Found, FoundKind};
use crate::name::{FIND, LogName, VKEY};
use crate::read::CHECKPOINT;

use super::ChainError;

/// Where a log and its key lie.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Its month; `None` for the folder of one log that is not named so.
    pub name: Option<LogName>,
    /// The log.
    pub folder: PathBuf,
    /// Its public key.
    pub vkey: PathBuf,
}

impl Place {
    /// What people call it: its month, or else its folder.
    pub fn shown(&self) -> String {
        match self.name {
            Some(name) => name.to_string(),
            None => self.folder.display().to_string(),
        }
    }
}

/// Finds the logs in `root`, the oldest first; at least one. What belongs to none is refused.
pub fn survey(root: &Path) -> Result<Vec<Place>, ChainError> {
    let found = Disk::at(root).list("").map_err(|source| ChainError::Io {
        path: root.to_owned(),
        source,
    })?;
    // A log that has lost its checkpoint is still one.
    if found
        .iter()
        .any(|f| f.name == CHECKPOINT || f.name == "tile")
    {
        return Ok(vec![lone(root)]);
    }
    let (logs, keys) = months(root, &found)?;
    if let Some(log) = keys.difference(&logs).next() {
        return Err(ChainError::NoLog { log: *log });
    }
    if logs.is_empty() {
        let root = root.to_owned();
        return Err(ChainError::NoLogs { root });
    }
    let place = |name: LogName| Place {
        name: Some(name),
        folder: name.folder(root),
        vkey: name.vkey(root),
    };
    Ok(logs.into_iter().map(place).collect())
}

/// The folder of one log.
fn lone(folder: &Path) -> Place {
    let name = folder.file_name().unwrap_or(folder.as_os_str());
    let mut vkey = name.to_owned();
    vkey.push(VKEY);
    Place {
        name: name.to_str().and_then(|name| name.parse().ok()),
        folder: folder.to_owned(),
        vkey: folder.with_file_name(vkey),
    }
}

/// The months whose logs are there, and those whose keys are.
fn months(
    root: &Path,
    found: &[Found],
) -> Result<(BTreeSet<LogName>, BTreeSet<LogName>), ChainError> {
    let (mut logs, mut keys) = (BTreeSet::new(), BTreeSet::new());
    for Found { name, kind } in found {
        let log = name.parse().ok().filter(|_| *kind == FoundKind::Folder);
        let key = name
            .strip_suffix(VKEY)
            .and_then(|name| name.parse().ok())
            .filter(|_| *kind == FoundKind::File);
        match (log, key) {
            (Some(log), _) => drop(logs.insert(log)),
            (_, Some(key)) => drop(keys.insert(key)),
            _ if name == FIND && *kind == FoundKind::Folder => {}
            _ => {
                let path = root.join(name);
                return Err(ChainError::Foreign { path });
            }
        }
    }
    Ok((logs, keys))
}
