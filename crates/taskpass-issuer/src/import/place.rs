//! Whether a certificate fits among what is here: whose key it has, by what name it goes, and how many
//! stand above it.

use taskpass_core::Timestamp;
use taskpass_core::key::{KeyId, KeyRecord};
use x509_parser::prelude::X509Certificate;

use super::{ImportError, check};
use crate::authority::{AuthorityId, CaFacts};
use crate::rotation;

/// The most certificates that are sent along with one of ours: verifiers look at no more.
const MAX_SENT: usize = 4;

/// Whether a root is trusted already. One that was, and left the anchors since, is as good as new.
pub(super) fn is_trusted(
    records: &[KeyRecord],
    root: &KeyRecord,
    now: Timestamp,
) -> Result<bool, &'static str> {
    let Some(held) = records.iter().find(|record| record.id == root.id) else {
        return Ok(false);
    };
    if held.purpose != root.purpose {
        return Err("its key has another purpose here; each hierarchy needs a root of its own");
    }
    if held.certificate != root.certificate {
        return Err("its key has another certificate here; a new root needs a new key");
    }
    Ok(rotation::is_root_needed(records, held, now))
}

/// Whether nothing else here goes by its subject key identifier: its lists, and what it signs, are found
/// by that.
pub(super) fn has_own_name(
    records: &[KeyRecord],
    key: &KeyId,
    facts: &CaFacts,
) -> Result<(), &'static str> {
    let own = AuthorityId::of(&facts.key_identifier);
    if own.as_str().parse::<AuthorityId>().is_err() {
        return Err("its subject key identifier has less than eight bytes");
    }
    let ders = records
        .iter()
        .filter(|other| other.id != *key)
        .filter_map(|other| other.certificate.as_deref());
    let others = ders.filter_map(|der| CaFacts::read(der).ok());
    if others
        .map(|other| AuthorityId::of(&other.key_identifier))
        .any(|other| other == own)
    {
        return Err(
            "its subject key identifier is that of another authority; let it be the key's hash",
        );
    }
    Ok(())
}

/// Whether an authority with `above` certificates above it can be shown whole.
pub(super) fn is_short(certificate: &X509Certificate<'_>, above: usize) -> Result<(), ImportError> {
    if above < MAX_SENT {
        return Ok(());
    }
    let problem = format!(
        "with it, {} certificates would be sent along with each one of ours, and verifiers look at \
         {MAX_SENT} at most",
        above + 1
    );
    Err(check::unfit(certificate, problem))
}
