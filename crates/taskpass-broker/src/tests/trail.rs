//! What the log says of what happened.

use std::collections::BTreeMap;

use taskpass_core::registry::RowKey;

use crate::testing::log::{Line, lines};
use crate::testing::{TestBroker, as_agent, ops};
use crate::{Archiver, LogSettings, RevokeWhat};

async fn archiver(t: &TestBroker, folder: &tempfile::TempDir) -> Archiver {
    let settings = LogSettings {
        folder: folder.path().to_owned(),
        keep_months: None,
    };
    Archiver::open(t.broker.clone(), settings).await.unwrap()
}

fn kinds(entries: &[Line]) -> BTreeMap<String, usize> {
    let mut kinds = BTreeMap::new();
    for Line { entry, .. } in entries {
        let kind = entry["kind"].as_str().unwrap();
        let outcome = entry["outcome"].as_str().unwrap();
        *kinds.entry(format!("{kind} {outcome}")).or_default() += 1;
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
    let moved = archiver(&t, &folder).await.drain().await.unwrap();
    let entries = lines(folder.path());
    assert_eq!(
        moved + 1,
        entries.len(),
        "and the one that the log begins with"
    );
    let kinds = kinds(&entries);
    for (kind, count) in [
        ("log done", 1),
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
    for line in &entries {
        let text = line.entry.to_string();
        assert!(!text.contains(token.token.expose()), "{text}");
    }
    let issued = entries
        .iter()
        .map(|line| &line.entry)
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
async fn denials_beyond_the_budget_become_one_counted_entry() {
    let t = TestBroker::new().await;
    let folder = tempfile::tempdir().unwrap();
    for _ in 0..100 {
        t.start("reader", &["write"]).await.unwrap_err();
    }
    t.advance(61);
    t.broker.record_counted_denials().await.unwrap();
    archiver(&t, &folder).await.drain().await.unwrap();
    let entries = lines(folder.path());
    assert_eq!(kinds(&entries).get("task.start deny"), Some(&60));
    let counted: Vec<_> = entries
        .iter()
        .filter(|line| line.entry["kind"] == "denials")
        .collect();
    assert_eq!(counted.len(), 1);
    assert_eq!(counted[0].entry["count"], 40);
    assert_eq!(counted[0].entry["actor"], "agent/reader");
}

/// Neither a full outbox nor a stop loses the count of them.
#[tokio::test]
async fn counted_denials_are_recorded_when_there_is_room_and_before_a_stop() {
    let t = TestBroker::with_outbox(300).await;
    let folder = tempfile::tempdir().unwrap();
    let deny = async |times| {
        for _ in 0..times {
            t.start("reader", &["write"]).await.unwrap_err();
        }
    };
    deny(100).await;
    t.advance(61);
    while t.broker.list_keys(&ops()).await.is_ok() {}
    let full = t.broker.record_counted_denials().await.unwrap_err();
    assert_eq!(full.reason(), "STORE_UNAVAILABLE");
    let mut archiver = archiver(&t, &folder).await;
    archiver.drain().await.unwrap();
    deny(65).await;
    t.broker.record_counted_denials().await.unwrap();
    t.broker.record_all_denials().await.unwrap();
    archiver.drain().await.unwrap();
    let counts: Vec<_> = lines(folder.path())
        .into_iter()
        .filter(|line| line.entry["kind"] == "denials")
        .map(|line| line.entry["count"].as_u64().unwrap())
        .collect();
    assert_eq!(counts, [45]);
}

/// What was removed while no entry could be written is in the next one, also after a restart.
#[tokio::test]
async fn a_sweep_is_recorded_when_there_is_room() {
    let mut t = TestBroker::with_outbox(300).await;
    let folder = tempfile::tempdir().unwrap();
    let task = t.start("reader", &["read"]).await.unwrap();
    for _ in 0..3 {
        t.token("reader", task).await.unwrap();
    }
    t.advance(20 * 60);
    while t.broker.list_keys(&ops()).await.is_ok() {}
    let full = t.broker.reap().await.unwrap_err();
    assert_eq!(full.reason(), "STORE_UNAVAILABLE");
    // It starts with a full outbox, and issues nothing until the log has what waits.
    t.reopen().await;
    let refused = t.start("reader", &["read"]).await.unwrap_err();
    assert_eq!(refused.reason(), "STORE_UNAVAILABLE");
    let mut archiver = archiver(&t, &folder).await;
    archiver.drain().await.unwrap();
    t.broker.reap().await.unwrap();
    t.broker.reap().await.unwrap();
    archiver.drain().await.unwrap();
    let sweeps: Vec<_> = lines(folder.path())
        .into_iter()
        .filter(|line| line.entry["kind"] == "reap")
        .collect();
    let starts = lines(folder.path()).into_iter();
    let starts = starts.filter(|line| line.entry["reason"] == "started");
    assert_eq!(starts.count(), 2, "that of the second run came late");
    t.start("reader", &["read"]).await.unwrap();
    assert_eq!(sweeps.len(), 1);
    assert_eq!(sweeps[0].entry["count"], 3);
    let subject = sweeps[0].entry["subject"].as_str().unwrap();
    assert!(
        subject.starts_with("3 credentials, 0 tasks, 0 rules, "),
        "{subject}"
    );
    assert!(
        subject.contains(" others that expired before "),
        "{subject}"
    );
}

/// However many end a task at the same moment, it ends once, and one entry says so.
#[tokio::test]
async fn a_task_ends_once_whoever_ends_it() {
    let t = TestBroker::new().await;
    let folder = tempfile::tempdir().unwrap();
    let mut tasks = Vec::new();
    for _ in 0..8 {
        let task = t.start("reader", &["read"]).await.unwrap();
        t.token("reader", task).await.unwrap();
        tasks.push(task.to_string());
        let mut ending = tokio::task::JoinSet::new();
        // One rule for all tasks so far: those that settling finds are ended by it.
        t.revoke_with(RevokeWhat::Agent("reader".parse().unwrap()), true)
            .await
            .unwrap();
        for _ in 0..4 {
            let broker = t.broker.clone();
            ending.spawn(async move {
                broker
                    .complete_task(&as_agent("reader"), task)
                    .await
                    .map(drop)
            });
            let broker = t.broker.clone();
            ending.spawn(async move { broker.settle().await.map(drop) });
        }
        for ended in ending.join_all().await {
            ended.unwrap();
        }
        t.advance(2);
    }
    archiver(&t, &folder).await.drain().await.unwrap();
    let mut ends: Vec<_> = lines(folder.path())
        .into_iter()
        .filter(|line| line.entry["kind"] == "task.end")
        .map(|line| line.entry["task"].as_str().unwrap().to_owned())
        .collect();
    ends.sort();
    tasks.sort();
    assert_eq!(ends, tasks);
}
