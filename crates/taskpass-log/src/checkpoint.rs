//! Checkpoints: what a log commits itself to at a size (C2SP tlog-checkpoint v1.0.0).
//!
//! Three lines: origin, size, root. Extension lines are refused: auditors of the log could not
//! check what they say. The name of the key that signs is the origin.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::hash::Hash;
use crate::note::{self, Note, NoteError, NoteKey, SignError};

/// Names a log: a URL without its scheme, such as `log.example/2026-11`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Origin(Box<str>);

/// Why an origin does not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the origin of a log must not be empty nor have spaces or `+`")]
pub struct OriginError;

impl Origin {
    /// Reads an origin: not empty, no space, no `+`, no control character.
    pub fn parse(text: &str) -> Result<Self, OriginError> {
        if note::is_name(text) {
            Ok(Self(text.into()))
        } else {
            Err(OriginError)
        }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Origin {
    type Error = OriginError;

    fn try_from(text: String) -> Result<Self, OriginError> {
        Self::parse(&text)
    }
}

impl From<Origin> for String {
    fn from(origin: Origin) -> Self {
        origin.0.into()
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A log at a size. It prints as the text that is signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// Which log.
    pub origin: Origin,
    /// How many entries it has.
    pub size: u64,
    /// The root over them.
    pub root: Hash,
}

/// Why a checkpoint is not accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CheckpointError {
    /// It is no note, or not signed by a known key.
    #[error("the checkpoint is not validly signed")]
    Note(#[from] NoteError),
    /// The text is not three lines.
    #[error("expected the three lines origin, size and root, found {found} lines")]
    Lines {
        /// How many there are.
        found: usize,
    },
    /// The first line is no origin.
    #[error("line 1 of the checkpoint is no origin")]
    Origin(#[source] OriginError),
    /// The second line is no size.
    #[error("line 2 of the checkpoint is no size in decimal digits")]
    Size,
    /// The third line is no root.
    #[error("line 3 of the checkpoint is not 32 bytes in base64")]
    Root,
    /// The tree without entries has another root.
    #[error("the root of an empty log must be {expected}", expected = Hash::empty_root())]
    EmptyRoot,
    /// The key that signed has another name than the log.
    #[error("the checkpoint is of log {found}, the key is of {expected}")]
    OtherLog {
        /// The name of the key.
        expected: String,
        /// The origin in the checkpoint.
        found: Origin,
    },
}

impl Checkpoint {
    /// Reads the text of a checkpoint, which nobody has vouched for.
    pub fn parse(text: &str) -> Result<Self, CheckpointError> {
        let lines: Vec<_> = text.split('\n').collect();
        let [origin, size, root, ""] = lines.as_slice() else {
            let found = text.lines().count();
            return Err(CheckpointError::Lines { found });
        };
        let checkpoint = Self {
            origin: Origin::parse(origin).map_err(CheckpointError::Origin)?,
            size: decimal(size).ok_or(CheckpointError::Size)?,
            root: Hash::parse(root).ok_or(CheckpointError::Root)?,
        };
        if checkpoint.size == 0 && checkpoint.root != Hash::empty_root() {
            return Err(CheckpointError::EmptyRoot);
        }
        Ok(checkpoint)
    }

    /// Reads a note without looking at its signatures: for what this process wrote itself.
    pub fn parse_unverified(note: &[u8]) -> Result<Self, CheckpointError> {
        Self::parse(Note::parse(note)?.unverified_text())
    }

    /// Reads a note that must be signed by one of `keys`, whose name must be the log's.
    pub fn open(note: &[u8], keys: &[NoteKey]) -> Result<Self, CheckpointError> {
        let note = Note::parse(note)?;
        let checkpoint = Self::parse(note.verify(keys)?)?;
        let own: Vec<_> = keys
            .iter()
            .filter(|key| key.name() == checkpoint.origin.as_str())
            .cloned()
            .collect();
        if own.is_empty() {
            return Err(CheckpointError::OtherLog {
                expected: keys
                    .iter()
                    .map(NoteKey::name)
                    .collect::<Vec<_>>()
                    .join(", "),
                found: checkpoint.origin,
            });
        }
        // Of several known keys it must be one of this log that signed.
        note.verify(&own)?;
        Ok(checkpoint)
    }

    /// Signs it as a note with `key`, whose private half `sign` uses.
    ///
    /// Only what is committed may be signed: see [`TileLog`](crate::writer::TileLog).
    pub fn sign<E: std::error::Error + 'static>(
        &self,
        key: &NoteKey,
        sign: impl FnOnce(&[u8]) -> Result<Vec<u8>, E>,
    ) -> Result<String, SignError<E>> {
        if key.name() != self.origin.as_str() {
            return Err(SignError::Wrong {
                key: key.name().to_owned(),
            });
        }
        note::sign(&self.to_string(), key, sign)
    }
}

impl fmt::Display for Checkpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}\n{}\n{}", self.origin, self.size, self.root)
    }
}

