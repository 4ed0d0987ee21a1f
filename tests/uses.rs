//! Reports of what credentials were used for, over real sockets: tied to what was issued, kept over a
//! crash and recorded once, bounded, and an agent's word apart.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use taskpass_api::v1::{self, verification_service_client::VerificationServiceClient};
use taskpass_client::{Refused, Token, Use};
use taskpass_core::Timestamp;
use taskpass_testkit::{Broker, eventually, until, within};
use tokio::sync::mpsc;
use tonic::transport::Channel;

const BIN: &str = env!("CARGO_BIN_EXE_taskpass");
const LEDGER: &str = "https://ledger.example";
const READ: &str = "https://ledger.example#invoices:read";

/// An instant so many seconds ago.
#[expect(
    clippy::disallowed_methods,
    reason = "what a verifier's own clock says"
)]
fn ago(seconds: u64) -> prost_types::Timestamp {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let at = now.saturating_sub(Duration::from_secs(seconds));
    prost_types::Timestamp {
        seconds: at.as_secs().try_into().unwrap(),
        nanos: at.subsec_nanos().try_into().unwrap(),
    }
}

async fn token(broker: &Broker) -> Token {
    let agent = broker.services("invoice-bot").await.agent();
    let task = within(agent.start_task("reconcile", [READ], None)).await;
    let token = task.unwrap().token(LEDGER, ["invoices:read"], None).await;
    token.unwrap()
}

fn item(credential: &str, scope: &str, count: u64) -> v1::UseItem {
    v1::UseItem {
        credential_id: credential.to_string(),
        scope: scope.to_owned(),
        action: "GET".to_owned(),
        resource: String::new(),
        outcome: v1::UseOutcome::Allowed.into(),
        count,
        first_at: Some(ago(1)),
        last_at: Some(ago(0)),
    }
}

fn batch(n: u8, items: Vec<v1::UseItem>) -> v1::ReportUseRequest {
    v1::ReportUseRequest {
        batch_id: vec![n; 16].into(),
        target: LEDGER.to_owned(),
        covered_from: Some(ago(30)),
        covered_until: Some(ago(0)),
        items,
        lost: 0,
        last: false,
    }
}

async fn report(
    broker: &Broker,
    who: &str,
    batches: Vec<v1::ReportUseRequest>,
) -> Result<v1::ReportUseResponse, Refused> {
    let mut verification = broker.services(who).await.verification();
    let answer = within(verification.report_use(tokio_stream::iter(batches))).await;
    answer
        .map(tonic::Response::into_inner)
        .map_err(Refused::from)
}

async fn reason(broker: &Broker, who: &str, batches: Vec<v1::ReportUseRequest>) -> String {
    report(broker, who, batches).await.unwrap_err().reason
}

/// The entries of kind `use` that say what a credential was used for, as the operator finds them.
fn uses(broker: &Broker) -> Vec<Value> {
    let found = broker.cli("", &["audit", "query", "--kind", "use"]).json();
    let entries = found["entries"].as_array().unwrap();
    let entries = entries.iter().map(|entry| entry["entry"].clone());
    entries.filter(|entry| !entry["use"].is_null()).collect()
}

#[tokio::test]
async fn a_report_survives_a_crash_and_is_recorded_once() {
    let mut broker = Broker::start(BIN);
    let token = token(&broker).await;
    let batches = vec![
        batch(1, vec![item(&token.id().to_string(), "invoices:read", 3)]),
        batch(
            2,
            vec![
                item(&token.id().to_string(), "invoices:write", 1),
                item("01M82F31K1Y5Y6C9K8Y6HCP3SB", "invoices:read", 7),
                item("nobody", "invoices:read", 1),
            ],
        ),
    ];
    let answer = report(&broker, "ledger", batches.clone()).await.unwrap();
    let expected = v1::ReportUseResponse {
        accepted: 2,
        unknown: 1,
        refused: 1,
        repeated: 0,
    };
    assert_eq!(answer, expected);
    // It was on disk when it was answered.
    broker.kill9();
    broker.restart();
    let again = report(&broker, "ledger", batches).await.unwrap();
    let expected = v1::ReportUseResponse {
        repeated: 2,
        ..v1::ReportUseResponse::default()
    };
    assert_eq!(again, expected);

    let found = until("both are in the log", || {
        let found = uses(&broker);
        (found.len() >= 2).then_some(found)
    });
    assert_eq!(found.len(), 2);
    for entry in &found {
        assert_eq!(entry["actor"], "verifier/ledger");
        assert_eq!(entry["agent"], "invoice-bot");
        assert_eq!(entry["owner"], "payments-team");
        assert_eq!(entry["credential"]["id"], token.id().to_string());
        assert_eq!(entry["use"]["by"], "verifier");
    }
    let said: Vec<_> = found
        .iter()
        .map(|entry| &entry["use"]["items"][0])
        .map(|item| {
            (
                item["scope"].as_str().unwrap(),
                item["outcome"].as_str().unwrap(),
            )
        })
        .collect();
    // The newest first. The token has one scope, whatever the verifier says.
    let expected = [("invoices:write", "refused"), ("invoices:read", "allowed")];
    assert_eq!(said, expected);
    // The decision of the issue, and what the other filters find.
    let id = token.id().to_string();
    let args = [
        "audit",
        "query",
        "--credential",
        &id,
        "--kind",
        "credential.token",
    ];
    let issued = broker.cli("", &args).json();
    let decision = json!({ "decision": issued["entries"][0]["entry"]["id"] });
    assert_eq!(found[0]["cause"], decision);
    let coverage: Vec<Value> = broker
        .audit()
        .iter()
        .filter(|line| !line["entry"]["coverage"].is_null())
        .map(|line| line["entry"].clone())
        .collect();
    // The beginning; the second batch, the unknown with it, is told with the next.
    assert_eq!(coverage.len(), 1);
    assert_eq!(coverage[0]["target"], LEDGER);
    let page = broker.ops("/metrics").text();
    assert!(
        page.contains("taskpass_use_batches_total{outcome=\"repeated\"} 2\n"),
        "{page}"
    );
    // The end tells it all.
    let last = v1::ReportUseRequest {
        last: true,
        ..batch(3, Vec::new())
    };
    report(&broker, "ledger", vec![last]).await.unwrap();
    let told = until("the end is in the log", || {
        let entries = broker.audit();
        let told = entries.iter().map(|line| line["entry"]["coverage"].clone());
        told.filter(|told| !told.is_null()).nth(1)
    });
    assert_eq!((&told["unknown"], &told["lost"]), (&json!(7), &json!(1)));
}

