//! Three months in a folder, and every way to tamper with them across months.

use std::convert::Infallible;
use std::error::Error as _;
use std::fs;

use ed25519_dalek::SigningKey;
use serde_json::json;
use tempfile::TempDir;

use super::*;
use crate::state::State;
use crate::testing::{key, raw_sign};
use crate::writer::TileLog;

const SEED: u8 = 7;
const HOST: &str = "broker.example";
const MONTHS: [&str; 3] = ["2026-09", "2026-11", "2026-12"];

fn origin(month: &str) -> String {
    format!("{HOST}/log/{month}")
}

/// What a month begins with.
fn first(origin: &str, previous: Option<&str>) -> Vec<u8> {
    let mut log = json!({ "origin": origin });
    if let Some(previous) = previous {
        log["previous"] = previous.into();
    }
    json!({"v": 1, "kind": "log", "outcome": "done", "log": log})
        .to_string()
        .into_bytes()
}

/// Writes the log `month` with these entries and signs it with the key of `seed`; returns the checkpoint.
fn write(root: &Path, month: &str, seed: u8, entries: &[Vec<u8>]) -> String {
    let folder = root.join(month);
    let origin = Origin::parse(&origin(month)).unwrap();
    let state = State::new(origin.clone());
    let mut log = TileLog::open(&folder, state).unwrap();
    let state = log.append(entries).unwrap();
    log.committed(state.size());
    let key = key(seed, origin.as_str());
    let note = state
        .checkpoint()
        .sign(&key, |text| Ok::<_, Infallible>(raw_sign(seed, text)))
        .unwrap();
    log.publish_checkpoint(note.as_bytes()).unwrap();
    fs::write(root.join(format!("{month}.vkey")), format!("{key}\n")).unwrap();
    note
}

/// Some entries that are of no interest.
fn rest(count: u32) -> Vec<Vec<u8>> {
    (0..count)
        .map(|n| format!("{{\"n\":{n}}}").into_bytes())
        .collect()
}

/// A whole month.
fn month(root: &Path, name: &str, previous: Option<&str>, count: u32) -> String {
    let mut entries = vec![first(&origin(name), previous)];
    entries.extend(rest(count));
    write(root, name, SEED, &entries)
}

/// The three months; the last checkpoint of each.
fn months() -> (TempDir, [String; 3]) {
    let root = tempfile::tempdir().unwrap();
    let one = month(root.path(), MONTHS[0], None, 300);
    let two = month(root.path(), MONTHS[1], Some(&one), 4);
    let three = month(root.path(), MONTHS[2], Some(&two), 0);
    (root, [one, two, three])
}

fn keys(text: &str) -> PublicKeys {
    PublicKeys::parse(text).unwrap()
}

fn public(seed: u8) -> String {
    let key = SigningKey::from_bytes(&[seed; 32]);
    data_encoding::HEXLOWER.encode(key.verifying_key().as_bytes())
}

#[test]
fn months_that_follow_each_other_hold() {
    let (root, notes) = months();
    let report = verify_logs(root.path(), None, None).unwrap();
    assert!(!report.keys_given);
    let sizes: Vec<_> = report
        .logs
        .iter()
        .map(|log| log.report.checkpoint.size)
        .collect();
    assert_eq!(sizes, [301, 5, 1]);
    assert_eq!(report.logs[0].before, Before::Nothing);
    for (log, note) in report.logs[1..].iter().zip(&notes) {
        let named = Checkpoint::parse_unverified(note.as_bytes()).unwrap();
        assert_eq!(log.before, Before::Follows(named));
    }
    // The first month was removed: it is not missed, but named.
    fs::remove_dir_all(root.path().join(MONTHS[0])).unwrap();
    fs::remove_file(root.path().join("2026-09.vkey")).unwrap();
    fs::create_dir(root.path().join(".find")).unwrap();
    let report = verify_logs(root.path(), None, None).unwrap();
    assert!(matches!(&report.logs[0].before, Before::NotHere(named) if named.size == 301));
}

#[test]
fn one_month_is_verified_by_itself() {
    let (root, notes) = months();
    let folder = root.path().join(MONTHS[1]);
    let report = verify_logs(&folder, None, Some(notes[1].as_bytes())).unwrap();
    assert_eq!(report.logs.len(), 1);
    assert_eq!(report.since.unwrap().size, 5);
    // Under another name than that of a month too, with a key from elsewhere.
    let other = root.path().join("copy");
    fs::rename(&folder, &other).unwrap();
    let given = keys(&public(SEED));
    assert!(verify_logs(&other, Some(&given), None).unwrap().keys_given);
}

#[test]
fn one_key_serves_for_all_months() {
    let (root, _) = months();
    let vkey = |month: &str| fs::read_to_string(root.path().join(format!("{month}.vkey"))).unwrap();
    let (oldest, newest) = (vkey(MONTHS[0]), vkey(MONTHS[2]));
    for month in MONTHS {
        fs::remove_file(root.path().join(format!("{month}.vkey"))).unwrap();
    }
    let base64 = data_encoding::BASE64.encode(
        SigningKey::from_bytes(&[SEED; 32])
            .verifying_key()
            .as_bytes(),
    );
    let both = format!("{}\n\n{oldest}", key(8, &origin("2020-01")));
    for text in [
        &oldest,
        &newest,
        &public(SEED),
        &public(SEED).to_uppercase(),
        &base64,
        &both,
    ] {
        let report = verify_logs(root.path(), Some(&keys(text)), None).unwrap();
        assert!(report.keys_given, "{text}");
        assert!(
            report
                .logs
                .iter()
                .all(|log| log.key.public() == key(SEED, "x").public())
        );
    }
    let without = verify_logs(root.path(), None, None).unwrap_err();
    assert!(matches!(without, ChainError::NoKey { path } if path.ends_with("2026-09.vkey")));
}

