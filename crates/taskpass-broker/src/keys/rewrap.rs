//! Another key-encryption key: every private key is sealed anew, in one commit, on a store that no broker
//! has open.

use taskpass_core::DecisionId;
use taskpass_core::Timestamp;
use taskpass_core::audit::{Entry, EntryKind, Outcome};
use taskpass_core::rng::Rng;
use taskpass_issuer::{Issuer, KeyEncryptionKey, OpenError, RewrapError, rewrap};
use taskpass_store::{Change, Store};

use super::KeysRead;
use crate::broker::issuer_config;
use crate::entry::outbox;
use crate::error::Error;

/// What sealing anew did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rewrapped {
    /// How many private keys were sealed anew; 0 if all were sealed under the new key already.
    pub keys: usize,
}

/// Seals every private key of the store under `new`. All or nothing: before the commit `old` opens
/// them, after it only `new` does. Done again, it changes nothing.
pub async fn rewrap_keys(
    store: &dyn Store,
    old: &KeyEncryptionKey,
    new: &KeyEncryptionKey,
    rng: &dyn Rng,
    now: Timestamp,
) -> Result<Rewrapped, Error> {
    let keys = KeysRead::from(store).await?;
    let changed = rewrap(&keys.records, old, new).map_err(|error| match error {
        RewrapError::Open(OpenError::WrongKeyEncryptionKey) => Error::field(
            "key_encryption_key",
            "the one that the keys are sealed under; they are sealed under another one",
        ),
        other => Error::internal(other),
    })?;
    if changed.is_empty() {
        return Ok(Rewrapped { keys: 0 });
    }
    // What the broker will open next: seen to open before the old seals are gone.
    let next: Vec<_> = keys
        .records
        .iter()
        .map(|record| {
            let again = changed.iter().find(|other| other.id == record.id);
            again.unwrap_or(record).clone()
        })
        .collect();
    Issuer::open(next, issuer_config(store.birth()), new).map_err(Error::internal)?;
    let count = changed.len();
    let mut commit = taskpass_store::Commit::new(now)
        .guard(keys.guard())
        .change(keys.raise());
    for record in changed {
        commit = commit.change(Change::PutKey(record));
    }
    let id = DecisionId::generate(now, rng);
    let mut entry = Entry::new(id, now, EntryKind::Key, Outcome::Done);
    entry.subject = Some("every private key".to_owned());
    entry.count = u64::try_from(count).ok();
    entry.reason = Some("sealed anew under another key-encryption key".to_owned());
    store
        .commit(commit.change(outbox(&entry)?))
        .await
        .map_err(Error::from_commit)?;
    Ok(Rewrapped { keys: count })
}
