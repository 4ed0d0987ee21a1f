//! A root that is trusted by itself, and what an authority's key is called.

use std::time::Duration;

use rustls_pki_types::{CertificateDer, TrustAnchor};
use taskpass_core::Timestamp;
use taskpass_core::key::KeyId;
use taskpass_core::secret::Sha256;
use taskpass_token::{PublicKey as OurKey, spki};
use x509_parser::der_parser::{Oid, oid};
use x509_parser::prelude::{FromDer as _, X509Certificate};
use x509_parser::public_key::PublicKey;

use super::AnchorsError;

const SECP384R1: Oid<'static> = oid!(1.3.132.0.34);

#[derive(Debug, Clone)]
pub(super) struct Root {
    pub(super) der: CertificateDer<'static>,
    pub(super) anchor: TrustAnchor<'static>,
    pub(super) key: KeyId,
    pub(super) not_before: Timestamp,
    pub(super) not_after: Timestamp,
}

impl Root {
    /// A root, or `None` if another authority issued it.
    pub(super) fn read(der: &CertificateDer<'static>) -> Result<Option<Self>, AnchorsError> {
        let parsed = parse(der)?;
        if !is_self_issued(&parsed) {
            return Ok(None);
        }
        let anchor = webpki::anchor_from_trusted_cert(der).map_err(|_| AnchorsError::Malformed)?;
        if !may_be_a_root(&parsed) {
            return Err(AnchorsError::Key);
        }
        let instant = |secs: i64| Timestamp::from_secs(u64::try_from(secs).unwrap_or(0));
        Ok(Some(Self {
            key: authority_id(&webpki::spki_for_anchor(&anchor)),
            not_before: instant(parsed.validity().not_before.timestamp()),
            // The whole of the last second counts.
            not_after: instant(parsed.validity().not_after.timestamp())
                .plus(Duration::from_millis(999)),
            anchor: anchor.to_owned(),
            der: der.clone(),
        }))
    }

    pub(super) fn is_valid_at(&self, now: Timestamp) -> bool {
        self.not_before <= now && now <= self.not_after
    }
}

/// One certificate and nothing after it.
pub(super) fn parse<'d>(der: &'d CertificateDer<'_>) -> Result<X509Certificate<'d>, AnchorsError> {
    let (rest, parsed) = X509Certificate::from_der(der).map_err(|_| AnchorsError::Malformed)?;
    if rest.is_empty() {
        Ok(parsed)
    } else {
        Err(AnchorsError::Malformed)
    }
}

pub(super) fn is_self_issued(certificate: &X509Certificate<'_>) -> bool {
    certificate.subject().as_raw() == certificate.issuer().as_raw()
}

/// Whether signatures by its key are accepted.
fn may_be_a_root(certificate: &X509Certificate<'_>) -> bool {
    let key = certificate.public_key();
    match spki::from_der(key.raw) {
        Ok(OurKey::P256(_)) => return true,
        Ok(OurKey::Ed25519(_)) => return false,
        Err(_) => {}
    }
    match key.parsed() {
        Ok(PublicKey::RSA(rsa)) => (2048..=8192).contains(&rsa.key_size()),
        Ok(PublicKey::EC(_)) => {
            let curve = key.algorithm.parameters.as_ref();
            curve.and_then(|curve| curve.as_oid().ok()) == Some(SECP384R1)
        }
        _ => false,
    }
}

/// The id of an authority's key. The broker's have the id that its rules name them by; any other key
/// has the hash of its encoding, which no rule names.
pub(in crate::certificate) fn authority_id(key: &[u8]) -> KeyId {
    spki::key_id(key).unwrap_or_else(|_| KeyId::from_thumbprint(Sha256::of(key)))
}
