//! The inventory, agent by agent.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::lives::lives;
use crate::raw::{Raw, instant, millis, text};
use crate::uses::uses;

/// The agents that proved themselves by each key of their own.
fn keys(raw: &Raw) -> BTreeMap<&str, BTreeSet<&str>> {
    let mut keys: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for entry in &raw.entries {
        let caller = text(entry, "actor").strip_prefix("agent/");
        let own = ["mtls", "private_key_jwt", "foreign_svid"];
        let attestation = &entry["attestation"];
        if own.contains(&text(attestation, "method"))
            && let (Some(key), Some(caller)) = (attestation["key"].as_str(), caller)
        {
            keys.entry(key).or_default().insert(caller);
        }
        if let (Some(key), Some(agent)) =
            (entry["identity"]["key"].as_str(), entry["agent"].as_str())
        {
            keys.entry(key).or_default().insert(agent);
        }
    }
    keys
}

/// The agents that have a key which another one has too.
pub(crate) fn sharing(raw: &Raw) -> BTreeSet<&str> {
    let shared = keys(raw).into_values().filter(|agents| agents.len() > 1);
    shared.flatten().collect()
}

/// How many keys are of several agents.
pub(crate) fn shared_keys(raw: &Raw) -> usize {
    keys(raw).values().filter(|agents| agents.len() > 1).count()
}

/// How many agents have each fault.
pub(crate) fn by_fault(raw: &Raw) -> BTreeMap<String, u64> {
    let keys = keys(raw);
    let mut by_fault = BTreeMap::new();
    for name in raw.agents.keys() {
        let started = |entry: &Value| {
            entry["kind"] == json!("task.start")
                && entry["outcome"] == json!("allow")
                && entry["agent"] == json!(name)
        };
        let used = raw.naming(name).any(|(_, entry)| started(entry));
        let faults = faults(raw, name, &keys, used);
        let kinds: BTreeSet<&str> = faults.iter().map(|fault| text(fault, "fault")).collect();
        for kind in kinds {
            *by_fault.entry(kind.to_owned()).or_default() += 1;
        }
    }
    by_fault
}

fn faults(raw: &Raw, name: &str, keys: &BTreeMap<&str, BTreeSet<&str>>, used: bool) -> Vec<Value> {
    let agent = &raw.agents[name];
    let mut faults = Vec::new();
    let owner = text(agent, "owner");
    let state = raw
        .owners
        .get(owner)
        .and_then(|_| raw.state(&format!("owner {owner}")));
    if state != Some("active") {
        faults.push(json!({ "fault": "no_owner", "owner": owner, "state": state }));
    }
    let valid_until = millis(&agent["valid_until"]);
    if valid_until <= raw.until {
        let at = instant(Some(valid_until));
        faults.push(json!({ "fault": "overdue", "valid_until": at }));
    }
    if !used {
        faults.push(json!({ "fault": "never_used" }));
    }
    for (key, agents) in keys {
        let with: Vec<_> = agents.iter().filter(|agent| **agent != name).collect();
        if agents.contains(name) && !with.is_empty() {
            faults.push(json!({ "fault": "shared_key", "key": key, "with": with }));
        }
    }
    faults
}

/// The whole report.
pub(crate) fn check(raw: &Raw, report: &Value) {
    let keys = keys(raw);
    let lives = lives(raw);
    let by_agent = uses(raw);
    let mut rows: Vec<Value> = Vec::new();
    for (name, agent) in &raw.agents {
        let of_agent = |entry: &Value| entry["agent"] == json!(name);
        let is = |entry: &Value, kind: &str, outcome: &str| {
            text(entry, "kind") == kind && text(entry, "outcome") == outcome && of_agent(entry)
        };
        let count = |kind: &str| {
            raw.naming_in_period(name)
                .filter(|(_, e)| is(e, kind, "allow"))
                .count()
        };
        let last = raw
            .naming(name)
            .filter(|(_, e)| is(e, "task.start", "allow"))
            .map(|(at, _)| at)
            .max();
        let denials: u64 = raw
            .naming_in_period(name)
            .filter(|(_, e)| of_agent(e) && e["outcome"] == json!("deny"))
            .map(|(_, e)| match text(e, "kind") {
                "denials" => e["count"].as_u64().unwrap(),
                _ => 1,
            })
            .sum();
        let caller = json!(format!("agent/{name}"));
        let methods: BTreeSet<&str> = raw
            .naming_in_period(name)
            .filter(|(_, e)| e["actor"] == caller)
            .filter_map(|(_, e)| e["attestation"]["method"].as_str())
            .collect();
        let live = lives
            .iter()
            .filter(|life| of_agent(life.entry) && life.ended() > raw.until);
        let owner = raw.owners.get(text(agent, "owner"));
        let used = by_agent
            .get(name.as_str())
            .into_iter()
            .flat_map(BTreeMap::values);
        let used: u64 = used.map(|of_scope| of_scope.own.0).sum();
        rows.push(json!({
            "agent": name,
            "owner": agent["owner"],
            "owner_contact": owner.map(|owner| owner["contact"].clone()),
            "purpose": agent["purpose"],
            "stage": agent["stage"],
            "state": raw.state(&format!("agent {name}")),
            "attestation": methods,
            "valid_until": instant(Some(millis(&agent["valid_until"]))),
            "last_task_at": instant(last),
            "tasks": count("task.start"),
            "credentials": count("credential.token") + count("credential.certificate"),
            "denials": denials,
            "live_credentials": live.count(),
            "uses": (used > 0).then_some(used),
            "faults": faults(raw, name, &keys, last.is_some()),
        }));
    }
    // Those with faults first; the names are in order already.
    rows.sort_by_key(|row| row["faults"] == json!([]));
    let faulty = rows.iter().filter(|row| row["faults"] != json!([])).count();
    assert_eq!(report["agents"], json!(rows.len()));
    assert_eq!(report["faulty"], json!(faulty));
    let reported = report["rows"].as_array().unwrap();
    assert_eq!(reported.len(), rows.len());
    for (reported, row) in reported.iter().zip(&rows) {
        assert_eq!(reported, row);
    }
}
