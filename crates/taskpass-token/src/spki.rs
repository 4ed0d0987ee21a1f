//! Public keys as they stand in certificates: SubjectPublicKeyInfo (RFC 5280 §4.1.2.7) in DER.
//!
//! Two encodings exist here, one per kind of key, each with a fixed prefix (RFC 5480, RFC 8410).
//! Whatever differs by one byte is refused, so a key has one encoding and one id.

use taskpass_core::key::KeyId;

use crate::jwk::{Jwk, JwkError, PublicKey};

/// SEQUENCE { SEQUENCE { id-ecPublicKey, prime256v1 }, BIT STRING of 65 bytes }.
const P256_PREFIX: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a,
    0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];

/// SEQUENCE { SEQUENCE { id-Ed25519 }, BIT STRING of 32 bytes }.
const ED25519_PREFIX: [u8; 12] = [
    0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00,
];

/// A SubjectPublicKeyInfo cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SpkiError {
    /// Neither P-256 with an uncompressed point nor Ed25519.
    #[error("neither a P-256 nor an Ed25519 public key in its canonical encoding")]
    Unsupported,
    /// The right kind, but no usable key.
    #[error("no usable public key")]
    Key(#[from] JwkError),
}

/// The key as SubjectPublicKeyInfo.
pub fn to_der(key: &PublicKey) -> Vec<u8> {
    match key {
        PublicKey::P256(point) => [&P256_PREFIX[..], point].concat(),
        PublicKey::Ed25519(key) => [&ED25519_PREFIX[..], key.as_bytes()].concat(),
    }
}

/// Reads what [`to_der`] makes, and nothing else.
pub fn from_der(der: &[u8]) -> Result<PublicKey, SpkiError> {
    if let Some(point) = der.strip_prefix(&P256_PREFIX) {
        Ok(PublicKey::from_point(point)?)
    } else if let Some(bytes) = der.strip_prefix(&ED25519_PREFIX) {
        Ok(PublicKey::from_ed25519(bytes)?)
    } else {
        Err(SpkiError::Unsupported)
    }
}

/// The id of a certificate's key: the thumbprint of the same key as a JWK.
pub fn key_id(der: &[u8]) -> Result<KeyId, SpkiError> {
    Ok(Jwk::new(from_der(der)?).id().clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jwk::tests::{ed25519, p256};

    #[test]
    fn both_kinds_read_back() {
        for key in [p256(), ed25519()] {
            let der = to_der(&key);
            assert_eq!(from_der(&der), Ok(key.clone()));
            assert_eq!(key_id(&der).as_ref(), Ok(Jwk::new(key).id()));
        }
    }

    #[test]
    fn every_other_encoding_is_refused() {
        for key in [p256(), ed25519()] {
            let der = to_der(&key);
            let mut longer = der.clone();
            longer.push(0);
            assert!(from_der(&longer).is_err());
            assert!(from_der(&der[..der.len() - 1]).is_err());
            let prefix = der.len() - if der.len() > 60 { 65 } else { 32 };
            for place in 0..prefix {
                let mut changed = der.clone();
                changed[place] ^= 1;
                assert_eq!(from_der(&changed), Err(SpkiError::Unsupported), "{place}");
            }
        }
        assert_eq!(from_der(&[]), Err(SpkiError::Unsupported));
    }
}
