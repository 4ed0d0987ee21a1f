//! The walk of the README, literally: what each command prints, what it leaves behind, and that
//! others can check it: a JOSE library that is not ours, an X.509 library, and OpenSSL.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test fails by panicking"
)]

#[path = "walk/others.rs"]
mod others;

use others::by_jose_library;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use serde_json::{Value, json};
use taskpass_testkit::Broker;
use taskpass_testkit::people::from_now;

pub(crate) const BIN: &str = env!("CARGO_BIN_EXE_taskpass");
pub(crate) const LEDGER: &str = "https://ledger.example";
pub(crate) const READ: &str = "https://ledger.example#invoices:read";

pub(crate) fn start(broker: &Broker, who: &str) -> Value {
    let purpose = "reconcile march";
    let args = [
        "task",
        "start",
        "--purpose",
        purpose,
        "--scope",
        READ,
        "--ttl",
        "10m",
    ];
    broker.cli(who, &args).json()
}

pub(crate) fn token(broker: &Broker, who: &str, task: &str) -> Value {
    let args = [
        "issue",
        "token",
        "--task",
        task,
        "--target",
        LEDGER,
        "--scope",
        "invoices:read",
    ];
    broker
        .cli(who, &[&args[..], &["--ttl", "5m"]].concat())
        .json()
}

pub(crate) fn text<'a>(object: &'a Value, member: &str) -> &'a str {
    let text = object[member].as_str();
    assert!(
        text.is_some_and(|text| !text.is_empty()),
        "{member}: {object}"
    );
    text.unwrap()
}

pub(crate) fn seconds_from_now(object: &Value, member: &str) -> i64 {
    let at = humantime::parse_rfc3339(text(object, member)).unwrap();
    let at = prost_types::Timestamp::from(at);
    at.seconds - from_now(Duration::ZERO).seconds
}

pub(crate) fn introspect(broker: &Broker, who: &str, file: &Path) -> Value {
    let option = if file.extension().is_some_and(|end| end == "pem") {
        "--cert-file"
    } else {
        "--token-file"
    };
    broker
        .cli(who, &["introspect", option, &file.display().to_string()])
        .json()
}

pub(crate) fn leaf(folder: &Path) -> Vec<u8> {
    let chain = std::fs::read(folder.join("cert.pem")).unwrap();
    CertificateDer::pem_slice_iter(&chain)
        .next()
        .unwrap()
        .unwrap()
        .to_vec()
}

#[test]
fn the_walk_prints_what_it_promises() {
    let broker = Broker::start(BIN);

    let task = start(&broker, "invoice-bot");
    let id = text(&task, "task_id");
    assert_eq!(id.len(), 26, "{task}");
    assert_eq!(task["scopes"], json!([READ]));
    assert_eq!(task["clamped_by"], json!([]));
    assert!(
        (590..=600).contains(&seconds_from_now(&task, "deadline_at")),
        "{task}"
    );

    let issued = token(&broker, "invoice-bot", id);
    assert_eq!(text(&issued, "token").split('.').count(), 3);
    assert_eq!(text(&issued, "credential_id").len(), 26);
    assert_eq!(issued["scopes"], json!(["invoices:read"]));
    assert_eq!(issued["clamped_by"], json!([]));
    assert!(
        (290..=300).contains(&seconds_from_now(&issued, "expires_at")),
        "{issued}"
    );
    let token_file = broker.path("token.jwt");
    std::fs::write(&token_file, text(&issued, "token")).unwrap();

    let folder = broker.path("C");
    let out = broker.arg("C");
    let certificate = broker.cli(
        "invoice-bot",
        &["issue", "cert", "--task", id, "--out", &out],
    );
    let certificate = certificate.json();
    assert_eq!(text(&certificate, "credential_id").len(), 26);
    let left = seconds_from_now(&certificate, "expires_at");
    assert!(
        (580..=600).contains(&left),
        "no longer than the task: {certificate}"
    );
    assert_eq!(certificate["clamped_by"], json!(["task_deadline"]));
    for file in ["cert.pem", "key.pem", "ca.pem"] {
        assert!(folder.join(file).is_file(), "{file}");
    }
    let mode = std::os::unix::fs::PermissionsExt::mode(
        &std::fs::metadata(folder.join("key.pem"))
            .unwrap()
            .permissions(),
    );
    assert_eq!(mode & 0o777, 0o600);

    for who in ["operator", "ledger"] {
        let said = introspect(&broker, who, &token_file);
        assert_eq!(said["active"], json!(true), "{said}");
        assert_eq!(said["task_id"], task["task_id"]);
        let said = introspect(&broker, who, &folder.join("cert.pem"));
        assert_eq!(said["active"], json!(true), "{said}");
        assert_eq!(said["credential_id"], certificate["credential_id"]);
    }
    let revoked = broker
        .cli("", &["revoke", "--task", id, "--reason", "drill"])
        .json();
    assert_eq!(revoked["credentials"], json!(2), "{revoked}");
    assert_eq!(revoked["exact"], json!(true));
    assert_eq!(revoked["seq"], json!(1));
    for who in ["operator", "ledger"] {
        for file in [&token_file, &folder.join("cert.pem")] {
            let said = introspect(&broker, who, file);
            assert_eq!(said["active"], json!(false), "{said}");
            assert!(
                !said.to_string().contains("reconcile"),
                "nothing more is said: {said}"
            );
        }
    }
    let args = [
        "issue",
        "token",
        "--task",
        id,
        "--target",
        LEDGER,
        "--scope",
        "invoices:read",
    ];
    broker
        .cli("invoice-bot", &args)
        .refused("TASK_NOT_ACTIVE", &[id, "revoked"]);
}

