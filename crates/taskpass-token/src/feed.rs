//! The heartbeat of the revocation feed: what is signed, and checking it.
//!
//! It says that up to `seq`, at `at`, the rules in force had this digest; a verifier whose own view
//! differs has lost or been fed something. The bytes begin with a text that no other signed thing
//! of taskpass begins with. Freshness is the receiver's to judge.

use taskpass_core::time::Timestamp;

use crate::jwk::{BadSignature, Jwk};

/// What the signed bytes begin with.
pub const DOMAIN: &[u8] = b"taskpass feed heartbeat v1\n";

/// One heartbeat.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Heartbeat {
    /// The life of the store that the sequence numbers belong to.
    pub epoch: u64,
    /// The newest rule's number.
    pub seq: u64,
    /// When, to the millisecond.
    pub at: Timestamp,
    /// The digest of the receiver's rules in force at that instant.
    pub digest: [u8; 32],
}

impl Heartbeat {
    /// The bytes that are signed: the domain, then every field at a fixed place, big-endian.
    pub fn to_bytes(&self) -> Vec<u8> {
        [
            DOMAIN,
            &self.epoch.to_be_bytes(),
            &self.seq.to_be_bytes(),
            &self.at.millis().to_be_bytes(),
            &self.digest,
        ]
        .concat()
    }

    /// Checks a signature over this heartbeat.
    pub fn verify(&self, key: &Jwk, signature: &[u8]) -> Result<(), BadSignature> {
        key.verify(&self.to_bytes(), signature)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jwk::PublicKey;
    use ed25519_dalek::Signer as _;

    #[test]
    fn every_field_is_under_the_signature() {
        let secret = ed25519_dalek::SigningKey::from_bytes(&[7; 32]);
        let key = Jwk::new(PublicKey::Ed25519(secret.verifying_key()));
        let beat = Heartbeat {
            epoch: 1,
            seq: 2,
            at: Timestamp::from_millis(3),
            digest: [4; 32],
        };
        let signature = secret.sign(&beat.to_bytes()).to_bytes();
        assert_eq!(beat.verify(&key, &signature), Ok(()));
        for changed in [
            Heartbeat { epoch: 2, ..beat },
            Heartbeat { seq: 3, ..beat },
            Heartbeat {
                at: Timestamp::from_millis(4),
                ..beat
            },
            Heartbeat {
                digest: [5; 32],
                ..beat
            },
        ] {
            assert_eq!(changed.verify(&key, &signature), Err(BadSignature));
        }
        let bare = secret.sign(&beat.to_bytes()[DOMAIN.len()..]).to_bytes();
        assert_eq!(beat.verify(&key, &bare), Err(BadSignature));
    }
}
