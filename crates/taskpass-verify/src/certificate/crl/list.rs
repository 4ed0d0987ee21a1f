//! One revocation list: who signed it, what it speaks of, and until when.

use taskpass_core::key::KeyId;
use taskpass_core::{Timestamp, ttl};
use webpki::{CertRevocationList, OwnedCertRevocationList};
use x509_parser::extensions::{DistributionPointName, GeneralName, ParsedExtension};
use x509_parser::prelude::{CertificateRevocationList, FromDer as _, X509Certificate};

use crate::certificate::Anchors;
use crate::certificate::anchors::{authority_id, verifies};

/// The largest list that is looked at.
const MAX_LEN: usize = 16 * 1024 * 1024;

/// A revocation list was not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CrlError {
    /// Not the DER of a complete list with a number and a next update, or with something critical
    /// that is not known.
    #[error("not a revocation list that can be read")]
    Malformed,
    /// None of our authorities signed it, or the one that did may not.
    #[error("no trusted authority of the task hierarchy signed the list")]
    Untrusted,
    /// It begins in the future.
    #[error("the list is not valid yet")]
    NotYetValid,
    /// It is over.
    #[error("the list is over")]
    Over,
    /// A newer one of the same scope is there.
    #[error("a newer list of the same scope is known")]
    Older,
}

#[derive(Debug)]
pub(crate) struct List {
    crl: CertRevocationList<'static>,
    signer: KeyId,
    /// `cRLNumber`, without leading zeros.
    number: Vec<u8>,
    next_update: Timestamp,
}

impl List {
    pub(super) fn read(der: &[u8], anchors: &Anchors, now: Timestamp) -> Result<Self, CrlError> {
        if der.len() > MAX_LEN {
            return Err(CrlError::Malformed);
        }
        // Twice: one of the parsers refuses what it does not know, the other one tells more.
        let crl = OwnedCertRevocationList::from_der(der).map_err(|_| CrlError::Malformed)?;
        let (rest, parsed) =
            CertificateRevocationList::from_der(der).map_err(|_| CrlError::Malformed)?;
        let next_update = parsed.next_update().ok_or(CrlError::Malformed)?.timestamp();
        let number = parsed.crl_number().ok_or(CrlError::Malformed)?;
        if !rest.is_empty() {
            return Err(CrlError::Malformed);
        }
        let signer = signer(&parsed, anchors).ok_or(CrlError::Untrusted)?;
        let instant = |secs: i64| Timestamp::from_secs(u64::try_from(secs).unwrap_or(0));
        let list = Self {
            crl: crl.into(),
            signer,
            number: number.to_bytes_be(),
            next_update: instant(next_update),
        };
        let begins = instant(parsed.last_update().timestamp());
        if begins > now.plus(ttl::CLOCK_SKEW) {
            return Err(CrlError::NotYetValid);
        }
        if now >= list.next_update {
            return Err(CrlError::Over);
        }
        Ok(list)
    }

    pub(crate) fn crl(&self) -> &CertRevocationList<'static> {
        &self.crl
    }

    pub(crate) fn signer(&self) -> &KeyId {
        &self.signer
    }

    pub(super) fn next_update(&self) -> Timestamp {
        self.next_update
    }

    fn has_scope_of(&self, other: &Self) -> bool {
        self.signer == other.signer
            && self.crl.issuing_distribution_point() == other.crl.issuing_distribution_point()
    }

    /// Whether `other` is of the same scope and came before this one.
    pub(super) fn is_newer_than(&self, other: &Self) -> bool {
        let (own, others) = (&self.number, &other.number);
        self.has_scope_of(other) && (own.len(), own) > (others.len(), others)
    }

    pub(super) fn is_replaced_by(&self, other: &Self) -> bool {
        self.has_scope_of(other)
    }

    /// Whether it is so old that no certificate that it speaks of can be valid. Until then an old
    /// list stays, so that it is its age that is told.
    pub(super) fn is_long_over(&self, now: Timestamp) -> bool {
        let day = ttl::MAX_CERTIFICATE_TTL.duration();
        now >= self.next_update.plus(day)
    }
}

/// The authority that signed the list.
fn signer(list: &CertificateRevocationList<'_>, anchors: &Anchors) -> Option<KeyId> {
    anchors.authorities().find_map(|der| {
        let (_, authority) = X509Certificate::from_der(der).ok()?;
        if authority.subject().as_raw() != list.issuer().as_raw() {
            return None;
        }
        let usage = authority.key_usage().ok()??;
        if !usage.value.crl_sign() {
            return None;
        }
        let signed = list.tbs_cert_list.as_ref();
        verifies(der, signed, &list.signature_value.data)
            .then(|| authority_id(authority.public_key().raw))
    })
}

/// Whether a certificate names, in one place and by one URI, the list that speaks of it. Of one that
/// names none, every list of its issuer would seem to speak.
pub(super) fn names_its_list(der: &[u8]) -> bool {
    let Ok((_, certificate)) = X509Certificate::from_der(der) else {
        return false;
    };
    let mut points = certificate.extensions().iter().filter_map(|extension| {
        match extension.parsed_extension() {
            ParsedExtension::CRLDistributionPoints(points) => Some(points),
            _ => None,
        }
    });
    let (Some(points), None) = (points.next(), points.next()) else {
        return false;
    };
    let [point] = points.points.as_slice() else {
        return false;
    };
    let Some(DistributionPointName::FullName(names)) = &point.distribution_point else {
        return false;
    };
    point.reasons.is_none()
        && point.crl_issuer.is_none()
        && matches!(names.as_slice(), [GeneralName::URI(_)])
}
