//! Private keys, open: made, read back, signing.
//!
//! P-256 through ring (its own nonces), Ed25519 through ed25519-dalek (no nonces). A private key is
//! kept and sealed as PKCS#8 for P-256, as the 32-byte seed for Ed25519.

mod authority;

use ed25519_dalek::Signer as _;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use taskpass_core::access::TokenAlg;
use taskpass_core::key::KeyPurpose;
use taskpass_token::PublicKey;
use zeroize::Zeroizing;

use crate::random::{self, RandomError};

pub(crate) use authority::AuthorityKey;

/// A private key could not be made, or stored bytes are none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// No randomness.
    #[error("no key could be drawn")]
    Random(#[from] RandomError),
    /// Not a private key of the expected kind.
    #[error("the bytes are no private key of the expected kind")]
    Rejected,
}

/// A signature could not be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the signature could not be made")]
pub struct SignatureError;

/// A fresh private key, in the form that is sealed, with its public half.
pub(crate) fn generate(alg: TokenAlg) -> Result<(Zeroizing<Vec<u8>>, PublicKey), KeyError> {
    let private = match alg {
        TokenAlg::Es256 => {
            let kind = &ECDSA_P256_SHA256_FIXED_SIGNING;
            let pkcs8 = EcdsaKeyPair::generate_pkcs8(kind, &random::source())
                .map_err(|_| KeyError::Random(RandomError))?;
            Zeroizing::new(pkcs8.as_ref().to_vec())
        }
        TokenAlg::EdDsa => {
            let seed = Zeroizing::new(random::bytes::<32>()?);
            Zeroizing::new(seed.to_vec())
        }
    };
    let public = SigningKey::from_private(alg, &private)?.public()?;
    Ok((private, public))
}

/// The kind of key that a purpose takes. Authorities are P-256, which every TLS stack accepts.
pub(crate) const fn kind(purpose: KeyPurpose) -> TokenAlg {
    match purpose {
        KeyPurpose::TokenEs256
        | KeyPurpose::ControlRoot
        | KeyPurpose::ControlIssuing
        | KeyPurpose::TaskRoot
        | KeyPurpose::TaskIssuing => TokenAlg::Es256,
        KeyPurpose::TokenEdDsa | KeyPurpose::LogCheckpoint | KeyPurpose::Feed => TokenAlg::EdDsa,
    }
}

/// An open key that signs tokens, heartbeats or checkpoints.
pub(crate) enum SigningKey {
    P256(Box<EcdsaKeyPair>),
    Ed25519(Box<ed25519_dalek::SigningKey>),
}

impl SigningKey {
    /// Reads what [`generate`] made.
    pub(crate) fn from_private(alg: TokenAlg, private: &[u8]) -> Result<Self, KeyError> {
        match alg {
            TokenAlg::Es256 => {
                let kind = &ECDSA_P256_SHA256_FIXED_SIGNING;
                EcdsaKeyPair::from_pkcs8(kind, private, &random::source())
                    .map(|pair| Self::P256(Box::new(pair)))
                    .map_err(|_| KeyError::Rejected)
            }
            TokenAlg::EdDsa => {
                let seed = private.try_into().map_err(|_| KeyError::Rejected)?;
                let key = ed25519_dalek::SigningKey::from_bytes(seed);
                Ok(Self::Ed25519(Box::new(key)))
            }
        }
    }

    /// The public half.
    pub(crate) fn public(&self) -> Result<PublicKey, KeyError> {
        match self {
            Self::P256(pair) => {
                PublicKey::from_point(pair.public_key().as_ref()).map_err(|_| KeyError::Rejected)
            }
            Self::Ed25519(key) => Ok(PublicKey::Ed25519(key.verifying_key())),
        }
    }

    /// A signature as JWS has it: `r ‖ s`, or Ed25519's 64 bytes.
    pub(crate) fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignatureError> {
        match self {
            Self::P256(pair) => pair
                .sign(&random::source(), message)
                .map(|signature| signature.as_ref().to_vec())
                .map_err(|_| SignatureError),
            Self::Ed25519(key) => Ok(key.sign(message).to_vec()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use taskpass_token::Jwk;

    #[test]
    fn both_kinds_sign_what_their_public_half_accepts() {
        for alg in [TokenAlg::Es256, TokenAlg::EdDsa] {
            let (private, public) = generate(alg).unwrap();
            let key = SigningKey::from_private(alg, &private).unwrap();
            let jwk = Jwk::new(public);
            let signature = key.sign(b"message").unwrap();
            assert_eq!(signature.len(), 64);
            assert_eq!(jwk.verify(b"message", &signature), Ok(()));
            assert!(jwk.verify(b"another", &signature).is_err());
            let (_, other) = generate(alg).unwrap();
            assert_ne!(jwk.key(), &other);
            assert!(SigningKey::from_private(alg, &private[1..]).is_err());
        }
    }
}