/// Reads decimal digits without leading zeros.
pub(crate) fn decimal(text: &str) -> Option<u64> {
    let value: u64 = text.parse().ok()?;
    (value.to_string() == text).then_some(value)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::testing::{key, signed};

    const ROOT: &str = "CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=";

    #[test]
    fn the_text_reads_back() {
        let text = format!("example.com/behind-the-sofa\n20852163\n{ROOT}\n");
        let checkpoint = Checkpoint::parse(&text).unwrap();
        assert_eq!(checkpoint.origin.as_str(), "example.com/behind-the-sofa");
        assert_eq!(checkpoint.size, 20_852_163);
        assert_eq!(checkpoint.to_string(), text);
    }

    #[test]
    fn other_texts_do_not_read() {
        for text in [
            String::new(),
            "\n\n\n".into(),
            format!("a\n1\n{ROOT}"),
            format!("a\n1\n{ROOT}\nextension\n"),
            format!("a\n1\n{ROOT}\n\n"),
            format!("\n1\n{ROOT}\n"),
            format!("a b\n1\n{ROOT}\n"),
            format!("a+b\n1\n{ROOT}\n"),
            format!("a\n01\n{ROOT}\n"),
            format!("a\n+1\n{ROOT}\n"),
            format!("a\n-1\n{ROOT}\n"),
            format!("a\n \n{ROOT}\n"),
            format!("a\n18446744073709551616\n{ROOT}\n"),
            format!("a\n0\n{ROOT}\n"),
            "a\n1\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I\n".into(),
            "a\n1\nAAAA\n".into(),
        ] {
            assert!(Checkpoint::parse(&text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn only_the_key_of_the_log_opens_it() {
        let checkpoint = Checkpoint::parse(&format!("a.example\n7\n{ROOT}\n")).unwrap();
        let note = signed(&checkpoint, 1);
        let open = |keys: &[NoteKey]| Checkpoint::open(note.as_bytes(), keys);
        let own = key(1, "a.example");
        assert_eq!(open(std::slice::from_ref(&own)), Ok(checkpoint.clone()));
        assert_eq!(open(&[key(2, "a.example"), own]), Ok(checkpoint.clone()));
        for wrong in [key(2, "a.example"), key(1, "b.example")] {
            assert!(matches!(open(&[wrong]), Err(CheckpointError::Note(_))));
        }
        // A known key of another log does not speak for this one.
        let other = key(2, "b.example");
        let sign = |text: &[u8]| Ok::<_, std::fmt::Error>(crate::testing::raw_sign(2, text));
        let note = note::sign(&checkpoint.to_string(), &other, sign).unwrap();
        assert!(matches!(
            Checkpoint::open(note.as_bytes(), std::slice::from_ref(&other)),
            Err(CheckpointError::OtherLog { .. })
        ));
        assert!(Checkpoint::open(note.as_bytes(), &[other.clone(), key(1, "a.example")]).is_err());
        assert!(checkpoint.sign(&other, sign).is_err());
    }

    proptest! {
        #[test]
        fn any_text_reads_to_itself_or_not_at_all(
            bytes: Vec<u8>,
            text in "[a-z./+ ]{0,12}\n[0-9+-]{0,22}\n[A-Za-z0-9+/]{42,43}=?\n?",
        ) {
            if let Ok(read) = Checkpoint::parse(&text) {
                prop_assert_eq!(read.to_string(), text.clone());
            }
            for bytes in [&bytes, text.as_bytes()] {
                let _ = Checkpoint::parse_unverified(bytes);
                prop_assert!(Checkpoint::open(bytes, &[key(1, "a.example")]).is_err());
            }
        }
    }
}
