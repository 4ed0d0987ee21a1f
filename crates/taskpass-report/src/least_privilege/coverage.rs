//! Of which targets, and of which time, it is known what was used.
//!
//! A verifier says of which time it reports everything. Spans that are less than two hours apart count
//! as one; beyond that there is a gap. That a scope was *not* used is known only of a target where every
//! verifier that is to report did so without a gap up to the end, without having lost anything and
//! without a use of a credential that the broker did not know: of that time, and of no other. Which
//! verifiers these are is what the registry says, if it says; otherwise all that ever reported there and
//! are not known to be retired.
//!
//! An API that checks tokens by the published keys alone is no verifier here and reports nothing:
//! nobody can know that there is none.

use std::collections::BTreeSet;
use std::time::Duration;

use serde::Serialize;
use taskpass_core::Timestamp;

use super::Row;
use crate::entry::Covered;
use crate::facts::Facts;
use crate::inventory::state;
use crate::registry::Registry;

/// Time that is not covered is a gap if it is longer than this.
const GAP: Duration = Duration::from_hours(2);

/// What is known of use, and of which targets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Coverage {
    /// Targets in the report at which a verifier reported in the period.
    pub reporting: Vec<String>,
    /// Targets in the report of whose use nothing can be known.
    pub silent: Vec<String>,
    /// Each that reports.
    pub targets: Vec<TargetCoverage>,
    /// The same in words.
    pub says: String,
}

/// One target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TargetCoverage {
    /// Its URI.
    pub target: String,
    /// From this instant on everything is known; `None` if of no time that reaches the end of the period.
    pub complete_since: Option<Timestamp>,
    /// Up to this one.
    pub complete_until: Option<Timestamp>,
    /// Whether that is the whole period.
    pub whole_period: bool,
    /// The verifiers that reported in the period.
    pub verifiers: Vec<VerifierCoverage>,
    /// Those that are to report and did not.
    pub not_reporting: Vec<String>,
}

/// One verifier at a target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct VerifierCoverage {
    /// Its name.
    pub verifier: String,
    /// Since when in the period it reports.
    pub since: Timestamp,
    /// Up to when it is known to.
    pub until: Timestamp,
    /// The times in between, and after the last, of which it did not.
    pub gaps: Vec<Gap>,
    /// Uses that it saw and could not report.
    pub lost: u64,
    /// Uses that it reported of credentials that the broker did not know.
    pub unknown: u64,
}

/// Time that is not covered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Gap {
    /// From when.
    pub from: Timestamp,
    /// Up to when.
    pub until: Timestamp,
}

impl Coverage {
    /// What is known of a target; `None` if nobody reports of it.
    pub fn target(&self, uri: &str) -> Option<&TargetCoverage> {
        self.targets.iter().find(|target| target.target == uri)
    }

    /// Of the targets of these rows.
    pub(super) fn of(facts: &Facts, registry: &Registry, rows: &[Row]) -> Self {
        let uris = rows.iter().filter_map(|row| row.scope.split_once('#'));
        let uris: BTreeSet<&str> = uris.map(|(target, _)| target).collect();
        let all = uris
            .iter()
            .map(|uri| TargetCoverage::of(facts, registry, uri));
        let (targets, silent): (Vec<_>, Vec<_>) =
            all.partition(|target| !target.verifiers.is_empty());
        let uri = |target: &TargetCoverage| target.target.clone();
        Self {
            reporting: targets.iter().map(uri).collect(),
            silent: silent.iter().map(uri).collect(),
            says: says(&targets, &silent),
            targets,
        }
    }
}

