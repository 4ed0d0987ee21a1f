//! Percentiles of samples. Exact: every sample is kept.

use std::time::Duration;

/// Samples of one kind, in order.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Spread(Vec<f64>);

impl Spread {
    /// Of durations, in milliseconds.
    pub fn millis(samples: impl IntoIterator<Item = Duration>) -> Self {
        Self::of(samples.into_iter().map(|time| time.as_secs_f64() * 1e3))
    }

    /// Of any numbers; those that are none are left out.
    pub fn of(samples: impl IntoIterator<Item = f64>) -> Self {
        let mut samples: Vec<f64> = samples.into_iter().filter(|x| x.is_finite()).collect();
        samples.sort_by(f64::total_cmp);
        Self(samples)
    }

    /// How many samples there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The smallest sample that at least `percent` of all do not exceed; 0 if there is none.
    pub fn percentile(&self, percent: usize) -> f64 {
        let rank = (self.0.len() * percent.min(100)).div_ceil(100);
        let found = self.0.get(rank.saturating_sub(1));
        found.copied().unwrap_or_default()
    }

    /// The sample in the middle.
    pub fn p50(&self) -> f64 {
        self.percentile(50)
    }

    /// The sample that 99 % do not exceed.
    pub fn p99(&self) -> f64 {
        self.percentile(99)
    }

    /// The largest.
    pub fn max(&self) -> f64 {
        self.percentile(100)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_samples() {
        let hundred = Spread::of((1..=100).rev().map(f64::from));
        for (percent, expected) in [(0, 1.0), (1, 1.0), (50, 50.0), (99, 99.0), (100, 100.0)] {
            assert_eq!(
                hundred.percentile(percent).to_bits(),
                f64::to_bits(expected)
            );
        }
        let three = Spread::of([3.0, f64::NAN, 1.0, 2.0]);
        assert_eq!((three.len(), three.is_empty()), (3, false));
        assert_eq!(three.p50().to_bits(), 2.0_f64.to_bits());
        assert_eq!(three.p99().to_bits(), three.max().to_bits());
        assert_eq!(Spread::default().p99().to_bits(), 0.0_f64.to_bits());
    }

    #[test]
    fn durations_are_told_in_milliseconds() {
        let one = Spread::millis([Duration::from_micros(1500)]);
        assert_eq!(one.p50().to_bits(), 1.5_f64.to_bits());
    }
}
