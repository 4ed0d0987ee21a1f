//! Signed notes and the keys that verify them (C2SP signed-note v1.0.0, Ed25519).
//!
//! A note is text, an empty line, and signature lines. Signatures of unknown keys are ignored, those
//! of a known key must all hold, and at least one must be there. The private key is not here: who
//! signs is handed the text and gives back a signature, which is checked before it is used.

use std::fmt;

use data_encoding::{BASE64, HEXLOWER};
use ed25519_dalek::{Signature, VerifyingKey};
use ring::digest::{SHA256, digest};

/// The longest note that is read, in bytes.
pub const MAX_NOTE: usize = 256 * 1024;

/// The most signatures that a note may have.
pub const MAX_SIGNATURES: usize = 64;

/// The signature type of Ed25519 over the text.
const ED25519: u8 = 1;

/// Whether `name` can name a key: not empty, no space, no `+`, no control character.
pub(crate) fn is_name(name: &str) -> bool {
    !name.is_empty()
        && !name
            .chars()
            .any(|c| c.is_whitespace() || c.is_control() || c == '+')
}

/// A public key that verifies notes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoteKey {
    name: Box<str>,
    id: [u8; 4],
    key: VerifyingKey,
}

/// Why a verification key does not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// The name is empty, or has a space, a `+` or a control character.
    #[error("the name of a key must not be empty nor have spaces or `+`")]
    Name,
    /// It is not `name+id+base64`.
    #[error("expected a verification key in the form `name+8 hex digits+base64`")]
    Form,
    /// The key is of another kind than Ed25519.
    #[error("the key is not of the kind Ed25519")]
    Kind,
    /// The bytes are no usable point.
    #[error("the bytes are no Ed25519 public key")]
    Point,
    /// The id does not belong to the name and key.
    #[error("the id does not belong to this name and key")]
    Id,
}

impl NoteKey {
    /// From its name and the 32 bytes of an Ed25519 public key.
    pub fn new(name: &str, public: &[u8; 32]) -> Result<Self, KeyError> {
        if !is_name(name) {
            return Err(KeyError::Name);
        }
        let key = VerifyingKey::from_bytes(public).map_err(|_| KeyError::Point)?;
        if key.is_weak() {
            return Err(KeyError::Point);
        }
        let mut named = name.as_bytes().to_vec();
        named.extend_from_slice(&[b'\n', ED25519]);
        named.extend_from_slice(public);
        let id = digest(&SHA256, &named)
            .as_ref()
            .first_chunk()
            .copied()
            .unwrap_or_default();
        Ok(Self {
            name: name.into(),
            id,
            key,
        })
    }

    /// Reads the form in which it prints.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        let (name, rest) = text.split_once('+').ok_or(KeyError::Form)?;
        let (id, key) = rest.split_once('+').ok_or(KeyError::Form)?;
        let id: [u8; 4] = HEXLOWER
            .decode(id.as_bytes())
            .ok()
            .and_then(|id| id.try_into().ok())
            .ok_or(KeyError::Form)?;
        let key = BASE64.decode(key.as_bytes()).map_err(|_| KeyError::Form)?;
        let (kind, public) = key.split_first().ok_or(KeyError::Form)?;
        if *kind != ED25519 {
            return Err(KeyError::Kind);
        }
        let public = public.try_into().map_err(|_| KeyError::Point)?;
        let parsed = Self::new(name, public)?;
        if parsed.id == id {
            Ok(parsed)
        } else {
            Err(KeyError::Id)
        }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its id: a hint, not a proof.
    pub const fn id(&self) -> [u8; 4] {
        self.id
    }

    /// The 32 bytes of the public key.
    pub fn public(&self) -> &[u8; 32] {
        self.key.as_bytes()
    }

    fn holds(&self, text: &str, signature: &[u8]) -> bool {
        Signature::from_slice(signature)
            .is_ok_and(|signature| self.key.verify_strict(text.as_bytes(), &signature).is_ok())
    }
}

impl fmt::Display for NoteKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut key = vec![ED25519];
        key.extend_from_slice(self.key.as_bytes());
        let (id, key) = (HEXLOWER.encode(&self.id), BASE64.encode(&key));
        write!(f, "{}+{id}+{key}", self.name)
    }
}

/// Why a note is not accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoteError {
    /// It is longer than any note should be.
    #[error("the note is longer than {MAX_NOTE} bytes")]
    TooLong,
    /// It is not text, or has control characters.
    #[error("the note is not plain text")]
    NotText,
    /// It is not text, an empty line and signature lines, each ended by a line feed.
    #[error("expected text, an empty line and signature lines")]
    Form,
    /// A line after the text is no signature.
    #[error("signature line {line} does not read, expected `— name base64`")]
    Signature {
        /// Which one, from 1.
        line: usize,
    },
    /// There are too many signatures.
    #[error("the note has more than {MAX_SIGNATURES} signatures")]
    TooMany,
    /// No known key signed it.
    #[error("the note is signed by {found}, expected {expected}")]
    Unknown {
        /// The known keys, as names with ids.
        expected: String,
        /// Who signed, as names with ids.
        found: String,
    },
    /// A signature of a known key does not hold.
    #[error("the signature by {key} does not hold")]
    Invalid {
        /// The key, as its name with its id.
        key: String,
    },
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Line {
    name: Box<str>,
    id: [u8; 4],
    signature: Vec<u8>,
}

