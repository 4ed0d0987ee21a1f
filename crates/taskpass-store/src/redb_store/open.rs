//! Opening a store, and refusing what is none.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use redb::backends::InMemoryBackend;
use redb::{Builder, Database, DatabaseError, ReadableDatabase as _, StorageError, TableError};

use super::backend::RedbBackend;
use super::create::initialise;
use super::error::During as _;
use super::marker::{self, marker_path};
use super::migrate::{self, migrate};
use super::{read, tables};
use crate::batched::{Batched, Options};
use crate::error::{OpenError, StoreError};
use crate::record::BirthRecord;
use crate::store::Birth;

/// Opens the store at `path`, migrates it if it is older, and starts its writer.
pub fn open(path: &Path, options: Options) -> Result<Batched<RedbBackend>, OpenError> {
    Ok(Batched::new(RedbBackend::open(path, &options)?, options))
}

/// A store that is gone with the process: for tests and `dev`.
pub fn in_memory(birth: Birth, options: Options) -> Result<Batched<RedbBackend>, OpenError> {
    let backend = RedbBackend::in_memory(birth, &options)?;
    Ok(Batched::new(backend, options))
}

impl RedbBackend {
    /// Opens the store at `path`, without a writer's thread.
    pub fn open(path: &Path, options: &Options) -> Result<Self, OpenError> {
        look_at_file(path)?;
        let damaged = |source| OpenError::Damaged {
            path: path.to_owned(),
            source,
        };
        let database = open_file(path, options)?;
        if !holds_tables(&database).map_err(|error| damaged(error.into()))? {
            return Err(OpenError::UnexpectedlyEmpty {
                path: path.to_owned(),
            });
        }
        // Before anything else is read: a newer schema may write anything but its version anew.
        migrate::refuse_newer(&database, migrate::STEPS)
            .map_err(|error| error.into_open(|error| damaged(error.into())))?;
        let found = birth(&database).map_err(|error| damaged(error.into()))?;
        let Some((id, birth)) = found else {
            return Err(OpenError::UnexpectedlyEmpty {
                path: path.to_owned(),
            });
        };
        match marker::names(path, id) {
            Ok(Some(true)) => {}
            Ok(Some(false)) => return Err(damaged(MarkerError::Another.into())),
            Ok(None) => return Err(damaged(MarkerError::Missing.into())),
            Err(source) => return Err(damaged(source.into())),
        }
        migrate(&database, migrate::STEPS)
            .map_err(|error| error.into_open(|error| damaged(error.into())))?;
        Self::load(database, birth, Some(path.to_owned()), options.quick_repair)
            .map_err(|error| damaged(error.into()))
    }

    /// Makes a store in memory, without a writer's thread.
    pub fn in_memory(birth: Birth, options: &Options) -> Result<Self, OpenError> {
        Self::with_storage(InMemoryBackend::new(), birth, options).map_err(|source| {
            OpenError::Failed {
                path: "memory".into(),
                source: source.into(),
            }
        })
    }

    /// Makes a store on fresh `storage`, or opens the one that it holds.
    pub(super) fn with_storage(
        storage: impl redb::StorageBackend,
        fresh: Birth,
        options: &Options,
    ) -> Result<Self, StoreError> {
        let database = builder(options)
            .create_with_backend(storage)
            .during("opened")?;
        let found = if holds_tables(&database)? {
            birth(&database)?
        } else {
            None
        };
        let found = if let Some((_, found)) = found {
            found
        } else {
            initialise(&database, &fresh, [0; 16])?;
            fresh
        };
        Self::load(database, found, None, options.quick_repair)
    }
}

/// Why a marker does not go with its store.
#[derive(Debug, thiserror::Error)]
enum MarkerError {
    #[error("its birth marker is missing")]
    Missing,
    #[error("its birth marker names another store")]
    Another,
}

/// Why a file could not be opened although redb reported no error.
#[derive(Debug, thiserror::Error)]
#[error("the database library panicked while it read the file")]
struct Panicked;

fn builder(options: &Options) -> Builder {
    let mut builder = Builder::new();
    builder.set_cache_size(options.cache_bytes);
    builder
}

/// Tells "there never was a store" from "it is gone", before redb sees the file.
fn look_at_file(path: &Path) -> Result<(), OpenError> {
    let path = path.to_owned();
    match std::fs::metadata(&path) {
        Ok(metadata) if metadata.len() == 0 => Err(OpenError::UnexpectedlyEmpty { path }),
        Ok(_) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            if marker_path(&path).exists() {
                Err(OpenError::UnexpectedlyEmpty { path })
            } else {
                Err(OpenError::Missing { path })
            }
        }
        Err(source) => Err(OpenError::Failed {
            path,
            source: source.into(),
        }),
    }
}

fn open_file(path: &Path, options: &Options) -> Result<Database, OpenError> {
    let path = path.to_owned();
    // A file that was altered behind redb's back may make it panic; to check the whole file at
    // every start would take longer the larger it is.
    let opened = catch_unwind(AssertUnwindSafe(|| builder(options).open(&path)));
    let error = match opened {
        Ok(Ok(database)) => return Ok(database),
        Ok(Err(error)) => error,
        Err(_) => {
            return Err(OpenError::Damaged {
                path,
                source: Panicked.into(),
            });
        }
    };
    match error {
        DatabaseError::DatabaseAlreadyOpen | DatabaseError::LockProtocolMismatch => {
            Err(OpenError::InUse { path })
        }
        DatabaseError::Storage(StorageError::Io(source)) if !is_content(&source) => {
            Err(OpenError::Failed {
                path,
                source: source.into(),
            })
        }
        error => Err(OpenError::Damaged {
            path,
            source: error.into(),
        }),
    }
}

/// Whether an input error is about what the file holds, rather than about reaching it.
fn is_content(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof | io::ErrorKind::InvalidInput
    )
}

/// Whether the database holds anything of ours.
fn holds_tables(database: &Database) -> Result<bool, StoreError> {
    let transaction = database.begin_read().during("began a read")?;
    match transaction.open_table(tables::META) {
        Ok(_) => Ok(true),
        Err(TableError::TableDoesNotExist(_)) => Ok(false),
        Err(error) => Err(error).during("opened a table"),
    }
}

/// The birth record, if there is one.
fn birth(database: &Database) -> Result<Option<([u8; 16], Birth)>, StoreError> {
    let transaction = database.begin_read().during("began a read")?;
    let meta = transaction
        .open_table(tables::META)
        .during("opened a table")?;
    read::get("meta", &meta, tables::BIRTH, BirthRecord::into_parts)
}