#[test]
fn keys_for_others_are_refused() {
    let (root, _) = months();
    for (text, expected) in [
        (
            key(SEED, "other.example/log/2026-09").to_string(),
            "the months of other.example/log",
        ),
        (
            key(SEED, "broker.example/log").to_string(),
            "broker.example/log",
        ),
    ] {
        let error = verify_logs(root.path(), Some(&keys(&text)), None).unwrap_err();
        let why = error.source().unwrap().to_string();
        assert!(
            why.ends_with(&format!("the key is for {expected}")),
            "{why}"
        );
    }
    let error = verify_logs(root.path(), Some(&keys(&public(8))), None).unwrap_err();
    assert!(matches!(error, ChainError::Log { log, .. } if log == "2026-09"));
    for (text, expected) in [
        ("", "there is no public key in it"),
        ("\n \n", "there is no public key in it"),
        ("a key", "line 1 is no public key: expected"),
        ("00ff", "line 1 is no public key: expected"),
        (&"00".repeat(32), "line 1 is no public key"),
        (
            &format!("{}\nx", public(7)),
            "line 2 is no public key: expected",
        ),
        (
            &key(7, "a").to_string().replace("a+", "b+"),
            "line 1 is no public key",
        ),
    ] {
        let error = PublicKeys::parse(text).unwrap_err().to_string();
        assert!(error.starts_with(expected), "{text}: {error}");
    }
}

#[test]
fn logs_of_two_brokers_do_not_pass_under_a_key_without_a_name() {
    let (root, notes) = months();
    let moved = "moved.example/log/2027-01";
    let entry = first(moved, Some(&notes[2]));
    let mut log = TileLog::open(
        &root.path().join("2027-01"),
        State::new(Origin::parse(moved).unwrap()),
    )
    .unwrap();
    let state = log.append(&[entry]).unwrap();
    log.committed(state.size());
    let own = key(SEED, moved);
    let note = state
        .checkpoint()
        .sign(&own, |text| Ok::<_, Infallible>(raw_sign(SEED, text)));
    log.publish_checkpoint(note.unwrap().as_bytes()).unwrap();
    fs::write(root.path().join("2027-01.vkey"), own.to_string()).unwrap();

    let error = verify_logs(root.path(), Some(&keys(&public(SEED))), None).unwrap_err();
    assert!(matches!(error, ChainError::OtherFamily { log, .. } if log == "2027-01"));
    // Who knows of the move names both.
    let named = format!("{}\n{own}", key(SEED, &origin(MONTHS[0])));
    assert!(verify_logs(root.path(), Some(&keys(&named)), None).is_ok());
}

#[test]
fn an_older_checkpoint_is_one_of_a_log_that_is_there() {
    let (root, notes) = months();
    for (note, size) in notes.iter().zip([301, 5, 1]) {
        let report = verify_logs(root.path(), None, Some(note.as_bytes())).unwrap();
        assert_eq!(report.since.unwrap().size, size);
    }
    let elsewhere = crate::testing::signed(
        &State::new(Origin::parse(&origin("2026-08")).unwrap()).checkpoint(),
        SEED,
    );
    let error = verify_logs(root.path(), None, Some(elsewhere.as_bytes())).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the older checkpoint is of log broker.example/log/2026-08, here are: \
         broker.example/log/2026-09, broker.example/log/2026-11, broker.example/log/2026-12"
    );
    let error = verify_logs(root.path(), None, Some(b"nonsense")).unwrap_err();
    assert!(matches!(error, ChainError::Since(_)));
    // A newer one than the folder: the log was rolled back.
    let newer = {
        let (other, _) = months();
        let later = month(other.path(), "2027-01", Some(&notes[2]), 9);
        month(root.path(), "2027-01", Some(&notes[2]), 2);
        later
    };
    let error = verify_logs(root.path(), None, Some(newer.as_bytes())).unwrap_err();
    let source = error.source().unwrap().to_string();
    assert!(source.ends_with("it was rolled back"), "{source}");
}

#[test]
fn a_folder_without_a_log_says_what_was_expected() {
    let root = tempfile::tempdir().unwrap();
    let error = verify_logs(root.path(), None, None)
        .unwrap_err()
        .to_string();
    assert!(error.ends_with(
        "holds no log: expected the file checkpoint and the folder tile, or folders named like \
         2026-11"
    ));
    let error = verify_logs(&root.path().join("none"), None, None).unwrap_err();
    assert!(matches!(error, ChainError::Io { .. }), "{error}");
    fs::create_dir_all(root.path().join("tile/0")).unwrap();
    let given = keys(&public(SEED));
    let error = verify_logs(root.path(), Some(&given), None).unwrap_err();
    let why = error.source().unwrap().to_string();
    assert!(why.starts_with("the file checkpoint is missing"), "{why}");
}

mod tampering;
