//! The summaries of one log in a file: a record of fixed length for each full bundle, in order.
//!
//! Derived data, so nothing here is made durable: a record carries a digest, and when the file is
//! opened everything from the first record on that does not read is cut off, to be derived again.

use std::cell::RefCell;
use std::fs::{File, OpenOptions};
use std::io::{self, BufReader};
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use taskpass_core::secret::Sha256;

use super::{Summaries, Summary};

/// Bytes of the digest at the end of a record.
const DIGEST: usize = 8;
/// Bytes of a record.
const RECORD: usize = Summary::ENCODED_LEN + DIGEST;
/// Records that are read at once.
const BLOCK: u64 = 256;

/// The file of one log's summaries.
#[derive(Debug)]
pub struct SummaryFile {
    file: File,
    bundles: u64,
}

impl SummaryFile {
    /// Opens the file, or makes it; keeps the records at its beginning that read.
    pub fn open(path: &Path) -> io::Result<Self> {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .open(path)?;
        let mut records = BufReader::with_capacity(1 << 20, &file);
        let mut record = vec![0; RECORD];
        let mut bundles = 0;
        while read_whole(&mut records, &mut record)? && decode(&record).is_some() {
            bundles += 1;
        }
        file.set_len(place(bundles))?;
        Ok(Self { file, bundles })
    }

    /// How many bundles are summarised: the next one to [`push`](Self::push).
    pub const fn bundles(&self) -> u64 {
        self.bundles
    }

    /// Takes in the summary of the next bundle.
    pub fn push(&mut self, summary: &Summary) -> io::Result<()> {
        let mut record = summary.to_bytes();
        let digest = digest(&record);
        record.extend_from_slice(&digest);
        self.file.write_all_at(&record, place(self.bundles))?;
        self.bundles += 1;
        Ok(())
    }

    /// The summaries of this moment, to be asked beside a writer.
    pub fn snapshot(&self) -> io::Result<Snapshot> {
        Ok(Snapshot {
            file: self.file.try_clone()?,
            bundles: self.bundles,
            block: RefCell::default(),
        })
    }
}

/// The summaries that a file had at one moment. It holds one block of them in memory.
#[derive(Debug)]
pub struct Snapshot {
    file: File,
    bundles: u64,
    block: RefCell<Block>,
}

#[derive(Debug, Default)]
struct Block {
    number: Option<u64>,
    records: Vec<u8>,
}

impl Summaries for Snapshot {
    fn look<T>(&self, number: u64, with: impl FnOnce(&Summary) -> T) -> Option<T> {
        if number >= self.bundles {
            return None;
        }
        let mut block = self.block.borrow_mut();
        if block.number != Some(number / BLOCK) {
            let first = number / BLOCK * BLOCK;
            let count = self.bundles.saturating_sub(first).min(BLOCK);
            block.number = None;
            block.records.resize(usize::try_from(place(count)).ok()?, 0);
            // What cannot be read is not known: the bundle itself is read instead.
            self.file
                .read_exact_at(&mut block.records, place(first))
                .ok()?;
            block.number = Some(number / BLOCK);
        }
        let within = usize::try_from(place(number % BLOCK)).ok()?;
        let record = block.records.get(within..within.checked_add(RECORD)?)?;
        let summary = record.get(..Summary::ENCODED_LEN)?;
        Summary::from_bytes(summary).map(|summary| with(&summary))
    }
}

/// Where a record begins.
fn place(number: u64) -> u64 {
    number.saturating_mul(u64::try_from(RECORD).unwrap_or(u64::MAX))
}

fn digest(summary: &[u8]) -> [u8; DIGEST] {
    let whole = *Sha256::of(summary).as_bytes();
    whole.first_chunk().copied().unwrap_or_default()
}

fn decode(record: &[u8]) -> Option<Summary> {
    let (summary, found) = record.split_at_checked(Summary::ENCODED_LEN)?;
    (digest(summary) == found).then(|| Summary::from_bytes(summary))?
}

/// Fills `record`; `false` if less than a whole one is left.
fn read_whole(from: &mut impl io::Read, record: &mut [u8]) -> io::Result<bool> {
    match from.read_exact(record) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn summary(of: u64) -> Summary {
        let entry = format!(
            r#"{{"at":"2026-11-22T00:00:00Z","kind":"k{of}","outcome":"done","agent":"a{of}"}}"#
        );
        Summary::of([entry.as_bytes()])
    }

    fn filled(path: &Path, count: u64) -> SummaryFile {
        let mut file = SummaryFile::open(path).unwrap();
        for number in file.bundles()..count {
            file.push(&summary(number)).unwrap();
        }
        file
    }

    #[test]
    fn reads_back_what_was_pushed_over_several_blocks() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("find/2026-11");
        drop(filled(&path, 300));
        let file = filled(&path, 600);
        let snapshot = file.snapshot().unwrap();
        for number in [0, 599, 255, 256, 511, 512, 3] {
            let found = snapshot.look(number, Clone::clone);
            assert_eq!(found, Some(summary(number)), "{number}");
        }
        assert_eq!(snapshot.look(600, |_| ()), None);
    }

    #[test]
    fn what_does_not_read_is_cut_off_with_all_that_follows() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("2026-11");
        let spoil = |at: u64| {
            drop(filled(&path, 10));
            let file = OpenOptions::new().write(true).open(&path).unwrap();
            file.write_all_at(&[0xff], at).unwrap();
            SummaryFile::open(&path).unwrap().bundles()
        };
        assert_eq!(spoil(place(7) + 5), 7);
        assert_eq!(spoil(place(4) - 1), 3);
        assert_eq!(spoil(0), 0);
        drop(filled(&path, 10));
        let file = OpenOptions::new().write(true).open(&path).unwrap();
        file.set_len(place(9) + 100).unwrap();
        assert_eq!(SummaryFile::open(&path).unwrap().bundles(), 9);
        file.set_len(place(20)).unwrap();
        assert_eq!(
            SummaryFile::open(&path).unwrap().bundles(),
            9,
            "zeros are no record"
        );
    }
}
