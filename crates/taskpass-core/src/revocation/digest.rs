//! A digest of a set of rules that two sides can compare without sending the set.
//!
//! The exclusive or of SHA-256 over each rule: independent of the order, and adding or forgetting a
//! rule costs one hash. Both sides leave out a rule from its `prune_at` on, by the time that the
//! heartbeat states, so they agree without having pruned at the same moment. It detects a feed that
//! lost or invented a rule by accident; it is the heartbeat's signature that stops a forger.

use std::collections::BTreeMap;
use std::fmt;

use super::Rule;
use crate::secret::Sha256;
use crate::time::Timestamp;

/// The digest of a set of rules.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct SetDigest([u8; 32]);

impl SetDigest {
    fn toggle(&mut self, hash: &Sha256) {
        for (own, other) in self.0.iter_mut().zip(hash.as_bytes()) {
            *own ^= other;
        }
    }

    /// Its 32 bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for SetDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&Sha256::from_bytes(self.0), f)
    }
}

/// One side's view of the rules of a feed, reduced to what the digest needs.
#[derive(Debug, Clone, Default)]
pub struct DigestView {
    digest: SetDigest,
    by_prune: BTreeMap<(Timestamp, u64), Sha256>,
}

impl DigestView {
    /// Takes a rule in; taking it in twice changes nothing.
    pub fn add(&mut self, rule: &Rule) {
        let hash = hash(rule);
        if self
            .by_prune
            .insert((rule.prune_at, rule.seq), hash)
            .is_none()
        {
            self.digest.toggle(&hash);
        }
    }

    /// The digest of the rules in force at `now`. `now` must not go back between calls.
    pub fn at(&mut self, now: Timestamp) -> SetDigest {
        while let Some(entry) = self.by_prune.first_entry() {
            if entry.key().0 > now {
                break;
            }
            self.digest.toggle(&entry.remove());
        }
        self.digest
    }
}

/// What both sides hash of a rule: only what decides what it matches, and for how long.
fn hash(rule: &Rule) -> Sha256 {
    let text = format!(
        "taskpass rule v1\n{}\n{}\n{}\n{}\n{}\n",
        rule.seq,
        rule.selector.kind(),
        rule.selector.value(),
        rule.issued_before,
        rule.prune_at.millis(),
    );
    Sha256::of(text.as_bytes())
}
