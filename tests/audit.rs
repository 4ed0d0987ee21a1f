//! What the audit trail has, and what nobody ever finds: not in it, not in the broker's log at its
//! most talkative, not in an error, the metrics, or the store's file.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::too_many_lines,
    reason = "a test fails by panicking, and a story is told in one piece"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use data_encoding::{BASE64, BASE64URL_NOPAD, HEXLOWER};
use rustls_pki_types::PrivateKeyDer;
use rustls_pki_types::pem::PemObject as _;
use serde_json::{Value, json};
use taskpass_core::secret::Sha256;
use taskpass_testkit::{Broker, Outcome, until};

const BIN: &str = env!("CARGO_BIN_EXE_taskpass");
const API: &str = "https://api.example";
const READ: &str = "https://api.example#read";
const PAY: &str = "https://api.example#pay";

/// What must be found nowhere, by what it is.
#[derive(Default)]
struct Canaries(Vec<(String, Vec<u8>)>);

impl Canaries {
    /// A secret that is text.
    fn text(&mut self, what: &str, secret: &str) {
        assert!(
            secret.len() >= 20,
            "{what} is long enough not to be found by accident"
        );
        self.0.push((what.to_owned(), secret.as_bytes().to_vec()));
    }

    /// A secret that is bytes, in the forms in which bytes get into texts.
    fn bytes(&mut self, what: &str, secret: &[u8]) {
        assert!(secret.len() >= 16);
        self.0.push((what.to_owned(), secret.to_vec()));
        for text in [
            HEXLOWER.encode(secret),
            BASE64.encode(secret),
            BASE64URL_NOPAD.encode(secret),
            format!("{secret:?}"),
        ] {
            self.0.push((
                what.to_owned(),
                text.trim_matches(['[', ']']).as_bytes().to_vec(),
            ));
        }
    }

    /// A token: whole, and its signature.
    fn token(&mut self, what: &str, token: &str) {
        self.text(what, token);
        self.text(what, token.rsplit('.').next().unwrap());
    }

    /// A private key in PEM: whole, and the number within.
    fn key(&mut self, what: &str, folder: &Path) {
        let pem = std::fs::read(folder.join("key.pem")).unwrap();
        let PrivateKeyDer::Pkcs8(der) = PrivateKeyDer::from_pem_slice(&pem).unwrap() else {
            unreachable!("PKCS#8")
        };
        let der = der.secret_pkcs8_der();
        // PKCS#8 of P-256: the number is the first octet string of 32 bytes.
        let at = der.windows(2).position(|two| two == [0x04, 0x20]).unwrap();
        self.bytes(what, der.get(at + 2..at + 34).unwrap());
        let line = std::str::from_utf8(&pem)
            .unwrap()
            .lines()
            .nth(1)
            .unwrap()
            .to_owned();
        self.text(what, &line);
    }

    fn search(&self, place: &str, content: &[u8]) {
        for (what, canary) in &self.0 {
            let found = content.windows(canary.len()).any(|window| window == canary);
            assert!(!found, "{what} is in {place}");
        }
    }
}

/// The entries so far, once the archiver has caught up with what happened before.
fn entries(broker: &Broker, last: impl Fn(&Value) -> bool) -> Vec<Value> {
    until("the last effect is in the audit log", || {
        let entries: Vec<_> = broker
            .audit()
            .into_iter()
            .map(|line| line["entry"].clone())
            .collect();
        entries.iter().any(&last).then_some(entries)
    })
}

fn is(entry: &Value, kind: &str, outcome: &str) -> bool {
    entry["kind"] == json!(kind) && entry["outcome"] == json!(outcome)
}

