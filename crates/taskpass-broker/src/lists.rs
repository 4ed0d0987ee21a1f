//! The published lists: of revoked tokens (status lists) and of revoked certificates (CRLs).
//!
//! None of this makes a revocation hold: the rule does that. What is revoked is derived from the
//! rules in the background, and kept in memory, unexpired credentials only; until everything that
//! earlier runs left has been worked through, no list is served.
//!
//! A list is signed when it is asked for, and then kept. It is signed anew when something on it
//! changed or it has become old: so many revocations at once cost one signature, and a list that
//! nobody asks for costs none. Its time is never newer than what it contains: if deriving stands
//! still, lists end, and whoever enforces that refuses.

mod crl;
mod document;
mod number;
mod revoked;
mod status;

use std::time::Duration;

use taskpass_core::Timestamp;
use taskpass_core::listing::list_hour;

use crate::broker::Broker;

pub(crate) use crl::CrlName;
pub(crate) use document::Cache;
pub use document::{Document, ListError};
pub(crate) use number::CrlNumbers;
pub use revoked::ListLane;
pub(crate) use revoked::RevokedLists;

impl Broker {
    /// For how long it has not been known that the lists are complete; the time since the store was
    /// made, before it was known for the first time.
    pub fn lists_behind(&self) -> Duration {
        let now = self.clock.now();
        let newest_seq = self.store.rules().newest_seq();
        let as_of = self.revoked_lists.complete_as_of(now, newest_seq);
        now.since(as_of.unwrap_or(self.birth().born_at))
    }

    /// Forgets lists whose hour is over, and the places on them.
    pub(crate) fn prune_lists(&self, now: Timestamp) {
        // One hour longer than any list is served: places are asked for by clocks that differ.
        let oldest = list_hour(now).saturating_sub(2);
        self.places.prune(oldest);
        self.revoked_lists.prune(oldest);
        self.status_documents.retain(|id| id.hour >= oldest);
        self.crl_documents.retain(|name| name.is_from(oldest));
    }
}
