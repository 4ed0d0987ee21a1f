//! A signing key on disk; its private half was sealed before it came here.

use std::fmt;

use taskpass_core::Timestamp;
use taskpass_core::key::{KeyId, KeyRecord};

use crate::record::{instant, optional};

/// A [`KeyRecord`] without its id, which is the key of the table.
#[derive(Clone, PartialEq, prost::Message)]
#[prost(skip_debug)]
pub(crate) struct KeyRow {
    #[prost(string, tag = "1")]
    purpose: String,
    #[prost(string, tag = "2")]
    state: String,
    #[prost(uint64, tag = "3")]
    created_at: u64,
    #[prost(uint64, optional, tag = "4")]
    activated_at: Option<u64>,
    #[prost(uint64, optional, tag = "5")]
    retired_at: Option<u64>,
    #[prost(uint64, optional, tag = "6")]
    not_after: Option<u64>,
    #[prost(bytes = "vec", tag = "7")]
    public: Vec<u8>,
    #[prost(bytes = "vec", optional, tag = "8")]
    certificate: Option<Vec<u8>>,
    #[prost(bytes = "vec", tag = "9")]
    sealed: Vec<u8>,
    #[prost(uint64, optional, tag = "10")]
    activate_at: Option<u64>,
    #[prost(bytes = "vec", repeated, tag = "11")]
    chain: Vec<Vec<u8>>,
    #[prost(bytes = "vec", optional, tag = "12")]
    crl: Option<Vec<u8>>,
}

impl fmt::Debug for KeyRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyRow")
            .field("purpose", &self.purpose)
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}

impl From<&KeyRecord> for KeyRow {
    fn from(key: &KeyRecord) -> Self {
        Self {
            purpose: key.purpose.to_string(),
            state: key.state.to_string(),
            created_at: key.created_at.millis(),
            activated_at: key.activated_at.map(Timestamp::millis),
            retired_at: key.retired_at.map(Timestamp::millis),
            not_after: key.not_after.map(Timestamp::millis),
            public: key.public.clone(),
            certificate: key.certificate.clone(),
            sealed: key.sealed.clone(),
            activate_at: key.activate_at.map(Timestamp::millis),
            chain: key.chain.clone(),
            crl: key.crl.clone(),
        }
    }
}

impl KeyRow {
    /// The key `id`.
    pub(crate) fn into_key(self, id: KeyId) -> Option<KeyRecord> {
        Some(KeyRecord {
            id,
            purpose: self.purpose.parse().ok()?,
            state: self.state.parse().ok()?,
            created_at: instant(self.created_at)?,
            activated_at: optional(self.activated_at, instant)?,
            retired_at: optional(self.retired_at, instant)?,
            not_after: optional(self.not_after, instant)?,
            public: self.public,
            certificate: self.certificate,
            sealed: self.sealed,
            activate_at: optional(self.activate_at, instant)?,
            chain: self.chain,
            crl: self.crl,
        })
    }
}
