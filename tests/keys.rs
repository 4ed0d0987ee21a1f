//! The life of the keys as an operator sees it: rotated, distrusted, certified elsewhere, sealed anew;
//! and that whoever checks what is issued notices nothing of it.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test fails by panicking"
)]

#[path = "keys/elsewhere.rs"]
mod elsewhere;

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use rcgen::{CertificateParams, KeyPair};
use serde_json::Value;
use taskpass_testkit::{Broker, Outcome, until};

pub(crate) const BIN: &str = env!("CARGO_BIN_EXE_taskpass");
const LEDGER: &str = "https://ledger.example";
const READ: &str = "https://ledger.example#invoices:read";

pub(crate) fn task(broker: &Broker) -> String {
    let purpose = ["task", "start", "--purpose", "test", "--scope", READ];
    broker.cli("invoice-bot", &purpose).text("task_id")
}

fn token(broker: &Broker, task: &str) -> String {
    let scope = ["--target", LEDGER, "--scope", "invoices:read"];
    let issue = [&["issue", "token", "--task", task][..], &scope].concat();
    broker.cli("invoice-bot", &issue).text("token")
}

fn verify(broker: &Broker, token: &str) -> Outcome {
    let args = ["verify", "--token-file", "-", "--audience", LEDGER];
    broker.cli_with("", &args, token.as_bytes())
}

/// The keys of a purpose in a state.
pub(crate) fn keys(broker: &Broker, purpose: &str, state: &str) -> Vec<String> {
    let list = broker.cli("", &["keys", "list"]).json();
    let keys = list["keys"].as_array().unwrap().iter();
    keys.filter(|key| key["purpose"] == purpose && key["state"] == state)
        .map(|key| key["key_id"].as_str().unwrap().to_owned())
        .collect()
}

pub(crate) fn only(broker: &Broker, purpose: &str, state: &str) -> String {
    let [key] = &keys(broker, purpose, state)[..] else {
        panic!("{}", broker.cli("", &["keys", "list"]));
    };
    key.clone()
}

