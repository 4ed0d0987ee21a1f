//! Files that commands read and write: secrets, certificates, requests.
//!
//! A secret comes from a file or standard input, never from an argument. What is read has a limit;
//! what is written and secret is readable by its owner alone, from its first byte on.

pub(crate) mod folder;

use std::fs::OpenOptions;
use std::io::{self, Read, Write as _};
use std::path::Path;

use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, CertificateSigningRequestDer};
use taskpass_core::secret::Secret;
use x509_parser::prelude::{FromDer as _, X509Certificate, X509CertificationRequest};
use zeroize::Zeroizing;

use crate::errors::CliError;

/// More than any token, certificate chain or enrolment file.
const MAX_FILE: u64 = 256 * 1024;

/// Reads a file, or standard input for `-`.
pub(crate) fn read(path: &Path) -> Result<Zeroizing<Vec<u8>>, CliError> {
    read_up_to(path, MAX_FILE)
}

/// Reads a file of at most so many bytes, or standard input for `-`.
pub(crate) fn read_up_to(path: &Path, most: u64) -> Result<Zeroizing<Vec<u8>>, CliError> {
    let bytes = if path == Path::new("-") {
        limited(io::stdin().lock(), most)
    } else {
        std::fs::File::open(path).and_then(|file| limited(file, most))
    };
    let bytes = bytes.map_err(|error| CliError::file("read", path, error))?;
    if bytes.len() as u64 > most {
        let message = format!("{} is larger than {most} bytes", path.display());
        return Err(CliError::new("FILE_ERROR", message));
    }
    Ok(bytes)
}

fn limited(reader: impl Read, most: u64) -> io::Result<Zeroizing<Vec<u8>>> {
    let mut bytes = Zeroizing::new(Vec::new());
    reader.take(most + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Reads a secret text: white space around it is not a part of it.
pub(crate) fn read_secret(path: &Path) -> Result<Secret, CliError> {
    let bytes = read(path)?;
    let text = std::str::from_utf8(&bytes).map(str::trim).ok();
    let Some(text) = text.filter(|text| !text.is_empty()) else {
        let message = format!("{} holds no token", path.display());
        return Err(CliError::new("INVALID_TOKEN_FILE", message));
    };
    Ok(Secret::new(text.to_owned()))
}

/// Reads the first certificate of a PEM file, or one in DER; gives its DER.
pub(crate) fn read_certificate(path: &Path) -> Result<Vec<u8>, CliError> {
    let bytes = read(path)?;
    let der =
        CertificateDer::from_pem_slice(&bytes).map_or_else(|_| bytes.to_vec(), |der| der.to_vec());
    if let Ok(([], _)) = X509Certificate::from_der(&der) {
        return Ok(der);
    }
    let message = format!("{} holds no certificate in PEM or DER", path.display());
    Err(CliError::new("INVALID_CERTIFICATE", message))
}

/// Reads a certificate and those that follow it in a PEM file, or one in DER; gives their DER.
pub(crate) fn read_chain(path: &Path) -> Result<(Vec<u8>, Vec<Vec<u8>>), CliError> {
    let leaf = read_certificate(path)?;
    let bytes = read(path)?;
    let above = CertificateDer::pem_slice_iter(&bytes).skip(1).flatten();
    Ok((leaf, above.map(|der| der.to_vec()).collect()))
}

/// Reads a signing request in PEM or DER; gives its DER.
pub(crate) fn read_csr(path: &Path) -> Result<Vec<u8>, CliError> {
    let bytes = read(path)?;
    let der = CertificateSigningRequestDer::from_pem_slice(&bytes)
        .map_or_else(|_| bytes.to_vec(), |der| der.to_vec());
    if let Ok(([], _)) = X509CertificationRequest::from_der(&der) {
        return Ok(der);
    }
    let message = format!("{} holds no PKCS#10 request in PEM or DER", path.display());
    Err(CliError::new("INVALID_CSR", message))
}

/// A new file that only its owner can read. It is removed again unless it is filled.
#[derive(Debug)]
pub(crate) struct NewSecretFile<'a> {
    path: &'a Path,
    file: Option<std::fs::File>,
}

impl<'a> NewSecretFile<'a> {
    /// Makes the file; refuses one that is there.
    pub(crate) fn create(path: &'a Path) -> Result<Self, CliError> {
        match private(OpenOptions::new().write(true).create_new(true)).open(path) {
            Ok(file) => Ok(Self {
                path,
                file: Some(file),
            }),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                let message = format!("{} exists already", path.display());
                Err(CliError::new("FILE_EXISTS", message).hint("name another file, or remove it"))
            }
            Err(error) => Err(CliError::file("create", path, error)),
        }
    }

    /// Writes the whole content.
    pub(crate) fn fill(mut self, bytes: &[u8]) -> Result<(), CliError> {
        let failed = |error| CliError::file("write", self.path, error);
        if let Some(file) = &mut self.file {
            file.write_all(bytes)
                .and_then(|()| file.sync_all())
                .and_then(|()| keep_name(self.path))
                .map_err(failed)?;
        }
        self.file = None;
        Ok(())
    }
}

/// Makes a new file's name as durable as its content: what is sealed under a key must not outlive it.
fn keep_name(path: &Path) -> io::Result<()> {
    if cfg!(unix) {
        let folder = path.parent().filter(|folder| *folder != Path::new(""));
        std::fs::File::open(folder.unwrap_or(Path::new(".")))?.sync_all()?;
    }
    Ok(())
}

impl Drop for NewSecretFile<'_> {
    fn drop(&mut self) {
        if self.file.take().is_some() {
            let _ = std::fs::remove_file(self.path);
        }
    }
}

/// Open for its owner alone.
fn private(options: &mut OpenOptions) -> &mut OpenOptions {
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(options, 0o600);
    options
}

#[cfg(test)]
mod tests;
