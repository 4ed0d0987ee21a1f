//! The closed loop: so many callers, each beginning a call when its last one is answered.
//!
//! It finds what a server can do at most; its latencies mean nothing, and are not told.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use tokio::task::JoinSet;

use super::Load;
use crate::error::BenchError;
use crate::pace::since;

/// Turns without an answer after which there is none.
const PATIENCE: u32 = 100;

/// What the callers share.
#[derive(Default)]
struct Shared {
    done: AtomicU64,
    number: AtomicU64,
    stop: AtomicBool,
}

/// Things made a second, over `turn`, after `warm`. The first refusal ends it.
pub(crate) async fn closed(load: &Load, warm: Duration, turn: Duration) -> Result<f64, BenchError> {
    let shared = Arc::new(Shared::default());
    let mut callers = JoinSet::new();
    for (_, station) in (0..load.in_flight).zip(load.stations.iter().cycle()) {
        let (station, shared, work) = (station.clone(), Arc::clone(&shared), load.work);
        let calling = async move {
            while !shared.stop.load(Ordering::Relaxed) {
                let number = shared.number.fetch_add(1, Ordering::Relaxed);
                let made = station.perform(work, number).await?;
                shared.done.fetch_add(made, Ordering::Relaxed);
            }
            Ok::<(), BenchError>(())
        };
        callers.spawn_on(calling, &load.clients);
    }
    tokio::time::sleep(warm).await;
    let (before, began) = (shared.done.load(Ordering::Relaxed), load.clock.monotonic());
    let mut made = 0;
    // Where a call takes longer than a turn, the turn becomes as long as it takes.
    for _ in 0..PATIENCE {
        tokio::time::sleep(turn).await;
        made = shared.done.load(Ordering::Relaxed) - before;
        // Before it is told to stop, a caller ends only by a refusal.
        if let Some(joined) = callers.try_join_next() {
            joined.map_err(BenchError::setup("run a caller"))??;
        }
        if made > 0 {
            break;
        }
    }
    let took = since(began, &*load.clock);
    shared.stop.store(true, Ordering::Relaxed);
    while let Some(joined) = callers.join_next().await {
        joined.map_err(BenchError::setup("run a caller"))??;
    }
    if made == 0 {
        return Err(BenchError::Nothing {
            work: load.work.to_string(),
        });
    }
    #[expect(clippy::cast_precision_loss, reason = "a count of calls in seconds")]
    let made = made as f64;
    Ok(made / took.as_secs_f64())
}
