//! Lists of revoked authorities, signed where a root's key is.
//!
//! One is taken if a root that is in use here, and whose key is not, signed it; if it is good now and
//! not older than the one before; and if it names every authority beneath the root that was tainted: an
//! old list would bring them back.

use taskpass_core::Timestamp;
use taskpass_core::key::{KeyRecord, KeyState};
use taskpass_core::ttl::CLOCK_SKEW;
use x509_parser::prelude::{CertificateRevocationList, FromDer as _, X509Certificate};

use super::{ImportError, Imported, place_of_root};
use crate::authority::{self, CaFacts};

/// Reads a file of one list, and says what it changes of `records`.
pub(super) fn import(
    records: &[KeyRecord],
    lists: &[Vec<u8>],
    now: Timestamp,
) -> Result<Imported, ImportError> {
    let [der] = lists else {
        return Err(ImportError::Form);
    };
    let list = read(der).ok_or(ImportError::Form)?;
    let root = records.iter().find(|record| {
        place_of_root(record.purpose).is_some()
            && record.state == KeyState::Active
            && !record.has_private()
            && signed(record, &list)
    });
    let root = root.ok_or(ImportError::List)?;
    let unfit = |problem| ImportError::UnfitList { problem };
    is_of_now(root, &list, now).map_err(|problem| unfit(problem.to_owned()))?;
    names_the_tainted(records, root, &list).map_err(unfit)?;
    Ok(Imported::Root(Box::new(KeyRecord {
        crl: Some(der.clone()),
        ..root.clone()
    })))
}

fn read(der: &[u8]) -> Option<CertificateRevocationList<'_>> {
    let (rest, list) = CertificateRevocationList::from_der(der).ok()?;
    rest.is_empty().then_some(list)
}

fn signed(root: &KeyRecord, list: &CertificateRevocationList<'_>) -> bool {
    let own = root.certificate.as_deref().unwrap_or_default();
    X509Certificate::from_der(own).is_ok_and(|(_, root)| {
        root.subject().as_raw() == list.issuer().as_raw()
            && list.verify_signature(root.public_key()).is_ok()
    })
}

fn is_of_now(
    root: &KeyRecord,
    list: &CertificateRevocationList<'_>,
    now: Timestamp,
) -> Result<(), &'static str> {
    let begins = list.last_update();
    let ends = list.next_update().ok_or("does not say when it ends")?;
    let instant = |secs: i64| Timestamp::from_secs(u64::try_from(secs).unwrap_or(0));
    if instant(begins.timestamp()) > now.plus(CLOCK_SKEW) {
        return Err("is not valid yet");
    }
    if instant(ends.timestamp()) <= now {
        return Err("is over");
    }
    let held = root.crl.as_deref().and_then(read);
    if held.is_some_and(|held| held.last_update() > begins) {
        return Err("is older than the one that is there");
    }
    Ok(())
}

fn names_the_tainted(
    records: &[KeyRecord],
    root: &KeyRecord,
    list: &CertificateRevocationList<'_>,
) -> Result<(), String> {
    let tainted = records
        .iter()
        .filter(|record| record.state == KeyState::Tainted && authority::is_beneath(record, root));
    for record in tainted {
        let der = record.certificate.as_deref().unwrap_or_default();
        let serial = CaFacts::read(der).map(|facts| facts.serial);
        let named = serial.is_ok_and(|serial| {
            let mut entries = list.iter_revoked_certificates();
            entries.any(|entry| entry.raw_serial() == serial)
        });
        if !named {
            return Err(format!(
                "does not name the certificate of {}, which was tainted",
                record.id
            ));
        }
    }
    Ok(())
}
