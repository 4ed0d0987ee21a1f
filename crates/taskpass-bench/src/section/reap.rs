//! Removing what has expired while tokens are issued at half of what the broker can.
//!
//! The records that the reaper finds are put into the store beforehand: waiting until so many
//! tokens have expired would take the run's whole time. Everything else is as in a broker that
//! runs: the same sweep, the same queue, the same file.

use std::time::Duration;

use taskpass_core::access::TokenAlg;

use super::ratio::FEW;
use crate::error::BenchError;
use crate::fill::fill;
use crate::house::{Form, House};
use crate::load::{Open, closed};
use crate::outcome::{Figure, Goal};
use crate::pace::since;
use crate::run::Bench;
use crate::station::Work;

/// Records expired within this much time before the measurement.
const BEFORE: Duration = Duration::from_hours(1);
/// Longer ago than what the reaper leaves alone.
const AGO: Duration = Duration::from_mins(5);

pub(super) async fn reap(bench: &mut Bench<'_>) -> Result<(), BenchError> {
    let house = House::open(&bench.around, "reaper", Form::DURABLE).await?;
    let measured = measure(bench, &house).await;
    house.close().await;
    measured
}

async fn measure(bench: &mut Bench<'_>, house: &House) -> Result<(), BenchError> {
    let size = bench.plan.size;
    let clock = std::sync::Arc::clone(&bench.around.clock);
    let now = clock.now();
    let ends = now.minus(BEFORE + AGO)..now.minus(AGO);
    fill(
        &house.store,
        size.expired,
        ends,
        &*clock,
        &*bench.around.rng,
    )
    .await?;
    let load = bench.load(&house.agents, Work::Token(TokenAlg::Es256), FEW);
    let peak = closed(&load, size.warm, size.turn).await?;
    let open = Open::begin(&load, peak / 2.0, true)?;
    tokio::time::sleep(size.warm).await;
    let quiet = open.now();
    tokio::time::sleep(size.open / 3).await;
    let began = open.now();
    let reaped = house.broker.reap().await;
    let took = since(began, &*clock);
    let ended = open.now();
    // After it again, so that a machine that became slower is not the reaper's fault.
    tokio::time::sleep(size.open / 3).await;
    let last = open.now();
    let opened = open.end().await?;
    let reaped = reaped.map_err(BenchError::setup("reap"))?;
    if reaped.credentials < size.expired {
        return Err(BenchError::Nothing {
            work: "the reaper".to_owned(),
        });
    }
    #[expect(clippy::cast_precision_loss, reason = "a count of records")]
    let rate = reaped.credentials as f64 / took.as_secs_f64();
    let figure = Figure::new("expired records removed while issuing", rate, "/s");
    let (before, beside) = (opened.between(quiet, began), opened.between(began, ended));
    let after = opened.between(ended, last);
    let usual = f64::midpoint(before.p99(), after.p99());
    let results = &mut bench.outcome.results;
    results.push(figure.with(Goal::AtLeast(100_000.0)));
    let name = "IssueToken p99 at half load while reaping, over without";
    let figure = Figure::new(name, beside.p99(), "ms").over(beside.p99() / usual);
    results.push(figure.with(Goal::AtMost(2.0)));
    bench.outcome.notes.push(format!(
        "the reaper removed {} records in {:.1} s, beside {:.0} tokens a second",
        reaped.credentials,
        took.as_secs_f64(),
        peak / 2.0
    ));
    Ok(())
}
