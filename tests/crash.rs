//! A broker that is ended at any moment, by `kill -9`, by SIGTERM, by a pause: what it handed out it
//! still knows, what it acknowledged still holds, and the trail has everything once.
//!
//! Clients load a real process over several connections and keep a ledger; after each end and new
//! start everything in the ledger is asked for. `TASKPASS_TEST_ROUNDS` sets how many times.

#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test fails by panicking"
)]

#[path = "crash/check.rs"]
mod check;
#[path = "crash/ledger.rs"]
mod ledger;
#[path = "crash/load.rs"]
mod load;
#[path = "crash/witness.rs"]
mod witness;

use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use taskpass_api::v1;
use taskpass_client::connect_feed;
use taskpass_core::rng::{Rng, SystemRng};
use taskpass_core::time::{Clock as _, SystemClock};
use taskpass_testkit::{Broker, eventually, within};
use taskpass_verify::{Feed, Reason, Settings, Staleness, Verifier};
use tokio::task::JoinSet;

use check::{Numbers, Which, check};
use ledger::Ledger;
use load::{LEDGER, Operator, READ, Worker};
use witness::Witness;

const BIN: &str = env!("CARGO_BIN_EXE_taskpass");
/// Connections of agents that nobody revokes.
const WORKERS: usize = 3;

fn rounds() -> u64 {
    #[expect(
        clippy::disallowed_methods,
        reason = "how long a test runs is asked for outside"
    )]
    let asked = std::env::var("TASKPASS_TEST_ROUNDS");
    asked.map_or(4, |text| {
        text.parse().expect("TASKPASS_TEST_ROUNDS is a number")
    })
}

/// A broker with the sample's target, owner, agent and verifier, and an agent for each round.
async fn serve() -> Broker {
    let broker = Broker::builder(BIN).serve("").start();
    broker.owner("payments-team").await;
    let scopes = [("invoices:read", v1::Access::Read)];
    broker.target(LEDGER, v1::TokenAlg::Es256, &scopes).await;
    broker.verifier("ledger", &[LEDGER]).await;
    agent(&broker, "invoice-bot").await;
    broker
}

async fn agent(broker: &Broker, name: &str) {
    broker
        .agent(name, "payments-team", v1::Stage::ReadOnly, &[READ])
        .await;
}

/// Loads the broker for a moment, and ends it with `end` while the load goes on.
async fn under_load(
    broker: &mut Broker,
    ledger: &Ledger,
    rng: &Arc<dyn Rng>,
    victim: &str,
    end: impl FnOnce(&mut Broker),
) {
    agent(broker, victim).await;
    ledger.set_ending(false);
    let mut running = JoinSet::new();
    for place in 0..=WORKERS {
        let doomed = place == WORKERS;
        let name = if doomed { victim } else { "invoice-bot" };
        let worker = Worker {
            services: broker.services(name).await,
            agent: name.to_owned(),
            ledger: ledger.clone(),
            rng: Arc::clone(rng),
            doomed,
        };
        running.spawn(worker.run());
    }
    let operator = Operator {
        services: broker.services("").await,
        ledger: ledger.clone(),
        rng: Arc::clone(rng),
        victim: victim.to_owned(),
    };
    running.spawn(operator.run());
    tokio::time::sleep(Duration::from_millis(150 + rng.below(750))).await;
    ledger.set_ending(true);
    end(broker);
    while let Some(ended) = within(running.join_next()).await {
        ended.expect("the load does not panic");
    }
}

/// Starts the broker and kills it at a random moment before or just after it is ready.
async fn killed_while_starting(broker: &Broker, command: &[&str], rng: &Arc<dyn Rng>) {
    let mut child = Ended(
        Command::new(BIN)
            .args(command)
            .env_clear()
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the binary can be run"),
    );
    tokio::time::sleep(Duration::from_millis(rng.below(400))).await;
    let early = child.0.try_wait().expect("it can be asked");
    assert!(
        early.is_none(),
        "it ended by itself: {early:?}\n{}",
        broker.log()
    );
}

/// Kills the process when dropped.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

