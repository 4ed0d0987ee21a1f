//! An identity line on disk.

use taskpass_core::Timestamp;
use taskpass_core::identity::{IdentityLine, Link, Principal};

use crate::record::{instant, optional, sha256};

/// An [`IdentityLine`] without its principal, which is the key.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct IdentityRecord {
    #[prost(uint64, tag = "1")]
    generation: u64,
    #[prost(message, optional, tag = "2")]
    current: Option<LinkRecord>,
    #[prost(message, optional, tag = "3")]
    previous: Option<LinkRecord>,
    #[prost(uint64, optional, tag = "4")]
    broken_at: Option<u64>,
    #[prost(message, repeated, tag = "5")]
    earlier: Vec<LinkRecord>,
}

/// One certificate of a line.
#[derive(Clone, PartialEq, prost::Message)]
struct LinkRecord {
    #[prost(bytes = "vec", tag = "1")]
    key: Vec<u8>,
    #[prost(uint64, tag = "2")]
    issued_at: u64,
    #[prost(uint64, tag = "3")]
    expires_at: u64,
}

impl From<&Link> for LinkRecord {
    fn from(link: &Link) -> Self {
        Self {
            key: link.key.as_bytes().to_vec(),
            issued_at: link.issued_at.millis(),
            expires_at: link.expires_at.millis(),
        }
    }
}

impl LinkRecord {
    fn into_link(self) -> Option<Link> {
        Some(Link {
            key: sha256(&self.key)?,
            issued_at: instant(self.issued_at)?,
            expires_at: instant(self.expires_at)?,
        })
    }
}

impl From<&IdentityLine> for IdentityRecord {
    fn from(line: &IdentityLine) -> Self {
        Self {
            generation: line.generation,
            current: Some((&line.current).into()),
            previous: line.previous.as_ref().map(Into::into),
            broken_at: line.broken_at.map(Timestamp::millis),
            earlier: line.earlier.iter().map(Into::into).collect(),
        }
    }
}

impl IdentityRecord {
    /// The line of `principal`.
    pub(crate) fn into_line(self, principal: Principal) -> Option<IdentityLine> {
        Some(IdentityLine {
            principal,
            generation: self.generation,
            current: self.current?.into_link()?,
            previous: optional(self.previous, LinkRecord::into_link)?,
            broken_at: optional(self.broken_at, instant)?,
            earlier: (self.earlier.into_iter().map(LinkRecord::into_link))
                .collect::<Option<_>>()?,
        })
    }
}
