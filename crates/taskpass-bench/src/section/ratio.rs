//! Throughput as a ratio: issuing over its floor calls, and one broker over another.

use taskpass_core::access::TokenAlg;

use crate::error::BenchError;
use crate::house::{Form, House};
use crate::load::{closed, in_turns};
use crate::outcome::{Figure, Goal};
use crate::run::Bench;
use crate::station::Work;

/// How many calls are in flight where nothing else is said.
pub(super) const FEW: usize = 64;
/// How many, where group commit shows what it can.
const MANY: usize = 256;
/// Tokens of one batch.
const BATCH: u32 = 100;
/// Batches in flight.
const BATCHES: usize = 8;

/// IssueToken over signing alone, for both algorithms.
pub(super) async fn issue(bench: &mut Bench<'_>, house: &House) -> Result<(), BenchError> {
    for alg in [TokenAlg::Es256, TokenAlg::EdDsa] {
        let floor = bench.load(&house.agents, Work::Sign(alg), FEW);
        let load = bench.load(&house.agents, Work::Token(alg), FEW);
        let turns = in_turns(&floor, &load, &bench.plan.size).await?;
        bench.floor_call(&floor, turns.floor);
        let name = format!("IssueToken {alg}, {FEW} in flight, over signing alone");
        let figure = Figure::new(name, turns.rate, "/s").over(turns.ratio);
        bench.outcome.results.push(figure.with(Goal::AtLeast(0.70)));
    }
    Ok(())
}

/// IssueTokens over what all cores can sign.
pub(super) async fn batch(bench: &mut Bench<'_>, house: &House) -> Result<(), BenchError> {
    let alg = TokenAlg::Es256;
    let load = bench.load(&house.agents, Work::Tokens(alg, BATCH), BATCHES);
    let size = bench.plan.size;
    let mut rates = Vec::new();
    for _ in 0..size.rounds {
        rates.push(closed(&load, size.warm, size.turn).await?);
    }
    let rate = crate::Spread::of(rates).p50();
    let floors = &bench.outcome.floors;
    let cores = f64::from(u32::try_from(floors.cores).unwrap_or(u32::MAX));
    let bound = cores * floors.es256_per_second_per_core.before;
    let name = format!("IssueTokens {alg}, {BATCHES} batches of {BATCH}, over all cores signing");
    let figure = Figure::new(name, rate, "tokens/s").over(rate / bound);
    bench.outcome.results.push(figure.with(Goal::AtLeast(0.50)));
    Ok(())
}

/// IssueCertificate over checking a request and signing.
pub(super) async fn certificate(bench: &mut Bench<'_>, house: &House) -> Result<(), BenchError> {
    let floor = bench.load(&house.agents, Work::Certify, FEW);
    let load = bench.load(&house.agents, Work::Certificate, FEW);
    let turns = in_turns(&floor, &load, &bench.plan.size).await?;
    bench.floor_call(&floor, turns.floor);
    let name = format!("IssueCertificate, {FEW} in flight, over checking and signing");
    let figure = Figure::new(name, turns.rate, "/s").over(turns.ratio);
    bench.outcome.results.push(figure.with(Goal::AtLeast(0.70)));
    Ok(())
}

/// Introspect over nothing at all.
pub(super) async fn introspect(bench: &mut Bench<'_>, house: &House) -> Result<(), BenchError> {
    let floor = bench.load(&house.verifiers, Work::Empty, FEW);
    let load = bench.load(&house.verifiers, Work::Introspect, FEW);
    let turns = in_turns(&floor, &load, &bench.plan.size).await?;
    bench.floor_call(&floor, turns.floor);
    let name = format!("Introspect, {FEW} in flight, over an empty call");
    let figure = Figure::new(name, turns.rate, "/s").over(turns.ratio);
    bench.outcome.results.push(figure.with(Goal::AtLeast(0.85)));
    Ok(())
}

/// The store in a file over the store in memory.
pub(super) async fn backend(bench: &mut Bench<'_>, house: &House) -> Result<(), BenchError> {
    let form = Form {
        in_file: false,
        ..Form::DURABLE
    };
    let name = format!("IssueToken, {MANY} in flight, store in a file over store in memory");
    beside(bench, house, ("memory", form), MANY, name).await
}

/// Issuing while the log is written over issuing while it is not.
pub(super) async fn log(bench: &mut Bench<'_>, house: &House) -> Result<(), BenchError> {
    let form = Form {
        archived: false,
        ..Form::DURABLE
    };
    let name = format!("IssueToken, {FEW} in flight, log written over log not written");
    beside(bench, house, ("quiet", form), FEW, name).await
}

/// The broker of all parts over another one that differs in one thing.
async fn beside(
    bench: &mut Bench<'_>,
    house: &House,
    (folder, form): (&str, Form),
    in_flight: usize,
    name: String,
) -> Result<(), BenchError> {
    let other = House::open(&bench.around, folder, form).await?;
    let work = Work::Token(TokenAlg::Es256);
    let floor = bench.load(&other.agents, work, in_flight);
    let load = bench.load(&house.agents, work, in_flight);
    let turns = in_turns(&floor, &load, &bench.plan.size).await;
    drop(floor);
    other.close().await;
    let turns = turns?;
    let figure = Figure::new(name, turns.rate, "/s").over(turns.ratio);
    bench.outcome.results.push(figure.with(Goal::AtLeast(0.85)));
    Ok(())
}
