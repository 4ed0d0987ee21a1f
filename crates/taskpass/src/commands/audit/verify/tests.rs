//! The reasons that scripts see.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use super::*;
use crate::commands::audit::testing::{Signer, month};
use crate::output::{Ink, View as _};

const MONTHS: [&str; 2] = ["2026-10", "2026-11"];

fn export() -> (tempfile::TempDir, String) {
    let root = tempfile::tempdir().unwrap();
    let signer = Signer::new(7);
    let previous = month(root.path(), MONTHS[0], 300, None, &signer);
    let last = month(root.path(), MONTHS[1], 3, Some(&previous), &signer);
    (root, last)
}

#[test]
fn what_was_found_is_said() {
    let (root, last) = export();
    let since = Some(last.as_bytes());
    let report = verify_logs(root.path(), None, since).unwrap();
    let verified = Verified::from(&report);
    let public = Signer::new(7).public();
    let json: Value = serde_json::to_value(&verified).unwrap();
    let root_of = |log: usize| report.logs[log].report.checkpoint.root.to_string();
    assert_eq!(
        json,
        json!({
            "valid": true,
            "logs": [
                {
                    "origin": "broker.example/log/2026-10", "size": 300, "root": root_of(0),
                    "first_at": "2026-10-01T00:00:00Z", "last_at": "2026-10-03T00:00:00Z",
                    "key": public, "previous": null, "previous_is_here": false,
                    "unsigned_files": 0,
                },
                {
                    "origin": "broker.example/log/2026-11", "size": 3, "root": root_of(1),
                    "first_at": "2026-11-01T00:00:00Z", "last_at": "2026-11-02T00:00:00Z",
                    "key": public,
                    "previous": {
                        "origin": "broker.example/log/2026-10", "size": 300, "root": root_of(0),
                    },
                    "previous_is_here": true, "unsigned_files": 0,
                },
            ],
            "entries": 303,
            "keys": [public],
            "keys_from": "folder",
            "since": {"origin": "broker.example/log/2026-11", "size": 3, "root": root_of(1)},
        })
    );
    let text = verified.text(&Ink::plain());
    assert!(text.contains("follows  broker.example/log/2026-10, as it ended after 300 entries\n"));
    assert!(text.contains(&format!("key    {public} (from the folder itself)\n")));
    assert!(text.ends_with(
        "valid: 2 logs with 303 entries; every entry, every hash, every signature, and the chain \
         of months held\n"
    ));
    assert!(verified.warning().unwrap().contains(&public));
    let given = keys::read(&[public]).unwrap();
    let report = verify_logs(root.path(), given.as_ref(), None).unwrap();
    assert_eq!(Verified::from(&report).warning(), None);
}

/// What is done to the folder.
type Do<'a> = &'a dyn Fn(&Path);

/// That, the older checkpoint, the key's seed, the reason, and a part of the message.
type Case<'a> = (Do<'a>, Option<&'a str>, u8, &'a str, &'a str);

/// Each is refused with a reason, and says what to do.
fn refused(cases: &[Case<'_>]) {
    for (tamper, since, key, reason, message) in cases {
        let (root, _) = export();
        tamper(root.path());
        let keys = keys::read(&[Signer::new(*key).public()]).unwrap();
        let since = since.map(str::as_bytes);
        let error = verify_logs(root.path(), keys.as_ref(), since).unwrap_err();
        let error = refusal::of_chain(error);
        assert_eq!(error.reason(), *reason, "{error}");
        let text = error.render(&Ink::plain(), false);
        assert!(text.contains(message), "{text}");
        assert!(text.contains("\nhint: "), "{text}");
    }
}

#[test]
fn checkpoints_and_keys_of_others_are_refused() {
    let made = |month_of, size, previous| {
        let root = tempfile::tempdir().unwrap();
        month(root.path(), month_of, size, previous, &Signer::new(7))
    };
    let other = made("2025-01", 1, None);
    let longer = made(MONTHS[0], 301, None);
    let rewritten = made(MONTHS[0], 2, Some("another beginning"));
    let nothing: Do<'_> = &|_| {};
    refused(&[
        (
            nothing,
            Some("x"),
            7,
            "INVALID_CHECKPOINT",
            "the older checkpoint does not read",
        ),
        (
            nothing,
            Some(&other),
            7,
            "OTHER_LOG",
            "is of log broker.example/log/2025-01, here are:",
        ),
        (
            nothing,
            Some(&longer),
            7,
            "LOG_ROLLED_BACK",
            "log 2026-10 does not hold",
        ),
        (
            nothing,
            Some(&rewritten),
            7,
            "LOG_REWRITTEN",
            "log 2026-10 does not hold",
        ),
        (
            nothing,
            None,
            8,
            "LOG_UNTRUSTED",
            "log 2026-10 does not hold",
        ),
    ]);
}

#[test]
fn folders_that_were_changed_are_refused() {
    refused(&[
        (
            &|root| fs::remove_dir_all(root.join("2026-10/tile/entries")).unwrap(),
            None,
            7,
            "LOG_INCOMPLETE",
            "log 2026-10 does not hold",
        ),
        (
            &|root| fs::write(root.join("2026-10/tile/notes"), "").unwrap(),
            None,
            7,
            "LOG_FOREIGN_FILE",
            "log 2026-10 does not hold",
        ),
        (
            &|root| fs::write(root.join("notes"), "").unwrap(),
            None,
            7,
            "LOG_FOREIGN_FILE",
            "notes does not belong into a folder of logs",
        ),
        (
            &|root| fs::write(root.join("2026-10/tile/0/000"), [0; 8192]).unwrap(),
            None,
            7,
            "LOG_INVALID",
            "log 2026-10 does not hold",
        ),
        (
            &|root| {
                fs::remove_dir_all(root.join("2026-11")).unwrap();
                month(root, "2026-11", 3, None, &Signer::new(7));
            },
            None,
            7,
            "CHAIN_BROKEN",
            "log 2026-11 begins as if there was none before it",
        ),
    ]);
}

#[test]
fn what_is_no_folder_says_how_to_make_one() {
    let file = tempfile::NamedTempFile::new().unwrap();
    for path in [Path::new("not/here"), file.path()] {
        let error = verify_logs(path, None, None).unwrap_err();
        let error = refusal::of_chain(error);
        assert_eq!(error.reason(), "FILE_ERROR");
        let text = error.render(&Ink::plain(), false);
        assert!(
            text.contains("hint: name the folder of an export"),
            "{text}"
        );
    }
}
