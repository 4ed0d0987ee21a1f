//! Rules as they come over the wire.
//!
//! A rule that cannot be read whole is an error and never left out: a selector of a kind that this
//! version does not know may be the very rule that matters.

use taskpass_api::v1::{Revocation, RevocationSelector, revocation_selector::Selector as Wire};
use taskpass_core::Timestamp;
use taskpass_core::identity::Principal;
use taskpass_core::key::KeyId;
use taskpass_core::revocation::{Rule, Selector};

use super::FeedError;

/// Reads the rules of `(after, to]`, in any order, each place taken once.
pub(super) fn rules(wire: Vec<Revocation>, after: u64, to: u64) -> Result<Vec<Rule>, FeedError> {
    let mut rules = wire.into_iter().map(rule).collect::<Result<Vec<_>, _>>()?;
    rules.sort_by_key(|rule| rule.seq);
    let mut last = after;
    for rule in &rules {
        if rule.seq <= last || rule.seq > to {
            return Err(FeedError::Place { seq: rule.seq });
        }
        last = rule.seq;
    }
    Ok(rules)
}

fn rule(wire: Revocation) -> Result<Rule, FeedError> {
    let bad = FeedError::Rule { seq: wire.seq };
    let Some(selector) = wire.selector.and_then(selector) else {
        return Err(bad);
    };
    let Some(prune_at) = instant(wire.prune_at.as_ref().map(|at| (at.seconds, at.nanos))) else {
        return Err(bad);
    };
    Ok(Rule {
        seq: wire.seq,
        selector,
        issued_before: wire.issued_before,
        only_target: None,
        // A verifier is not told why and by whom; nothing here asks.
        reason: String::new(),
        actor: Principal::from_parts("operator", "unknown").ok_or(bad)?,
        owner: None,
        at: Timestamp::ZERO,
        prune_at,
    })
}

fn selector(wire: RevocationSelector) -> Option<Selector> {
    match wire.selector? {
        Wire::CredentialId(id) => id.parse().ok().map(Selector::Credential),
        Wire::TaskId(id) => id.parse().ok().map(Selector::Task),
        Wire::Agent(name) => name.parse().ok().map(Selector::Agent),
        Wire::Target(uri) => uri.parse().ok().map(Selector::Target),
        Wire::KeyId(id) => KeyId::parse(&id).map(Selector::Key),
        Wire::Everything(true) => Some(Selector::Everything),
        // An owner's revocation comes as one rule for each agent.
        Wire::Everything(false) | Wire::Owner(_) => None,
    }
}

/// Seconds and nanoseconds, to whole milliseconds.
pub(super) fn instant(parts: Option<(i64, i32)>) -> Option<Timestamp> {
    let (seconds, nanos) = parts?;
    let seconds = u64::try_from(seconds).ok()?;
    let nanos = u64::try_from(nanos).ok().filter(|n| *n < 1_000_000_000)?;
    let millis = seconds.checked_mul(1000)?.checked_add(nanos / 1_000_000)?;
    Some(Timestamp::from_millis(millis))
}
