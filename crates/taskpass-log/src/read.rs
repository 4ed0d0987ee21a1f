//! Reading a log's folder: its checkpoint, its entries, its hashes, and proofs from them.
//!
//! A reader looks at the log at one size, that of a checkpoint or state, and opens the tiles which
//! that size demands. What it reads is checked for its form only: whoever does not trust the folder
//! verifies it first, or checks the proofs.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use crate::files::{Disk, Files, if_there};
use crate::hash::{Hash, LENGTH};
use crate::note::MAX_NOTE;
use crate::proof::{self, BuildError, Hashes};
use crate::proof_file::TlogProof;
use crate::tile::{Kind, MAX_BUNDLE, Tile, TileError, WIDTH, decode_entries, decode_hashes};
use crate::tree::root_over;

/// The name of the file that holds the signed checkpoint.
pub const CHECKPOINT: &str = "checkpoint";

/// Why a log could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// A tile or bundle that the size demands is not there.
    #[error("{path} is missing, a log of size {size} has it")]
    Missing {
        /// Its path in the log's folder.
        path: String,
        /// The size of the log.
        size: u64,
    },
    /// A file could not be read.
    #[error("could not read {path}")]
    Io {
        /// Its path in the log's folder.
        path: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A tile or bundle has another form.
    #[error("{path} does not read")]
    Malformed {
        /// Its path in the log's folder.
        path: String,
        /// What is wrong with it.
        #[source]
        source: TileError,
    },
    /// There is no such entry.
    #[error("there is no entry {index} in a log of size {size}")]
    NoSuchEntry {
        /// What was asked for.
        index: u64,
        /// The size of the log.
        size: u64,
    },
    /// There is no such hash.
    #[error("there is no hash {index} at level {level} in a log of size {size}")]
    NoSuchHash {
        /// The level that was asked for.
        level: u8,
        /// The place in it.
        index: u64,
        /// The size of the log.
        size: u64,
    },
}

/// A log's folder.
#[derive(Debug, Clone)]
pub struct Reader<F = Disk> {
    files: F,
}

impl Reader {
    /// The log in `folder`.
    pub fn open(folder: &Path) -> Self {
        Self::over(Disk::at(folder))
    }
}

impl<F: Files> Reader<F> {
    /// The log in these files.
    pub const fn over(files: F) -> Self {
        Self { files }
    }

    /// The signed checkpoint; `None` if none was published yet.
    pub fn checkpoint(&self) -> Result<Option<Vec<u8>>, ReadError> {
        let limit = u64::try_from(MAX_NOTE).unwrap_or(u64::MAX);
        if_there(self.files.read(CHECKPOINT, limit)).map_err(|source| ReadError::Io {
            path: CHECKPOINT.to_owned(),
            source,
        })
    }

    /// The log as it was at `size`, at which it was committed: partial files are named by it.
    pub const fn at(&self, size: u64) -> View<'_, F> {
        View {
            files: &self.files,
            size,
            tiles: RefCell::new(BTreeMap::new()),
        }
    }
}

/// A log at a size.
#[derive(Debug)]
pub struct View<'a, F = Disk> {
    files: &'a F,
    size: u64,
    /// The tiles that were read: a proof needs some of them several times.
    tiles: RefCell<BTreeMap<Tile, Vec<Hash>>>,
}

impl<'a, F: Files> View<'a, F> {
    pub(crate) const fn over(files: &'a F, size: u64) -> Self {
        View {
            files,
            size,
            tiles: RefCell::new(BTreeMap::new()),
        }
    }

    /// The size.
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// Reads a file under its own name or, if a log that went on has removed it, under that of the
    /// full tile; returns which one it was.
    pub(crate) fn content(&self, tile: Tile) -> Result<(Tile, Vec<u8>), ReadError> {
        let limit = match tile.kind {
            Kind::Entries => MAX_BUNDLE,
            Kind::Hashes(_) => u64::from(WIDTH) * 32,
        };
        for tile in [tile, tile.full()] {
            let path = tile.path();
            match if_there(self.files.read(&path, limit)) {
                Ok(Some(content)) => return Ok((tile, content)),
                Ok(None) => {}
                Err(source) => return Err(ReadError::Io { path, source }),
            }
        }
        Err(ReadError::Missing {
            path: tile.path(),
            size: self.size,
        })
    }

    /// The hashes of a tile.
    pub(crate) fn hashes(&self, tile: Tile) -> Result<Vec<Hash>, ReadError> {
        let (found, content) = self.content(tile)?;
        let mut hashes =
            decode_hashes(&content, found.width).map_err(|source| ReadError::Malformed {
                path: found.path(),
                source,
            })?;
        hashes.truncate(usize::from(tile.width));
        Ok(hashes)
    }

    /// The entries of a bundle.
    pub(crate) fn bundle(&self, tile: Tile) -> Result<Vec<Vec<u8>>, ReadError> {
        let (found, content) = self.content(tile)?;
        let entries =
            decode_entries(&content, found.width).map_err(|source| ReadError::Malformed {
                path: found.path(),
                source,
            })?;
        let wanted = entries.into_iter().take(usize::from(tile.width));
        Ok(wanted.map(<[u8]>::to_vec).collect())
    }

