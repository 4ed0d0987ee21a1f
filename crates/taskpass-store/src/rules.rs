//! The rules in force, shared by the writer, every request and every feed subscriber.

use std::sync::{Arc, PoisonError, RwLock};

use taskpass_core::Timestamp;
use taskpass_core::revocation::{Facts, Rule, RuleSet};
use tokio::sync::watch;

/// The durable rules, in memory. A backend adds a rule here once it is on disk and before it
/// answers the commit; nobody else writes.
#[derive(Debug)]
pub struct SharedRules {
    set: RwLock<RuleSet>,
    newest: watch::Sender<u64>,
}

impl SharedRules {
    /// The rules that were found on disk, and the newest `seq` ever given.
    pub fn new(set: RuleSet, newest_seq: u64) -> Self {
        Self {
            set: RwLock::new(set),
            newest: watch::Sender::new(newest_seq),
        }
    }

    /// A rule that revokes what `facts` describe, if there is one.
    pub fn matching(&self, facts: &Facts) -> Option<Arc<Rule>> {
        self.read(|set| set.matching(facts).cloned())
    }

    /// The rules after `seq`, in order, at most `limit`.
    pub fn after(&self, seq: u64, limit: usize) -> Vec<Arc<Rule>> {
        self.read(|set| set.after(seq).take(limit).cloned().collect())
    }

    /// How many rules are in force.
    pub fn len(&self) -> usize {
        self.read(RuleSet::len)
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The newest `seq` that was given, also if its rule has been pruned since.
    pub fn newest_seq(&self) -> u64 {
        *self.newest.borrow()
    }

    /// Tells of each newer `seq`. What was missed while not looking is one number, never a gap.
    pub fn subscribe(&self) -> watch::Receiver<u64> {
        self.newest.subscribe()
    }

    /// Looks at the set under the lock. Keep it short.
    pub fn read<T>(&self, look: impl FnOnce(&RuleSet) -> T) -> T {
        // A panic while the lock was held cannot leave a half-inserted rule that matters: inserting
        // is idempotent, and the set is rebuilt from disk at the next start.
        look(&self.set.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Adds rules that are on disk now, and tells the subscribers.
    pub(crate) fn publish(&self, rules: impl IntoIterator<Item = Arc<Rule>>) {
        let mut newest = None;
        {
            let mut set = self.set.write().unwrap_or_else(PoisonError::into_inner);
            for rule in rules {
                newest = newest.max(Some(rule.seq));
                set.insert(Rule::clone(&rule));
            }
        }
        if let Some(seq) = newest {
            self.newest.send_if_modified(|newest| {
                let newer = seq > *newest;
                *newest = seq.max(*newest);
                newer
            });
        }
    }

    /// Forgets what can match nothing any more; returns how many rules that were.
    pub(crate) fn prune(&self, now: Timestamp) -> usize {
        self.set
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .prune(now)
    }
}
