//! The figures of evidence that are counted entry by entry: what was decided, taken back and recorded.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::figures::{Figures, Tally, count, counts, share};
use crate::raw::{Raw, text, texts};

/// What is given by a decision.
const ASKED: [&str; 3] = ["task.start", "credential.token", "credential.certificate"];

/// The reasons that say that a limit was reached.
const LIMITS: [&str; 9] = [
    "FAN_OUT",
    "ISSUES_PER_SECOND_PER_AGENT",
    "ISSUES_PER_SECOND_PER_OWNER",
    "ISSUES_PER_SECOND_PER_TARGET",
    "LIVE_CREDENTIALS_PER_AGENT",
    "LIVE_CREDENTIALS_PER_OWNER",
    "LIVE_CREDENTIALS_PER_TARGET",
    "LIVE_TASKS_PER_AGENT",
    "LIVE_TASKS_PER_OWNER",
];

/// What the registry has entries of.
const REGISTERED: [&str; 5] = ["owner ", "agent ", "target ", "operator ", "verifier "];

/// How often each word comes.
fn tally<'a>(words: impl IntoIterator<Item = &'a str>) -> Tally {
    let mut tally = Tally::new();
    for word in words {
        *tally.entry(word.to_owned()).or_default() += 1;
    }
    tally
}

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap()
}

/// All of them, of the period.
pub(crate) fn figures(raw: &Raw) -> Figures {
    let entries: Vec<&Value> = raw.of_period().map(|(_, entry)| entry).collect();
    let mut all = decided(&entries);
    for more in [refused(&entries), taken_back(&entries), recorded(&entries)] {
        all.extend(more);
    }
    all.insert("log_entries", count(raw.entries.len()));
    all
}

/// What was allowed, and by which policies.
fn decided(entries: &[&Value]) -> Figures {
    let allowed: Vec<&Value> = entries
        .iter()
        .filter(|e| text(e, "outcome") == "allow" && ASKED.contains(&text(e, "kind")))
        .copied()
        .collect();
    let refused = entries
        .iter()
        .filter(|e| text(e, "outcome") == "deny" && e["decision"].is_object());
    let decisions: Vec<&Value> = allowed.iter().chain(refused).copied().collect();
    let by_policies = decisions
        .iter()
        .filter(|e| !texts(&e["decision"]["policies"]).is_empty());
    let sets: BTreeSet<&str> = decisions
        .iter()
        .filter_map(|e| e["decision"]["policy_set"].as_str())
        .collect();
    let observed = allowed
        .iter()
        .filter(|e| e["decision"]["would_deny"] == json!(true));
    let tasks: Vec<&&Value> = allowed
        .iter()
        .filter(|e| text(e, "kind") == "task.start")
        .collect();
    let mut depths = Tally::new();
    for task in &tasks {
        let above = task["ancestors"].as_array().map_or(0, Vec::len);
        *depths.entry(above.to_string()).or_default() += 1;
    }
    let mut targets: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for entry in &allowed {
        if !texts(&entry["granted"]["scopes"]).is_empty() && entry["target"].is_string() {
            let of_agent = targets.entry(text(entry, "agent")).or_default();
            of_agent.insert(text(entry, "target"));
        }
    }
    let methods = allowed.iter().map(|e| text(&e["attestation"], "method"));
    let vouched = allowed.iter().filter_map(|e| {
        let by = ["issuer", "spiffe_id"].map(|field| e["attestation"][field].as_str());
        by.into_iter().flatten().next()
    });
    BTreeMap::from([
        ("tasks", count(tasks.len())),
        (
            "decisions_with_policies",
            share(by_policies.count(), decisions.len()),
        ),
        ("policy_sets", count(sets.len())),
        ("allowed_by_observing", count(observed.count())),
        (
            "targets_of_one_agent",
            count(targets.values().map(BTreeSet::len).max().unwrap_or(0)),
        ),
        ("depths", counts(&depths)),
        ("methods", counts(&tally(methods))),
        ("vouched", counts(&tally(vouched))),
    ])
}

