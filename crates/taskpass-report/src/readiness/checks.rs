//! Each requirement: what is asked, what was measured, and what is to be done.

mod credentials;
mod house;

use super::{Check, Outcome, Requirement, Requirements};
use crate::facts::{AgentFacts, Facts};
use crate::least_privilege::LeastPrivilege;
use crate::registry::{Agent, Registry};
use crate::sheet::span;

/// What is looked at.
#[derive(Debug, Clone, Copy)]
pub(super) struct Subject<'a> {
    pub(super) facts: &'a Facts,
    pub(super) registry: &'a Registry,
    pub(super) least: &'a LeastPrivilege,
    pub(super) agent: &'a Agent,
    pub(super) asks: &'a Requirements,
}

/// What was found.
struct Found {
    asks: String,
    measured: Option<u64>,
    unit: &'static str,
    rests_on: String,
    outcome: Outcome,
    /// What to do if it does not pass.
    to_do: String,
}

impl Subject<'_> {
    /// How the agent meets a requirement.
    pub(super) fn check(&self, requirement: Requirement) -> Check {
        let found = match requirement {
            Requirement::OwnerActive => self.owner_active(),
            Requirement::Attestation => self.attestation(),
            Requirement::LeastPrivilege => self.least_privilege(),
            Requirement::Ttl => self.ttl(),
            Requirement::BoundTokens => self.bound_tokens(),
            Requirement::Denials => self.denials(),
            Requirement::WouldDeny => self.would_deny(),
            Requirement::Drill => self.drill(),
            Requirement::LogVerified => self.log_verified(),
            Requirement::ReviewDate => self.review_date(),
        };
        Check {
            requirement,
            asks: found.asks,
            measured: found.measured,
            unit: found.unit,
            rests_on: found.rests_on,
            outcome: found.outcome,
            to_do: (found.outcome != Outcome::Pass).then_some(found.to_do),
        }
    }

    /// What the log says of the agent, if anything.
    fn seen(&self) -> Option<&AgentFacts> {
        self.facts.agent(&self.agent.name)
    }

    /// The registry, as evidence calls it.
    fn registry_says(&self) -> String {
        match self.registry.version {
            Some(version) => format!("registry version {version}"),
            None => "a registry file, and the log".to_owned(),
        }
    }
}

/// What a figure that is known makes of a requirement.
const fn judged(good: bool) -> Outcome {
    if good { Outcome::Pass } else { Outcome::Fail }
}

const DAY: u64 = 24 * 60 * 60;

/// A time, whole days as such.
fn time(seconds: u64) -> String {
    if seconds > 0 && seconds.is_multiple_of(DAY) {
        format!("{}d", seconds / DAY)
    } else {
        span(seconds)
    }
}

/// `part` of `whole` in a hundred, cut off.
fn percent(part: u64, whole: u64) -> Option<u64> {
    let of = |part: u64| u128::from(part).saturating_mul(100);
    let share = of(part).checked_div(u128::from(whole))?;
    u64::try_from(share).ok()
}
