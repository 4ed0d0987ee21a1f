//! Writing a log: entries become bundles and tiles on disk, durably, before anybody hears of them.
//!
//! The order is: **tiles, then the state, then a checkpoint.** [`append`](TileLog::append) makes the
//! files durable and returns the new [`State`]. The owner commits it to its store, in the same
//! commit that takes the entries out of its outbox, and says so ([`committed`](TileLog::committed)).
//! Only then does it sign a checkpoint and [`publish`](TileLog::publish_checkpoint) it. Each step may
//! be the last before a crash; the log is then opened at the state that the store has:
//!
//! - **No gap.** A state is committed only when every file that it counts is durable.
//! - **No duplicate.** The store moves the state and the outbox in one commit. Entries whose files
//!   were written but whose state was not committed are still in the outbox; they are appended
//!   again at the same indexes, and what a crash left there is removed or replaced.
//! - **No fork.** No checkpoint is ever signed over a state that is not committed, so what is
//!   replaced was never vouched for, and every later state goes on from the committed one. A store
//!   that has fallen behind the published checkpoint (an old backup) is refused.
//!
//! Files of a committed size are never written to again: a tile that grows gets a new name with each
//! width. Files are written aside and renamed, so that no name ever shows half a file.
//!
//! There must be one writer. It knows no clock and no key, and not what an entry says.

use std::collections::BTreeSet;
use std::path::Path;

use crate::checkpoint::Checkpoint;
use crate::files::{Disk, Files, FoundKind, if_there, join, parent};
use crate::note::MAX_NOTE;
use crate::read::{CHECKPOINT, View};
use crate::state::State;
use crate::tile::{Kind, Tile};

mod edge;
mod error;
mod open;

pub use error::{AppendError, PruneError, PublishError};
pub use open::OpenError;

use edge::Edge;

/// Where files are written before they get their name. Mirrors and checks pass it over.
pub const WRITING: &str = ".writing";

/// How many folders are remembered as durable.
const KNOWN: usize = 4_096;

/// A log that can be written to.
#[derive(Debug)]
pub struct TileLog<F = Disk> {
    files: F,
    state: State,
    edge: Edge,
    committed: u64,
    published: Option<Checkpoint>,
    /// Up to which tile of each kind the partial ones were removed.
    pruned: Vec<(Kind, u64)>,
    /// Folders whose own names are durable.
    known: BTreeSet<String>,
    stopped: bool,
}

impl TileLog {
    /// Opens the log in `folder` at `state`, which the store has; makes the folder if it is not
    /// there.
    pub fn open(folder: &Path, state: State) -> Result<Self, OpenError> {
        let disk = Disk::create(folder).map_err(|source| OpenError::Folder {
            path: folder.to_owned(),
            source,
        })?;
        Self::open_in(disk, state)
    }
}

impl<F: Files> TileLog<F> {
    /// Where the log ends, whether that is committed or not.
    pub const fn state(&self) -> &State {
        &self.state
    }

    /// The checkpoint that is published.
    pub const fn published(&self) -> Option<&Checkpoint> {
        self.published.as_ref()
    }

    /// Appends entries, and returns where the log ends once they are on disk.
    ///
    /// The state must be committed before a checkpoint over it is signed.
    pub fn append<E: AsRef<[u8]>>(&mut self, entries: &[E]) -> Result<State, AppendError> {
        if self.stopped {
            return Err(AppendError::Stopped);
        }
        let from = self.state.size();
        let mut edge = self.edge.clone();
        let mut state = self.state.clone();
        let mut plan = Vec::new();
        for (position, entry) in entries.iter().enumerate() {
            let leaf = edge
                .push(entry.as_ref(), &mut plan)
                .map_err(|source| AppendError::Entry { position, source })?;
            state.push(leaf);
        }
        edge.partials(from, state.size(), &mut plan);
        self.stopped = true;
        self.write_all(from, &plan)?;
        self.stopped = false;
        self.edge = edge;
        self.state = state.clone();
        Ok(state)
    }

    /// Takes note that the store holds the state of `size`; checkpoints up to it may be published.
    pub fn committed(&mut self, size: u64) {
        self.committed = self.committed.max(size.min(self.state.size()));
    }

