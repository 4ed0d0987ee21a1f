//! What the records look like on disk: prost messages of this crate, one file a noun.
//!
//! Tags are never reused and their meaning never changes; a change that an older record could not
//! be read under is a migration. Reading is strict: a record that does not convert to the domain's
//! value is [`StoreError::Corrupt`], never a default and never a panic. A record does not repeat
//! what its key says.

mod archive;
mod birth;
mod clock;
mod credential;
mod enrolment;
mod idempotency;
mod identity;
mod key;
mod proposal;
mod registry;
mod reporting;
mod rule;
mod swept;
mod task;
mod tie;

use prost::Message;
use taskpass_core::Timestamp;
use taskpass_core::secret::Sha256;

use crate::error::StoreError;

pub(crate) use archive::ArchiveRecord;
pub(crate) use birth::BirthRecord;
pub(crate) use clock::ClockRecord;
pub(crate) use credential::{CredentialRecord, CredentialTask};
pub(crate) use enrolment::EnrolmentRecord;
pub(crate) use idempotency::IdempotencyRecord;
pub(crate) use identity::IdentityRecord;
pub(crate) use key::KeyRow;
pub(crate) use proposal::{PolicyApprovalsRecord, ProposalsRecord};
pub(crate) use registry::RowRecord;
pub(crate) use reporting::ReportingRecord;
pub(crate) use rule::RuleRecord;
pub(crate) use swept::SweptRecord;
pub(crate) use task::TaskRecord;
pub(crate) use tie::TieRecord;

/// Reads a record of `table` and converts it with `convert`.
pub(crate) fn read<R, T>(
    table: &'static str,
    bytes: &[u8],
    convert: impl FnOnce(R) -> Option<T>,
) -> Result<T, StoreError>
where
    R: Message + Default,
{
    R::decode(bytes)
        .ok()
        .and_then(convert)
        .ok_or(StoreError::Corrupt { table })
}

fn sha256(bytes: &[u8]) -> Option<Sha256> {
    Sha256::from_slice(bytes)
}

/// An instant is written as its milliseconds; one that [`Timestamp`] cannot hold is refused.
fn instant(millis: u64) -> Option<Timestamp> {
    let at = Timestamp::from_millis(millis);
    (at.millis() == millis).then_some(at)
}

/// A field that may be missing: `Some(None)` is "missing", `None` is "does not read".
#[expect(
    clippy::option_option,
    reason = "the outer one is what `?` leaves early with, like for every other field"
)]
fn optional<T, U>(field: Option<T>, convert: impl FnOnce(T) -> Option<U>) -> Option<Option<U>> {
    match field {
        Some(field) => convert(field).map(Some),
        None => Some(None),
    }
}

#[cfg(test)]
mod tests;
