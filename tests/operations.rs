//! The procedures of `docs/OPERATIONS.md`, with the commands and in the order that stand there.
//!
//! Elsewhere: a full disk (`disk.rs`), a disk that refuses (`broken_disk.rs`), a store that was put back
//! (`backup.rs`), another key-encryption key (`keys.rs`).

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "operations/clock.rs"]
mod clock;
#[path = "operations/keys.rs"]
mod keys;
#[path = "operations/restore.rs"]
mod restore;
#[path = "operations/upgrade.rs"]
mod upgrade;

use std::path::Path;

use serde_json::{Value, json};
use taskpass_testkit::{Broker, Outcome, until};

const BIN: &str = env!("CARGO_BIN_EXE_taskpass");
const API: &str = "https://api.example";
const READ: &str = "https://api.example#read";

/// A broker in service with an owner, a target, and agents that are enrolled.
fn house(agents: &[&str]) -> Broker {
    let broker = Broker::builder(BIN).serve("").start();
    let owner = ["owner", "register", "team", "--contact", "team@example.org"];
    broker.cli("", &owner).ok();
    let target = ["target", "register", API, "--risk", "low", "--scope"];
    broker.cli("", &[&target[..], &["read=read"]].concat()).ok();
    for agent in agents {
        register(&broker, agent);
        enrol(&broker, "", agent).ok();
    }
    broker
}

fn register(broker: &Broker, agent: &str) {
    let of = ["--owner", "team", "--purpose", "p", "--scope", READ];
    let register = [&["agent", "register", agent][..], &of].concat();
    broker.cli("", &register).ok();
}

/// Makes an enrolment token as `operator`, and enrols with it, anew if need be.
fn enrol(broker: &Broker, operator: &str, agent: &str) -> Outcome {
    let file = broker.arg(&format!("{agent}.enrol"));
    let _ = std::fs::remove_file(&file);
    let token = ["agent", "enrol-token", agent, "--out", &file];
    broker.cli(operator, &token).ok();
    let folder = broker.identity_folder(agent);
    let _ = std::fs::remove_dir_all(&folder);
    let out = folder.display().to_string();
    broker.cli("", &["enrol", "--token-file", &file, "--out", &out])
}

fn start(broker: &Broker, agent: &str) -> Outcome {
    let start = ["task", "start", "--purpose", "drill", "--scope", READ];
    broker.cli(agent, &start)
}

/// A task, once the second of a revocation is over.
fn started(broker: &Broker, agent: &str) -> String {
    until("a task starts", || {
        let outcome = start(broker, agent);
        (outcome.code == 0).then(|| outcome.text("task_id"))
    })
}

fn issue(broker: &Broker, agent: &str, task: &str) -> Outcome {
    let issue = ["issue", "token", "--task", task, "--target", API];
    broker.cli(agent, &[&issue[..], &["--scope", "read"]].concat())
}

fn is_active(broker: &Broker, who: &str, token: &str) -> bool {
    let ask = ["introspect", "--token-file", "-"];
    let asked = broker.cli_with(who, &ask, token.as_bytes());
    asked.json().get("active") == Some(&json!(true))
}

/// An administrator enrols with what a restoring wrote, under the name `fresh`.
fn enrol_first(broker: &Broker, data: &Path) {
    let file = data.join("admin-enrolment.json").display().to_string();
    let out = broker.identity_folder("fresh").display().to_string();
    let enrol = ["enrol", "--token-file", &file, "--out", &out];
    // Not within the second of the restoring.
    until("an administrator enrols", || {
        (broker.cli("", &enrol).code == 0).then_some(())
    });
}

fn unseal(broker: &Broker) {
    let unseal = ["unseal", "--reason", "looked at it"];
    broker.cli("fresh", &unseal).ok();
}

/// Lets `data` of the configuration name another folder, beneath the one that it named.
fn configure(broker: &Broker, data: &str) {
    let path = broker.path("taskpass.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    let first = text.lines().next().unwrap().to_owned();
    assert!(first.starts_with("data = "), "{first}");
    std::fs::write(
        &path,
        text.replacen(&first, &format!("data = \"{data}\""), 1),
    )
    .unwrap();
}

fn metric(broker: &Broker, line: &str) -> bool {
    broker
        .ops("/metrics")
        .text()
        .lines()
        .any(|found| found == line)
}

fn strings(value: &Value) -> Vec<&str> {
    let items = value.as_array().unwrap().iter();
    items.map(|item| item.as_str().unwrap()).collect()
}
