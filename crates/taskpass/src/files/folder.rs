//! The folder of a task certificate: `cert.pem`, `key.pem`, `ca.pem`.
//!
//! An identity's folder has the same three names, so a folder is written to only if it is new,
//! empty, or holds a task certificate already. It is checked before a certificate is asked for.
//! Each file is written aside and moved to its place.

use std::fs::{DirBuilder, OpenOptions};
use std::io::{self, Write as _};
use std::path::Path;

use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use taskpass_core::rng::Rng;
use taskpass_core::spiffe::{SpiffeId, Subject};
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer as _, X509Certificate};

use super::private;
use crate::errors::CliError;

/// The certificate with the issuing authority's.
pub(crate) const CERT: &str = "cert.pem";
/// The private key.
pub(crate) const KEY: &str = "key.pem";
/// The anchors.
pub(crate) const CA: &str = "ca.pem";

/// A folder that may be written to.
#[derive(Debug)]
pub(crate) struct CertFolder<'a>(&'a Path);

impl<'a> CertFolder<'a> {
    /// Makes the folder, or checks what is in it. With `own_key` a key that is there belongs to the
    /// caller and stays.
    pub(crate) fn open(path: &'a Path, own_key: bool) -> Result<Self, CliError> {
        make(path)?;
        let failed = |error| CliError::file("look into", path, error);
        let is_empty = std::fs::read_dir(path).map_err(failed)?.next().is_none();
        let cert = path.join(CERT);
        let holds = |name: &str| path.join(name).symlink_metadata().is_ok();
        let free = if holds(CERT) {
            is_task_certificate(&cert)
        } else {
            is_empty || (own_key && !holds(CA))
        };
        if free {
            return Ok(Self(path));
        }
        let message = format!(
            "{} holds something else than a task's certificate",
            path.display()
        );
        Err(CliError::new("FILE_EXISTS", message).hint("name a new or empty folder with --out"))
    }

    /// Writes the files; the certificate last, so that it never stands beside an older key.
    pub(crate) fn write(
        &self,
        rng: &dyn Rng,
        files: &[(&'static str, &[u8])],
    ) -> Result<(), CliError> {
        for (name, bytes) in files {
            let place = self.0.join(name);
            let aside = self.0.join(format!(".{name}.{:016x}", rng.below(u64::MAX)));
            let written = write_aside(&aside, bytes, *name == KEY)
                .and_then(|()| std::fs::rename(&aside, &place));
            if let Err(error) = written {
                let _ = std::fs::remove_file(&aside);
                return Err(CliError::file("write", &place, error));
            }
        }
        Ok(())
    }
}

/// Makes a folder that only its owner can enter, if there is none.
pub(crate) fn make(path: &Path) -> Result<(), CliError> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder
        .create(path)
        .map_err(|error| CliError::file("make the folder", path, error))
}

fn write_aside(path: &Path, bytes: &[u8], secret: bool) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    if secret {
        private(&mut options);
    }
    let mut file = options.open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// Whether the file holds a certificate that names a task.
fn is_task_certificate(path: &Path) -> bool {
    std::fs::read(path).is_ok_and(|pem| matches!(subject(&pem), Some(Subject::Task(..))))
}

fn subject(pem: &[u8]) -> Option<Subject> {
    let der = CertificateDer::from_pem_slice(pem).ok()?;
    let (_, leaf) = X509Certificate::from_der(&der).ok()?;
    let san = leaf.subject_alternative_name().ok()??;
    match san.value.general_names.as_slice() {
        [GeneralName::URI(uri)] => uri.parse::<SpiffeId>().ok().map(|id| id.subject),
        _ => None,
    }
}
