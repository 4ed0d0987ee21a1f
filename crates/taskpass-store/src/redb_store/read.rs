//! Reading records from a table, in a read or a write transaction alike.

use redb::ReadableTable;
use taskpass_core::TaskId;
use taskpass_core::coverage::Reporting;
use taskpass_core::credential::CredentialKind;
use taskpass_core::enrolment::Enrolment;
use taskpass_core::identity::{IdentityLine, Principal};
use taskpass_core::registry::{Row, RowKey, Versioned};
use taskpass_core::secret::Sha256;
use taskpass_core::task::Task;
use taskpass_core::tie::Tie;

use super::error::During as _;
use super::keys;
use crate::commit::{IdempotencyKey, Reporter};
use crate::error::StoreError;
use crate::record::{
    self, EnrolmentRecord, IdempotencyRecord, IdentityRecord, ReportingRecord, RowRecord,
    TaskRecord, TieRecord,
};

/// Reads and converts what is under `key`, if anything is.
pub(super) fn get<'k, K, R, T>(
    name: &'static str,
    table: &impl ReadableTable<K, &'static [u8]>,
    key: impl std::borrow::Borrow<K::SelfType<'k>>,
    convert: impl FnOnce(R) -> Option<T>,
) -> Result<Option<T>, StoreError>
where
    K: redb::Key + 'static,
    R: prost::Message + Default,
{
    match table.get(key).during("read a row")? {
        Some(value) => record::read(name, value.value(), convert).map(Some),
        None => Ok(None),
    }
}

/// A task.
pub(super) fn task(
    table: &impl ReadableTable<&'static [u8; 16], &'static [u8]>,
    id: TaskId,
) -> Result<Option<Task>, StoreError> {
    get("task", table, id.as_bytes(), |record: TaskRecord| {
        record.into_task(id)
    })
}

/// A tie.
pub(super) fn tie(
    table: &impl ReadableTable<&'static [u8; 16], &'static [u8]>,
    id: TaskId,
) -> Result<Option<Tie>, StoreError> {
    get("tied_task", table, id.as_bytes(), |record: TieRecord| {
        record.into_tie(id)
    })
}

/// A registry row.
pub(super) fn row(
    table: &impl ReadableTable<&'static str, &'static [u8]>,
    key: &RowKey,
) -> Result<Option<Versioned<Row>>, StoreError> {
    let convert = |record: RowRecord| record.into_row().filter(|row| row.value.key() == *key);
    get("registry", table, keys::row(key).as_str(), convert)
}

/// An enrolment.
pub(super) fn enrolment(
    table: &impl ReadableTable<&'static [u8; 32], &'static [u8]>,
    hash: Sha256,
) -> Result<Option<Enrolment>, StoreError> {
    get(
        "enrolment",
        table,
        hash.as_bytes(),
        EnrolmentRecord::into_enrolment,
    )
}

/// An identity line.
pub(super) fn identity(
    table: &impl ReadableTable<&'static str, &'static [u8]>,
    principal: &Principal,
) -> Result<Option<IdentityLine>, StoreError> {
    let convert = |record: IdentityRecord| record.into_line(principal.clone());
    get(
        "identity",
        table,
        keys::principal(principal).as_str(),
        convert,
    )
}

/// Which task an idempotency key started, and by which request.
pub(super) fn started(
    table: &impl ReadableTable<&'static [u8], &'static [u8]>,
    key: &IdempotencyKey,
) -> Result<Option<(TaskId, Sha256)>, StoreError> {
    get(
        "idempotency",
        table,
        keys::idempotency(key).as_slice(),
        IdempotencyRecord::into_parts,
    )
}

/// The next free place on an hour's lists.
pub(super) fn next_place(
    table: &impl ReadableTable<&'static [u8; 9], u64>,
    kind: CredentialKind,
    hour: u64,
) -> Result<u64, StoreError> {
    let value = table
        .get(&keys::list_place(kind, hour))
        .during("read a row")?;
    Ok(value.map_or(0, |value| value.value()))
}

/// What is kept of a verifier's reports.
pub(super) fn reporting(
    table: &impl ReadableTable<&'static str, &'static [u8]>,
    reporter: &Reporter,
) -> Result<Option<Versioned<Reporting>>, StoreError> {
    let under = keys::reporting(reporter);
    let convert = ReportingRecord::into_reporting;
    get("meta", table, under.as_str(), convert)
}

/// The bytes under a key of `meta`.
pub(super) fn meta(
    table: &impl ReadableTable<&'static str, &'static [u8]>,
    key: &str,
) -> Result<Option<Vec<u8>>, StoreError> {
    let value = table.get(key).during("read a value")?;
    Ok(value.map(|value| value.value().to_vec()))
}
