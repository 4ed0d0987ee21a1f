//! Bytes of the feed and of the published lists, where every task is completed while all that it
//! issued still lives: the state in which there are most rules.
//!
//! `cargo build --release && cargo bench -p taskpass-bench --bench sizes`. What one rule costs is
//! measured, on a real `taskpass dev` over its own gRPC and HTTP: tasks, each with one token and one
//! certificate, are completed at once, and the messages of a feed and the lists are weighed. What a
//! rate of them comes to is computed from that, with the defaults' lifetimes, and printed as such.
//! Bytes are those of the gRPC messages with their five bytes each; TLS and HTTP/2 come on top.

#![expect(
    clippy::unwrap_used,
    clippy::cast_precision_loss,
    reason = "a bench that cannot be set up has no figure, and figures are no accounts"
)]

use std::time::Duration;

use prost::Message as _;
use serde_json::json;
use taskpass_api::v1;
use taskpass_api::v1::watch_revocations_response::Message;
use taskpass_bench::Report;
use taskpass_core::ttl::{CLOCK_SKEW, MAX_FEED_STALENESS};
use taskpass_testkit::{Broker, until, within};
use tonic::Streaming;

const BENCH: &str = "https://bench.example";
const READ: &str = "https://bench.example#invoices:read";
const COMPLETED: u64 = 500;
/// gRPC's prefix of a message.
const PREFIX: u64 = 5;
/// Lives of what a task issues: the defaults.
const TOKEN: Duration = Duration::from_mins(5);
const CERTIFICATE: Duration = Duration::from_mins(15);
/// How long a list holds a certificate beyond its end.
const BEYOND: Duration = Duration::from_mins(5);
const RATES: [u64; 4] = [1, 10, 100, 1000];

fn binary() -> String {
    let own = std::env::current_exe().unwrap();
    let binary = own.ancestors().nth(2).unwrap().join("taskpass");
    assert!(binary.is_file(), "build it first: cargo build --release");
    binary.display().to_string()
}

/// What a feed has brought.
#[derive(Debug, Default)]
struct Weighed {
    rules: u64,
    rule_bytes: u64,
    frames: u64,
    frame_bytes: u64,
    beats: u64,
    beat_bytes: u64,
}

impl Weighed {
    fn take(&mut self, message: &v1::WatchRevocationsResponse) {
        let bytes = message.encoded_len() as u64 + PREFIX;
        match &message.message {
            Some(Message::Frame(frame)) => {
                self.rules += frame.revocations.len() as u64;
                let own = frame
                    .revocations
                    .iter()
                    .map(|rule| rule.encoded_len() as u64);
                self.rule_bytes += own.sum::<u64>();
                self.frames += 1;
                self.frame_bytes += bytes;
            }
            Some(Message::Heartbeat(_)) => {
                self.beats += 1;
                self.beat_bytes += bytes;
            }
            _ => {}
        }
    }

    async fn read(&mut self, feed: &mut Streaming<v1::WatchRevocationsResponse>) {
        while self.rules < COMPLETED || self.beats < 3 {
            let message = within(feed.message()).await.unwrap().unwrap();
            self.take(&message);
        }
    }
}

async fn people(broker: &Broker) {
    broker.owner("bench-team").await;
    let scopes = [("invoices:read", v1::Access::Read)];
    broker.target(BENCH, v1::TokenAlg::Es256, &scopes).await;
    let stage = v1::Stage::ReadOnly;
    broker
        .agent("bench-bot", "bench-team", stage, &[READ])
        .await;
    broker.verifier("bench-api", &[BENCH]).await;
}

/// Starts tasks, issues, completes.
async fn work(broker: &Broker) {
    let agent = Box::pin(broker.services("bench-bot")).await.agent();
    for _ in 0..COMPLETED {
        let task = within(agent.start_task("bench", [READ], None))
            .await
            .unwrap();
        within(task.token(BENCH, ["invoices:read"], None))
            .await
            .unwrap();
        within(task.certificate(None)).await.unwrap();
        within(task.complete()).await.unwrap();
    }
}

