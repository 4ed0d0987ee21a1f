//! What a restored store remembers of where it came from, until its own log has begun.

use serde::{Deserialize, Serialize};
use taskpass_core::Timestamp;
use taskpass_issuer::Issuer;
use taskpass_log::{LogName, NoteKey, Origin, State};
use taskpass_store::{BackupHeader, MetaKey, Store};
use taskpass_token::PublicKey;

use super::replay::Mirror;
use crate::error::Error;

/// From which log the next one goes on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Mark {
    /// The name of the next log.
    pub(crate) log: LogName,
    /// The newest log that is known of before it.
    pub(crate) before: Option<LogName>,
    /// Its last known checkpoint, signed.
    pub(crate) previous: Option<String>,
}

impl Mark {
    /// What is to be remembered: the end of the mirror, or else that of the backup.
    pub(super) fn new(
        header: &BackupHeader,
        mirror: Option<&Mirror>,
        signed: Option<String>,
        now: Timestamp,
    ) -> Self {
        let newest = mirror.and_then(|mirror| mirror.newest.clone());
        let (before, previous) = match newest {
            Some((log, note)) => (Some(log), Some(note)),
            None => (header.log.parse().ok(), signed),
        };
        // Also where this machine's clock is behind the month of the log before.
        let log = LogName::restored(now);
        Self {
            log,
            before,
            previous,
        }
    }

    /// As it is kept.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        // Names and text always have a JSON form.
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// What a store remembers; `None` if it never was restored.
    pub(crate) async fn of(store: &dyn Store) -> Result<Option<Self>, Error> {
        let Some(bytes) = store.meta(MetaKey::Restored).await? else {
            return Ok(None);
        };
        serde_json::from_slice(&bytes)
            .map(Some)
            .map_err(Error::internal)
    }
}

/// The checkpoint over what the backup knows of the log, signed as the broker would have.
pub(super) fn signed_end(header: &BackupHeader, issuer: &Issuer) -> Result<Option<String>, Error> {
    if header.log.is_empty() {
        return Ok(None);
    }
    let checkpoint = State::from_bytes(&header.log_state)
        .map_err(Error::log)?
        .checkpoint();
    let key = note_key(issuer, &checkpoint.origin)?;
    let note = checkpoint
        .sign(&key, |text| issuer.sign_checkpoint(text))
        .map_err(Error::log)?;
    Ok(Some(note))
}

/// The public key by which the checkpoints of `origin` are checked.
pub(crate) fn note_key(issuer: &Issuer, origin: &Origin) -> Result<NoteKey, Error> {
    match issuer.checkpoint_key().key() {
        PublicKey::Ed25519(key) => {
            NoteKey::new(origin.as_str(), key.as_bytes()).map_err(Error::log)
        }
        PublicKey::P256(_) => Err(Error::log(std::io::Error::other(
            "the key that signs checkpoints is not an Ed25519 key",
        ))),
    }
}
