//! The algorithms that may be pinned: with a public key, and for the sizes of today.
//!
//! There is no symmetric one and no `none`, so that neither can be configured or met.

use std::fmt;
use std::str::FromStr;

/// A signature algorithm of a foreign token (RFC 7518 §3.1, RFC 8037 §3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ForeignAlg {
    /// RSASSA-PKCS1-v1_5 with SHA-256: what Kubernetes and GitHub sign with.
    Rs256,
    /// RSASSA-PSS with SHA-256.
    Ps256,
    /// ECDSA on P-256 with SHA-256.
    Es256,
    /// Ed25519.
    EdDsa,
}

/// Not an algorithm that may be pinned.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is none of RS256, PS256, ES256 and EdDSA")]
pub struct UnknownAlg(String);

impl ForeignAlg {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Rs256, Self::Ps256, Self::Es256, Self::EdDsa];

    /// As it stands in a header.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Rs256 => "RS256",
            Self::Ps256 => "PS256",
            Self::Es256 => "ES256",
            Self::EdDsa => "EdDSA",
        }
    }
}

impl FromStr for ForeignAlg {
    type Err = UnknownAlg;

    fn from_str(text: &str) -> Result<Self, UnknownAlg> {
        Self::ALL
            .into_iter()
            .find(|alg| alg.as_str() == text)
            .ok_or_else(|| UnknownAlg(text.to_owned()))
    }
}

impl fmt::Display for ForeignAlg {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
