//! The right edge of a log in tiles: the partial bundle, and the partial tile of each level.

use crate::hash::Hash;
use crate::tile::{EntryTooLong, Kind, LEVELS, Tile, WIDTH, encode_entry, encode_hashes};
use crate::tree::root_over;

/// The content of every partial tile.
#[derive(Debug, Clone, Default)]
pub(super) struct Edge {
    size: u64,
    bundle: Vec<u8>,
    /// From the leaves upwards; a level that has no hash yet may be missing.
    levels: Vec<Vec<Hash>>,
}

impl Edge {
    /// From what is on disk.
    pub(super) const fn new(size: u64, bundle: Vec<u8>, levels: Vec<Vec<Hash>>) -> Self {
        Self {
            size,
            bundle,
            levels,
        }
    }

    /// Adds an entry, and puts what it completes into `plan`. Changes nothing if the entry does not
    /// fit.
    pub(super) fn push(
        &mut self,
        entry: &[u8],
        plan: &mut Vec<(Tile, Vec<u8>)>,
    ) -> Result<Hash, EntryTooLong> {
        encode_entry(&mut self.bundle, entry)?;
        let leaf = Hash::leaf(entry);
        self.size += 1;
        if self.size.is_multiple_of(u64::from(WIDTH)) {
            let content = std::mem::take(&mut self.bundle);
            plan.push((self.last(Kind::Entries, WIDTH), content));
        }
        let mut hash = leaf;
        for level in 0..LEVELS {
            let place = usize::from(level);
            if self.levels.len() <= place {
                self.levels.push(Vec::new());
            }
            let Some(hashes) = self.levels.get_mut(place) else {
                break;
            };
            hashes.push(hash);
            if hashes.len() < usize::from(WIDTH) {
                break;
            }
            let hashes = std::mem::take(hashes);
            hash = root_over(&hashes);
            plan.push((
                self.last(Kind::Hashes(level), WIDTH),
                encode_hashes(&hashes),
            ));
        }
        Ok(leaf)
    }

    /// The tile of a kind that holds the newest item.
    fn last(&self, kind: Kind, width: u16) -> Tile {
        let newest = kind.count(self.size).saturating_sub(1);
        Tile {
            kind,
            index: newest / u64::from(WIDTH),
            width,
        }
    }

    /// Puts the partial tiles that have changed since the log had `from` entries into `plan`.
    pub(super) fn partials(&self, from: u64, to: u64, plan: &mut Vec<(Tile, Vec<u8>)>) {
        for kind in Kind::all() {
            let width = kind.count(to) % u64::from(WIDTH);
            if kind.count(from) == kind.count(to) || width == 0 {
                continue;
            }
            let content = match kind {
                Kind::Entries => self.bundle.clone(),
                Kind::Hashes(level) => self
                    .levels
                    .get(usize::from(level))
                    .map(|hashes| encode_hashes(hashes))
                    .unwrap_or_default(),
            };
            // A remainder of 256 fits.
            let width = u16::try_from(width).unwrap_or(WIDTH);
            plan.push((self.last(kind, width), content));
        }
    }
}
