//! What a log accepts, and what it leaves on disk.

use super::*;
use crate::checkpoint::Origin;
use crate::files::memory::Memory;
use crate::hash::Hash;
use crate::read::ReadError;
use crate::testing::{ORIGIN, SEED, entries, entry, keys, log, signed};
use crate::tile::MAX_ENTRY;
use crate::verify::{verify_files, verify_folder};

fn new() -> State {
    State::new(Origin::parse(ORIGIN).unwrap())
}

fn state(size: u64) -> State {
    state_of(ORIGIN, size)
}

fn state_of(origin: &str, size: u64) -> State {
    let mut state = State::new(Origin::parse(origin).unwrap());
    for entry in entries(0..size) {
        state.push(Hash::leaf(&entry));
    }
    state
}

fn paths(files: &Memory) -> Vec<String> {
    files.contents().into_iter().map(|(path, _)| path).collect()
}

#[test]
fn a_log_on_disk_is_what_the_format_says() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("audit/2026-11");
    let mut log = TileLog::open(&root, new()).unwrap();
    log.append(&entries(0..200)).unwrap();
    let state = log.append(&entries(200..600)).unwrap();
    log.committed(600);
    let note = signed(&state.checkpoint(), SEED);
    log.publish_checkpoint(note.as_bytes()).unwrap();
    // The partial files of the tile that is full now.
    assert_eq!(log.prune().unwrap(), 2);
    assert_eq!(log.prune().unwrap(), 0);
    let mut log = TileLog::open(&root, State::from_bytes(&state.to_bytes()).unwrap()).unwrap();
    log.append(&entries(600..601)).unwrap();

    let report = verify_folder(&root, &keys(), None).unwrap();
    assert_eq!(report.checkpoint, state.checkpoint());
    assert_eq!(report.first_entry, Some(entry(0)));
    assert_eq!(report.unsigned_files, 2, "a bundle and a tile of 89");
    let first = std::fs::read(root.join("tile/entries/000")).unwrap();
    assert_eq!(first[..4], [0, 0, 0, 11]);
    assert!(root.join("tile/1/000.p/2").is_file());
}

#[test]
fn a_batch_of_nothing_changes_nothing() {
    let files = Memory::default();
    let mut log = TileLog::open_in(files.clone(), new()).unwrap();
    assert_eq!(log.append::<Vec<u8>>(&[]).unwrap(), new());
    assert_eq!(paths(&files), Vec::<String>::new());
}

#[test]
fn an_entry_that_does_not_fit_leaves_the_log_as_it_was() {
    let files = Memory::default();
    let mut log = TileLog::open_in(files.clone(), new()).unwrap();
    let error = log.append(&[vec![1; MAX_ENTRY], vec![1; MAX_ENTRY + 1]]);
    assert!(matches!(error, Err(AppendError::Entry { position: 1, .. })));
    assert_eq!(paths(&files), Vec::<String>::new());
    let state = log.append(&[vec![1; MAX_ENTRY]]).unwrap();
    assert_eq!(state.size(), 1);
    assert_eq!(state.root(), Hash::leaf(&vec![1; MAX_ENTRY]));
}

#[test]
fn after_a_failed_write_the_log_must_be_opened_anew() {
    let files = Memory::default();
    let mut log = TileLog::open_in(files.clone(), new()).unwrap();
    log.append(&entries(0..3)).unwrap();
    let before = files.changes();
    let _cut = files.clone().failing_at(before + 2);
    assert!(matches!(
        log.append(&entries(3..5)),
        Err(AppendError::Write { .. })
    ));
    assert_eq!(*log.state(), state(3));
    let _mended = files.clone().failing_at(usize::MAX);
    assert!(matches!(
        log.append(&entries(3..5)),
        Err(AppendError::Stopped)
    ));
    let mut log = TileLog::open_in(files, state(3)).unwrap();
    assert_eq!(log.append(&entries(3..5)).unwrap(), state(5));
}

