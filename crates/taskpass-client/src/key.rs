//! Key pairs made where they are used.
//!
//! P-256, from the operating system's random source. The private half is erased when dropped, is
//! shown by no `Debug`, and leaves this module only as PEM for a file or a TLS stack.

use rcgen::{CertificateParams, DistinguishedName, KeyPair};
use zeroize::{Zeroize as _, Zeroizing};

/// A key could not be made.
#[derive(Debug, thiserror::Error)]
#[error("could not make a key pair and its signing request")]
pub struct KeyError(#[source] rcgen::Error);

/// A private key and the signing request for it.
pub struct LocalKey {
    pem: Zeroizing<String>,
    csr: Vec<u8>,
}

impl LocalKey {
    /// A fresh P-256 key pair.
    pub fn generate() -> Result<Self, KeyError> {
        let mut pair = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).map_err(KeyError)?;
        let key = Self::of(&pair);
        pair.zeroize();
        key
    }

    /// A key pair that an earlier run made.
    pub(crate) fn from_pem(pem: &str) -> Result<Self, KeyError> {
        let mut pair = KeyPair::from_pem(pem).map_err(KeyError)?;
        let key = Self::of(&pair);
        pair.zeroize();
        key
    }

    fn of(pair: &KeyPair) -> Result<Self, KeyError> {
        let mut params = CertificateParams::default();
        // The broker takes nothing from the request but its key; say nothing else.
        params.distinguished_name = DistinguishedName::new();
        let csr = params.serialize_request(pair).map_err(KeyError)?;
        Ok(Self {
            pem: Zeroizing::new(pair.serialize_pem()),
            csr: csr.der().to_vec(),
        })
    }

    /// The signing request (PKCS#10, DER), signed with the key.
    pub fn csr_der(&self) -> &[u8] {
        &self.csr
    }

    /// The private key (PKCS#8, PEM). Keep it secret.
    pub fn key_pem(&self) -> &Zeroizing<String> {
        &self.pem
    }

    /// Gives the private key away.
    pub fn into_key_pem(self) -> Zeroizing<String> {
        self.pem
    }
}

impl std::fmt::Debug for LocalKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("LocalKey([redacted])")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_request_is_signed_by_the_key_and_says_nothing_else() {
        use x509_parser::prelude::*;
        let key = LocalKey::generate().unwrap();
        let (rest, csr) = X509CertificationRequest::from_der(key.csr_der()).unwrap();
        assert!(rest.is_empty());
        csr.verify_signature().unwrap();
        let info = &csr.certification_request_info;
        assert_eq!(info.subject.iter().count(), 0);
        let pair = KeyPair::from_pem(key.key_pem()).unwrap();
        assert_eq!(
            info.subject_pki.subject_public_key.data.as_ref(),
            pair.public_key_raw()
        );
        assert!(key.key_pem().starts_with("-----BEGIN PRIVATE KEY-----"));
        assert!(!format!("{key:?}").contains("PRIVATE"));
        let other = LocalKey::generate().unwrap();
        assert_ne!(key.key_pem().as_str(), other.key_pem().as_str());
    }
}
