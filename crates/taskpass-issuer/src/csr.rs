//! What a request to certify a key (PKCS#10, RFC 2986) may say: a key, and nothing it has no right to.
//!
//! Only the public key is ever taken from a request. A request that asks for more than the
//! certificate will say is refused all the same, and the refusal names the field: whoever asked for
//! it would otherwise believe to have got it. The subject is not looked at, because common tools
//! cannot leave it out. A [`CsrKey`] exists only after its holder's signature was checked.

mod extensions;

use ring::signature::{ECDSA_P256_SHA256_ASN1, UnparsedPublicKey};
use taskpass_core::key::KeyId;
use taskpass_core::secret::Sha256;
use taskpass_core::spiffe::SpiffeId;
use taskpass_token::{Jwk, PublicKey, spki};
use x509_parser::prelude::{FromDer as _, X509CertificationRequest, X509Version};
use x509_parser::public_key::PublicKey as ForeignKey;
use x509_parser::x509::SubjectPublicKeyInfo;

use crate::pem;

/// The longest request that is looked at.
pub const MAX_CSR_LEN: usize = 8 * 1024;

/// AlgorithmIdentifier of ecdsa-with-SHA256 and of Ed25519: without parameters, in DER.
const ECDSA_WITH_SHA256: &[u8] = &[
    0x30, 0x0a, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02,
];
const ED25519: &[u8] = &[0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70];
const PEM_LABELS: [&str; 2] = ["CERTIFICATE REQUEST", "NEW CERTIFICATE REQUEST"];

/// A request was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CsrError {
    /// Longer than [`MAX_CSR_LEN`].
    #[error("the request is longer than {MAX_CSR_LEN} bytes")]
    TooLong,
    /// Neither DER nor PEM of one PKCS#10 request, version 1.
    #[error("not a PKCS#10 request in DER or PEM")]
    Malformed,
    /// The key is neither P-256 nor Ed25519.
    #[error("subjectPublicKeyInfo: {found} is not accepted; use P-256 or Ed25519")]
    UnsupportedKey {
        /// What it is.
        found: String,
    },
    /// The signature's algorithm is not the one of the key.
    #[error("signatureAlgorithm: not the one for this key, or not in DER")]
    SignatureAlgorithm,
    /// The request is not signed with the key that it names.
    #[error("signature: the request is not signed with its own key")]
    BadSignature,
    /// It asks to become an authority.
    #[error("basicConstraints: an authority (CA:TRUE) is not certified here")]
    Authority,
    /// It asks for names other than its own.
    #[error("subjectAltName: only the URI `{expected}` may be asked for, or nothing")]
    Names {
        /// The one name that it will get.
        expected: SpiffeId,
    },
    /// It asks for a use of the key beyond signatures.
    #[error("keyUsage: only digitalSignature may be asked for")]
    KeyUsage,
    /// It asks for a purpose beyond client authentication.
    #[error("extendedKeyUsage: only clientAuth may be asked for")]
    ExtendedKeyUsage,
    /// It asks for an extension that is not known, or malformed.
    #[error("extension {oid}: not one that may be asked for")]
    Extension {
        /// Which.
        oid: String,
    },
    /// It has an attribute that is not known, or malformed.
    #[error("attribute {oid}: not one that a request may have")]
    Attribute {
        /// Which.
        oid: String,
    },
}

impl CsrError {
    /// The field of the request that was refused.
    pub const fn field(&self) -> &'static str {
        match self {
            Self::TooLong | Self::Malformed => "csr",
            Self::UnsupportedKey { .. } => "csr.subject_public_key_info",
            Self::SignatureAlgorithm => "csr.signature_algorithm",
            Self::BadSignature => "csr.signature",
            Self::Authority => "csr.basic_constraints",
            Self::Names { .. } => "csr.subject_alt_name",
            Self::KeyUsage => "csr.key_usage",
            Self::ExtendedKeyUsage => "csr.extended_key_usage",
            Self::Extension { .. } => "csr.extensions",
            Self::Attribute { .. } => "csr.attributes",
        }
    }
}

/// A public key whose holder proved to have its private half.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CsrKey(PublicKey);