#[test]
fn no_secret_is_anywhere() {
    let mut broker = Broker::builder(BIN)
        .serve("[log]\nfilter = \"trace\"\n")
        .start();
    let mut canaries = Canaries::default();
    let mut errors: Vec<Outcome> = Vec::new();
    canaries.text(
        "the key-encryption key",
        &std::fs::read_to_string(broker.path("kek")).unwrap(),
    );
    let kek = BASE64.decode(
        std::fs::read_to_string(broker.path("kek"))
            .unwrap()
            .trim()
            .as_bytes(),
    );
    canaries.bytes("the key-encryption key", &kek.unwrap());
    let file = std::fs::read(broker.path("admin-enrolment.json")).unwrap();
    let file: Value = serde_json::from_slice(&file).unwrap();
    canaries.text("the first enrolment token", file["token"].as_str().unwrap());
    canaries.key("the administrator's key", &broker.identity_folder("admin"));

    for args in [
        &["owner", "register", "team", "--contact", "team@example.org"][..],
        &[
            "target",
            "register",
            API,
            "--risk",
            "low",
            "--scope",
            "read=read",
            "--scope",
            "pay=actuate",
        ],
        &[
            "agent",
            "register",
            "bot",
            "--owner",
            "team",
            "--purpose",
            "p",
            "--stage",
            "autonomous",
            "--scope",
            READ,
            "--scope",
            PAY,
        ],
    ] {
        broker.cli("", args).ok();
    }
    let enrolment = broker.arg("bot.enrol");
    broker
        .cli("", &["agent", "enrol-token", "bot", "--out", &enrolment])
        .ok();
    let token: Value = serde_json::from_slice(&std::fs::read(&enrolment).unwrap()).unwrap();
    canaries.text("an enrolment token", token["token"].as_str().unwrap());
    let folder = broker.identity_folder("bot").display().to_string();
    let enrol = ["enrol", "--token-file", &enrolment, "--out", &folder];
    broker.cli("", &enrol).ok();
    canaries.key("the agent's key", &broker.identity_folder("bot"));
    // Refused: used up.
    errors.push(broker.cli(
        "",
        &[
            "enrol",
            "--token-file",
            &enrolment,
            "--out",
            &broker.arg("no"),
        ],
    ));

    let start = [
        "task",
        "start",
        "--purpose",
        "x",
        "--scope",
        READ,
        "--scope",
        PAY,
    ];
    let task = broker.cli("bot", &start).text("task_id");
    let out = broker.arg("C");
    broker
        .cli("bot", &["issue", "cert", "--task", &task, "--out", &out])
        .ok();
    canaries.key("the task's key", &broker.path("C"));
    let issue = [
        "issue", "token", "--task", &task, "--target", API, "--scope",
    ];
    let plain = broker.cli("bot", &[&issue[..], &["read"]].concat()).json();
    let cert = broker.arg("C/cert.pem");
    let bound = [&issue[..], &["pay", "--bind-cert", &cert]].concat();
    let bound = broker.cli("bot", &bound).json();
    errors.push(broker.cli("bot", &[&issue[..], &["pay"]].concat()));
    for (what, issued) in [("a token", &plain), ("a bound token", &bound)] {
        let token = issued["token"].as_str().unwrap();
        canaries.token(what, token);
        broker
            .cli_with("", &["introspect", "--token-file", "-"], token.as_bytes())
            .ok();
        // Cut, forged, and sent to the wrong place.
        let cut = &token.as_bytes()[..token.len() - 1];
        let said = broker
            .cli_with("", &["introspect", "--token-file", "-"], cut)
            .json();
        assert_eq!(said["active"], json!(false));
        errors.push(broker.cli_with("", &["verify", "--token-file", "-"], cut));
        errors.push(broker.cli_with(
            "",
            &["-v", "enrol", "--token-file", "-", "--out", "/x"],
            cut,
        ));
        errors.push(broker.cli("bot", &["task", "show", token]));
        errors.push(broker.cli("", &["revoke", "--credential", token, "--reason", "x"]));
    }
    broker
        .cli("", &["revoke", "--task", &task, "--reason", "drill"])
        .ok();
    errors.push(broker.cli("bot", &[&issue[..], &["read"]].concat()));
    errors.push(broker.cli("bot", &["keys", "list"]));

    let metrics = broker.ops("/metrics").body;
    assert_eq!(broker.stop(), 0);
    let audit = everything_in(&broker.path("audit"));
    let log = broker.log();
    assert!(
        log.len() > 100_000,
        "the log is talkative: {} bytes",
        log.len()
    );
    let store = std::fs::read(broker.path("store.redb")).unwrap();
    canaries.search("the broker's log", log.as_bytes());
    canaries.search("the audit log", &audit);
    canaries.search("the metrics", &metrics);
    canaries.search("the store's file", &store);
    for outcome in &errors {
        assert_ne!(outcome.code, 0, "{outcome}");
        // What was handed in as an argument by mistake may be named, cut short; nothing else.
        canaries.search("an error", outcome.stderr.as_bytes());
        assert!(outcome.stdout.is_empty() || outcome.code == 1, "{outcome}");
    }
    // The search finds what is there: ids and hashes are.
    let text = String::from_utf8_lossy(&audit);
    for issued in [&plain, &bound] {
        assert!(text.contains(issued["credential_id"].as_str().unwrap()));
        let hash = Sha256::of(issued["token"].as_str().unwrap().as_bytes()).to_string();
        assert!(text.contains(&hash), "{hash}");
    }
    let mut finds = Canaries::default();
    finds.text("an id", plain["credential_id"].as_str().unwrap());
    let searched = std::panic::catch_unwind(|| finds.search("the audit log", text.as_bytes()));
    assert!(searched.is_err());
}

