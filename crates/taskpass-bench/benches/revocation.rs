//! How long after the answer to a revocation connected verifiers refuse: a real `taskpass dev` in a
//! process of its own, real feeds over TLS, 1, 50 and 200 of them.
//!
//! `cargo build --release && cargo bench -p taskpass-bench --bench revocation`; the goal is a p99 of
//! at most 15 ms over the commit floor with 200 subscribers. A revocation every 100 ms, on a schedule
//! that a slow one does not move. Each subscriber is a [`Verifier`] with its own connection; its
//! sample is the time from the operator's answer until its own check of the revoked token refuses,
//! and 0 if that was before the answer came. All of the verifiers run in this process, on the same
//! cores as the broker: 200 of them on as many machines would be quicker. The time from asking until
//! the refusal holds the commit, so that is what stands over the floor.
//!
//! Numbers behind `--` are how many subscribers to measure with instead: a run that was not steady
//! is repeated so.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a bench that cannot be set up has no figure"
)]

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use taskpass_api::v1::{self, revocation_selector::Selector};
use taskpass_bench::pace::{since, until};
use taskpass_bench::{Report, Spread, floor};
use taskpass_client::connect_feed;
use taskpass_core::Clock;
use taskpass_core::rng::SystemRng;
use taskpass_core::time::SystemClock;
use taskpass_store::{Change, Commit, MetaKey, Options, Store as _, redb_store};
use taskpass_testkit::calls::Services;
use taskpass_testkit::{Broker, within};
use taskpass_verify::{Feed, Reason, VerifiedToken, Verifier};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

const BENCH: &str = "https://bench.example";
const READ: &str = "https://bench.example#invoices:read";
const SUBSCRIBERS: [usize; 3] = [1, 50, 200];
const REVOCATIONS: usize = 200;
const WARM_UP: usize = 10;
const EVERY: Duration = Duration::from_millis(100);

/// The binary that `cargo build --release` made: beside this bench's folder.
fn binary() -> String {
    let own = std::env::current_exe().unwrap();
    let folder = own.ancestors().nth(2).unwrap();
    let binary = folder.join("taskpass");
    assert!(binary.is_file(), "build it first: cargo build --release");
    binary.display().to_string()
}

/// The times of a small commit with quick repair, as the broker's own, in milliseconds.
async fn commits(clock: &Arc<dyn Clock>) -> Spread {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.redb");
    let rng = SystemRng::new();
    let birth = taskpass_store::Birth {
        trust_domain: "bench.example".parse().unwrap(),
        public_url: "https://broker.example".into(),
        crl_url: "http://broker.example".into(),
        dev: true,
        born_at: clock.now(),
        epoch: 1,
    };
    redb_store::create(&path, &birth, &rng).unwrap();
    let store = redb_store::open(&path, Options::default()).unwrap();
    let mut times = Vec::new();
    for turn in 0_u64..220 {
        let commit = Commit::new(clock.now()).change(Change::PutMeta {
            key: MetaKey::SettledSeq,
            value: turn.to_be_bytes().to_vec(),
        });
        let began = clock.monotonic();
        store.commit(commit).await.unwrap();
        times.push(since(began, &**clock));
    }
    Spread::millis(times.into_iter().skip(20))
}

/// What the verifiers watch: the token that is being revoked, and its rule's place.
type Turn = watch::Receiver<Option<(u64, Arc<VerifiedToken>)>>;

/// That a verifier refused, which rule's token, and when.
type Refusals = mpsc::UnboundedSender<(u64, Duration)>;

/// One verifier: notes for each turn when it refuses.
async fn subscriber(
    verifier: Verifier,
    mut turns: Turn,
    refusals: Refusals,
    clock: Arc<dyn Clock>,
) {
    while turns.changed().await.is_ok() {
        let Some((seq, token)) = turns.borrow_and_update().clone() else {
            continue;
        };
        verifier.wait_for_seq(seq).await;
        let refused = verifier.recheck_token(&token).unwrap_err();
        let at = clock.monotonic();
        assert_eq!(refused.reason(), Reason::Revoked);
        refusals.send((seq, at)).unwrap();
    }
}

/// What was timed.
#[derive(Debug, Default)]
struct Times {
    /// The operator's calls.
    calls: Vec<Duration>,
    /// From the answer until a verifier refused.
    answered: Vec<Duration>,
    /// From asking until a verifier refused.
    asked: Vec<Duration>,
}

struct Bench {
    broker: Broker,
    operator: Services,
    clock: Arc<dyn Clock>,
    report: Report,
}

impl Bench {
    async fn new(report: Report) -> Self {
        let broker = Broker::start(&binary());
        broker.owner("bench-team").await;
        let scopes = [("invoices:read", v1::Access::Read)];
        broker.target(BENCH, v1::TokenAlg::Es256, &scopes).await;
        let stage = v1::Stage::ReadOnly;
        broker
            .agent("bench-bot", "bench-team", stage, &[READ])
            .await;
        broker.verifier("bench-api", &[BENCH]).await;
        Self {
            operator: Box::pin(broker.services("")).await,
            broker,
            clock: Arc::new(SystemClock::new()),
            report,
        }
    }

