//! How long to wait before connecting again: doubling from 100 ms to 5 s, spread by chance so that
//! a thousand verifiers do not come back at once. Reports of uses wait longer, in the same way.

use std::time::Duration;

use taskpass_core::rng::Rng;

const FIRST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(5);

#[derive(Debug)]
pub(crate) struct Backoff {
    next: Duration,
    first: Duration,
    longest: Duration,
}

impl Backoff {
    pub(super) fn new() -> Self {
        Self::between(FIRST, LONGEST)
    }

    /// From `first`, doubling to `longest`.
    pub(crate) fn between(first: Duration, longest: Duration) -> Self {
        Self {
            next: first,
            first,
            longest,
        }
    }

    /// All is well again.
    pub(crate) fn reset(&mut self) {
        self.next = self.first;
    }

    /// Between half the present wait and all of it; the next one is twice as long.
    pub(crate) fn next(&mut self, rng: &dyn Rng) -> Duration {
        let wait = self.next;
        self.next = wait.saturating_mul(2).min(self.longest);
        let half = wait / 2;
        let spread = u64::try_from(half.as_millis()).unwrap_or(0);
        half + Duration::from_millis(rng.below(spread.saturating_add(1)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use taskpass_core::rng::SeededRng;

    #[test]
    fn doubles_within_its_bounds() {
        let mut backoff = Backoff::new();
        let rng = SeededRng::new(7);
        for expected in [100, 200, 400, 800, 1600, 3200, 5000, 5000] {
            let wait = backoff.next(&rng).as_millis();
            assert!(
                (expected / 2..=expected).contains(&wait),
                "{wait} {expected}"
            );
        }
        backoff.reset();
        assert!(backoff.next(&rng) <= FIRST);
    }

    #[test]
    fn two_verifiers_do_not_keep_step() {
        let waits = |seed| {
            let (mut backoff, rng) = (Backoff::new(), SeededRng::new(seed));
            (0..8).map(|_| backoff.next(&rng)).collect::<Vec<_>>()
        };
        assert_ne!(waits(1), waits(2));
    }
}
