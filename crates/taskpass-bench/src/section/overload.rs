//! Three times what the broker can: what it still answers, and whether it still hears who must be heard.
//!
//! Server and callers have CPUs of their own here, half of them each: three times as many calls are
//! three times the work of whoever makes them, and that is not the server's. The peak is measured in the
//! same way. Where there is only one CPU they share it, and a note says so.

mod probes;
mod site;

use std::time::Duration;

use taskpass_core::access::TokenAlg;

use crate::Spread;
use crate::error::BenchError;
use crate::floor;
use crate::house::{Form, House};
use crate::load::{Flooded, closed, flood};
use crate::outcome::{Figure, Goal};
use crate::plan::Size;
use crate::run::Bench;
use crate::station::Work;
use probes::{Heard, Probes};
use site::Site;

/// How much more than the peak is offered.
const TIMES: f64 = 3.0;
/// Connections of each agent: more streams than the broker takes requests, so that it is the broker that
/// refuses, and not its callers' HTTP/2 that waits.
const LINES: usize = 3;
/// What is in flight where the peak is looked for.
const IN_FLIGHT: [usize; 3] = [64, 256, 1_024];
/// Turns for each.
const TURNS: usize = 2;
/// The bound of whoever must be heard: this much, and four commits.
const HEARD_MS: f64 = 50.0;

/// What was measured.
struct Measured {
    peak: f64,
    flooded: Flooded,
    heard: Heard,
    commit: f64,
}

pub(super) async fn overload(bench: &mut Bench<'_>) -> Result<(), BenchError> {
    let size = bench.plan.size;
    let runtimes = Site::build(&bench.around)?;
    let measured = runtimes.run(move |ground| measure(ground, size)).await?;
    tell(bench, &measured, size.open, runtimes.apart);
    Ok(())
}

async fn measure(ground: site::Ground, size: Size) -> Result<Measured, BenchError> {
    let form = Form {
        lines: LINES,
        ..Form::DURABLE
    };
    let house = House::open(&ground.around, "overload", form).await?;
    let measured = over(&ground, &house, size).await;
    house.close().await;
    measured
}

async fn over(ground: &site::Ground, house: &House, size: Size) -> Result<Measured, BenchError> {
    let around = &ground.around;
    let work = Work::Token(TokenAlg::Es256);
    let mut peak = 0.0_f64;
    for in_flight in IN_FLIGHT {
        let load = around.load(&house.agents, work, in_flight);
        let mut rates = Vec::new();
        for _ in 0..TURNS {
            rates.push(closed(&load, size.warm, size.turn).await?);
        }
        peak = peak.max(Spread::of(rates).p50());
    }
    let probes = Probes::prepare(ground, house, size.open).await?;
    let commit = floor::commit(&around.data, &*around.clock)?.p50();
    let load = around.load(&house.agents, work, 0);
    // Until everything that can fill is full.
    let warm = size.warm.max(Duration::from_millis(500));
    let flooding = around
        .clients
        .spawn(flood(load, peak * TIMES, warm, size.open));
    let heard = ground.probes.spawn(probes.run(warm, size.open));
    let flooded = flooding.await.map_err(BenchError::setup("run a flood"))?;
    let heard = heard.await.map_err(BenchError::setup("ask meanwhile"))?;
    let again = floor::commit(&around.data, &*around.clock)?.p50();
    Ok(Measured {
        peak,
        flooded: flooded?,
        heard: heard?,
        commit: f64::midpoint(commit, again),
    })
}

#[expect(clippy::cast_precision_loss, reason = "counts of calls in seconds")]
fn tell(bench: &mut Bench<'_>, measured: &Measured, time: Duration, apart: bool) {
    let Measured {
        peak,
        flooded,
        heard,
        commit,
    } = measured;
    let each_second = |count: u64| count as f64 / time.as_secs_f64();
    let cpus = if apart {
        "server and callers had half of the CPUs each"
    } else {
        "server and callers shared the CPUs"
    };
    bench.outcome.notes.push(format!(
        "overload: {:.0} calls a second were due, {TIMES} times the peak of {peak:.0}; {:.0} were answered \
         within a second (p50 {:.1} ms, p99 {:.1} ms), {:.0} refused, {:.0} late, {:.0} not sent, {:.0} cut off; {cpus}; \
         the bound of those who must be heard is {HEARD_MS} ms + 4 commits of {commit:.2} ms",
        each_second(flooded.due),
        each_second(flooded.answered),
        flooded.latency.p50(),
        flooded.latency.p99(),
        each_second(flooded.refused),
        each_second(flooded.late),
        each_second(flooded.unsent),
        each_second(flooded.broken),
    ));
    let results = &mut bench.outcome.results;
    let good = each_second(flooded.answered);
    let name = format!("IssueToken answered at {TIMES} times the peak, over the peak");
    let figure = Figure::new(name, good, "/s").over(good / peak);
    results.push(figure.with(Goal::AtLeast(0.80)));
    let bound = HEARD_MS + 4.0 * commit;
    for (name, spread) in [
        ("Revoke", &heard.revoke),
        ("health over gRPC", &heard.health),
        ("/readyz", &heard.ready),
    ] {
        let name = format!("{name} meanwhile, p99 over its bound");
        let figure = Figure::new(name, spread.p99(), "ms").over(spread.p99() / bound);
        results.push(figure.with(Goal::AtMost(1.0)));
    }
}
