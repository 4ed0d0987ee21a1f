//! What was done in the month, counted beside the broker.

use serde::Serialize;

/// The counts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub(super) struct Tally {
    /// Tasks that were started.
    pub(super) tasks: u64,
    /// Tokens that were issued.
    pub(super) tokens: u64,
    /// Certificates that were issued.
    pub(super) certificates: u64,
    /// What agents asked for in vain.
    pub(super) refusals: u64,
    /// What operators revoked.
    pub(super) revocations: u64,
}

impl Tally {
    /// One more refusal.
    pub(super) const fn refused(&mut self) {
        self.refusals = self.refusals.saturating_add(1);
    }

    /// Counts it as a refusal if nothing came of it.
    pub(super) fn of<T>(&mut self, outcome: Option<T>) -> Option<T> {
        if outcome.is_none() {
            self.refused();
        }
        outcome
    }
}