/// The content of every file below `folder`.
fn everything_in(folder: &std::path::Path) -> Vec<u8> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            all.extend(everything_in(&path));
        } else {
            all.extend(std::fs::read(path).unwrap());
        }
    }
    all
}

#[test]
fn one_entry_for_each_effect() {
    let broker = Broker::start(BIN);
    let ledger = "https://ledger.example";
    let read = "https://ledger.example#invoices:read";
    let before = entries(&broker, |entry| entry["reason"] == json!("started")).len();
    assert!(before > 0);
    let start = ["task", "start", "--purpose", "audited", "--scope", read];
    let first = broker.cli("invoice-bot", &start).text("task_id");
    let second = broker.cli("invoice-bot", &start).text("task_id");
    let send = "https://ledger.example#payments:send";
    let denied = ["task", "start", "--purpose", "x", "--scope", send];
    broker
        .cli("invoice-bot", &denied)
        .refused("POLICY_DENIED", &[]);
    let mut issued = Vec::new();
    for _ in 0..3 {
        let issue = [
            "issue", "token", "--task", &first, "--target", ledger, "--scope",
        ];
        let issue = [&issue[..], &["invoices:read", "--ttl", "2m"]].concat();
        issued.push(broker.cli("invoice-bot", &issue).text("credential_id"));
    }
    let out = broker.arg("C");
    let cert = broker.cli(
        "invoice-bot",
        &["issue", "cert", "--task", &second, "--out", &out],
    );
    issued.push(cert.text("credential_id"));
    broker.cli(
        "payout-bot",
        &["issue", "cert", "--task", &second, "--out", &out],
    );
    // Malformed requests are no decisions.
    broker.cli(
        "invoice-bot",
        &["task", "start", "--purpose", "", "--scope", read],
    );
    broker
        .cli(
            "",
            &["revoke", "--task", &first, "--reason", "drill", "--dry-run"],
        )
        .ok();
    broker
        .cli("", &["revoke", "--task", &first, "--reason", "drill"])
        .ok();
    broker
        .cli("invoice-bot", &["task", "complete", &second])
        .ok();
    broker
        .cli("invoice-bot", &["task", "complete", &second])
        .ok();
    broker
        .cli("invoice-bot", &["keys", "list"])
        .refused("METHOD_NOT_ALLOWED", &[]);
    broker
        .cli(
            "",
            &[
                "agent",
                "promote",
                "invoice-bot",
                "--stage",
                "bounded",
                "--force",
                "--reason",
                "r",
            ],
        )
        .ok();
    broker.cli("", &["task", "list"]).ok();

    let entries = entries(&broker, |entry| {
        is(entry, "read", "done")
            && entry["subject"]
                .as_str()
                .is_some_and(|text| text == "tasks")
    });
    let count = |kind: &str, outcome: &str| {
        entries
            .iter()
            .filter(|entry| is(entry, kind, outcome))
            .count()
    };
    for (kind, outcome, expected) in [
        ("task.start", "allow", 2),
        ("task.start", "deny", 1),
        ("credential.token", "allow", 3),
        ("credential.token", "deny", 0),
        ("credential.certificate", "allow", 1),
        ("credential.certificate", "deny", 1),
        // The operator's, and the one that completing made.
        ("revocation", "done", 2),
        ("call", "deny", 1),
        ("identity.theft", "deny", 0),
    ] {
        assert_eq!(count(kind, outcome), expected, "{kind} {outcome}");
    }
    let of = |kind: &str| {
        entries
            .iter()
            .find(|entry| entry["kind"] == json!(kind))
            .unwrap()
    };
    let token = of("credential.token");
    assert_eq!(token["v"], json!(1));
    assert_eq!(token["actor"], json!("agent/invoice-bot"));
    assert_eq!(token["owner"], json!("payments-team"));
    assert_eq!(token["task"], json!(first));
    assert_eq!(token["target"], json!(ledger));
    assert_eq!(token["asked"]["scopes"], json!([read]));
    assert_eq!(token["asked"]["ttl"], json!(120), "{token}");
    assert_eq!(token["granted"]["scopes"], json!([read]));
    assert_eq!(
        token["decision"]["policies"],
        json!(["permit-registered-scopes"])
    );
    assert_eq!(token["generation"], json!(1));
    let ids: BTreeSet<_> = entries
        .iter()
        .filter_map(|entry| entry["credential"]["id"].as_str())
        .map(str::to_owned)
        .collect();
    assert_eq!(ids, issued.into_iter().collect());
    let revocation = of("revocation");
    assert_eq!(revocation["actor"], json!("operator/operator"));
    assert_eq!(revocation["reason"], json!("drill"));
    assert_eq!(revocation["revocation"]["credentials"], json!(3));
    let completing = |entry: &&Value| entry["kind"] == json!("revocation");
    let completing = entries.iter().rfind(completing).unwrap();
    assert_eq!(completing["actor"], json!("agent/invoice-bot"));
    assert_eq!(completing["reason"], json!("completed"));
    let ended = entries
        .iter()
        .filter(|entry| is(entry, "task.end", "done") && entry["task"] == json!(second));
    assert_eq!(ended.count(), 1, "completing again changes nothing");
    assert_eq!(of("task.start")["purpose"], json!("audited"));
    let promoted = entries.iter().filter(|entry| {
        is(entry, "registry", "done") && entry["subject"] == json!("agent invoice-bot")
    });
    let versions: Vec<_> = promoted
        .map(|entry| entry["version"].as_u64().unwrap())
        .collect();
    assert_eq!(versions, [1, 2], "registered, and then promoted");
}

