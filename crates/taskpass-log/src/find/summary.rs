//! The summary of one full bundle.

use taskpass_core::Timestamp;
use taskpass_core::secret::Sha256;

use super::fields::Fields;

/// Bytes of the filter: at the usual 600 values of a bundle, one in many thousands is found
/// although it is not there.
const FILTER_BYTES: usize = 2048;
const HASHES: usize = 7;

/// Which values a bundle can hold, and which times it spans.
#[derive(Clone, PartialEq, Eq)]
pub struct Summary {
    first_at: u64,
    last_at: u64,
    bits: Box<[u8; FILTER_BYTES]>,
}

impl std::fmt::Debug for Summary {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Summary")
            .field("first_at", &self.first_at)
            .field("last_at", &self.last_at)
            .finish_non_exhaustive()
    }
}

impl Summary {
    /// The size of an encoded summary in bytes.
    pub const ENCODED_LEN: usize = 16 + FILTER_BYTES;

    /// Summarises the entries of a bundle. What does not read as an entry cannot be asked for.
    pub fn of<'a>(entries: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let mut summary = Self {
            first_at: u64::MAX,
            last_at: 0,
            bits: Box::new([0; FILTER_BYTES]),
        };
        for fields in entries.into_iter().filter_map(Fields::parse) {
            if let Some(at) = fields.at() {
                summary.first_at = summary.first_at.min(at.millis());
                summary.last_at = summary.last_at.max(at.millis());
            }
            for term in fields.terms() {
                summary.add(&term);
            }
        }
        summary
    }

    fn add(&mut self, term: &str) {
        for (byte, bit) in places(term) {
            if let Some(byte) = self.bits.get_mut(byte) {
                *byte |= bit;
            }
        }
    }

    /// Whether an entry of the bundle can have the value; `false` is certain.
    pub(super) fn may_contain(&self, term: &str) -> bool {
        places(term).all(|(byte, bit)| self.bits.get(byte).is_some_and(|byte| byte & bit != 0))
    }

    /// Whether an entry of the bundle can be in the period.
    pub(super) fn overlaps(&self, from: Option<Timestamp>, until: Option<Timestamp>) -> bool {
        from.is_none_or(|from| self.last_at >= from.millis())
            && until.is_none_or(|until| self.first_at < until.millis())
    }

    /// As bytes, to be kept.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(Self::ENCODED_LEN);
        bytes.extend_from_slice(&self.first_at.to_be_bytes());
        bytes.extend_from_slice(&self.last_at.to_be_bytes());
        bytes.extend_from_slice(&*self.bits);
        bytes
    }

    /// From what [`to_bytes`](Self::to_bytes) made.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (first, rest) = bytes.split_first_chunk::<8>()?;
        let (last, bits) = rest.split_first_chunk::<8>()?;
        Some(Self {
            first_at: u64::from_be_bytes(*first),
            last_at: u64::from_be_bytes(*last),
            bits: Box::new(bits.try_into().ok()?),
        })
    }
}

/// The bits of a value: independent pieces of its SHA-256.
fn places(term: &str) -> impl Iterator<Item = (usize, u8)> {
    let hash = *Sha256::of(term.as_bytes()).as_bytes();
    (0..HASHES).map(move |piece| {
        let high = hash.get(piece * 2).copied().unwrap_or(0);
        let low = hash.get(piece * 2 + 1).copied().unwrap_or(0);
        let place = usize::from(u16::from_be_bytes([high, low])) % (FILTER_BYTES * 8);
        (place / 8, 1 << (place % 8))
    })
}
