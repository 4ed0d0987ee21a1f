//! What a caller feels, and what memory it takes, when thousands of connections say nothing.

use std::time::Duration;

use taskpass_core::access::TokenAlg;
use tokio::net::TcpStream;

use super::ratio::FEW;
use crate::crowd;
use crate::error::BenchError;
use crate::house::{Form, House};
use crate::load::{Load, Open, closed};
use crate::machine;
use crate::outcome::{Figure, Goal};
use crate::run::Bench;
use crate::station::Work;

/// How much of the peak the caller asks for.
const SHARE: f64 = 0.2;
/// Files that are open beside the connections.
const BESIDE: u64 = 512;
/// How long a crowd that has left takes to be gone.
const GONE: Duration = Duration::from_secs(1);

pub(super) async fn idle(bench: &mut Bench<'_>) -> Result<(), BenchError> {
    let wanted = bench.plan.size.idle;
    let count = wanted.min(room(machine::files()));
    if count < wanted {
        bench.outcome.notes.push(format!(
            "{count} connections were idle instead of {wanted}: both ends of each are in this process, \
             which may not open more files (ulimit -Hn)"
        ));
    }
    let form = Form {
        crowd: count,
        ..Form::DURABLE
    };
    let house = House::open(&bench.around, "idle", form).await?;
    let measured = measure(bench, &house, count).await;
    house.close().await;
    measured
}

/// How many connections there may be with so many files, both ends of each.
fn room(files: u64) -> usize {
    usize::try_from(files.saturating_sub(BESIDE) / 2).unwrap_or(usize::MAX)
}

async fn measure(bench: &mut Bench<'_>, house: &House, count: usize) -> Result<(), BenchError> {
    let size = bench.plan.size;
    let load = bench.load(&house.agents, Work::Token(TokenAlg::Es256), FEW);
    let rate = closed(&load, size.warm, size.turn).await? * SHARE;
    let time = size.open / 3;
    let quiet = p99(&load, rate, size.warm, time).await?;
    let before = machine::resident(None);
    let clients = &bench.around.clients;
    let crowd: Vec<TcpStream> =
        crowd::connect(house.grpc(), &house.verifier, count, clients).await?;
    let after = machine::resident(None);
    let beside = p99(&load, rate, size.warm, time).await?;
    drop(crowd);
    tokio::time::sleep(GONE.min(size.open)).await;
    // Again, so that a machine that became slower is not the crowd's fault.
    let quiet = f64::midpoint(quiet, p99(&load, rate, size.warm, time).await?);
    let results = &mut bench.outcome.results;
    let name = format!("IssueToken p99 beside {count} idle connections, over without");
    let figure = Figure::new(name, beside, "ms").over(beside / quiet);
    results.push(figure.with(Goal::AtMost(2.0)));
    if let Some(each) = each(before, after, count) {
        let figure = Figure::new("memory of an idle connection", each, "KiB");
        results.push(figure.with(Goal::AtMost(128.0)));
    }
    Ok(())
}

async fn p99(load: &Load, rate: f64, warm: Duration, time: Duration) -> Result<f64, BenchError> {
    let open = Open::begin(load, rate, true)?;
    tokio::time::sleep(warm).await;
    let began = open.now();
    tokio::time::sleep(time).await;
    let ended = open.now();
    let spread = open.end().await?.between(began, ended);
    if spread.is_empty() {
        return Err(BenchError::Nothing {
            work: load.work.to_string(),
        });
    }
    Ok(spread.p99())
}

/// KiB for each of `count` connections.
fn each(before: Option<u64>, after: Option<u64>, count: usize) -> Option<f64> {
    let grown = after?.saturating_sub(before?);
    #[expect(clippy::cast_precision_loss, reason = "bytes and connections")]
    let each = grown as f64 / 1024.0 / count.max(1) as f64;
    Some(each)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ends_of_a_connection_are_files() {
        for (files, expected) in [(0, 0), (BESIDE, 0), (BESIDE + 3, 1), (20_512, 10_000)] {
            assert_eq!(room(files), expected);
        }
        assert_eq!(
            each(Some(1_024), Some(21 * 1_024), 10).map(f64::to_bits),
            Some(2.0_f64.to_bits())
        );
    }
}
