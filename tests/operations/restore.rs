//! Backup, mirror, restore; and the last administrator, whose identity has ended.

use serde_json::json;
use taskpass_testkit::Broker;

use crate::{
    configure, enrol, enrol_first, house, is_active, issue, metric, start, started, strings, unseal,
};

fn restore(broker: &Broker, more: &[&str]) -> serde_json::Value {
    let data = broker.arg("new");
    let args = ["restore", "--data", &data, "--kek-file", &broker.arg("kek")];
    broker.cli("", &[&args[..], more].concat()).json()
}

#[test]
fn backup_mirror_restore_as_it_is_written() {
    let mut broker = house(&["bot", "rogue"]);
    let (backup, mirror) = (broker.arg("backup"), broker.arg("mirror"));
    broker.cli("", &["backup", "--out", &backup]).ok();
    let export = ["audit", "export", "--out", &mirror];
    broker.cli("", &export).ok();
    let held = issue(&broker, "bot", &started(&broker, "bot")).text("token");
    let retire = ["agent", "retire", "rogue", "--reason", "gone"];
    broker.cli("", &retire).ok();
    // It adds what is new, once that is logged.
    taskpass_testkit::until("the mirror has it", || {
        broker.cli("", &export).ok();
        let verified = broker.cli("", &["audit", "verify", &mirror]);
        verified.ok();
        let found = broker.cli("", &["audit", "query", "--agent", "rogue"]);
        found.stdout.contains("retired").then_some(())
    });
    broker.cli("", &export).ok();
    assert_eq!(broker.stop(), 0);

    let report = restore(&broker, &["--from", &backup, "--log", &mirror]);
    assert_eq!(strings(&report["replayed"]["retired"]), ["agent rogue"]);
    configure(&broker, "new");
    broker.restart_unready();
    let ready = broker.ops("/readyz");
    assert_eq!(ready.status, 503);
    assert!(ready.text().contains("sealed"), "{}", ready.text());
    assert!(metric(&broker, "taskpass_sealed 1"));
    start(&broker, "bot").refused("BROKER_SEALED", &[]);
    enrol_first(&broker, &broker.path("new"));
    let listed = broker.cli("fresh", &["agent", "list"]);
    assert!(listed.stdout.contains("rogue"), "{listed}");
    unseal(&broker);
    assert_eq!(broker.ops("/readyz").status, 200);
    assert!(!is_active(&broker, "fresh", &held));
    issue(&broker, "bot", &started(&broker, "bot")).ok();
    assert_ne!(start(&broker, "rogue").code, 0);
    assert_eq!(broker.stop(), 0);
}

#[test]
fn the_last_administrator_comes_back_by_a_backup_of_the_stopped_broker() {
    let mut broker = house(&["bot"]);
    // As good as expired: the only copy of its key is gone.
    std::fs::remove_dir_all(broker.identity_folder("admin")).unwrap();
    let (data, backup) = (broker.data().display().to_string(), broker.arg("backup"));
    let offline = ["backup", "--data", &data, "--out", &backup];
    broker.cli("bot", &offline).refused("STORE_IN_USE", &[]);
    assert_eq!(broker.stop(), 0);
    broker.cli("bot", &offline).ok();
    let log = broker.arg("audit");
    let report = restore(&broker, &["--from", &backup, "--log", &log]);
    assert_eq!(report["operator"], json!("admin"));
    assert_eq!(report["replayed"]["apply_again"], json!([]));
    configure(&broker, "new");
    broker.restart_unready();
    enrol_first(&broker, &broker.path("new"));
    unseal(&broker);
    enrol(&broker, "fresh", "bot").ok();
    issue(&broker, "bot", &started(&broker, "bot")).ok();
    assert_eq!(broker.stop(), 0);
}
