//! Backups, taken while credentials are issued, and what becomes of them: a broker that believes nothing of
//! what was out, says so, and issues again only when an administrator has looked at it.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "backup/verifier.rs"]
mod verifier;

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use serde_json::{Value, json};
use taskpass_testkit::{Broker, Outcome, http, run, until};

const BIN: &str = env!("CARGO_BIN_EXE_taskpass");
const API: &str = "https://api.example";
const READ: &str = "https://api.example#read";

/// A broker of `serve` with an owner, a target, and agents that are enrolled.
fn house(agents: &[&str]) -> Broker {
    let broker = Broker::builder(BIN).serve("").start();
    let team = ["owner", "register", "team", "--contact", "team@example.org"];
    broker.cli("", &team).ok();
    let target = [
        "target",
        "register",
        API,
        "--risk",
        "low",
        "--scope",
        "read=read",
    ];
    broker.cli("", &target).ok();
    for agent in agents {
        register(&broker, agent);
        let file = token_for(&broker, agent);
        let out = broker.identity_folder(agent).display().to_string();
        broker
            .cli("", &["enrol", "--token-file", &file, "--out", &out])
            .ok();
    }
    broker
}

fn register(broker: &Broker, agent: &str) {
    let register = [
        "agent",
        "register",
        agent,
        "--owner",
        "team",
        "--purpose",
        "p",
        "--scope",
        READ,
    ];
    broker.cli("", &register).ok();
}

/// A fresh enrolment token of an agent, in a file.
fn token_for(broker: &Broker, agent: &str) -> String {
    let file = (0..9)
        .map(|n| broker.arg(&format!("{agent}.{n}.enrol")))
        .find(|file| !Path::new(file).exists())
        .unwrap();
    broker
        .cli("", &["agent", "enrol-token", agent, "--out", &file])
        .ok();
    file
}

fn task(broker: &Broker, agent: &str) -> Outcome {
    broker.cli(
        agent,
        &["task", "start", "--purpose", "drill", "--scope", READ],
    )
}

fn token(broker: &Broker, agent: &str, task: &str) -> Outcome {
    let ask = [
        "issue", "token", "--task", task, "--target", API, "--scope", "read",
    ];
    broker.cli(agent, &ask)
}

fn backup(broker: &Broker, name: &str) -> (String, Value) {
    let file = broker.arg(name);
    let made = broker.cli("", &["backup", "--out", &file]);
    made.ok();
    (file, made.json())
}

/// The process of a restored broker, which is not ready and so not started by the testkit.
struct Sealed(Child);

impl Sealed {
    /// Serves `data` where `broker`, which has stopped, did.
    fn serve(broker: &Broker, data: &Path) -> Self {
        let text = std::fs::read_to_string(broker.path("taskpass.toml")).unwrap();
        let text = text.replace(
            "file = \"kek\"",
            &format!("file = \"{}\"", broker.arg("kek")),
        );
        let config = data.join("taskpass.toml");
        std::fs::write(&config, text).unwrap();
        let log = std::fs::File::create(data.join("log")).unwrap();
        let mut child = Command::new(BIN)
            .args(["serve", "--config"])
            .arg(&config)
            .stderr(Stdio::from(log))
            .spawn()
            .unwrap();
        let healthy = format!("{}/healthz", broker.addresses().ops);
        until("the restored broker answers", || {
            let ended = child.try_wait().unwrap();
            let log = || std::fs::read_to_string(data.join("log")).unwrap();
            assert!(ended.is_none(), "{}", log());
            http::get(&healthy)
                .is_ok_and(|reply| reply.status == 200)
                .then_some(())
        });
        Self(child)
    }

    fn stop(mut self) {
        let pid = rustix::process::Pid::from_child(&self.0);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        assert!(self.0.wait().unwrap().success());
    }
}

