//! Use from end to end: an API behind the verifier's guard reports to a real broker what agents use, and
//! `taskpass report` says it, and says what it cannot know.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::routing::{get, post};
use axum::{Extension, Router};
use serde_json::{Value, json};
use taskpass_client::{Token, connect_feed};
use taskpass_core::rng::SystemRng;
use taskpass_testkit::{Broker, Watcher, eventually, until, within};
use taskpass_verify::{Admitted, Guard, UseReports, UseSettings, Uses};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

const BIN: &str = env!("CARGO_BIN_EXE_taskpass");
const LEDGER: &str = "https://ledger.example";
const READ: &str = "https://ledger.example#invoices:read";
const WRITE: &str = "https://ledger.example#invoices:write";
const SEND: &str = "https://ledger.example#payments:send";
const AGENT: &str = "payout-bot";

/// The ledger, which runs, and reports what it is used for.
struct Ledger {
    address: SocketAddr,
    uses: Uses,
    stop: oneshot::Sender<()>,
    reporting: JoinHandle<()>,
    serving: JoinHandle<()>,
    _watcher: Watcher,
}

impl Ledger {
    async fn start(broker: &Broker) -> Self {
        let watcher = broker.watch("ledger", &[LEDGER]).await;
        let verifier = watcher.verifier.clone();
        let settings = UseSettings {
            every: Duration::from_secs(1),
            ..UseSettings::default()
        };
        let uses = Uses::new(verifier.clone(), settings);
        let channel = connect_feed(broker.authority(), &broker.identity("ledger")).unwrap();
        let reports = UseReports::new(uses.clone(), channel, Arc::new(SystemRng::new()));
        let (stop, stopped) = oneshot::channel::<()>();
        let reporting = tokio::spawn(reports.run(async { drop(stopped.await) }));
        let guard = Guard::new(verifier, LEDGER.parse().unwrap()).unwrap();
        let guard = guard.reporting(uses.clone()).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let serving = tokio::spawn(async move {
            axum::serve(listener, router(&guard)).await.unwrap();
        });
        Self {
            address,
            uses,
            stop,
            reporting,
            serving,
            _watcher: watcher,
        }
    }

    /// The status of a request.
    async fn ask(&self, method: &str, token: &Token) -> u16 {
        let token = token.expose();
        let request = format!(
            "{method} /invoices HTTP/1.1\r\nhost: ledger.example\r\nconnection: close\r\n\
             content-length: 0\r\nauthorization: Bearer {token}\r\n\r\n"
        );
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut reply = String::new();
        within(stream.read_to_string(&mut reply)).await.unwrap();
        reply.split(' ').nth(1).unwrap().parse().unwrap()
    }

    /// Ends it as a service ends: with a last report.
    async fn end(self) {
        self.stop.send(()).unwrap();
        within(self.reporting).await.unwrap();
        self.serving.abort();
    }
}

fn router(guard: &Guard) -> Router {
    let read = guard.require("invoices:read".parse().unwrap());
    let write = guard.require("invoices:write".parse().unwrap());
    let reading = get(async |Extension(who): Extension<Admitted>| {
        who.used("invoice.list", Some("invoice 17"));
        "[]"
    });
    Router::new().route(
        "/invoices",
        reading
            .route_layer(read)
            .merge(post(async || "").route_layer(write)),
    )
}

/// Tokens of one task: one for reading and writing, one for reading.
async fn tokens(broker: &Broker) -> (Token, Token) {
    let agent = broker.services(AGENT).await.agent();
    let task = within(agent.start_task("pay what is due", [READ, WRITE], None)).await;
    let task = task.unwrap();
    let both = task.token(LEDGER, ["invoices:read", "invoices:write"], None);
    let read = task.token(LEDGER, ["invoices:read"], None);
    (within(both).await.unwrap(), within(read).await.unwrap())
}

fn report(broker: &Broker, more: &[&str]) -> Value {
    let line = ["report", "least-privilege", "--agent", AGENT, "-o", "json"];
    let outcome = broker.cli("", &[&line[..], more].concat());
    outcome.ok();
    outcome.json()
}

fn row<'a>(report: &'a Value, scope: &str) -> &'a Value {
    let rows = report["rows"].as_array().unwrap();
    rows.iter()
        .find(|row| row["scope"] == json!(scope))
        .unwrap()
}

/// What the raw log says was used: scope, outcome and how often, added up.
fn in_the_log(broker: &Broker, scope: &str, outcome: &str) -> u64 {
    let log = broker.audit();
    let entries = log.iter().map(|line| &line["entry"]);
    let items = entries
        .filter(|entry| entry["kind"] == json!("use") && entry["agent"] == json!(AGENT))
        .flat_map(|entry| entry["use"]["items"].as_array().unwrap());
    let of =
        items.filter(|item| item["scope"] == json!(scope) && item["outcome"] == json!(outcome));
    of.map(|item| item["count"].as_u64().unwrap()).sum()
}

