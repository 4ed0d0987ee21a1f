//! A new store out of a backup: sealed, under another epoch, and known as another store.
//!
//! The backup is read twice: whole, for its digest, before anything is written, and then row by row. The new
//! store gets its birth record last, in the transaction that also seals it, and its marker after that: one
//! that was cut off anywhere before is refused like any store that lost its birth.
//!
//! Enrolments are left out, whatever became of them: who held a token then does not enrol with it now.
//!
//! Not done here: distrusting keys, which needs the key-encryption key.

use std::fs::File;
use std::io::{self, Read, Seek};
use std::path::Path;

use redb::{Builder, Database, ReadableTable as _};
use taskpass_core::Timestamp;
use taskpass_core::registry::{Row, RowKey, System};
use taskpass_core::rng::Rng;

use super::copy::{self, Copied};
use super::create::new_file;
use super::error::During as _;
use super::marker::{self, marker_path, sync_directory};
use super::writing::{Tables, put_record};
use super::{keys, migrate, read, tables};
use crate::backup::{BackupError, BackupHeader, Item, Rows, RowsRecord, verify};
use crate::commit::{MetaKey, registry_version};
use crate::error::{OpenError, StoreError};
use crate::record::{BirthRecord, RowRecord};
use crate::store::Birth;

/// About how many bytes are written in one transaction.
const PART: usize = 16 * 1024 * 1024;

/// What was restored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restored {
    /// What the backup is of.
    pub header: BackupHeader,
    /// How many rows it holds.
    pub rows: u64,
    /// Pending enrolments that were left out.
    pub enrolments: u64,
}

/// Makes a store at `path` out of `backup`, sealed at `now`, under `epoch`. A store or a marker that is there
/// is left alone; what was begun is removed if it fails.
pub fn restore(
    path: &Path,
    backup: &mut (impl Read + Seek),
    epoch: u64,
    now: Timestamp,
    rng: &dyn Rng,
) -> Result<Restored, BackupError> {
    let exists = || {
        BackupError::Place(OpenError::Exists {
            path: path.to_owned(),
        })
    };
    if path.exists() || marker_path(path).exists() {
        return Err(exists());
    }
    verify(backup)?;
    let mut rows = Rows::begin(backup)?;
    let header = rows.header()?;
    let known = migrate::known(migrate::STEPS);
    if header.schema > known {
        let found = header.schema;
        return Err(BackupError::Newer { found, known });
    }
    new_file(path).map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => exists(),
        _ => BackupError::Place(OpenError::Failed {
            path: path.to_owned(),
            source: error.into(),
        }),
    })?;
    let id = rng.bytes16();
    let seal = Seal { id, epoch, now };
    let outcome = fill(path, header, &mut rows, &seal);
    if outcome.is_err() {
        for piece in [path, &marker_path(path)] {
            if let Err(error) = std::fs::remove_file(piece) {
                tracing::debug!(%error, path = %piece.display(), "nothing to remove");
            }
        }
    }
    outcome
}

/// What makes the new store another one.
struct Seal {
    id: [u8; 16],
    epoch: u64,
    now: Timestamp,
}

fn fill<R: Read + Seek>(
    path: &Path,
    header: BackupHeader,
    rows: &mut Rows<'_, R>,
    seal: &Seal,
) -> Result<Restored, BackupError> {
    let database = Builder::new()
        .create(path)
        .during("made the file")
        .map_err(BackupError::Write)?;
    let mut filling = Filling::begin(&database)?;
    let expected = loop {
        match rows.next()? {
            Item::Rows(rows) => filling.put(rows)?,
            Item::End(count) => break count,
        }
    };
    if expected != filling.count {
        return Err(BackupError::Malformed {
            what: "rows are missing",
        });
    }
    let restored = Restored {
        header,
        rows: filling.count,
        enrolments: filling.enrolments,
    };
    filling.finish(seal)?;
    close(database, path, seal.id).map_err(BackupError::Write)?;
    Ok(restored)
}

fn close(database: Database, path: &Path, id: [u8; 16]) -> Result<(), StoreError> {
    database.close().during("closed the new file")?;
    let file = File::open(path).during("synced the new file")?;
    file.sync_all().during("synced the new file")?;
    sync_directory(path).during("synced the directory")?;
    marker::write(path, id).during("wrote the birth marker")
}

