//! For how long credentials could be misused: their lives, by how much they outlived their tasks, and
//! how old they were when somebody revoked them.
//!
//! How long it takes from a revocation until verifiers refuse is what drills measure, and not in here.

use std::collections::BTreeMap;

use serde::Serialize;
use taskpass_core::Timestamp;

use crate::facts::{About, Facts, Life};
use crate::histogram::{Histogram, count};

/// A credential that is alive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Live {
    /// Its id.
    pub credential: String,
    /// `token` or `certificate`.
    pub kind: String,
    /// Whose.
    pub agent: String,
    /// For which task.
    pub task: String,
    /// When it was issued.
    pub issued_at: Timestamp,
    /// When it ends.
    pub expires_at: Timestamp,
    /// For how many seconds it has been there.
    pub age_s: u64,
}

/// The report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Exposure {
    /// What it rests on.
    pub about: About,
    /// Credentials that were issued in the period.
    pub credentials: u64,
    /// How many of these were revoked before they ended by themselves.
    pub revoked: u64,
    /// How many credentials are alive now, whenever they were issued.
    pub live: u64,
    /// For how long tokens were good: from issue to end or revocation.
    pub token_life: Histogram,
    /// The same of certificates.
    pub certificate_life: Histogram,
    /// By how much credentials outlived their task; of those whose task the log knows.
    pub beyond_task: Histogram,
    /// How old credentials were when they were revoked.
    pub age_at_revocation: Histogram,
    /// The live credential that was issued first.
    pub oldest_live: Option<Live>,
    /// Credentials issued in the period, by agent.
    pub by_agent: BTreeMap<String, u64>,
}

/// Makes the report: of all agents, or of those that `keep` names.
pub fn exposure(facts: &Facts, about: About, keep: impl Fn(&str) -> bool) -> Exposure {
    let now = facts.period().until;
    let all: Vec<Life<'_>> = facts
        .lives()
        .filter(|life| keep(&life.issued.agent))
        .collect();
    let issued: Vec<_> = all
        .iter()
        .filter(|life| facts.period().has(life.issued.issued_at))
        .collect();
    let life_of = |kind: &str| {
        let of_kind = issued.iter().filter(|life| &*life.issued.kind == kind);
        Histogram::of(of_kind.map(|life| lived(life)))
    };
    let mut by_agent = BTreeMap::new();
    for life in &issued {
        *by_agent.entry(life.issued.agent.to_string()).or_default() += 1;
    }
    let revoked = |life: &&&Life<'_>| life.revoked_at.is_some();
    let oldest = all
        .iter()
        .filter(|life| life.is_live(now))
        .min_by_key(|life| (life.issued.issued_at, &life.issued.id));
    Exposure {
        about,
        credentials: count(issued.len()),
        revoked: count(issued.iter().filter(revoked).count()),
        live: count(all.iter().filter(|life| life.is_live(now)).count()),
        token_life: life_of("token"),
        certificate_life: life_of("certificate"),
        beyond_task: Histogram::of(issued.iter().filter_map(|life| {
            let task = life.task_ended_at?;
            Some(seconds(task, life.ended_at))
        })),
        age_at_revocation: Histogram::of(issued.iter().filter(revoked).map(|life| lived(life))),
        oldest_live: oldest.map(|life| live(life, now)),
        by_agent,
    }
}

fn live(life: &Life<'_>, now: Timestamp) -> Live {
    let issued = life.issued;
    Live {
        credential: issued.id.to_string(),
        kind: issued.kind.to_string(),
        agent: issued.agent.to_string(),
        task: issued.task.to_string(),
        issued_at: issued.issued_at,
        expires_at: issued.expires_at,
        age_s: seconds(issued.issued_at, now),
    }
}

fn lived(life: &Life<'_>) -> u64 {
    seconds(life.issued.issued_at, life.ended_at)
}

/// Whole seconds between, begun ones too: exposure is rather said too long than too short.
fn seconds(from: Timestamp, to: Timestamp) -> u64 {
    count(usize::try_from(to.since(from).as_millis().div_ceil(1000)).unwrap_or(usize::MAX))
}

#[cfg(test)]
mod tests;
