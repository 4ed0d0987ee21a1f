//! The rules in force, shared by the writer, every request and every feed subscriber.

use std::sync::atomic::{AtomicBool, Ordering};
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
    /// Whether there are rules of which the subscribers have not been told.
    untold: AtomicBool,
}

impl SharedRules {
    /// The rules that were found on disk, and the newest `seq` ever given.
    pub fn new(set: RuleSet, newest_seq: u64) -> Self {
        Self {
            set: RwLock::new(set),
            newest: watch::Sender::new(newest_seq),
            untold: AtomicBool::new(false),
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

    /// Adds rules that are on disk now. From here on everybody who asks finds them; those who wait
    /// to be told are told by [`announce`](Self::announce).
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
                *newest = seq.max(*newest);
                false
            });
            self.untold.store(true, Ordering::Release);
        }
    }

    /// Tells the subscribers of what was published. After the answers to the commits: hundreds of
    /// subscribers and the published lists have work to do for a new rule, and whoever revoked would
    /// stand behind all of them in the queue for the processor.
    pub(crate) fn announce(&self) {
        if self.untold.swap(false, Ordering::AcqRel) {
            self.newest.send_modify(|_| {});
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

#[cfg(test)]
mod tests {
    use crate::values::{at, revoke};
    use crate::{Backend as _, Model};

    #[tokio::test]
    async fn a_published_rule_holds_before_anybody_is_told() {
        let mut backend = Model::new(crate::values::birth());
        let rules = backend.reader().rules();
        let mut told = rules.subscribe();
        let selector = taskpass_core::revocation::Selector::Everything;
        for seq in 1..=2 {
            let made = backend.apply(&[revoke(selector.clone(), at(1))]).unwrap();
            assert!(made[0].is_ok());
            assert_eq!((rules.newest_seq(), rules.len() as u64), (seq, seq));
            assert!(!told.has_changed().unwrap(), "the answer goes first");
            rules.announce();
            assert!(told.has_changed().unwrap());
            assert_eq!(*told.borrow_and_update(), seq);
            rules.announce();
            assert!(!told.has_changed().unwrap(), "nothing was new");
        }
    }
}
