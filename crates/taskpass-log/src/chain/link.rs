//! What a month says about the one before it, and whether that is so.

use serde::Deserialize;

use crate::checkpoint::{Checkpoint, Origin};
use crate::note::NoteKey;
use crate::verify::Report;

use super::{ChainError, LogReport, Opened};

/// What a log says about the one before it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Before {
    /// There was none: it is the first of all, or not one of a broker's.
    Nothing,
    /// It goes on from this checkpoint of a log that is not there: it may have been removed.
    NotHere(Checkpoint),
    /// It goes on from this checkpoint, which is the one that the log before it has.
    Follows(Checkpoint),
}

/// The first entry of a month, as far as it matters.
#[derive(Debug, Deserialize)]
struct First {
    kind: String,
    log: Beginning,
}

#[derive(Debug, Deserialize)]
struct Beginning {
    origin: Origin,
    #[serde(default)]
    previous: Option<String>,
}

/// Adds a log behind `last`, which it must follow.
pub(super) fn follow(
    log: &Opened,
    (key, report): (NoteKey, Report),
    last: Option<&LogReport>,
) -> Result<LogReport, ChainError> {
    let first = report
        .first_entry
        .as_deref()
        .and_then(|entry| serde_json::from_slice::<First>(entry).ok())
        .filter(|first| first.kind == "log" && first.log.origin == log.origin);
    let before = match first {
        Some(first) => before(log, first.log.previous.as_deref(), last)?,
        // Whatever is named as a month of a broker's is one.
        None if log.place.name.is_some() => {
            return Err(ChainError::Beginning {
                log: log.place.shown(),
                origin: log.origin.clone(),
            });
        }
        None => Before::Nothing,
    };
    Ok(LogReport {
        name: log.place.name,
        folder: log.place.folder.clone(),
        key,
        report,
        before,
    })
}

fn before(
    log: &Opened,
    previous: Option<&str>,
    last: Option<&LogReport>,
) -> Result<Before, ChainError> {
    let name = log.place.shown();
    match (previous, last) {
        (None, None) => Ok(Before::Nothing),
        (None, Some(last)) => Err(ChainError::Unlinked {
            log: name,
            previous: last.shown(),
        }),
        (Some(note), None) => Checkpoint::parse_unverified(note.as_bytes())
            .map(Before::NotHere)
            .map_err(|_| ChainError::Beginning {
                log: name,
                origin: log.origin.clone(),
            }),
        (Some(note), Some(last)) => compare(name, note.as_bytes(), last).map(Before::Follows),
    }
}

/// Compares the checkpoint that a month begins with to the one that the month before has.
fn compare(log: String, note: &[u8], last: &LogReport) -> Result<Checkpoint, ChainError> {
    let previous = last.shown();
    let here = &last.report.checkpoint;
    let foreign = |source| ChainError::Previous {
        log: log.clone(),
        previous: previous.clone(),
        source: Box::new(source),
    };
    let named = Checkpoint::parse_unverified(note).map_err(foreign)?;
    if named.origin != here.origin {
        return Err(ChainError::Missing {
            log,
            named: named.origin,
            found: here.origin.clone(),
        });
    }
    let named = Checkpoint::open(note, std::slice::from_ref(&last.key)).map_err(foreign)?;
    let (found, size) = (here.size, named.size);
    if found < size {
        return Err(ChainError::CutOff {
            log,
            previous,
            found,
            named: size,
        });
    }
    if found > size {
        return Err(ChainError::WentOn {
            log,
            previous,
            found,
            named: size,
        });
    }
    if here.root != named.root {
        return Err(ChainError::Rewritten {
            log,
            previous,
            found: here.root,
            named: named.root,
        });
    }
    Ok(named)
}

impl LogReport {
    /// What people call it: its month, or else its folder.
    pub fn shown(&self) -> String {
        match self.name {
            Some(name) => name.to_string(),
            None => self.folder.display().to_string(),
        }
    }
}
