//! How fast somebody may go: a bucket of one second's worth, or of another time's, that refills steadily.
//!
//! Pure: the monotonic time is handed in. What a bucket has left is kept as the instant at which it
//! will be full again, so a full one needs no entry, and the number of entries never exceeds the
//! number of those who did something within that time or so.

use std::collections::HashMap;
use std::hash::Hash;
use std::time::Duration;

/// What a bucket holds where nothing else is said, as the time in which it refills.
const BURST: Duration = Duration::from_secs(1);
/// How often full buckets are forgotten.
const SWEEP: Duration = Duration::from_secs(10);

/// Refused: one of the buckets has too little left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooFast {
    /// Which of those that were asked.
    pub which: usize,
    /// When there will be enough, if nothing else is taken; `None` if never, because its rate is 0.
    pub wait: Option<Duration>,
}

/// Buckets by key.
#[derive(Debug)]
pub struct Paces<K> {
    full_at: HashMap<K, Duration>,
    sweep_at: Duration,
    burst: Duration,
}

impl<K> Default for Paces<K> {
    fn default() -> Self {
        Self::within(BURST)
    }
}

impl<K> Paces<K> {
    /// Buckets whose rates are those of `time`, and which hold as much.
    pub fn within(time: Duration) -> Self {
        Self {
            full_at: HashMap::new(),
            sweep_at: Duration::ZERO,
            burst: time,
        }
    }
}

impl<K: Eq + Hash + Clone> Paces<K> {
    /// Takes `n` from every bucket of `wanted`, each with its rate in the time, or nothing from any.
    /// More than a bucket can hold is as much as it can hold.
    pub fn take(&mut self, wanted: &[(K, u32)], n: u32, now: Duration) -> Result<(), TooFast> {
        if now >= self.sweep_at {
            self.full_at.retain(|_, full_at| *full_at > now);
            self.sweep_at = now.saturating_add(SWEEP);
        }
        let mut taken = Vec::with_capacity(wanted.len());
        for (which, (key, rate)) in wanted.iter().enumerate() {
            let Some(each) = self.burst.checked_div(*rate) else {
                return Err(TooFast { which, wait: None });
            };
            let full_at = self.full_at.get(key).copied().unwrap_or(now).max(now);
            let after = full_at.saturating_add(each.saturating_mul(n.min(*rate)));
            let allowed = now.saturating_add(self.burst);
            if after > allowed {
                let wait = Some(after.saturating_sub(allowed));
                return Err(TooFast { which, wait });
            }
            taken.push((key, after));
        }
        for (key, after) in taken {
            self.full_at.insert(key.clone(), after);
        }
        Ok(())
    }

    /// How many buckets are remembered.
    pub fn len(&self) -> usize {
        self.full_at.len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.full_at.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn a_second_s_worth_at_once_and_then_steadily() {
        let mut paces = Paces::default();
        let mut take = |n, now| paces.take(&[("a", 10)], n, now);
        for _ in 0..10 {
            assert_eq!(take(1, ms(0)), Ok(()));
        }
        let refused = |wait| {
            Err(TooFast {
                which: 0,
                wait: Some(ms(wait)),
            })
        };
        assert_eq!(take(1, ms(0)), refused(100));
        assert_eq!(take(1, ms(60)), refused(40));
        assert_eq!(take(1, ms(100)), Ok(()));
        assert_eq!(take(1, ms(100)), refused(100));
        assert_eq!(take(5, ms(500)), refused(100));
        assert_eq!(take(4, ms(500)), Ok(()));
        // A batch larger than the bucket passes when the bucket is full, and empties it.
        assert_eq!(take(256, ms(10_000)), Ok(()));
        assert_eq!(take(1, ms(10_000)), refused(100));
    }

    #[test]
    fn a_minute_s_worth_at_once_and_then_steadily() {
        let mut paces = Paces::within(Duration::from_mins(1));
        let mut take = |n, now| paces.take(&[("a", 120)], n, now);
        assert_eq!(take(100, ms(0)), Ok(()));
        assert_eq!(take(20, ms(0)), Ok(()));
        let wait = take(10, ms(1_000)).unwrap_err().wait;
        assert_eq!(wait, Some(ms(4_000)));
        assert_eq!(take(10, ms(5_000)), Ok(()));
        assert_eq!(take(500, ms(65_000)), Ok(()));
    }

    #[test]
    fn all_or_none_and_the_first_that_refuses_is_named() {
        let mut paces = Paces::default();
        let both = [("agent", 5), ("target", 1)];
        assert_eq!(paces.take(&both, 1, ms(0)), Ok(()));
        for _ in 0..20 {
            let refused = paces.take(&both, 1, ms(0)).unwrap_err();
            assert_eq!((refused.which, refused.wait), (1, Some(ms(1000))));
        }
        for _ in 0..4 {
            assert_eq!(paces.take(&both[..1], 1, ms(0)), Ok(()));
        }
        assert!(paces.take(&both[..1], 1, ms(0)).is_err());
    }

    #[test]
    fn a_rate_of_zero_is_never() {
        let mut paces = Paces::default();
        let never = TooFast {
            which: 0,
            wait: None,
        };
        assert_eq!(paces.take(&[("a", 0)], 1, ms(0)), Err(never));
        assert_eq!(paces.take(&[("a", 0)], 1, ms(1_000_000)), Err(never));
        assert!(paces.is_empty());
    }

    #[test]
    fn full_buckets_are_forgotten() {
        let mut paces = Paces::default();
        for name in 0..1000 {
            paces.take(&[(name, 10)], 1, ms(1)).unwrap();
        }
        assert_eq!(paces.len(), 1000);
        paces.take(&[(0, 10)], 1, ms(20_000)).unwrap();
        assert_eq!(paces.len(), 1);
    }

    proptest! {
        /// Whatever is asked when: within any time no more passes than its rate and one burst, and
        /// what was told to wait passes when it waited.
        #[test]
        fn never_more_than_the_rate_and_a_burst(
            rate in 1_u32..50,
            steps in proptest::collection::vec((0_u64..300, 1_u32..4), 1..120),
        ) {
            let mut paces = Paces::default();
            let (mut now, mut passed) = (Duration::ZERO, 0_u32);
            for (later, n) in steps {
                now += ms(later);
                let n = n.min(rate);
                match paces.take(&[((), rate)], n, now) {
                    Ok(()) => passed += n,
                    Err(TooFast { wait, .. }) => {
                        now += wait.unwrap();
                        prop_assert_eq!(paces.take(&[((), rate)], n, now), Ok(()));
                        passed += n;
                    }
                }
                let most = now.as_secs_f64() * f64::from(rate) + f64::from(rate) + 0.001;
                prop_assert!(f64::from(passed) <= most, "{passed} > {most}");
            }
        }
    }
}
