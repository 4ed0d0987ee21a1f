//! Certificates of authorities that somebody else signed: read, checked, and made into records.
//!
//! Nothing is believed that is not checked here: the key is one that waits, or a root's; every
//! signature up to a self-signed certificate holds; what the certificate allows is what an authority of
//! ours may do and needs, and nothing that verifiers could not check. The private key of such a root is
//! never seen here.

mod check;
mod list;
mod path;
mod place;

use data_encoding::HEXLOWER;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::{PemObject as _, SectionKind};
use taskpass_core::key::{KeyPurpose, KeyRecord, KeyState};
use taskpass_core::time::Timestamp;
use taskpass_core::ttl;
use taskpass_token::spki;
use x509_parser::prelude::X509Certificate;

use crate::authority::{CaFacts, Hierarchy};
use crate::rotation;
use check::Rank;

/// How long a root that was not known before is published before anything is signed beneath it: as long
/// as an identity can live, so that every caller has renewed and knows it.
pub const NEW_ROOT_LEAD: std::time::Duration = ttl::MAX_IDENTITY_TTL.duration();

/// The longest text that is looked at.
pub const MAX_IMPORT_LEN: usize = 64 * 1024;

/// A certificate was not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ImportError {
    /// Not certificates in PEM, or too many.
    #[error("not certificates in PEM, of at most {MAX_IMPORT_LEN} bytes")]
    Form,
    /// A private key came with them.
    #[error("there is a private key in it: leave that where it is, and bring certificates only")]
    PrivateKey,
    /// None of them is for a key that is here.
    #[error(
        "none of the certificates is for a key that waits here, nor for a root that is in use; \
         `taskpass keys export-csr` makes a request for one"
    )]
    NoKey,
    /// Somebody above it is missing.
    #[error("the certificate of its issuer, `{issuer}`, is not in the file and not known")]
    NoPath {
        /// Who.
        issuer: String,
    },
    /// One of them cannot be used as what it is to be.
    #[error("the certificate of `{subject}`: {problem}")]
    Unfit {
        /// Whose.
        subject: String,
        /// Why.
        problem: String,
    },
    /// A list of revoked authorities is not one of the hierarchy's root.
    #[error("the revocation list is not signed by a root that is in use")]
    List,
    /// It cannot take the place of the one that is there.
    #[error("the revocation list {problem}")]
    UnfitList {
        /// Why.
        problem: String,
    },
}

/// What a file of certificates changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Imported {
    /// An issuing authority, prepared from now on, and its root if that was not known.
    Authority {
        /// The authority.
        record: Box<KeyRecord>,
        /// The root.
        root: Option<Box<KeyRecord>>,
    },
    /// A root that others have certified, or whose list of revoked authorities was renewed.
    Root(Box<KeyRecord>),
    /// The authority has this certificate already.
    Known(Box<KeyRecord>),
}

/// Reads a file, and says what it changes of `records`.
pub fn import(records: &[KeyRecord], text: &str, now: Timestamp) -> Result<Imported, ImportError> {
    let (ders, lists) = sections(text)?;
    if ders.is_empty() && !lists.is_empty() {
        return list::import(records, &lists, now);
    }
    let known: Vec<&[u8]> = records
        .iter()
        .filter(|record| place_of_root(record.purpose).is_some())
        .filter_map(|record| record.certificate.as_deref())
        .collect();
    let pool = path::Pool::read(ders.iter().map(Vec::as_slice), known)?;
    for certificate in pool.given() {
        let public = certificate.public_key().raw;
        let Some(record) = records.iter().find(|record| record.public == public) else {
            continue;
        };
        let der = certificate.as_raw();
        if record.certificate.as_deref() == Some(der) && record.state != KeyState::Waiting {
            // A root's own certificate comes along with what it certified.
            if rotation::hierarchy(record.purpose).is_none() {
                continue;
            }
            return Ok(Imported::Known(Box::new(record.clone())));
        }
        return match record.state {
            KeyState::Waiting => authority(records, record, certificate, &pool, now),
            KeyState::Active | KeyState::Retired if place_of_root(record.purpose).is_some() => {
                root_above(records, record, certificate, &pool, now)
            }
            _ => Err(check::unfit(
                certificate,
                format!("its key is {}, and has a certificate", record.state),
            )),
        };
    }
    Err(ImportError::NoKey)
}

type Sections = (Vec<Vec<u8>>, Vec<Vec<u8>>);

fn sections(text: &str) -> Result<Sections, ImportError> {
    if text.len() > MAX_IMPORT_LEN {
        return Err(ImportError::Form);
    }
    // Also one that is encrypted, which the reader of sections passes over.
    if text.contains("PRIVATE KEY-----") {
        return Err(ImportError::PrivateKey);
    }
    let (mut certificates, mut lists) = (Vec::new(), Vec::new());
    for section in <(SectionKind, Vec<u8>)>::pem_slice_iter(text.as_bytes()) {
        let (kind, der) = section.map_err(|_| ImportError::Form)?;
        match kind {
            SectionKind::Certificate => certificates.push(der),
            SectionKind::Crl => lists.push(der),
            SectionKind::PrivateKey | SectionKind::RsaPrivateKey | SectionKind::EcPrivateKey => {
                return Err(ImportError::PrivateKey);
            }
            _ => {}
        }
    }
    if certificates.is_empty() && lists.is_empty() {
        return Err(ImportError::Form);
    }
    Ok((certificates, lists))
}

