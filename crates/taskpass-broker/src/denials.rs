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
}

/// Denials by caller; nobody in particular (an enrolment without an identity) is a caller too.
#[derive(Debug, Default)]
pub(crate) struct Denials {
    windows: Mutex<HashMap<Option<Principal>, Window>>,
}

impl Denials {
    /// Whether this denial is to be recorded by itself.
    pub(crate) fn admit(&self, caller: Option<&Principal>, now: Timestamp) -> bool {
        let mut windows = self.windows.lock().unwrap_or_else(PoisonError::into_inner);
        let window = windows.entry(caller.cloned()).or_insert(Window {
            began: now,
            seen: 0,
        });
        window.seen += 1;
        window.seen <= BUDGET
    }

    /// The windows that have ended: who, and how many denials were not recorded by themselves.
    pub(crate) fn drain(&self, now: Timestamp) -> Vec<(Option<Principal>, u64)> {
        let mut windows = self.windows.lock().unwrap_or_else(PoisonError::into_inner);
        let mut ended = Vec::new();
        windows.retain(|caller, window| {
            let live = now.since(window.began) < WINDOW;
            if !live && window.seen > BUDGET {
                ended.push((caller.clone(), window.seen - BUDGET));
            }
            live
        });
        ended
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
}
