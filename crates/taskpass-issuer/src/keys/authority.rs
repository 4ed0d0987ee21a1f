//! The open key of an authority: P-256, signing in the form that X.509 has.

use ring::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _};
use taskpass_token::PublicKey;

use super::KeyError;
use crate::random;

/// Signs certificates and CRLs through rcgen, which never sees the private half.
pub(crate) struct AuthorityKey(EcdsaKeyPair);

impl AuthorityKey {
    /// Reads PKCS#8 of a P-256 key.
    pub(crate) fn from_private(pkcs8: &[u8]) -> Result<Self, KeyError> {
        let kind = &ECDSA_P256_SHA256_ASN1_SIGNING;
        EcdsaKeyPair::from_pkcs8(kind, pkcs8, &random::source())
            .map(Self)
            .map_err(|_| KeyError::Rejected)
    }

    /// The public half.
    pub(crate) fn public(&self) -> Result<PublicKey, KeyError> {
        PublicKey::from_point(self.0.public_key().as_ref()).map_err(|_| KeyError::Rejected)
    }
}

impl rcgen::PublicKeyData for AuthorityKey {
    fn der_bytes(&self) -> &[u8] {
        self.0.public_key().as_ref()
    }

    fn algorithm(&self) -> &'static rcgen::SignatureAlgorithm {
        &rcgen::PKCS_ECDSA_P256_SHA256
    }
}

impl rcgen::SigningKey for AuthorityKey {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        self.0
            .sign(&random::source(), message)
            .map(|signature| signature.as_ref().to_vec())
            .map_err(|_| rcgen::Error::RingUnspecified)
    }
}
