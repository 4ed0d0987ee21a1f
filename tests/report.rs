//! Reports from outside: from a running broker, and from copies of its log and registry; every figure
//! counted once more from the raw log.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

#[path = "report/bad_input.rs"]
mod bad_input;
#[path = "report/permitted.rs"]
mod permitted;

use std::collections::BTreeSet;
use std::fs;

use serde_json::{Value, json};
use taskpass_testkit::{Broker, until};

const BIN: &str = env!("CARGO_BIN_EXE_taskpass");
const LEDGER: &str = "https://ledger.example";
const READ: &str = "https://ledger.example#invoices:read";

/// A task, two tokens, one of which is revoked.
async fn work(broker: &Broker) {
    let agent = broker.services("invoice-bot").await.agent();
    let task = agent
        .start_task("<b>report</b>", [READ], None)
        .await
        .unwrap();
    let mut ids = Vec::new();
    for _ in 0..2 {
        let token = task.token(LEDGER, ["invoices:read"], None).await.unwrap();
        ids.push(token.id().to_string());
    }
    let line = ["revoke", "--credential", &ids[0], "--reason", "drill"];
    broker.cli("", &line).ok();
    until("the revocation is in the log", || {
        let log = broker.audit();
        let revoked = |line: &Value| line["entry"]["revocation"]["value"] == json!(ids[0]);
        log.iter().any(revoked).then_some(())
    });
}

/// Runs a report on the copies, as JSON.
fn offline(broker: &Broker, line: &[&str]) -> Value {
    let (log, registry) = (broker.arg("copy"), broker.arg("registry.toml"));
    let line = [
        line,
        &["--log", &log, "--registry", &registry, "-o", "json"],
    ]
    .concat();
    let outcome = broker.cli_raw("", &line, b"");
    outcome.ok();
    outcome.json()
}

#[tokio::test]
async fn reports_say_what_the_raw_log_says() {
    let broker = Broker::start(BIN);
    work(&broker).await;
    let copy = broker.arg("copy");
    broker.cli("", &["audit", "export", "--out", &copy]).ok();
    let file = broker.arg("registry.toml");
    broker.cli("", &["registry", "export", "--out", &file]).ok();
    // By other means: the lines themselves.
    let lines = broker.arg("lines");
    let export = ["audit", "export", "--format", "jsonl", "--out", &lines];
    broker.cli("", &export).ok();
    let lines = fs::read_to_string(lines).unwrap();
    let entries: Vec<Value> = lines
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["entry"].clone())
        .collect();
    let tokens: Vec<&Value> = entries
        .iter()
        .filter(|e| e["kind"] == json!("credential.token") && e["outcome"] == json!("allow"))
        .collect();
    let revoked: BTreeSet<&str> = entries
        .iter()
        .filter(|e| e["revocation"]["selector"] == json!("credential"))
        .map(|e| e["revocation"]["value"].as_str().unwrap())
        .collect();
    assert_eq!((tokens.len(), revoked.len()), (2, 1));

    let inventory = offline(&broker, &["report", "inventory"]);
    let rows = inventory["rows"].as_array().unwrap();
    let of = |name: &str| rows.iter().find(|row| row["agent"] == json!(name)).unwrap();
    let bot = of("invoice-bot");
    assert_eq!(bot["faults"], json!([]));
    assert_eq!((&bot["tasks"], &bot["credentials"]), (&json!(1), &json!(2)));
    assert_eq!(bot["live_credentials"], json!(1));
    assert_eq!(bot["attestation"], json!(["enrolment_token", "mtls"]));
    // Who never worked is on top.
    assert_eq!(rows[0]["faults"], json!([{"fault": "never_used"}]));
    assert_eq!(rows.last().unwrap()["faults"], json!([]));

    let exposure = offline(&broker, &["report", "exposure", "--agent", "invoice-bot"]);
    assert_eq!(exposure["credentials"], json!(tokens.len()));
    assert_eq!(exposure["revoked"], json!(revoked.len()));
    assert_eq!(exposure["live"], json!(1));
    let longest = tokens.iter().map(|e| e["granted"]["ttl"].as_u64().unwrap());
    assert_eq!(
        exposure["token_life"]["max_s"],
        json!(longest.max().unwrap())
    );

    let asked = ["report", "least-privilege", "--agent", "invoice-bot"];
    let least = offline(&broker, &asked);
    let rows = least["rows"].as_array().unwrap();
    let read = rows.iter().find(|row| row["scope"] == json!(READ)).unwrap();
    assert_eq!(
        (&read["granted"], &read["permitted"]),
        (&json!(2), &json!(true))
    );
    assert_eq!(read["used"], Value::Null);
    assert!(
        least["coverage"]["says"]
            .as_str()
            .unwrap()
            .contains("cannot be known")
    );

    // The broker itself says the same, but for what the reading added.
    let from_broker = broker.cli("", &asked).json();
    assert_eq!(from_broker["rows"].as_array().unwrap().len(), rows.len());
    assert_eq!(from_broker["total"], least["total"]);
    assert!(from_broker["about"]["registry_version"].is_u64());
}