/// The certificate of an issuing authority that waited for it.
fn authority(
    records: &[KeyRecord],
    waiting: &KeyRecord,
    certificate: &X509Certificate<'_>,
    pool: &path::Pool<'_>,
    now: Timestamp,
) -> Result<Imported, ImportError> {
    let hierarchy = rotation::hierarchy(waiting.purpose).ok_or(ImportError::NoKey)?;
    let path = pool.climb(certificate)?;
    let (root, between) = path.split_last().ok_or(ImportError::NoKey)?;
    let longest = waiting
        .purpose
        .longest_signed()
        .map(ttl::Ttl::duration)
        .unwrap_or_default();
    let needed = NEW_ROOT_LEAD + longest + rotation::AUTHORITY_MARGIN * 2;
    check::authority(certificate, Rank::Issuing(hierarchy), now)?;
    check::lasts(certificate, now.plus(needed))?;
    check::names_itself(certificate)?;
    for (depth, above) in (1..).zip(between) {
        check::authority(above, Rank::Above(hierarchy, depth), now)?;
    }
    let depth = u32::try_from(between.len()).unwrap_or(u32::MAX);
    check::authority(root, Rank::Root(hierarchy, depth.saturating_add(1)), now)?;
    for above in &path {
        check::lasts(above, check::last_instant(certificate))?;
    }
    let root_record = root_record(hierarchy, root, now)?;
    let known =
        place::is_trusted(records, &root_record, now).map_err(|why| check::unfit(root, why))?;
    let held = records.iter().find(|record| record.id == root_record.id);
    let beyond = held.map_or(0, |root| root.chain.len());
    place::is_short(certificate, between.len() + beyond)?;
    let facts = facts(certificate)?;
    place::has_own_name(records, &waiting.id, &facts)
        .map_err(|why| check::unfit(certificate, why))?;
    let record = KeyRecord {
        state: KeyState::Prepared,
        created_at: now,
        not_after: Some(facts.until),
        certificate: Some(certificate.as_raw().to_vec()),
        chain: between
            .iter()
            .map(|above| above.as_raw().to_vec())
            .collect(),
        ..waiting.clone()
    };
    Ok(Imported::Authority {
        record: Box::new(record),
        root: (!known).then(|| Box::new(root_record)),
    })
}

/// The certificate by which others certify a root that is in use.
fn root_above(
    records: &[KeyRecord],
    root: &KeyRecord,
    certificate: &X509Certificate<'_>,
    pool: &path::Pool<'_>,
    now: Timestamp,
) -> Result<Imported, ImportError> {
    let hierarchy = place_of_root(root.purpose).ok_or(ImportError::NoKey)?;
    let own = root.certificate.as_deref().unwrap_or_default();
    let own = CaFacts::read(own).map_err(|_| ImportError::NoKey)?;
    check::authority(certificate, Rank::Crossed(hierarchy), now)?;
    let facts = facts(certificate)?;
    if facts.subject != own.subject {
        let problem = "its subject is not the root's, byte for byte; certify the request as it is";
        return Err(check::unfit(certificate, problem));
    }
    if facts.key_identifier != own.key_identifier {
        let problem = format!(
            "its subject key identifier is not the root's, which certificates name: {}",
            HEXLOWER.encode(&own.key_identifier)
        );
        return Err(check::unfit(certificate, problem));
    }
    let path = pool.climb(certificate)?;
    // The self-signed one at the end is for whoever trusts it to have; it is not presented.
    let between = path.iter().take(path.len().saturating_sub(1));
    let chain = std::iter::once(certificate).chain(between.copied());
    let record = KeyRecord {
        chain: chain.map(|above| above.as_raw().to_vec()).collect(),
        ..root.clone()
    };
    let beneath = records
        .iter()
        .filter(|other| other.purpose == hierarchy.issuing() && other.is_published(now));
    let between = beneath.map(|authority| authority.chain.len()).max();
    place::is_short(certificate, between.unwrap_or(0) + record.chain.len())?;
    Ok(if record == *root {
        Imported::Known(Box::new(record))
    } else {
        Imported::Root(Box::new(record))
    })
}

fn root_record(
    hierarchy: Hierarchy,
    root: &X509Certificate<'_>,
    now: Timestamp,
) -> Result<KeyRecord, ImportError> {
    let id = spki::key_id(root.public_key().raw)
        .map_err(|_| check::unfit(root, "its key is not P-256"))?;
    Ok(KeyRecord {
        id,
        purpose: hierarchy.root(),
        state: KeyState::Active,
        created_at: now,
        activate_at: None,
        activated_at: Some(now),
        retired_at: None,
        not_after: Some(facts(root)?.until),
        public: root.public_key().raw.to_vec(),
        certificate: Some(root.as_raw().to_vec()),
        chain: Vec::new(),
        crl: None,
        sealed: Vec::new(),
    })
}

fn facts(certificate: &X509Certificate<'_>) -> Result<CaFacts, ImportError> {
    CaFacts::read(certificate.as_raw()).map_err(|_| {
        check::unfit(
            certificate,
            "it has no subject key identifier, or is no authority's",
        )
    })
}

fn place_of_root(purpose: KeyPurpose) -> Option<Hierarchy> {
    Hierarchy::ALL
        .into_iter()
        .find(|hierarchy| hierarchy.root() == purpose)
}

/// Whether a text holds nothing but certificates and lists, for whoever reads a file before sending it.
pub fn is_public(text: &str) -> bool {
    sections(text).is_ok() && CertificateDer::pem_slice_iter(text.as_bytes()).all(|der| der.is_ok())
}

#[cfg(test)]
mod tests;
