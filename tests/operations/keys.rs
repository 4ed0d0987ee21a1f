//! Keys that were lost or stolen.

use taskpass_testkit::{Broker, run, until};

use crate::{BIN, enrol, house, is_active, issue, start, started};

#[test]
fn a_lost_key_encryption_key_needs_a_new_broker_and_keeps_the_registry() {
    let mut broker = house(&["bot"]);
    let file = broker.arg("registry.toml");
    let export = ["registry", "export", "--out", &file];
    broker.cli("", &export).ok();
    broker.stop();
    std::fs::write(broker.path("kek"), "00".repeat(32)).unwrap();
    let refused = broker.try_launch().unwrap_err();
    assert!(refused.contains("WRONG_KEK"), "{refused}");

    let next = Broker::builder(BIN).serve("").start();
    let apply = [
        "apply",
        &file,
        "--reason",
        "the key-encryption key was lost",
    ];
    next.cli("", &apply).ok();
    let again = next.cli("", &["registry", "export"]).text("file");
    let rows = |text: &str| {
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        lines.map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(rows(&again), rows(&std::fs::read_to_string(&file).unwrap()));
    enrol(&next, "", "bot").ok();
    issue(&next, "bot", &started(&next, "bot")).ok();
}

#[test]
fn a_key_encryption_key_that_was_read_is_replaced_and_old_backups_keep_the_old_one() {
    let mut broker = house(&["bot"]);
    let backup = broker.arg("backup");
    broker.cli("", &["backup", "--out", &backup]).ok();
    let task = started(&broker, "bot");
    let held = issue(&broker, "bot", &task).text("token");
    broker.stop();
    let (config, next) = (broker.arg("taskpass.toml"), broker.arg("kek.new"));
    let rewrap = ["keys", "rewrap", "--config", &config, "--new-kek", &next];
    broker.cli("", &rewrap).ok();
    std::fs::rename(broker.path("kek"), broker.path("kek.old")).unwrap();
    std::fs::rename(&next, broker.path("kek")).unwrap();
    broker.restart();
    assert!(is_active(&broker, "", &held), "nothing else changed");
    issue(&broker, "bot", &task).ok();
    // Backups from before open with the old one only.
    for (kek, data, opens) in [("kek", "one", false), ("kek.old", "two", true)] {
        let (kek, data) = (broker.arg(kek), broker.arg(data));
        let args = ["restore", "--from", &backup, "--kek-file", &kek, "--data"];
        let restored = run(broker.bin(), &[], &[&args[..], &[&data]].concat(), b"");
        assert_eq!(restored.code == 0, opens, "{restored}");
        if !opens {
            assert_eq!(restored.reason(), "WRONG_KEK");
        }
    }
}

#[test]
fn every_signing_key_that_was_stolen_is_tainted_and_everybody_enrols_anew() {
    let broker = house(&["bot"]);
    let held = issue(&broker, "bot", &started(&broker, "bot")).text("token");
    let file = broker.arg("admin.enrol");
    let token = ["operator", "enrol-token", "admin", "--out", &file];
    broker.cli("", &token).ok();
    let listed = broker.cli("", &["keys", "list"]).json();
    let keys = listed["keys"].as_array().unwrap().iter();
    let text = |key: &serde_json::Value, name: &str| key[name].as_str().unwrap().to_owned();
    let mut active: Vec<_> = keys
        .filter(|key| key["state"] == "active")
        .map(|key| (text(key, "purpose"), text(key, "key_id")))
        .collect();
    // Control last.
    active.sort_by_key(|(purpose, _)| (purpose == "control-issuing", purpose.clone()));
    let (mut tainted, mut refused) = (Vec::new(), Vec::new());
    for (purpose, key) in active {
        let taint = ["keys", "taint", &key, "--reason", "stolen"];
        let mut outcome = broker.cli("", &taint);
        if purpose == "control-issuing" {
            outcome.refused("ENDS_IDENTITIES", &["enrol-token"]);
            outcome = broker.cli("", &[&taint[..], &["--ends-identities"]].concat());
        }
        let noted = match outcome.code {
            0 => &mut tainted,
            _ => &mut refused,
        };
        noted.push(purpose);
    }
    let rotate = ["feed", "task-issuing", "token-eddsa", "token-es256"];
    assert_eq!(tainted, [&rotate[..], &["control-issuing"]].concat());
    assert_eq!(refused, ["control-root", "log-checkpoint", "task-root"]);

    let asked = broker.cli("", &["agent", "list"]);
    assert_ne!(asked.code, 0, "{asked}");
    assert_ne!(start(&broker, "bot").code, 0);
    let out = broker.identity_folder("fresh").display().to_string();
    let again = ["enrol", "--token-file", &file, "--out", &out];
    broker.cli("", &again).ok();
    assert!(!is_active(&broker, "fresh", &held));
    enrol(&broker, "fresh", "bot").ok();
    issue(&broker, "bot", &started(&broker, "bot")).ok();
}

#[test]
fn a_stolen_identity_is_revoked_resumed_and_enrolled_anew() {
    let broker = house(&["bot"]);
    let stolen = broker.identity_folder("bot");
    let copy = broker.identity_folder("thief");
    std::fs::create_dir_all(&copy).unwrap();
    for file in std::fs::read_dir(&stolen).unwrap() {
        let file = file.unwrap();
        std::fs::copy(file.path(), copy.join(file.file_name())).unwrap();
    }
    let task = started(&broker, "thief");
    let held = issue(&broker, "thief", &task).text("token");
    let revoke = ["revoke", "--agent", "bot", "--reason", "stolen"];
    broker.cli("", &revoke).ok();
    assert!(!is_active(&broker, "", &held));
    // Suspended, it enrols nobody.
    assert_eq!(enrol(&broker, "", "bot").reason(), "ENROLMENT_REFUSED");
    let resume = ["agent", "resume", "bot", "--reason", "its machine is new"];
    broker.cli("", &resume).ok();
    until("it enrols", || {
        (enrol(&broker, "", "bot").code == 0).then_some(())
    });
    issue(&broker, "bot", &started(&broker, "bot")).ok();
    assert_ne!(start(&broker, "thief").code, 0, "the stolen one is refused");
}
