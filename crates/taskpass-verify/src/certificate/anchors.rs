//! The roots of the Task hierarchy, and the path from a certificate to one of them.
//!
//! The file that the broker publishes holds roots and issuing authorities. Only roots are trusted by
//! themselves; the others help to build paths when a peer sends its certificate alone, so that every
//! path shows its root, and a tainted root ends what is below it.
//!
//! What issues to tasks has a P-256 key, as the broker's authorities have. What stands above that, the
//! broker's own root or a company's, may also have a P-384 key or an RSA key of 2048 to 8192 bits.

mod extend;
mod root;

use std::sync::Arc;
use std::time::Duration;

use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, SignatureVerificationAlgorithm, TrustAnchor, UnixTime};
use taskpass_core::Timestamp;
use taskpass_core::key::KeyId;
use taskpass_core::secret::Sha256;
use taskpass_core::spiffe::TrustDomain;
use taskpass_token::{PublicKey, spki};
use webpki::{
    EndEntityCert, Error as PathError, ExpirationPolicy, KeyUsage, RevocationCheckDepth,
    RevocationOptions, RevocationOptionsBuilder, UnknownStatusPolicy, VerifiedPath,
};

use super::crl::List;
use super::{CertificateError, VerifiedCertificate, shape};
use crate::refusal::Refusal;

use root::Root;

pub use extend::Extended;

pub(super) use extend::verifies;
pub(super) use root::authority_id;

/// What may sign in a path: an authority of ours, or one above it.
static ALGORITHMS: &[&dyn SignatureVerificationAlgorithm] = &[
    webpki::ring::ECDSA_P256_SHA256,
    webpki::ring::ECDSA_P384_SHA256,
    webpki::ring::ECDSA_P384_SHA384,
    webpki::ring::RSA_PKCS1_2048_8192_SHA256,
    webpki::ring::RSA_PKCS1_2048_8192_SHA384,
    webpki::ring::RSA_PKCS1_2048_8192_SHA512,
];

/// The most certificates that are looked at beside the leaf.
const MAX_INTERMEDIATES: usize = 4;

/// Anchors cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AnchorsError {
    /// Not PEM, or something in it is no certificate.
    #[error("not certificates in PEM")]
    Malformed,
    /// No self-issued authority among them.
    #[error("no root certificate among them")]
    NoRoot,
    /// A root's key is of another kind.
    #[error("a root's key is neither P-256, P-384 nor RSA of 2048 to 8192 bits")]
    Key,
    /// More certificates than a hierarchy has.
    #[error("more than {MAX_ISSUING} authorities")]
    TooMany,
}

/// The most authorities beside the roots that are kept.
const MAX_ISSUING: usize = 32;

#[derive(Debug)]
pub(crate) struct Anchors {
    roots: Vec<Root>,
    issuing: Vec<CertificateDer<'static>>,
}

impl Anchors {
    pub(crate) fn from_pem(pem: &str) -> Result<Self, AnchorsError> {
        let mut all = Self {
            roots: Vec::new(),
            issuing: Vec::new(),
        };
        for der in CertificateDer::pem_slice_iter(pem.as_bytes()) {
            let der = der.map_err(|_| AnchorsError::Malformed)?;
            match Root::read(&der)? {
                Some(root) => all.roots.push(root),
                None => all.issuing.push(der),
            }
        }
        if all.issuing.len() > MAX_ISSUING {
            return Err(AnchorsError::TooMany);
        }
        if all.roots.is_empty() {
            return Err(AnchorsError::NoRoot);
        }
        Ok(all)
    }

    /// Whether that root is one of them.
    pub(crate) fn trusts(&self, root: &KeyId) -> bool {
        self.roots.iter().any(|own| own.key == *root)
    }

    /// Chain and shape of a certificate.
    pub(crate) fn verify(
        &self,
        leaf: &[u8],
        intermediates: &[&[u8]],
        trust_domain: &TrustDomain,
        now: Timestamp,
    ) -> Result<VerifiedCertificate, CertificateError> {
        if intermediates.len() > MAX_INTERMEDIATES {
            return Err(CertificateError::Path);
        }
        let material = self.material(intermediates, now);
        let der = CertificateDer::from(leaf);
        let end = EndEntityCert::try_from(&der).map_err(|error| of_path(&error))?;
        let path = material.path(&end, None).map_err(|error| of_path(&error))?;
        let (issuer, authorities, root) = keys_of(&path)?;
        Ok(VerifiedCertificate {
            claims: shape::read(leaf, trust_domain, now)?,
            digest: Sha256::of(leaf),
            issuer,
            authorities,
            root,
            trust_domain: trust_domain.clone(),
        })
    }

