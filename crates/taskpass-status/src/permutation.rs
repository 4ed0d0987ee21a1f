//! In which order the places of a list are given out.
//!
//! Counters are given out one after the other; who sees two tokens must not learn from their places
//! how many lie between them. So the place is a keyed permutation of the counter: a Feistel network
//! over 18 bits, walked until it falls into the list's 17. A permutation never gives one place to
//! two counters, whatever the key, so nothing needs to be looked up or remembered.
//!
//! The round functions are tables drawn once a list from HMAC-SHA-256; then a place costs a few
//! look-ups. All replicas of a broker must use the same key: with another one the same places would
//! come in another order, and two tokens would meet.

use ring::hmac;
use taskpass_core::listing::LIST_LEN;

const HALF_BITS: u32 = 9;
const HALF: usize = 1 << HALF_BITS;
const HALF_MASK: u32 = (1 << HALF_BITS) - 1;
const ROUNDS: u8 = 8;

/// The order of one list.
#[derive(Clone)]
pub struct Permutation {
    rounds: Vec<Vec<u16>>,
}

impl std::fmt::Debug for Permutation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Permutation").finish_non_exhaustive()
    }
}

impl Permutation {
    /// The order that belongs to `key` and the list named `list`.
    pub fn new(key: &[u8; 32], list: &str) -> Self {
        let key = hmac::Key::new(hmac::HMAC_SHA256, key);
        let rounds = (0..ROUNDS).map(|round| table(&key, list, round)).collect();
        Self { rounds }
    }

    /// The place of a counter; `None` beyond the list's length.
    pub fn place(&self, counter: u32) -> Option<u32> {
        if counter >= LIST_LEN {
            return None;
        }
        // Half of all values lie in the list, and the walk is a cycle that begins in it.
        let mut value = self.step(counter);
        while value >= LIST_LEN {
            value = self.step(value);
        }
        Some(value)
    }

    fn step(&self, value: u32) -> u32 {
        let (mut left, mut right) = (value >> HALF_BITS, value & HALF_MASK);
        for round in &self.rounds {
            let index = usize::try_from(right).unwrap_or_default();
            let drawn = round.get(index).copied().unwrap_or_default();
            (left, right) = (right, left ^ (u32::from(drawn) & HALF_MASK));
        }
        (left << HALF_BITS) | right
    }
}

/// One round's function: a drawn value for each half.
fn table(key: &hmac::Key, list: &str, round: u8) -> Vec<u16> {
    let mut table = Vec::with_capacity(HALF);
    let mut block = 0_u8;
    while table.len() < HALF {
        let mut context = hmac::Context::with_key(key);
        context.update(b"taskpass status list order v1\n");
        context.update(&[round, block]);
        context.update(list.as_bytes());
        let drawn = context.sign();
        let pairs = drawn.as_ref().chunks_exact(2);
        table.extend(pairs.filter_map(|pair| Some(u16::from_be_bytes(pair.try_into().ok()?))));
        block = block.wrapping_add(1);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(permutation: &Permutation) -> Vec<u32> {
        (0..LIST_LEN)
            .map(|counter| permutation.place(counter).unwrap())
            .collect()
    }

    #[test]
    fn every_place_is_given_exactly_once() {
        for (key, list) in [([0; 32], "1-0"), ([7; 32], "472222-3")] {
            let mut places = all(&Permutation::new(&key, list));
            places.sort_unstable();
            assert!(places.into_iter().eq(0..LIST_LEN));
        }
    }

    #[test]
    fn the_order_depends_on_key_and_list_and_on_nothing_else() {
        let first = all(&Permutation::new(&[1; 32], "1-0"));
        assert_eq!(first, all(&Permutation::new(&[1; 32], "1-0")));
        for other in [
            Permutation::new(&[2; 32], "1-0"),
            Permutation::new(&[1; 32], "1-1"),
        ] {
            let same = first.iter().zip(all(&other)).filter(|(a, b)| **a == *b);
            // About one in the length of the list by chance, so about one in all.
            assert!(same.count() < 20);
        }
        assert_eq!(Permutation::new(&[1; 32], "1-0").place(LIST_LEN), None);
        assert_eq!(Permutation::new(&[1; 32], "1-0").place(u32::MAX), None);
    }

    /// Neighbours lie apart: a third of the length on average, as two random places do.
    #[test]
    fn neighbours_lie_apart() {
        let places = all(&Permutation::new(&[3; 32], "1-0"));
        let apart: u64 = places
            .windows(2)
            .map(|pair| u64::from(pair[0].abs_diff(pair[1])))
            .sum();
        let mean = apart / u64::from(LIST_LEN - 1);
        let third = u64::from(LIST_LEN) / 3;
        assert!(mean.abs_diff(third) < third / 50, "{mean}");
    }

    /// The order is part of what is recorded: another one would give places twice.
    #[test]
    fn the_order_is_for_ever() {
        let permutation = Permutation::new(&[9; 32], "472222-0");
        let places: Vec<_> = (0..4).filter_map(|n| permutation.place(n)).collect();
        assert_eq!(places, [62203, 47069, 95254, 114_727]);
    }
}
