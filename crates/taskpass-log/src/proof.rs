//! Inclusion and consistency proofs (RFC 6962, sections 2.1.1 and 2.1.2).
//!
//! Proofs are built from whatever gives the hashes of perfect subtrees ([`Hashes`]): a folder of
//! tiles, or memory. Checking needs nothing but the proof, and takes a proof of exactly the length
//! that the sizes demand: there is one proof for a question, not several.

use crate::hash::Hash;
use crate::tree::join;

/// Gives the hashes of the perfect subtrees of a tree.
pub trait Hashes {
    /// Why a hash could not be given.
    type Error;

    /// The root over the leaves `index << level` until `(index + 1) << level`, all of which exist.
    fn hash(&self, level: u8, index: u64) -> Result<Hash, Self::Error>;
}

/// Why a proof could not be built.
#[derive(Debug, thiserror::Error)]
pub enum BuildError<E: std::error::Error + 'static> {
    /// There is no such leaf.
    #[error("there is no entry {index} in a log of size {size}")]
    NoSuchLeaf {
        /// What was asked for.
        index: u64,
        /// The size of the tree.
        size: u64,
    },
    /// A tree does not grow into a smaller one.
    #[error("a log of size {old} cannot have grown to size {new}")]
    NotGrown {
        /// The size that was called older.
        old: u64,
        /// The size that was called newer.
        new: u64,
    },
    /// A hash could not be read.
    #[error(transparent)]
    Read(#[from] E),
}

/// Why a proof proves nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    /// There is no such leaf in a tree of that size.
    #[error("there is no entry {index} in a log of size {size}")]
    NoSuchLeaf {
        /// The leaf.
        index: u64,
        /// The size of the tree.
        size: u64,
    },
    /// A tree does not grow into a smaller one.
    #[error("a log of size {old} cannot have grown to size {new}")]
    NotGrown {
        /// The size that was called older.
        old: u64,
        /// The size that was called newer.
        new: u64,
    },
    /// The proof is too long or too short.
    #[error("the proof has {found} hashes, expected {expected}")]
    Length {
        /// How many there must be.
        expected: usize,
        /// How many there are.
        found: usize,
    },
    /// The hashes do not lead to the root.
    #[error("the proof leads to the root {found}, expected {expected}")]
    Mismatch {
        /// The root that was to be reached.
        expected: Hash,
        /// The root that was reached.
        found: Hash,
    },
}

/// The root of the tree of the first `size` leaves.
pub fn root<H: Hashes>(hashes: &H, size: u64) -> Result<Hash, H::Error> {
    range_root(hashes, 0, size)
}

/// The root over the leaves from `low` until `high`, where `low` is a multiple of the largest power
/// of two below their number.
fn range_root<H: Hashes>(hashes: &H, low: u64, high: u64) -> Result<Hash, H::Error> {
    let mut peaks = Vec::new();
    let mut at = low;
    while let Some(level) = high.saturating_sub(at).checked_ilog2() {
        // A logarithm of 64 bits fits a byte.
        let level = u8::try_from(level).unwrap_or(u8::MAX);
        peaks.push(hashes.hash(level, at >> level)?);
        at += 1 << level;
    }
    Ok(join(&peaks))
}

/// The largest power of two that is smaller than `count`, which is at least 2.
const fn split(count: u64) -> u64 {
    match (count - 1).checked_ilog2() {
        Some(level) => 1 << level,
        None => 1,
    }
}

/// The proof that leaf `index` is in the tree of the first `size` leaves: from the leaf's sibling
/// up to the root's child.
pub fn inclusion<H: Hashes<Error: std::error::Error>>(
    hashes: &H,
    index: u64,
    size: u64,
) -> Result<Vec<Hash>, BuildError<H::Error>> {
    if index >= size {
        return Err(BuildError::NoSuchLeaf { index, size });
    }
    let (mut low, mut high) = (0, size);
    let mut path = Vec::new();
    while high - low > 1 {
        let middle = low + split(high - low);
        if index < middle {
            path.push(range_root(hashes, middle, high)?);
            high = middle;
        } else {
            path.push(range_root(hashes, low, middle)?);
            low = middle;
        }
    }
    path.reverse();
    Ok(path)
}

