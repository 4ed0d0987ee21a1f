//! TLS for the public HTTP listener, from an operator's files, read again when they change.
//!
//! What the files hold is compared, not when they were written: links that are moved and clocks that
//! are wrong make no difference. New connections get the new certificate. A pair that cannot be used,
//! such as one of which only a half is replaced yet, changes nothing and is tried again.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use rustls::server::ServerConfig;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use taskpass_core::secret::Sha256;
use zeroize::Zeroizing;

use super::{TlsError, config_error};

/// The configuration that the files gave last.
pub(crate) struct FileTls {
    cert: PathBuf,
    key: PathBuf,
    current: ArcSwap<ServerConfig>,
    /// What the files held when they were looked at last, good or not.
    seen: Mutex<Digests>,
}

/// What two files hold; the key itself is not kept.
type Digests = (Sha256, Sha256);

impl FileTls {
    /// Reads the files for the first time.
    pub(crate) fn open(cert: &Path, key: &Path) -> Result<Self, TlsError> {
        let (cert_pem, key_pem) = (read(cert)?, read(key)?);
        Ok(Self {
            cert: cert.to_owned(),
            key: key.to_owned(),
            current: ArcSwap::from_pointee(build(&cert_pem, &key_pem)?),
            seen: Mutex::new((Sha256::of(&cert_pem), Sha256::of(&key_pem))),
        })
    }

    /// The configuration for the next connection.
    pub(crate) fn current(&self) -> Arc<ServerConfig> {
        self.current.load_full()
    }

    /// Reads the files again; whether they gave something new. A broken pair is an error once, and not
    /// again until the files change.
    pub(crate) fn refresh(&self) -> Result<bool, TlsError> {
        let (cert, key) = (read(&self.cert)?, read(&self.key)?);
        let held = (Sha256::of(&cert), Sha256::of(&key));
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if *seen == held {
            return Ok(false);
        }
        *seen = held;
        self.current.store(Arc::new(build(&cert, &key)?));
        Ok(true)
    }
}

fn read(path: &Path) -> Result<Zeroizing<Vec<u8>>, TlsError> {
    std::fs::read(path)
        .map(Zeroizing::new)
        .map_err(|source| TlsError::File {
            path: path.to_owned(),
            source,
        })
}

fn build(cert: &[u8], key: &[u8]) -> Result<ServerConfig, TlsError> {
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(cert).collect();
    let key = PrivateKeyDer::from_pem_slice(key).map_err(config_error)?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(config_error)?
        .with_no_client_auth()
        .with_single_cert(chain.map_err(config_error)?, key)
        .map_err(config_error)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

#[cfg(test)]
mod tests;
