//! Lifetimes: their hard maxima, how they are written, and what shortens one.
//!
//! The maxima are code, beneath configuration and policy: nothing that never expires can be
//! represented, and every table whose rows outlive their cause (rules, records) knows for how long
//! at most. Asking for more than a hard maximum is an error; a cap of a target, an agent or the
//! task shortens what was asked, and the reply says which.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use crate::access::words;
use crate::time::Timestamp;

/// The longest life of a token.
pub const MAX_TOKEN_TTL: Ttl = Ttl::from_hours(1);
/// The longest life of a task certificate.
pub const MAX_CERTIFICATE_TTL: Ttl = Ttl::from_hours(24);
/// The longest task.
pub const MAX_TASK_TTL: Ttl = Ttl::from_hours(24);
/// The longest life of an identity certificate.
pub const MAX_IDENTITY_TTL: Ttl = Ttl::from_hours(24 * 7);
/// How far clocks of broker and verifiers may differ.
pub const CLOCK_SKEW: Duration = Duration::from_mins(1);
/// How old a verifier's view of the feed may be at most before it must refuse.
pub const MAX_FEED_STALENESS: Duration = Duration::from_mins(5);
/// The shortest lifetime that can be asked for.
pub const MIN_TTL: Ttl = Ttl(Duration::from_secs(1));

/// What [`Ttl`] refuses.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TtlError {
    /// No duration in humantime's notation.
    #[error("`{text}` is not a duration; write it like `90s`, `5m` or `1h`")]
    Malformed {
        /// What was given.
        text: String,
    },
    /// Zero or less than a second.
    #[error("a ttl is at least 1s")]
    TooShort,
    /// More than the hard maximum.
    #[error("a ttl of {asked} is over the maximum of {max}")]
    TooLong {
        /// What was asked for.
        asked: Ttl,
        /// The hard maximum.
        max: Ttl,
    },
}

/// A lifetime of at least one second and at most a week. "For ever" has no representation.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ttl(Duration);

impl Ttl {
    /// A lifetime of whole hours, for constants; zero hours become [`MIN_TTL`].
    pub const fn from_hours(hours: u64) -> Self {
        if hours == 0 {
            MIN_TTL
        } else {
            Self(Duration::from_secs(hours * 3600))
        }
    }

    /// A lifetime of whole minutes, for constants; zero minutes become [`MIN_TTL`].
    pub const fn from_mins(mins: u64) -> Self {
        if mins == 0 {
            MIN_TTL
        } else {
            Self(Duration::from_secs(mins * 60))
        }
    }

    /// Checks `asked` against the shortest lifetime and the hard maximum `max`.
    pub fn new(asked: Duration, max: Self) -> Result<Self, TtlError> {
        if asked < MIN_TTL.0 {
            return Err(TtlError::TooShort);
        }
        if asked > max.0 {
            return Err(TtlError::TooLong {
                asked: Self(asked),
                max,
            });
        }
        Ok(Self(asked))
    }

    /// The lifetime as a duration.
    pub const fn duration(self) -> Duration {
        self.0
    }
}

impl FromStr for Ttl {
    type Err = TtlError;

    /// Reads humantime's notation; the widest hard maximum applies.
    fn from_str(text: &str) -> Result<Self, TtlError> {
        let duration = humantime::parse_duration(text).map_err(|_| TtlError::Malformed {
            text: text.to_owned(),
        })?;
        Self::new(duration, MAX_IDENTITY_TTL)
    }
}

impl fmt::Display for Ttl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        humantime::format_duration(self.0).fmt(f)
    }
}

impl fmt::Debug for Ttl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl serde::Serialize for Ttl {
    /// As seconds, whole where they are.
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.0.subsec_nanos() == 0 {
            serializer.serialize_u64(self.0.as_secs())
        } else {
            serializer.serialize_f64(self.0.as_secs_f64())
        }
    }
}

words!(
    /// What shortened a lifetime below what was asked for.
    Clamp, "target_max_ttl, agent_max_ttl, agent_valid_until, task_deadline, parent_deadline, certificate_expiry, task_max_ttl", {
    /// The target allows no longer tokens.
    Target => "target_max_ttl",
    /// The agent's registration allows no longer credentials.
    Agent => "agent_max_ttl",
    /// The agent's registration ends before.
    AgentValidity => "agent_valid_until",
    /// The task ends before.
    TaskDeadline => "task_deadline",
    /// The parent task ends before.
    ParentDeadline => "parent_deadline",
    /// The certificate that the token is bound to ends before.
    Certificate => "certificate_expiry",
    /// The broker's configuration allows no longer tasks.
    TaskMax => "task_max_ttl",
});

