//! A copy that goes on, one that was cut off, and brokers that send what they should not.

use std::collections::BTreeSet;
use std::fs;

use taskpass_log::chain::verify_logs;
use taskpass_log::read::CHECKPOINT;
use taskpass_log::tile::{Kind, Tile};
use tempfile::TempDir;

use super::*;
use crate::commands::audit::testing::{Signer, messages, month, name};

const MONTH: &str = "2026-11";

/// A broker's folder with a log of `size` entries.
fn broker(size: u64, seed: u8) -> TempDir {
    let root = tempfile::tempdir().unwrap();
    month(root.path(), MONTH, size, None, &Signer::new(seed));
    root
}

fn copy(root: &Path, messages: &[v1::ExportResponse]) -> Result<(), CliError> {
    let mut copy = Copy::open(root, name(MONTH))?;
    for message in messages {
        copy.take(message.clone())?;
    }
    copy.finish()
}

fn size(root: &Path) -> u64 {
    let report = verify_logs(root, None, None).unwrap();
    assert_eq!(report.logs[0].report.unsigned_files, 0);
    report.logs[0].report.checkpoint.size
}

#[test]
fn a_copy_goes_on_as_the_log_does() {
    let out = tempfile::tempdir().unwrap();
    for entries in [3, 3, 255, 256, 600, 600] {
        let broker = broker(entries, 7);
        copy(out.path(), &messages(broker.path(), MONTH)).unwrap();
        assert_eq!(size(out.path()), entries);
        usable(out.path()).unwrap();
    }
    // Of what is there already, a broker sends only what is new.
    let broker = broker(900, 7);
    let new: Vec<_> = messages(broker.path(), MONTH)
        .into_iter()
        .filter(|message| !message.path.ends_with("/000") && !message.path.ends_with("/001"))
        .collect();
    copy(out.path(), &new).unwrap();
    assert_eq!(size(out.path()), 900);
    // Of the tiles that were at the end in between, none is left: it is what the broker has.
    let paths = |root: &Path| -> BTreeSet<String> {
        let all = messages(root, MONTH);
        all.into_iter().map(|message| message.path).collect()
    };
    assert_eq!(paths(out.path()), paths(broker.path()));
}

#[test]
fn a_copy_that_was_cut_off_has_the_checkpoint_from_before() {
    let out = tempfile::tempdir().unwrap();
    copy(out.path(), &messages(broker(300, 7).path(), MONTH)).unwrap();
    let longer = broker(600, 7);
    let all = messages(longer.path(), MONTH);
    for kept in 0..all.len() {
        let mut copy = Copy::open(out.path(), name(MONTH)).unwrap();
        for message in &all[..kept] {
            copy.take(message.clone()).unwrap();
        }
        drop(copy);
        let report = verify_logs(out.path(), None, None).unwrap();
        assert_eq!(report.logs[0].report.checkpoint.size, 300, "{kept}");
    }
    copy(out.path(), &all).unwrap();
    assert_eq!(size(out.path()), 600);
}

/// A path reads as long as the number of its tile does.
#[test]
fn a_tile_that_no_log_has_is_taken_for_one_beyond_the_end() {
    let out = tempfile::tempdir().unwrap();
    let mut copy = Copy::open(out.path(), name(MONTH)).unwrap();
    let far = Tile {
        kind: Kind::Entries,
        index: u64::MAX,
        width: 256,
    };
    let mut message = messages(broker(3, 7).path(), MONTH).remove(0);
    message.path = far.path();
    for _ in 0..2 {
        assert_eq!(copy.take(message.clone()).unwrap(), Some(u64::MAX));
    }
}

#[test]
fn a_log_that_does_not_go_on_is_refused_and_the_copy_stays() {
    let signer = Signer::new(7);
    let rewritten = tempfile::tempdir().unwrap();
    // Entries like those of a broker, but of another month.
    month(rewritten.path(), "2026-12", 600, None, &signer);
    let cases: &[(&str, Vec<v1::ExportResponse>, &str)] = &[
        (
            "shorter",
            messages(broker(100, 7).path(), MONTH),
            "LOG_ROLLED_BACK",
        ),
        (
            "another key",
            messages(broker(600, 8).path(), MONTH),
            "KEY_CHANGED",
        ),
        (
            "other entries",
            changed(&messages(broker(600, 7).path(), MONTH)),
            "LOG_REWRITTEN",
        ),
        (
            "other entries beyond what is there",
            changed(&new_only(&messages(broker(600, 7).path(), MONTH))),
            "LOG_INVALID",
        ),
        (
            "no checkpoint",
            messages(broker(600, 7).path(), MONTH)
                .into_iter()
                .filter(|message| message.path != CHECKPOINT)
                .collect(),
            "BAD_REPLY",
        ),
        (
            "a bundle is missing",
            messages(broker(600, 7).path(), MONTH)
                .into_iter()
                .filter(|message| message.path != "tile/entries/002.p/88")
                .collect(),
            "LOG_INCOMPLETE",
        ),
        (
            "another log",
            messages(rewritten.path(), "2026-12"),
            "BAD_REPLY",
        ),
    ];
    for (what, messages, reason) in cases {
        let out = tempfile::tempdir().unwrap();
        let before = messages_of(300);
        copy(out.path(), &before).unwrap();
        let error = copy(out.path(), messages).unwrap_err();
        assert_eq!(error.reason(), *reason, "{what}: {error}");
        let report = verify_logs(out.path(), None, None).unwrap();
        assert_eq!(report.logs[0].report.checkpoint.size, 300, "{what}");
    }
}