#[tokio::test]
async fn what_an_api_sees_is_what_the_report_says() {
    let broker = Broker::start(BIN);
    let (both, read) = tokens(&broker).await;
    // Before anybody reports, nothing is known, and nothing is said to be unused.
    let before = until("the tokens are in the log", || {
        let report = report(&broker, &[]);
        (row(&report, READ)["granted"] == json!(2)).then_some(report)
    });
    assert_eq!(row(&before, WRITE)["used"], Value::Null);
    assert_eq!(before["total"]["use_known"], json!(0));
    assert!(
        before["coverage"]["says"]
            .as_str()
            .unwrap()
            .contains("cannot be known")
    );

    let ledger = Ledger::start(&broker).await;
    for _ in 0..3 {
        assert_eq!(ledger.ask("GET", &both).await, 200);
    }
    assert_eq!(ledger.ask("GET", &read).await, 200);
    assert_eq!(ledger.ask("POST", &read).await, 403);
    ledger.end().await;

    let after = until("the last report is in the log", || {
        let report = report(&broker, &[]);
        let known = row(&report, READ)["use_known_since"] != Value::Null;
        known.then_some(report)
    });
    let (reads, writes, sends) = (row(&after, READ), row(&after, WRITE), row(&after, SEND));
    assert_eq!((&reads["used"], &reads["refused"]), (&json!(4), &json!(0)));
    assert_eq!(in_the_log(&broker, "invoices:read", "allowed"), 4);
    assert_eq!(
        (&writes["used"], &writes["refused"]),
        (&json!(0), &json!(1))
    );
    assert_eq!(in_the_log(&broker, "invoices:write", "refused"), 1);
    assert_eq!((&sends["used"], &sends["granted"]), (&json!(0), &json!(0)));
    assert!(reads["last_used_at"].is_string() && writes["last_used_at"].is_null());
    assert!(writes["not_used_for_s"].is_u64());
    assert_eq!(after["total"]["use_known"], after["total"]["permitted"]);
    assert_eq!(after["total"]["used"], json!(1));
    let coverage = &after["coverage"];
    assert_eq!(coverage["reporting"], json!([LEDGER]));
    let target = &coverage["targets"][0];
    assert_eq!(target["whole_period"], json!(true));
    assert_eq!(target["not_reporting"], json!([]));
    let verifier = &target["verifiers"][0];
    assert_eq!(verifier["verifier"], json!("ledger"));
    assert_eq!(
        (&verifier["lost"], &verifier["gaps"]),
        (&json!(0), &json!([]))
    );
    // The action is in the log; the resource has not left the API.
    let log = broker.audit();
    let mut items = log.iter().map(|line| &line["entry"]["use"]["items"][0]);
    let listed = items
        .find(|item| item["action"] == json!("invoice.list"))
        .unwrap();
    assert_eq!(listed["resource"], Value::Null);
    assert!(
        !log.iter()
            .any(|line| line.to_string().contains("invoice 17"))
    );

    // By grants the agent keeps what it never wrote with; by use it does not.
    let suggested = |by: &str| {
        let file = broker.arg(&format!("{by}.toml"));
        let report = report(&broker, &["--suggest", &file, "--by", by]);
        let removed = report["suggestion"]["agents"][0]["remove"].clone();
        (removed, report["suggestion"].clone(), file)
    };
    let (removed, ..) = suggested("granted");
    assert_eq!(removed, json!([SEND]));
    let (removed, suggestion, file) = suggested("used");
    assert_eq!(removed, json!([WRITE, SEND]));
    assert_eq!(suggestion["by_used"], json!([LEDGER]));
    broker
        .cli("", &["apply", &file, "--reason", "not used"])
        .ok();
    let start = ["task", "start", "--purpose", "after", "--scope"];
    let refused = broker.cli(AGENT, &[&start[..], &[WRITE]].concat());
    assert_ne!(refused.code, 0);
    broker.cli(AGENT, &[&start[..], &[READ]].concat()).ok();

    // With a verifier that is to report and does not, what was seen stays known, and nothing more.
    broker.verifier("mute", &[LEDGER]).await;
    let report = report(&broker, &[]);
    assert_eq!(
        report["coverage"]["targets"][0]["not_reporting"],
        json!(["mute"])
    );
    assert_eq!(row(&report, READ)["used"], json!(4));
    assert_eq!(row(&report, WRITE)["used"], Value::Null);
}

#[tokio::test]
async fn while_the_broker_is_down_uses_are_kept_and_then_reported_once() {
    let mut broker = Broker::start(BIN);
    let (both, _) = tokens(&broker).await;
    let ledger = Ledger::start(&broker).await;
    assert_eq!(ledger.ask("GET", &both).await, 200);
    eventually("the first use is reported", async || {
        (ledger.uses.metrics().sent == 1).then_some(())
    })
    .await;
    broker.kill9();
    for _ in 0..5 {
        assert_eq!(ledger.ask("GET", &both).await, 200);
    }
    eventually("a report fails", async || {
        (ledger.uses.metrics().failures > 0).then_some(())
    })
    .await;
    broker.restart();
    eventually("the rest is reported", async || {
        (ledger.uses.metrics().sent == 6).then_some(())
    })
    .await;
    let metrics = ledger.uses.metrics();
    assert_eq!((metrics.noted, metrics.lost, metrics.unknown), (6, 0, 0));
    ledger.end().await;
    let report = until("everything is in the log", || {
        let report = report(&broker, &[]);
        let read = row(&report, READ);
        // What was covered before the crash may be there already.
        let all = read["used"].as_u64() >= Some(6) && read["use_known_since"] != Value::Null;
        all.then_some(report)
    });
    assert_eq!(row(&report, READ)["used"], json!(6));
    assert_eq!(in_the_log(&broker, "invoices:read", "allowed"), 6);
}
