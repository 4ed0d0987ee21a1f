//! How long a connection may last whose peer showed no certificate.
//!
//! Most such peers have come to enrol, and need a moment. One that proves itself with each request is
//! let stay, for as long as what it shows can last at most; it is known from its first good request on.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

/// After how long a connection of somebody unknown takes no more requests.
const UNKNOWN_FOR: Duration = Duration::from_mins(1);
/// The same of somebody who has proved itself since; and of a process at the Unix socket.
const KNOWN_FOR: Duration = Duration::from_mins(55);
/// How long the requests may take that it has then.
const GRACE: Duration = Duration::from_secs(10);

/// Whether the peer of a connection has proved itself by what its requests bring.
#[derive(Debug, Clone, Default)]
pub(crate) struct Known(Arc<AtomicBool>);

impl Known {
    /// It has.
    pub(crate) fn set(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Serves a connection for its time; then what was begun may end, and nothing keeps a place for long.
/// `stop` is the connection's own.
pub(crate) async fn while_known(
    served: impl Future<Output = ()>,
    known: &Known,
    stop: &CancellationToken,
) {
    let mut served = std::pin::pin!(served);
    let is_known = || known.0.load(Ordering::Relaxed);
    if !is_known() && timeout(UNKNOWN_FOR, served.as_mut()).await.is_ok() {
        return;
    }
    if is_known() && timeout(KNOWN_FOR, served.as_mut()).await.is_ok() {
        return;
    }
    stop.cancel();
    let _ = timeout(GRACE, served).await;
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::Instant;

    /// How long a connection lasts that stays open as long as it may, and ends when told, or not.
    #[expect(clippy::disallowed_methods, reason = "the runtime's own time, paused")]
    async fn lasts(known_after: Option<Duration>, obeys: bool) -> Duration {
        let (known, stop) = (Known::default(), CancellationToken::new());
        if let Some(after) = known_after {
            let known = known.clone();
            tokio::spawn(async move {
                tokio::time::sleep(after).await;
                known.set();
            });
        }
        let told = stop.clone();
        let served = async move {
            told.cancelled().await;
            if !obeys {
                std::future::pending::<()>().await;
            }
        };
        let begun = Instant::now();
        while_known(served, &known, &stop).await;
        begun.elapsed()
    }

    #[tokio::test(start_paused = true)]
    async fn the_unknown_stay_for_a_moment() {
        let second = Duration::from_secs(1);
        for (known_after, obeys, expected) in [
            (None, true, UNKNOWN_FOR),
            (None, false, UNKNOWN_FOR + GRACE),
            (Some(second), true, UNKNOWN_FOR + KNOWN_FOR),
            (Some(second), false, UNKNOWN_FOR + KNOWN_FOR + GRACE),
            (Some(UNKNOWN_FOR + second), false, UNKNOWN_FOR + GRACE),
        ] {
            let lasted = lasts(known_after, obeys).await;
            // The timers are of whole milliseconds.
            let late = lasted.saturating_sub(expected);
            assert!(
                lasted >= expected && late < second,
                "{known_after:?} {lasted:?}"
            );
        }
    }
}
