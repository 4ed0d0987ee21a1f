//! Reading what was written, at every size that a checkpoint had.

use super::*;
use crate::checkpoint::Checkpoint;
use crate::proof::{verify_consistency, verify_inclusion};
use crate::testing::{ORIGIN, SEED, entry, keys, log, signed};

#[test]
fn entries_hashes_and_proofs_are_those_of_the_log_at_every_size() {
    let (files, checkpoints) = log(&[1, 4, 250, 1, 1, 300, 700]);
    let reader = Reader::over(files);
    let checkpoints: Vec<_> = checkpoints
        .iter()
        .map(|note| Checkpoint::open(note.as_bytes(), &keys()).unwrap())
        .collect();
    for checkpoint in &checkpoints {
        let size = checkpoint.size;
        let view = reader.at(size);
        assert_eq!(view.root().unwrap(), checkpoint.root);
        let all: Vec<_> = view.entries(0..u64::MAX).map(Result::unwrap).collect();
        assert!(all.iter().cloned().eq((0..size).map(|n| (n, entry(n)))));
        for index in [0, size / 2, size - 1] {
            assert_eq!(view.entry(index).unwrap(), entry(index));
            let proof = view.inclusion(index).unwrap();
            let leaf = Hash::leaf(&entry(index));
            assert_eq!(
                verify_inclusion(leaf, index, size, &proof, &checkpoint.root),
                Ok(())
            );
        }
        for old in checkpoints.iter().filter(|old| old.size <= size) {
            let proof = view.consistency(old.size).unwrap();
            let (was, is) = ((old.size, &old.root), (size, &checkpoint.root));
            assert_eq!(verify_consistency(was, is, &proof), Ok(()));
        }
    }
}

#[test]
fn ranges_begin_and_end_anywhere() {
    let (files, _) = log(&[600]);
    let reader = Reader::over(files);
    let view = reader.at(600);
    for (from, to) in [
        (0, 0),
        (3, 3),
        (255, 257),
        (256, 512),
        (100, 600),
        (599, 700),
        (600, 700),
    ] {
        let found: Vec<_> = view.entries(from..to).map(Result::unwrap).collect();
        assert!(
            found
                .into_iter()
                .eq((from..to.min(600)).map(|n| (n, entry(n))))
        );
    }
}

#[test]
fn what_is_not_there_is_an_error() {
    let (files, _) = log(&[300]);
    let reader = Reader::over(files.clone());
    let view = reader.at(300);
    assert!(matches!(
        view.entry(300),
        Err(ReadError::NoSuchEntry {
            index: 300,
            size: 300
        })
    ));
    assert!(matches!(
        view.entry(u64::MAX),
        Err(ReadError::NoSuchEntry { .. })
    ));
    for (level, index) in [
        (0, 300),
        (2, 75),
        (8, 1),
        (9, 0),
        (64, 0),
        (255, 1),
        (1, u64::MAX),
    ] {
        assert!(matches!(
            view.hash(level, index),
            Err(ReadError::NoSuchHash { .. })
        ));
    }
    // Sizes that the log never had.
    assert!(matches!(
        reader.at(301).root(),
        Err(ReadError::Missing { size: 301, .. })
    ));
    assert!(matches!(
        reader.at(299).entry(298),
        Err(ReadError::Missing { .. })
    ));

    files.take("tile/entries/001.p/44");
    let found: Vec<_> = view.entries(250..300).collect();
    assert_eq!(found.len(), 7, "six entries, and the error");
    let error = view.entry(299).unwrap_err();
    assert_eq!(
        error.to_string(),
        "tile/entries/001.p/44 is missing, a log of size 300 has it"
    );
    files.put("tile/entries/001.p/44", b"\0\x05abc");
    assert!(matches!(view.entry(299), Err(ReadError::Malformed { .. })));
    files.put("tile/0/001.p/44", &[0; 9_000]);
    assert!(matches!(view.root(), Err(ReadError::Io { .. })));
}

#[test]
fn a_proof_file_from_the_folder_verifies() {
    let (files, checkpoints) = log(&[300]);
    let reader = Reader::over(files);
    assert_eq!(
        reader.checkpoint().unwrap(),
        Some(checkpoints[0].clone().into_bytes())
    );
    let proof = reader
        .at(300)
        .proof_file(255, None, checkpoints[0].clone())
        .unwrap();
    let proof = TlogProof::parse(proof.to_string().as_bytes()).unwrap();
    let checkpoint = proof.verify(&entry(255), &keys()).unwrap();
    assert_eq!((checkpoint.origin.as_str(), checkpoint.size), (ORIGIN, 300));
    assert!(proof.verify(&entry(254), &keys()).is_err());
    assert_eq!(signed(&checkpoint, SEED), checkpoints[0]);
}
