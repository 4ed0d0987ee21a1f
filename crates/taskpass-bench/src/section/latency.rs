//! The latency of issuing at 70 % of what the broker can, in an open loop.

use taskpass_core::access::TokenAlg;

use super::ratio::FEW;
use crate::error::BenchError;
use crate::floor;
use crate::house::House;
use crate::load::{Open, closed};
use crate::outcome::{Figure, Goal};
use crate::run::Bench;
use crate::station::Work;

/// How much of the peak is offered.
const SHARE: f64 = 0.7;

pub(super) async fn latency(bench: &mut Bench<'_>, house: &House) -> Result<(), BenchError> {
    let size = bench.plan.size;
    let load = bench.load(&house.agents, Work::Token(TokenAlg::Es256), FEW);
    let peak = closed(&load, size.warm, size.turn).await?;
    // Directly before, since the disk of a minute ago is another one.
    let commit = floor::commit(&bench.around.data, &*bench.around.clock)?.p50();
    let open = Open::begin(&load, peak * SHARE, true)?;
    tokio::time::sleep(size.warm).await;
    let began = open.now();
    tokio::time::sleep(size.open).await;
    let ended = open.now();
    let spread = open.end().await?.between(began, ended);
    if spread.is_empty() {
        return Err(BenchError::Nothing {
            work: load.work.to_string(),
        });
    }
    let again = floor::commit(&bench.around.data, &*bench.around.clock)?.p50();
    let commit = f64::midpoint(commit, again);
    bench.outcome.notes.push(format!(
        "latency was measured at {:.0} calls a second, {:.0} % of {peak:.0}, over a commit of \
         {commit:.2} ms; the bounds are 0.5 ms + 2 commits and 1 ms + 4 commits",
        peak * SHARE,
        SHARE * 100.0
    ));
    for (name, value, bound) in [
        ("p50", spread.p50(), 0.5 + 2.0 * commit),
        ("p99", spread.p99(), 1.0 + 4.0 * commit),
    ] {
        let name = format!("IssueToken at 70 % of peak, open loop, {name} over its bound");
        let figure = Figure::new(name, value, "ms").over(value / bound);
        bench.outcome.results.push(figure.with(Goal::AtMost(1.0)));
    }
    Ok(())
}
