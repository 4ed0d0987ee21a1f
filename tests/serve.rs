//! A broker as it is run: made by `init`, run by `serve`, stopped by a signal; and what an operator
//! sees of it meanwhile.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use serde_json::{Value, json};
use taskpass_api::v1;
use taskpass_client::Refused;
use taskpass_testkit::{Broker, http, run, until, within};

const BIN: &str = env!("CARGO_BIN_EXE_taskpass");
const API: &str = "https://api.example";
const READ: &str = "https://api.example#read";

/// One value of the metrics.
fn metric(broker: &Broker, name: &str) -> f64 {
    let text = broker.ops("/metrics").text();
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    assert!(line.is_some(), "no {name} in:\n{text}");
    line.unwrap().trim().parse().unwrap()
}

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn from_init_to_the_last_entry() {
    // `start` has run `init`, `serve`, and `enrol` with the first administrator's file.
    let mut broker = Broker::builder(BIN).serve("").start();
    for secret in ["kek", "admin-enrolment.json", "taskpass.toml", "store.redb"] {
        assert_eq!(mode(&broker.path(secret)), 0o600, "{secret}");
    }
    let file = broker.arg("admin-enrolment.json");
    let again = broker.arg("again");
    let enrol = ["enrol", "--token-file", &file, "--out", &again];
    broker.cli("", &enrol).refused("ENROLMENT_REFUSED", &[]);

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
    let agent = [
        "agent",
        "register",
        "bot",
        "--owner",
        "team",
        "--purpose",
        "p",
        "--scope",
        READ,
    ];
    broker.cli("", &agent).ok();
    let file = broker.arg("bot.enrol");
    broker
        .cli("", &["agent", "enrol-token", "bot", "--out", &file])
        .ok();
    assert_eq!(mode(&broker.path("bot.enrol")), 0o600);
    let out = broker.identity_folder("bot").display().to_string();
    // The file says where the broker is: no environment is needed.
    run(
        broker.bin(),
        &[],
        &["enrol", "--token-file", &file, "--out", &out],
        b"",
    )
    .ok();
    let task = broker.cli("bot", &["task", "start", "--purpose", "x", "--scope", READ]);
    let task = task.text("task_id");
    let issue = [
        "issue", "token", "--task", &task, "--target", API, "--scope", "read",
    ];
    let token = broker.cli("bot", &issue).text("token");
    let verify = ["verify", "--token-file", "-", "--audience", API];
    let said = broker.cli_with("", &verify, token.as_bytes()).json();
    assert_eq!(
        (&said["valid"], &said["task_id"]),
        (&json!(true), &json!(task)),
        "{said}"
    );

    assert_eq!(broker.stop(), 0, "{}", broker.log());
    let lines = broker.audit();
    let last = &lines.last().unwrap()["entry"];
    assert_eq!(
        (&last["kind"], &last["reason"]),
        (&json!("broker"), &json!("stopped"))
    );
    let issued = lines
        .iter()
        .any(|line| line["entry"]["kind"] == json!("credential.token"));
    assert!(issued, "what was issued is in the log before it ends");
}

#[test]
fn init_makes_no_second_broker() {
    let broker = Broker::builder(BIN).serve("").start();
    let folder = broker.data().display().to_string();
    let before = std::fs::read(broker.path("kek")).unwrap();
    let args = ["init", "--data", &folder, "--trust-domain", "other.example"];
    let args = [&args[..], &["--public-url", "https://other.example"]].concat();
    let outcome = run(broker.bin(), &[], &args, b"");
    outcome.refused("STORE_EXISTS", &["store.redb"]);
    assert_eq!(std::fs::read(broker.path("kek")).unwrap(), before);
    let temp = tempfile::tempdir().unwrap();
    let folder = temp.path().join("new").display().to_string();
    for (domain, url, reason) in [
        ("Not A Domain", "https://x.example", "INVALID_TRUST_DOMAIN"),
        ("x.example", "http://x.example", "INVALID_URL"),
        ("x.example", "x.example", "INVALID_URL"),
    ] {
        let args = [
            "init",
            "--data",
            &folder,
            "--trust-domain",
            domain,
            "--public-url",
            url,
        ];
        run(broker.bin(), &[], &args, b"").refused(reason, &[]);
        assert!(!temp.path().join("new").exists());
    }
}

