//! What was used, by the word of verifiers, and of what time that is known.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde_json::{Value, json};

use crate::raw::{Raw, instant, millis, text};

/// Time between two reports that is no gap.
const GAP: u64 = 2 * 3_600_000;

/// How often, and when last.
pub(crate) type Count = (u64, Option<u64>);

/// How one scope of an agent was used in the period.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Use {
    pub(crate) own: Count,
    pub(crate) below: Count,
    pub(crate) refused: u64,
    pub(crate) own_word: u64,
}

fn more(count: &mut Count, times: u64, at: u64) {
    *count = (count.0 + times, count.1.max(Some(at)));
}

/// By agent and scope.
pub(crate) fn uses(raw: &Raw) -> BTreeMap<&str, BTreeMap<String, Use>> {
    let starts = raw
        .entries
        .iter()
        .filter(|e| e["kind"] == json!("task.start") && e["outcome"] == json!("allow"));
    let starts: HashMap<&str, &Value> = starts.map(|e| (text(e, "task"), e)).collect();
    let mut uses: BTreeMap<&str, BTreeMap<String, Use>> = BTreeMap::new();
    for (at, entry) in raw
        .all()
        .filter(|(_, e)| e["kind"] == json!("use") && e["use"].is_object())
    {
        let by_verifier = entry["use"]["by"] == json!("verifier");
        for item in entry["use"]["items"].as_array().unwrap() {
            let at = millis(&item["last_at"]).min(at);
            if raw.since.is_some_and(|since| at < since) {
                continue;
            }
            let scope = format!(
                "{}#{}",
                text(entry, "target"),
                item["scope"].as_str().unwrap()
            );
            let times = item["count"].as_u64().unwrap();
            let allowed = item["outcome"] == json!("allowed");
            let own = uses
                .entry(text(entry, "agent"))
                .or_default()
                .entry(scope.clone())
                .or_default();
            match (by_verifier, allowed) {
                (true, true) => more(&mut own.own, times, at),
                (true, false) => own.refused += times,
                (false, true) => own.own_word += times,
                (false, false) => {}
            }
            if by_verifier && allowed {
                for agent in Raw::above(starts[text(entry, "task")]) {
                    let above = uses
                        .entry(agent)
                        .or_default()
                        .entry(scope.clone())
                        .or_default();
                    more(&mut above.below, times, at);
                }
            }
        }
    }
    uses
}

/// From when to when, whether something is missing, what was lost, what was unknown.
type Span = (u64, u64, bool, u64, u64);

/// What is known of a target, and from when to when everything is.
pub(crate) fn coverage(raw: &Raw, target: &str) -> Option<(Value, Option<(u64, u64)>)> {
    let start = raw.since.unwrap_or(0).max(raw.at[0]);
    let mut by_verifier: BTreeMap<&str, Vec<Span>> = BTreeMap::new();
    for entry in &raw.entries {
        let covered = &entry["coverage"];
        if !covered.is_object() || text(entry, "target") != target {
            continue;
        }
        let verifier = text(entry, "actor").strip_prefix("verifier/").unwrap();
        let count = |field: &str| covered[field].as_u64().unwrap();
        let (lost, unknown) = (count("lost"), count("unknown"));
        let span = (
            millis(&covered["from"]),
            millis(&covered["until"]),
            lost + unknown > 0,
            lost,
            unknown,
        );
        by_verifier.entry(verifier).or_default().push(span);
    }
    // One verifier stands before each target of the month.
    assert!(by_verifier.len() < 2, "{target}");
    let (verifier, mut spans) = by_verifier.pop_first()?;
    spans.retain(|span| span.1 >= start);
    spans.sort_unstable();
    let since = spans.first()?.0.max(start);
    let (mut until, mut complete, mut gaps) = (spans[0].1, since, Vec::new());
    for (from, to, incomplete, ..) in &spans {
        if *from > until + GAP {
            gaps.push(json!({ "from": instant(Some(until)), "until": instant(Some(*from)) }));
            complete = *from;
        }
        until = until.max(*to);
        if *incomplete {
            complete = complete.max(*to);
        }
    }
    let to_the_end = until + GAP >= raw.until;
    if !to_the_end {
        gaps.push(json!({ "from": instant(Some(until)), "until": instant(Some(raw.until)) }));
    }
    let known = (to_the_end && complete < until).then_some((complete, until));
    let value = json!({
        "target": target,
        "complete_since": instant(known.map(|known| known.0)),
        "complete_until": instant(known.map(|known| known.1)),
        "whole_period": known.is_some_and(|known| known.0 <= start + GAP),
        "verifiers": [{
            "verifier": verifier,
            "since": instant(Some(since)),
            "until": instant(Some(until)),
            "gaps": gaps,
            "lost": spans.iter().map(|span| span.3).sum::<u64>(),
            "unknown": spans.iter().map(|span| span.4).sum::<u64>(),
        }],
        "not_reporting": [],
    });
    Some((value, known))
}

/// The part of the report that says what is known.
pub(crate) fn check_coverage(raw: &Raw, targets: &BTreeSet<&str>, report: &Value) {
    let (mut reporting, mut silent, mut all) = (Vec::new(), Vec::new(), Vec::new());
    for target in targets {
        if let Some((value, _)) = coverage(raw, target) {
            reporting.push(*target);
            all.push(value);
        } else {
            silent.push(*target);
        }
    }
    assert!(!reporting.is_empty() && !silent.is_empty());
    assert_eq!(report["reporting"], json!(reporting));
    assert_eq!(report["silent"], json!(silent));
    assert_eq!(report["targets"], json!(all));
}
