//! What the published lists need beside the requests: what was revoked is put onto them, and places
//! are leased ahead.

use std::sync::Arc;
use std::time::Duration;

use taskpass_broker::{Broker, ListLane};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::{complain, every, turn};

/// How often the lists are found complete when no rule is made.
const QUIET: Duration = Duration::from_secs(1);
/// How often places for the coming hour are looked after.
const AHEAD: Duration = Duration::from_secs(10);

/// Starts a task for each lane of the lists, and one that leases places.
pub(super) fn spawn(broker: &Arc<Broker>, stop: &CancellationToken, tracker: &TaskTracker) {
    for lane in ListLane::ALL {
        tracker.spawn(list(Arc::clone(broker), lane, stop.clone()));
    }
    tracker.spawn(lease(Arc::clone(broker), stop.clone()));
}

/// Works through the rules of a lane as they are made; after an error, again.
async fn list(broker: Arc<Broker>, lane: ListLane, stop: CancellationToken) {
    let mut newest = broker.watch_rules();
    let mut ticks = every(QUIET);
    loop {
        newest.mark_unchanged();
        let listed = tokio::select! {
            // Working through an old rule may take a while, and can be begun again.
            () = stop.cancelled() => return,
            listed = broker.list_revoked(lane) => listed,
        };
        if let Err(error) = listed {
            complain("the published lists could not be derived", &error);
            if turn(&mut ticks, &stop).await {
                continue;
            }
            return;
        }
        tokio::select! {
            () = stop.cancelled() => return,
            changed = newest.changed() => {
                if changed.is_err() {
                    return;
                }
            }
            _ = ticks.tick() => {}
        }
    }
}

/// Leases places before they are needed.
async fn lease(broker: Arc<Broker>, stop: CancellationToken) {
    let mut ticks = every(AHEAD);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = broker.places_run_low() => {}
            _ = ticks.tick() => {}
        }
        if let Err(error) = broker.lease_ahead().await {
            complain(
                "places on the published lists could not be leased ahead",
                &error,
            );
        }
    }
}