/// A note whose signatures are not checked yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    text: String,
    lines: Vec<Line>,
}

impl Note {
    /// Takes a note apart. Its text means nothing before [`verify`](Self::verify).
    pub fn parse(note: &[u8]) -> Result<Self, NoteError> {
        if note.len() > MAX_NOTE {
            return Err(NoteError::TooLong);
        }
        let note = std::str::from_utf8(note).map_err(|_| NoteError::NotText)?;
        if note.chars().any(|c| c < ' ' && c != '\n') {
            return Err(NoteError::NotText);
        }
        // The last empty line is the separator; the text may have empty lines of its own.
        let (text, signatures) = note.rsplit_once("\n\n").ok_or(NoteError::Form)?;
        let signatures = signatures.strip_suffix('\n').ok_or(NoteError::Form)?;
        let lines: Vec<_> = signatures.split('\n').collect();
        if lines.len() > MAX_SIGNATURES {
            return Err(NoteError::TooMany);
        }
        let lines = lines
            .into_iter()
            .enumerate()
            .map(|(at, line)| read_line(line).ok_or(NoteError::Signature { line: at + 1 }))
            .collect::<Result<_, _>>()?;
        Ok(Self {
            text: format!("{text}\n"),
            lines,
        })
    }

    /// The text, which nobody has vouched for yet.
    pub fn unverified_text(&self) -> &str {
        &self.text
    }

    /// The text, once it is signed by at least one of `keys`.
    ///
    /// A key is known by name and id together. A signature by a known key that does not hold makes
    /// the note invalid, whatever else it is signed with.
    pub fn verify(&self, keys: &[NoteKey]) -> Result<&str, NoteError> {
        let mut verified = false;
        for line in &self.lines {
            let known = |key: &&NoteKey| key.name == line.name && key.id == line.id;
            if let Some(key) = keys.iter().find(known) {
                if !key.holds(&self.text, &line.signature) {
                    return Err(NoteError::Invalid {
                        key: label(&line.name, line.id),
                    });
                }
                verified = true;
            }
        }
        if verified {
            return Ok(&self.text);
        }
        let list = |labels: Vec<String>| labels.join(", ");
        Err(NoteError::Unknown {
            expected: list(keys.iter().map(|key| label(&key.name, key.id)).collect()),
            found: list(self.lines.iter().map(|l| label(&l.name, l.id)).collect()),
        })
    }
}

fn label(name: &str, id: [u8; 4]) -> String {
    format!("{name} ({})", HEXLOWER.encode(&id))
}

fn read_line(line: &str) -> Option<Line> {
    let (name, signature) = line.strip_prefix("\u{2014} ")?.split_once(' ')?;
    let bytes = BASE64.decode(signature.as_bytes()).ok()?;
    let (id, signature) = bytes.split_first_chunk()?;
    (is_name(name) && !signature.is_empty()).then(|| Line {
        name: name.into(),
        id: *id,
        signature: signature.to_vec(),
    })
}

/// Why a note could not be signed.
#[derive(Debug, thiserror::Error)]
pub enum SignError<E: std::error::Error + 'static> {
    /// The text cannot be that of a note.
    #[error("the text cannot be signed as a note")]
    Text,
    /// The signer failed.
    #[error("the signer failed")]
    Signer(#[source] E),
    /// What the signer gave is no signature of the text by the key.
    #[error("the signer gave a signature that {key} does not verify")]
    Wrong {
        /// The key, as its name with its id.
        key: String,
    },
}

/// Signs `text` under the name and id of `key`, whose private half `sign` uses.
pub fn sign<E: std::error::Error + 'static>(
    text: &str,
    key: &NoteKey,
    sign: impl FnOnce(&[u8]) -> Result<Vec<u8>, E>,
) -> Result<String, SignError<E>> {
    let plain = !text.chars().any(|c| c < ' ' && c != '\n');
    if !text.ends_with('\n') || !plain {
        return Err(SignError::Text);
    }
    let signature = sign(text.as_bytes()).map_err(SignError::Signer)?;
    if !key.holds(text, &signature) {
        return Err(SignError::Wrong {
            key: label(&key.name, key.id),
        });
    }
    let mut bytes = key.id.to_vec();
    bytes.extend_from_slice(&signature);
    let signature = BASE64.encode(&bytes);
    Ok(format!("{text}\n\u{2014} {} {signature}\n", key.name))
}

#[cfg(test)]
mod tests;