/// Sends batches from `n` on, one after the other, each with one use, until one is not answered: which.
async fn send_from(channel: Channel, credential: String, n: u8, done: mpsc::Sender<u8>) -> u8 {
    for n in n..=u8::MAX {
        let batches = [batch(n, vec![item(&credential, "invoices:read", 1)])];
        let mut verification = VerificationServiceClient::new(channel.clone());
        let answer = within(verification.report_use(tokio_stream::iter(batches))).await;
        if answer.is_err() || done.send(n).await.is_err() {
            return n;
        }
    }
    unreachable!("it is killed before")
}

/// Killed at some moment, again and again: what was not answered is sent again, and each use is counted
/// once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_use_is_lost_or_counted_twice_however_often_the_broker_dies() {
    let mut broker = Broker::start(BIN);
    let id = token(&broker).await.id().to_string();
    let mut next = 1;
    for answered in [3, 7, 12] {
        let (done, mut news) = mpsc::channel(64);
        let channel = broker.channel("ledger").await;
        let sending = tokio::spawn(send_from(channel, id.clone(), next, done));
        for _ in 0..answered {
            within(news.recv()).await.unwrap();
        }
        broker.kill9();
        next = within(sending).await.unwrap();
        broker.restart();
        // Whether it was the work that was lost, or the answer.
        let batches = vec![batch(next, vec![item(&id, "invoices:read", 1)])];
        let answer = report(&broker, "ledger", batches).await.unwrap();
        assert_eq!(answer.accepted + u64::from(answer.repeated), 1);
        next += 1;
    }
    let sent = u64::from(next - 1);
    assert!(sent > 22);
    assert_eq!(broker.stop(), 0);
    let counted: u64 = broker
        .audit()
        .iter()
        .filter_map(|line| line["entry"]["use"]["items"][0]["count"].as_u64())
        .sum();
    assert_eq!(counted, sent);
}

fn used<'a>(id: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    [&["task", "used", "--credential", id], more].concat()
}

#[tokio::test]
async fn an_agent_s_word_is_its_own() {
    let broker = Broker::start(BIN);
    let token = token(&broker).await;
    let id = token.id().to_string();
    let args = used(
        &id,
        &[
            "--scope",
            "invoices:read",
            "--action",
            "-search",
            "--count",
            "2",
        ],
    );
    let said = broker.cli("invoice-bot", &args).json();
    assert_eq!(
        said,
        json!({ "credential_id": id, "recorded": 2, "by": "agent" })
    );
    let agent = broker.services("invoice-bot").await.agent();
    let one = Use {
        action: Some("by hand".to_owned()),
        ..Use::once(token.id(), Timestamp::ZERO)
    };
    let outcome = within(agent.report_use([one])).await.unwrap();
    assert_eq!(
        (outcome.accepted, outcome.unknown, outcome.refused),
        (1, 0, 0)
    );
    let found = eventually("both are in the log", async || {
        let found = uses(&broker);
        (found.len() == 2).then_some(found)
    })
    .await;
    for entry in &found {
        assert_eq!(
            (&entry["use"]["by"], &entry["actor"]),
            (&json!("agent"), &json!("agent/invoice-bot"))
        );
        assert!(entry["coverage"].is_null());
    }
    // 1970 became the credential's beginning.
    let first_at = found[0]["use"]["items"][0]["first_at"].as_str().unwrap();
    assert!(first_at > "2020", "{first_at}");

    let other = broker.cli("payout-bot", &used(&id, &[]));
    other.refused("CREDENTIAL_NOT_FOUND", &[&id]);
    for (args, reason) in [
        (used(&id, &["--action", "a\u{7}b"]), "INVALID_FIELD"),
        (used(&id, &["--count", "-1"]), "INVALID_FIELD"),
        (used(&id, &["--scope", "Invoices"]), "INVALID_SCOPE"),
    ] {
        broker.cli("invoice-bot", &args).refused(reason, &[]);
    }
    broker
        .cli("", &used(&id, &[]))
        .refused("METHOD_NOT_ALLOWED", &["operator"]);
    assert_eq!(uses(&broker).len(), 2);
}

