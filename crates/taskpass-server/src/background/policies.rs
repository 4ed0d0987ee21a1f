//! Policies that changed on disk come into force, on schedule and when told to.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use taskpass_broker::{Broker, PolicyDirectory};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::{complain, every, turn};
use crate::settings::Settings;

/// How often the directory is looked at: a change is taken at the second look that finds it.
const LOOK: Duration = Duration::from_secs(5);

/// Starts looking at the directory, if there is one; who notifies has it read at once.
pub(crate) fn spawn(
    broker: &Arc<Broker>,
    settings: &Settings,
    stop: &CancellationToken,
    tracker: &TaskTracker,
) -> Arc<Notify> {
    let told = Arc::new(Notify::new());
    if let Some(path) = &settings.policies {
        tracker.spawn(watch(
            Arc::clone(broker),
            path.clone(),
            Arc::clone(&told),
            stop.clone(),
        ));
    }
    told
}

/// Looks at the directory until told to stop. What became of a change is in the log, the metrics and,
/// if it came into force, the audit log.
async fn watch(broker: Arc<Broker>, path: PathBuf, told: Arc<Notify>, stop: CancellationToken) {
    let mut directory = PolicyDirectory::new(path);
    let mut ticks = every(LOOK);
    loop {
        let told = tokio::select! {
            () = told.notified() => true,
            going_on = turn(&mut ticks, &stop) => {
                if !going_on {
                    return;
                }
                false
            }
        };
        if let Err(error) = directory.look(&broker, told).await {
            complain("changed policies could not be put in force", &error);
        }
    }
}
