//! Opening a log at the state that the store has.
//!
//! The partial tiles are read and must give the state's root; a published checkpoint must not be
//! ahead of the state nor contradict it. What a crash left beyond the state is removed at the edge
//! now, and further on when the log gets there.

use std::collections::BTreeSet;
use std::io;
use std::path::PathBuf;

use crate::checkpoint::{Checkpoint, CheckpointError, Origin};
use crate::files::{Files, FoundKind, if_there, join, parent};
use crate::hash::Hash;
use crate::read::{CHECKPOINT, ReadError, View};
use crate::state::State;
use crate::tile::{Kind, Tile, WIDTH};

use super::edge::Edge;
use super::{TileLog, WRITING, checkpoint_limit};

/// How many tiles back of the published checkpoint are looked at for partial ones that a crash kept
/// from being removed.
const LOOK_BACK: u64 = 64;

/// Why a log did not open.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The folder could not be made.
    #[error("could not make the log's folder {path}", path = path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A file could not be read, written or removed.
    #[error("could not prepare {path} of the log")]
    Io {
        /// Its path in the log's folder.
        path: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A tile that the state demands does not read.
    #[error("the log does not have what the store says was written")]
    Tiles(#[from] ReadError),
    /// The partial bundle is not the one whose hashes are in the tile.
    #[error("entry {index} in {path} is not the one that was written")]
    Entry {
        /// The file.
        path: String,
        /// The index of the entry.
        index: u64,
    },
    /// The tiles give another root than the state.
    #[error("the tiles give the root {found} at size {size}, expected {expected}")]
    Root {
        /// The size of the state.
        size: u64,
        /// The root of the state.
        expected: Hash,
        /// The root of the tiles.
        found: Hash,
    },
    /// The published checkpoint does not read.
    #[error("the published checkpoint does not read")]
    Checkpoint(#[source] CheckpointError),
    /// The folder is that of another log.
    #[error("the folder holds log {found}, expected {expected}")]
    OtherLog {
        /// The log of the state.
        expected: Origin,
        /// The log of the checkpoint.
        found: Origin,
    },
    /// More was published than the store knows of: going on would fork the log.
    #[error(
        "a checkpoint of size {published} is published, but the store knows of {size} entries; \
         restore a newer backup of the store, or begin a new log"
    )]
    Behind {
        /// The published size.
        published: u64,
        /// The size of the state.
        size: u64,
    },
    /// The published checkpoint has another root than the tiles at its size.
    #[error("the published checkpoint has the root {found} at size {size}, the tiles {expected}")]
    Forked {
        /// The published size.
        size: u64,
        /// The root of the tiles.
        expected: Hash,
        /// The published root.
        found: Hash,
    },
}

impl<F: Files> TileLog<F> {
    /// Opens the log in `files` at `state`, which the store has.
    pub fn open_in(files: F, state: State) -> Result<Self, OpenError> {
        let published = published(&files, &state)?;
        let edge = read_edge(&files, &state)?;
        clear_edge(&files, state.size())?;
        clear_writing(&files).map_err(|source| OpenError::Io {
            path: WRITING.to_owned(),
            source,
        })?;
        let size = published.as_ref().map_or(0, |checkpoint| checkpoint.size);
        let pruned = Kind::all()
            .map(|kind| {
                let full = kind.count(size) / u64::from(WIDTH);
                (kind, full.saturating_sub(LOOK_BACK))
            })
            .collect();
        Ok(Self {
            files,
            edge,
            committed: state.size(),
            state,
            published,
            pruned,
            known: BTreeSet::new(),
            stopped: false,
        })
    }
}

