//! A wall clock that is behind what was committed.

use std::time::Duration;

use taskpass_core::Clock as _;
use taskpass_core::time::SystemClock;
use taskpass_store::{Change, Commit, MetaKey, Options, Store as _, redb_store};
use taskpass_testkit::Broker;

use crate::{configure, enrol_first, house, is_active, issue, metric, start, started, unseal};

/// Commits as a broker does whose clock is `ahead`.
fn commit(broker: &Broker, ahead: Duration) {
    let path = broker.path("store.redb");
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let store = redb_store::open(&path, Options::default()).unwrap();
        let put = Change::PutMeta {
            key: MetaKey::SettledSeq,
            value: store.rules().newest_seq().to_be_bytes().to_vec(),
        };
        let at = SystemClock::new().now().plus(ahead);
        store.commit(Commit::new(at).change(put)).await.unwrap();
        store.close().await;
    });
}

#[test]
fn it_issues_again_by_itself_once_the_clock_has_caught_up() {
    let mut broker = house(&["bot"]);
    let task = started(&broker, "bot");
    broker.stop();
    commit(&broker, Duration::from_secs(6));
    // It waits until it is ready.
    broker.restart();
    issue(&broker, "bot", &task).ok();
}

#[test]
fn behind_the_newest_commit_it_only_takes_away_and_a_backup_from_before_is_the_way_out() {
    let mut broker = house(&["bot"]);
    let backup = broker.arg("backup");
    broker.cli("", &["backup", "--out", &backup]).ok();
    let task = started(&broker, "bot");
    let held = issue(&broker, "bot", &task);
    broker.stop();
    commit(&broker, Duration::from_hours(2));
    broker.restart_unready();
    let ready = broker.ops("/readyz");
    assert_eq!(ready.status, 503);
    assert!(
        ready.text().contains("the clock went back"),
        "{}",
        ready.text()
    );
    assert!(metric(&broker, "taskpass_clock_safe 0"));
    start(&broker, "bot").refused("CLOCK_UNSAFE", &[]);
    issue(&broker, "bot", &task).refused("CLOCK_UNSAFE", &[]);
    let id = held.text("credential_id");
    let revoke = ["revoke", "--credential", &id, "--reason", "drill"];
    broker.cli("", &revoke).ok();
    assert!(!is_active(&broker, "", &held.text("token")));
    assert_eq!(broker.stop(), 0);

    let (data, kek) = (broker.arg("new"), broker.arg("kek"));
    let restore = ["restore", "--from", &backup, "--data", &data, "--kek-file"];
    broker.cli("", &[&restore[..], &[&kek]].concat()).ok();
    configure(&broker, "new");
    broker.restart_unready();
    assert!(metric(&broker, "taskpass_clock_safe 1"));
    enrol_first(&broker, &broker.path("new"));
    unseal(&broker);
    issue(&broker, "bot", &started(&broker, "bot")).ok();
    assert_eq!(broker.stop(), 0);
}
