//! Public keys from the command line: as text, or in a file.

use std::path::Path;

use taskpass_log::chain::{KeysError, PublicKeys};

use crate::errors::CliError;
use crate::files;

/// What a key looks like.
pub(super) const FORM: &str = "a key is the line of a .vkey file, or 32 bytes in hex or base64";

/// The keys that were given; `None` if none was.
pub(in crate::commands) fn read(given: &[String]) -> Result<Option<PublicKeys>, CliError> {
    let mut all: Option<PublicKeys> = None;
    for text in given {
        let keys = one(text)?;
        all = Some(match all {
            Some(all) => all.with(keys),
            None => keys,
        });
    }
    Ok(all)
}

/// A key, or a file with keys.
fn one(text: &str) -> Result<PublicKeys, CliError> {
    let as_text = match PublicKeys::parse(text) {
        Ok(keys) => return Ok(keys),
        Err(error) => error,
    };
    let path = Path::new(text);
    if path.is_file() || text == "-" {
        let bytes = files::read(path)?;
        return PublicKeys::parse(&String::from_utf8_lossy(&bytes))
            .map_err(|error| invalid(&format!("{} holds no public key", path.display()), error));
    }
    let message = match &as_text {
        // It looks like a key: say what is wrong with it as one.
        KeysError::Key { .. } => format!("`{text}` is no public key"),
        KeysError::Form { .. } | KeysError::Empty => {
            format!("`{text}` is neither a public key nor a file")
        }
    };
    Err(invalid(&message, as_text))
}

fn invalid(message: &str, error: KeysError) -> CliError {
    CliError::caused("INVALID_KEY", message, error).hint(FORM)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::Ink;

    const BARE: &str = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";

    #[test]
    fn a_key_is_text_or_in_a_file() {
        let dir = tempfile::TempDir::new().unwrap();
        let file = dir.path().join("broker.vkey");
        std::fs::write(&file, format!("{BARE}\n")).unwrap();
        let file = file.to_str().unwrap().to_owned();
        assert_eq!(read(&[]).unwrap(), None);
        let one = read(&[BARE.to_owned()]).unwrap();
        let both = read(&[file.clone(), BARE.to_owned()]).unwrap();
        assert_ne!(both, one);
        assert_eq!(read(&[file]).unwrap(), one);
    }

    #[test]
    fn what_is_neither_says_so() {
        let dir = tempfile::TempDir::new().unwrap();
        let file = dir.path().join("empty");
        std::fs::write(&file, "").unwrap();
        for (text, expected) in [
            (
                "no-such.vkey",
                "`no-such.vkey` is neither a public key nor a file",
            ),
            ("a+00000000+AQ==", "`a+00000000+AQ==` is no public key"),
            (file.to_str().unwrap(), "holds no public key"),
        ] {
            let error = read(&[text.to_owned()]).unwrap_err();
            assert_eq!(error.reason(), "INVALID_KEY");
            assert!(error.to_string().ends_with(expected), "{error}");
            assert!(error.render(&Ink::plain(), false).contains(FORM));
        }
    }
}
