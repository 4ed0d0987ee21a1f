//! Keys, trees and the definition of a root, for the tests of this crate.

use std::convert::Infallible;

use ed25519_dalek::{Signer as _, SigningKey};

use crate::checkpoint::{Checkpoint, Origin};
use crate::files::memory::Memory;
use crate::hash::Hash;
use crate::note::NoteKey;
use crate::proof::Hashes;
use crate::state::State;
use crate::writer::TileLog;

/// MTH of RFC 6962, word for word, over the hashes of leaves.
pub(crate) fn naive_root(leaves: &[Hash]) -> Hash {
    match leaves {
        [] => Hash::empty_root(),
        [leaf] => *leaf,
        _ => {
            let (left, right) = leaves.split_at(leaves.len().next_power_of_two() / 2);
            Hash::node(&naive_root(left), &naive_root(right))
        }
    }
}

/// Every hash of a tree, from its leaves.
pub(crate) struct Leaves(pub(crate) Vec<Hash>);

impl Hashes for Leaves {
    type Error = Infallible;

    fn hash(&self, level: u8, index: u64) -> Result<Hash, Infallible> {
        let at = |n: u64| usize::try_from(n).unwrap();
        let (from, to) = (index << level, (index + 1) << level);
        Ok(naive_root(&self.0[at(from)..at(to)]))
    }
}

/// A log whose entries are their own indexes.
pub(crate) fn tree(origin: &str, size: u64) -> (Leaves, Checkpoint) {
    let leaves: Vec<_> = (0..size).map(|n| Hash::leaf(&n.to_be_bytes())).collect();
    let checkpoint = Checkpoint {
        origin: Origin::parse(origin).unwrap(),
        size,
        root: naive_root(&leaves),
    };
    (Leaves(leaves), checkpoint)
}

/// The public key of `seed`.
pub(crate) fn key(seed: u8, name: &str) -> NoteKey {
    let key = SigningKey::from_bytes(&[seed; 32]);
    NoteKey::new(name, key.verifying_key().as_bytes()).unwrap()
}

/// A signature with the key of `seed`.
pub(crate) fn raw_sign(seed: u8, text: &[u8]) -> Vec<u8> {
    let key = SigningKey::from_bytes(&[seed; 32]);
    key.sign(text).to_bytes().to_vec()
}

/// A checkpoint as a note, signed with the key of `seed` under the log's name.
pub(crate) fn signed(checkpoint: &Checkpoint, seed: u8) -> String {
    let key = key(seed, checkpoint.origin.as_str());
    checkpoint
        .sign(&key, |text| Ok::<_, Infallible>(raw_sign(seed, text)))
        .unwrap()
}

/// The log that the tests write.
pub(crate) const ORIGIN: &str = "log.example/2026-11";

/// The seed of its key.
pub(crate) const SEED: u8 = 7;

/// What verifies it.
pub(crate) fn keys() -> [NoteKey; 1] {
    [key(SEED, ORIGIN)]
}

/// Entry `n`: entries differ, also in length; one is empty.
pub(crate) fn entry(n: u64) -> Vec<u8> {
    let text = format!("{{\"entry\":{n}}}").repeat(usize::try_from(n % 3).unwrap());
    if n > 0 && n.is_multiple_of(3) {
        n.to_be_bytes().to_vec()
    } else {
        text.into_bytes()
    }
}

/// The first entries.
pub(crate) fn entries(range: std::ops::Range<u64>) -> Vec<Vec<u8>> {
    range.map(entry).collect()
}

/// A log with a checkpoint after each batch, and those checkpoints.
pub(crate) fn log(batches: &[u64]) -> (Memory, Vec<String>) {
    let files = Memory::default();
    let state = State::new(Origin::parse(ORIGIN).unwrap());
    let mut log = TileLog::open_in(files.clone(), state).unwrap();
    let mut checkpoints = Vec::new();
    for batch in batches {
        let size = log.state().size();
        let state = log.append(&entries(size..size + batch)).unwrap();
        log.committed(state.size());
        let note = signed(&state.checkpoint(), SEED);
        log.publish_checkpoint(note.as_bytes()).unwrap();
        log.prune().unwrap();
        checkpoints.push(note);
    }
    (files, checkpoints)
}