/// A store that is being filled.
struct Filling<'d> {
    database: &'d Database,
    waiting: Vec<(&'static dyn Copied, RowsRecord)>,
    held: usize,
    count: u64,
    enrolments: u64,
    birth: Option<Vec<u8>>,
}

impl<'d> Filling<'d> {
    fn begin(database: &'d Database) -> Result<Self, BackupError> {
        let make = || {
            let transaction = database.begin_write().during("began a write")?;
            Tables::new(&transaction).create_all()?;
            transaction.commit().during("made the tables")
        };
        make().map_err(BackupError::Write)?;
        Ok(Self {
            database,
            waiting: Vec::new(),
            held: 0,
            count: 0,
            enrolments: 0,
            birth: None,
        })
    }

    fn put(&mut self, mut rows: RowsRecord) -> Result<(), BackupError> {
        let count = u64::try_from(rows.keys.len()).unwrap_or(u64::MAX);
        self.count = self.count.saturating_add(count);
        let table = copy::ALL
            .iter()
            .find(|table| table.name() == rows.table)
            .ok_or(BackupError::Malformed {
                what: "a table is unknown",
            })?;
        if table.name() == "enrolment" {
            self.enrolments = self.enrolments.saturating_add(count);
            return Ok(());
        }
        if table.name() == "meta" {
            self.keep_birth(&mut rows);
        }
        let bytes = rows.keys.iter().chain(&rows.values).map(Vec::len);
        self.held = self.held.saturating_add(bytes.sum());
        self.waiting.push((*table, rows));
        if self.held < PART {
            return Ok(());
        }
        self.write()
    }

    /// The birth record is written last of all.
    fn keep_birth(&mut self, rows: &mut RowsRecord) {
        let birth = tables::BIRTH.as_bytes();
        if let Some(at) = rows.keys.iter().position(|key| key == birth) {
            rows.keys.remove(at);
            self.birth = Some(rows.values.remove(at));
        }
    }

    fn write(&mut self) -> Result<(), BackupError> {
        let waiting = std::mem::take(&mut self.waiting);
        self.held = 0;
        let write = || {
            let transaction = self.database.begin_write().during("began a write")?;
            for (table, rows) in &waiting {
                if table.put(&transaction, rows)?.is_none() {
                    return Ok(None);
                }
            }
            transaction.commit().during("wrote the rows").map(Some)
        };
        write()
            .map_err(BackupError::Write)?
            .ok_or(BackupError::Malformed {
                what: "a row is not one of its table",
            })
    }

    fn finish(mut self, seal: &Seal) -> Result<(), BackupError> {
        self.write()?;
        let birth = self.birth.take();
        let birth = birth.and_then(|bytes| {
            let convert = BirthRecord::into_parts;
            crate::record::read("meta", &bytes, convert).ok()
        });
        let (_, birth) = birth.ok_or(BackupError::Malformed {
            what: "its birth record is missing",
        })?;
        self.seal(&birth, seal).map_err(BackupError::Write)
    }

    fn seal(&self, birth: &Birth, seal: &Seal) -> Result<(), StoreError> {
        let mut transaction = self.database.begin_write().during("began a write")?;
        transaction.set_quick_repair(true);
        let mut all = Tables::new(&transaction);
        let present = read::row(all.registry()?, &RowKey::System)?;
        let (system, version) = match present {
            Some(row) => match row.value {
                Row::System(system) => (system, row.version),
                _ => return Err(StoreError::Corrupt { table: "registry" }),
            },
            None => (System::default(), 0),
        };
        let sealed = Row::System(System {
            sealed_at: Some(seal.now),
            ..system
        });
        let record = RowRecord::new(&sealed, version.saturating_add(1));
        put_record(
            all.registry()?,
            keys::row(&RowKey::System).as_str(),
            &record,
        )?;
        let meta = all.meta()?;
        let under = keys::value(MetaKey::RegistryVersion);
        let version = registry_version(read::meta(meta, under)?.as_deref());
        let next = version.saturating_add(1).to_be_bytes();
        meta.insert(under, next.as_slice())
            .during("sealed the store")?;
        let birth = Birth {
            epoch: seal.epoch,
            ..birth.clone()
        };
        put_record(meta, tables::BIRTH, &BirthRecord::new(seal.id, &birth))?;
        let complete = meta
            .get(tables::CLOCK)
            .during("sealed the store")?
            .is_some();
        drop(all);
        if !complete {
            return Err(StoreError::Corrupt { table: "meta" });
        }
        transaction.commit().during("sealed the store")
    }
}
