//! How long things took, in steps that mean something to people.

use serde::Serialize;

/// The steps: up to so many seconds, and how that is written.
const STEPS: [(u64, &str); 8] = [
    (0, "none"),
    (1, "up to 1s"),
    (10, "up to 10s"),
    (60, "up to 1m"),
    (300, "up to 5m"),
    (900, "up to 15m"),
    (3600, "up to 1h"),
    (86_400, "up to 24h"),
];
const MORE: &str = "more than 24h";

/// Lifetimes in seconds: exact figures, and how many were in each step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Histogram {
    /// How many.
    pub count: u64,
    /// The shortest; `None` if there were none.
    pub min_s: Option<u64>,
    /// Half are at most this.
    pub p50_s: Option<u64>,
    /// Ninety-nine in a hundred are at most this.
    pub p99_s: Option<u64>,
    /// The longest.
    pub max_s: Option<u64>,
    /// How many in each step, the shortest first.
    pub steps: Vec<Step>,
}

/// One step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Step {
    /// At most this; `None` is everything beyond.
    pub up_to_s: Option<u64>,
    /// The same in words.
    pub label: &'static str,
    /// How many.
    pub count: u64,
}

impl Histogram {
    /// Of these.
    pub fn of(values: impl IntoIterator<Item = u64>) -> Self {
        let mut values: Vec<u64> = values.into_iter().collect();
        values.sort_unstable();
        let mut steps = Vec::with_capacity(STEPS.len() + 1);
        let mut below = 0;
        for (up_to, label) in STEPS {
            let within = values.partition_point(|value| *value <= up_to);
            steps.push(Step {
                up_to_s: Some(up_to),
                label,
                count: count(within - below),
            });
            below = within;
        }
        steps.push(Step {
            up_to_s: None,
            label: MORE,
            count: count(values.len() - below),
        });
        Self {
            count: count(values.len()),
            min_s: values.first().copied(),
            p50_s: quantile(&values, 50),
            p99_s: quantile(&values, 99),
            max_s: values.last().copied(),
            steps,
        }
    }
}

/// The smallest of the sorted `values` that at least `percent` in a hundred do not exceed.
fn quantile(values: &[u64], percent: usize) -> Option<u64> {
    let rank = values.len().saturating_mul(percent).div_ceil(100);
    values.get(rank.checked_sub(1)?).copied()
}

pub(crate) fn count(many: usize) -> u64 {
    u64::try_from(many).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_exact() {
        let none = Histogram::of([]);
        assert_eq!((none.count, none.p50_s, none.max_s), (0, None, None));
        let one = Histogram::of([300]);
        assert_eq!((one.p50_s, one.p99_s), (Some(300), Some(300)));
        let many = Histogram::of((1..=200).rev());
        assert_eq!(
            (many.min_s, many.p50_s, many.p99_s, many.max_s),
            (Some(1), Some(100), Some(198), Some(200))
        );
    }

    #[test]
    fn every_value_is_in_one_step() {
        let values = [0, 0, 1, 2, 10, 11, 60, 61, 900, 86_400, 86_401, u64::MAX];
        let counts: Vec<_> = Histogram::of(values)
            .steps
            .iter()
            .map(|s| s.count)
            .collect();
        assert_eq!(counts, [2, 1, 2, 2, 1, 1, 0, 1, 2]);
    }
}
