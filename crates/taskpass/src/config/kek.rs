//! Where the key-encryption key comes from.

use std::path::{Path, PathBuf};

use taskpass_issuer::KeyEncryptionKey;
use zeroize::Zeroizing;

use crate::errors::CliError;

/// Where the key-encryption key is read from; never the configuration file itself.
#[derive(Debug, Clone)]
pub(crate) enum KekSource {
    /// A file of 32 bytes, raw, in hex or in base64.
    File(PathBuf),
    /// An environment variable of the same, in hex or base64.
    Env(String),
    /// A systemd credential of this name (`LoadCredential=`).
    Credential(String),
}

impl KekSource {
    /// Reads it.
    pub(crate) fn read(&self) -> Result<KeyEncryptionKey, CliError> {
        let bytes = match self {
            Self::File(path) => read_file(path)?,
            Self::Env(name) => variable(name)?.into_bytes().into(),
            Self::Credential(name) => {
                let folder = variable("CREDENTIALS_DIRECTORY")?;
                read_file(&Path::new(&folder).join(name))?
            }
        };
        KeyEncryptionKey::parse(&bytes).map_err(|error| {
            CliError::new(
                "INVALID_KEK",
                format!("the key-encryption key does not read: {error}"),
            )
            .hint("it is 32 bytes, raw, in hex or in base64; `taskpass init` makes one")
        })
    }
}

fn read_file(path: &Path) -> Result<Zeroizing<Vec<u8>>, CliError> {
    std::fs::read(path).map(Zeroizing::new).map_err(|error| {
        let message = format!("could not read the key-encryption key {}", path.display());
        CliError::caused("NO_KEK", message, error)
            .hint("without it the signing keys cannot be unsealed; name it in `key_encryption_key`")
    })
}

#[expect(
    clippy::disallowed_methods,
    reason = "the binary reads the environment, once, at the start"
)]
fn variable(name: &str) -> Result<String, CliError> {
    std::env::var(name).map_err(|_| {
        CliError::new("NO_KEK", format!("the environment has no `{name}`"))
            .hint("the key-encryption key is read from there; see `key_encryption_key`")
    })
}
