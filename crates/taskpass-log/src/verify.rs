//! Verifying a whole log offline: nothing is trusted but the public key, and a checkpoint that
//! somebody kept.
//!
//! Every entry is hashed anew; every tile must hold exactly the hashes that follow, and the
//! checkpoint the root. With an older checkpoint it is shown that the log has only grown since. One
//! bundle is held in memory at a time.
//!
//! A copy of a log in use can hold files beyond its checkpoint, which nobody has signed for yet.
//! They are counted, not judged. What is not the name of a tile at all is refused, but for the
//! folder in which the writer prepares files.

use std::path::Path;

use crate::checkpoint::{Checkpoint, CheckpointError};
use crate::files::{Disk, Files};
use crate::hash::Hash;
use crate::note::NoteKey;
use crate::read::{CHECKPOINT, ReadError, Reader, View};
use crate::tile::{Kind, LEVELS, Tile, WIDTH};
use crate::tree::{Frontier, root_over};

mod foreign;

/// What a log was found to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// The signed checkpoint that the whole folder agrees with.
    pub checkpoint: Checkpoint,
    /// The older checkpoint from which the log was shown to have grown.
    pub since: Option<Checkpoint>,
    /// The first entry, where a log that follows another names the other's last checkpoint. Whether
    /// it is the right one is for the caller to see.
    pub first_entry: Option<Vec<u8>>,
    /// The last entry.
    pub last_entry: Option<Vec<u8>>,
    /// How many tiles and bundles lie beyond the checkpoint, covered by nothing.
    pub unsigned_files: u64,
}

/// Why a log is not accepted.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// There is no checkpoint.
    #[error("the file {CHECKPOINT} is missing, is this the folder of a log?")]
    NoCheckpoint,
    /// The checkpoint is not accepted.
    #[error("the log's checkpoint is not accepted")]
    Checkpoint(#[source] CheckpointError),
    /// The older checkpoint is not accepted.
    #[error("the older checkpoint is not accepted")]
    Since(#[source] CheckpointError),
    /// The older checkpoint is of another log.
    #[error("the older checkpoint is of log {found}, this log is {expected}")]
    OtherLog {
        /// This log.
        expected: crate::checkpoint::Origin,
        /// The log in the older checkpoint.
        found: crate::checkpoint::Origin,
    },
    /// The log is smaller than it was.
    #[error("the log has {size} entries, but had {since}: it was rolled back")]
    RolledBack {
        /// Its size.
        size: u64,
        /// The size in the older checkpoint.
        since: u64,
    },
    /// The log does not begin with what it once was.
    #[error(
        "the first {size} entries give the root {found}, but once gave {expected}: the log was \
         rewritten"
    )]
    Rewritten {
        /// The size in the older checkpoint.
        size: u64,
        /// The root in the older checkpoint.
        expected: Hash,
        /// The root that the entries give.
        found: Hash,
    },
    /// A file that must be there is not, or does not read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// A tile does not hold what follows from the entries.
    #[error("{}", differs(path, *level, *item, expected, found))]
    Hash {
        /// The file.
        path: String,
        /// The level of the tile.
        level: u8,
        /// The place of the hash in its level; at level 0, the index of the entry.
        item: u64,
        /// What the entries give.
        expected: Hash,
        /// What the tile holds.
        found: Hash,
    },
    /// The entries give another root than the checkpoint.
    #[error("the {size} entries give the root {found}, the checkpoint has {expected}")]
    Root {
        /// The size.
        size: u64,
        /// The root in the checkpoint.
        expected: Hash,
        /// The root that the entries give.
        found: Hash,
    },
    /// A partial file that is left from an earlier size differs from what came of it.
    #[error("{path} is not the beginning of {whole}")]
    Partial {
        /// The file.
        path: String,
        /// The wider file.
        whole: String,
    },
    /// Something does not belong into the folder of a log.
    #[error("{path} does not belong into the folder of a log, which has {CHECKPOINT} and tile/")]
    Foreign {
        /// Its path in the log's folder.
        path: String,
    },
}

/// Where entries and tiles part: at the lowest level the hash is of one entry, which is named.
fn differs(path: &str, level: u8, item: u64, expected: &Hash, found: &Hash) -> String {
    let what = match level {
        0 => format!("entry {item} is not the one that was logged"),
        _ => format!("hash {item} of level {level} does not follow from the entries"),
    };
    format!("{what}: {path} has {found}, the entries give {expected}")
}

/// Verifies the log in `folder`, signed by one of `keys`, the whole of it; with `since`, also that
/// it has grown from that checkpoint.
pub fn verify_folder(
    folder: &Path,
    keys: &[NoteKey],
    since: Option<&[u8]>,
) -> Result<Report, VerifyError> {
    verify_files(&Disk::at(folder), keys, since)
}

/// As [`verify_folder`], over any files.
pub fn verify_files<F: Files + Clone>(
    files: &F,
    keys: &[NoteKey],
    since: Option<&[u8]>,
) -> Result<Report, VerifyError> {
    let note = Reader::over(files.clone())
        .checkpoint()?
        .ok_or(VerifyError::NoCheckpoint)?;
    verify_under(files, &note, keys, since)
}