    async fn verifiers(&self, count: usize, feeds: &mut JoinSet<()>) -> Vec<Verifier> {
        let settings = self.broker.settings(&[BENCH]);
        let identity = self.broker.identity("bench-api");
        let mut verifiers = Vec::new();
        for _ in 0..count {
            let verifier = Verifier::new(settings.clone(), self.clock.clone()).unwrap();
            let channel = connect_feed(self.broker.authority(), &identity).unwrap();
            let feed = Feed::new(verifier.clone(), channel, Arc::new(SystemRng::new()));
            feeds.spawn(feed.run(std::future::pending()));
            within(verifier.wait_until_ready()).await;
            verifiers.push(verifier);
        }
        verifiers
    }

    /// Tokens that `verifier` found good.
    async fn tokens(&self, verifier: &Verifier) -> Vec<Arc<VerifiedToken>> {
        let agent = Box::pin(self.broker.services("bench-bot")).await.agent();
        let task = within(agent.start_task("bench", [READ], None))
            .await
            .unwrap();
        let here = BENCH.parse().unwrap();
        let mut tokens = Vec::new();
        for _ in 0..REVOCATIONS + WARM_UP {
            let token = within(task.token(BENCH, ["invoices:read"], None))
                .await
                .unwrap();
            let token = verifier.verify_token(token.expose(), &here).unwrap();
            tokens.push(Arc::new(token));
        }
        tokens
    }

    async fn revoke(&self, token: &VerifiedToken) -> u64 {
        let request = v1::RevokeRequest {
            selector: Some(v1::RevocationSelector {
                selector: Some(Selector::CredentialId(token.credential_id().to_string())),
            }),
            reason: "bench".to_owned(),
            dry_run: false,
            no_suspend: true,
        };
        let answer = within(self.operator.revocations().revoke(request)).await;
        answer.expect("it is revoked").into_inner().seq
    }

    /// Revokes one after the other.
    async fn run(&self, count: usize) -> Times {
        // Whatever is in it ends when it is dropped.
        let mut running = JoinSet::new();
        let verifiers = self.verifiers(count, &mut running).await;
        let first = verifiers.first().unwrap();
        let tokens = self.tokens(first).await;
        let (next_turn, turns) = watch::channel(None);
        let (refusals, mut refused) = mpsc::unbounded_channel();
        let clock = &self.clock;
        for verifier in &verifiers {
            let (turns, refusals) = (turns.clone(), refusals.clone());
            running.spawn(subscriber(verifier.clone(), turns, refusals, clock.clone()));
        }
        // Nobody else makes rules here, so the next one's place is known.
        let mut seq = first.metrics().seq;
        let mut times = Times::default();
        let mut next = clock.monotonic();
        for (turn, token) in tokens.iter().enumerate() {
            next += EVERY;
            tokio::time::sleep(until(next, &**clock)).await;
            seq += 1;
            next_turn.send_replace(Some((seq, Arc::clone(token))));
            let began = clock.monotonic();
            assert_eq!(self.revoke(token).await, seq);
            let answered = clock.monotonic();
            for _ in 0..count {
                let (at_seq, at) = within(refused.recv()).await.unwrap();
                assert_eq!(at_seq, seq);
                if turn >= WARM_UP {
                    times.answered.push(at.saturating_sub(answered));
                    times.asked.push(at.saturating_sub(began));
                }
            }
            if turn >= WARM_UP {
                times.calls.push(answered.saturating_sub(began));
            }
        }
        times
    }

    async fn measure(&self, count: usize) {
        let folder = self.broker.data();
        let syncs = floor::sync(folder, &*self.clock).unwrap();
        let before = commits(&self.clock).await;
        let times = self.run(count).await;
        let after = commits(&self.clock).await;
        let moved = floor::moved(&before, &after);
        let floor = f64::midpoint(before.p50(), after.p50());
        self.report.line(
            &format!("{count} subscribers: floors"),
            &[
                ("commit_p50_ms", json!(floor)),
                ("commit_p99_ms", json!(before.p99().max(after.p99()))),
                ("sync_p50_ms", json!(syncs.p50())),
                ("floor_moved", json!(moved)),
                ("steady", json!(floor::is_steady(moved))),
            ],
        );
        for (what, samples) in [
            ("answered to refused", times.answered),
            ("asked to refused", times.asked),
            ("asked to answered", times.calls),
        ] {
            let spread = Spread::millis(samples);
            let mut figures = vec![
                ("p50_ms", json!(spread.p50())),
                ("p99_ms", json!(spread.p99())),
                ("max_ms", json!(spread.max())),
                ("samples", json!(spread.len())),
            ];
            if what != "answered to refused" {
                figures.push(("p99_over_floor_ms", json!(spread.p99() - floor)));
            }
            self.report
                .line(&format!("{count} subscribers: {what}"), &figures);
        }
    }
}

#[tokio::main]
async fn main() {
    let bench = Bench::new(Report::from_args(std::env::args())).await;
    let asked: Vec<usize> = std::env::args()
        .filter_map(|arg| arg.parse().ok())
        .collect();
    for count in if asked.is_empty() {
        SUBSCRIBERS.to_vec()
    } else {
        asked
    } {
        bench.measure(count).await;
    }
}