impl CsrKey {
    /// Reads a request, in DER or PEM, of the holder whose certificate will say `expected`.
    pub fn from_request(request: &[u8], expected: &SpiffeId) -> Result<Self, CsrError> {
        if request.len() > MAX_CSR_LEN {
            return Err(CsrError::TooLong);
        }
        if pem::looks_like(request) {
            let der = pem::decode(request, &PEM_LABELS).ok_or(CsrError::Malformed)?;
            from_der(&der, expected)
        } else {
            from_der(request, expected)
        }
    }

    /// The public key.
    pub fn public_key(&self) -> &PublicKey {
        &self.0
    }

    /// The public key as SubjectPublicKeyInfo.
    pub fn spki(&self) -> Vec<u8> {
        spki::to_der(&self.0)
    }

    /// SHA-256 of the SubjectPublicKeyInfo: by which an identity line knows the key.
    pub fn digest(&self) -> Sha256 {
        Sha256::of(&self.spki())
    }

    /// The key's thumbprint.
    pub fn id(&self) -> KeyId {
        Jwk::new(self.0.clone()).id().clone()
    }
}

impl rcgen::PublicKeyData for CsrKey {
    fn der_bytes(&self) -> &[u8] {
        match &self.0 {
            PublicKey::P256(point) => point,
            PublicKey::Ed25519(key) => key.as_bytes(),
        }
    }

    fn algorithm(&self) -> &'static rcgen::SignatureAlgorithm {
        match &self.0 {
            PublicKey::P256(_) => &rcgen::PKCS_ECDSA_P256_SHA256,
            PublicKey::Ed25519(_) => &rcgen::PKCS_ED25519,
        }
    }
}

fn from_der(der: &[u8], expected: &SpiffeId) -> Result<CsrKey, CsrError> {
    let (rest, request) =
        X509CertificationRequest::from_der(der).map_err(|_| CsrError::Malformed)?;
    let info = &request.certification_request_info;
    let is_sequence = der.first() == Some(&0x30);
    if !is_sequence || !rest.is_empty() || info.version != X509Version::V1 {
        return Err(CsrError::Malformed);
    }
    let key = public_key(&info.subject_pki)?;
    check_signature(der, &request, &key)?;
    extensions::check(info, expected)?;
    Ok(CsrKey(key))
}

fn public_key(info: &SubjectPublicKeyInfo<'_>) -> Result<PublicKey, CsrError> {
    spki::from_der(info.raw).map_err(|_| CsrError::UnsupportedKey {
        found: match info.parsed() {
            Ok(ForeignKey::RSA(key)) => format!("RSA of {} bits", key.key_size()),
            Ok(ForeignKey::EC(point)) => format!("an EC key of {} bits", point.key_size()),
            _ => format!("a key of algorithm {}", info.algorithm.algorithm),
        },
    })
}

/// The signature over the request info, and the encoding of what stands behind the info: the
/// parser is lenient there, and no signature covers it.
fn check_signature(
    der: &[u8],
    request: &X509CertificationRequest<'_>,
    key: &PublicKey,
) -> Result<(), CsrError> {
    let signature = request.signature_value.data.as_ref();
    let message = request.certification_request_info.raw;
    let algorithm = match key {
        PublicKey::P256(_) => ECDSA_WITH_SHA256,
        PublicKey::Ed25519(_) => ED25519,
    };
    // No signature of either kind needs a length of more than one byte, or has unused bits.
    let length = u8::try_from(signature.len() + 1).map_err(|_| CsrError::SignatureAlgorithm)?;
    let behind = [algorithm, &[0x03, length, 0], signature].concat();
    if !der.ends_with(&[message, &behind].concat()) {
        return Err(CsrError::SignatureAlgorithm);
    }
    match key {
        PublicKey::P256(point) => UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, point)
            .verify(message, signature)
            .map_err(|_| CsrError::BadSignature),
        PublicKey::Ed25519(_) => Jwk::new(key.clone())
            .verify(message, signature)
            .map_err(|_| CsrError::BadSignature),
    }
}

#[cfg(test)]
pub(crate) mod tests;