/// As [`verify_files`], but under the checkpoint `note` in place of the one that is there: for whoever
/// brings the files of a log up to date, and the checkpoint last.
pub fn verify_under<F: Files + Clone>(
    files: &F,
    note: &[u8],
    keys: &[NoteKey],
    since: Option<&[u8]>,
) -> Result<Report, VerifyError> {
    let checkpoint = Checkpoint::open(note, keys).map_err(VerifyError::Checkpoint)?;
    let since = since
        .map(|note| open_since(note, keys, &checkpoint))
        .transpose()?;
    let view = View::over(files, checkpoint.size);
    let (first_entry, last_entry) =
        Recomputed::default().run(&view, &checkpoint, since.as_ref())?;
    let unsigned_files = foreign::check(files, &view)?;
    Ok(Report {
        checkpoint,
        since,
        first_entry,
        last_entry,
        unsigned_files,
    })
}

fn open_since(
    note: &[u8],
    keys: &[NoteKey],
    checkpoint: &Checkpoint,
) -> Result<Checkpoint, VerifyError> {
    let since = Checkpoint::open(note, keys).map_err(VerifyError::Since)?;
    if since.origin != checkpoint.origin {
        return Err(VerifyError::OtherLog {
            expected: checkpoint.origin.clone(),
            found: since.origin,
        });
    }
    if since.size > checkpoint.size {
        return Err(VerifyError::RolledBack {
            size: checkpoint.size,
            since: since.size,
        });
    }
    Ok(since)
}

/// The first entry and the last.
type Ends = (Option<Vec<u8>>, Option<Vec<u8>>);

/// The tree as the entries give it.
#[derive(Default)]
struct Recomputed {
    frontier: Frontier,
    /// The hashes of the tile that is being filled, for each level.
    levels: [Vec<Hash>; LEVELS as usize],
}

impl Recomputed {
    fn run<F: Files>(
        mut self,
        view: &View<'_, F>,
        checkpoint: &Checkpoint,
        since: Option<&Checkpoint>,
    ) -> Result<Ends, VerifyError> {
        let (mut first, mut last) = (None, None);
        self.compare_since(since)?;
        for entry in view.entries(0..checkpoint.size) {
            let (index, entry) = entry?;
            let leaf = Hash::leaf(&entry);
            self.frontier.push(leaf);
            self.add(view, leaf)?;
            self.compare_since(since)?;
            if index == 0 {
                first = Some(entry.clone());
            }
            last = Some(entry);
        }
        for (level, hashes) in (0..).zip(&self.levels) {
            compare(view, level, hashes)?;
        }
        let found = self.frontier.root();
        if found == checkpoint.root {
            return Ok((first, last));
        }
        Err(VerifyError::Root {
            size: checkpoint.size,
            expected: checkpoint.root,
            found,
        })
    }

    fn compare_since(&self, since: Option<&Checkpoint>) -> Result<(), VerifyError> {
        let Some(since) = since.filter(|since| since.size == self.frontier.size()) else {
            return Ok(());
        };
        let found = self.frontier.root();
        if found == since.root {
            return Ok(());
        }
        Err(VerifyError::Rewritten {
            size: since.size,
            expected: since.root,
            found,
        })
    }

    /// Adds a leaf, and compares the tiles that it completes.
    fn add<F: Files>(&mut self, view: &View<'_, F>, leaf: Hash) -> Result<(), VerifyError> {
        let mut hash = leaf;
        for (level, hashes) in (0..).zip(&mut self.levels) {
            hashes.push(hash);
            if hashes.len() < usize::from(WIDTH) {
                return Ok(());
            }
            let done = self.frontier.size() >> (8 * u32::from(level));
            compare_tile(view, level, done, hashes)?;
            hash = root_over(hashes);
            hashes.clear();
        }
        Ok(())
    }
}

/// Compares the partial tile at the end of a level.
fn compare<F: Files>(view: &View<'_, F>, level: u8, hashes: &[Hash]) -> Result<(), VerifyError> {
    if hashes.is_empty() {
        return Ok(());
    }
    compare_tile(view, level, Kind::Hashes(level).count(view.size()), hashes)
}

/// Compares the tile that ends before item `end` of its level.
fn compare_tile<F: Files>(
    view: &View<'_, F>,
    level: u8,
    end: u64,
    expected: &[Hash],
) -> Result<(), VerifyError> {
    let kind = Kind::Hashes(level);
    let Some(tile) = Tile::holding(kind, end.saturating_sub(1), view.size()) else {
        return Ok(());
    };
    let first = tile.index * u64::from(WIDTH);
    for ((item, expected), found) in (first..).zip(expected).zip(view.hashes(tile)?) {
        if found != *expected {
            return Err(VerifyError::Hash {
                path: tile.path(),
                level,
                item,
                expected: *expected,
                found,
            });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
