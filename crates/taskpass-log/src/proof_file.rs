//! Proof files, `.tlog-proof`: that an entry is in a log, for whoever has the log's public key
//! (C2SP tlog-proof).
//!
//! The file holds the way from the entry to the root and the signed checkpoint; the entry itself is
//! beside it. The optional extra data is not covered by anything.

use std::fmt;

use data_encoding::BASE64;

use crate::checkpoint::{Checkpoint, CheckpointError, decimal};
use crate::hash::Hash;
use crate::note::{MAX_NOTE, NoteKey};
use crate::proof::{ProofError, verify_inclusion};

const FIRST: &str = "c2sp.org/tlog-proof@v1";

/// The longest proof file that is read, in bytes.
pub const MAX_FILE: usize = 2 * MAX_NOTE;

/// The most hashes that a proof in a 64-bit tree can have.
const MAX_PATH: usize = 64;

/// A proof that an entry is in a log. It prints as the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlogProof {
    /// Whatever the writer added; nothing vouches for it.
    pub extra: Option<Vec<u8>>,
    /// The place of the entry in the log.
    pub index: u64,
    /// From the leaf's sibling up to the root's child.
    pub path: Vec<Hash>,
    /// The signed checkpoint, as the log gave it.
    pub checkpoint: String,
}

/// Why a proof file does not read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProofFileError {
    /// It is longer than any proof.
    #[error("the proof is longer than {MAX_FILE} bytes")]
    TooLong,
    /// It is not text.
    #[error("the proof is not text")]
    NotText,
    /// It does not begin as a proof does.
    #[error("expected `{FIRST}` as the first line")]
    Version,
    /// The extra data does not read.
    #[error("the line `extra` is not base64")]
    Extra,
    /// The line with the index is missing or does not read.
    #[error("expected the line `index` with a number in decimal digits")]
    Index,
    /// A hash does not read.
    #[error("hash {at} of the proof is not 32 bytes in base64")]
    Hash {
        /// Which one, from 1.
        at: usize,
    },
    /// There are more hashes than any tree has levels.
    #[error("the proof has more than {MAX_PATH} hashes")]
    TooManyHashes,
    /// No empty line and checkpoint follow.
    #[error("expected an empty line and a checkpoint after the hashes")]
    NoCheckpoint,
}

