//! Backups as whoever finds one tries them: cut off, changed, forged, of another version.

use std::io::Cursor;

use ring::digest::{SHA256, digest};
use taskpass_core::rng::SeededRng;

use super::*;
use crate::redb_store::{self, restore};
use crate::values::{
    at, birth, digest as hash, enrolment, entry, issue, key, line, owner_row, start, task, token,
};
use crate::{Backend as _, Change, Commit, MetaKey, Options, Reader, RedbBackend};

fn filled() -> RedbBackend {
    let mut backend = RedbBackend::in_memory(birth(), &Options::default()).unwrap();
    let above = task(1, 1, at(1000), &[]);
    let commits = [
        Commit::new(at(1))
            .change(Change::PutRow(owner_row(0, "a@example.org")))
            .change(Change::PutRow(owner_row(1, "b@example.org")))
            .change(Change::PutKey(key(0, taskpass_core::key::KeyState::Active)))
            .change(Change::PutIdentity(line(1, 3, at(1))))
            .change(Change::PutEnrolment {
                hash: hash(1),
                enrolment: enrolment(1, at(600)),
            })
            .change(Change::Outbox(entry(9))),
        start(&above),
        issue(1, &token(1, &above, at(2), at(300))),
        crate::values::revoke(taskpass_core::revocation::Selector::Everything, at(1)),
    ];
    assert!(backend.apply(&commits).unwrap().iter().all(Result::is_ok));
    backend
}

fn taken(reader: &dyn Reader) -> Vec<u8> {
    let mut file = Vec::new();
    reader
        .backup(at(9), &mut |piece| {
            file.extend_from_slice(&piece);
            true
        })
        .unwrap();
    file
}

fn restored(bytes: &[u8]) -> (tempfile::TempDir, Result<redb_store::Restored, BackupError>) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.redb");
    let rng = SeededRng::new(7);
    let outcome = restore(&path, &mut Cursor::new(bytes), 77, at(10), &rng);
    (folder, outcome)
}

/// The same bytes with a digest that fits.
fn sealed(mut bytes: Vec<u8>) -> Vec<u8> {
    let covered = bytes.len() - 32;
    let sum = digest(&SHA256, &bytes[..covered]);
    bytes[covered..].copy_from_slice(sum.as_ref());
    bytes
}

#[test]
fn what_was_taken_comes_back_sealed_under_another_epoch() {
    let backend = filled();
    let before = backend.reader();
    let bytes = taken(&*before);
    let header = verify_backup(&mut Cursor::new(&bytes)).unwrap();
    assert_eq!(header.made_at, at(9));
    assert_eq!(header.epoch, before.birth().epoch);
    let (folder, outcome) = restored(&bytes);
    let outcome = outcome.unwrap();
    assert_eq!((outcome.header, outcome.enrolments), (header, 1));
    let path = folder.path().join("store.redb");
    let after = RedbBackend::open(&path, &Options::default()).unwrap();
    let after = after.reader();
    assert_eq!(after.birth().epoch, 77);
    assert_eq!(after.enrolment(hash(1)).unwrap(), None);
    assert!(before.enrolment(hash(1)).unwrap().is_some());
    assert_eq!(after.keys().unwrap(), before.keys().unwrap());
    assert_eq!(after.outbox(9).unwrap(), before.outbox(9).unwrap());
    assert_eq!(after.tasks(None, None, 9).unwrap().items.len(), 1);
    assert_eq!(after.rules().after(0, 9), before.rules().after(0, 9));
    assert_eq!(after.live_credentials(), before.live_credentials());
    let sealed = after.registry().unwrap().into_iter().find_map(|row| {
        use taskpass_core::registry::Row;
        match row.value {
            Row::System(system) => system.sealed_at,
            _ => None,
        }
    });
    assert_eq!(sealed, Some(at(10)));
    let without_system = |reader: &dyn Reader| {
        let mut rows = reader.registry().unwrap();
        rows.retain(|row| row.value.key() != taskpass_core::registry::RowKey::System);
        rows
    };
    assert_eq!(without_system(&*before), without_system(&*after));
    assert!(
        after.meta(MetaKey::RegistryVersion).unwrap()
            > before.meta(MetaKey::RegistryVersion).unwrap()
    );
}

#[test]
fn a_store_that_is_there_is_left_alone() {
    let bytes = taken(&*filled().reader());
    let (folder, outcome) = restored(&bytes);
    outcome.unwrap();
    let path = folder.path().join("store.redb");
    let before = std::fs::read(&path).unwrap();
    let again = restore(
        &path,
        &mut Cursor::new(&bytes),
        78,
        at(11),
        &SeededRng::new(8),
    );
    assert!(matches!(again, Err(BackupError::Place(_))), "{again:?}");
    assert_eq!(std::fs::read(&path).unwrap(), before);
}

#[test]
fn whatever_is_cut_off_or_changed_is_refused_and_leaves_nothing() {
    let bytes = taken(&*filled().reader());
    let step = bytes.len() / 61 + 1;
    for place in (0..bytes.len()).step_by(step) {
        let (folder, cut) = restored(&bytes[..place]);
        assert!(cut.is_err(), "cut at {place}");
        assert_eq!(folder.path().read_dir().unwrap().count(), 0);
        let mut changed = bytes.clone();
        changed[place] ^= 1;
        let (folder, changed) = restored(&changed);
        assert!(changed.is_err(), "changed at {place}");
        assert_eq!(folder.path().read_dir().unwrap().count(), 0);
    }
}

#[test]
fn a_forged_digest_brings_no_panic() {
    let bytes = taken(&*filled().reader());
    let step = (bytes.len() - 32) / 150 + 1;
    for place in (0..bytes.len() - 32).step_by(step) {
        let mut changed = bytes.clone();
        changed[place] ^= if place % 2 == 0 { 1 } else { 0x80 };
        // Refused or not: what matters is that nothing panics, and that what is refused leaves nothing.
        let (folder, outcome) = restored(&sealed(changed));
        if outcome.is_err() {
            assert_eq!(folder.path().read_dir().unwrap().count(), 0, "{place}");
        }
    }
}

#[test]
fn a_newer_schema_is_refused() {
    let header = BackupHeader {
        made_at: at(1),
        schema: 99,
        trust_domain: String::new(),
        public_url: String::new(),
        dev: false,
        born_at: at(1),
        epoch: 1,
        newest_seq: 0,
        last_committed_at: at(1),
        log: String::new(),
        log_state: Vec::new(),
    };
    let mut bytes = Vec::new();
    let mut sink = |piece: bytes::Bytes| {
        bytes.extend_from_slice(&piece);
        true
    };
    Encoder::begin(&header, &mut sink).unwrap().end().unwrap();
    let (_, outcome) = restored(&bytes);
    assert!(matches!(outcome, Err(BackupError::Newer { found: 99, .. })));
}

#[test]
fn whoever_takes_no_more_ends_it() {
    let backend = filled();
    let mut pieces = 0;
    let outcome = backend.reader().backup(at(1), &mut |_| {
        pieces += 1;
        pieces < 3
    });
    assert!(outcome.is_err());
    assert_eq!(pieces, 3);
}
