//! The life of a signing key: `prepared → active → retired`, or `tainted` at once. An authority whose
//! certificate is made elsewhere is `waiting` before that.
//!
//! A key is published before it signs and kept until the last thing it signed has ended, so that no
//! verifier ever meets a signature it cannot check; then its private half is destroyed, and the rest
//! of its record stays, to say what it was. What is due when is decided by pure functions of the
//! slot's record and `now`.

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
    KeyState, "waiting, prepared, active, retired, tainted", {
    /// Made for an authority; its certificate is asked for elsewhere and has not come yet.
    Waiting => "waiting",
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
    /// When it was made; of one that waited for its certificate, when that came: published since.
    pub created_at: Timestamp,
    /// Of a prepared key: when it is to take over, if that was asked for or has a reason of its own.
    pub activate_at: Option<Timestamp>,
    /// When it began to sign.
    pub activated_at: Option<Timestamp>,
    /// When it stopped; of a tainted one, when it was distrusted.
    pub retired_at: Option<Timestamp>,
    /// For an authority: when its certificate ends.
    pub not_after: Option<Timestamp>,
    /// The public half: a JWK for token, log and feed keys, SPKI for authorities.
    pub public: Vec<u8>,
    /// For an authority: its certificate in DER.
    pub certificate: Option<Vec<u8>>,
    /// For an authority: the certificates, in DER and the nearest first, that stand between this one
    /// and a self-signed one above it. Empty where that one is directly above.
    pub chain: Vec<Vec<u8>>,
    /// For a root whose private half is not here: its list of revoked authorities, signed beforehand.
    pub crl: Option<Vec<u8>>,
    /// The private half, sealed under the key-encryption key (AES-256-GCM). Empty if it is not here:
    /// destroyed when it was not needed any more, or never known.
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
            KeyState::Waiting | KeyState::Tainted => false,
            KeyState::Retired => self.published_until().is_some_and(|until| now < until),
        }
    }

    /// For a retired key: when the last thing that it signed has ended, by everybody's clock, or its own
    /// certificate. `None` if it never signed anything that is checked later.
    pub fn published_until(&self) -> Option<Timestamp> {
        self.activated_at?;
        let longest = self.purpose.longest_signed()?;
        let end = self.retired_at?.plus(longest.duration());
        let end = end.plus(ttl::CLOCK_SKEW);
        Some(self.not_after.map_or(end, |over| over.min(end)))
    }

    /// Whether the private half is here.
    pub fn has_private(&self) -> bool {
        !self.sealed.is_empty()
    }

    /// The record without its private half, which nothing needs any more.
    #[must_use]
    pub fn destroyed(&self) -> Self {
        Self {
            sealed: Vec::new(),
            ..self.clone()
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
            activate_at: None,
            activated_at: Some(Timestamp::ZERO),
            retired_at: Some(Timestamp::from_secs(1000)),
            not_after: None,
            public: vec![],
            certificate: None,
            chain: vec![],
            crl: None,
            sealed: vec![],
        };
        let last = 1000 + 3600 + 60;
        assert!(key.is_published(Timestamp::from_secs(last - 1)));
        assert!(!key.is_published(Timestamp::from_secs(last)));
        let over = KeyRecord {
            not_after: Some(Timestamp::from_secs(1200)),
            ..key.clone()
        };
        assert!(over.is_published(Timestamp::from_secs(1199)));
        assert!(
            !over.is_published(Timestamp::from_secs(1200)),
            "its certificate has ended"
        );
        let never = KeyRecord {
            activated_at: None,
            ..key.clone()
        };
        assert!(
            !never.is_published(Timestamp::from_secs(1000)),
            "it never signed"
        );
        for state in [KeyState::Tainted, KeyState::Waiting] {
            key.state = state;
            assert!(!key.is_published(Timestamp::from_secs(1)));
        }
        key.sealed = vec![1];
        assert!(key.has_private() && !key.destroyed().has_private());
        assert_eq!(KeyId::parse(key.id.as_str()), Some(key.id.clone()));
        assert_eq!(KeyId::parse("nonsense"), None);
    }
}