async fn killed_again_and_again(mut broker: Broker, command: &[&str], rounds: u64) {
    let (ledger, mut numbers) = (Ledger::default(), Numbers::new());
    let witness = Witness::default();
    let rng: Arc<dyn Rng> = Arc::new(SystemRng::new());
    let clock = SystemClock::new();
    for round in 0..rounds {
        let before = clock.monotonic();
        let first = ledger.notes().handed.len();
        let which = if round + 1 == rounds {
            Which::All
        } else {
            Which::Since(first)
        };
        let victim = format!("victim-{round}");
        let asking = witness.ask(&broker);
        under_load(&mut broker, &ledger, &rng, &victim, Broker::kill9).await;
        drop(asking);
        if round % 2 == 1 {
            killed_while_starting(&broker, command, &rng).await;
        }
        let loaded = clock.monotonic();
        broker.restart();
        let up = clock.monotonic();
        check(&broker, &ledger, &mut numbers, which).await;
        witness.check(&broker);
        let (handed, asked) = {
            let notes = ledger.notes();
            (notes.handed.len(), notes.asked.len())
        };
        let took = [
            loaded.saturating_sub(before),
            up.saturating_sub(loaded),
            clock.monotonic().saturating_sub(up),
        ];
        println!(
            "round {round}: {handed} handed out, {asked} endings, {} checkpoints; load, start, \
             check {took:?}",
            witness.seen()
        );
    }
    let notes = ledger.notes();
    let lives = notes
        .fates()
        .iter()
        .filter(|fate| **fate == ledger::Fate::Lives)
        .count();
    let acknowledged = notes
        .asked
        .iter()
        .filter(|asked| asked.acknowledged.is_some())
        .count();
    assert!(
        lives > 20 && acknowledged > 10,
        "no load: {lives} live, {acknowledged} ended"
    );
    assert!(witness.seen() > 2, "no checkpoints were seen");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn serve_forgets_nothing_when_it_is_killed() {
    let broker = serve().await;
    let config = broker.arg("taskpass.toml");
    killed_again_and_again(broker, &["serve", "--config", &config], rounds()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dev_forgets_nothing_when_it_is_killed() {
    let broker = Broker::start(BIN);
    let data = broker.data().display().to_string();
    killed_again_and_again(broker, &["dev", "--data", &data], rounds().div_ceil(2)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sigterm_under_load_ends_in_order() {
    let mut broker = serve().await;
    let (ledger, mut numbers) = (Ledger::default(), Numbers::new());
    let rng: Arc<dyn Rng> = Arc::new(SystemRng::new());
    let clock = SystemClock::new();
    let mut took = Duration::ZERO;
    under_load(&mut broker, &ledger, &rng, "victim", |broker| {
        let before = clock.monotonic();
        let code = tokio::task::block_in_place(|| broker.stop());
        took = clock.monotonic().saturating_sub(before);
        assert_eq!(code, 0, "{}", broker.log());
    })
    .await;
    // The grace is 10 s; nothing that was under way needs a fraction of it.
    assert!(
        took < Duration::from_secs(5),
        "it took {took:?} to stop\n{}",
        broker.log()
    );
    // Before it is started again: the trail was written to its end.
    let before = broker.audit();
    let last = &before.last().expect("a trail")["entry"];
    assert_eq!(
        (&last["kind"], &last["outcome"]),
        (&"broker".into(), &"done".into()),
        "{last}"
    );
    broker.restart();
    check(&broker, &ledger, &mut numbers, Which::All).await;
    assert!(ledger.notes().handed.len() > 20, "no load");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_paused_broker_makes_verifiers_strict_and_then_goes_on() {
    let broker = Broker::start(BIN);
    let agent = broker.services("invoice-bot").await.agent();
    let task = agent
        .start_task("pause", [READ], None)
        .await
        .expect("a task");
    let first = task
        .token(LEDGER, ["invoices:read"], None)
        .await
        .expect("a token");
    let second = task
        .token(LEDGER, ["invoices:read"], None)
        .await
        .expect("a token");
    let settings = Settings {
        staleness: Staleness::Strict(Duration::from_secs(2)),
        ..broker.settings(&[LEDGER])
    };
    let verifier = Verifier::new(settings, Arc::new(SystemClock::new())).expect("good settings");
    let channel = connect_feed(broker.authority(), &broker.identity("ledger")).expect("an address");
    let feed = Feed::new(verifier.clone(), channel, Arc::new(SystemRng::new()));
    let feed = tokio::spawn(feed.run(std::future::pending()));
    within(verifier.wait_until_ready()).await;
    let target = LEDGER.parse().expect("a target");
    let reason = |token: &taskpass_client::Token| {
        let outcome = verifier.verify_token(token.expose(), &target);
        outcome.err().map(|refusal| refusal.reason())
    };
    assert_eq!(reason(&first), None);

    let paused = Paused::of(&broker);
    // Who asks meanwhile gets its answer afterwards.
    let waiting = tokio::spawn({
        let task = task.clone();
        async move { task.token(LEDGER, ["invoices:read"], None).await }
    });
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(reason(&first), Some(Reason::Stale));
    assert!(!waiting.is_finished(), "a paused broker answers nobody");
    drop(paused);

    let third = within(waiting)
        .await
        .expect("it does not panic")
        .expect("a token");
    eventually("the verifier is up to date again", async || {
        reason(&first).is_none().then_some(())
    })
    .await;
    assert_eq!(reason(&third), None);
    let request = v1::RevokeRequest {
        selector: Some(v1::RevocationSelector {
            selector: Some(v1::revocation_selector::Selector::CredentialId(
                first.id().to_string(),
            )),
        }),
        reason: "drill".to_owned(),
        dry_run: false,
        no_suspend: false,
    };
    let mut operator = broker.services("").await.revocations();
    let seq = within(operator.revoke(request))
        .await
        .expect("revoked")
        .into_inner()
        .seq;
    within(verifier.wait_for_seq(seq)).await;
    assert_eq!(
        (reason(&first), reason(&second)),
        (Some(Reason::Revoked), None)
    );
    feed.abort();
}

/// A process that stands still until this is dropped.
struct Paused(Pid);

impl Paused {
    fn of(broker: &Broker) -> Self {
        let pid = broker.pid().and_then(|pid| i32::try_from(pid).ok());
        let pid = pid.and_then(Pid::from_raw).expect("it runs");
        kill_process(pid, Signal::STOP).expect("our own process can be stopped");
        Self(pid)
    }
}

impl Drop for Paused {
    fn drop(&mut self) {
        let _ = kill_process(self.0, Signal::CONT);
    }
}
