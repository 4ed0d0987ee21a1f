//! Noticing that the wall clock jumped.
//!
//! Credentials and rules are compared by wall time, so a clock that goes back could bring expired
//! things to life, and one that leaps ahead could make the reaper forget rules too early. The wall
//! clock is therefore watched against the monotonic one:
//!
//! - backwards, or behind what an earlier run committed: nothing is issued until it has caught up;
//! - forwards by more than a minute: nothing is reaped or pruned until as much real time has passed
//!   as the jump was long, or an operator's restart confirms the new time.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use taskpass_core::ttl::CLOCK_SKEW;
use taskpass_core::{Clock, Timestamp};

use crate::error::Error;

/// A backward step smaller than this is a time server's ordinary correction.
const TOLERANCE: Duration = Duration::from_secs(2);

#[derive(Debug)]
struct Seen {
    /// The latest wall time that was acted upon.
    newest: Timestamp,
    /// A pair of readings taken together: at the start, and again after each jump, so that many
    /// small steps add up to one that is noticed.
    wall: Timestamp,
    monotonic: Duration,
    /// Nothing is reaped before this monotonic instant.
    hold_until: Duration,
}

/// The clock, with its jumps noticed.
#[derive(Debug)]
pub(crate) struct WatchedClock {
    clock: Arc<dyn Clock>,
    seen: Mutex<Seen>,
}

impl WatchedClock {
    /// Watches `clock`, knowing the wall time of the newest commit of an earlier run.
    pub(crate) fn new(clock: Arc<dyn Clock>, last_committed: Timestamp) -> Self {
        let wall = clock.now();
        let monotonic = clock.monotonic();
        let seen = Seen {
            newest: last_committed,
            wall,
            monotonic,
            hold_until: monotonic,
        };
        Self {
            clock,
            seen: Mutex::new(seen),
        }
    }

    /// The wall clock, or the newest time that was acted upon if that is later: what has expired
    /// stays expired when the clock goes back.
    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now().max(self.lock().newest)
    }

    /// Time since the start: for measuring how long something took.
    pub(crate) fn monotonic(&self) -> Duration {
        self.clock.monotonic()
    }

    /// The wall clock, if it is safe to write by.
    pub(crate) fn safe_now(&self) -> Result<Timestamp, Error> {
        let now = self.observe();
        let newest = self.lock().newest;
        if now.plus(TOLERANCE) < newest {
            Err(Error::ClockUnsafe)
        } else {
            Ok(now.max(newest))
        }
    }

    /// The wall clock, if it is safe to forget by; `None` after a leap ahead.
    pub(crate) fn reap_now(&self) -> Option<Timestamp> {
        let now = self.safe_now().ok()?;
        (self.clock.monotonic() >= self.lock().hold_until).then_some(now)
    }

    /// Whether the clock is trusted for writing; for readiness.
    pub(crate) fn is_safe(&self) -> bool {
        self.safe_now().is_ok()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn observe(&self) -> Timestamp {
        let now = self.clock.now();
        let monotonic = self.clock.monotonic();
        let mut seen = self.lock();
        let expected = seen.wall.plus(monotonic.saturating_sub(seen.monotonic));
        let leap = now.since(expected);
        if leap > CLOCK_SKEW {
            seen.hold_until = seen.hold_until.max(monotonic).saturating_add(leap);
            (seen.wall, seen.monotonic) = (now, monotonic);
            tracing::warn!(leap = ?leap, "the wall clock leapt ahead; nothing is reaped until as much time has passed");
        }
        if expected.since(now) > TOLERANCE {
            tracing::warn!(by = ?expected.since(now), "the wall clock went back");
            (seen.wall, seen.monotonic) = (now, monotonic);
        }
        seen.newest = seen.newest.max(now);
        now
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use taskpass_core::time::ManualClock;

    fn watched(last: u64) -> (ManualClock, WatchedClock) {
        let clock = ManualClock::new(Timestamp::from_secs(1000));
        (
            clock.clone(),
            WatchedClock::new(Arc::new(clock), Timestamp::from_secs(last)),
        )
    }

    #[test]
    fn behind_an_earlier_run_nothing_is_issued_until_caught_up() {
        let (clock, watched) = watched(1100);
        assert!(matches!(watched.safe_now(), Err(Error::ClockUnsafe)));
        clock.advance(Duration::from_secs(99));
        assert_eq!(watched.safe_now().ok(), Some(Timestamp::from_secs(1100)));
    }

    #[test]
    fn backwards_refuses_and_a_small_correction_does_not() {
        let (clock, watched) = watched(0);
        assert!(watched.safe_now().is_ok());
        clock.jump_to(Timestamp::from_secs(999));
        assert_eq!(watched.safe_now().ok(), Some(Timestamp::from_secs(1000)));
        clock.jump_to(Timestamp::from_secs(900));
        assert!(watched.safe_now().is_err());
    }

    #[test]
    fn a_leap_ahead_holds_the_reaper_for_its_own_length() {
        let (clock, watched) = watched(0);
        assert!(watched.reap_now().is_some());
        clock.jump_to(Timestamp::from_secs(5000));
        assert!(watched.safe_now().is_ok());
        assert_eq!(watched.reap_now(), None);
        clock.advance(Duration::from_secs(3999));
        assert_eq!(watched.reap_now(), None);
        clock.advance(Duration::from_secs(1));
        assert!(watched.reap_now().is_some());
    }

    #[test]
    fn small_steps_add_up_and_holds_are_not_shortened() {
        let (clock, watched) = watched(0);
        for step in 1..=3 {
            clock.jump_to(Timestamp::from_secs(1000 + 50 * step));
            assert!(watched.safe_now().is_ok());
        }
        assert_eq!(watched.reap_now(), None, "three steps of 50 s are a leap");
        clock.jump_to(Timestamp::from_secs(100_000));
        assert!(watched.safe_now().is_ok());
        clock.jump_to(Timestamp::from_secs(100_070));
        assert!(watched.safe_now().is_ok());
        clock.advance(Duration::from_secs(71));
        assert_eq!(
            watched.reap_now(),
            None,
            "a second leap adds to the first hold"
        );
    }
}
