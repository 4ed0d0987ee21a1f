//! Connections on which nothing is asked: after some time they are closed, in an orderly way.
//!
//! In use is a connection as long as one of its requests has not been answered to the last byte, so that
//! a stream keeps it for as long as it lasts; a ping does not. Where most places of a listener are taken,
//! the time is short: what is idle must not keep out who has something to say. A peer that is told to go
//! loses nothing; it connects again when it has something to ask.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use http_body::{Body, Frame, SizeHint};
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

/// How often is looked.
const PERIOD: Duration = Duration::from_secs(1);
/// How long idle connections may stay, in seconds, where most places are taken.
const CROWDED: u64 = 30;

/// The connections of one listener.
#[derive(Debug)]
pub(crate) struct Idle {
    /// Seconds since the start.
    now: Arc<AtomicU64>,
    timeout: u64,
    /// From so many connections on it is crowded.
    most: usize,
    next: AtomicU64,
    open: Mutex<HashMap<u64, Arc<Line>>>,
}

#[derive(Debug)]
struct Line {
    now: Arc<AtomicU64>,
    requests: AtomicUsize,
    /// When the last request ended, or the connection began.
    since: AtomicU64,
    stop: CancellationToken,
}

/// One connection, for as long as it is open.
#[derive(Debug)]
pub(crate) struct InUse {
    idle: Arc<Idle>,
    number: u64,
    line: Arc<Line>,
}

/// One request, until its answer is sent or nobody reads it any more.
#[derive(Debug)]
pub(super) struct Busy(Arc<Line>);

impl Idle {
    /// For a listener of at most `connections`.
    pub(crate) fn new(timeout: Duration, connections: usize) -> Arc<Self> {
        Arc::new(Self {
            now: Arc::default(),
            timeout: timeout.as_secs().max(1),
            most: connections - connections / 4,
            next: AtomicU64::new(0),
            open: Mutex::default(),
        })
    }

    /// A connection that `stop` ends.
    pub(crate) fn enter(self: &Arc<Self>, stop: &CancellationToken) -> InUse {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let line = Arc::new(Line {
            now: Arc::clone(&self.now),
            requests: AtomicUsize::new(0),
            since: AtomicU64::new(self.now.load(Ordering::Relaxed)),
            stop: stop.clone(),
        });
        self.lock().insert(number, Arc::clone(&line));
        InUse {
            idle: Arc::clone(self),
            number,
            line,
        }
    }

    /// Looks each second, until told to stop.
    pub(crate) async fn watch(self: Arc<Self>, stop: CancellationToken) {
        let mut ticks = interval(PERIOD);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = ticks.tick() => self.look(),
            }
        }
    }

    /// A second has passed.
    fn look(&self) {
        let now = self.now.fetch_add(1, Ordering::Relaxed) + 1;
        let open = self.lock();
        let allowed = if open.len() >= self.most {
            self.timeout.min(CROWDED)
        } else {
            self.timeout
        };
        let idle: Vec<_> = open
            .values()
            .filter(|line| line.is_idle_for(allowed, now))
            .map(|line| line.stop.clone())
            .collect();
        drop(open);
        for stop in idle {
            stop.cancel();
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<u64, Arc<Line>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Line {
    fn is_idle_for(&self, seconds: u64, now: u64) -> bool {
        let since = self.since.load(Ordering::Relaxed);
        self.requests.load(Ordering::Relaxed) == 0 && now.saturating_sub(since) >= seconds
    }
}

impl InUse {
    /// A request has come.
    pub(super) fn begin(&self) -> Busy {
        self.line.requests.fetch_add(1, Ordering::Relaxed);
        Busy(Arc::clone(&self.line))
    }
}

impl Drop for InUse {
    fn drop(&mut self) {
        self.idle.lock().remove(&self.number);
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        let now = self.0.now.load(Ordering::Relaxed);
        self.0.since.store(now, Ordering::Relaxed);
        self.0.requests.fetch_sub(1, Ordering::Relaxed);
    }
}

/// An answer's body, which keeps its connection in use.
pub(super) struct Kept<B> {
    body: B,
    _busy: Busy,
}

impl<B> Kept<B> {
    pub(super) const fn new(body: B, busy: Busy) -> Self {
        Self { body, _busy: busy }
    }
}

impl<B: Body + Unpin> Body for Kept<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(idle: &Idle, seconds: u64) {
        for _ in 0..seconds {
            idle.look();
        }
    }

    #[test]
    fn only_what_was_idle_for_the_time_is_closed() {
        let idle = Idle::new(Duration::from_mins(10), 100);
        let tokens = [(); 3].map(|()| CancellationToken::new());
        let [silent, asking, streaming] = tokens.each_ref().map(|stop| idle.enter(stop));
        let stream = streaming.begin();
        look(&idle, 599);
        drop(asking.begin());
        look(&idle, 1);
        let told = || tokens.each_ref().map(CancellationToken::is_cancelled);
        assert_eq!(told(), [true, false, false]);
        look(&idle, 598);
        assert_eq!(told(), [true, false, false], "its time began anew");
        look(&idle, 1);
        assert_eq!(told(), [true, true, false]);
        drop(stream);
        look(&idle, 599);
        assert_eq!(
            told(),
            [true, true, false],
            "a stream ends as a request does"
        );
        look(&idle, 1);
        assert_eq!(told(), [true, true, true]);
        drop((silent, asking, streaming));
        assert!(idle.lock().is_empty());
    }

    #[test]
    fn where_it_is_crowded_the_idle_go_soon() {
        let idle = Idle::new(Duration::from_mins(10), 8);
        let tokens: Vec<_> = (0..6).map(|_| CancellationToken::new()).collect();
        let told = || tokens.iter().filter(|stop| stop.is_cancelled()).count();
        let mut all: Vec<_> = tokens.iter().take(5).map(|stop| idle.enter(stop)).collect();
        look(&idle, CROWDED);
        assert_eq!(told(), 0, "five of eight are no crowd");
        all.extend(tokens.get(5).map(|stop| idle.enter(stop)));
        let busy = all[0].begin();
        look(&idle, 1);
        assert_eq!(told(), 4, "all but who asks and who just came");
        look(&idle, CROWDED - 1);
        assert_eq!(told(), 5);
        drop(busy);
        // A configured time that is shorter still holds.
        let idle = Idle::new(Duration::from_secs(3), 1);
        let stop = CancellationToken::new();
        let _one = idle.enter(&stop);
        look(&idle, 3);
        assert!(stop.is_cancelled());
    }
}
