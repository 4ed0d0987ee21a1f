//! The signed document, checked, and what it says of one token.
//!
//! A [`StatusList`] exists only if the signature is by a trusted key, the document is about the
//! list that was asked for, and its time is not over. It keeps its end: ask
//! [`StatusList::is_current`] at each use.

use std::time::Duration;

use serde::Deserialize;
use taskpass_core::key::KeyId;
use taskpass_core::time::Timestamp;
use taskpass_token::KeyRing;
use taskpass_token::jws::{self, JwsError};
use taskpass_token::strict::Object;

use crate::lst::{self, LstError, MAX_PACKED_LEN};
use crate::packed::{Bits, Packed};
use crate::token::STATUS_LIST_TYPE;

/// The longest document that is looked at: base64 within base64 of the longest list.
pub const MAX_DOCUMENT_LEN: usize = MAX_PACKED_LEN * 2 + 8 * 1024;

/// What a document must say to be accepted.
#[derive(Debug, Clone, Copy)]
pub struct Expect<'a> {
    /// The list that the token names: `sub` must be this, byte for byte.
    pub uri: &'a str,
    /// The instant of the check.
    pub now: Timestamp,
    /// How far the issuer's clock may be ahead. It never prolongs a list.
    pub leeway: Duration,
}

/// Why a document was refused.
#[derive(Debug, thiserror::Error)]
pub enum StatusListError {
    /// Not a compact JWS of the strict form.
    #[error("not a signed status list")]
    Malformed(#[source] JwsError),
    /// `typ` is another one.
    #[error("the document's type is not {STATUS_LIST_TYPE}")]
    Type,
    /// It names no key, or its `kid` cannot be one of ours.
    #[error("the status list names no key")]
    NoKey,
    /// It names a key that is not trusted.
    #[error("the status list names the key {0}, which is not trusted")]
    UnknownKey(KeyId),
    /// It claims another algorithm than its key's.
    #[error("the status list's algorithm is not that of its key")]
    Algorithm,
    /// The signature does not fit.
    #[error("the status list's signature is wrong")]
    Signature,
    /// The signed payload is no status list.
    #[error("the status list's claims cannot be used")]
    Claims(#[source] serde_json::Error),
    /// It is about another list.
    #[error("the document is about another list")]
    Subject,
    /// The width is none of 1, 2, 4, 8.
    #[error("statuses have 1, 2, 4 or 8 bits")]
    Bits,
    /// The statuses cannot be unpacked.
    #[error("the statuses cannot be unpacked")]
    Lst(#[source] LstError),
    /// `ttl` is 0.
    #[error("the status list's ttl is not positive")]
    Ttl,
    /// Issued later than now.
    #[error("the status list is from the future")]
    IssuedInFuture,
    /// Its time is over.
    #[error("the status list has expired")]
    Expired,
}

/// What a token's place on the list says (§7.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// Nothing is against it.
    Valid,
    /// Revoked.
    Invalid,
    /// Not to be accepted at present.
    Suspended,
    /// Something that only its issuer can explain: not to be accepted.
    Other(u8),
}

impl Status {
    /// Whether the token may be accepted, as far as the list is concerned.
    pub const fn is_valid(self) -> bool {
        matches!(self, Self::Valid)
    }
}

/// A token names a place that the list does not have: it must be refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the status list has no place {index}")]
pub struct OutOfRange {
    /// The place.
    pub index: u64,
}

/// A checked list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatusList {
    issued_at: Timestamp,
    expires_at: Timestamp,
    ttl: Duration,
    packed: Packed,
}

#[derive(Deserialize)]
struct Payload {
    sub: String,
    iat: u64,
    exp: u64,
    ttl: u64,
    status_list: Object<Listed>,
}

#[derive(Deserialize)]
struct Listed {
    bits: u64,
    lst: String,
}

impl StatusList {
    /// Checks a document: who signed it first, then what it says.
    ///
    /// `iat`, `exp` and `ttl` must be there: without them nobody could say how old it may get.
    pub fn verify(
        document: &str,
        keys: &impl KeyRing,
        expect: &Expect<'_>,
    ) -> Result<Self, StatusListError> {
        let jws =
            jws::parse_within(document, MAX_DOCUMENT_LEN).map_err(StatusListError::Malformed)?;
        if jws.header.typ.as_deref() != Some(STATUS_LIST_TYPE) {
            return Err(StatusListError::Type);
        }
        let kid = jws.header.kid.as_deref();
        let id = kid.and_then(KeyId::parse).ok_or(StatusListError::NoKey)?;
        let Some(key) = keys.key(&id) else {
            return Err(StatusListError::UnknownKey(id));
        };
        if jws.header.alg != key.alg().as_str() {
            return Err(StatusListError::Algorithm);
        }
        key.verify(jws.signing_input.as_bytes(), &jws.signature)
            .map_err(|_| StatusListError::Signature)?;
        Self::parse(&jws.payload, expect)
    }

    /// Reads the payload of a document whose signature was checked elsewhere.
    pub fn parse(payload: &[u8], expect: &Expect<'_>) -> Result<Self, StatusListError> {
        let Object(payload): Object<Payload> =
            serde_json::from_slice(payload).map_err(StatusListError::Claims)?;
        if payload.sub != expect.uri {
            return Err(StatusListError::Subject);
        }
        if payload.ttl == 0 {
            return Err(StatusListError::Ttl);
        }
        if Timestamp::from_secs(payload.iat) > expect.now.plus(expect.leeway) {
            return Err(StatusListError::IssuedInFuture);
        }
        let expires_at = Timestamp::from_secs(payload.exp);
        if expect.now >= expires_at {
            return Err(StatusListError::Expired);
        }
        let Object(listed) = payload.status_list;
        let bits = Bits::new(listed.bits).ok_or(StatusListError::Bits)?;
        Ok(Self {
            issued_at: Timestamp::from_secs(payload.iat),
            expires_at,
            ttl: Duration::from_secs(payload.ttl),
            packed: lst::decode(bits, &listed.lst).map_err(StatusListError::Lst)?,
        })
    }

    /// The status at `index`.
    pub fn status(&self, index: u64) -> Result<Status, OutOfRange> {
        match self.packed.get(index).ok_or(OutOfRange { index })? {
            0 => Ok(Status::Valid),
            1 => Ok(Status::Invalid),
            2 => Ok(Status::Suspended),
            other => Ok(Status::Other(other)),
        }
    }

    /// Whether it may still be relied on.
    pub fn is_current(&self, now: Timestamp) -> bool {
        now < self.expires_at
    }

    /// Everything that was revoked until then is in it.
    pub fn issued_at(&self) -> Timestamp {
        self.issued_at
    }

    /// From then on it says nothing.
    pub fn expires_at(&self) -> Timestamp {
        self.expires_at
    }

    /// After how long it should be fetched again.
    pub fn ttl(&self) -> Duration {
        self.ttl
    }

    /// The statuses.
    pub fn packed(&self) -> &Packed {
        &self.packed
    }
}

#[cfg(test)]
mod tests;
