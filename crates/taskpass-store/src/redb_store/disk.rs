//! A disk for tests: it remembers every write, and can show what a crash would have left.
//!
//! Between two syncs a disk may write what it was given in any order, in part, and torn at its
//! sectors; only a sync makes what came before it certain. [`Disk::image`] makes one such outcome.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use redb::StorageBackend;
use taskpass_core::rng::Rng;

const SECTOR: usize = 512;

#[derive(Debug)]
enum Event {
    Write(usize, Vec<u8>),
    SetLen(usize),
    Sync,
}

#[derive(Debug, Default)]
struct Log {
    /// What was there when recording began.
    base: Vec<u8>,
    /// What whoever runs now sees.
    now: Vec<u8>,
    events: Vec<Event>,
    /// How many more operations succeed.
    allowed: Option<usize>,
}

/// A disk; clones share it.
#[derive(Debug, Clone, Default)]
pub(super) struct Disk(Arc<Mutex<Log>>);

impl Disk {
    /// A disk that holds `image`.
    pub(super) fn holding(image: Vec<u8>) -> Self {
        let log = Log {
            now: image.clone(),
            base: image,
            ..Log::default()
        };
        Self(Arc::new(Mutex::new(log)))
    }

    fn log(&self) -> MutexGuard<'_, Log> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many operations there have been.
    pub(super) fn events(&self) -> usize {
        self.log().events.len()
    }

    /// Lets `operations` more succeed; every one after them fails, reads too.
    pub(super) fn fail_after(&self, operations: usize) {
        self.log().allowed = Some(operations);
    }

    /// What could be found after a crash that came when `at` operations had been made.
    ///
    /// All up to the last sync is there. Of what came after it each sector is there or not; one
    /// draw decides for the whole image whether few or many are.
    pub(super) fn image(&self, at: usize, rng: &dyn Rng) -> Vec<u8> {
        let log = self.log();
        let events = &log.events[..at];
        let is_sync = |event: &Event| matches!(event, Event::Sync);
        let synced = events.iter().rposition(is_sync).map_or(0, |sync| sync + 1);
        let mut image = log.base.clone();
        for event in &events[..synced] {
            event.happen(&mut image, &mut |_| true);
        }
        let odds = [0, 1, 8, 15, 16][usize::try_from(rng.below(5)).unwrap()];
        for event in &events[synced..] {
            event.happen(&mut image, &mut |_| rng.below(16) < odds);
        }
        image
    }
}

impl Event {
    /// Changes `image`, as far as `reaches` lets each sector through.
    fn happen(&self, image: &mut Vec<u8>, reaches: &mut dyn FnMut(usize) -> bool) {
        match self {
            Self::Sync => {}
            Self::SetLen(len) => {
                if reaches(0) {
                    image.resize(*len, 0);
                }
            }
            Self::Write(offset, data) => {
                let mut from = 0;
                while from < data.len() {
                    // Up to the next boundary of the disk, not of the write.
                    let step = SECTOR - (offset + from) % SECTOR;
                    let to = data.len().min(from + step);
                    if reaches((offset + from) / SECTOR) {
                        put(image, offset + from, &data[from..to]);
                    }
                    from = to;
                }
            }
        }
    }
}

fn put(image: &mut Vec<u8>, offset: usize, data: &[u8]) {
    let end = offset + data.len();
    if image.len() < end {
        image.resize(end, 0);
    }
    image[offset..end].copy_from_slice(data);
}

impl Log {
    fn allow(&mut self) -> io::Result<()> {
        match &mut self.allowed {
            Some(0) => Err(io::Error::other("the disk is broken")),
            Some(left) => {
                *left -= 1;
                Ok(())
            }
            None => Ok(()),
        }
    }

    fn happen(&mut self, event: Event) -> io::Result<()> {
        self.allow()?;
        event.happen(&mut self.now, &mut |_| true);
        self.events.push(event);
        Ok(())
    }
}

fn index(position: u64) -> usize {
    usize::try_from(position).unwrap()
}

impl StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        Ok(self.log().now.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let mut log = self.log();
        log.allow()?;
        let end = index(offset) + out.len();
        let Some(found) = log.now.get(index(offset)..end) else {
            return Err(io::ErrorKind::UnexpectedEof.into());
        };
        out.copy_from_slice(found);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.log().happen(Event::SetLen(index(len)))
    }

    fn sync_data(&self) -> io::Result<()> {
        self.log().happen(Event::Sync)
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.log()
            .happen(Event::Write(index(offset), data.to_vec()))
    }
}