#[tokio::test]
async fn what_a_report_cannot_rest_on_is_refused() {
    let broker = Broker::start(BIN);
    work(&broker).await;
    let refused = |line: &[&str], reason: &str| {
        let line = [&["report"], line].concat();
        assert_eq!(broker.cli("", &line).reason(), reason, "{line:?}");
    };
    refused(&["inventory", "--since", "2999-01-01"], "INVALID_PERIOD");
    refused(&["exposure", "--agent", "nobody"], "AGENT_NOT_FOUND");
    refused(&["least-privilege", "--owner", "nobody"], "OWNER_NOT_FOUND");
    let elsewhere = ["least-privilege", "--target", "https://nowhere.example"];
    refused(&elsewhere, "TARGET_NOT_FOUND");
    let key = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";
    refused(&["inventory", "--key", key], "LOG_UNTRUSTED");
    assert_eq!(
        broker.cli("", &["report", "inventory", "--log", "x"]).code,
        2
    );
    // An agent may not read what all of them did.
    let as_agent = broker.cli("invoice-bot", &["report", "inventory"]);
    assert_ne!(as_agent.code, 0);

    let (copy, file) = (broker.arg("copy"), broker.arg("registry.toml"));
    broker.cli("", &["audit", "export", "--out", &copy]).ok();
    broker.cli("", &["registry", "export", "--out", &file]).ok();
    let mut pending = vec![broker.path("copy")];
    while let Some(path) = pending.pop() {
        if path.is_dir() {
            pending.extend(
                fs::read_dir(&path)
                    .unwrap()
                    .map(|entry| entry.unwrap().path()),
            );
        } else if path.to_string_lossy().contains("tile/entries") {
            let mut bytes = fs::read(&path).unwrap();
            *bytes.last_mut().unwrap() ^= 1;
            fs::write(&path, bytes).unwrap();
        }
    }
    let line = ["report", "inventory", "--log", &copy, "--registry", &file];
    let outcome = broker.cli_raw("", &line, b"");
    assert_eq!(outcome.reason(), "LOG_INVALID");
    assert!(outcome.stdout.is_empty());
}

#[tokio::test]
async fn files_are_made_for_spreadsheets_browsers_and_apply() {
    let broker = Broker::start(BIN);
    work(&broker).await;
    let purpose = "=1+1<script>alert(1)</script>";
    let valid = ["--valid-until", "30d", "--owner", "payments-team"];
    let register = [
        "agent",
        "register",
        "mallory",
        "--purpose",
        purpose,
        "--stage",
        "read-only",
    ];
    broker
        .cli("", &[&register[..], &valid, &["--scope", READ]].concat())
        .ok();
    let csv = broker.cli("", &["report", "inventory", "--csv", "-"]);
    csv.ok();
    assert!(csv.stdout.starts_with("agent,owner,owner_contact,purpose"));
    assert!(csv.stdout.contains("\"'=1+1<script>"));
    let html = broker.arg("inventory.html");
    broker
        .cli("", &["report", "inventory", "--html", &html])
        .ok();
    let page = fs::read_to_string(&html).unwrap();
    assert!(page.contains("=1+1&lt;script&gt;") && !page.contains("<script"));
    let again = broker.cli("", &["report", "inventory", "--html", &html]);
    assert_eq!(again.reason(), "FILE_EXISTS");

    // The suggested registration, applied, denies what the report says, and nothing else.
    let narrower = broker.arg("narrower.toml");
    let line = [
        "report",
        "least-privilege",
        "--agent",
        "invoice-bot",
        "--suggest",
        &narrower,
    ];
    let report = broker.cli("", &line).json();
    let suggestion = &report["suggestion"];
    assert_eq!(suggestion["requests"], json!(0));
    let removed = suggestion["agents"][0]["remove"]
        .as_array()
        .unwrap()
        .clone();
    assert!(!removed.is_empty());
    broker
        .cli("", &["apply", &narrower, "--reason", "least privilege"])
        .ok();
    let start = |scope: &str| {
        let line = ["task", "start", "--purpose", "after", "--scope", scope];
        broker.cli("invoice-bot", &line).code
    };
    assert_eq!(start(READ), 0);
    for scope in removed {
        assert_eq!(start(scope.as_str().unwrap()), 1, "{scope}");
    }
    let line = ["report", "least-privilege", "--agent", "invoice-bot"];
    let after = broker.cli("", &line).json();
    assert_eq!(after["total"]["permitted"], after["total"]["granted"]);
}

#[tokio::test]
async fn events_for_other_systems() {
    let broker = Broker::start(BIN);
    work(&broker).await;
    for (format, member) in [("ocsf", "class_uid"), ("cloudevents", "specversion")] {
        let out = broker.arg(format);
        let line = ["audit", "export", "--format", format, "--out", &out];
        broker.cli("", &line).ok();
        let text = fs::read_to_string(&out).unwrap();
        let before = broker.audit().len();
        assert!(text.lines().count() > 5 && text.lines().count() <= before);
        for line in text.lines() {
            let event: Value = serde_json::from_str(line).unwrap();
            assert!(!event[member].is_null(), "{line}");
        }
    }
}
