//! What is known of the revocations, shared by the feed that writes and the checks that read.
//!
//! Between a new snapshot and the heartbeat that confirms it there are two sets, and a rule in either
//! revokes: replacing a set never lets anything through for a moment. Rules are forgotten by the
//! broker's confirmed time alone; a local clock that jumps ahead forgets nothing.

use std::sync::{PoisonError, RwLock};
use std::time::Duration;

use taskpass_core::Timestamp;
use taskpass_core::key::KeyId;
use taskpass_core::revocation::{Facts, Rule, RuleSet};
use tokio::sync::watch;

use crate::refusal::Refusal;
use crate::settings::{DEFAULT_STALENESS, Staleness};

/// What a judgement rests on; the worse one is the greater.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum View {
    /// A set that was confirmed lately.
    Confirmed,
    /// One that was not, which is good enough for [`Staleness::BestEffort`].
    Unconfirmed,
}

/// How far the feed has come.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Progress {
    /// Whether a complete set is known.
    pub(crate) ready: bool,
    /// The newest rule that is in force here.
    pub(crate) seq: u64,
}

#[derive(Debug)]
pub(crate) struct Shared {
    known: RwLock<Known>,
    progress: watch::Sender<Progress>,
}

#[derive(Debug, Default)]
struct Known {
    /// The set that was confirmed, with what came since.
    current: RuleSet,
    /// The set that is being loaded.
    loading: Option<RuleSet>,
    /// When the feed last confirmed the set, by our monotonic clock.
    confirmed_at: Option<Duration>,
    /// Whether the set was found wrong since.
    distrusted: bool,
}

impl Shared {
    pub(crate) fn new() -> Self {
        Self {
            known: RwLock::default(),
            progress: watch::Sender::new(Progress::default()),
        }
    }

    /// Refuses what a rule revokes, and whatever cannot be judged. `authorities` are the keys above
    /// the one in `facts`.
    pub(crate) fn judge(
        &self,
        facts: &Facts,
        authorities: &[KeyId],
        staleness: Staleness,
        monotonic: Duration,
    ) -> Result<View, Refusal> {
        // A lock that is poisoned guards a set that may be half changed.
        let known = self.known.read().map_err(|_| Refusal::NotReady)?;
        for set in std::iter::once(&known.current).chain(&known.loading) {
            if let Some(rule) = set.matching(facts) {
                return Err(Refusal::Revoked { seq: rule.seq });
            }
            for key in authorities {
                if let Some(seq) = tainted_by(set, key) {
                    return Err(Refusal::Revoked { seq });
                }
            }
        }
        let confirmed_at = known.confirmed_at.ok_or(Refusal::NotReady)?;
        let age = monotonic.saturating_sub(confirmed_at);
        let late = |bound| known.distrusted || age > bound;
        match staleness {
            Staleness::Strict(bound) if late(bound) => Err(Refusal::Stale { age }),
            Staleness::BestEffort if late(DEFAULT_STALENESS) => Ok(View::Unconfirmed),
            Staleness::Strict(_) | Staleness::BestEffort => Ok(View::Confirmed),
        }
    }

    /// Begins a new set; the old one stays in force until the new one is confirmed.
    pub(crate) fn load(&self, rules: Vec<Rule>) {
        self.change(|known| {
            let mut set = RuleSet::default();
            for rule in rules {
                set.insert(rule);
            }
            // A set that was never confirmed gives way to this one, which may not have all of its
            // rules yet: until it is confirmed, nothing is vouched for.
            known.distrusted |= known.loading.replace(set).is_some();
        });
    }

    /// Puts rules in force at once.
    pub(crate) fn add(&self, rules: Vec<Rule>, seq: u64) {
        let loading = self.change(|known| {
            let loading = known.loading.is_some();
            let set = known.loading.as_mut().unwrap_or(&mut known.current);
            for rule in rules {
                set.insert(rule);
            }
            loading
        });
        if !loading {
            self.progress.send_modify(|progress| progress.seq = seq);
        }
    }

    /// The set is complete up to `seq`, said the broker at `at`.
    pub(crate) fn confirm(&self, seq: u64, at: Timestamp, monotonic: Duration) {
        self.change(|known| {
            if let Some(loaded) = known.loading.take() {
                known.current = loaded;
            }
            known.current.prune(at);
            known.confirmed_at = Some(monotonic);
            known.distrusted = false;
        });
        let now = Progress { ready: true, seq };
        self.progress
            .send_if_modified(|progress| std::mem::replace(progress, now) != now);
    }

    /// The set may be wrong: what it revokes stays revoked, nothing else is vouched for.
    pub(crate) fn distrust(&self) {
        self.change(|known| known.distrusted = true);
    }

    pub(crate) fn progress(&self) -> watch::Receiver<Progress> {
        self.progress.subscribe()
    }

    /// The age of the view, and how many rules are held.
    pub(crate) fn size(&self, monotonic: Duration) -> (Option<Duration>, usize) {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        let loading = known.loading.as_ref().map_or(0, RuleSet::len);
        (
            known.confirmed_at.map(|at| monotonic.saturating_sub(at)),
            known.current.len() + loading,
        )
    }

    fn change<T>(&self, change: impl FnOnce(&mut Known) -> T) -> T {
        // Poison stays: `judge` refuses from then on, whatever is written.
        change(&mut self.known.write().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The rule that taints an authority, whatever it signed.
fn tainted_by(set: &RuleSet, key: &KeyId) -> Option<u64> {
    if !set.taints(key) {
        return None;
    }
    let of_key = Facts {
        credential: None,
        agent: None,
        task: None,
        ancestors: Vec::new(),
        target: None,
        key: Some(key.clone()),
        issued_at: 0,
    };
    set.matching(&of_key).map(|rule| rule.seq)
}

#[cfg(test)]
mod tests;
