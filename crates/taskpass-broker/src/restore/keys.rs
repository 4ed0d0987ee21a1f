//! Which keys a restored broker does not believe any more, and which follow them.

use std::collections::BTreeSet;

use taskpass_core::Timestamp;
use taskpass_core::key::{KeyId, KeyPurpose, KeyRecord, KeyState};
use taskpass_issuer::rotation::{self, TaintError};
use taskpass_issuer::{Issuer, KeyEncryptionKey};

use crate::error::Error;

/// What is done to the keys.
#[derive(Debug, Default)]
pub(super) struct Distrust {
    /// The records as they are from then on.
    pub(super) changed: Vec<KeyRecord>,
    /// What each rule names, and what is known of the key.
    pub(super) drafts: Vec<(KeyId, (KeyPurpose, Option<Timestamp>))>,
    /// Tainted, as `purpose id`.
    pub(super) tainted: Vec<String>,
    /// Not tainted, because nothing could follow.
    pub(super) kept: Vec<String>,
}

/// Taints every key that signed what tasks hold, and those in `also`.
pub(super) fn distrust(
    records: &[KeyRecord],
    issuer: &Issuer,
    kek: &KeyEncryptionKey,
    also: &BTreeSet<KeyId>,
    now: Timestamp,
) -> Result<Distrust, Error> {
    let mut all = records.to_vec();
    let mut touched = BTreeSet::new();
    let mut work = Distrust::default();
    for purpose in [
        KeyPurpose::TokenEs256,
        KeyPurpose::TokenEdDsa,
        KeyPurpose::TaskIssuing,
        KeyPurpose::ControlIssuing,
        KeyPurpose::Feed,
    ] {
        let of_tasks = matches!(
            purpose,
            KeyPurpose::TokenEs256 | KeyPurpose::TokenEdDsa | KeyPurpose::TaskIssuing
        );
        let mut doubted: Vec<KeyRecord> = all
            .iter()
            .filter(|key| key.purpose == purpose && key.is_published(now))
            .filter(|key| of_tasks || also.contains(&key.id))
            .cloned()
            .collect();
        if doubted.is_empty() {
            continue;
        }
        if rotation::can_make(&all, purpose) {
            let fresh = issuer
                .make_next(purpose, now, kek)
                .map_err(Error::internal)?;
            touched.insert(fresh.id.clone());
            all.push(fresh);
        } else {
            // What was certified elsewhere and signed nothing yet is all that can follow.
            doubted.retain(|key| key.state != KeyState::Prepared);
        }
        // The one that signs last: a prepared one that is doubted must not follow it.
        doubted.sort_by_key(|key| key.state == KeyState::Active);
        for key in doubted {
            let shown = format!("{} {}", key.purpose, key.id);
            match rotation::taint(&all, &key.id, now) {
                Ok(changed) => {
                    for record in changed {
                        touched.insert(record.id.clone());
                        all.retain(|other| other.id != record.id);
                        all.push(record);
                    }
                    if purpose != KeyPurpose::Feed {
                        work.drafts.push((key.id, (purpose, key.not_after)));
                    }
                    work.tainted.push(shown);
                }
                Err(TaintError::NoSuccessor(_)) => work.kept.push(shown),
                Err(error) => return Err(Error::internal(error)),
            }
        }
    }
    work.changed = all
        .into_iter()
        .filter(|key| touched.contains(&key.id))
        .collect();
    Ok(work)
}
