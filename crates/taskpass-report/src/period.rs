//! The period that a report is about.

use serde::Serialize;
use taskpass_core::Timestamp;

/// A period cannot be reported on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PeriodError {
    /// It has not begun.
    #[error("the period begins at {since}, and it is {now} now")]
    Future {
        /// Its beginning.
        since: Timestamp,
        /// The time.
        now: Timestamp,
    },
}

/// From an instant on until now; or everything that the log has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Period {
    /// The first instant in it; `None` is the beginning of the log.
    pub since: Option<Timestamp>,
    /// The first instant after it: when the report is made.
    pub until: Timestamp,
}

impl Period {
    /// From `since` until `now`. One that begins in the future is refused: it would report that
    /// nothing happened, of a time of which nothing can be known.
    pub fn new(since: Option<Timestamp>, now: Timestamp) -> Result<Self, PeriodError> {
        match since {
            Some(since) if since > now => Err(PeriodError::Future { since, now }),
            _ => Ok(Self { since, until: now }),
        }
    }

    /// Whether `at` is in it. What the log has from after `until` (another clock wrote it) is in it.
    pub fn has(&self, at: Timestamp) -> bool {
        self.since.is_none_or(|since| at >= since)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_period_begins_in_the_past() {
        let at = Timestamp::from_secs;
        assert!(Period::new(Some(at(11)), at(10)).is_err());
        let period = Period::new(Some(at(10)), at(10)).unwrap();
        assert_eq!((period.has(at(9)), period.has(at(10))), (false, true));
        assert!(Period::new(None, at(10)).unwrap().has(Timestamp::ZERO));
    }
}
