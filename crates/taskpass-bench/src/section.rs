//! The parts of a run.

mod idle;
mod latency;
mod overload;
mod ratio;
mod reap;
mod soak;
mod start;

use crate::error::BenchError;
use crate::house::House;
use crate::plan::Section;
use crate::run::Bench;

pub(crate) use soak::soak;

/// A part that runs on the broker that several share.
pub(crate) async fn over(
    bench: &mut Bench<'_>,
    house: &House,
    section: Section,
) -> Result<(), BenchError> {
    match section {
        Section::Issue => ratio::issue(bench, house).await,
        Section::Batch => ratio::batch(bench, house).await,
        Section::Certificate => ratio::certificate(bench, house).await,
        Section::Introspect => ratio::introspect(bench, house).await,
        Section::Backend => ratio::backend(bench, house).await,
        Section::Log => ratio::log(bench, house).await,
        Section::Latency => latency::latency(bench, house).await,
        Section::Reap | Section::Overload | Section::Idle | Section::Start => Ok(()),
    }
}

/// A part that has a broker of its own.
pub(crate) async fn apart(bench: &mut Bench<'_>, section: Section) -> Result<(), BenchError> {
    match section {
        Section::Reap => reap::reap(bench).await,
        Section::Overload => overload::overload(bench).await,
        Section::Idle => idle::idle(bench).await,
        Section::Start => start::start(bench).await,
        Section::Issue
        | Section::Batch
        | Section::Certificate
        | Section::Introspect
        | Section::Backend
        | Section::Log
        | Section::Latency => Ok(()),
    }
}
