//! Every table as bytes: out of one read transaction, and into a new store.
//!
//! The transaction pins what was there when it began, so that the file grows by what is written meanwhile:
//! whoever takes the rows must take them soon.

use redb::{Key, ReadTransaction, ReadableTable as _, TableDefinition, Value, WriteTransaction};

use taskpass_core::Timestamp;

use super::error::During as _;
use super::{read, tables};
use crate::backup::{BackupHeader, Encoder, RowsRecord, Sink};
use crate::commit::ArchiveCursor;
use crate::error::StoreError;
use crate::record::{ArchiveRecord, BirthRecord, ClockRecord};

/// Nobody took the rows any more.
#[derive(Debug, thiserror::Error)]
#[error("nobody took the backup any more")]
struct Abandoned;

/// What a backup of this moment is of.
pub(super) fn header(
    transaction: &ReadTransaction,
    at: Timestamp,
) -> Result<BackupHeader, StoreError> {
    let meta = transaction
        .open_table(tables::META)
        .during("opened a table")?;
    let corrupt = StoreError::Corrupt { table: "meta" };
    let (_, birth) = read::get("meta", &meta, tables::BIRTH, BirthRecord::into_parts)?
        .ok_or(StoreError::Corrupt { table: "meta" })?;
    let clock: ClockRecord = read::get("meta", &meta, tables::CLOCK, Some)?
        .ok_or(StoreError::Corrupt { table: "meta" })?;
    let convert = |record: ArchiveRecord| Some(ArchiveCursor::from(record));
    let cursor = read::get("meta", &meta, tables::ARCHIVE, convert)?.unwrap_or_default();
    let schema = read::meta(&meta, tables::SCHEMA)?
        .and_then(|bytes| bytes.try_into().ok())
        .map(u32::from_be_bytes)
        .ok_or(corrupt)?;
    Ok(BackupHeader {
        made_at: at,
        schema,
        trust_domain: birth.trust_domain.to_string(),
        public_url: birth.public_url,
        dev: birth.dev,
        born_at: birth.born_at,
        epoch: birth.epoch,
        newest_seq: clock.newest_seq,
        last_committed_at: Timestamp::from_millis(clock.last_committed_at),
        log: cursor.log,
        log_state: cursor.state,
    })
}

/// Begins a backup.
pub(super) fn begin<'a>(header: &BackupHeader, sink: Sink<'a>) -> Result<Encoder<'a>, StoreError> {
    Encoder::begin(header, sink)
        .map_err(|_| Abandoned)
        .during("began a backup")
}

/// Ends a backup.
pub(super) fn end(out: Encoder<'_>) -> Result<(), StoreError> {
    out.end().map_err(|_| Abandoned).during("ended a backup")
}

/// One table, whatever is in it.
pub(super) trait Copied: Sync {
    /// Its name, with its version.
    fn name(&self) -> &'static str;
    /// Hands all rows over.
    fn take(&self, transaction: &ReadTransaction, out: &mut Encoder<'_>) -> Result<(), StoreError>;
    /// Writes rows; `None` if one is not of this table.
    fn put(
        &self,
        transaction: &WriteTransaction,
        rows: &RowsRecord,
    ) -> Result<Option<()>, StoreError>;
}

struct Plain<K: Key + 'static, V: Value + 'static> {
    definition: TableDefinition<'static, K, V>,
    name: &'static str,
    /// Whether bytes of the right length are a key. The library trusts what it reads, and panics.
    is_key: fn(&[u8]) -> bool,
}

impl<K: Key + 'static, V: Value + 'static> Copied for Plain<K, V>
where
    TableDefinition<'static, K, V>: Sync,
{
    fn name(&self) -> &'static str {
        self.name
    }

    fn take(&self, transaction: &ReadTransaction, out: &mut Encoder<'_>) -> Result<(), StoreError> {
        let table = transaction
            .open_table(self.definition)
            .during("opened a table")?;
        for row in table.iter().during("copied a table")? {
            let (key, value) = row.during("copied a table")?;
            let (key, value) = (key.value(), value.value());
            out.row(
                self.name,
                K::as_bytes(&key).as_ref(),
                V::as_bytes(&value).as_ref(),
            )
            .map_err(|_| Abandoned)
            .during("copied a table")?;
        }
        Ok(())
    }

    fn put(
        &self,
        transaction: &WriteTransaction,
        rows: &RowsRecord,
    ) -> Result<Option<()>, StoreError> {
        let mut table = transaction
            .open_table(self.definition)
            .during("opened a table")?;
        for (key, value) in rows.keys.iter().zip(&rows.values) {
            let fits = K::fixed_width().is_none_or(|width| width == key.len())
                && V::fixed_width().is_none_or(|width| width == value.len())
                && (self.is_key)(key);
            if !fits {
                return Ok(None);
            }
            table
                .insert(K::from_bytes(key), V::from_bytes(value))
                .during("wrote a row")?;
        }
        Ok(Some(()))
    }
}

fn any(_: &[u8]) -> bool {
    true
}

fn text(key: &[u8]) -> bool {
    std::str::from_utf8(key).is_ok()
}

macro_rules! all {
    ($($definition:ident $name:literal $is_key:ident,)+) => {
        /// Every table.
        pub(super) static ALL: &[&dyn Copied] = &[
            $(&Plain {
                definition: tables::$definition,
                name: $name,
                is_key: $is_key,
            },)+
        ];
    };
}

all! {
    META "meta" text,
    KEY "key" text,
    RULE "rule" any,
    REGISTRY "registry" text,
    IDENTITY "identity" text,
    ENROLMENT "enrolment" any,
    TASK "task" any,
    CHILD_TASK "child_task" any,
    AGENT_TASK "agent_task" any,
    TIED_TASK "tied_task" any,
    IDEMPOTENCY "idempotency" any,
    CREDENTIAL "credential" any,
    TASK_CREDENTIAL "task_credential" any,
    COUNTER "counter" any,
    LIST_PLACE "list_place" any,
    OUTBOX "outbox" any,
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use redb::{ReadableDatabase as _, TableHandle as _};

    use super::*;

    #[test]
    fn no_table_is_left_out() {
        let database = redb::Builder::new()
            .create_with_backend(redb::backends::InMemoryBackend::new())
            .unwrap();
        super::super::create::initialise(&database, &crate::values::birth(), [1; 16]).unwrap();
        let transaction = database.begin_read().unwrap();
        let there: BTreeSet<String> = transaction
            .list_tables()
            .unwrap()
            .map(|table| table.name().split_once('.').unwrap().0.to_owned())
            .collect();
        let copied: BTreeSet<String> = ALL.iter().map(|table| table.name().to_owned()).collect();
        assert_eq!(there, copied);
    }
}