#[test]
fn one_process_has_the_store() {
    let mut broker = Broker::builder(BIN).serve("").start();
    let config = broker.arg("taskpass.toml");
    let serve = ["serve", "--config", &config];
    run(broker.bin(), &[], &serve, b"").refused("STORE_IN_USE", &["store.redb"]);
    broker.cli("", &["keys", "list"]).ok();
    broker.kill9();
    broker.restart();
    broker.cli("", &["keys", "list"]).ok();
}

#[test]
fn health_and_metrics() {
    let broker = Broker::start(BIN);
    for path in ["/healthz", "/readyz"] {
        assert_eq!(broker.ops(path).status, 200, "{path}");
    }
    assert_eq!(broker.ops("/nothing").status, 404);
    // Neither is on the public side, nor the public side here.
    assert_eq!(broker.get("/metrics").status, 404);
    assert_eq!(broker.ops("/ca.pem").status, 404);

    let text = broker.ops("/metrics").text();
    for name in [
        "taskpass_issued_total",
        "taskpass_denied_total",
        "taskpass_revocations_total",
        "taskpass_reaped_total",
        "taskpass_commits_total",
        "taskpass_commit_groups_total",
        "taskpass_commit_group_seconds_total",
        "taskpass_commits_queued",
        "taskpass_live_credentials",
        "taskpass_key_age_seconds",
        "taskpass_store_bytes",
        "taskpass_feed_subscribers",
        "taskpass_feed_lag",
    ] {
        for kind in ["HELP", "TYPE"] {
            assert!(
                text.contains(&format!("# {kind} {name} ")),
                "{kind} of {name}:\n{text}"
            );
        }
    }
    let scope = "https://ledger.example#invoices:read";
    let args = ["task", "start", "--purpose", "x", "--scope", scope];
    let task = broker.cli("invoice-bot", &args).text("task_id");
    let target = "https://ledger.example";
    let issue = [
        "issue", "token", "--task", &task, "--target", target, "--scope",
    ];
    broker
        .cli("invoice-bot", &[&issue[..], &["invoices:read"]].concat())
        .ok();
    let denied = broker.cli("invoice-bot", &[&issue[..], &["payments:send"]].concat());
    denied.refused("POLICY_DENIED", &[]);
    assert!((metric(&broker, "taskpass_live_credentials") - 1.0).abs() < 0.1);
    broker
        .cli("", &["revoke", "--task", &task, "--reason", "drill"])
        .ok();
    for name in [
        "taskpass_issued_total{kind=\"token\"}",
        "taskpass_denied_total",
        "taskpass_revocations_total",
        "taskpass_revocation_seq",
    ] {
        assert!((metric(&broker, name) - 1.0).abs() < 0.1, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_feed_is_counted_and_ends_with_the_broker() {
    let mut broker = Broker::start(BIN);
    let mut revocations = broker.services("ledger").await.revocations();
    let request = v1::WatchRevocationsRequest::default();
    let mut stream = within(revocations.watch_revocations(request))
        .await
        .unwrap()
        .into_inner();
    within(stream.message()).await.unwrap().unwrap();
    assert!((metric(&broker, "taskpass_feed_subscribers") - 1.0).abs() < 0.1);
    assert_eq!(
        broker.stop(),
        0,
        "an open stream does not hold it up\n{}",
        broker.log()
    );
    let ended = loop {
        match within(stream.message()).await {
            Ok(Some(_)) => {}
            Ok(None) => break None,
            Err(status) => break Some(Refused::from(status)),
        }
    };
    assert_eq!(
        ended.map(|refused| refused.code),
        Some(tonic::Code::Unavailable)
    );
    assert!(http::get(&format!("{}/healthz", broker.addresses().ops)).is_err());
}

/// Whoever reads compares with the clock; the reaper only tidies up.
#[test]
fn what_has_expired_is_over_and_then_gone() {
    let broker = Broker::builder(BIN).retention("1s").start();
    let scope = "https://ledger.example#invoices:read";
    let args = [
        "task",
        "start",
        "--purpose",
        "x",
        "--scope",
        scope,
        "--ttl",
        "3s",
    ];
    let started = broker.cli("invoice-bot", &args).json();
    let task = started["task_id"].as_str().unwrap();
    let target = "https://ledger.example";
    let issue = [
        "issue",
        "token",
        "--task",
        task,
        "--target",
        target,
        "--scope",
        "invoices:read",
    ];
    let issued = broker
        .cli("invoice-bot", &[&issue[..], &["--ttl", "1h"]].concat())
        .json();
    assert_eq!(issued["clamped_by"], json!(["task_deadline"]));
    let id = issued["credential_id"].as_str().unwrap().to_owned();
    let file = broker.path("token");
    std::fs::write(&file, issued["token"].as_str().unwrap()).unwrap();
    let file = file.display().to_string();
    let introspect = || {
        broker
            .cli("", &["introspect", "--token-file", &file])
            .json()
    };
    assert_eq!(introspect()["active"], json!(true));
    until("the token has expired", || {
        (introspect()["active"] == json!(false)).then_some(())
    });
    until("the task is over", || {
        let outcome = broker.cli("invoice-bot", &issue);
        (outcome.code != 0).then(|| {
            assert!(
                ["TASK_NOT_ACTIVE", "TASK_NOT_FOUND"].contains(&outcome.reason()),
                "{outcome}"
            );
        })
    });
    until("the reaper was there", || {
        let gone = metric(&broker, "taskpass_reaped_total{what=\"credential\"}") >= 1.0
            && metric(&broker, "taskpass_reaped_total{what=\"task\"}") >= 1.0;
        gone.then_some(())
    });
    let mut credentials = vec!["task", "show"];
    credentials.push(task);
    broker
        .cli("", &credentials)
        .refused("TASK_NOT_FOUND", &[task]);
    let revoke = ["revoke", "--credential", &id, "--reason", "late"];
    broker
        .cli("", &revoke)
        .refused("CREDENTIAL_NOT_FOUND", &[&id]);
    let reaped = until("the sweep is in the audit log", || {
        let lines: Vec<Value> = broker.audit();
        lines
            .into_iter()
            .find(|line| line["entry"]["kind"] == json!("reap"))
    });
    assert_eq!(reaped["entry"]["outcome"], json!("done"));
}

/// Discovery and keys are for anybody; what is asked for wrongly says so.
#[test]
fn the_public_side() {
    let broker = Broker::start(BIN);
    let issuer = &broker.addresses().http;
    for path in [
        "/.well-known/openid-configuration",
        "/.well-known/oauth-authorization-server",
    ] {
        let reply = broker.get(path);
        assert_eq!(
            (reply.status, &reply.json()["issuer"]),
            (200, &json!(issuer)),
            "{path}"
        );
    }
    let anchors = broker.get("/ca.pem");
    assert_eq!(anchors.status, 200);
    let control = broker.identity("operator");
    for der in taskpass_testkit::watch::ders(control.ca_pem()) {
        let theirs = taskpass_testkit::watch::ders(&anchors.text());
        assert!(
            !theirs.contains(&der),
            "downstream trusts nothing of Control"
        );
    }
    for path in [
        "/crl/none/0.crl",
        "/crl/root.crl/x",
        "/nothing",
        "/crl/../kek",
        "/env",
    ] {
        assert_eq!(broker.get(path).status, 404, "{path}");
    }
    let root = broker.get("/crl/root.crl");
    assert_eq!(
        (root.status, root.header("content-type")),
        (200, Some("application/pkix-crl"))
    );
}
