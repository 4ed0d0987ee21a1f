//! Numbers for an operator: how old the view is, how large, how often it broke, what was refused.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::refusal::{Reason, Refusal};

const REASONS: usize = Reason::ALL.len();

/// What is counted while the verifier runs.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    accepted: AtomicU64,
    refused: [AtomicU64; REASONS],
    connects: AtomicU64,
    reloads: AtomicU64,
    skewed: AtomicU64,
}

/// The numbers at one instant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Metrics {
    /// The age of the newest confirmed view; `None` before the first.
    pub staleness: Option<Duration>,
    /// How many rules are held.
    pub rules: usize,
    /// The newest rule that was heard of.
    pub seq: u64,
    /// How often the feed was connected to.
    pub connects: u64,
    /// How often the set was asked for anew because something did not fit.
    pub reloads: u64,
    /// Heartbeats that proved nothing because the clocks differ too much.
    pub skewed: u64,
    /// What was accepted.
    pub accepted: u64,
    /// What was refused, by reason.
    pub refused: Vec<(Reason, u64)>,
}

impl Counters {
    /// Counts an outcome on its way out.
    pub(crate) fn note<T>(&self, outcome: Result<T, Refusal>) -> Result<T, Refusal> {
        match &outcome {
            Ok(_) => bump(&self.accepted),
            Err(refusal) => {
                let reason = refusal.reason();
                let place = Reason::ALL.iter().position(|known| *known == reason);
                if let Some(counter) = place.and_then(|place| self.refused.get(place)) {
                    bump(counter);
                }
            }
        }
        outcome
    }

    pub(crate) fn connected(&self) {
        bump(&self.connects);
    }

    pub(crate) fn reloaded(&self) {
        bump(&self.reloads);
    }

    pub(crate) fn skewed(&self) {
        bump(&self.skewed);
    }

    pub(crate) fn read(&self, staleness: Option<Duration>, rules: usize, seq: u64) -> Metrics {
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Metrics {
            staleness,
            rules,
            seq,
            connects: load(&self.connects),
            reloads: load(&self.reloads),
            skewed: load(&self.skewed),
            accepted: load(&self.accepted),
            refused: Reason::ALL
                .iter()
                .zip(&self.refused)
                .map(|(reason, counter)| (*reason, load(counter)))
                .collect(),
        }
    }
}

fn bump(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}
