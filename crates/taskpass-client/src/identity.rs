//! An identity in its folder: `cert.pem` (leaf and issuing authority), `key.pem`, `ca.pem` (the
//! anchors by which the broker is known).
//!
//! Loading gives a key and a certificate that belong together, or an error that says what to do.
//! Saving is one step for whoever loads: the three files are written in full into `next/`, which
//! appears by one rename and wins from then on; moving its files to their places follows. A crash at
//! any point leaves the old identity or the new one, and a later load or save reads either.

pub(crate) mod folder;

use std::path::{Path, PathBuf};

use rcgen::KeyPair;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use taskpass_core::Timestamp;
use taskpass_core::spiffe::SpiffeId;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer as _, X509Certificate};
use zeroize::{Zeroize as _, Zeroizing};

/// No identity, or one that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// A file is not there.
    #[error("{} is missing; enrol with `taskpass enrol`, or name the folder that holds the identity", path.display())]
    Missing {
        /// Which one.
        path: PathBuf,
    },
    /// A file or the folder cannot be read or written.
    #[error("could not {action} {}", path.display())]
    Io {
        /// What failed.
        action: &'static str,
        /// Where.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// Everybody on the machine can use the key.
    #[error("{} is open to other users; take it away from them with `chmod 600`, and enrol anew if they may have read it", path.display())]
    Exposed {
        /// Which file.
        path: PathBuf,
    },
    /// A part is not what it should be.
    #[error("the {part} is not {expected}; enrol anew")]
    Malformed {
        /// Which part.
        part: &'static str,
        /// What it should be.
        expected: &'static str,
    },
    /// The key is not the certificate's.
    #[error("the key does not belong to the certificate; enrol anew")]
    Mismatch,
}

/// A certificate, its private key, and the anchors by which the broker is known.
#[derive(Clone)]
pub struct Identity {
    cert_pem: String,
    key_pem: Zeroizing<String>,
    ca_pem: String,
    name: SpiffeId,
    expires_at: Timestamp,
}

impl Identity {
    /// Puts an identity together; refuses parts that do not belong together.
    pub fn new(
        cert_pem: String,
        key_pem: Zeroizing<String>,
        ca_pem: String,
    ) -> Result<Self, IdentityError> {
        let leaf = CertificateDer::from_pem_slice(cert_pem.as_bytes())
            .map_err(|_| malformed("certificate", "a certificate in PEM"))?;
        CertificateDer::from_pem_slice(ca_pem.as_bytes())
            .map_err(|_| malformed("list of anchors", "at least one certificate in PEM"))?;
        let (_, leaf) = X509Certificate::from_der(&leaf)
            .map_err(|_| malformed("certificate", "a certificate in PEM"))?;
        if *leaf.public_key().subject_public_key.data != *public_half(&key_pem)? {
            return Err(IdentityError::Mismatch);
        }
        let not_after = u64::try_from(leaf.validity().not_after.timestamp()).unwrap_or(0);
        Ok(Self {
            name: name_of(&leaf)?,
            // `notAfter` is the last second in which it is valid.
            expires_at: Timestamp::from_secs(not_after.saturating_add(1)),
            cert_pem,
            key_pem,
            ca_pem,
        })
    }

    /// Reads the identity in `folder`.
    pub fn load(folder: &Path) -> Result<Self, IdentityError> {
        // Between two reads a save may have happened: then the parts do not fit, once.
        match Self::read(folder) {
            Err(IdentityError::Mismatch) => Self::read(folder),
            other => other,
        }
    }

    fn read(folder: &Path) -> Result<Self, IdentityError> {
        let key_pem = folder::read_key(folder)?;
        Self::new(
            folder::read(folder, folder::CERT)?,
            key_pem,
            folder::read(folder, folder::CA)?,
        )
    }

    /// Writes the identity to `folder`, which is made if it is not there (0700, the key 0600).
    pub fn save(&self, folder: &Path) -> Result<(), IdentityError> {
        folder::write(
            folder,
            [
                (folder::CERT, self.cert_pem.as_bytes()),
                (folder::KEY, self.key_pem.as_bytes()),
                (folder::CA, self.ca_pem.as_bytes()),
            ],
        )
    }

    /// The key of a renewal that was begun in `folder` and not finished, if there is one.
    pub(crate) fn load_next_key(folder: &Path) -> Result<Option<Zeroizing<String>>, IdentityError> {
        folder::read_next_key(folder)
    }

    /// Puts the key of a renewal that is about to begin on disk.
    pub(crate) fn save_next_key(folder: &Path, pem: &str) -> Result<(), IdentityError> {
        folder::write_next_key(folder, pem)
    }

    /// Ends a renewal.
    pub(crate) fn drop_next_key(folder: &Path) -> Result<(), IdentityError> {
        folder::remove_next_key(folder)
    }

    /// Who its holder is.
    pub fn name(&self) -> &SpiffeId {
        &self.name
    }

    /// The instant from which it is no longer valid.
    pub fn expires_at(&self) -> Timestamp {
        self.expires_at
    }

    /// The certificate and the issuing authority's, in PEM.
    pub fn cert_pem(&self) -> &str {
        &self.cert_pem
    }

    /// The private key, in PEM. Keep it secret.
    pub fn key_pem(&self) -> &Zeroizing<String> {
        &self.key_pem
    }

    /// The anchors by which the broker is known, in PEM.
    pub fn ca_pem(&self) -> &str {
        &self.ca_pem
    }
}

impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Identity")
            .field("name", &self.name)
            .field("expires_at", &self.expires_at)
            .finish_non_exhaustive()
    }
}

fn malformed(part: &'static str, expected: &'static str) -> IdentityError {
    IdentityError::Malformed { part, expected }
}

fn public_half(key_pem: &str) -> Result<Vec<u8>, IdentityError> {
    let mut pair =
        KeyPair::from_pem(key_pem).map_err(|_| malformed("key", "a private key in PEM"))?;
    let public = pair.public_key_raw().to_vec();
    pair.zeroize();
    Ok(public)
}

fn name_of(leaf: &X509Certificate<'_>) -> Result<SpiffeId, IdentityError> {
    let wrong = || malformed("certificate", "an identity that a broker issued");
    let san = leaf
        .subject_alternative_name()
        .ok()
        .flatten()
        .ok_or_else(wrong)?;
    match san.value.general_names.as_slice() {
        [GeneralName::URI(uri)] => uri.parse().map_err(|_| wrong()),
        _ => Err(wrong()),
    }
}

#[cfg(test)]
mod tests;