#[test]
fn env_says_what_a_terminal_needs() {
    let broker = Broker::start(BIN);
    let env = std::fs::read_to_string(broker.path("env")).unwrap();
    let said: BTreeMap<_, _> = env
        .lines()
        .map(|line| {
            line.strip_prefix("export ")
                .unwrap()
                .split_once('=')
                .unwrap()
        })
        .collect();
    let names: Vec<_> = said.keys().copied().collect();
    let expected = [
        "TASKPASS_ADDR",
        "TASKPASS_HTTP",
        "TASKPASS_IDENTITY",
        "TASKPASS_OAUTH",
        "TASKPASS_OPS",
    ];
    assert_eq!(names, expected);
    let operator = broker.identity_folder("operator").canonicalize().unwrap();
    assert_eq!(
        said["TASKPASS_IDENTITY"],
        format!("'{}'", operator.display())
    );
    for who in ["operator", "ledger", "invoice-bot", "payout-bot"] {
        let identity = broker.identity(who);
        assert!(
            identity.name().to_string().ends_with(who),
            "{}",
            identity.name()
        );
    }
    assert_eq!(broker.ops("/healthz").status, 200);
}

#[test]
fn a_restart_keeps_ports_issuer_and_everything_issued() {
    let mut broker = Broker::start(BIN);
    let before = broker.addresses().clone();
    let task = start(&broker, "invoice-bot");
    let id = text(&task, "task_id");
    let kept = token(&broker, "invoice-bot", id);
    let lost = token(&broker, "invoice-bot", id);
    let lost_id = text(&lost, "credential_id");
    broker
        .cli(
            "",
            &["revoke", "--credential", lost_id, "--reason", "drill"],
        )
        .json();
    let keys = broker.get("/.well-known/jwks.json").body;
    let anchors = broker.get("/ca.pem").body;
    let file = broker.path("token.jwt");

    for abrupt in [true, false] {
        if abrupt {
            broker.kill9();
        } else {
            assert_eq!(broker.stop(), 0);
        }
        broker.restart();
        assert_eq!(broker.addresses(), &before);
        assert_eq!(broker.get("/.well-known/jwks.json").body, keys);
        assert_eq!(broker.get("/ca.pem").body, anchors);
        for (issued, active) in [(&kept, true), (&lost, false)] {
            std::fs::write(&file, text(issued, "token")).unwrap();
            assert_eq!(
                introspect(&broker, "ledger", &file)["active"],
                json!(active)
            );
        }
        let shown = broker.cli("invoice-bot", &["task", "show", id]).json();
        assert_eq!(shown["state"], json!("active"), "{shown}");
        // The identities from before the restart still call, and the task still issues.
        let more = token(&broker, "invoice-bot", id);
        by_jose_library(&broker, text(&more, "token"), LEDGER);
        let rules = broker.cli("", &["revocations"]).json();
        assert_eq!(rules["revocations"].as_array().unwrap().len(), 1, "{rules}");
    }
}