/// Why a proof proves nothing about an entry.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProofVerifyError {
    /// The checkpoint is not accepted.
    #[error("the checkpoint in the proof is not accepted")]
    Checkpoint(#[from] CheckpointError),
    /// The entry is not at that place under the checkpoint.
    #[error("the proof does not hold for this entry")]
    Proof(#[from] ProofError),
}

impl TlogProof {
    /// Reads a file.
    pub fn parse(file: &[u8]) -> Result<Self, ProofFileError> {
        if file.len() > MAX_FILE {
            return Err(ProofFileError::TooLong);
        }
        let file = std::str::from_utf8(file).map_err(|_| ProofFileError::NotText)?;
        let rest = file
            .strip_prefix(FIRST)
            .and_then(|rest| rest.strip_prefix('\n'))
            .ok_or(ProofFileError::Version)?;
        let (head, checkpoint) = rest
            .split_once("\n\n")
            .ok_or(ProofFileError::NoCheckpoint)?;
        let mut lines = head.split('\n').peekable();
        let extra = lines
            .next_if(|line| line.starts_with("extra "))
            .and_then(|line| line.strip_prefix("extra "))
            .map(|extra| BASE64.decode(extra.as_bytes()))
            .transpose()
            .map_err(|_| ProofFileError::Extra)?;
        let index = lines
            .next()
            .and_then(|line| line.strip_prefix("index "))
            .and_then(decimal)
            .ok_or(ProofFileError::Index)?;
        let path = lines
            .enumerate()
            .map(|(at, line)| {
                if at < MAX_PATH {
                    Hash::parse(line).ok_or(ProofFileError::Hash { at: at + 1 })
                } else {
                    Err(ProofFileError::TooManyHashes)
                }
            })
            .collect::<Result<_, _>>()?;
        Ok(Self {
            extra,
            index,
            path,
            checkpoint: checkpoint.to_owned(),
        })
    }

    /// Checks that `entry` is at [`index`](Self::index) of the log that one of `keys` signed for;
    /// returns the checkpoint under which it is.
    pub fn verify(&self, entry: &[u8], keys: &[NoteKey]) -> Result<Checkpoint, ProofVerifyError> {
        let checkpoint = Checkpoint::open(self.checkpoint.as_bytes(), keys)?;
        verify_inclusion(
            Hash::leaf(entry),
            self.index,
            checkpoint.size,
            &self.path,
            &checkpoint.root,
        )?;
        Ok(checkpoint)
    }
}

impl fmt::Display for TlogProof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{FIRST}")?;
        if let Some(extra) = &self.extra {
            writeln!(f, "extra {}", BASE64.encode(extra))?;
        }
        writeln!(f, "index {}", self.index)?;
        for hash in &self.path {
            writeln!(f, "{hash}")?;
        }
        write!(f, "\n{}", self.checkpoint)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::testing::{key, signed, tree};

    fn proof(entries: u64, index: u64, extra: Option<Vec<u8>>) -> TlogProof {
        let (leaves, checkpoint) = tree("a.example", entries);
        TlogProof {
            extra,
            index,
            path: crate::proof::inclusion(&leaves, index, entries).unwrap(),
            checkpoint: signed(&checkpoint, 1),
        }
    }

    #[test]
    fn a_log_of_one_entry_has_a_proof_without_hashes() {
        let proof = proof(1, 0, None);
        let text = proof.to_string();
        assert!(text.starts_with("c2sp.org/tlog-proof@v1\nindex 0\n\na.example\n1\n"));
        assert_eq!(TlogProof::parse(text.as_bytes()), Ok(proof.clone()));
        let keys = [key(1, "a.example")];
        assert_eq!(proof.verify(&0_u64.to_be_bytes(), &keys).unwrap().size, 1);
        assert!(proof.verify(&1_u64.to_be_bytes(), &keys).is_err());
        assert!(
            proof
                .verify(&0_u64.to_be_bytes(), &[key(2, "a.example")])
                .is_err()
        );
    }

    #[test]
    fn files_in_another_form_do_not_read() {
        let text = proof(5, 3, Some(b"more".to_vec())).to_string();
        assert!(TlogProof::parse(text.as_bytes()).is_ok());
        let hash = Hash::leaf(b"").to_string();
        for wrong in [
            String::new(),
            text.replace("@v1", "@v2"),
            text.replace("@v1\n", "@v1\r\n"),
            text.replace("extra bW9yZQ==", "extra bW9yZQ"),
            text.replace("extra bW9yZQ==", "Extra bW9yZQ=="),
            text.replace("extra bW9yZQ==\n", "extra bW9yZQ==\nextra bW9yZQ==\n"),
            text.replace("index 3", "index 03"),
            text.replace("index 3", "index -3"),
            text.replace("index 3\n", ""),
            text.replace("index 3\n", "index 3\nAAAA\n"),
            text.replace(
                "index 3\n",
                &format!("index 3\n{}", format!("{hash}\n").repeat(65)),
            ),
            text.replace("\n\na.example", "\na.example"),
            format!("{text}{}", "x".repeat(MAX_FILE)),
        ] {
            let ok = TlogProof::parse(wrong.as_bytes()).is_ok_and(|proof| {
                proof
                    .verify(&3_u64.to_be_bytes(), &[key(1, "a.example")])
                    .is_ok()
            });
            assert!(!ok, "{wrong}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn any_change_is_seen(
            entries in 1_u64..200,
            index: prop::sample::Index,
            at: prop::sample::Index,
            bit in 0_u8..8,
        ) {
            let index = u64::try_from(index.index(usize::try_from(entries).unwrap())).unwrap();
            let keys = [key(1, "a.example")];
            let entry = index.to_be_bytes();
            let proof = proof(entries, index, None);
            let mut bytes = proof.to_string().into_bytes();
            let read = TlogProof::parse(&bytes).unwrap();
            prop_assert!(read.verify(&entry, &keys).is_ok());
            prop_assert_eq!(read, proof);
            let at = at.index(bytes.len());
            bytes[at] ^= 1 << bit;
            let passes = TlogProof::parse(&bytes).is_ok_and(|p| p.verify(&entry, &keys).is_ok());
            prop_assert!(!passes);
        }

        #[test]
        fn any_file_reads_to_itself_or_not_at_all(
            bytes: Vec<u8>,
            text in "c2sp.org/tlog-proof@v1\n(extra [A-Za-z0-9+/=]{0,8}\n)?index [0-9]{1,21}\n\
                     ([A-Za-z0-9+/]{43}=\n){0,3}\n[a-z0-9\n]{0,40}",
        ) {
            for bytes in [&bytes, text.as_bytes()] {
                if let Ok(read) = TlogProof::parse(bytes) {
                    let printed = read.to_string();
                    prop_assert_eq!(printed.as_bytes(), bytes);
                    prop_assert!(read.verify(b"entry", &[key(1, "a.example")]).is_err());
                }
            }
        }
    }
}
