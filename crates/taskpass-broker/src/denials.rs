//! A budget of recorded denials for each caller.
//!
//! A caller that is denied in a loop must not fill the audit trail: beyond the budget of a window its
//! denials are counted, and the count becomes one entry when the window ends.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use taskpass_core::Timestamp;
use taskpass_core::identity::Principal;

/// Denials recorded one by one for each caller and window.
pub(crate) const BUDGET: u64 = 60;
/// The window.
const WINDOW: Duration = Duration::from_mins(1);

#[derive(Debug, Clone, Copy)]
struct Window {
    began: Timestamp,
    seen: u64,
    /// Counted and not recorded yet: of earlier windows, and what is never recorded by itself.
    owed: u64,
}

impl Window {
    const fn beginning(began: Timestamp) -> Self {
        Self {
            began,
            seen: 0,
            owed: 0,
        }
    }

    const fn uncounted(&self) -> u64 {
        self.seen.saturating_sub(BUDGET).saturating_add(self.owed)
    }
}

/// Who, and how many denials were not recorded by themselves.
pub(crate) type Counted = (Option<Principal>, u64);

/// Denials by caller; nobody in particular (an enrolment without an identity) is a caller too.
#[derive(Debug, Default)]
pub(crate) struct Denials {
    windows: Mutex<HashMap<Option<Principal>, Window>>,
}

impl Denials {
    /// Whether this denial is to be recorded by itself.
    pub(crate) fn admit(&self, caller: Option<&Principal>, now: Timestamp) -> bool {
        let mut windows = self.windows.lock().unwrap_or_else(PoisonError::into_inner);
        let window = windows
            .entry(caller.cloned())
            .or_insert_with(|| Window::beginning(now));
        window.seen += 1;
        window.seen <= BUDGET
    }

    /// Counts one that is never recorded by itself; it takes nothing of the budget.
    pub(crate) fn count(&self, caller: &Principal, now: Timestamp) {
        self.put_back((Some(caller.clone()), 1), now);
    }

    /// Takes the counts of the windows that have ended.
    pub(crate) fn drain(&self, now: Timestamp) -> Vec<Counted> {
        self.take(|window| now.since(window.began) >= WINDOW)
    }

    /// Takes all counts.
    pub(crate) fn drain_all(&self) -> Vec<Counted> {
        self.take(|_| true)
    }

    fn take(&self, ended: impl Fn(&Window) -> bool) -> Vec<Counted> {
        let mut windows = self.windows.lock().unwrap_or_else(PoisonError::into_inner);
        let mut counts = Vec::new();
        windows.retain(|caller, window| {
            let live = !ended(window);
            if !live && window.uncounted() > 0 {
                counts.push((caller.clone(), window.uncounted()));
            }
            live
        });
        counts
    }

    /// Gives back a count that could not be recorded.
    pub(crate) fn put_back(&self, (caller, count): Counted, now: Timestamp) {
        let mut windows = self.windows.lock().unwrap_or_else(PoisonError::into_inner);
        let window = windows
            .entry(caller)
            .or_insert_with(|| Window::beginning(now));
        window.owed = window.owed.saturating_add(count);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn beyond_the_budget_denials_are_counted() {
        let denials = Denials::default();
        let bot = Principal::from_parts("agent", "bot").unwrap();
        let now = Timestamp::from_secs(100);
        let recorded = (0..100).filter(|_| denials.admit(Some(&bot), now)).count();
        assert_eq!(recorded, 60);
        assert!(
            denials.admit(None, now),
            "another caller has a budget of its own"
        );
        assert_eq!(denials.drain(Timestamp::from_secs(159)), []);
        assert_eq!(
            denials.drain(Timestamp::from_secs(160)),
            [(Some(bot.clone()), 40)]
        );
        assert!(denials.admit(Some(&bot), Timestamp::from_secs(160)));
    }

    #[test]
    fn what_is_only_counted_takes_nothing_of_the_budget() {
        let denials = Denials::default();
        let bot = Principal::from_parts("agent", "bot").unwrap();
        let now = Timestamp::from_secs(100);
        for _ in 0..1000 {
            denials.count(&bot, now);
        }
        let recorded = (0..61).filter(|_| denials.admit(Some(&bot), now)).count();
        assert_eq!(recorded, 60);
        let later = Timestamp::from_secs(160);
        assert_eq!(denials.drain(later), [(Some(bot), 1001)]);
    }

    #[test]
    fn a_count_that_was_given_back_takes_nothing_of_the_next_budget() {
        let denials = Denials::default();
        let now = Timestamp::from_secs(100);
        denials.put_back((None, 40), now);
        let recorded = (0..61).filter(|_| denials.admit(None, now)).count();
        assert_eq!(recorded, 60);
        assert_eq!(denials.drain(now), []);
        assert_eq!(denials.drain_all(), [(None, 41)]);
        assert_eq!(denials.drain_all(), []);
    }
}