impl Drop for Sealed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn restore(broker: &Broker, from: &str, data: &Path, more: &[&str]) -> Outcome {
    let (data, kek) = (data.display().to_string(), broker.arg("kek"));
    let args = ["-o", "json", "restore", "--from", from, "--data", &data];
    let args = [&args[..], &["--kek-file", &kek], more].concat();
    run(broker.bin(), &[], &args, b"")
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

fn kid(token: &str) -> String {
    let head = token.split('.').next().unwrap();
    let head = data_encoding::BASE64URL_NOPAD
        .decode(head.as_bytes())
        .unwrap();
    let head: Value = serde_json::from_slice(&head).unwrap();
    head.get("kid").and_then(Value::as_str).unwrap().to_owned()
}

fn strings(value: &Value) -> Vec<&str> {
    value
        .as_array()
        .unwrap()
        .iter()
        .map(|item| item.as_str().unwrap())
        .collect()
}

fn metric(broker: &Broker, line: &str) -> bool {
    let page = broker.ops("/metrics").text();
    page.lines().any(|found| found == line)
}

/// Issues until `stop`, and counts in `issued`.
fn load(broker: &Broker, issued: &AtomicU32, stop: &AtomicBool) {
    let id = task(broker, "bot").text("task_id");
    while !stop.load(Ordering::Relaxed) {
        token(broker, "bot", &id).ok();
        issued.fetch_add(1, Ordering::Relaxed);
    }
}

/// A sealed broker issues nothing, and lets nobody in; it reads, and revokes.
fn refuses(broker: &Broker, waiting: &str, held: &[&str]) {
    task(broker, "bot").refused("BROKER_SEALED", &["unseal"]);
    let elsewhere = broker.arg("elsewhere");
    let enrol =
        |file: &str, to: &str| broker.cli("", &["enrol", "--token-file", file, "--out", to]);
    enrol(waiting, &elsewhere).refused("ENROLMENT_REFUSED", &[]);
    broker.cli("bot", &["renew"]).refused("BROKER_SEALED", &[]);
    for spent in held {
        let asked = broker.cli_with("", &["introspect", "--token-file", "-"], spent.as_bytes());
        asked.ok();
        assert_eq!(asked.json().get("active"), Some(&json!(false)), "{asked}");
    }
    let jwks = broker.get("/.well-known/jwks.json").text();
    assert!(held.iter().all(|spent| !jwks.contains(&kid(spent))));
    let rogue = broker.cli("", &["agent", "show", "rogue"]);
    assert_eq!(rogue.text("state"), "retired");
    let everything = [
        "revoke",
        "--agent",
        "rogue",
        "--no-suspend",
        "--reason",
        "drill",
    ];
    broker.cli("", &everything).ok();
}

#[test]
fn the_whole_story() {
    let mut broker = house(&["bot", "rogue"]);
    let waiting = token_for(&broker, "bot");
    let id = task(&broker, "bot").text("task_id");
    let held = token(&broker, "bot", &id).text("token");

    let (issued, stop) = (AtomicU32::new(0), AtomicBool::new(false));
    let (file, made) = std::thread::scope(|scope| {
        scope.spawn(|| load(&broker, &issued, &stop));
        until("something is issued", || {
            (issued.load(Ordering::Relaxed) > 0).then_some(())
        });
        let made = backup(&broker, "first.backup");
        stop.store(true, Ordering::Relaxed);
        made
    });
    assert_eq!(made["issuer"], json!(broker.addresses().http));
    assert!(made["log_entries"].as_u64().unwrap() > 0, "{made}");
    let permissions = std::fs::metadata(&file).unwrap().permissions();
    assert_eq!(permissions.mode() & 0o777, 0o600);

    // What the backup does not know.
    let later = token(&broker, "bot", &id).text("token");
    let out = ["agent", "retire", "rogue", "--reason", "gone"];
    broker.cli("", &out).ok();
    register(&broker, "late");
    assert_eq!(broker.stop(), 0);

    let data = broker.path("restored");
    let old_log = broker.arg("audit");
    let restored = restore(&broker, &file, &data, &["--log", &old_log]);
    restored.ok();
    let report = restored.json();
    assert_eq!(report["operator"], "admin");
    assert!(report["enrolments_voided"].as_u64() > Some(0), "{report}");
    let again = &report["replayed"];
    assert_eq!(strings(&again["retired"]), ["agent rogue"], "{report}");
    assert_eq!(strings(&again["revoked_agents"]), ["rogue"]);
    assert_eq!(strings(&again["apply_again"]), ["agent late"]);
    assert!(strings(&report["tainted_keys"]).len() >= 3, "{report}");
    let next_log = report["log"].as_str().unwrap();
    assert!(next_log.contains("-r"), "{next_log}");

    let sealed = Sealed::serve(&broker, &data);
    let ready = broker.ops("/readyz");
    assert_eq!(ready.status, 503);
    assert!(ready.text().contains("sealed"), "{}", ready.text());
    assert!(metric(&broker, "taskpass_sealed 1"));
    let log = std::fs::read_to_string(data.join("log")).unwrap();
    assert!(log.contains("taskpass unseal"), "{log}");

    refuses(&broker, &waiting, &[&held, &later]);
    // Whoever was an administrator then may not end that: only who enrolled since.
    let unseal = ["unseal", "--reason", "looked at it"];
    broker.cli("", &unseal).refused("BROKER_SEALED", &[]);
    let resume = ["resume", "--all", "--reason", "x"];
    broker.cli("", &resume).refused("BROKER_SEALED", &[]);
    let enrol =
        |file: &str, to: &str| broker.cli("", &["enrol", "--token-file", file, "--out", to]);
    let fresh = broker.identity_folder("fresh").display().to_string();
    let first = data.join("admin-enrolment.json").display().to_string();
    // Not within the second of the restoring, whose identities could be from before.
    until("an administrator enrols", || {
        (enrol(&first, &fresh).code == 0).then_some(())
    });
    let unsealed = broker.cli("fresh", &unseal);
    unsealed.ok();
    assert_eq!(unsealed.json(), json!({"was_sealed": true}));
    assert_eq!(broker.ops("/readyz").status, 200);
    assert!(metric(&broker, "taskpass_sealed 0"));
    assert_eq!(
        broker.cli("fresh", &unseal).json(),
        json!({"was_sealed": false})
    );

    // The second of the revocations must be over.
    let id = until("a task starts", || {
        let started = task(&broker, "bot");
        (started.code == 0).then(|| started.text("task_id"))
    });
    let new = token(&broker, "bot", &id).text("token");
    assert_ne!(kid(&new), kid(&held));
    let asked = broker.cli_with(
        "fresh",
        &["introspect", "--token-file", "-"],
        new.as_bytes(),
    );
    assert_eq!(asked.json()["active"], json!(true));
    let second = broker.arg("second.backup");
    let of_new = broker.cli("fresh", &["backup", "--out", &second]);
    of_new.ok();
    // By this verifiers know that they must begin anew.
    assert_ne!(of_new.json()["epoch"], made["epoch"]);
    assert_eq!(of_new.json()["log"], json!(next_log));
    sealed.stop();

    // The old log and the new one are one history.
    let all = broker.path("all");
    copy(&broker.path("audit"), &all);
    copy(&data.join("audit"), &all);
    let verified = run(
        broker.bin(),
        &[],
        &["-o", "json", "audit", "verify", &all.display().to_string()],
        b"",
    );
    verified.ok();
    assert!(verified.stdout.contains(next_log), "{verified}");
}

#[test]
fn what_is_damaged_or_in_the_way_is_refused() {
    let mut broker = house(&[]);
    let (file, _) = backup(&broker, "a.backup");
    broker
        .cli("", &["backup", "--out", &file])
        .refused("FILE_EXISTS", &[]);
    let data = broker.data().display().to_string();
    let offline = broker.arg("offline.backup");
    let stopped = ["backup", "--data", &data, "--out", &offline];
    broker.cli("", &stopped).refused("STORE_IN_USE", &[]);

    let target = broker.path("new");
    let bytes = std::fs::read(&file).unwrap();
    let bad = broker.arg("bad.backup");
    for (what, bytes) in [
        ("cut off", bytes[..bytes.len() - 40].to_vec()),
        ("a bit", {
            let mut bytes = bytes.clone();
            let middle = bytes.len() / 2;
            bytes[middle] ^= 4;
            bytes
        }),
        (
            "another file",
            std::fs::read(broker.path("taskpass.toml")).unwrap(),
        ),
    ] {
        std::fs::write(&bad, bytes).unwrap();
        let refused = restore(&broker, &bad, &target, &[]);
        assert_eq!(refused.reason(), "INVALID_BACKUP", "{what}: {refused}");
        assert_eq!(target.read_dir().unwrap().count(), 0, "{what}");
    }
    // Another key: the seals do not open, and nothing stays.
    let other = broker.arg("other.kek");
    std::fs::write(&other, "00".repeat(32)).unwrap();
    let args = ["restore", "--from", &file, "--kek-file", &other, "--data"];
    let place = target.display().to_string();
    let args = [&args[..], &[place.as_str()]].concat();
    let refused = run(broker.bin(), &[], &args, b"");
    assert_eq!(refused.reason(), "WRONG_KEK", "{refused}");
    assert_eq!(target.read_dir().unwrap().count(), 0);

    let there = PathBuf::from(&data);
    let refused = restore(&broker, &file, &there, &[]);
    assert_eq!(refused.reason(), "STORE_EXISTS", "{refused}");
    restore(&broker, &file, &target, &[]).ok();
    let again = restore(&broker, &file, &target, &[]);
    assert_eq!(again.reason(), "STORE_EXISTS", "{again}");

    // A mirror that somebody shortened, or of another time, tells nothing.
    assert_eq!(broker.stop(), 0);
    broker.cli("", &stopped).ok();
    let third = broker.path("third");
    let mirror = broker.path("mirror");
    copy(&broker.path("audit"), &mirror);
    let log = std::fs::read_dir(&mirror).unwrap().map(Result::unwrap);
    let log = log
        .map(|entry| entry.path())
        .find(|path| path.join("checkpoint").exists());
    std::fs::write(log.unwrap().join("checkpoint"), "nobody signed this\n").unwrap();
    let mirror = mirror.display().to_string();
    let refused = restore(&broker, &offline, &third, &["--log", &mirror]);
    assert_eq!(refused.reason(), "LOG_REFUSED", "{refused}");
    assert_eq!(third.read_dir().unwrap().count(), 0);
}

#[test]
fn an_older_store_that_was_put_back_is_noticed() {
    let mut broker = house(&[]);
    assert_eq!(broker.stop(), 0);
    let old = std::fs::read(broker.path("store.redb")).unwrap();
    broker.restart();
    register(&broker, "late");
    assert_eq!(broker.stop(), 0);
    std::fs::write(broker.path("store.redb"), old).unwrap();
    let config = broker.arg("taskpass.toml");
    let refused = run(broker.bin(), &[], &["serve", "--config", &config], b"");
    assert_ne!(refused.code, 0);
    assert!(
        refused.stderr.contains("STORE_ROLLED_BACK") && refused.stderr.contains("taskpass restore"),
        "{refused}"
    );
}