/// The published checkpoint, which must fit the state.
fn published<F: Files>(files: &F, state: &State) -> Result<Option<Checkpoint>, OpenError> {
    let note = if_there(files.read(CHECKPOINT, checkpoint_limit()));
    let note = note.map_err(|source| OpenError::Io {
        path: CHECKPOINT.to_owned(),
        source,
    })?;
    let Some(note) = note else {
        return Ok(None);
    };
    let checkpoint = Checkpoint::parse_unverified(&note).map_err(OpenError::Checkpoint)?;
    if checkpoint.origin != *state.origin() {
        return Err(OpenError::OtherLog {
            expected: state.origin().clone(),
            found: checkpoint.origin,
        });
    }
    if checkpoint.size > state.size() {
        return Err(OpenError::Behind {
            published: checkpoint.size,
            size: state.size(),
        });
    }
    let expected = View::over(files, checkpoint.size).root()?;
    if checkpoint.root != expected {
        return Err(OpenError::Forked {
            size: checkpoint.size,
            expected,
            found: checkpoint.root,
        });
    }
    Ok(Some(checkpoint))
}

/// The partial tiles, which must give the root of the state.
fn read_edge<F: Files>(files: &F, state: &State) -> Result<Edge, OpenError> {
    let size = state.size();
    let view = View::over(files, size);
    let found = view.root()?;
    if found != state.root() {
        return Err(OpenError::Root {
            size,
            expected: state.root(),
            found,
        });
    }
    let partial = |kind: Kind| {
        let count = kind.count(size);
        Tile::holding(kind, count.checked_sub(1)?, size).filter(|tile| !tile.is_full())
    };
    let mut levels = Vec::new();
    for kind in Kind::all().filter(|kind| *kind != Kind::Entries && kind.count(size) > 0) {
        levels.push(match partial(kind) {
            Some(tile) => view.hashes(tile)?,
            None => Vec::new(),
        });
    }
    let Some(tile) = partial(Kind::Entries) else {
        return Ok(Edge::new(size, Vec::new(), levels));
    };
    let entries = view.bundle(tile)?;
    let leaves = levels.first().map(Vec::as_slice).unwrap_or_default();
    let mut bundle = Vec::new();
    for ((at, entry), leaf) in (0..).zip(&entries).zip(leaves) {
        if Hash::leaf(entry) != *leaf {
            return Err(OpenError::Entry {
                path: tile.path(),
                index: tile.index * u64::from(WIDTH) + at,
            });
        }
        // It came out of a bundle, so it fits into one.
        let _ = crate::tile::encode_entry(&mut bundle, entry);
    }
    Ok(Edge::new(size, bundle, levels))
}

/// Removes what lies beyond `size` at the places of its partial tiles, which must be there under
/// their own names: a full tile in their place may be what a crash left.
fn clear_edge<F: Files>(files: &F, size: u64) -> Result<(), OpenError> {
    let view = View::over(files, size);
    let edge = Kind::all().filter_map(|kind| {
        let newest = kind.count(size).checked_sub(1)?;
        Tile::holding(kind, newest, size).filter(|tile| !tile.is_full())
    });
    let edge: Vec<_> = edge.collect();
    for tile in &edge {
        if view.content(*tile)?.0 != *tile {
            let path = tile.path();
            return Err(ReadError::Missing { path, size }.into());
        }
    }
    for tile in edge {
        clear(files, tile, tile.width).map_err(|source| OpenError::Io {
            path: tile.path(),
            source,
        })?;
    }
    Ok(())
}

/// Removes the files at the place of `tile` that are wider than `width`, durably.
pub(super) fn clear<F: Files>(files: &F, tile: Tile, width: u16) -> io::Result<()> {
    let full = tile.full().path();
    if if_there(files.remove_file(&full))?.is_some() {
        files.sync_folder(parent(&full))?;
    }
    let folder = tile.partials();
    let mut removed = false;
    for found in if_there(files.list(&folder))?.unwrap_or_default() {
        let wider = found.name.parse().is_ok_and(|found: u16| found > width);
        if found.kind == FoundKind::File && wider {
            files.remove_file(&join(&folder, &found.name))?;
            removed = true;
        }
    }
    if removed {
        files.sync_folder(&folder)?;
    }
    Ok(())
}

/// Makes the folder for files being written, and empties it.
fn clear_writing<F: Files>(files: &F) -> io::Result<()> {
    files.make_folder(WRITING)?;
    for found in files.list(WRITING)? {
        if found.kind == FoundKind::File {
            files.remove_file(&join(WRITING, &found.name))?;
        }
    }
    Ok(())
}