/// The proof that the tree of the first `old` leaves is the beginning of the tree of the first
/// `new`.
pub fn consistency<H: Hashes<Error: std::error::Error>>(
    hashes: &H,
    old: u64,
    new: u64,
) -> Result<Vec<Hash>, BuildError<H::Error>> {
    if old > new {
        return Err(BuildError::NotGrown { old, new });
    }
    let mut path = Vec::new();
    if old == 0 || old == new {
        return Ok(path);
    }
    let (mut low, mut high) = (0, new);
    while high != old {
        let middle = low + split(high - low);
        if old <= middle {
            path.push(range_root(hashes, middle, high)?);
            high = middle;
        } else {
            path.push(range_root(hashes, low, middle)?);
            low = middle;
        }
    }
    // The old root itself is known to whoever checks, unless a part of it was split off.
    if low != 0 {
        path.push(range_root(hashes, low, high)?);
    }
    path.reverse();
    Ok(path)
}

/// How many hashes of a path lie inside the last perfect subtree, and how many on the right border.
fn shape(index: u64, size: u64) -> (u32, u32) {
    let inner = u64::BITS - (index ^ (size - 1)).leading_zeros();
    let border = index.checked_shr(inner).unwrap_or(0).count_ones();
    (inner, border)
}

fn expect(found: Hash, expected: &Hash) -> Result<(), ProofError> {
    if found == *expected {
        return Ok(());
    }
    Err(ProofError::Mismatch {
        expected: *expected,
        found,
    })
}

/// A proof in its parts.
struct Parts<'a> {
    /// The hash to begin with, where whoever checks does not know it.
    seed: Option<&'a Hash>,
    inner: &'a [Hash],
    border: &'a [Hash],
}

/// Splits a proof of exactly `first + inner + border` hashes.
fn parts(proof: &[Hash], first: usize, inner: u32, border: u32) -> Result<Parts<'_>, ProofError> {
    let count = |n| usize::try_from(n).unwrap_or(usize::MAX);
    let length = ProofError::Length {
        expected: first
            .saturating_add(count(inner))
            .saturating_add(count(border)),
        found: proof.len(),
    };
    let (seed, rest) = proof.split_at_checked(first).ok_or(length)?;
    let (inner, rest) = rest.split_at_checked(count(inner)).ok_or(length)?;
    if rest.len() != count(border) {
        return Err(length);
    }
    Ok(Parts {
        seed: seed.first(),
        inner,
        border: rest,
    })
}

/// Checks that `leaf` is at `index` of the tree of `size` leaves with this root.
pub fn verify_inclusion(
    leaf: Hash,
    index: u64,
    size: u64,
    proof: &[Hash],
    root: &Hash,
) -> Result<(), ProofError> {
    if index >= size {
        return Err(ProofError::NoSuchLeaf { index, size });
    }
    let (inner, border) = shape(index, size);
    let Parts { inner, border, .. } = parts(proof, 0, inner, border)?;
    let mut hash = leaf;
    for (level, sibling) in inner.iter().enumerate() {
        hash = if index >> level & 1 == 0 {
            Hash::node(&hash, sibling)
        } else {
            Hash::node(sibling, &hash)
        };
    }
    for sibling in border {
        hash = Hash::node(sibling, &hash);
    }
    expect(hash, root)
}

/// Checks that the tree of `new` leaves begins with the tree of `old` leaves.
///
/// Every tree begins with the empty one, for which the proof is empty.
pub fn verify_consistency(
    (old, old_root): (u64, &Hash),
    (new, new_root): (u64, &Hash),
    proof: &[Hash],
) -> Result<(), ProofError> {
    if old > new {
        return Err(ProofError::NotGrown { old, new });
    }
    if old == 0 || old == new {
        parts(proof, 0, 0, 0)?;
        let known = if old == 0 {
            Hash::empty_root()
        } else {
            *new_root
        };
        return expect(*old_root, &known);
    }
    let (inner, border) = shape(old - 1, new);
    let shift = old.trailing_zeros();
    let seeds = usize::from(!old.is_power_of_two());
    let proof = parts(proof, seeds, inner - shift, border)?;
    let seed = proof.seed.unwrap_or(old_root);
    let mask = (old - 1) >> shift;
    let (mut was, mut is) = (*seed, *seed);
    for (level, sibling) in proof.inner.iter().enumerate() {
        if mask >> level & 1 == 1 {
            was = Hash::node(sibling, &was);
            is = Hash::node(sibling, &is);
        } else {
            is = Hash::node(&is, sibling);
        }
    }
    for sibling in proof.border {
        was = Hash::node(sibling, &was);
        is = Hash::node(sibling, &is);
    }
    expect(was, old_root)?;
    expect(is, new_root)
}

#[cfg(test)]
mod tests;
