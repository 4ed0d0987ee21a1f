//! The open loop: calls begin at fixed times, however long earlier ones take.
//!
//! A call's latency counts from the time at which it was due, so that what a slow answer makes
//! others wait is in the figures (no coordinated omission). The schedule is kept by a thread of its
//! own: a runtime's timer counts whole milliseconds, which is longer than a call.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::JoinSet;

use super::Load;
use crate::Spread;
use crate::error::BenchError;
use crate::pace::{since, until};

/// A call that is due: its number, and when.
type Due = (u64, Duration);
/// When a call was due, and how long after that its answer came.
type Sample = (Duration, Duration);

/// A loop that runs until it is told to stop.
pub(crate) struct Open {
    state: Arc<State>,
    load: Load,
    calls: tokio::task::JoinHandle<Result<(), BenchError>>,
    pacer: JoinHandle<()>,
}

/// What the loop and its calls share.
struct State {
    stop: AtomicBool,
    keep: bool,
    samples: Mutex<Vec<Sample>>,
}

/// What a loop that has ended measured.
pub(crate) struct Opened(Vec<Sample>);

impl Open {
    /// Begins `rate` calls a second. Without `keep` no latency is kept, so that memory tells of the
    /// broker and not of the bench.
    pub(crate) fn begin(load: &Load, rate: f64, keep: bool) -> Result<Self, BenchError> {
        let state = Arc::new(State {
            stop: AtomicBool::new(false),
            keep,
            samples: Mutex::default(),
        });
        let (send, receive) = unbounded_channel();
        let pacer = std::thread::Builder::new().name("bench-pacer".to_owned());
        let (own, clock) = (Arc::clone(&state), Arc::clone(&load.clock));
        let pacer = pacer
            .spawn(move || pace(&own, &*clock, rate.max(1.0), &send))
            .map_err(BenchError::setup("keep a schedule"))?;
        let calls = load
            .clients
            .spawn(answer(load.clone(), Arc::clone(&state), receive));
        Ok(Self {
            state,
            load: load.clone(),
            calls,
            pacer,
        })
    }

    /// The time by the clock that its samples are told by.
    pub(crate) fn now(&self) -> Duration {
        self.load.clock.monotonic()
    }

    /// Whether a call failed, so that nothing runs any more.
    pub(crate) fn has_failed(&self) -> bool {
        self.calls.is_finished()
    }

    /// Stops, waits for what was begun, and tells what was measured.
    pub(crate) async fn end(self) -> Result<Opened, BenchError> {
        self.state.stop.store(true, Ordering::Relaxed);
        let ended = self.calls.await;
        ended.map_err(BenchError::setup("run the callers"))??;
        let pacer = tokio::task::spawn_blocking(move || self.pacer.join().is_ok());
        if !pacer.await.unwrap_or(false) {
            return Err(BenchError::setup("keep a schedule")("it was cut off"));
        }
        let mut samples = self.state.samples.lock();
        let samples = samples
            .as_mut()
            .map(|samples| std::mem::take(&mut **samples));
        Ok(Opened(samples.unwrap_or_default()))
    }
}

impl Opened {
    /// The latencies of the calls that were due between two instants.
    pub(crate) fn between(&self, from: Duration, to: Duration) -> Spread {
        let due = self.0.iter().filter(|(due, _)| (from..to).contains(due));
        Spread::millis(due.map(|(_, latency)| *latency))
    }
}

/// Says when the next call is due, at the time at which it is. A late turn sends all that are due.
fn pace(state: &State, clock: &dyn taskpass_core::Clock, rate: f64, send: &UnboundedSender<Due>) {
    let began = clock.monotonic();
    let mut number = 0_u64;
    while !state.stop.load(Ordering::Relaxed) {
        #[expect(clippy::cast_precision_loss, reason = "a call's number")]
        let due = began + Duration::from_secs_f64(number as f64 / rate);
        let left = until(due, clock);
        if !left.is_zero() {
            std::thread::sleep(left);
        }
        if send.send((number, due)).is_err() {
            return;
        }
        number += 1;
    }
}

/// Begins each call when it is due; the first refusal ends it.
async fn answer(
    load: Load,
    state: Arc<State>,
    mut due: UnboundedReceiver<Due>,
) -> Result<(), BenchError> {
    let mut calls = JoinSet::new();
    let mut stations = load.stations.iter().cycle();
    loop {
        tokio::select! {
            next = due.recv() => {
                let (Some((number, due)), Some(station)) = (next, stations.next()) else {
                    break;
                };
                let (station, work) = (station.clone(), load.work);
                let (state, clock) = (Arc::clone(&state), Arc::clone(&load.clock));
                calls.spawn(async move {
                    station.perform(work, number).await?;
                    if state.keep {
                        let latency = since(due, &*clock);
                        let mut samples =
                            state.samples.lock().unwrap_or_else(PoisonError::into_inner);
                        samples.push((due, latency));
                    }
                    Ok::<(), BenchError>(())
                });
            }
            Some(joined) = calls.join_next() => {
                joined.map_err(BenchError::setup("run a caller"))??;
            }
        }
    }
    while let Some(joined) = calls.join_next().await {
        joined.map_err(BenchError::setup("run a caller"))??;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use taskpass_core::time::SystemClock;

    #[test]
    fn the_schedule_holds_whatever_the_calls_do() {
        let state = State {
            stop: AtomicBool::new(false),
            keep: true,
            samples: Mutex::default(),
        };
        let clock = SystemClock::new();
        let (send, mut receive) = unbounded_channel();
        std::thread::scope(|scope| {
            scope.spawn(|| pace(&state, &clock, 1_000.0, &send));
            let first = receive.blocking_recv().unwrap();
            for number in 1..50_u64 {
                // Nobody answers anything, and the next one is due all the same.
                let (next, due) = receive.blocking_recv().unwrap();
                assert_eq!(next, number);
                let apart = due.saturating_sub(first.1).as_secs_f64() * 1e3;
                assert!((apart - f64::from(u32::try_from(number).unwrap())).abs() < 1e-3);
            }
            state.stop.store(true, Ordering::Relaxed);
        });
    }

    #[test]
    fn samples_are_told_by_when_they_were_due() {
        let at = Duration::from_secs;
        let opened = Opened(vec![(at(1), at(5)), (at(2), at(1)), (at(3), at(1))]);
        assert_eq!(opened.between(at(0), at(2)).len(), 1);
        assert_eq!(
            opened.between(at(1), at(4)).max().to_bits(),
            5e3_f64.to_bits()
        );
    }
}
