//! How much may be reported: so that nobody fills the trail, and nobody who issues waits for it.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use taskpass_core::identity::Principal;
use taskpass_core::rate::Paces;
use taskpass_store::CommitError;

use crate::broker::Broker;
use crate::error::Error;
use crate::limits::{Limit, LimitReached};
use crate::standing::Standing;

/// The most items a minute that may be configured.
pub const MAX_USE_ITEMS_PER_MINUTE: u32 = 1_000_000;

/// Items that one reporter may send in a minute; 0 is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UseLimits {
    /// Of each verifier.
    pub verifier_items_per_minute: u32,
    /// Of each agent.
    pub agent_items_per_minute: u32,
}

impl Default for UseLimits {
    fn default() -> Self {
        Self {
            verifier_items_per_minute: 12_000,
            agent_items_per_minute: 60,
        }
    }
}

/// How fast reporters report. Forgotten with the process.
#[derive(Debug)]
pub(crate) struct UsePaces(Mutex<Paces<Principal>>);

impl Default for UsePaces {
    fn default() -> Self {
        Self(Mutex::new(Paces::within(Duration::from_mins(1))))
    }
}

impl Broker {
    /// Takes the room of so many items; a batch without any takes that of one.
    pub(super) fn room_for_uses(&self, caller: &Standing, items: usize) -> Result<(), Error> {
        let stats = self.store.stats();
        // While the log is behind, its room is for what is issued.
        if stats.outbox > stats.outbox_limit / 2 {
            return Err(Error::StoreUnavailable(Box::new(CommitError::OutboxFull)));
        }
        let principal = caller.caller.principal();
        let limits = &self.limits.uses;
        let rate = match &principal {
            Principal::Verifier(_) => limits.verifier_items_per_minute,
            Principal::Agent(_) => limits.agent_items_per_minute,
            Principal::Operator(_) => 0,
        };
        let wanted = [(principal.clone(), rate)];
        let items = u32::try_from(items.max(1)).unwrap_or(u32::MAX);
        let now = self.clock.monotonic();
        let mut paces = self
            .use_paces
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let taken = paces.take(&wanted, items, now);
        drop(paces);
        taken.map_err(|too_fast| {
            let limit = Limit::UseItemsPerMinute;
            LimitReached::of_caller(limit, &principal, rate.into(), None, too_fast.wait).into()
        })
    }
}