impl TargetCoverage {
    /// Of a target.
    pub(super) fn of(facts: &Facts, registry: &Registry, uri: &str) -> Self {
        let end = facts.period().until;
        let start = facts.seen_since().unwrap_or(end);
        let asked = asked(facts, registry, uri);
        let mut verifiers = Vec::new();
        let mut complete = Vec::new();
        for (name, spans) in facts.uses().reporters(uri) {
            let Some((verifier, since)) = VerifierCoverage::of(name, spans, start, end) else {
                continue;
            };
            if asked.contains(name) {
                complete.push(since.map(|since| (since, verifier.until)));
            }
            verifiers.push(verifier);
        }
        let reported: BTreeSet<&str> = verifiers.iter().map(|v| v.verifier.as_str()).collect();
        let not_reporting: Vec<String> = asked
            .iter()
            .filter(|name| !reported.contains(name.as_str()))
            .cloned()
            .collect();
        let span = complete
            .into_iter()
            .collect::<Option<Vec<_>>>()
            .filter(|_| not_reporting.is_empty())
            .and_then(|spans| {
                let since = spans.iter().map(|(since, _)| *since).max()?;
                let until = spans.iter().map(|(_, until)| *until).min()?;
                // Of a moment nothing follows.
                (since < until).then_some((since, until))
            });
        Self {
            target: uri.to_owned(),
            complete_since: span.map(|(since, _)| since),
            complete_until: span.map(|(_, until)| until),
            whole_period: span.is_some_and(|(since, _)| since <= start.plus(GAP)),
            verifiers,
            not_reporting,
        }
    }
}

impl VerifierCoverage {
    /// Of what it covered, as far as that is in the period; and since when that is everything up to the
    /// end, if it is. `None` if it covered nothing of the period.
    fn of(
        name: &str,
        spans: &[Covered],
        start: Timestamp,
        end: Timestamp,
    ) -> Option<(Self, Option<Timestamp>)> {
        let mut spans: Vec<&Covered> = spans.iter().filter(|span| span.until >= start).collect();
        spans.sort_unstable_by_key(|span| (span.from, span.until));
        let first = spans.first()?;
        let mut of = Self {
            verifier: name.to_owned(),
            since: first.from.max(start),
            until: first.until,
            gaps: Vec::new(),
            lost: 0,
            unknown: 0,
        };
        let mut complete = of.since;
        for span in spans {
            if of.until.plus(GAP) < span.from {
                let (from, until) = (of.until, span.from);
                of.gaps.push(Gap { from, until });
                complete = complete.max(span.from);
            }
            of.until = of.until.max(span.until);
            of.lost = of.lost.saturating_add(span.lost);
            of.unknown = of.unknown.saturating_add(span.unknown);
            if span.lost > 0 || span.unknown > 0 {
                complete = complete.max(span.until);
            }
        }
        let ends = of.until.plus(GAP) >= end;
        if !ends {
            let (from, until) = (of.until, end);
            of.gaps.push(Gap { from, until });
        }
        Some((of, ends.then_some(complete)))
    }
}

/// The verifiers that are to report of a target.
fn asked(facts: &Facts, registry: &Registry, uri: &str) -> BTreeSet<String> {
    if let Some(verifiers) = &registry.verifiers {
        let here = verifiers.iter().filter(|verifier| {
            let active = verifier.state.as_deref() == Some("active");
            active && verifier.targets.iter().any(|target| target == uri)
        });
        return here.map(|verifier| verifier.name.clone()).collect();
    }
    let ever = facts.uses().reporters(uri).map(|(name, _)| name);
    let active = ever.filter(|name| {
        let state = state(facts, "verifier", name, None);
        state.is_none_or(|state| state == "active")
    });
    active.map(str::to_owned).collect()
}

fn says(targets: &[TargetCoverage], silent: &[TargetCoverage]) -> String {
    if targets.is_empty() {
        return "no verifier reports use: what was granted is known, and whether it was used cannot be \
                known from this log"
            .to_owned();
    }
    let whole = targets.iter().filter(|target| target.whole_period).count();
    let part = targets
        .iter()
        .filter(|target| !target.whole_period && target.complete_since.is_some())
        .count();
    let mut says = format!(
        "verifiers report use of {} of {} targets: everything of the whole period of {whole}, everything \
         since some moment of {part}; elsewhere what was used is known, and of what was not reported \
         nothing can be known",
        targets.len(),
        targets.len() + silent.len(),
    );
    says.push_str(
        ". It rests on the verifiers that are known: an API that checks tokens by itself reports nothing",
    );
    says
}

#[cfg(test)]
mod tests;
