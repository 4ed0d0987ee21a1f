//! Whatever is changed in a log's folder is seen.

use std::sync::LazyLock;

use proptest::prelude::*;

use super::*;
use crate::files::memory::Memory;
use crate::testing::{ORIGIN, SEED, entry, key, keys, log, naive_root, signed};
use crate::tile::{decode_entries, encode_entry, encode_hashes};

/// A file's path and content.
type File = (String, Vec<u8>);

/// Changes the entries of a bundle.
type Tamper = fn(&mut Vec<Vec<u8>>);

const BATCHES: [u64; 4] = [5, 295, 250, 50];

/// A log of 600 entries and its checkpoints, written once.
static LOG: LazyLock<(Vec<File>, Vec<String>)> = LazyLock::new(|| {
    let (files, checkpoints) = log(&BATCHES);
    (files.contents(), checkpoints)
});

fn fresh() -> Memory {
    let files = Memory::default();
    for (path, content) in &LOG.0 {
        files.put(path, content);
    }
    files
}

fn read(files: &Memory, path: &str) -> Vec<u8> {
    files.read(path, u64::MAX).unwrap()
}

fn verify(files: &Memory) -> Result<Report, VerifyError> {
    verify_files(files, &keys(), None)
}

fn since(files: &Memory, note: &str) -> Result<Report, VerifyError> {
    verify_files(files, &keys(), Some(note.as_bytes()))
}

/// Entries with one bundle replaced, and the leaf tile made to fit.
fn with_bundle(path: &str, leaves: Option<&str>, change: impl FnOnce(&mut Vec<Vec<u8>>)) -> Memory {
    let files = fresh();
    let width = path
        .rsplit_once(".p/")
        .map_or(256, |(_, width)| width.parse().unwrap());
    let bundle = read(&files, path);
    let mut entries: Vec<_> = decode_entries(&bundle, width).unwrap();
    let mut entries: Vec<_> = entries.drain(..).map(<[u8]>::to_vec).collect();
    change(&mut entries);
    let mut bundle = Vec::new();
    for entry in &entries {
        encode_entry(&mut bundle, entry).unwrap();
    }
    files.put(path, &bundle);
    if let Some(leaves) = leaves {
        let hashes: Vec<_> = entries.iter().map(|entry| Hash::leaf(entry)).collect();
        files.put(leaves, &encode_hashes(&hashes));
    }
    files
}

#[test]
fn a_log_verifies_since_each_of_its_checkpoints() {
    let files = fresh();
    let report = verify(&files).unwrap();
    assert_eq!(report.checkpoint.size, 600);
    assert_eq!(report.first_entry, Some(entry(0)));
    assert_eq!((report.since, report.unsigned_files), (None, 0));
    for (note, size) in LOG.1.iter().zip([5, 300, 550, 600]) {
        let report = since(&files, note).unwrap();
        assert_eq!(report.since.unwrap().size, size);
    }
}

#[test]
fn logs_of_every_shape_verify() {
    for size in [1, 2, 255, 256, 257, 511, 512, 513] {
        let (files, _) = log(&[size]);
        assert_eq!(verify(&files).unwrap().checkpoint.size, size);
    }
    let files = Memory::default();
    let empty = crate::State::new(crate::Origin::parse(ORIGIN).unwrap());
    files.put("checkpoint", signed(&empty.checkpoint(), SEED).as_bytes());
    let report = verify(&files).unwrap();
    assert_eq!((report.first_entry, report.last_entry), (None, None));
}

#[test]
fn a_log_of_three_levels_verifies() {
    let (files, _) = log(&[65_000, 700]);
    let report = verify(&files).unwrap();
    assert_eq!(report.checkpoint.size, 65_700);
    let leaves: Vec<_> = (0..65_700).map(|n| Hash::leaf(&entry(n))).collect();
    assert_eq!(report.checkpoint.root, naive_root(&leaves));
    let mut tile = read(&files, "tile/1/000");
    tile[5 * 32] ^= 1;
    files.put("tile/1/000", &tile);
    assert!(matches!(
        verify(&files),
        Err(VerifyError::Hash {
            level: 1,
            item: 5,
            ..
        })
    ));
}