    /// The bundles and tiles of this size that hold anything beyond the first `from` entries: the
    /// bundles first, then the tiles from the leaves up.
    pub fn tiles(&self, from: u64) -> impl Iterator<Item = Tile> + use<F> {
        let size = self.size;
        Kind::all().flat_map(move |kind| {
            let width = u64::from(WIDTH);
            let first = kind.count(from) / width;
            let end = kind.count(size).div_ceil(width);
            (first..end).filter_map(move |index| Tile::holding(kind, index * width, size))
        })
    }

    /// The content of a tile or bundle, exactly as wide as `tile` says.
    pub fn tile(&self, tile: Tile) -> Result<Vec<u8>, ReadError> {
        let (found, mut content) = self.content(tile)?;
        if found == tile {
            return Ok(content);
        }
        // The log went on, and the partial one was removed: its beginning is in the full one.
        let malformed = |source| ReadError::Malformed {
            path: found.path(),
            source,
        };
        match tile.kind {
            Kind::Hashes(_) => content.truncate(usize::from(tile.width) * LENGTH),
            Kind::Entries => {
                let entries = decode_entries(&content, found.width).map_err(malformed)?;
                let kept = entries.iter().take(usize::from(tile.width));
                // Each entry has its length in two bytes before it.
                let bytes = kept.map(|entry| entry.len() + 2).sum();
                content.truncate(bytes);
            }
        }
        Ok(content)
    }

    /// An entry.
    pub fn entry(&self, index: u64) -> Result<Vec<u8>, ReadError> {
        match self.entries(index..index.saturating_add(1)).next() {
            Some(entry) => entry.map(|(_, entry)| entry),
            None => Err(ReadError::NoSuchEntry {
                index,
                size: self.size,
            }),
        }
    }

    /// The entries in `range`, as far as there are any, with their indexes; ends after an error.
    pub fn entries(&self, range: std::ops::Range<u64>) -> Entries<'_, F> {
        Entries {
            view: self,
            next: range.start,
            end: range.end.min(self.size),
            bundle: Vec::new().into_iter(),
        }
    }

    /// The root.
    pub fn root(&self) -> Result<Hash, ReadError> {
        proof::root(self, self.size)
    }

    /// The proof that entry `index` is in the log.
    pub fn inclusion(&self, index: u64) -> Result<Vec<Hash>, BuildError<ReadError>> {
        proof::inclusion(self, index, self.size)
    }

    /// The proof that the log has grown from size `old`.
    pub fn consistency(&self, old: u64) -> Result<Vec<Hash>, BuildError<ReadError>> {
        proof::consistency(self, old, self.size)
    }

    /// A proof file for entry `index` under `checkpoint`, which must be signed over this size.
    pub fn proof_file(
        &self,
        index: u64,
        extra: Option<Vec<u8>>,
        checkpoint: String,
    ) -> Result<TlogProof, BuildError<ReadError>> {
        Ok(TlogProof {
            extra,
            index,
            path: self.inclusion(index)?,
            checkpoint,
        })
    }
}

impl<F: Files> Hashes for View<'_, F> {
    type Error = ReadError;

    fn hash(&self, level: u8, index: u64) -> Result<Hash, ReadError> {
        let missing = ReadError::NoSuchHash {
            level,
            index,
            size: self.size,
        };
        // A tile has the hashes of every eighth level; those between are over a run of them.
        let kind = Kind::Hashes(level / 8);
        let run = 1_u64 << (level % 8);
        let Some(first) = index.checked_mul(run) else {
            return Err(missing);
        };
        let last = first.saturating_add(run - 1);
        let (Some(tile), true) = (
            Tile::holding(kind, first, self.size),
            last < kind.count(self.size),
        ) else {
            return Err(missing);
        };
        let mut tiles = self.tiles.borrow_mut();
        let hashes = match tiles.entry(tile) {
            std::collections::btree_map::Entry::Occupied(known) => known.into_mut(),
            std::collections::btree_map::Entry::Vacant(new) => new.insert(self.hashes(tile)?),
        };
        let place = |item| usize::try_from(item % u64::from(WIDTH)).unwrap_or(usize::MAX);
        match hashes.get(place(first)..=place(last)) {
            Some(run) => Ok(root_over(run)),
            None => Err(missing),
        }
    }
}

/// Entries one after the other; holds one bundle at a time.
#[derive(Debug)]
pub struct Entries<'a, F = Disk> {
    view: &'a View<'a, F>,
    next: u64,
    end: u64,
    bundle: std::vec::IntoIter<Vec<u8>>,
}

impl<F: Files> Iterator for Entries<'_, F> {
    type Item = Result<(u64, Vec<u8>), ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.next >= self.end {
            return None;
        }
        let index = self.next;
        if self.bundle.as_slice().is_empty() {
            let tile = Tile::holding(Kind::Entries, index, self.view.size)?;
            match self.view.bundle(tile) {
                Ok(entries) => {
                    self.bundle = entries.into_iter();
                    // The first bundle may begin before the range does.
                    let skip = usize::try_from(index % u64::from(WIDTH)).unwrap_or_default();
                    self.bundle.by_ref().take(skip).for_each(drop);
                }
                Err(error) => {
                    self.end = 0;
                    return Some(Err(error));
                }
            }
        }
        self.next += 1;
        self.bundle.next().map(|entry| Ok((index, entry)))
    }
}

#[cfg(test)]
mod tests;