    fn write_all(&mut self, from: u64, plan: &[(Tile, Vec<u8>)]) -> Result<(), AppendError> {
        let failed = |path: &str| {
            let path = path.to_owned();
            move |source| AppendError::Write { path, source }
        };
        // The folders whose names must be made durable.
        let mut changed = BTreeSet::new();
        let mut staged = Vec::new();
        for (number, (tile, content)) in plan.iter().enumerate() {
            let path = tile.path();
            // The first file of a tile: whatever is there already was never committed.
            if tile.index * 256 >= tile.kind.count(from) {
                open::clear(&self.files, *tile, 0).map_err(failed(&path))?;
            }
            self.make_folders(&path, &mut changed)?;
            let aside = join(WRITING, &number.to_string());
            self.files.write(&aside, content).map_err(failed(&path))?;
            staged.push((aside, path));
        }
        for (aside, path) in &staged {
            self.files.rename(aside, path).map_err(failed(path))?;
            changed.insert(parent(path).to_owned());
        }
        for folder in &changed {
            self.files.sync_folder(folder).map_err(failed(folder))?;
        }
        Ok(())
    }

    /// Makes the folders of `path`. One that is there may have been made just before a crash, so its
    /// name is synced too, once in the life of this writer.
    fn make_folders(
        &mut self,
        path: &str,
        changed: &mut BTreeSet<String>,
    ) -> Result<(), AppendError> {
        if self.known.len() > KNOWN {
            self.known.clear();
        }
        let mut folder = String::new();
        let parents = parent(path).to_owned();
        for name in parents.split('/') {
            let outer = folder.clone();
            folder = join(&outer, name);
            if self.known.insert(folder.clone()) {
                self.files
                    .make_folder(&folder)
                    .map_err(|source| AppendError::Write {
                        path: folder.clone(),
                        source,
                    })?;
                changed.insert(outer);
            }
        }
        Ok(())
    }

    /// Publishes a signed checkpoint in place of the one before.
    ///
    /// It must be of a committed size, not older than the published one, and have this log's root.
    /// The signature is the caller's business: it was checked when it was made.
    pub fn publish_checkpoint(&mut self, note: &[u8]) -> Result<Checkpoint, PublishError> {
        let checkpoint = Checkpoint::parse_unverified(note)?;
        let size = checkpoint.size;
        if checkpoint.origin != *self.state.origin() {
            return Err(PublishError::OtherLog {
                expected: self.state.origin().clone(),
                found: checkpoint.origin,
            });
        }
        let published = self.published.as_ref().map_or(0, |before| before.size);
        if size < published {
            return Err(PublishError::Older { size, published });
        }
        if size > self.committed {
            return Err(PublishError::Uncommitted {
                size,
                committed: self.committed,
            });
        }
        let expected = if size == self.state.size() {
            self.state.root()
        } else {
            View::over(&self.files, size).root()?
        };
        if checkpoint.root != expected {
            return Err(PublishError::OtherRoot {
                size,
                expected,
                found: checkpoint.root,
            });
        }
        let aside = join(WRITING, CHECKPOINT);
        self.files
            .write(&aside, note)
            .and_then(|()| self.files.rename(&aside, CHECKPOINT))
            .and_then(|()| self.files.sync_folder(""))
            .map_err(PublishError::Write)?;
        self.published = Some(checkpoint.clone());
        Ok(checkpoint)
    }

    /// Removes the partial files of tiles that are full under the published checkpoint, and returns
    /// how many.
    ///
    /// Readers of older checkpoints find the full tile instead.
    pub fn prune(&mut self) -> Result<usize, PruneError> {
        let size = self.published.as_ref().map_or(0, |before| before.size);
        let mut removed = 0;
        for (kind, done) in &mut self.pruned {
            let full = kind.count(size) / 256;
            while *done < full {
                let tile = Tile {
                    kind: *kind,
                    index: *done,
                    width: 256,
                };
                removed += remove_partials(&self.files, &tile.partials())?;
                *done += 1;
            }
        }
        Ok(removed)
    }
}

fn remove_partials<F: Files>(files: &F, folder: &str) -> Result<usize, PruneError> {
    let failed = |path: &str| {
        let path = path.to_owned();
        move |source| PruneError { path, source }
    };
    let Some(found) = if_there(files.list(folder)).map_err(failed(folder))? else {
        return Ok(0);
    };
    let mut removed = 0;
    for found in found.iter().filter(|found| found.kind == FoundKind::File) {
        let path = join(folder, &found.name);
        files.remove_file(&path).map_err(failed(&path))?;
        removed += 1;
    }
    files.remove_folder(folder).map_err(failed(folder))?;
    Ok(removed)
}

/// The longest checkpoint that is read.
fn checkpoint_limit() -> u64 {
    u64::try_from(MAX_NOTE).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod crash;
#[cfg(test)]
mod tests;
