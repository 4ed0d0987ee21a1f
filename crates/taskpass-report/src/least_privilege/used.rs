//! How a scope of an agent was used, as far as that is known.

use taskpass_core::Timestamp;

use super::Row;
use super::coverage::Coverage;
use crate::facts::{AgentUses, Facts, ScopeUses};

/// Says of each row how its scope was used: what verifiers saw; and that they saw nothing only where
/// that is known.
pub(super) fn fill(facts: &Facts, coverage: &Coverage, rows: &mut [Row]) {
    let nothing = AgentUses::default();
    for row in rows {
        let uses = facts.uses().agent(&row.agent).unwrap_or(&nothing);
        let of_scope = uses.scopes.get(&row.scope).copied().unwrap_or_default();
        let target = row.scope.split_once('#').map_or("", |(target, _)| target);
        let covered = coverage.target(target);
        let complete =
            covered.and_then(|covered| covered.complete_since.zip(covered.complete_until));
        let known = |unnamed: bool| complete.is_some() && !unnamed;
        let ScopeUses {
            own,
            below,
            refused,
            own_word,
        } = of_scope;
        row.used = seen(own.count, known(uses.unnamed.contains(target)));
        row.used_below = seen(below.count, known(uses.unnamed_below.contains(target)));
        row.use_known_since = complete.map(|(since, _)| since);
        row.last_used_at = own.last_at.max(below.last_at);
        let both_known = row.used.is_some() && row.used_below.is_some();
        row.not_used_for_s = complete
            .filter(|_| both_known)
            .map(|complete| idle(complete, row.last_used_at));
        row.refused = refused.count;
        row.own_word = own_word.count;
    }
}

/// What was seen is known; that nothing was, only where everything is.
fn seen(count: u64, known: bool) -> Option<u64> {
    (count > 0 || known).then_some(count)
}

/// For how long it was not used, as far as that is known.
fn idle((since, until): (Timestamp, Timestamp), last_used_at: Option<Timestamp>) -> u64 {
    let from = last_used_at.map_or(since, |last| last.max(since));
    until.since(from).as_secs()
}

#[cfg(test)]
mod tests;