fn messages_of(entries: u64) -> Vec<v1::ExportResponse> {
    messages(broker(entries, 7).path(), MONTH)
}

/// Without the full bundles that a log of 300 entries has.
fn new_only(messages: &[v1::ExportResponse]) -> Vec<v1::ExportResponse> {
    let new = |message: &&v1::ExportResponse| !message.path.ends_with("/000");
    messages.iter().filter(new).cloned().collect()
}

/// With one bit of the first bundle turned.
fn changed(messages: &[v1::ExportResponse]) -> Vec<v1::ExportResponse> {
    let mut messages = messages.to_vec();
    let bundle = messages
        .iter_mut()
        .filter(|message| message.path.starts_with("tile/entries/"))
        .min_by_key(|message| message.path.clone())
        .unwrap();
    let mut data = bundle.data.to_vec();
    *data.last_mut().unwrap() ^= 1;
    bundle.data = data.into();
    messages
}

#[test]
fn what_nothing_is_sent_of_leaves_no_trace() {
    let out = tempfile::tempdir().unwrap();
    assert_eq!(copy(out.path(), &[]).unwrap_err().reason(), "BAD_REPLY");
    assert_eq!(fs::read_dir(out.path()).unwrap().count(), 0);
}

#[test]
fn a_file_comes_in_parts() {
    let parts: Vec<_> = messages_of(600)
        .into_iter()
        .flat_map(|message| {
            let mut first = message.clone();
            let mut last = message;
            last.data = first.data.split_off(first.data.len() / 2);
            first.more = true;
            [first, last]
        })
        .collect();
    let out = tempfile::tempdir().unwrap();
    copy(out.path(), &parts).unwrap();
    assert_eq!(size(out.path()), 600);
    // A part that is missing, and one of another file.
    for (wrong, reason) in [(1, "BAD_REPLY"), (2, "LOG_INVALID")] {
        let out = tempfile::tempdir().unwrap();
        let mut some = parts.clone();
        some.remove(wrong);
        let error = copy(out.path(), &some).unwrap_err();
        assert_eq!(error.reason(), reason, "{wrong}");
        // What came of it is in nobody's way.
        copy(out.path(), &parts).unwrap();
        assert_eq!(size(out.path()), 600);
    }
}

#[test]
fn what_is_no_tile_is_written_nowhere() {
    for path in [
        "../escaped",
        "/tmp/escaped",
        "tile/../../escaped",
        "tile/entries/000.p/0",
        "tile/entries/0",
        ".writing/x",
        "2026-11.vkey",
        "",
    ] {
        let root = tempfile::tempdir().unwrap();
        let out = root.path().join("out");
        let mut all = messages_of(3);
        all[1].path = path.into();
        let error = copy(&out, &all).unwrap_err();
        assert_eq!(error.reason(), "BAD_REPLY", "{path}");
        assert!(!root.path().join("escaped").exists());
    }
}

#[test]
fn only_an_export_is_written_to() {
    let root = tempfile::tempdir().unwrap();
    usable(root.path()).unwrap();
    usable(&root.path().join("new/folder")).unwrap();
    let other = tempfile::tempdir().unwrap();
    fs::write(other.path().join("thesis.txt"), "x").unwrap();
    let one_log = broker(3, 7);
    for (folder, reason) in [
        (other.path(), "FILE_EXISTS"),
        (&one_log.path().join(MONTH), "FILE_EXISTS"),
        (&other.path().join("thesis.txt"), "FILE_ERROR"),
    ] {
        assert_eq!(usable(folder).unwrap_err().reason(), reason, "{folder:?}");
    }
    usable(one_log.path()).unwrap();
}
