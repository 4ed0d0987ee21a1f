//! Every figure that evidence has, counted from the log's entries and the registry's file.
//!
//! What is measured of agents and of lives is here; what is counted entry by entry is in `happened`.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::lives::{Life, lives, up};
use crate::raw::{Raw, text};
use crate::{happened, inventory, least_privilege};

/// Figures by name, each as a report has it: unit, value, of how many.
pub(crate) type Figures = BTreeMap<&'static str, Value>;

/// How often each of these.
pub(crate) type Tally = BTreeMap<String, u64>;

pub(crate) fn count(value: usize) -> Value {
    json!({ "unit": "count", "value": value })
}

pub(crate) fn share(value: usize, of: usize) -> Value {
    json!({ "unit": "share", "value": value, "of": of })
}

pub(crate) fn counts(value: &Tally) -> Value {
    json!({ "unit": "counts", "value": value })
}

fn seconds(value: Option<u64>) -> Value {
    json!({ "unit": "seconds", "value": value })
}

/// All of them.
pub(crate) fn figures(raw: &Raw) -> Figures {
    let lives = lives(raw);
    let mut all = of_agents(raw, &lives);
    for more in [of_lives(raw, &lives), happened::figures(raw)] {
        for (name, value) in more {
            assert!(all.insert(name, value).is_none(), "{name} twice");
        }
    }
    all
}

/// The states that each agent was given, with their times, in the order of the log.
fn states(raw: &Raw) -> BTreeMap<&str, Vec<(u64, &str)>> {
    let mut states: BTreeMap<&str, Vec<(u64, &str)>> = BTreeMap::new();
    for (at, entry) in raw.all().filter(|(_, e)| e["kind"] == json!("registry")) {
        if let (Some(agent), Some(state)) = (
            text(entry, "subject").strip_prefix("agent "),
            entry["state"].as_str(),
        ) {
            states.entry(agent).or_default().push((at, state));
        }
    }
    states
}

/// Whose agents there are, and what became of those that were retired or suspended.
fn of_agents(raw: &Raw, lives: &[Life<'_>]) -> Figures {
    let registered: Tally = [
        ("owners", raw.owners.len()),
        ("agents", raw.agents.len()),
        ("targets", raw.targets.len()),
    ]
    .map(|(word, many)| (word.to_owned(), many as u64))
    .into();
    let by_fault = inventory::by_fault(raw);
    let with = |fault: &str| json!({ "unit": "count", "value": by_fault.get(fault).unwrap_or(&0) });
    let states = states(raw);
    // Nobody comes back from retirement: the first time is the time.
    let retired: BTreeMap<&str, u64> = states
        .iter()
        .filter_map(|(agent, states)| {
            let (at, _) = states.iter().find(|(_, state)| *state == "retired")?;
            Some((*agent, *at))
        })
        .collect();
    let beyond = lives.iter().filter_map(|life| {
        let at = *retired.get(text(life.entry, "agent"))?;
        (life.issued <= at && life.ended() >= at).then(|| up(life.ended() - at))
    });
    let since = raw.since.unwrap_or(0);
    let out_of_work = |life: &&Life<'_>| {
        let states = states
            .get(text(life.entry, "agent"))
            .map_or(&[][..], Vec::as_slice);
        let before = states.iter().filter(|(at, _)| *at < life.issued);
        let last = before.max_by_key(|(at, _)| *at);
        last.is_some_and(|(_, state)| *state != "active")
    };
    let issued = || lives.iter().filter(|life| life.issued >= since);
    let total = least_privilege::total(raw);
    BTreeMap::from([
        ("registered", counts(&registered)),
        ("agents_without_owner", with("no_owner")),
        ("agents_overdue", with("overdue")),
        ("agents_never_used", with("never_used")),
        ("keys_of_several_agents", count(inventory::shared_keys(raw))),
        ("agents_retired", count(retired.len())),
        ("beyond_retirement", seconds(beyond.max())),
        (
            "issued_after_end",
            count(issued().filter(out_of_work).count()),
        ),
        (
            "permitted_and_granted",
            json!({ "unit": "share", "value": total["granted"], "of": total["permitted"] }),
        ),
    ])
}

/// For how long credentials were good.
fn of_lives(raw: &Raw, lives: &[Life<'_>]) -> Figures {
    let since = raw.since.unwrap_or(0);
    let issued: Vec<&Life<'_>> = lives.iter().filter(|life| life.issued >= since).collect();
    let of_kind = |kind: &str| {
        let of_kind = issued
            .iter()
            .filter(|life| text(&life.entry["credential"], "kind") == kind);
        let mut spans: Vec<u64> = of_kind.map(|life| life.seconds()).collect();
        spans.sort_unstable();
        spans
    };
    let (tokens, certificates) = (of_kind("token"), of_kind("certificate"));
    let half = tokens.len().div_ceil(2);
    let median = half.checked_sub(1).map(|place| tokens[place]);
    let beyond = issued
        .iter()
        .map(|life| up(life.ended().saturating_sub(life.task_ended)));
    let ids: BTreeSet<&str> = lives
        .iter()
        .map(|life| text(&life.entry["credential"], "id"))
        .collect();
    let live = lives.iter().filter(|life| life.ended() > raw.until);
    let bound = issued
        .iter()
        .filter(|life| life.entry["credential"]["bound_to"].is_string());
    BTreeMap::from([
        ("credentials", count(issued.len())),
        ("bound_tokens", share(bound.count(), tokens.len())),
        ("longest_token", seconds(tokens.last().copied())),
        ("median_token", seconds(median)),
        ("longest_certificate", seconds(certificates.last().copied())),
        ("beyond_task", seconds(beyond.max())),
        ("ids_issued_twice", count(lives.len() - ids.len())),
        ("live", count(live.count())),
    ])
}
