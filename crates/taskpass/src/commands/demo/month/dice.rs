//! What is drawn by a seed: the same seed plays the same month.
//!
//! For behaviour alone. Ids, keys and enrolment secrets come from where they always come from, so two
//! runs of one seed are alike and share no secret.

use std::time::Duration;

/// A sequence (SplitMix64).
#[derive(Debug)]
pub(super) struct Dice(u64);

impl Dice {
    /// The sequence number `which` of a seed. What is drawn from one moves none of the others.
    pub(super) const fn new(seed: u64, which: u64) -> Self {
        Self(seed ^ which.wrapping_add(1).wrapping_mul(0xD134_2543_DE82_EF95))
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number below `bound`; 0 if that is 0.
    pub(super) fn below(&mut self, bound: u64) -> u64 {
        self.next().checked_rem(bound).unwrap_or(0)
    }

    /// Whether it happens, of something that happens so often in a hundred.
    pub(super) fn in_hundred(&mut self, chance: u64) -> bool {
        self.below(100) < chance
    }

    /// A time from `least` on, and less than `most`, in whole seconds.
    pub(super) fn between(&mut self, least: Duration, most: Duration) -> Duration {
        let room = most.saturating_sub(least).as_secs();
        least.saturating_add(Duration::from_secs(self.below(room)))
    }

    /// One of these.
    pub(super) fn pick<'a, T>(&mut self, of: &'a [T]) -> Option<&'a T> {
        let which = self.below(u64::try_from(of.len()).unwrap_or(u64::MAX));
        of.get(usize::try_from(which).unwrap_or(usize::MAX))
    }

    /// Those that so many in a hundred are, and at least one of them if there is any.
    pub(super) fn some<T: Clone>(&mut self, of: &[T], chance: u64) -> Vec<T> {
        let drawn: Vec<T> = of
            .iter()
            .filter(|_| self.in_hundred(chance))
            .cloned()
            .collect();
        if drawn.is_empty() {
            return self.pick(of).cloned().into_iter().collect();
        }
        drawn
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_and_a_number_are_a_sequence() {
        let draw = |seed, which| {
            let mut dice = Dice::new(seed, which);
            [(); 4].map(|()| dice.below(1 << 40))
        };
        assert_eq!(draw(1, 0), draw(1, 0));
        assert_ne!(draw(1, 0), draw(2, 0));
        assert_ne!(draw(1, 0), draw(1, 1));
    }

    #[test]
    fn what_is_drawn_is_within_its_bounds() {
        let mut dice = Dice::new(7, 7);
        let (least, most) = (Duration::from_secs(5), Duration::from_secs(8));
        for _ in 0..200 {
            assert!(dice.below(3) < 3);
            assert!((least..most).contains(&dice.between(least, most)));
        }
        assert_eq!(dice.below(0), 0);
        assert_eq!(dice.pick::<u8>(&[]), None);
        assert!(dice.some::<u8>(&[], 50).is_empty());
        assert_eq!(dice.some(&[9], 0), [9]);
        assert!(!dice.in_hundred(0) && dice.in_hundred(100));
    }
}
