//! Starting after a kill with many live records, and the memory that each of them takes.
//!
//! The store is made by the program itself, filled here, and opened by the program again, which is
//! killed while it runs; then the time is taken from starting it once more until it says that it
//! is ready. Memory is what this process grew by while it wrote all the records, beyond the
//! store's cache.

use std::time::Duration;

use taskpass_store::{Options, redb_store};

use crate::dev::Dev;
use crate::error::BenchError;
use crate::fill::fill;
use crate::machine;
use crate::outcome::{Figure, Goal};
use crate::run::Bench;

/// About what a record takes on the disk, rows beside it and room to grow included.
const BYTES: u64 = 1_000;
/// The cache that is not counted.
const CACHE: usize = 64 << 20;

pub(super) async fn start(bench: &mut Bench<'_>) -> Result<(), BenchError> {
    let folder = bench.around.data.join("start");
    std::fs::create_dir(&folder).map_err(BenchError::setup("make a folder"))?;
    let measured = measure(bench, &folder).await;
    let removed = std::fs::remove_dir_all(&folder).map_err(BenchError::setup("remove a folder"));
    measured.and(removed)
}

async fn measure(bench: &mut Bench<'_>, folder: &std::path::Path) -> Result<(), BenchError> {
    let free = machine::free(folder).map_err(BenchError::setup("see how much disk is free"))?;
    let wanted = bench.plan.size.live;
    // Half of the disk is left to everybody else.
    let count = wanted.min(free / 2 / BYTES).max(1_000);
    if count < wanted {
        bench.outcome.notes.push(format!(
            "starting was measured with {count} live records instead of {wanted}: the disk has no \
             room for more"
        ));
    }
    let clock = std::sync::Arc::clone(&bench.around.clock);
    let program = &bench.plan.program;
    let made = Dev::start(program, folder, &*clock).await?;
    let empty = made.resident();
    made.kill().await?;

    let options = Options {
        cache_bytes: CACHE,
        ..Options::default()
    };
    let before = machine::resident(None);
    let store = redb_store::open(&folder.join("store.redb"), options)
        .map_err(BenchError::setup("open a store"))?;
    let now = clock.now();
    let ends = now.plus(Duration::from_mins(40))..now.plus(Duration::from_mins(100));
    fill(&store, count, ends, &*clock, &*bench.around.rng).await?;
    let after = machine::resident(None);
    store.close().await;
    drop(store);

    // It commits that it started, and is killed with the store open.
    Dev::start(program, folder, &*clock).await?.kill().await?;
    let again = Dev::start(program, folder, &*clock).await?;
    let (took, full) = (again.ready_after(), again.resident());
    again.kill().await?;

    let name = format!("kill -9 to ready again, {count} live records");
    let figure = Figure::new(name, took.as_secs_f64(), "s");
    let results = &mut bench.outcome.results;
    results.push(figure.with(Goal::AtMost(1.0)));
    let writing = grown(before, after, CACHE, count);
    let serving = grown(empty, full, 0, count);
    if let Some(bytes) = writing.into_iter().chain(serving).reduce(f64::max) {
        let name = "memory of a live record beyond the store's cache";
        let figure = Figure::new(name, bytes, "bytes");
        results.push(figure.with(Goal::AtMost(64.0)));
    }
    Ok(())
}

/// Bytes for each of `count` records, beyond a cache.
fn grown(before: Option<u64>, after: Option<u64>, cache: usize, count: u64) -> Option<f64> {
    let cache = u64::try_from(cache).unwrap_or(u64::MAX);
    let grown = after?.saturating_sub(before?).saturating_sub(cache);
    #[expect(clippy::cast_precision_loss, reason = "bytes and records")]
    let each = grown as f64 / count as f64;
    Some(each)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_told_beyond_the_cache() {
        let each = |before, after| grown(before, after, 1_000, 100).map(f64::to_bits);
        assert_eq!(each(Some(500), Some(2_500)), Some(10.0_f64.to_bits()));
        assert_eq!(each(Some(500), Some(900)), Some(0.0_f64.to_bits()));
        assert_eq!(each(None, Some(900)), None);
    }
}
