//! Room on the store's disk, so that a full one stops issuing and nothing else.
//!
//! Beside the store lies a file of [`RESERVE`] bytes that holds nothing. While less than [`LOW`] bytes
//! are free, normal commits are refused; should the disk fill all the same, the file is given up, and
//! what it held is room for revocations and for the reaper. Once there is room for it again it is
//! made anew. Who else writes to the disk can still take the last byte: then the store stops, as after any
//! failed write.

use std::io;
use std::path::{Path, PathBuf};

/// What is kept for revocations and for the reaper, in bytes.
const RESERVE: u64 = 32 * 1024 * 1024;
/// Below so many free bytes normal commits are refused. A group of commits and its copies of pages
/// need a few.
const LOW: u64 = 24 * 1024 * 1024;
/// Below so many the reserve is given up.
const LAST: u64 = 12 * 1024 * 1024;

/// The disk, as far as this needs it.
pub(crate) trait Volume: Send + std::fmt::Debug + 'static {
    /// How many bytes are free.
    fn free(&self) -> io::Result<u64>;
    /// Whether the reserve is there.
    fn holds(&self) -> bool;
    /// Takes the reserve.
    fn hold(&mut self) -> io::Result<()>;
    /// Gives it up.
    fn release(&mut self) -> io::Result<()>;
}

/// Watches the room.
#[derive(Debug)]
pub(crate) struct Space {
    volume: Box<dyn Volume>,
    scarce: bool,
}

impl Space {
    /// The room beside the store at `path`.
    pub(crate) fn beside(path: &Path) -> Self {
        Self::on(Folder {
            folder: path.parent().unwrap_or(Path::new(".")).to_owned(),
            reserve: path.with_extension("reserve"),
        })
    }

    pub(crate) fn on(volume: impl Volume) -> Self {
        Self {
            volume: Box::new(volume),
            scarce: false,
        }
    }

    /// Whether there is room for normal commits. Gives up or takes the reserve as it looks.
    ///
    /// A disk that does not say how much is free is taken to have room: a failed write ends the store
    /// anyhow.
    pub(crate) fn is_ample(&mut self) -> bool {
        let Ok(free) = self.volume.free() else {
            return true;
        };
        let held = self.volume.holds();
        let scarce = if held {
            // Once scarce, it is well again only with some distance.
            free < if self.scarce { LOW + LOW / 2 } else { LOW }
        } else {
            free < RESERVE + 2 * LOW
        };
        if held && free < LAST {
            self.attempt("gave up the disk's reserve", Volume::release);
        } else if !held && !scarce {
            self.attempt("took the disk's reserve", Volume::hold);
        }
        if scarce != self.scarce {
            self.scarce = scarce;
            if scarce {
                tracing::error!(
                    free,
                    "the store's disk is nearly full: nothing is issued until there is room; \
                     revocations go on"
                );
            } else {
                tracing::info!(free, "the store's disk has room again");
            }
        }
        !scarce
    }

    fn attempt(&mut self, what: &str, act: impl FnOnce(&mut dyn Volume) -> io::Result<()>) {
        match act(&mut *self.volume) {
            Ok(()) => tracing::info!(bytes = RESERVE, "{what}"),
            Err(error) => tracing::warn!(%error, "could not have {what}"),
        }
    }
}

/// A folder of a file system.
#[derive(Debug)]
struct Folder {
    folder: PathBuf,
    reserve: PathBuf,
}

impl Volume for Folder {
    fn free(&self) -> io::Result<u64> {
        let disk = rustix::fs::statvfs(&self.folder)?;
        Ok(disk.f_bavail.saturating_mul(disk.f_frsize))
    }

    fn holds(&self) -> bool {
        std::fs::metadata(&self.reserve).is_ok_and(|file| file.len() >= RESERVE)
    }

    fn hold(&mut self) -> io::Result<()> {
        let file = std::fs::File::create(&self.reserve)?;
        let flags = rustix::fs::FallocateFlags::empty();
        let held = rustix::fs::fallocate(&file, flags, 0, RESERVE);
        if held.is_err() {
            // Half a reserve is none.
            drop(std::fs::remove_file(&self.reserve));
        }
        Ok(held?)
    }

    fn release(&mut self) -> io::Result<()> {
        std::fs::remove_file(&self.reserve)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    const MIB: u64 = 1024 * 1024;

    /// A disk of which `left` is free when no reserve is held.
    #[derive(Debug, Clone)]
    struct Fake(Arc<Mutex<(u64, bool)>>);

    impl Volume for Fake {
        fn free(&self) -> io::Result<u64> {
            let (left, held) = *self.0.lock().unwrap();
            Ok(if held {
                left.saturating_sub(RESERVE)
            } else {
                left
            })
        }

        fn holds(&self) -> bool {
            self.0.lock().unwrap().1
        }

        fn hold(&mut self) -> io::Result<()> {
            self.0.lock().unwrap().1 = true;
            Ok(())
        }

        fn release(&mut self) -> io::Result<()> {
            self.0.lock().unwrap().1 = false;
            Ok(())
        }
    }

    #[test]
    fn it_stops_in_time_gives_up_the_reserve_last_and_takes_it_again() {
        let disk = Fake(Arc::new(Mutex::new((0, false))));
        let mut space = Space::on(disk.clone());
        // What is free beside the reserve or, without one, at all; and what follows from it.
        for (left, ample, held) in [
            (1000 * MIB, true, true),
            (32 * MIB + 24 * MIB, true, true),
            (32 * MIB + 23 * MIB, false, true),
            // A little more is not yet enough, and not yet the end.
            (32 * MIB + 30 * MIB, false, true),
            (32 * MIB + 36 * MIB, true, true),
            (32 * MIB + 12 * MIB, false, true),
            // The last: what was held is free now.
            (32 * MIB + 11 * MIB, false, false),
            (32 * MIB + 47 * MIB, false, false),
            (32 * MIB + 48 * MIB, true, true),
            (10 * MIB, false, false),
            (0, false, false),
        ] {
            disk.0.lock().unwrap().0 = left;
            assert_eq!(space.is_ample(), ample, "{left}");
            assert_eq!(disk.holds(), held, "{left}");
        }
    }

    #[test]
    fn a_real_folder_has_a_real_reserve() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store.redb");
        let mut space = Space::beside(&path);
        let free = rustix::fs::statvfs(folder.path()).unwrap();
        if free.f_bavail * free.f_frsize < 2 * (RESERVE + 2 * LOW) {
            eprintln!("not run: this disk has too little room");
            return;
        }
        assert!(space.is_ample());
        let reserve = folder.path().join("store.reserve");
        assert_eq!(std::fs::metadata(&reserve).unwrap().len(), RESERVE);
        assert!(space.is_ample());
    }
}