/// One bound on the end of a lifetime.
#[derive(Debug, Clone, Copy)]
pub struct Bound {
    /// The latest instant that this bound admits.
    pub until: Timestamp,
    /// Its name in the reply.
    pub clamp: Clamp,
}

/// The end of a lifetime: `now + asked`, or the earliest bound, and which bound that was.
///
/// Of several equally early bounds the first named wins; a bound that does not shorten is not named.
pub fn clamp(now: Timestamp, asked: Ttl, bounds: &[Bound]) -> (Timestamp, Option<Clamp>) {
    let mut end = now.plus(asked.duration());
    let mut clamped_by = None;
    for bound in bounds {
        if bound.until < end {
            end = bound.until;
            clamped_by = Some(bound.clamp);
        }
    }
    (end, clamped_by)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn reads_and_refuses() {
        for (text, secs) in [
            ("1s", 1),
            ("90s", 90),
            ("5m", 300),
            ("1h", 3600),
            ("1h 30m", 5400),
        ] {
            assert_eq!(
                text.parse::<Ttl>().map(Ttl::duration),
                Ok(Duration::from_secs(secs))
            );
        }
        assert_eq!("0s".parse::<Ttl>(), Err(TtlError::TooShort));
        assert_eq!("999ms".parse::<Ttl>(), Err(TtlError::TooShort));
        assert!(matches!(
            "8days".parse::<Ttl>(),
            Err(TtlError::TooLong { .. })
        ));
        for bad in [
            "",
            "5",
            "-5m",
            "5 parsecs",
            "forever",
            "99999999999999999999h",
        ] {
            assert!(
                matches!(bad.parse::<Ttl>(), Err(TtlError::Malformed { .. })),
                "{bad:?}"
            );
        }
    }

    #[test]
    fn the_edge_of_a_maximum() {
        let second = Duration::from_secs(1);
        let max = MAX_TOKEN_TTL.duration();
        assert!(Ttl::new(max, MAX_TOKEN_TTL).is_ok());
        assert!(Ttl::new(max.saturating_sub(second), MAX_TOKEN_TTL).is_ok());
        assert!(Ttl::new(max + Duration::from_nanos(1), MAX_TOKEN_TTL).is_err());
        assert!(Ttl::new(Duration::MAX, MAX_TOKEN_TTL).is_err());
        assert_eq!(
            Ttl::new(Duration::ZERO, MAX_TOKEN_TTL),
            Err(TtlError::TooShort)
        );
    }

    #[test]
    fn the_earliest_bound_is_named() {
        let now = Timestamp::from_secs(1000);
        let asked = Ttl::from_mins(5);
        let bound = |secs, clamp| Bound {
            until: Timestamp::from_secs(secs),
            clamp,
        };
        for (bounds, expected) in [
            (vec![], (1300, None)),
            (vec![bound(1300, Clamp::Target)], (1300, None)),
            (
                vec![bound(1299, Clamp::Target)],
                (1299, Some(Clamp::Target)),
            ),
            (
                vec![bound(1200, Clamp::Target), bound(1100, Clamp::Agent)],
                (1100, Some(Clamp::Agent)),
            ),
            (
                vec![bound(1100, Clamp::Target), bound(1100, Clamp::Agent)],
                (1100, Some(Clamp::Target)),
            ),
        ] {
            let (end, clamped_by) = clamp(now, asked, &bounds);
            assert_eq!((end.secs(), clamped_by), expected);
        }
    }

    proptest! {
        #[test]
        fn never_later_than_any_bound(secs in 1_u64..604_800, ends: Vec<u32>) {
            let now = Timestamp::from_secs(5_000_000);
            let asked = Ttl::new(Duration::from_secs(secs), MAX_IDENTITY_TTL).unwrap();
            let bounds: Vec<_> = ends
                .iter()
                .map(|s| Bound { until: Timestamp::from_secs(u64::from(*s)), clamp: Clamp::Agent })
                .collect();
            let (end, clamped) = clamp(now, asked, &bounds);
            prop_assert!(end <= now.plus(asked.duration()));
            prop_assert!(bounds.iter().all(|b| end <= b.until));
            prop_assert_eq!(clamped.is_none(), end == now.plus(asked.duration()));
        }
    }
}