#[tokio::test]
async fn a_stream_has_bounds_and_what_is_malformed_records_nothing() {
    let broker = Broker::start(BIN);
    let token = token(&broker).await;
    let good = || batch(1, vec![item(&token.id().to_string(), "invoices:read", 1)]);
    let many = |n: u8| {
        (0..n)
            .map(|n| batch(n + 100, Vec::new()))
            .collect::<Vec<_>>()
    };
    let crowd = vec![item(&token.id().to_string(), "invoices:read", 1); 257];
    let long = v1::UseItem {
        resource: "x".repeat(300 * 1024),
        ..item(&token.id().to_string(), "", 1)
    };
    let of_target = |target: &str| v1::ReportUseRequest {
        target: target.to_owned(),
        ..batch(2, Vec::new())
    };
    let until = |covered_until| v1::ReportUseRequest {
        covered_until,
        ..batch(2, Vec::new())
    };
    let ahead = prost_types::Timestamp {
        seconds: ago(0).seconds + 90,
        nanos: 0,
    };
    for (batches, reason_code) in [
        (vec![], "TOO_MANY_ITEMS"),
        (many(33), "TOO_MANY_ITEMS"),
        (vec![good(), batch(2, crowd)], "TOO_MANY_ITEMS"),
        (
            vec![batch(2, vec![long.clone()]), batch(3, vec![long])],
            "MESSAGE_TOO_LARGE",
        ),
        (
            vec![good(), v1::ReportUseRequest::default()],
            "INVALID_FIELD",
        ),
        (vec![of_target("ledger")], "UNKNOWN_TARGET"),
        (vec![of_target("https://payouts.example")], "FOREIGN_TARGET"),
        (vec![until(None)], "INVALID_FIELD"),
        (vec![until(Some(ahead))], "INVALID_FIELD"),
        (vec![until(Some(ago(3600)))], "INVALID_FIELD"),
    ] {
        assert_eq!(reason(&broker, "ledger", batches).await, reason_code);
    }
    // Not even what came before it.
    let answer = report(&broker, "ledger", vec![good()]).await.unwrap();
    assert_eq!((answer.accepted, answer.repeated), (1, 0));
    assert_eq!(
        report(&broker, "ledger", many(32)).await.unwrap().repeated,
        0
    );
    // What only a verifier says, and what nobody but these two does.
    assert_eq!(
        reason(&broker, "invoice-bot", vec![good()]).await,
        "INVALID_FIELD"
    );
    assert_eq!(
        reason(&broker, "", vec![good()]).await,
        "METHOD_NOT_ALLOWED"
    );

    // One that stays open is not waited for.
    let (open, waiting) = mpsc::channel(1);
    open.send(good()).await.unwrap();
    let stream = tokio_stream::wrappers::ReceiverStream::new(waiting);
    let mut verification = broker.services("ledger").await.verification();
    let refused = Refused::from(within(verification.report_use(stream)).await.unwrap_err());
    assert_eq!(refused.reason, "INVALID_FIELD", "{refused:?}");
    drop(open);
}

#[tokio::test]
async fn who_reports_too_much_is_told_when_to_go_on() {
    let section = "[limits.uses]\nverifier_items_per_minute = 6\n";
    let broker = Broker::builder(BIN).serve(section).start();
    broker.target(LEDGER, v1::TokenAlg::Es256, &[]).await;
    broker.verifier("ledger", &[LEDGER]).await;
    let unknown = |n| vec![item("01M82F31K1Y5Y6C9K8Y6HCP3SB", "", 1); n];
    let answer = report(&broker, "ledger", vec![batch(1, unknown(5))])
        .await
        .unwrap();
    assert_eq!(answer.unknown, 5);
    let refused = report(&broker, "ledger", vec![batch(2, unknown(3))])
        .await
        .unwrap_err();
    assert_eq!(refused.reason, "USE_ITEMS_PER_MINUTE");
    assert_eq!(refused.metadata["whose"], "verifier/ledger");
    let wait = refused.retry_after.unwrap();
    assert!(
        wait > Duration::from_secs(10) && wait <= Duration::from_secs(20),
        "{wait:?}"
    );
    // Room for one is there; of a second's worth of others' it takes none.
    let answer = report(&broker, "ledger", vec![batch(3, unknown(1))]).await;
    assert_eq!(answer.unwrap().unknown, 1);
}
