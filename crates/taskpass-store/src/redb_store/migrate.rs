//! The schema's version, and the numbered steps that lead to it.

mod live_tasks;

use redb::{Database, ReadableDatabase as _, WriteTransaction};

use super::error::During as _;
use super::{read, tables};
use crate::error::{OpenError, StoreError};

/// One migration: changes tables inside the transaction that also raises the version.
pub(super) type Step = fn(&WriteTransaction) -> Result<(), StoreError>;

/// The first step leads from schema 1 to 2, and so on. Steps are only ever added.
pub(super) const STEPS: &[Step] = &[list_places, tied_tasks, live_tasks::step];

/// To 2: the table of leased places, which is read also before anything is leased.
fn list_places(transaction: &WriteTransaction) -> Result<(), StoreError> {
    transaction
        .open_table(tables::LIST_PLACE)
        .during("made a table")
        .map(drop)
}

/// To 3: the table of tied tasks, which is read also before any is tied.
fn tied_tasks(transaction: &WriteTransaction) -> Result<(), StoreError> {
    transaction
        .open_table(tables::TIED_TASK)
        .during("made a table")
        .map(drop)
}

/// The schema to which `steps` lead.
pub(super) fn known(steps: &[Step]) -> u32 {
    u32::try_from(steps.len())
        .unwrap_or(u32::MAX)
        .saturating_add(1)
}

/// Writes the version of the schema.
pub(super) fn write_version(
    transaction: &WriteTransaction,
    version: u32,
) -> Result<(), StoreError> {
    let mut meta = transaction
        .open_table(tables::META)
        .during("opened a table")?;
    meta.insert(tables::SCHEMA, version.to_be_bytes().as_slice())
        .during("wrote the schema version")
        .map(drop)
}

/// The version of the schema.
pub(super) fn version(database: &Database) -> Result<u32, StoreError> {
    let transaction = database.begin_read().during("began a read")?;
    let meta = transaction
        .open_table(tables::META)
        .during("opened a table")?;
    read::meta(&meta, tables::SCHEMA)?
        .and_then(|bytes| bytes.try_into().ok())
        .map(u32::from_be_bytes)
        .filter(|version| *version > 0)
        .ok_or(StoreError::Corrupt { table: "meta" })
}

/// Why a store was not brought to the present schema.
#[derive(Debug, thiserror::Error)]
pub(super) enum MigrateError {
    /// A newer program wrote it.
    #[error("schema {found} is newer than {known}")]
    Newer {
        /// The store's.
        found: u32,
        /// The newest known here.
        known: u32,
    },
    /// A step failed; the store is as it was before that step.
    #[error(transparent)]
    Failed(#[from] StoreError),
}

impl MigrateError {
    /// As the error of opening; `otherwise` says what a failed step is.
    pub(super) fn into_open(self, otherwise: impl FnOnce(StoreError) -> OpenError) -> OpenError {
        match self {
            Self::Newer { found, known } => OpenError::Newer { found, known },
            Self::Failed(error) => otherwise(error),
        }
    }
}

/// Refuses a store whose schema lies beyond `steps`; returns its version.
pub(super) fn refuse_newer(database: &Database, steps: &[Step]) -> Result<u32, MigrateError> {
    let found = version(database)?;
    let known = known(steps);
    if found > known {
        return Err(MigrateError::Newer { found, known });
    }
    Ok(found)
}

/// Runs the steps that the store has not seen yet, each in a transaction of its own.
pub(super) fn migrate(database: &Database, steps: &[Step]) -> Result<(), MigrateError> {
    let found = refuse_newer(database, steps)?;
    for (to, step) in (2_u32..).zip(steps).filter(|(to, _)| *to > found) {
        let mut transaction = database.begin_write().during("began a write")?;
        transaction.set_quick_repair(true);
        step(&transaction)?;
        write_version(&transaction, to)?;
        transaction.commit().during("migrated the store")?;
        tracing::info!(schema = to, "the store was migrated");
    }
    Ok(())
}
