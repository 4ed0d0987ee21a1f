//! Every private key sealed anew, under another key-encryption key.

use taskpass_core::key::KeyRecord;

use crate::issuer::OpenError;
use crate::seal::{KeyEncryptionKey, SealError, SealedFor, UnsealError};

/// The keys could not be sealed anew.
#[derive(Debug, thiserror::Error)]
pub enum RewrapError {
    /// One of them is sealed under neither key.
    #[error("the keys cannot be unsealed")]
    Open(#[from] OpenError),
    /// One of them could not be sealed.
    #[error("a key could not be sealed")]
    Seal(#[from] SealError),
}

/// The records that change if every private key that `old` seals is sealed under `new`. Those that `new`
/// seals already are left alone, so none is left the second time.
pub fn rewrap(
    records: &[KeyRecord],
    old: &KeyEncryptionKey,
    new: &KeyEncryptionKey,
) -> Result<Vec<KeyRecord>, RewrapError> {
    let mut changed = Vec::new();
    for record in records.iter().filter(|record| record.has_private()) {
        let what = SealedFor {
            purpose: record.purpose,
            id: &record.id,
        };
        if new.unseal(what, &record.sealed).is_ok() {
            continue;
        }
        let private = old
            .unseal(what, &record.sealed)
            .map_err(|source| match source {
                UnsealError::WrongKey => OpenError::WrongKeyEncryptionKey,
                UnsealError::Form | UnsealError::Damaged => OpenError::Unseal {
                    purpose: record.purpose,
                    id: record.id.clone(),
                    source,
                },
            })?;
        changed.push(KeyRecord {
            sealed: new.seal(what, &private)?,
            ..record.clone()
        });
    }
    Ok(changed)
}