/// The bytes of all lists that are named under `key` at `path`, and how many there are.
fn lists(broker: &Broker, path: &str, key: &str) -> (u64, u64) {
    let all = broker.get(path).json();
    let mut bytes = 0;
    let mut count = 0;
    for url in all
        .get(key)
        .and_then(|all| all.as_array())
        .into_iter()
        .flatten()
    {
        let url = url.as_str().unwrap().to_owned();
        let own = url.strip_prefix(&broker.addresses().http).unwrap();
        let reply = broker.get(own);
        assert_eq!(reply.status, 200, "{url}");
        bytes += reply.body.len() as u64;
        count += 1;
    }
    (bytes, count)
}

/// `alone` is a rule within a snapshot, `framed` one that comes by itself.
fn computed(report: Report, [alone, framed, beat, entry]: [f64; 4]) {
    // A rule is kept as long as the certificate would live, and then skew and staleness.
    let kept = (CERTIFICATE + CLOCK_SKEW + MAX_FEED_STALENESS).as_secs_f64();
    let only_token = (TOKEN + CLOCK_SKEW + MAX_FEED_STALENESS).as_secs_f64();
    let listed = (CERTIFICATE + BEYOND).as_secs_f64();
    for rate in RATES {
        let each = rate as f64;
        report.line(
            &format!("computed, {rate} tasks completed a second"),
            &[
                ("rules_held", json!(each * kept)),
                ("rules_held_if_tokens_only", json!(each * only_token)),
                ("feed_bytes_per_s", json!(each * framed + beat)),
                ("snapshot_bytes", json!(each * kept * alone)),
                ("crl_entries", json!(each * listed)),
                ("crl_bytes", json!(each * listed * entry)),
            ],
        );
    }
}

#[tokio::main]
async fn main() {
    let report = Report::from_args(std::env::args());
    let broker = Broker::start(&binary());
    people(&broker).await;
    let mut verifier = Box::pin(broker.services("bench-api")).await.revocations();
    let request = v1::WatchRevocationsRequest {
        epoch: 0,
        after_seq: 0,
    };
    let mut feed = within(verifier.watch_revocations(request))
        .await
        .unwrap()
        .into_inner();
    let (crls_before, _) = lists(&broker, "/crl", "crls");
    let mut weighed = Weighed::default();
    tokio::join!(work(&broker), weighed.read(&mut feed));
    let mut entries = 0;
    // The lists follow within a second; they are done when nothing is added any more.
    let (crls, count) = until("every certificate is on a list", || {
        let found = lists(&broker, "/crl", "crls");
        entries = found.0 - crls_before;
        std::thread::sleep(Duration::from_secs(1));
        (found == lists(&broker, "/crl", "crls") && entries > COMPLETED * 20).then_some(found)
    });
    let (status_bytes, status_lists) = lists(&broker, "/status", "status_lists");
    // Tag and length of a field, in whatever message it stands.
    let alone = weighed.rule_bytes as f64 / weighed.rules as f64 + 2.0;
    let framed = weighed.frame_bytes as f64 / weighed.rules as f64;
    let per_beat = weighed.beat_bytes as f64 / weighed.beats as f64;
    let per_entry = entries as f64 / COMPLETED as f64;
    report.line(
        &format!("measured, {COMPLETED} tasks completed early: the feed"),
        &[
            ("bytes_per_rule_in_a_snapshot", json!(alone)),
            ("bytes_per_rule_with_its_frame", json!(framed)),
            (
                "rules_per_frame",
                json!(weighed.rules as f64 / weighed.frames as f64),
            ),
            ("bytes_per_heartbeat", json!(per_beat)),
        ],
    );
    report.line(
        &format!("measured, {COMPLETED} tasks completed early: the lists"),
        &[
            ("crl_bytes_per_entry", json!(per_entry)),
            ("crls", json!(count)),
            ("crl_bytes_in_all", json!(crls)),
            ("crl_bytes_empty", json!(crls_before)),
            ("status_lists", json!(status_lists)),
            ("status_list_bytes_in_all", json!(status_bytes)),
        ],
    );
    computed(report, [alone, framed, per_beat, per_entry]);
}
