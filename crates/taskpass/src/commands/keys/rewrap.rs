//! `taskpass keys rewrap`: another key-encryption key, on a store that no broker has open.
//!
//! Done here and not by the broker: where a broker finds its key-encryption key is its configuration,
//! and a running one that had changed it under itself could not start again.

use std::io::ErrorKind;
use std::path::Path;

use serde::Serialize;
use taskpass_broker::rewrap_keys;
use taskpass_issuer::KeyEncryptionKey;

use crate::cli::keys::RewrapArgs;
use crate::config::{Config, KekSource};
use crate::context::Context;
use crate::errors::CliError;
use crate::files::NewSecretFile;
use crate::host::{self, Layout};
use crate::output::{Ink, View};

#[derive(Debug, Serialize)]
struct Rewrapped {
    keys: usize,
    new_kek: String,
    made: bool,
}

impl View for Rewrapped {
    fn text(&self, _: &Ink) -> String {
        let done = if self.keys == 0 {
            "Every private key is sealed under it already; nothing was changed.".to_owned()
        } else {
            format!("{} private keys are sealed under it now.", self.keys)
        };
        let made = if self.made {
            "It was made just now. "
        } else {
            ""
        };
        format!(
            "{made}{done}\n\nNext: keep a copy of {} in a safe place, let `key_encryption_key` of the \
             configuration name it, and start the broker. The key before opens only older copies of \
             the store.\n",
            self.new_kek
        )
    }
}

/// Runs it.
pub(crate) async fn run(context: &Context, args: &RewrapArgs) -> Result<(), CliError> {
    let config = Config::load(&args.config)?;
    let layout = Layout::of(&config.data);
    let old = config.kek.read()?;
    // The store first: a broker that runs is found before anything is written.
    let store = host::open_store(context, &layout, config.cache_bytes, config.outbox_limit)?;
    let outcome = rewrap(context, args, &store, &old).await;
    store.close().await;
    context.output.show(&outcome?)
}

async fn rewrap(
    context: &Context,
    args: &RewrapArgs,
    store: &dyn taskpass_store::Store,
    old: &KeyEncryptionKey,
) -> Result<Rewrapped, CliError> {
    let (new, made) = next_kek(&args.new_kek)?;
    let now = context.clock.now().max(store.last_committed_at());
    let done = rewrap_keys(store, old, &new, &*context.rng, now).await;
    let done = done.map_err(|error| match error.reason() {
        "WRONG_KEK" => CliError::new(
            "WRONG_KEK",
            "the configured key-encryption key does not open the keys",
        )
        .hint("if they were sealed anew before, let the configuration name the newer one"),
        reason => CliError::caused(reason, "the keys could not be sealed anew", error),
    })?;
    Ok(Rewrapped {
        keys: done.keys,
        new_kek: args.new_kek.display().to_string(),
        made,
    })
}

/// The key of the file; a fresh one is written to it if it is not there.
fn next_kek(path: &Path) -> Result<(KeyEncryptionKey, bool), CliError> {
    match std::fs::symlink_metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let fresh = KeyEncryptionKey::generate()
                .map_err(|error| CliError::caused("INTERNAL", "could not make a key", error))?;
            NewSecretFile::create(path)?.fill(fresh.to_text().expose().as_bytes())?;
            Ok((fresh, true))
        }
        _ => Ok((KekSource::File(path.to_owned()).read()?, false)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_made_once_and_kept_to_its_owner() {
        use std::os::unix::fs::PermissionsExt as _;
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("kek.new");
        let (first, made) = next_kek(&path).unwrap();
        assert!(made);
        let permissions = std::fs::metadata(&path).unwrap().permissions();
        assert_eq!(permissions.mode() & 0o777, 0o600);
        let (again, made) = next_kek(&path).unwrap();
        assert!(!made);
        assert_eq!(first.to_text().expose(), again.to_text().expose());
        std::fs::write(&path, "short").unwrap();
        assert_eq!(next_kek(&path).unwrap_err().reason(), "INVALID_KEK");
        let shown = Rewrapped {
            keys: 3,
            new_kek: path.display().to_string(),
            made: true,
        };
        let json = serde_json::to_string(&shown).unwrap();
        assert!(!json.contains(first.to_text().expose().trim()));
    }
}
