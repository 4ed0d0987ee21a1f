//! Taking authorities that were published later, without trusting whoever publishes.
//!
//! The roots are those that the operator gave, and stay so: a root that is not one of them is never
//! taken, however it came. An issuing authority is taken if one that is trusted already signed it.
//! Nothing is taken away but what has expired.

use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use taskpass_core::Timestamp;
use webpki::EndEntityCert;
use x509_parser::prelude::X509Certificate;

use super::root::{is_self_issued, parse};
use super::{ALGORITHMS, Anchors, AnchorsError, MAX_ISSUING};

/// What came of authorities that were published.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Extended {
    /// Issuing authorities that were not known and are now.
    pub added: usize,
    /// Roots that are not trusted here. If the broker changed its root, the operator must replace the
    /// anchors that this verifier was given ([`Verifier::replace_anchors`]).
    ///
    /// [`Verifier::replace_anchors`]: crate::Verifier::replace_anchors
    pub strange_roots: usize,
    /// Other authorities that nobody who is trusted signed, or whose time is not now.
    pub strange_others: usize,
}

impl Anchors {
    /// These, and what `pem` adds to them at `now`.
    pub(crate) fn extended_by(
        &self,
        pem: &str,
        now: Timestamp,
    ) -> Result<(Self, Extended), AnchorsError> {
        let mut outcome = Extended::default();
        let mut candidates = Vec::new();
        for der in CertificateDer::pem_slice_iter(pem.as_bytes()) {
            let der = der.map_err(|_| AnchorsError::Malformed)?;
            let parsed = parse(&der)?;
            if is_self_issued(&parsed) {
                let trusted = self.roots.iter().any(|root| root.der == der);
                outcome.strange_roots += usize::from(!trusted);
            } else if !self.issuing.contains(&der) && !candidates.contains(&der) {
                candidates.push(der);
            }
            if candidates.len() > MAX_ISSUING {
                return Err(AnchorsError::TooMany);
            }
        }
        let mut all = Self {
            roots: self.roots.clone(),
            issuing: self.issuing.clone(),
        };
        all.issuing.retain(|der| !is_over(der, now));
        // In whatever order they stand: one may be signed by another.
        loop {
            let before = candidates.len();
            candidates.retain(|der| {
                let trusted = all.signed(der, now);
                if trusted {
                    all.issuing.push(der.clone());
                }
                !trusted
            });
            outcome.added += before - candidates.len();
            if candidates.len() == before {
                break;
            }
        }
        if all.issuing.len() > MAX_ISSUING {
            return Err(AnchorsError::TooMany);
        }
        outcome.strange_others = candidates.len();
        Ok((all, outcome))
    }

    /// Whether one of these signed an authority that is one now.
    fn signed(&self, der: &CertificateDer<'static>, now: Timestamp) -> bool {
        let Ok(parsed) = parse(der) else {
            return false;
        };
        let roots = self.roots.iter().filter(|root| root.is_valid_at(now));
        let mut above = roots.map(|root| &root.der).chain(&self.issuing);
        is_authority(&parsed, now) && above.any(|above| has_signed(above, &parsed, now))
    }
}

fn is_over(der: &CertificateDer<'static>, now: Timestamp) -> bool {
    parse(der).is_ok_and(|parsed| now.secs() > seconds(parsed.validity().not_after.timestamp()))
}

fn seconds(secs: i64) -> u64 {
    u64::try_from(secs).unwrap_or(0)
}

/// Whether it may sign certificates now.
fn is_authority(certificate: &X509Certificate<'_>, now: Timestamp) -> bool {
    let constraints = certificate.basic_constraints().ok().flatten();
    let usage = certificate.key_usage().ok().flatten();
    let validity = certificate.validity();
    constraints.is_some_and(|constraints| constraints.value.ca)
        && usage.is_some_and(|usage| usage.value.key_cert_sign())
        && seconds(validity.not_before.timestamp()) <= now.secs()
        && now.secs() <= seconds(validity.not_after.timestamp())
}

fn has_signed(
    above: &CertificateDer<'static>,
    certificate: &X509Certificate<'_>,
    now: Timestamp,
) -> bool {
    parse(above).is_ok_and(|issuer| {
        issuer.subject().as_raw() == certificate.issuer().as_raw() && is_authority(&issuer, now)
    }) && verifies(
        above,
        certificate.tbs_certificate.as_ref(),
        &certificate.signature_value.data,
    )
}

/// Whether the key of `authority` signed `message`, by an algorithm that is accepted.
pub(in crate::certificate) fn verifies(
    authority: &CertificateDer<'_>,
    message: &[u8],
    signature: &[u8],
) -> bool {
    EndEntityCert::try_from(authority).is_ok_and(|key| {
        ALGORITHMS
            .iter()
            .any(|algorithm| key.verify_signature(*algorithm, message, signature).is_ok())
    })
}
