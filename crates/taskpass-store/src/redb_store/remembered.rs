//! Rows that are asked for again and again, kept as they were read.
//!
//! What is kept is what the file holds: the writer says of each row that it changed, once the change is
//! durable and before anybody is told of it, and a reader keeps only what it read while nothing changed.
//! A fixed number of places, each for the row that was read last; that a row is not there is not kept.

use std::hash::{BuildHasher as _, Hash, RandomState};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Rows of one table.
#[derive(Debug)]
pub(super) struct Remembered<K, V> {
    places: Box<[Mutex<Place<K, V>>]>,
    hasher: RandomState,
}

#[derive(Debug)]
struct Place<K, V> {
    /// How often a row of this place changed.
    changes: u64,
    row: Option<(K, V)>,
}

impl<K: Hash + Eq + Clone, V: Clone> Remembered<K, V> {
    /// With so many places; with none, nothing is kept.
    pub(super) fn new(places: usize) -> Self {
        let place = || {
            Mutex::new(Place {
                changes: 0,
                row: None,
            })
        };
        Self {
            places: (0..places).map(|_| place()).collect(),
            hasher: RandomState::new(),
        }
    }

    /// The row under `key`: kept, or read by `read`, whose snapshot begins after it was called.
    pub(super) fn get<E>(
        &self,
        key: &K,
        read: impl FnOnce() -> Result<Option<V>, E>,
    ) -> Result<Option<V>, E> {
        let Some(place) = self.place(key) else {
            return read();
        };
        let changes = match lock(place) {
            held if held.has(key) => return Ok(held.row.as_ref().map(|(_, row)| row.clone())),
            held => held.changes,
        };
        let found = read()?;
        if let Some(row) = &found {
            let mut held = lock(place);
            if held.changes == changes {
                held.row = Some((key.clone(), row.clone()));
            }
        }
        Ok(found)
    }

    /// The row under `key` is another one now, or gone.
    pub(super) fn forget(&self, key: &K) {
        if let Some(place) = self.place(key) {
            let mut held = lock(place);
            held.changes = held.changes.wrapping_add(1);
            if held.has(key) {
                held.row = None;
            }
        }
    }

    fn place(&self, key: &K) -> Option<&Mutex<Place<K, V>>> {
        let places = u64::try_from(self.places.len()).ok()?;
        let place = self.hasher.hash_one(key).checked_rem(places)?;
        self.places.get(usize::try_from(place).ok()?)
    }
}

impl<K: Eq, V> Place<K, V> {
    fn has(&self, key: &K) -> bool {
        self.row.as_ref().is_some_and(|(kept, _)| kept == key)
    }
}

/// A place is whole whenever its lock is free, whatever happened to whoever held it.
fn lock<T>(place: &Mutex<T>) -> MutexGuard<'_, T> {
    place.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::convert::Infallible;

    use super::*;

    /// What is answered, and whether it was read.
    fn ask(all: &Remembered<u8, u32>, key: u8, found: Option<u32>) -> (Option<u32>, bool) {
        let read = Cell::new(false);
        let answer = all.get(&key, || {
            read.set(true);
            Ok::<_, Infallible>(found)
        });
        (answer.unwrap(), read.get())
    }

    #[test]
    fn a_row_is_read_once_until_it_changes() {
        let all = Remembered::new(64);
        assert_eq!(ask(&all, 1, Some(10)), (Some(10), true));
        assert_eq!(ask(&all, 1, Some(11)), (Some(10), false));
        all.forget(&1);
        assert_eq!(ask(&all, 1, Some(11)), (Some(11), true));
    }

    #[test]
    fn what_is_not_there_is_looked_for_again() {
        let all = Remembered::new(64);
        assert_eq!(ask(&all, 1, None), (None, true));
        assert_eq!(ask(&all, 1, Some(10)), (Some(10), true));
    }

    #[test]
    fn what_changed_while_it_was_read_is_not_kept() {
        let all = Remembered::new(64);
        let answer = all.get(&1, || {
            all.forget(&1);
            Ok::<_, Infallible>(Some(10))
        });
        assert_eq!(answer, Ok(Some(10)));
        assert_eq!(ask(&all, 1, Some(11)), (Some(11), true));
    }

    #[test]
    fn a_failed_read_keeps_nothing() {
        let all: Remembered<u8, u32> = Remembered::new(64);
        assert_eq!(all.get(&1, || Err("no")), Err("no"));
        assert_eq!(ask(&all, 1, Some(10)), (Some(10), true));
    }

    #[test]
    fn rows_of_one_place_are_not_taken_for_each_other() {
        for places in [0, 1] {
            let all = Remembered::new(places);
            for turn in 0..3 {
                assert_eq!(ask(&all, 1, Some(10 + turn)), (Some(10 + turn), true));
                assert_eq!(ask(&all, 2, Some(20 + turn)), (Some(20 + turn), true));
            }
        }
    }

    #[test]
    fn beside_a_writer_no_reader_goes_back() {
        // The row is a number that only rises; the writer publishes it and then says so.
        let all: Remembered<u8, u32> = Remembered::new(2);
        let row = std::sync::atomic::AtomicU32::new(1);
        let order = std::sync::atomic::Ordering::SeqCst;
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    while row.load(order) < 5_000 {
                        let got = all.get(&1, || Ok::<_, Infallible>(Some(row.load(order))));
                        assert!(got.unwrap().is_some());
                    }
                });
            }
            for next in 2..=5_000 {
                row.store(next, order);
                all.forget(&1);
                // After it was said, nobody is answered with less.
                let got = all.get(&1, || Ok::<_, Infallible>(Some(row.load(order))));
                assert_eq!(got, Ok(Some(next)));
            }
        });
    }
}
