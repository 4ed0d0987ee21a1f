//! Instants and the clock they come from.
//!
//! Wall time decides validity and is always passed as a value; monotonic time exists to notice that
//! the wall clock jumped. Waiting is the runtime's business and does not go through here.

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The largest instant that fits an identifier's 47 usable bits (the top bit of an id is 0).
const MAX_MILLIS: u64 = (1 << 47) - 1;

/// A wall-clock instant in whole milliseconds since the Unix epoch.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(u64);

impl Timestamp {
    /// The epoch: earlier than anything the broker records.
    pub const ZERO: Self = Self(0);

    /// From milliseconds since the epoch; values beyond the year 6429 are brought back to it.
    pub const fn from_millis(millis: u64) -> Self {
        Self(if millis > MAX_MILLIS {
            MAX_MILLIS
        } else {
            millis
        })
    }

    /// From whole seconds since the epoch.
    pub const fn from_secs(secs: u64) -> Self {
        Self::from_millis(secs.saturating_mul(1000))
    }

    /// From the operating system's representation; instants before the epoch become the epoch.
    pub fn from_system(time: SystemTime) -> Self {
        let millis = time
            .duration_since(UNIX_EPOCH)
            .map_or(0, |elapsed| elapsed.as_millis());
        Self::from_millis(u64::try_from(millis).unwrap_or(MAX_MILLIS))
    }

    /// Milliseconds since the epoch.
    pub const fn millis(self) -> u64 {
        self.0
    }

    /// Whole seconds since the epoch, rounded down: what `exp` and `iat` carry.
    pub const fn secs(self) -> u64 {
        self.0 / 1000
    }

    /// This instant rounded down to its second.
    #[must_use]
    pub const fn floor_to_second(self) -> Self {
        Self(self.0 - self.0 % 1000)
    }

    /// Whole minutes since the epoch, rounded down: the unit of live-credential counters.
    pub const fn minute(self) -> u64 {
        self.0 / 60_000
    }

    /// This instant plus `duration`, stopping at the largest representable one.
    #[must_use]
    pub fn plus(self, duration: Duration) -> Self {
        let millis = u64::try_from(duration.as_millis()).unwrap_or(MAX_MILLIS);
        Self::from_millis(self.0.saturating_add(millis))
    }

    /// This instant minus `duration`, stopping at the epoch.
    #[must_use]
    pub fn minus(self, duration: Duration) -> Self {
        let millis = u64::try_from(duration.as_millis()).unwrap_or(MAX_MILLIS);
        Self(self.0.saturating_sub(millis))
    }

    /// The time from `earlier` to this instant; zero if `earlier` is later.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }

    /// As the operating system's type, for humantime and certificate libraries.
    pub fn to_system(self) -> SystemTime {
        UNIX_EPOCH + Duration::from_millis(self.0)
    }

    /// Reads an RFC 3339 instant such as `2026-11-22T09:30:00Z`.
    pub fn parse_rfc3339(text: &str) -> Option<Self> {
        humantime::parse_rfc3339_weak(text)
            .ok()
            .map(Self::from_system)
    }
}

impl fmt::Display for Timestamp {
    /// RFC 3339 in UTC; the fraction is left out when it is zero.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_multiple_of(1000) {
            fmt::Display::fmt(&humantime::format_rfc3339_seconds(self.to_system()), f)
        } else {
            fmt::Display::fmt(&humantime::format_rfc3339_millis(self.to_system()), f)
        }
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl serde::Serialize for Timestamp {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Where the time comes from. Made once, in `main`, and handed down.
pub trait Clock: Send + Sync + fmt::Debug {
    /// The wall clock: what goes into credentials and records.
    fn now(&self) -> Timestamp;

    /// Time since an arbitrary start, never going back: what shows that the wall clock jumped.
    fn monotonic(&self) -> Duration;
}

/// The machine's clocks.
#[derive(Debug, Clone, Copy)]
pub struct SystemClock {
    started: std::time::Instant,
}

impl SystemClock {
    /// Starts the monotonic clock at zero. Call once, in `main`.
    #[expect(
        clippy::new_without_default,
        clippy::disallowed_methods,
        reason = "the one place that reads the machine's clock; a default would hide that"
    )]
    pub fn new() -> Self {
        Self {
            started: std::time::Instant::now(),
        }
    }
}

impl Clock for SystemClock {
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place that reads the machine's clock"
    )]
    fn now(&self) -> Timestamp {
        Timestamp::from_system(SystemTime::now())
    }

    fn monotonic(&self) -> Duration {
        self.started.elapsed()
    }
}

/// A clock that stands still until it is moved, for simulations and tests; clones share the time.
///
/// Whoever hands it to a broker decides what time it is: nothing that is issued under it is to be
/// trusted. What is simulated ends with the process that simulated it.
#[derive(Debug, Clone)]
pub struct ManualClock {
    wall: std::sync::Arc<std::sync::atomic::AtomicU64>,
    monotonic: std::sync::Arc<std::sync::atomic::AtomicU64>,
}

impl ManualClock {
    /// A clock that shows `start`.
    pub fn new(start: Timestamp) -> Self {
        Self {
            wall: std::sync::Arc::new(start.millis().into()),
            monotonic: std::sync::Arc::default(),
        }
    }

    /// Lets `duration` pass on both clocks.
    pub fn advance(&self, duration: Duration) {
        let millis = u64::try_from(duration.as_millis()).unwrap_or(MAX_MILLIS);
        self.wall
            .fetch_add(millis, std::sync::atomic::Ordering::SeqCst);
        self.monotonic
            .fetch_add(millis, std::sync::atomic::Ordering::SeqCst);
    }

    /// Moves the wall clock alone, as a bad time server would.
    #[cfg(any(test, feature = "test-util"))]
    pub fn jump_to(&self, wall: Timestamp) {
        self.wall
            .store(wall.millis(), std::sync::atomic::Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.wall.load(std::sync::atomic::Ordering::SeqCst))
    }

    fn monotonic(&self) -> Duration {
        Duration::from_millis(self.monotonic.load(std::sync::atomic::Ordering::SeqCst))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_rfc3339_and_reads_it_back() {
        for (millis, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (1_700_000_000_000, "2023-11-14T22:13:20Z"),
            (1_700_000_000_123, "2023-11-14T22:13:20.123Z"),
        ] {
            let at = Timestamp::from_millis(millis);
            assert_eq!(at.to_string(), text);
            assert_eq!(Timestamp::parse_rfc3339(text), Some(at));
        }
    }

    #[test]
    fn arithmetic_stops_at_both_ends() {
        let huge = Duration::from_secs(u64::MAX);
        assert_eq!(Timestamp::ZERO.minus(huge), Timestamp::ZERO);
        assert_eq!(Timestamp::ZERO.plus(huge).millis(), MAX_MILLIS);
        assert_eq!(Timestamp::from_secs(u64::MAX).millis(), MAX_MILLIS);
        assert_eq!(
            Timestamp::ZERO.since(Timestamp::from_secs(5)),
            Duration::ZERO
        );
    }
}
