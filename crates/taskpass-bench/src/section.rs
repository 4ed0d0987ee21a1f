//! The parts of a run.

mod latency;
mod ratio;
mod reap;
mod soak;
mod start;

use crate::error::BenchError;
use crate::house::House;
use crate::plan::Section;
use crate::run::Bench;

pub(crate) use reap::reap;
pub(crate) use soak::soak;
pub(crate) use start::start;

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
        Section::Reap | Section::Start => Ok(()),
    }
}