fn published(broker: &Broker) -> Vec<String> {
    let set: Value = serde_json::from_str(&broker.get("/.well-known/jwks.json").text()).unwrap();
    let keys = set["keys"].as_array().unwrap().iter();
    keys.map(|key| key["kid"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn a_rotation_is_noticed_by_nobody_and_survives_a_kill() {
    let mut broker = Broker::start(BIN);
    let task = task(&broker);
    let before = token(&broker, &task);
    let (active, prepared) = (
        only(&broker, "token-es256", "active"),
        only(&broker, "token-es256", "prepared"),
    );
    // Nobody can know it yet: the broker is a moment old.
    let asked = broker.cli("", &["keys", "rotate", "token-es256"]).json();
    assert_eq!(asked["next"]["key_id"], prepared.as_str());
    assert_eq!(only(&broker, "token-es256", "active"), active);
    let rotated = broker
        .cli("", &["keys", "rotate", "token-es256", "--now"])
        .json();
    assert_eq!(rotated["next"]["state"], "active", "{rotated}");
    broker.kill9();
    broker.restart();
    assert_eq!(only(&broker, "token-es256", "active"), prepared);
    assert_eq!(only(&broker, "token-es256", "retired"), active);
    let next = only(&broker, "token-es256", "prepared");
    let known = published(&broker);
    for key in [&active, &prepared, &next] {
        assert!(known.contains(key), "{known:?}");
    }
    let after = token(&broker, &task);
    for token in [&before, &after] {
        verify(&broker, token).ok();
    }
    // Once more within the hour would let the set grow.
    let again = broker.cli("", &["keys", "rotate", "token-es256", "--now"]);
    again.refused("KEY_NOT_READY", &["is published until"]);
    broker
        .cli("", &["keys", "rotate", "nonsense"])
        .refused("INVALID_KEY", &["keys list"]);
    broker
        .cli("", &["keys", "rotate", "task-root"])
        .refused("INVALID_KEY", &["task-root does not"]);
    // Agents have no say in this.
    broker
        .cli("invoice-bot", &["keys", "rotate", "token-es256"])
        .refused("METHOD_NOT_ALLOWED", &[]);
}

/// A verifier that fetched its keys before, and whose stream was open before, goes on as if nothing were.
#[tokio::test(flavor = "multi_thread")]
async fn a_verifier_notices_no_rotation() {
    let broker = Broker::start(BIN);
    let watcher = broker.watch("", &[LEDGER]).await;
    let task = task(&broker);
    let before = token(&broker, &task);
    for slot in ["token-es256", "task-issuing", "feed"] {
        broker.cli("", &["keys", "rotate", slot, "--now"]).ok();
    }
    let after = token(&broker, &task);
    for token in [&before, &after] {
        assert_eq!(watcher.token(token, LEDGER), None);
    }
    let out = broker.arg("cert");
    let issue = ["issue", "cert", "--task", &task, "--out", &out];
    broker.cli("invoice-bot", &issue).ok();
    let chain = std::fs::read_to_string(broker.path("cert/cert.pem")).unwrap();
    assert_eq!(watcher.certificate(&chain), None);
    // Heartbeats are signed by the new key; what is revoked now arrives as before.
    let revoke = ["revoke", "--task", &task, "--reason", "r"];
    let seq = broker.cli("", &revoke).json()["seq"].as_u64().unwrap();
    watcher.reaches(seq).await;
    for token in [&before, &after] {
        assert!(watcher.token(token, LEDGER).is_some());
    }
    assert!(watcher.certificate(&chain).is_some());
}

#[test]
fn a_distrusted_key_is_refused_at_once() {
    let broker = Broker::start(BIN);
    let task = task(&broker);
    let before = token(&broker, &task);
    let active = only(&broker, "token-es256", "active");
    let taint = ["keys", "taint", &active, "--reason", "host compromised"];
    let tainted = broker.cli("", &taint).json();
    assert_eq!(tainted["next"]["purpose"], "token-es256");
    assert!(!published(&broker).contains(&active));
    assert_eq!(verify(&broker, &before).code, 1);
    // Its task is over as well: what it did, a thief may have done.
    let after = token(&broker, &self::task(&broker));
    verify(&broker, &after).ok();

    // The feed's key: subscribers are told the new one, and go on.
    let feed = only(&broker, "feed", "active");
    broker
        .cli("", &["keys", "taint", &feed, "--reason", "r"])
        .ok();
    verify(&broker, &after).ok();

    let control = only(&broker, "control-issuing", "active");
    let taint = ["keys", "taint", &control, "--reason", "r"];
    broker
        .cli("", &taint)
        .refused("ENDS_IDENTITIES", &["enrol-token"]);
    let file = broker.arg("again.enrol");
    let name = broker.operator_name();
    let enrol_token = ["operator", "enrol-token", name, "--out", &file];
    broker.cli("", &enrol_token).ok();
    broker
        .cli("", &[&taint[..], &["--ends-identities"]].concat())
        .ok();
    assert_eq!(
        broker.cli("", &["keys", "list"]).code,
        1,
        "everybody must enrol anew"
    );
    let out = broker.arg("again");
    let enrol = ["enrol", "--token-file", &file, "--out", &out];
    broker.cli("", &enrol).ok();
    let who = ["--identity", &out, "keys", "list"];
    broker.cli("", &who).ok();
}

#[test]
fn sealed_under_another_key_the_broker_starts_only_with_that() {
    let mut broker = Broker::builder(BIN).serve("").start();
    let known = published(&broker);
    let (config, next) = (broker.arg("taskpass.toml"), broker.arg("kek.new"));
    let rewrap = ["keys", "rewrap", "--config", &config, "--new-kek", &next];
    broker.cli("", &rewrap).refused("STORE_IN_USE", &[]);
    assert!(!Path::new(&next).exists(), "nothing was begun");
    broker.stop();
    let done = broker.cli("", &rewrap);
    let kek = std::fs::read_to_string(&next).unwrap();
    assert!(
        !format!("{done}").contains(kek.trim()),
        "a key is never printed"
    );
    assert_eq!(done.json()["made"], true);
    assert!(done.json()["keys"].as_u64() >= Some(14), "{done}");
    let again = broker.cli("", &rewrap).json();
    assert_eq!((&again["keys"], &again["made"]), (&0.into(), &false.into()));
    let refused = broker.try_launch().unwrap_err();
    assert!(refused.contains("WRONG_KEK"), "{refused}");
    std::fs::rename(&next, broker.path("kek")).unwrap();
    broker.restart();
    assert_eq!(published(&broker), known);
    broker.cli("", &["keys", "list"]).ok();
}

/// A self-signed pair for localhost, written as an operator's certificate renewal would.
fn write_pair(broker: &Broker) -> Vec<u8> {
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    let certificate = params.self_signed(&key).unwrap();
    std::fs::write(broker.path("http.key"), key.serialize_pem()).unwrap();
    std::fs::write(broker.path("http.pem"), certificate.pem()).unwrap();
    certificate.der().to_vec()
}

/// The certificate that the public listener shows; nothing if it is not that one.
fn shows(broker: &Broker, expected: &[u8]) -> bool {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(expected.into()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = "localhost".try_into().unwrap();
    let mut tls = rustls::ClientConnection::new(Arc::new(config), name).unwrap();
    let address = broker.addresses().http.trim_start_matches("http://");
    let mut socket = std::net::TcpStream::connect(address).unwrap();
    while tls.is_handshaking() {
        if tls.complete_io(&mut socket).is_err() {
            return false;
        }
    }
    true
}

#[test]
fn the_public_certificate_is_read_again_at_sighup() {
    let mut broker = Broker::builder(BIN).serve("").start();
    let first = write_pair(&broker);
    let path = broker.path("taskpass.toml");
    let config = std::fs::read_to_string(&path).unwrap();
    let files = "[http]\ncert = \"http.pem\"\nkey = \"http.key\"\n";
    std::fs::write(&path, config.replace("[http]\n", files)).unwrap();
    broker.restart();
    assert!(shows(&broker, &first));
    let hangup = |broker: &Broker| {
        let pid = broker.pid().unwrap().to_string();
        let done = Command::new("kill").args(["-HUP", &pid]).status().unwrap();
        assert!(done.success());
    };
    // Half a pair: the one before stays, and the log says so.
    std::fs::write(broker.path("http.pem"), "nonsense").unwrap();
    hangup(&broker);
    until("the broken pair is reported", || {
        broker.log().contains("the one before stays").then_some(())
    });
    assert!(broker.is_running() && shows(&broker, &first));
    let second = write_pair(&broker);
    hangup(&broker);
    until("the new certificate is shown", || {
        shows(&broker, &second).then_some(())
    });
    assert!(!shows(&broker, &first));
}