    /// Whether the lists, all of them of authorities in the certificate's path, vouch for every step
    /// of it now.
    pub(super) fn check_lists(
        &self,
        leaf: &[u8],
        intermediates: &[&[u8]],
        lists: &[Arc<List>],
        now: Timestamp,
    ) -> Result<(), Refusal> {
        let lists: Vec<_> = lists.iter().map(|list| list.crl()).collect();
        let lists = RevocationOptionsBuilder::new(&lists)
            .map_err(|_| Refusal::NotListed)?
            .with_depth(RevocationCheckDepth::Chain)
            .with_status_policy(UnknownStatusPolicy::Deny)
            .with_expiration_policy(ExpirationPolicy::Enforce)
            .build();
        let material = self.material(intermediates, now);
        let der = CertificateDer::from(leaf);
        let unreadable = |error| Refusal::Certificate(of_path(&error));
        let end = EndEntityCert::try_from(&der).map_err(unreadable)?;
        match material.path(&end, Some(lists)) {
            Ok(_) => Ok(()),
            Err(PathError::CertRevoked) => Err(Refusal::Listed),
            Err(PathError::UnknownRevocationStatus) => Err(Refusal::NotListed),
            Err(PathError::CrlExpired { .. }) => Err(Refusal::ListStale),
            Err(error) => Err(unreadable(error)),
        }
    }

    /// The certificates of every authority that we know.
    pub(super) fn authorities(&self) -> impl Iterator<Item = &CertificateDer<'static>> {
        let roots = self.roots.iter().map(|root| &root.der);
        roots.chain(&self.issuing)
    }

    /// What a path can be built of.
    fn material<'a>(&'a self, intermediates: &'a [&'a [u8]], now: Timestamp) -> Material<'a> {
        let sent = intermediates.iter().map(|der| CertificateDer::from(*der));
        // A path library believes an anchor for ever; a root's own end is looked at here, because the
        // rule that would distrust its key is forgotten then.
        let roots = self.roots.iter().filter(|root| root.is_valid_at(now));
        Material {
            chain: sent.chain(self.issuing.iter().cloned()).collect(),
            roots: roots.map(|root| root.anchor.clone()).collect(),
            time: UnixTime::since_unix_epoch(Duration::from_secs(now.secs())),
        }
    }
}

struct Material<'a> {
    chain: Vec<CertificateDer<'a>>,
    roots: Vec<TrustAnchor<'static>>,
    time: UnixTime,
}

impl Material<'_> {
    fn path<'p>(
        &'p self,
        end: &'p EndEntityCert<'p>,
        lists: Option<RevocationOptions<'_>>,
    ) -> Result<VerifiedPath<'p>, PathError> {
        let usage = KeyUsage::client_auth();
        end.verify_for_usage(
            ALGORITHMS,
            &self.roots,
            &self.chain,
            self.time,
            usage,
            lists,
            None,
        )
    }
}

/// The key that signed the leaf, the keys above that one, and the root's.
fn keys_of(path: &VerifiedPath<'_>) -> Result<(KeyId, Vec<KeyId>, KeyId), CertificateError> {
    let root = authority_id(&webpki::spki_for_anchor(path.anchor()));
    let issuer = path.issuer_spki();
    // What issues to tasks is the broker's, whatever stands above it.
    if !matches!(spki::from_der(&issuer), Ok(PublicKey::P256(_))) {
        return Err(CertificateError::Signature);
    }
    let mut authorities = vec![root.clone()];
    for authority in path.intermediate_certificates().skip(1) {
        authorities.push(authority_id(&authority.subject_public_key_info()));
    }
    Ok((authority_id(&issuer), authorities, root))
}

fn of_path(error: &PathError) -> CertificateError {
    match error {
        PathError::UnknownIssuer => CertificateError::Untrusted,
        PathError::CertExpired { .. } => CertificateError::Expired,
        PathError::CertNotValidYet { .. } => CertificateError::NotYetValid,
        PathError::EndEntityUsedAsCa => CertificateError::NotAnAuthority,
        PathError::CaUsedAsEndEntity => CertificateError::IsAnAuthority,
        PathError::RequiredEkuNotFoundContext(_) => CertificateError::Usage,
        PathError::InvalidSignatureForPublicKey
        | PathError::UnsupportedSignatureAlgorithmContext(_)
        | PathError::UnsupportedSignatureAlgorithmForPublicKeyContext(_)
        | PathError::SignatureAlgorithmMismatch => CertificateError::Signature,
        PathError::PathLenConstraintViolated
        | PathError::NameConstraintViolation
        | PathError::IssuerNotCrlSigner
        | PathError::MaximumPathDepthExceeded
        | PathError::MaximumPathBuildCallsExceeded
        | PathError::MaximumSignatureChecksExceeded
        | PathError::MaximumNameConstraintComparisonsExceeded => CertificateError::Path,
        _ => CertificateError::Malformed,
    }
}

#[cfg(test)]
mod tests;
