//! Strangers on the sockets: slow, silent, garbled, too many, too large. The broker closes them or
//! answers them properly, stays within bounds, and goes on serving those who behave.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

#[path = "transport/abuse.rs"]
mod abuse;
#[path = "transport/bounds.rs"]
mod bounds;
#[path = "transport/crowd.rs"]
mod crowd;
#[path = "transport/frames.rs"]
mod frames;
#[path = "transport/full.rs"]
mod full;
#[path = "transport/handshake.rs"]
mod handshake;
#[path = "transport/parked.rs"]
mod parked;
#[path = "transport/raw.rs"]
mod raw;
#[path = "transport/slow.rs"]
mod slow;

use std::time::Duration;

use taskpass_api::v1;
use taskpass_client::{Task, Token};
use taskpass_core::time::SystemClock;
use taskpass_testkit::{Broker, within};

const BIN: &str = env!("CARGO_BIN_EXE_taskpass");
const LEDGER: &str = "https://ledger.example";
const READ: &str = "https://ledger.example#invoices:read";

/// A broker with short patience: strangers have a second, and finishing may take one.
async fn impatient(more: &str) -> Broker {
    served(&format!(
        "handshake_timeout = \"1s\"\ngrace = \"1s\"\n{more}"
    ))
    .await
}

/// A broker with these limits of `[transport]`.
async fn served(transport: &str) -> Broker {
    let sections = format!("[transport]\n{transport}\n");
    let broker = Broker::builder(BIN).serve(&sections).start();
    broker.owner("payments-team").await;
    let scopes = [("invoices:read", v1::Access::Read)];
    broker.target(LEDGER, v1::TokenAlg::Es256, &scopes).await;
    broker.verifier("ledger", &[LEDGER]).await;
    broker
        .agent("invoice-bot", "payments-team", v1::Stage::ReadOnly, &[READ])
        .await;
    broker
}

/// Someone who behaves, on a connection of their own: a task and a token.
async fn well_behaved(broker: &Broker) -> (Task, Token) {
    let agent = Box::pin(broker.services("invoice-bot")).await.agent();
    let task = within(agent.start_task("behave", [READ], None))
        .await
        .expect("a task");
    let token = within(task.token(LEDGER, ["invoices:read"], None))
        .await
        .expect("a token");
    (task, token)
}

/// How long somebody who behaves waits for one token after the other: the longest but one in a hundred.
/// Told and never asserted: a machine may be busy.
async fn waits(task: &Task, times: usize) -> Duration {
    let clock = SystemClock::new();
    let mut waits = Vec::with_capacity(times);
    for _ in 0..times {
        let (token, took) = raw::timed(&clock, task.token(LEDGER, ["invoices:read"], None)).await;
        token.expect("a token");
        waits.push(took);
    }
    waits.sort_unstable();
    waits[(waits.len() * 99).div_ceil(100) - 1]
}

/// The same, and it does not take long.
async fn well_behaved_soon(broker: &Broker, bound: Duration) {
    let clock = SystemClock::new();
    let (_, took) = raw::timed(&clock, Box::pin(well_behaved(broker))).await;
    assert!(
        took < bound,
        "a well-behaved caller waited {took:?}\n{}",
        broker.log()
    );
}
