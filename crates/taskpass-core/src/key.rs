//! The life of a signing key: `prepared → active → retired`, or `tainted` at once.
//!
//! A key is published before it signs and kept until the last thing it signed has ended, so that no
//! verifier ever meets a signature it cannot check. What is due when is decided by pure functions of
//! the slot's record and `now`.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::access::words;
use crate::time::Timestamp;
use crate::ttl::{self, Ttl};

/// How long verifiers may cache the JWKS (`Cache-Control: max-age`).
pub const JWKS_MAX_AGE: Duration = Duration::from_mins(5);

words!(
    /// What a key signs. One key never serves two purposes.
    KeyPurpose, "token-es256, token-eddsa, control-root, control-issuing, task-root, task-issuing, log-checkpoint, feed", {
    /// Tokens, ES256.
    TokenEs256 => "token-es256",
    /// Tokens, EdDSA.
    TokenEdDsa => "token-eddsa",
    /// The root of the Control hierarchy.
    ControlRoot => "control-root",
    /// Issues identities and the broker's server certificate.
    ControlIssuing => "control-issuing",
    /// The root of the Task hierarchy.
    TaskRoot => "task-root",
    /// Issues task certificates and their CRL.
    TaskIssuing => "task-issuing",
    /// Checkpoints of the log.
    LogCheckpoint => "log-checkpoint",
    /// Heartbeats of the revocation feed.
    Feed => "feed",
});

words!(
    /// Where in its life a key is.
    KeyState, "prepared, active, retired, tainted", {
    /// Published, does not sign yet.
    Prepared => "prepared",
    /// Signs.
    Active => "active",
    /// Signs no more, still checks what it signed.
    Retired => "retired",
    /// Distrusted: whatever it signed is refused.
    Tainted => "tainted",
});

/// Names a key: the RFC 7638 thumbprint of its public half, which is also its `kid`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId(Arc<str>);

impl KeyId {
    /// From a thumbprint.
    pub fn from_thumbprint(thumbprint: crate::secret::Sha256) -> Self {
        Self(thumbprint.base64url().into())
    }

    /// Reads a thumbprint in base64url; `None` if it is not 32 bytes of it.
    pub fn parse(text: &str) -> Option<Self> {
        crate::secret::Sha256::from_base64url(text).map(|_| Self(text.into()))
    }

    /// The thumbprint in base64url.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl serde::Serialize for KeyId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

/// A key as it is recorded, its private half sealed.
#[derive(Clone, PartialEq, Eq)]
pub struct KeyRecord {
    /// Its name.
    pub id: KeyId,
    /// What it signs.
    pub purpose: KeyPurpose,
    /// Where in its life it is.
    pub state: KeyState,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it began to sign.
    pub activated_at: Option<Timestamp>,
    /// When it stopped.
    pub retired_at: Option<Timestamp>,
    /// For an authority: when its certificate ends.
    pub not_after: Option<Timestamp>,
    /// The public half: a JWK for token, log and feed keys, SPKI for authorities.
    pub public: Vec<u8>,
    /// For an authority: its certificate in DER.
    pub certificate: Option<Vec<u8>>,
    /// The private half, sealed under the key-encryption key (AES-256-GCM).
    pub sealed: Vec<u8>,
}

impl fmt::Debug for KeyRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyRecord")
            .field("id", &self.id)
            .field("purpose", &self.purpose)
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}

impl KeyPurpose {
    /// The longest life of what a key of this purpose signs; `None` for authorities' own
    /// certificates and for signatures that are checked at once.
    pub const fn longest_signed(self) -> Option<Ttl> {
        match self {
            Self::TokenEs256 | Self::TokenEdDsa => Some(ttl::MAX_TOKEN_TTL),
            Self::TaskIssuing => Some(ttl::MAX_CERTIFICATE_TTL),
            Self::ControlIssuing => Some(ttl::MAX_IDENTITY_TTL),
            Self::ControlRoot | Self::TaskRoot | Self::LogCheckpoint | Self::Feed => None,
        }
    }
}

impl KeyRecord {
    /// Whether verifiers must be able to check what this key signed: it is prepared, active, or
    /// retired so recently that something it signed may still live.
    pub fn is_published(&self, now: Timestamp) -> bool {
        match self.state {
            KeyState::Prepared | KeyState::Active => true,
            KeyState::Tainted => false,
            KeyState::Retired => match (self.retired_at, self.purpose.longest_signed()) {
                (Some(at), Some(longest)) => {
                    now < at.plus(longest.duration()).plus(ttl::CLOCK_SKEW)
                }
                _ => false,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_retired_key_is_published_until_its_last_token_has_ended() {
        let mut key = KeyRecord {
            id: KeyId::from_thumbprint(crate::secret::Sha256::of(b"k")),
            purpose: KeyPurpose::TokenEs256,
            state: KeyState::Retired,
            created_at: Timestamp::ZERO,
            activated_at: Some(Timestamp::ZERO),
            retired_at: Some(Timestamp::from_secs(1000)),
            not_after: None,
            public: vec![],
            certificate: None,
            sealed: vec![],
        };
        let last = 1000 + 3600 + 60;
        assert!(key.is_published(Timestamp::from_secs(last - 1)));
        assert!(!key.is_published(Timestamp::from_secs(last)));
        key.state = KeyState::Tainted;
        assert!(!key.is_published(Timestamp::from_secs(1)));
        assert_eq!(KeyId::parse(key.id.as_str()), Some(key.id.clone()));
        assert_eq!(KeyId::parse("nonsense"), None);
    }
}
