//! A disk for tests: it remembers every write, and can show what a crash would have left.
//!
//! Between two syncs a disk may write what it was given in any order, in part, and torn at its
//! sectors or within one; only a sync makes what came before it certain. [`Disk::image`] makes one such
//! outcome. What it never does: change a byte that nobody wrote.

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

    /// After how many operations each sync came.
    pub(super) fn syncs(&self) -> Vec<usize> {
        let log = self.log();
        let events = log.events.iter().enumerate();
        events
            .filter(|(_, event)| matches!(event, Event::Sync))
            .map(|(at, _)| at)
            .collect()
    }

    /// What could be found after a crash that came when `at` operations had been made.
    ///
    /// All up to the last sync is there. What came after it is there sector by sector, or not; one
    /// draw decides for the whole image whether few or many are, another one whether they came in another
    /// order, a third one whether some of them came in part.
    pub(super) fn image(&self, at: usize, rng: &dyn Rng) -> Vec<u8> {
        let log = self.log();
        let events = &log.events[..at];
        let is_sync = |event: &Event| matches!(event, Event::Sync);
        let synced = events.iter().rposition(is_sync).map_or(0, |sync| sync + 1);
        let mut image = log.base.clone();
        for event in &events[..synced] {
            event.happen(&mut image);
        }
        let odds = [0, 1, 8, 15, 16][index(rng.below(5))];
        let (mixed, torn) = (rng.below(2) == 0, rng.below(2) == 0);
        let unsynced = events[synced..].iter().flat_map(Event::pieces);
        let mut pieces: Vec<_> = unsynced.filter(|_| rng.below(16) < odds).collect();
        if mixed {
            for last in (1..pieces.len()).rev() {
                pieces.swap(last, index(rng.below(last as u64 + 1)));
            }
        }
        for piece in pieces {
            let piece = if torn && rng.below(8) == 0 {
                piece.torn(rng)
            } else {
                piece
            };
            piece.happen(&mut image);
        }
        image
    }
}

/// What reaches the disk as one, if nothing tears it.
#[derive(Debug, Clone, Copy)]
enum Piece<'a> {
    SetLen(usize),
    /// Of one sector.
    Bytes(usize, &'a [u8]),
}

impl Piece<'_> {
    fn happen(self, image: &mut Vec<u8>) {
        match self {
            Self::SetLen(len) => image.resize(len, 0),
            Self::Bytes(offset, data) => put(image, offset, data),
        }
    }

    /// Its beginning, or its end.
    fn torn(self, rng: &dyn Rng) -> Self {
        let Self::Bytes(offset, data) = self else {
            return self;
        };
        let at = index(rng.below(data.len() as u64 + 1));
        let (before, after) = data.split_at(at);
        if rng.below(2) == 0 {
            Self::Bytes(offset, before)
        } else {
            Self::Bytes(offset + at, after)
        }
    }
}

impl Event {
    fn happen(&self, image: &mut Vec<u8>) {
        for piece in self.pieces() {
            piece.happen(image);
        }
    }

    /// The pieces in which it reaches the disk, in order.
    fn pieces(&self) -> Vec<Piece<'_>> {
        match self {
            Self::Sync => Vec::new(),
            Self::SetLen(len) => vec![Piece::SetLen(*len)],
            Self::Write(offset, data) => {
                let (mut pieces, mut from) = (Vec::new(), 0);
                while from < data.len() {
                    // Up to the next boundary of the disk, not of the write.
                    let step = SECTOR - (offset + from) % SECTOR;
                    let to = data.len().min(from + step);
                    pieces.push(Piece::Bytes(offset + from, &data[from..to]));
                    from = to;
                }
                pieces
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
        event.happen(&mut self.now);
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
