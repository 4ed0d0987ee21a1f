//! Where a log ends: what its owner keeps in its store, and all it needs to go on.
//!
//! The state holds the tree's right edge and its root, and reads back only if the one gives the
//! other. Whether the tiles on disk are of that size and root is checked when the log is opened.

use serde::{Deserialize, Serialize};

use crate::checkpoint::{Checkpoint, Origin};
use crate::hash::Hash;
use crate::tree::Frontier;

/// The version of the encoding.
const VERSION: u32 = 1;

/// A log at a size.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct State {
    origin: Origin,
    frontier: Frontier,
}

/// Why a state does not read.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// It is not the JSON of a state.
    #[error("the state of the log does not read")]
    Json(#[from] serde_json::Error),
    /// A newer version wrote it.
    #[error("the state of the log is of version {found}, expected {VERSION}")]
    Version {
        /// The version that was found.
        found: u32,
    },
    /// A hash is not 32 bytes in base64.
    #[error("a hash in the state of the log does not read")]
    Hash,
    /// The number of peaks is not that of the size.
    #[error("the state of the log has {found} peaks, a log of size {size} has {expected}")]
    Peaks {
        /// The size.
        size: u64,
        /// How many peaks it must have.
        expected: u32,
        /// How many there are.
        found: usize,
    },
    /// The peaks give another root.
    #[error("the state of the log gives the root {found}, expected {expected}")]
    Root {
        /// The root that was recorded.
        expected: Hash,
        /// The root of the peaks.
        found: Hash,
    },
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Record {
    version: u32,
    origin: Origin,
    size: u64,
    peaks: Vec<String>,
    root: String,
}

impl State {
    /// A log without entries.
    pub const fn new(origin: Origin) -> Self {
        Self {
            origin,
            frontier: Frontier::new(),
        }
    }

    /// Which log.
    pub const fn origin(&self) -> &Origin {
        &self.origin
    }

    /// How many entries it has.
    pub const fn size(&self) -> u64 {
        self.frontier.size()
    }

    /// The root over them.
    pub fn root(&self) -> Hash {
        self.frontier.root()
    }

    /// What there is to sign.
    pub fn checkpoint(&self) -> Checkpoint {
        Checkpoint {
            origin: self.origin.clone(),
            size: self.size(),
            root: self.root(),
        }
    }

    pub(crate) fn push(&mut self, leaf: Hash) {
        self.frontier.push(leaf);
    }

    /// The form in which it is kept.
    pub fn to_bytes(&self) -> Vec<u8> {
        let record = Record {
            version: VERSION,
            origin: self.origin.clone(),
            size: self.size(),
            peaks: self.frontier.peaks().iter().map(Hash::to_string).collect(),
            root: self.root().to_string(),
        };
        // A record of numbers and text always has a JSON form.
        serde_json::to_vec(&record).unwrap_or_default()
    }

    /// Reads what was kept.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, StateError> {
        let record: Record = serde_json::from_slice(bytes)?;
        if record.version != VERSION {
            return Err(StateError::Version {
                found: record.version,
            });
        }
        let hash = |text: &String| Hash::parse(text).ok_or(StateError::Hash);
        let peaks: Vec<_> = record.peaks.iter().map(hash).collect::<Result<_, _>>()?;
        let expected = hash(&record.root)?;
        let found = peaks.len();
        let frontier =
            Frontier::from_peaks(record.size, peaks).ok_or_else(|| StateError::Peaks {
                size: record.size,
                expected: record.size.count_ones(),
                found,
            })?;
        let found = frontier.root();
        if found != expected {
            return Err(StateError::Root { expected, found });
        }
        Ok(Self {
            origin: record.origin,
            frontier,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(size: u8) -> State {
        let mut state = State::new(Origin::parse("log.example/2026-11").unwrap());
        for n in 0..size {
            state.push(Hash::leaf(&[n]));
        }
        state
    }

    #[test]
    fn it_reads_back_at_every_size() {
        for size in 0..70 {
            let state = state(size);
            assert_eq!(State::from_bytes(&state.to_bytes()).unwrap(), state);
            assert_eq!(state.checkpoint().size, u64::from(size));
        }
    }

    #[test]
    fn anything_else_does_not_read() {
        let bytes = state(5).to_bytes();
        let json: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
        let with = |field: &str, value: serde_json::Value| {
            let mut json = json.clone();
            json[field] = value;
            State::from_bytes(json.to_string().as_bytes())
        };
        assert!(matches!(
            with("version", 2.into()),
            Err(StateError::Version { found: 2 })
        ));
        assert!(matches!(
            with("size", 4.into()),
            Err(StateError::Peaks { .. })
        ));
        let root = Hash::leaf(b"other").to_string();
        assert!(matches!(
            with("root", root.into()),
            Err(StateError::Root { .. })
        ));
        assert!(matches!(with("root", "".into()), Err(StateError::Hash)));
        assert!(matches!(
            with("origin", "a b".into()),
            Err(StateError::Json(_))
        ));
        assert!(matches!(with("more", 1.into()), Err(StateError::Json(_))));
        assert!(matches!(State::from_bytes(b""), Err(StateError::Json(_))));
        let cut = bytes.split_last().unwrap().1;
        assert!(matches!(State::from_bytes(cut), Err(StateError::Json(_))));
    }
}