#[test]
fn entries_changed_dropped_inserted_or_reordered_are_seen_where_they_are() {
    let path = "tile/entries/001";
    let changes: [(&str, Tamper); 4] = [
        ("changed", |entries| entries[9].push(b'x')),
        ("reordered", |entries| entries.swap(9, 10)),
        ("moved", |entries| entries[9..].rotate_left(1)),
        ("emptied", |entries| entries[9].clear()),
    ];
    for (what, change) in changes {
        let error = verify(&with_bundle(path, None, change)).unwrap_err();
        let hash = matches!(
            error,
            VerifyError::Hash {
                level: 0,
                item: 265,
                ..
            }
        );
        assert!(hash, "{what}: {error}");
        // With the leaf tile made to fit, the level above does not.
        let error = verify(&with_bundle(path, Some("tile/0/001"), change)).unwrap_err();
        let hash = matches!(
            error,
            VerifyError::Hash {
                level: 1,
                item: 1,
                ..
            }
        );
        assert!(hash, "{what}: {error}");
        // In the last, partial tile nothing is above but the checkpoint.
        let last = ("tile/entries/002.p/88", "tile/0/002.p/88");
        let error = verify(&with_bundle(last.0, Some(last.1), change)).unwrap_err();
        assert!(
            matches!(error, VerifyError::Root { size: 600, .. }),
            "{what}: {error}"
        );
    }
    let changes: [Tamper; 4] = [
        |entries| drop(entries.remove(9)),
        |entries| entries.insert(9, entry(3)),
        |entries| drop(entries.pop()),
        Vec::clear,
    ];
    for change in changes {
        let error = verify(&with_bundle(path, None, change)).unwrap_err();
        assert!(
            matches!(error, VerifyError::Read(ReadError::Malformed { .. })),
            "{error}"
        );
    }
}

#[test]
fn missing_files_are_named() {
    for (path, _) in &LOG.0 {
        let files = fresh();
        files.take(path);
        match verify(&files) {
            Err(VerifyError::NoCheckpoint) => assert_eq!(path, CHECKPOINT),
            Err(VerifyError::Read(ReadError::Missing {
                path: named,
                size: 600,
            })) => {
                assert_eq!(named, *path);
            }
            // What is left from an earlier size need not be kept.
            Ok(_) => assert!(path.contains(".p/") && !path.ends_with(".p/88")),
            Err(other) => panic!("{path}: {other}"),
        }
    }
}

#[test]
fn foreign_files_are_named_and_files_beyond_the_checkpoint_are_counted() {
    for path in [
        "notes.txt",
        "tile/0/0000",
        "tile/x",
        "tile/0/000.p/0",
        "tile/9/000",
        "tile/0/x000/001",
    ] {
        let files = fresh();
        files.put(path, b"");
        match verify(&files) {
            Err(VerifyError::Foreign { path: named }) => assert_eq!(named, path),
            other => panic!("{path}: {other:?}"),
        }
    }
    let files = fresh();
    for path in [
        "tile/0/002.p/89",
        "tile/0/002",
        "tile/entries/003",
        "tile/2/000.p/1",
    ] {
        files.put(path, b"not signed by anyone");
    }
    files.put(".writing/0", b"half a file");
    assert_eq!(verify(&files).unwrap().unsigned_files, 4);
}

#[cfg(unix)]
#[test]
fn a_link_does_not_belong_into_a_log() {
    let folder = tempfile::tempdir().unwrap();
    for (path, content) in &LOG.0 {
        let path = folder.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }
    assert_eq!(
        verify_folder(folder.path(), &keys(), None).unwrap(),
        verify(&fresh()).unwrap()
    );
    std::os::unix::fs::symlink("checkpoint", folder.path().join("tile/0/003")).unwrap();
    assert!(matches!(
        verify_folder(folder.path(), &keys(), None),
        Err(VerifyError::Foreign { path }) if path == "tile/0/003"
    ));
}