/// The entries of one kind and outcome so far; the archiver is given a moment.
fn entries(broker: &Broker, kind: &str, outcome: &str, at_least: usize) -> Vec<Value> {
    taskpass_testkit::until("the entries are archived", || {
        let found: Vec<_> = broker
            .audit()
            .into_iter()
            .map(|line| line["entry"].clone())
            .filter(|entry| entry["kind"] == json!(kind) && entry["outcome"] == json!(outcome))
            .collect();
        (found.len() >= at_least).then_some(found)
    })
}

#[test]
fn a_denial_names_the_policy_and_is_recorded() {
    let broker = Broker::start(BIN);
    let send = "https://ledger.example#payments:send";
    let said = ["stage-read-only", "asked:", send, "allowed:"];
    let args = [
        "task",
        "start",
        "--purpose",
        "x",
        "--scope",
        READ,
        "--scope",
        send,
    ];
    broker
        .cli("invoice-bot", &args)
        .refused("POLICY_DENIED", &said);
    let tasks = broker.cli("invoice-bot", &["task", "list"]).json();
    assert_eq!(tasks["tasks"], json!([]), "nothing was started");
    let denial = entries(&broker, "task.start", "deny", 1).remove(0);
    assert_eq!(denial["actor"], json!("agent/invoice-bot"));
    assert_eq!(denial["decision"]["policies"], json!(["stage-read-only"]));
    assert_eq!(denial["reason"], json!("POLICY_DENIED"));

    let task = start(&broker, "invoice-bot");
    let id = text(&task, "task_id");
    let args = [
        "issue",
        "token",
        "--task",
        id,
        "--target",
        LEDGER,
        "--scope",
        "payments:send",
    ];
    let outcome = broker.cli("invoice-bot", &args);
    outcome.refused("POLICY_DENIED", &said);
    let denial = entries(&broker, "credential.token", "deny", 1).remove(0);
    assert_eq!(denial["task"], json!(id));
    assert_eq!(denial["decision"]["policies"], json!(["stage-read-only"]));
    let decision = denial["id"].as_str().unwrap();
    assert!(outcome.stderr.contains(decision), "{outcome}");
    let issued = broker.ops("/metrics").text();
    assert!(
        issued.contains("taskpass_issued_total{kind=\"token\"} 0"),
        "{issued}"
    );
}

#[test]
fn anothers_task_is_as_good_as_unknown() {
    let broker = Broker::start(BIN);
    let task = start(&broker, "invoice-bot");
    let id = text(&task, "task_id");
    // The same deadline, so that the two differ in nothing but being there.
    let flipped = if id.ends_with('0') { '1' } else { '0' };
    let mut unknown = id.to_owned();
    unknown.pop();
    unknown.push(flipped);
    let out = broker.arg("none");
    for args in [
        &[
            "issue",
            "token",
            "--task",
            "T",
            "--target",
            LEDGER,
            "--scope",
            "invoices:read",
        ][..],
        &["issue", "cert", "--task", "T", "--out", &out],
        &["task", "show", "T"],
        &["task", "complete", "T"],
        &[
            "task",
            "start",
            "--purpose",
            "x",
            "--scope",
            READ,
            "--parent",
            "T",
        ],
        // What would be denied for other reasons says no more.
        &[
            "issue",
            "token",
            "--task",
            "T",
            "--target",
            LEDGER,
            "--scope",
            "payments:send",
        ],
    ] {
        let answer = |task: &str| {
            let args: Vec<_> = args
                .iter()
                .map(|arg| if *arg == "T" { task } else { arg })
                .collect();
            let outcome = broker.cli("payout-bot", &args);
            outcome.refused("TASK_NOT_FOUND", &[task]);
            outcome.stderr.replace(task, "TASK")
        };
        assert_eq!(answer(id), answer(&unknown), "{args:?}");
    }
    assert_eq!(
        broker.cli("invoice-bot", &["task", "show", id]).json()["state"],
        json!("active")
    );
}
