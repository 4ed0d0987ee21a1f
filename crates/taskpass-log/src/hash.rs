//! The hashes of a Merkle tree (RFC 6962, section 2.1), with SHA-256.
//!
//! Leaves and inner nodes are hashed under different prefixes, so no entry can pass for a node.

use std::fmt;

use data_encoding::BASE64;
use ring::digest::{Context, SHA256};

const LEAF: &[u8] = &[0];
const NODE: &[u8] = &[1];

/// The length of a hash in bytes.
pub const LENGTH: usize = 32;

/// A hash of a leaf, a node or a whole tree. It prints as base64.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Hash([u8; LENGTH]);

impl Hash {
    /// The hash of an entry.
    pub fn leaf(entry: &[u8]) -> Self {
        Self::over(&[LEAF, entry])
    }

    /// The hash of a node with two children.
    pub fn node(left: &Self, right: &Self) -> Self {
        Self::over(&[NODE, &left.0, &right.0])
    }

    /// The root of the tree without entries.
    pub fn empty_root() -> Self {
        Self::over(&[])
    }

    fn over(parts: &[&[u8]]) -> Self {
        let mut context = Context::new(&SHA256);
        for part in parts {
            context.update(part);
        }
        let mut out = [0; LENGTH];
        for (to, from) in out.iter_mut().zip(context.finish().as_ref()) {
            *to = *from;
        }
        Self(out)
    }

    /// From its bytes.
    pub const fn from_bytes(bytes: [u8; LENGTH]) -> Self {
        Self(bytes)
    }

    /// Its bytes.
    pub const fn as_bytes(&self) -> &[u8; LENGTH] {
        &self.0
    }

    /// Reads base64 with padding, as it is written in checkpoints and proofs.
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = BASE64.decode(text.as_bytes()).ok()?;
        bytes.try_into().ok().map(Self)
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&BASE64.encode(&self.0))
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(hash: Hash) -> String {
        data_encoding::HEXLOWER.encode(hash.as_bytes())
    }

    #[test]
    fn the_hashes_of_nothing_and_of_the_empty_entry_differ() {
        assert_eq!(
            hex(Hash::empty_root()),
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        );
        assert_eq!(
            hex(Hash::leaf(b"")),
            "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"
        );
    }

    #[test]
    fn only_32_bytes_of_strict_base64_read() {
        let hash = Hash::leaf(b"x");
        let text = hash.to_string();
        assert_eq!(Hash::parse(&text), Some(hash));
        for wrong in [
            String::new(),
            text.replace('=', ""),
            format!("{text}\n"),
            format!(" {text}"),
            BASE64.encode(&[0; 31]),
            BASE64.encode(&[0; 33]),
        ] {
            assert_eq!(Hash::parse(&wrong), None, "{wrong:?}");
        }
    }
}
