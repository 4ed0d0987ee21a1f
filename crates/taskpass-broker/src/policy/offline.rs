//! What an agent can have, for whoever has a policy set and a registry and no broker: a report on copies.
//!
//! The same questions as a broker asks, by the same code. What only a broker knows is supposed to be
//! well: nothing was revoked, and defaults of lives are those of the program.

use taskpass_core::registry::Registry;
use taskpass_core::{AgentName, Timestamp};
use taskpass_policy::PolicySet;

use super::ask::{Moment, Terms};
use super::reach::{Reach, ReachQuery};
use crate::broker::Limits;
use crate::error::Error;

/// Every scope of every target, and whether `agent` can have it at `now`.
pub fn reaches(
    set: &PolicySet,
    registry: &Registry,
    agent: &AgentName,
    now: Timestamp,
) -> Result<Vec<Reach>, Error> {
    let limits = Limits::default();
    let moment = Moment {
        set,
        registry,
        limits: &limits,
        now,
    };
    let mut query = ReachQuery {
        terms: Terms::default(),
        refused_too: true,
        after: None,
        limit: usize::MAX,
    };
    let mut reaches = Vec::new();
    loop {
        let page = moment.what_can(agent, &query)?.page;
        reaches.extend(page.reaches);
        if page.next.is_none() {
            return Ok(reaches);
        }
        query.after = page.next;
    }
}
