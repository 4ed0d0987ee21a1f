//! Numbers for an operator: how old the view is, how large, how often it broke, what was refused.
//!
//! Everything counts from the start of the process and never goes back. The two that deserve an
//! alarm are [`Metrics::staleness`] (revocations arrive late, or not at all) and
//! [`Metrics::jwks_age`] (keys are not renewed; after a day everything is refused).

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::refusal::{Reason, Refusal};
use crate::state::View;

const REASONS: usize = Reason::ALL.len();

/// What is counted while the verifier runs.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    accepted: AtomicU64,
    unconfirmed: AtomicU64,
    refused: [AtomicU64; REASONS],
    connects: AtomicU64,
    reloads: AtomicU64,
    skewed: AtomicU64,
    jwks_fetches: AtomicU64,
    jwks_failures: AtomicU64,
    jwks_suppressed: AtomicU64,
    list_fetches: AtomicU64,
    list_failures: AtomicU64,
}

/// What is read, not counted.
#[derive(Debug)]
pub(crate) struct Now {
    pub(crate) ready: bool,
    pub(crate) staleness: Option<Duration>,
    pub(crate) bound: Option<Duration>,
    pub(crate) rules: usize,
    pub(crate) seq: u64,
    pub(crate) keys: usize,
    pub(crate) jwks_age: Duration,
    pub(crate) lists: usize,
}

/// The numbers at one instant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Metrics {
    /// Whether a complete set of rules was ever confirmed. Before that, everything is refused.
    pub ready: bool,
    /// The age of the newest confirmed view; `None` before the first.
    pub staleness: Option<Duration>,
    /// How old it may be before everything is refused; `None` for
    /// [`Staleness::BestEffort`](crate::Staleness::BestEffort).
    pub staleness_bound: Option<Duration>,
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
    /// How many keys are trusted to sign tokens.
    pub keys: usize,
    /// How long ago they were fetched. After a day everything is refused.
    pub jwks_age: Duration,
    /// How often keys were asked for.
    pub jwks_fetches: u64,
    /// How often that failed: no answer, or none that can be used.
    pub jwks_failures: u64,
    /// How often keys were *not* asked for although a token named an unknown one, because that had
    /// been done a moment ago. Many of them mean forged tokens, or a broker out of reach.
    pub jwks_suppressed: u64,
    /// How many status lists are held; none with a feed.
    pub lists: usize,
    /// How often a status list was asked for.
    pub list_fetches: u64,
    /// How often that failed: no answer, or none that can be used.
    pub list_failures: u64,
    /// What was accepted: tokens and certificates, and either again.
    pub accepted: u64,
    /// Of these, how many on a view older than [`DEFAULT_STALENESS`](crate::settings::DEFAULT_STALENESS):
    /// with [`Staleness::BestEffort`](crate::Staleness::BestEffort) only, and each may have been
    /// revoked.
    pub unconfirmed: u64,
    /// What was refused, by reason; each reason once, in the order of [`Reason::ALL`]. How often the
    /// view was too old is under [`Reason::Stale`].
    pub refused: Vec<(Reason, u64)>,
}

impl Metrics {
    /// How often something was refused for that reason.
    pub fn refused_for(&self, reason: Reason) -> u64 {
        let found = self.refused.iter().find(|(of, _)| *of == reason);
        found.map_or(0, |(_, count)| *count)
    }
}

impl Counters {
    /// Counts an outcome on its way out.
    pub(crate) fn note<T>(&self, outcome: Result<(T, View), Refusal>) -> Result<T, Refusal> {
        let (accepted, view) = self.note_refusal(outcome)?;
        bump(&self.accepted);
        if view == View::Unconfirmed {
            bump(&self.unconfirmed);
        }
        Ok(accepted)
    }

    /// Counts an outcome that is not the last word if it is good.
    pub(crate) fn note_refusal<T>(&self, outcome: Result<T, Refusal>) -> Result<T, Refusal> {
        if let Err(refusal) = &outcome {
            let reason = refusal.reason();
            let place = Reason::ALL.iter().position(|known| *known == reason);
            if let Some(counter) = place.and_then(|place| self.refused.get(place)) {
                bump(counter);
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

    pub(crate) fn keys_fetched(&self) {
        bump(&self.jwks_fetches);
    }

    pub(crate) fn keys_failed(&self) {
        bump(&self.jwks_failures);
    }

    pub(crate) fn keys_suppressed(&self) {
        bump(&self.jwks_suppressed);
    }

    #[cfg(feature = "status")]
    pub(crate) fn list_fetched(&self) {
        bump(&self.list_fetches);
    }

    #[cfg(feature = "status")]
    pub(crate) fn list_failed(&self) {
        bump(&self.list_failures);
    }

    pub(crate) fn read(&self, now: &Now) -> Metrics {
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let Now {
            ready,
            staleness,
            bound,
            rules,
            seq,
            keys,
            jwks_age,
            lists,
        } = *now;
        Metrics {
            ready,
            staleness,
            staleness_bound: bound,
            rules,
            seq,
            connects: load(&self.connects),
            reloads: load(&self.reloads),
            skewed: load(&self.skewed),
            keys,
            jwks_age,
            jwks_fetches: load(&self.jwks_fetches),
            jwks_failures: load(&self.jwks_failures),
            jwks_suppressed: load(&self.jwks_suppressed),
            lists,
            list_fetches: load(&self.list_fetches),
            list_failures: load(&self.list_failures),
            accepted: load(&self.accepted),
            unconfirmed: load(&self.unconfirmed),
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
