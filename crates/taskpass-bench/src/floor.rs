//! The floor beneath everything durable: what a sync of 4 KiB, and an empty commit, take on the disk
//! of this moment.
//!
//! The same disk can be many times slower an hour later. So the floor is measured directly before
//! and after what stands on it, and a run whose floor moved is no figure.

use std::fs::File;
use std::io::{self, Seek as _, Write as _};
use std::path::Path;

use redb::{Database, Durability};
use taskpass_core::Clock;

use crate::Spread;
use crate::error::BenchError;
use crate::pace::since;

/// Writes that are synced.
const SYNCS: usize = 200;
/// Bytes of each: a page.
const PAGE: usize = 4096;

/// The times of `fdatasync` after overwriting 4 KiB of a file in `folder`, in milliseconds.
pub fn sync(folder: &Path, clock: &dyn Clock) -> io::Result<Spread> {
    let path = folder.join("floor");
    let mut file = File::create(&path)?;
    let mut times = Vec::with_capacity(SYNCS);
    for turn in 0..=SYNCS {
        let began = clock.monotonic();
        file.rewind()?;
        file.write_all(&[u8::try_from(turn % 256).unwrap_or_default(); PAGE])?;
        file.sync_data()?;
        // The first one makes the file longer.
        if turn > 0 {
            times.push(since(began, clock));
        }
    }
    drop(file);
    std::fs::remove_file(&path)?;
    Ok(Spread::millis(times))
}

/// What failed, where it did.
const TIMED: &str = "time an empty commit";
/// Commits that are timed.
const COMMITS: usize = 100;

/// The times of commits that change nothing, with quick repair as the broker's store makes them, in
/// a fresh database in `folder`; in milliseconds.
pub fn commit(folder: &Path, clock: &dyn Clock) -> Result<Spread, BenchError> {
    let path = folder.join("floor.redb");
    let database = Database::create(&path).map_err(BenchError::setup(TIMED))?;
    let mut times = Vec::with_capacity(COMMITS);
    for turn in 0..=COMMITS {
        let began = clock.monotonic();
        let mut transaction = database.begin_write().map_err(BenchError::setup(TIMED))?;
        transaction
            .set_durability(Durability::Immediate)
            .map_err(BenchError::setup(TIMED))?;
        transaction.set_quick_repair(true);
        transaction.commit().map_err(BenchError::setup(TIMED))?;
        // The first one makes the file.
        if turn > 0 {
            times.push(since(began, clock));
        }
    }
    drop(database);
    std::fs::remove_file(&path).map_err(BenchError::setup(TIMED))?;
    Ok(Spread::millis(times))
}

/// How much the floor moved between two measurements: the greater median over the smaller.
pub fn moved(before: &Spread, after: &Spread) -> f64 {
    let (low, high) = (before.p50().min(after.p50()), before.p50().max(after.p50()));
    if low > 0.0 { high / low } else { f64::INFINITY }
}

/// Whether a floor that moved so far still carries a figure.
pub fn is_steady(moved: f64) -> bool {
    moved < 2.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use taskpass_core::time::SystemClock;

    #[test]
    fn a_floor_is_measured_and_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let clock = SystemClock::new();
        let floor = sync(folder.path(), &clock).unwrap();
        let commit = commit(folder.path(), &clock).unwrap();
        assert_eq!((floor.len(), commit.len()), (SYNCS, COMMITS));
        assert!(floor.p50() > 0.0 && commit.p50() > 0.0);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_floor_moves_either_way() {
        let (low, high) = (Spread::of([1.0]), Spread::of([4.0]));
        for (before, after, steady) in [
            (&low, &high, false),
            (&high, &low, false),
            (&low, &low, true),
        ] {
            assert_eq!(is_steady(moved(before, after)), steady);
        }
        assert!(!is_steady(moved(&Spread::default(), &low)));
    }
}
