//! The auditor at the command line: copies the log, verifies it without the broker, keeps a
//! checkpoint, and is told when anything was changed.

use std::path::Path;

use serde_json::Value;
use taskpass_testkit::{Broker, Outcome};

use crate::{BIN, something};

/// A run without any broker or identity.
fn offline(args: &[&str]) -> Outcome {
    let mut all = vec!["-o", "json"];
    all.extend(args);
    taskpass_testkit::run(Path::new(BIN), &[], &all, b"")
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// The only file of the export that is a bundle of entries, and its month.
fn bundle(export: &Path) -> std::path::PathBuf {
    let month = months(export).pop().unwrap();
    let partial = export.join(month).join("tile/entries/000.p");
    let mut files = std::fs::read_dir(partial).unwrap();
    files.next().unwrap().unwrap().path()
}

fn months(export: &Path) -> Vec<String> {
    let names = std::fs::read_dir(export).unwrap();
    let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut months: Vec<_> = names.filter(|name| name.len() == 7).collect();
    months.sort();
    months
}

#[tokio::test]
async fn an_auditor_copies_verifies_and_comes_again() {
    let broker = Broker::start(BIN);
    let folder = tempfile::tempdir().unwrap();
    let (export, kept, key) = (
        folder.path().join("export"),
        folder.path().join("kept"),
        folder.path().join("key"),
    );
    something(&broker).await;
    let checkpoint = broker.cli_raw("", &["audit", "checkpoint"], b"");
    checkpoint.ok();
    assert_eq!(checkpoint.stdout, broker.get("/log/checkpoint").text());
    std::fs::write(&kept, &checkpoint.stdout).unwrap();
    let vkey = broker.cli("", &["audit", "checkpoint"]).text("vkey");
    std::fs::write(&key, &vkey).unwrap();

    let copy = ["audit", "export", "--out", text(&export)];
    let unknown = broker.cli("", &[&copy[..], &["--log", "2001-01"]].concat());
    assert_eq!(unknown.code, 1);
    assert!(!export.exists(), "nothing came, and nothing is left");
    broker.cli("", &copy).ok();
    let verify = ["audit", "verify", text(&export), "--key", text(&key)];
    offline(&verify).ok();
    let since = [&verify[..], &["--since", text(&kept)]].concat();
    offline(&since).ok();

    // The second time only what came since is fetched; the copy then continues the first.
    let id = something(&broker).await;
    broker.cli("", &copy).ok();
    offline(&since).ok();
    let proof = folder.path().join("proof");
    broker
        .cli("", &["audit", "proof", &id, "--out", text(&proof)])
        .ok();
    let check = ["audit", "verify-proof", text(&proof), "--key", text(&key)];
    let said = offline(&check).json();
    assert!(said.to_string().contains(&id), "{said}");

    let lines = folder.path().join("lines.jsonl");
    let as_lines = [
        "audit",
        "export",
        "--format",
        "jsonl",
        "--out",
        text(&lines),
    ];
    broker.cli("", &as_lines).ok();
    let written = std::fs::read_to_string(&lines).unwrap();
    let mut written = written
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap());
    assert!(written.any(|line| line["entry"]["credential"]["id"] == id.as_str()));
}

#[tokio::test]
async fn what_was_changed_is_found_and_said() {
    let broker = Broker::start(BIN);
    let folder = tempfile::tempdir().unwrap();
    let export = folder.path().join("export");
    let id = something(&broker).await;
    broker
        .cli("", &["audit", "export", "--out", text(&export)])
        .ok();
    let verify = ["audit", "verify", text(&export)];
    let bundle = bundle(&export);
    let good = std::fs::read(&bundle).unwrap();
    for place in [0, 2, good.len() / 2, good.len() - 1] {
        let mut bad = good.clone();
        bad[place] ^= 1;
        std::fs::write(&bundle, bad).unwrap();
        assert_eq!(offline(&verify).code, 1, "byte {place}");
    }
    std::fs::remove_file(&bundle).unwrap();
    let missing = offline(&verify);
    assert_eq!(missing.code, 1);
    let name = bundle.file_name().unwrap().to_str().unwrap();
    assert!(missing.stderr.contains(name), "{missing}");
    std::fs::write(&bundle, good).unwrap();
    let foreign = export
        .join(months(&export).pop().unwrap())
        .join("notes.txt");
    std::fs::write(&foreign, "mine").unwrap();
    let said = offline(&verify);
    assert_eq!(said.code, 1);
    assert!(said.stderr.contains("notes.txt"), "{said}");
    std::fs::remove_file(&foreign).unwrap();
    offline(&verify).ok();

    // Another broker's checkpoint, and another broker's key.
    let other = Broker::start(BIN);
    something(&other).await;
    let kept = folder.path().join("other");
    let checkpoint = other.cli_raw("", &["audit", "checkpoint"], b"");
    std::fs::write(&kept, checkpoint.stdout).unwrap();
    let since = [&verify[..], &["--since", text(&kept)]].concat();
    assert_eq!(offline(&since).code, 1);
    let vkey = other.cli("", &["audit", "checkpoint"]).text("vkey");
    let keyed = [&verify[..], &["--key", &vkey]].concat();
    assert_eq!(offline(&keyed).code, 1);
    let proof = folder.path().join("proof");
    broker
        .cli("", &["audit", "proof", &id, "--out", text(&proof)])
        .ok();
    let check = ["audit", "verify-proof", text(&proof), "--key", &vkey];
    assert_eq!(offline(&check).code, 1);
}

#[tokio::test]
async fn a_query_that_cannot_find_anything_says_why() {
    let broker = Broker::start(BIN);
    something(&broker).await;
    let query = |more: &[&str]| broker.cli("", &[&["audit", "query"], more].concat());
    let found = query(&["--agent", "invoice-bot", "--kind", "credential.token"]);
    found.ok();
    assert!(found.stdout.contains("credential.token"), "{found}");
    query(&["--agent", "nobody"]).refused("AGENT_NOT_FOUND", &["nobody"]);
    query(&["--kind", "tokens"]).refused("INVALID_FIELD", &["credential.token"]);
    query(&["--log", "1999-01"]).refused("LOG_NOT_FOUND", &["1999-01", "kept are"]);
    query(&["--from", "2199-01-01T00:00:00Z"]).refused("INVALID_PERIOD", &["it is"]);
    let unknown = "01M82G206YHC5JBHBN9WJ8HVA3";
    broker
        .cli("", &["audit", "proof", unknown])
        .refused("ENTRY_NOT_FOUND", &[unknown]);
}
