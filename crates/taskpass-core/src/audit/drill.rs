//! The drill of the kill switch as an entry tells it.

use std::time::Duration;

use serde::Serialize;

/// How long it took from the arrival of a revocation until everybody refused, in microseconds.
///
/// A figure is absent where nothing was measured: nobody confirmed, or the broker went on accepting.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct DrillFacts {
    /// Connected streams of verifiers that the rule concerned.
    pub connected: u64,
    /// How many of them confirmed that they refuse.
    pub confirmed: u64,
    /// How many did not: too old to know of drills, or not refusing.
    pub silent: u64,
    /// Until the rule was on disk, and the revocation could be answered.
    pub commit_us: u64,
    /// Until the first of them confirmed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_us: Option<u64>,
    /// Until half of those that confirmed had.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub p50_us: Option<u64>,
    /// Until the last of those that confirmed had.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_us: Option<u64>,
    /// Until the broker's own introspection refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub introspect_us: Option<u64>,
    /// Whether the drill ended because its time was over.
    pub timed_out: bool,
}

impl DrillFacts {
    /// With the times of those that confirmed, in any order, of `connected` that should have.
    #[must_use]
    pub fn confirmed(self, connected: usize, mut refused: Vec<Duration>) -> Self {
        refused.sort_unstable();
        let half = refused.len().div_ceil(2).checked_sub(1);
        let at = |index: Option<usize>| refused.get(index?).copied().map(micros);
        Self {
            connected: count(connected),
            confirmed: count(refused.len()),
            silent: count(connected.saturating_sub(refused.len())),
            first_us: at(Some(0)),
            p50_us: at(half),
            last_us: at(refused.len().checked_sub(1)),
            ..self
        }
    }

    /// Whether everything that was connected refused, and the broker itself.
    pub const fn all_refused(&self) -> bool {
        self.silent == 0 && self.introspect_us.is_some()
    }
}

/// Whole microseconds, begun ones too.
pub fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_nanos().div_ceil(1_000)).unwrap_or(u64::MAX)
}

fn count(many: usize) -> u64 {
    u64::try_from(many).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_of_those_that_confirmed() {
        let ms = Duration::from_millis;
        for (refused, expected) in [
            (vec![], (0, 5, None, None, None)),
            (vec![ms(3)], (1, 4, Some(3_000), Some(3_000), Some(3_000))),
            (
                vec![ms(9), ms(1), ms(4), ms(2)],
                (4, 1, Some(1_000), Some(2_000), Some(9_000)),
            ),
            (
                vec![ms(5), ms(4), ms(3), ms(2), ms(1)],
                (5, 0, Some(1_000), Some(3_000), Some(5_000)),
            ),
        ] {
            let facts = DrillFacts::default().confirmed(5, refused);
            let found = (
                facts.confirmed,
                facts.silent,
                facts.first_us,
                facts.p50_us,
                facts.last_us,
            );
            assert_eq!(found, expected);
            assert!(!facts.all_refused(), "the broker itself was not asked");
        }
        assert_eq!(micros(Duration::from_nanos(1_001)), 2);
        assert_eq!(micros(Duration::ZERO), 0);
    }

    #[test]
    fn what_was_not_measured_is_not_there() {
        let json = serde_json::to_value(DrillFacts::default()).unwrap();
        let fields = json.as_object().unwrap();
        let names: std::collections::BTreeSet<_> = fields.keys().map(String::as_str).collect();
        let expected = ["commit_us", "confirmed", "connected", "silent", "timed_out"].into();
        assert_eq!(names, expected);
    }
}
