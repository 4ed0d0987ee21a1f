//! Keeps the keys and bundles of those whom the broker believes up to date.

use std::sync::Arc;

use taskpass_broker::Broker;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::{SLOW, every, turn};
use crate::federation::Federation;
use crate::tls::ControlTls;

/// Starts it; what is notified looks at once.
pub(crate) fn spawn(
    federation: Arc<Federation>,
    control: &Arc<ControlTls>,
    broker: &Arc<Broker>,
    stop: &CancellationToken,
    tracker: &TaskTracker,
) -> Arc<Notify> {
    let told = Arc::new(Notify::new());
    tracker.spawn(watch(
        federation,
        Arc::clone(control),
        Arc::clone(broker),
        Arc::clone(&told),
        stop.clone(),
    ));
    told
}

/// Looks on schedule and when told to. New bundles hold for connections from then on.
async fn watch(
    federation: Arc<Federation>,
    control: Arc<ControlTls>,
    broker: Arc<Broker>,
    told: Arc<Notify>,
    stop: CancellationToken,
) {
    let mut ticks = every(SLOW);
    loop {
        tokio::select! {
            () = told.notified() => {}
            going_on = turn(&mut ticks, &stop) => {
                if !going_on {
                    return;
                }
            }
        }
        tokio::select! {
            () = federation.refresh() => {}
            () = stop.cancelled() => return,
        }
        let files = Arc::clone(&federation);
        let changed = tokio::task::spawn_blocking(move || files.domains.refresh()).await;
        if changed.unwrap_or(false)
            && let Err(error) = control.renew(&broker)
        {
            tracing::error!(
                error = &error as &dyn std::error::Error,
                "the bundles of federated trust domains could not be taken"
            );
        }
    }
}