#[test]
fn a_rolled_back_or_rewritten_log_is_seen_by_who_kept_a_checkpoint() {
    let [.., before, last] = LOG.1.as_slice() else {
        panic!("there are four");
    };
    // An older checkpoint in place of the newest: what is beyond is no longer signed for.
    let files = fresh();
    files.put("checkpoint", before.as_bytes());
    assert!(verify(&files).unwrap().unsigned_files > 0);
    let error = since(&files, last).unwrap_err();
    assert!(matches!(
        error,
        VerifyError::RolledBack {
            size: 550,
            since: 600
        }
    ));

    // The whole log written anew without one entry, signed with the true key.
    let rewritten = Memory::default();
    let state = crate::State::new(crate::Origin::parse(ORIGIN).unwrap());
    let mut log = crate::TileLog::open_in(rewritten.clone(), state).unwrap();
    let kept: Vec<_> = (0..701).filter(|n| *n != 400).map(entry).collect();
    let state = log.append(&kept).unwrap();
    log.committed(700);
    log.publish_checkpoint(signed(&state.checkpoint(), SEED).as_bytes())
        .unwrap();
    assert_eq!(verify(&rewritten).unwrap().checkpoint.size, 700);
    for (note, size) in LOG.1.iter().zip([5, 300, 550, 600]) {
        match since(&rewritten, note) {
            Ok(_) => assert!(size <= 400),
            Err(VerifyError::Rewritten { size: at, .. }) => assert_eq!(at, size),
            Err(other) => panic!("{other}"),
        }
    }
}

#[test]
fn checkpoints_of_other_logs_and_keys_are_refused() {
    let files = fresh();
    let wrong = [key(SEED + 1, ORIGIN)];
    assert!(matches!(
        verify_files(&files, &wrong, None),
        Err(VerifyError::Checkpoint(_))
    ));
    assert!(matches!(
        verify_files(&files, &[], None),
        Err(VerifyError::Checkpoint(_))
    ));
    let mut other = Checkpoint::open(LOG.1[0].as_bytes(), &keys()).unwrap();
    other.origin = crate::Origin::parse("other.example").unwrap();
    let other = signed(&other, SEED);
    assert!(matches!(since(&files, &other), Err(VerifyError::Since(_))));
    let both = [key(SEED, ORIGIN), key(SEED, "other.example")];
    assert!(matches!(
        verify_files(&files, &both, Some(other.as_bytes())),
        Err(VerifyError::OtherLog { .. })
    ));
    assert!(matches!(
        since(&files, "garbage"),
        Err(VerifyError::Since(_))
    ));
}

/// Any file of the log, those that are left from an earlier size included.
fn some_file(at: prop::sample::Index) -> &'static File {
    at.get(&LOG.0)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]
    #[test]
    fn any_flipped_bit_is_seen(file: prop::sample::Index, at: prop::sample::Index, bit in 0_u8..8) {
        let (path, content) = some_file(file);
        let mut content = content.clone();
        let at = at.index(content.len());
        content[at] ^= 1 << bit;
        let files = fresh();
        files.put(path, &content);
        prop_assert!(verify(&files).is_err(), "{} at {}", path, at);
    }

    #[test]
    fn any_cut_or_lengthened_file_is_seen(file: prop::sample::Index, at: prop::sample::Index, more in 0_usize..40) {
        let (path, content) = some_file(file);
        let files = fresh();
        files.put(path, &content[..at.index(content.len())]);
        prop_assert!(verify(&files).is_err(), "{}", path);
        let mut longer = content.clone();
        longer.extend(std::iter::repeat_n(0, more + 1));
        files.put(path, &longer);
        prop_assert!(verify(&files).is_err(), "{}", path);
    }

    #[test]
    fn any_two_exchanged_files_are_seen(one: prop::sample::Index, two: prop::sample::Index) {
        let (one, two) = (some_file(one), some_file(two));
        prop_assume!(one.1 != two.1);
        let files = fresh();
        files.put(&one.0, &two.1);
        files.put(&two.0, &one.1);
        prop_assert!(verify(&files).is_err());
    }
}
