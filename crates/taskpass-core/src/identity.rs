//! Identities: by which certificate a principal calls the broker, and which one follows it.
//!
//! Each principal has one line of certificates. Renewing proves the current key and names the next
//! one; the generation rises by one. If a second, different key asks to follow the same generation,
//! somebody has a copy of the key: the line ends, and both holders must enrol anew.

use std::fmt;

use crate::name::{AgentName, OperatorName, VerifierName};
use crate::secret::Sha256;
use crate::spiffe::Subject;
use crate::time::Timestamp;

/// Whoever can call the broker: a name and its kind.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Principal {
    /// An agent.
    Agent(AgentName),
    /// An operator.
    Operator(OperatorName),
    /// A verifier.
    Verifier(VerifierName),
}

impl Principal {
    /// The word for its kind.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Agent(_) => "agent",
            Self::Operator(_) => "operator",
            Self::Verifier(_) => "verifier",
        }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        match self {
            Self::Agent(name) => name.as_str(),
            Self::Operator(name) => name.as_str(),
            Self::Verifier(name) => name.as_str(),
        }
    }

    /// From a kind and a name.
    pub fn from_parts(kind: &str, name: &str) -> Option<Self> {
        match kind {
            "agent" => name.parse().ok().map(Self::Agent),
            "operator" => name.parse().ok().map(Self::Operator),
            "verifier" => name.parse().ok().map(Self::Verifier),
            _ => None,
        }
    }

    /// What its SPIFFE ID names.
    pub fn subject(&self) -> Subject {
        match self {
            Self::Agent(name) => Subject::Agent(name.clone()),
            Self::Operator(name) => Subject::Operator(name.clone()),
            Self::Verifier(name) => Subject::Verifier(name.clone()),
        }
    }

    /// The principal that a SPIFFE ID names; `None` for a task or the broker, which never call.
    pub fn from_subject(subject: &Subject) -> Option<Self> {
        match subject {
            Subject::Agent(name) => Some(Self::Agent(name.clone())),
            Subject::Operator(name) => Some(Self::Operator(name.clone())),
            Subject::Verifier(name) => Some(Self::Verifier(name.clone())),
            Subject::Task(..) | Subject::Broker => None,
        }
    }
}

impl fmt::Display for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.kind(), self.name())
    }
}

impl serde::Serialize for Principal {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// One certificate of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Link {
    /// SHA-256 of the certificate's subject public key info (DER).
    pub key: Sha256,
    /// When its certificate was issued.
    pub issued_at: Timestamp,
    /// When its certificate ends.
    pub expires_at: Timestamp,
}

/// The identity line of one principal, as it is recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdentityLine {
    /// Whose.
    pub principal: Principal,
    /// Raised with every renewal; enrolling anew continues the count.
    pub generation: u64,
    /// The newest certificate.
    pub current: Link,
    /// The one before: still accepted until it ends, so that a lost reply locks nobody out.
    pub previous: Option<Link>,
    /// Set when two keys claimed one generation: the line accepts nothing any more.
    pub broken_at: Option<Timestamp>,
}

/// What a line says about the key that a caller proved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// The newest key.
    Current,
    /// The key before it, still within its time.
    Previous,
    /// Not of this line, out of time, or the line is broken.
    Refused,
}

impl IdentityLine {
    /// Where `key` stands at `now`.
    pub fn standing(&self, key: Sha256, now: Timestamp) -> Standing {
        if self.broken_at.is_some() {
            Standing::Refused
        } else if self.current.key == key && now < self.current.expires_at {
            Standing::Current
        } else if self
            .previous
            .is_some_and(|link| link.key == key && now < link.expires_at)
        {
            Standing::Previous
        } else {
            Standing::Refused
        }
    }
}

/// What follows when `proved` asks to be succeeded by `next`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Succession {
    /// The next generation.
    Advance,
    /// The same successor again, after a lost reply: the same generation, a fresh certificate.
    Repeat,
    /// The present key again: it would succeed itself for ever, and a copy of it unnoticed.
    Reused,
    /// A second successor of one generation: the key was copied.
    Theft,
    /// The proved key may not renew.
    Refused,
}

impl IdentityLine {
    /// Judges a renewal.
    pub fn succession(&self, proved: Sha256, next: Sha256, now: Timestamp) -> Succession {
        match self.standing(proved, now) {
            Standing::Current if next == proved => Succession::Reused,
            Standing::Current => Succession::Advance,
            Standing::Previous if next == self.current.key => Succession::Repeat,
            Standing::Previous => Succession::Theft,
            Standing::Refused => Succession::Refused,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link(key: u8, expires: u64) -> Link {
        Link {
            key: Sha256::from_bytes([key; 32]),
            issued_at: Timestamp::ZERO,
            expires_at: Timestamp::from_secs(expires),
        }
    }

    #[test]
    fn succession_by_case() {
        let line = IdentityLine {
            principal: Principal::from_parts("agent", "a").unwrap(),
            generation: 2,
            current: link(2, 200),
            previous: Some(link(1, 100)),
            broken_at: None,
        };
        let key = |byte| Sha256::from_bytes([byte; 32]);
        for (proved, next, at, expected) in [
            (2, 3, 50, Succession::Advance),
            (2, 2, 50, Succession::Reused),
            (1, 2, 50, Succession::Repeat),
            (1, 3, 50, Succession::Theft),
            (1, 2, 100, Succession::Refused),
            (2, 3, 200, Succession::Refused),
            (9, 3, 50, Succession::Refused),
        ] {
            let now = Timestamp::from_secs(at);
            assert_eq!(
                line.succession(key(proved), key(next), now),
                expected,
                "{proved} {next} {at}"
            );
        }
        let broken = IdentityLine {
            broken_at: Some(Timestamp::ZERO),
            ..line
        };
        assert_eq!(
            broken.succession(key(2), key(3), Timestamp::ZERO),
            Succession::Refused
        );
    }
}