#[test]
fn only_checkpoints_of_what_is_committed_are_published() {
    let files = Memory::default();
    let mut log = TileLog::open_in(files.clone(), new()).unwrap();
    log.append(&entries(0..300)).unwrap();
    let note = |state: &State| signed(&state.checkpoint(), SEED).into_bytes();
    assert!(matches!(
        log.publish_checkpoint(&note(&state(300))),
        Err(PublishError::Uncommitted {
            size: 300,
            committed: 0
        })
    ));
    log.committed(300);
    log.append(&entries(300..310)).unwrap();
    let published = log.publish_checkpoint(&note(&state(300))).unwrap();
    assert_eq!(log.published(), Some(&published));
    // Again, as after a change of keys.
    log.publish_checkpoint(&note(&state(300))).unwrap();
    assert!(matches!(
        log.publish_checkpoint(&note(&state(200))),
        Err(PublishError::Older {
            size: 200,
            published: 300
        })
    ));
    log.committed(310);
    for size in [300, 310] {
        let mut other = state(size).checkpoint();
        other.root = Hash::leaf(b"other");
        assert!(matches!(
            log.publish_checkpoint(signed(&other, SEED).as_bytes()),
            Err(PublishError::OtherRoot { .. })
        ));
    }
    let mut other = state(310).checkpoint();
    other.origin = Origin::parse("other.example").unwrap();
    assert!(matches!(
        log.publish_checkpoint(signed(&other, SEED).as_bytes()),
        Err(PublishError::OtherLog { .. })
    ));
    assert!(matches!(
        log.publish_checkpoint(b"no note"),
        Err(PublishError::Form(_))
    ));
    let report = verify_files(&files, &keys(), None).unwrap();
    assert_eq!(report.checkpoint.size, 300, "the last good one stays");
}

#[test]
fn partial_files_stay_until_a_checkpoint_covers_the_full_one() {
    let (files, _) = log(&[10, 10]);
    let partials = |files: &Memory| {
        let all = paths(files).into_iter();
        all.filter(|path| path.starts_with("tile/0/000.p/")).count()
    };
    assert_eq!(partials(&files), 2, "checkpoints were signed for both");
    let mut log = TileLog::open_in(files.clone(), state(20)).unwrap();
    log.append(&entries(20..300)).unwrap();
    assert_eq!(log.prune().unwrap(), 0);
    log.committed(300);
    log.publish_checkpoint(signed(&state(300).checkpoint(), SEED).as_bytes())
        .unwrap();
    assert_eq!(log.prune().unwrap(), 4);
    assert_eq!(partials(&files), 0);
}

#[test]
fn a_store_that_fell_behind_is_refused() {
    let (files, _) = log(&[10, 290]);
    assert!(matches!(
        TileLog::open_in(files.copy(), state(10)),
        Err(OpenError::Behind {
            published: 300,
            size: 10
        })
    ));
    assert!(TileLog::open_in(files, state(300)).is_ok());
}

#[test]
fn a_folder_that_is_not_the_states_is_refused() {
    let (files, _) = log(&[300]);
    let open = |files: &Memory, state: State| TileLog::open_in(files.copy(), state).unwrap_err();
    let elsewhere = state_of("other.example", 300);
    assert!(matches!(
        open(&files, elsewhere),
        OpenError::OtherLog { .. }
    ));
    assert!(matches!(open(&files, state(301)), OpenError::Tiles(_)));
    let mut other = state(299);
    other.push(Hash::leaf(b"other"));
    assert!(matches!(
        open(&files, other),
        OpenError::Root { size: 300, .. }
    ));

    let missing = files.copy();
    missing.take("tile/0/001.p/44");
    assert!(matches!(open(&missing, state(300)), OpenError::Tiles(_)));
    let garbled = files.copy();
    garbled.put("checkpoint", b"garbage");
    assert!(matches!(
        open(&garbled, state(300)),
        OpenError::Checkpoint(_)
    ));
    let forked = files.copy();
    let mut other = state(256).checkpoint();
    other.root = Hash::leaf(b"other");
    forked.put("checkpoint", signed(&other, SEED).as_bytes());
    assert!(matches!(
        open(&forked, state(300)),
        OpenError::Forked { size: 256, .. }
    ));
    let changed = files.copy();
    let path = "tile/entries/001.p/44";
    let mut bundle = files.read(path, u64::MAX).unwrap();
    *bundle.last_mut().unwrap() ^= 1;
    changed.put(path, &bundle);
    assert!(matches!(
        open(&changed, state(300)),
        OpenError::Entry { index: 299, .. }
    ));
}

#[test]
fn a_full_tile_that_a_crash_left_does_not_stand_in_for_a_lost_partial_one() {
    let (files, _) = log(&[10]);
    let mut log = TileLog::open_in(files.clone(), state(10)).unwrap();
    log.append(&entries(10..300)).unwrap();
    files.take("tile/0/000.p/10");
    let before = paths(&files);
    assert!(matches!(
        TileLog::open_in(files.clone(), state(10)),
        Err(OpenError::Tiles(ReadError::Missing { .. }))
    ));
    assert_eq!(paths(&files), before, "nothing was removed");
}
