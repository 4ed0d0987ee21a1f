use std::collections::BTreeMap;

use taskpass_core::registry::RowKey;

use crate::testing::{TestBroker, as_agent, ops};
use crate::{Archiver, RevokeWhat};

fn entries(folder: &std::path::Path) -> Vec<serde_json::Value> {
    let mut entries = Vec::new();
    for file in std::fs::read_dir(folder).unwrap() {
        let text = std::fs::read_to_string(file.unwrap().path()).unwrap();
        entries.extend(text.lines().map(|line| serde_json::from_str(line).unwrap()));
    }
    entries
}

fn kinds(entries: &[serde_json::Value]) -> BTreeMap<String, usize> {
    let mut kinds = BTreeMap::new();
    for entry in entries {
        let entry = &entry["entry"];
        let kind = format!(
            "{} {}",
            entry["kind"].as_str().unwrap(),
            entry["outcome"].as_str().unwrap()
        );
        *kinds.entry(kind).or_default() += 1;
    }
    kinds
}

#[tokio::test]
async fn every_effect_has_one_entry_and_no_gap() {
    let t = TestBroker::new().await;
    let folder = tempfile::tempdir().unwrap();
    let task = t.start("reader", &["read"]).await.unwrap();
    let token = t.token("reader", task).await.unwrap();
    t.certificate("reader", task).await.unwrap();
    t.token_with("reader", task, &["write"], None, 5)
        .await
        .unwrap_err();
    t.token("payer", task).await.unwrap_err();
    t.broker
        .entry_of(&ops(), &RowKey::Agent("reader".parse().unwrap()))
        .await
        .unwrap();
    t.revoke(RevokeWhat::Task(task)).await.unwrap();
    let mut archiver = Archiver::open(t.broker.clone(), folder.path())
        .await
        .unwrap();
    let moved = archiver.drain().await.unwrap();
    let entries = entries(folder.path());
    assert_eq!(moved, entries.len());
    for (index, line) in entries.iter().enumerate() {
        assert_eq!(line["index"], index);
    }
    let kinds = kinds(&entries);
    for (kind, count) in [
        ("task.start allow", 1),
        ("credential.token allow", 1),
        ("credential.token deny", 2),
        ("credential.certificate allow", 1),
        ("revocation done", 1),
        ("read done", 1),
        ("broker done", 1),
        ("policy done", 1),
        ("registry done", 9),
    ] {
        assert_eq!(kinds.get(kind), Some(&count), "{kind}: {kinds:?}");
    }
    let text = std::fs::read_dir(folder.path())
        .unwrap()
        .map(|file| std::fs::read_to_string(file.unwrap().path()).unwrap())
        .collect::<String>();
    assert!(!text.contains(token.token.expose()));
    let issued = entries
        .iter()
        .map(|line| &line["entry"])
        .find(|entry| entry["kind"] == "credential.token" && entry["outcome"] == "allow")
        .unwrap();
    assert_eq!(
        issued["credential"]["sha256"],
        token.credential.digest.to_string()
    );
    assert_eq!(issued["id"], token.credential.decision.to_string());
    assert_eq!(issued["owner"], "team");
}

#[tokio::test]
async fn a_crash_between_log_and_store_writes_no_entry_twice() {
    let t = TestBroker::new().await;
    let folder = tempfile::tempdir().unwrap();
    t.start("reader", &["read"]).await.unwrap();
    let mut archiver = Archiver::open(t.broker.clone(), folder.path())
        .await
        .unwrap();
    archiver.drain().await.unwrap();
    let before = entries(folder.path()).len();
    drop(archiver);
    // What a crash leaves: lines behind the cursor that the store never heard of.
    let file = std::fs::read_dir(folder.path())
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .path();
    let mut text = std::fs::read_to_string(&file).unwrap();
    text.push_str("{\"index\":999,\"entry\":{\"half\":");
    std::fs::write(&file, text).unwrap();
    t.start("payer", &["read"]).await.unwrap();
    let mut archiver = Archiver::open(t.broker.clone(), folder.path())
        .await
        .unwrap();
    assert_eq!(archiver.drain().await.unwrap(), 1);
    let after = entries(folder.path());
    assert_eq!(after.len(), before + 1);
    assert_eq!(after.last().unwrap()["index"], before);
}

#[tokio::test]
async fn denials_beyond_the_budget_become_one_counted_entry() {
    let t = TestBroker::new().await;
    let folder = tempfile::tempdir().unwrap();
    for _ in 0..100 {
        t.start("reader", &["write"]).await.unwrap_err();
    }
    t.advance(61);
    t.broker.record_counted_denials().await.unwrap();
    Archiver::open(t.broker.clone(), folder.path())
        .await
        .unwrap()
        .drain()
        .await
        .unwrap();
    let entries = entries(folder.path());
    assert_eq!(kinds(&entries).get("task.start deny"), Some(&60));
    let counted: Vec<_> = entries
        .iter()
        .filter(|line| line["entry"]["kind"] == "denials")
        .collect();
    assert_eq!(counted.len(), 1);
    assert_eq!(counted[0]["entry"]["count"], 40);
    assert_eq!(counted[0]["entry"]["actor"], "agent/reader");
    let _ = as_agent("reader");
}
