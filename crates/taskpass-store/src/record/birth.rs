//! What a store was made for, on disk, with the random id that its marker file repeats.

use crate::record::instant;
use crate::store::Birth;

/// A [`Birth`] and the id of this store.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct BirthRecord {
    /// Sixteen random bytes, also in the marker file.
    #[prost(bytes = "vec", tag = "1")]
    pub(crate) id: Vec<u8>,
    #[prost(string, tag = "2")]
    trust_domain: String,
    #[prost(string, tag = "3")]
    public_url: String,
    #[prost(string, tag = "4")]
    crl_url: String,
    #[prost(bool, tag = "5")]
    dev: bool,
    #[prost(uint64, tag = "6")]
    born_at: u64,
    #[prost(uint64, tag = "7")]
    epoch: u64,
}

impl BirthRecord {
    /// The record of `birth` under `id`.
    pub(crate) fn new(id: [u8; 16], birth: &Birth) -> Self {
        Self {
            id: id.to_vec(),
            trust_domain: birth.trust_domain.to_string(),
            public_url: birth.public_url.clone(),
            crl_url: birth.crl_url.clone(),
            dev: birth.dev,
            born_at: birth.born_at.millis(),
            epoch: birth.epoch,
        }
    }

    /// The id and the birth.
    pub(crate) fn into_parts(self) -> Option<([u8; 16], Birth)> {
        let birth = Birth {
            trust_domain: self.trust_domain.parse().ok()?,
            public_url: self.public_url,
            crl_url: self.crl_url,
            dev: self.dev,
            born_at: instant(self.born_at)?,
            epoch: self.epoch,
        };
        Some((self.id.try_into().ok()?, birth))
    }
}
