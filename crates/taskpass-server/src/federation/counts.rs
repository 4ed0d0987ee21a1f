//! How callers proved themselves, and how often that failed: for metrics only.
//!
//! Whoever fails to prove anything is counted and no more: anybody can try, and must not be able to fill
//! the audit trail.

use std::sync::atomic::{AtomicU64, Ordering};

/// What came of an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Something was proved, and a rule makes it an agent.
    Accepted,
    /// It was not.
    Refused,
    /// That could not be told.
    Unavailable,
}

/// The attempts by one method.
#[derive(Debug, Default)]
pub(crate) struct Attempts {
    accepted: AtomicU64,
    refused: AtomicU64,
    unavailable: AtomicU64,
}

impl Attempts {
    pub(crate) fn count(&self, outcome: Outcome) {
        let counter = match outcome {
            Outcome::Accepted => &self.accepted,
            Outcome::Refused => &self.refused,
            Outcome::Unavailable => &self.unavailable,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    /// By the words of the metric.
    pub(crate) fn read(&self) -> [(&'static str, u64); 3] {
        [
            ("accepted", self.accepted.load(Ordering::Relaxed)),
            ("refused", self.refused.load(Ordering::Relaxed)),
            ("unavailable", self.unavailable.load(Ordering::Relaxed)),
        ]
    }
}

/// The attempts by each method that others vouch for.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    /// One a request.
    pub(crate) federated_jwt: Attempts,
    /// One a connection.
    pub(crate) foreign_svid: Attempts,
    /// One a connection.
    pub(crate) unix: Attempts,
}

impl Counts {
    /// By the words of the metric.
    pub(crate) fn methods(&self) -> [(&'static str, &Attempts); 3] {
        [
            ("federated_jwt", &self.federated_jwt),
            ("foreign_svid", &self.foreign_svid),
            ("unix", &self.unix),
        ]
    }
}
