//! Identifiers that carry the instant they end at.
//!
//! Sixteen bytes: 48 bits of milliseconds since the epoch, big-endian, then 80 random bits. A table
//! keyed by them is ordered by expiry: nothing needs an index or a timer to find what is due. The
//! instant is no secret (it is in the credential as `exp`); the 80 bits make an id unguessable.

use std::fmt;
use std::str::FromStr;

use crate::base32;
use crate::rng::Rng;
use crate::time::Timestamp;

/// An identifier could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("an id is 26 characters of Crockford base32, upper case")]
pub struct ParseIdError;

fn compose(at: Timestamp, rng: &dyn Rng) -> [u8; 16] {
    let mut bytes = rng.bytes16();
    // `Timestamp` holds at most 47 bits, so the first two of the eight bytes are zero.
    for (to, from) in bytes
        .iter_mut()
        .zip(at.millis().to_be_bytes().into_iter().skip(2))
    {
        *to = from;
    }
    bytes
}

fn prefix(bytes: [u8; 16]) -> Timestamp {
    let millis = bytes
        .iter()
        .take(6)
        .fold(0_u64, |sum, byte| (sum << 8) | u64::from(*byte));
    Timestamp::from_millis(millis)
}

macro_rules! timed_id {
    ($(#[$doc:meta])* $name:ident, $instant:ident, $(#[$instant_doc:meta])*) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; 16]);

        impl $name {
            /// A fresh id for `at`, with 80 bits from `rng`.
            pub fn generate(at: Timestamp, rng: &dyn Rng) -> Self {
                Self(compose(at, rng))
            }

            /// From its sixteen bytes; `None` if the top bit is set, which no id has.
            pub fn from_bytes(bytes: [u8; 16]) -> Option<Self> {
                bytes.first().is_some_and(|byte| *byte < 0x80).then_some(Self(bytes))
            }

            /// From a slice of exactly sixteen bytes.
            pub fn from_slice(bytes: &[u8]) -> Option<Self> {
                Self::from_bytes(bytes.try_into().ok()?)
            }

            /// Its sixteen bytes.
            pub const fn as_bytes(&self) -> &[u8; 16] {
                &self.0
            }

            $(#[$instant_doc])*
            pub fn $instant(&self) -> Timestamp {
                prefix(self.0)
            }

            /// The smallest id of `at`: the left edge of a range over a table.
            pub fn first_at(at: Timestamp) -> Self {
                let mut bytes = [0; 16];
                for (to, from) in bytes.iter_mut().zip(at.millis().to_be_bytes().into_iter().skip(2)) {
                    *to = from;
                }
                Self(bytes)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&base32::encode(self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self)
            }
        }

        impl FromStr for $name {
            type Err = ParseIdError;

            fn from_str(text: &str) -> Result<Self, ParseIdError> {
                base32::decode(text).and_then(Self::from_bytes).ok_or(ParseIdError)
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }
    };
}

timed_id!(
    /// Names one issued token (`jti`) or certificate (its serial number).
    CredentialId,
    ends_at,
    /// When the credential ends, to the millisecond. What it *says* (`exp`, [`Self::expires_at`])
    /// is this, rounded down to the second.
);

timed_id!(
    /// Names one task.
    TaskId,
    deadline,
    /// When the task ends at the latest.
);

timed_id!(
    /// Names one decision and the audit entry that records it.
    DecisionId,
    decided_at,
    /// When the decision was made.
);

impl CredentialId {
    /// The instant from which the credential is no longer valid: `exp`, in whole seconds.
    pub fn expires_at(&self) -> Timestamp {
        self.ends_at().floor_to_second()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::SeededRng;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn carries_its_instant_and_reads_back(millis in 0_u64..(1 << 47), seed: u64) {
            let at = Timestamp::from_millis(millis);
            let id = CredentialId::generate(at, &SeededRng::new(seed));
            prop_assert_eq!(id.ends_at(), at);
            prop_assert_eq!(id.to_string().parse::<CredentialId>(), Ok(id));
            prop_assert!(CredentialId::first_at(at) <= id);
            prop_assert!(id < CredentialId::first_at(Timestamp::from_millis(millis + 1)) || millis + 1 >= 1 << 47);
            prop_assert!(id.as_bytes()[0] < 0x80, "a serial number must be positive");
        }
    }

    #[test]
    fn the_top_bit_is_refused() {
        assert_eq!(TaskId::from_bytes([0x80; 16]), None);
        assert!("G0000000000000000000000000".parse::<TaskId>().is_err());
    }
}
