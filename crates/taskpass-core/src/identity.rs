//! Identities: by which certificate a principal calls the broker, and which one follows it.
//!
//! Each principal has one line of certificates. Renewing proves the current key and names the next
//! one; the generation rises by one. If a second, different key asks to follow the same generation,
//! somebody has a copy of the key: the line ends, and both holders must enrol anew. Whoever has a copy
//! and renews twice at once does not escape that: earlier keys are remembered for as long as their
//! certificates live, accepted for nothing, and recognised when they ask to be succeeded again.

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

/// How many earlier certificates are remembered; of more, the oldest.
const MAX_EARLIER: usize = 32;

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
    /// Those before that, oldest first, whose time was not over when the line moved on: accepted no more.
    pub earlier: Vec<Link>,
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

    /// Whether `key` was of this line, within its time, before the previous one.
    pub fn is_earlier(&self, key: Sha256, now: Timestamp) -> bool {
        let holds = |link: &Link| link.key == key && now < link.expires_at;
        self.broken_at.is_none()
            && self.standing(key, now) == Standing::Refused
            && self.earlier.iter().any(holds)
    }

    /// What is earlier once the line has moved on by one.
    pub fn earlier_next(&self, now: Timestamp) -> Vec<Link> {
        let all = self.earlier.iter().chain(&self.previous);
        // The oldest first: nobody pushes out what was there by renewing often.
        all.filter(|link| now < link.expires_at)
            .take(MAX_EARLIER)
            .copied()
            .collect()
    }

    /// Whether the line ever had `key`, as far as it remembers.
    fn knows(&self, key: Sha256) -> bool {
        let mut all = self.earlier.iter().chain(&self.previous);
        self.current.key == key || all.any(|link| link.key == key)
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
            // A late duplicate of what was answered long ago asks for a key that the line knows.
            Standing::Refused if self.is_earlier(proved, now) && !self.knows(next) => {
                Succession::Theft
            }
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
            earlier: vec![link(0, 80)],
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
            (0, 3, 50, Succession::Theft),
            (0, 1, 50, Succession::Refused),
            (0, 2, 50, Succession::Refused),
            (0, 3, 80, Succession::Refused),
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
        assert_eq!(
            broken.succession(key(0), key(3), Timestamp::ZERO),
            Succession::Refused
        );
    }

    #[test]
    fn earlier_ones_are_remembered_while_they_live_and_pushed_out_by_nobody() {
        let mut line = IdentityLine {
            principal: Principal::from_parts("agent", "a").unwrap(),
            generation: 1,
            current: link(0, 100),
            previous: None,
            earlier: Vec::new(),
            broken_at: None,
        };
        let (now, key) = (Timestamp::from_secs(50), |byte| {
            Sha256::from_bytes([byte; 32])
        });
        for byte in 1..=100 {
            line.earlier = line.earlier_next(now);
            line.previous = Some(line.current);
            line.current = link(byte, 100);
        }
        assert_eq!(line.earlier.len(), MAX_EARLIER);
        assert_eq!(line.succession(key(0), key(200), now), Succession::Theft);
        assert!(!line.is_earlier(key(99), now), "the previous one");
        assert!(line.earlier_next(Timestamp::from_secs(100)).is_empty());
    }
}
