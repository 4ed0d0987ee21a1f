//! Tiles and entry bundles, and their names (C2SP tlog-tiles v0.1.0).
//!
//! A tile of level `L` holds up to 256 consecutive hashes, each over `256^L` entries; a bundle holds
//! the entries themselves. Names and contents have one form each, and only that form reads.

use std::fmt;

use crate::hash::{self, Hash};

/// How many hashes or entries a full tile or bundle holds.
pub const WIDTH: u16 = 256;

/// How long an entry may be, in bytes.
pub const MAX_ENTRY: usize = 65_535;

/// The levels of tiles that a tree with a 64-bit size can have.
pub const LEVELS: u8 = 8;

/// More than any bundle can have, in bytes.
pub(crate) const MAX_BUNDLE: u64 = 256 * 65_537;

/// What a tile holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Hashes of this level.
    Hashes(u8),
    /// Entries.
    Entries,
}

impl Kind {
    /// How many items of this kind a log of `size` entries has.
    pub const fn count(self, size: u64) -> u64 {
        match self {
            Self::Entries => size,
            Self::Hashes(level) => match size.checked_shr(8 * level as u32) {
                Some(count) => count,
                None => 0,
            },
        }
    }

    /// Every kind there is.
    pub fn all() -> impl Iterator<Item = Self> {
        std::iter::once(Self::Entries).chain((0..LEVELS).map(Self::Hashes))
    }
}

/// Names a tile or bundle.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Tile {
    /// What it holds.
    pub kind: Kind,
    /// Its place among its kind.
    pub index: u64,
    /// How many items it holds: 1 to 256.
    pub width: u16,
}

impl Tile {
    /// The tile that holds item `item` of its kind in a log of `size` entries; `None` if there is
    /// no such item.
    pub fn holding(kind: Kind, item: u64, size: u64) -> Option<Self> {
        let count = kind.count(size);
        if item >= count {
            return None;
        }
        let index = item / u64::from(WIDTH);
        let left = count - index * u64::from(WIDTH);
        Some(Self {
            kind,
            index,
            width: u16::try_from(left).map_or(WIDTH, |left| left.min(WIDTH)),
        })
    }

    /// Whether it is full.
    pub const fn is_full(self) -> bool {
        self.width == WIDTH
    }

    /// The full tile at the same place.
    #[must_use]
    pub const fn full(self) -> Self {
        Self {
            width: WIDTH,
            ..self
        }
    }

    /// Its path below the log's folder.
    pub fn path(self) -> String {
        self.to_string()
    }

    /// The folder of the partial tiles at its place.
    pub fn partials(self) -> String {
        format!("{}.p", self.full())
    }

    /// Reads a path; `None` if it does not name a tile in exactly the form that [`path`](Self::path)
    /// writes.
    pub fn parse(path: &str) -> Option<Self> {
        let rest = path.strip_prefix("tile/")?;
        let (kind, rest) = rest.split_once('/')?;
        let kind = match kind {
            "entries" => Kind::Entries,
            level => Kind::Hashes(level.parse().ok().filter(|level| *level < LEVELS)?),
        };
        let (place, width) = match rest.split_once(".p/") {
            Some((place, width)) => (place, width.parse().ok()?),
            None => (rest, WIDTH),
        };
        let mut index = 0_u64;
        for part in place.split('/') {
            let digits = part.strip_prefix('x').unwrap_or(part);
            let value: u64 = digits.parse().ok()?;
            index = index.checked_mul(1_000)?.checked_add(value)?;
        }
        let tile = Self { kind, index, width };
        // Whatever was read too leniently above is not written in that way.
        ((1..=WIDTH).contains(&width) && tile.path() == path).then_some(tile)
    }
}

impl fmt::Display for Tile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            Kind::Entries => f.write_str("tile/entries/")?,
            Kind::Hashes(level) => write!(f, "tile/{level}/")?,
        }
        let mut groups = Vec::new();
        let mut rest = self.index / 1_000;
        while rest > 0 {
            groups.push(rest % 1_000);
            rest /= 1_000;
        }
        for group in groups.iter().rev() {
            write!(f, "x{group:03}/")?;
        }
        write!(f, "{:03}", self.index % 1_000)?;
        if !self.is_full() {
            write!(f, ".p/{}", self.width)?;
        }
        Ok(())
    }
}

/// Why the content of a tile or bundle does not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TileError {
    /// A tile has another length.
    #[error("a tile of {width} hashes has {expected} bytes, found {found}")]
    Length {
        /// How many hashes it must hold.
        width: u16,
        /// How many bytes that is.
        expected: usize,
        /// How many there are.
        found: usize,
    },
    /// A bundle ends before its last entry does.
    #[error("expected {width} entries, the bundle ends in entry {entry}")]
    Truncated {
        /// How many entries it must hold.
        width: u16,
        /// Which one is cut off or missing, from 0.
        entry: u16,
    },
    /// A bundle goes on after its last entry.
    #[error("expected {width} entries, the bundle goes on for {extra} bytes")]
    Trailing {
        /// How many entries it must hold.
        width: u16,
        /// How many bytes follow.
        extra: usize,
    },
}

/// An entry is longer than a bundle can hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the entry has {length} bytes, at most {MAX_ENTRY} are possible")]
pub struct EntryTooLong {
    /// Its length in bytes.
    pub length: usize,
}

/// The content of a tile.
pub fn encode_hashes(hashes: &[Hash]) -> Vec<u8> {
    hashes.iter().flat_map(Hash::as_bytes).copied().collect()
}

/// Reads a tile of exactly `width` hashes.
pub fn decode_hashes(bytes: &[u8], width: u16) -> Result<Vec<Hash>, TileError> {
    let (hashes, rest) = bytes.as_chunks::<{ hash::LENGTH }>();
    if hashes.len() != usize::from(width) || !rest.is_empty() {
        return Err(TileError::Length {
            width,
            expected: usize::from(width) * hash::LENGTH,
            found: bytes.len(),
        });
    }
    Ok(hashes.iter().copied().map(Hash::from_bytes).collect())
}

/// Adds an entry to a bundle.
pub fn encode_entry(bundle: &mut Vec<u8>, entry: &[u8]) -> Result<(), EntryTooLong> {
    let length = u16::try_from(entry.len()).map_err(|_| EntryTooLong {
        length: entry.len(),
    })?;
    bundle.extend_from_slice(&length.to_be_bytes());
    bundle.extend_from_slice(entry);
    Ok(())
}

/// Reads a bundle of exactly `width` entries.
pub fn decode_entries(bundle: &[u8], width: u16) -> Result<Vec<&[u8]>, TileError> {
    let mut entries = Vec::with_capacity(usize::from(width));
    let mut rest = bundle;
    for entry in 0..width {
        let truncated = TileError::Truncated { width, entry };
        let (length, after) = rest.split_first_chunk().ok_or(truncated)?;
        let length = usize::from(u16::from_be_bytes(*length));
        let (bytes, after) = after.split_at_checked(length).ok_or(truncated)?;
        entries.push(bytes);
        rest = after;
    }
    if rest.is_empty() {
        Ok(entries)
    } else {
        Err(TileError::Trailing {
            width,
            extra: rest.len(),
        })
    }
}

#[cfg(test)]
mod tests;