/// What was refused, and why.
fn refused(entries: &[&Value]) -> Figures {
    let refused = || entries.iter().filter(|e| text(e, "outcome") == "deny");
    let (counted, named): (Vec<&Value>, Vec<&Value>) =
        refused().partition(|e| text(e, "kind") == "denials");
    let of = |reasons: &[&str]| {
        let of = named
            .iter()
            .filter(|e| reasons.contains(&text(e, "reason")));
        count(of.count())
    };
    let mut reasons = tally(named.iter().map(|e| e["reason"].as_str().unwrap()));
    let many: u64 = counted.iter().map(|e| number(&e["count"])).sum();
    if many > 0 {
        reasons.insert("counted".to_owned(), many);
    }
    let policies = named.iter().flat_map(|e| texts(&e["decision"]["policies"]));
    let errors = named
        .iter()
        .filter(|e| e["decision"]["errored"] == json!(true));
    BTreeMap::from([
        ("refusals", counts(&reasons)),
        ("refused_outside_task", of(&["SCOPE_EXCEEDS_TASK"])),
        ("refused_by_limit", of(&LIMITS)),
        ("refused_by_policy", counts(&tally(policies))),
        ("policy_errors", count(errors.count())),
    ])
}

/// What was taken back, and what drills found.
fn taken_back(entries: &[&Value]) -> Figures {
    let done = entries.iter().filter(|e| text(e, "outcome") == "done");
    let revocations: Vec<&Value> = done
        .filter(|e| e["revocation"].is_object())
        .map(|e| &e["revocation"])
        .collect();
    let ended: u64 = revocations.iter().map(|r| number(&r["credentials"])).sum();
    let drills: Vec<&Value> = entries
        .iter()
        .filter(|e| e["drill"].is_object())
        .map(|e| &e["drill"])
        .collect();
    let newest = drills.last().copied().unwrap_or(&Value::Null);
    let of_newest = |field: &str| newest[field].as_u64().unwrap_or(0);
    BTreeMap::from([
        (
            "revocations",
            counts(&tally(revocations.iter().map(|r| text(r, "selector")))),
        ),
        (
            "credentials_ended",
            json!({ "unit": "count", "value": ended }),
        ),
        ("drills", count(drills.len())),
        (
            "drill_last_refusal",
            json!({ "unit": "microseconds", "value": newest["last_us"] }),
        ),
        (
            "drill_confirmed",
            json!({ "unit": "share", "value": of_newest("confirmed"), "of": of_newest("connected") }),
        ),
        (
            "drill_silent",
            json!({ "unit": "count", "value": of_newest("silent") }),
        ),
    ])
}

/// What else was recorded.
fn recorded(entries: &[&Value]) -> Figures {
    let of_kind = |kind: &str| entries.iter().filter(|e| text(e, "kind") == kind).count();
    let operators = entries
        .iter()
        .filter_map(|e| text(e, "actor").strip_prefix("operator/"));
    let changes: Vec<&&Value> = entries
        .iter()
        .filter(|e| text(e, "kind") == "registry")
        .filter(|e| {
            REGISTERED
                .iter()
                .any(|what| text(e, "subject").starts_with(what))
        })
        .collect();
    let widened = changes.iter().filter(|e| !texts(&e["widened"]).is_empty());
    // That some time is covered is of the same kind, and says nothing of use.
    let uses = entries.iter().filter(|e| e["use"].is_object());
    BTreeMap::from([
        ("key_steps", count(of_kind("key"))),
        ("identity_thefts", count(of_kind("identity.theft"))),
        ("operators", counts(&tally(operators))),
        ("reads", count(of_kind("read"))),
        ("registry_changes", count(changes.len())),
        ("registry_widened", share(widened.count(), changes.len())),
        ("approvals", count(of_kind("approval"))),
        ("use_reports", count(uses.count())),
    ])
}