/// Killed at any moment, the log goes on where it was: no gap, nothing twice.
#[test]
fn the_index_has_no_gap_over_abrupt_ends() {
    let mut broker = Broker::start(BIN);
    let read = "https://ledger.example#invoices:read";
    let start = ["task", "start", "--purpose", "x", "--scope", read];
    let mut started = Vec::new();
    for _ in 0..4 {
        for _ in 0..3 {
            started.push(broker.cli("invoice-bot", &start).text("task_id"));
        }
        // The archiver may be anywhere in its work.
        broker.restart();
    }
    let last = started.last().unwrap().clone();
    entries(&broker, |entry| entry["task"] == json!(last));
    assert_eq!(broker.stop(), 0);
    let lines = broker.audit();
    for (expected, line) in lines.iter().enumerate() {
        assert_eq!(line["index"], json!(expected));
    }
    let mut seen = BTreeMap::new();
    for line in &lines {
        *seen.entry(line["entry"]["id"].to_string()).or_insert(0) += 1;
    }
    let twice: Vec<_> = seen.iter().filter(|(_, count)| **count > 1).collect();
    assert!(twice.is_empty(), "{twice:?}");
    for task in &started {
        let found = lines.iter().filter(|line| {
            is(&line["entry"], "task.start", "allow") && line["entry"]["task"] == json!(task)
        });
        assert_eq!(found.count(), 1, "{task}");
    }
    let starts = lines
        .iter()
        .filter(|line| line["entry"]["reason"] == json!("started"));
    assert_eq!(starts.count(), 5);
}
