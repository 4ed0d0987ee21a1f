//! Entries and a registry, for the tests of the reports.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use taskpass_core::access::{Access, Risk, Stage};
use taskpass_core::{CredentialId, TaskId, Timestamp};

use crate::registry::{Agent, Owner, Registry, Target};
use crate::{Entry, Facts, Period};

pub(crate) const API: &str = "https://api.example";

/// A moment of the tests: so many seconds after their beginning.
pub(crate) fn at(secs: u64) -> Timestamp {
    Timestamp::from_secs(1_790_000_000 + secs)
}

/// An id that carries this end.
pub(crate) fn id(ends: Timestamp, n: u8) -> String {
    let mut bytes = *TaskId::first_at(ends).as_bytes();
    bytes[15] = n;
    TaskId::from_bytes(bytes).unwrap().to_string()
}

pub(crate) fn credential(ends: Timestamp, n: u8) -> String {
    let mut bytes = *CredentialId::first_at(ends).as_bytes();
    bytes[15] = n;
    CredentialId::from_bytes(bytes).unwrap().to_string()
}

pub(crate) fn scope(name: &str) -> String {
    format!("{API}#{name}")
}

/// An entry with what every entry has, and `more`.
pub(crate) fn entry(at: Timestamp, kind: &str, outcome: &str, more: Value) -> Value {
    let mut entry = json!({"v": 1, "id": "D", "at": at, "kind": kind, "outcome": outcome});
    let Value::Object(more) = more else { panic!() };
    entry.as_object_mut().unwrap().extend(more);
    entry
}

pub(crate) fn started(at: Timestamp, agent: &str, task: &str, scopes: &[&str]) -> Value {
    let scopes: Vec<_> = scopes.iter().map(|name| scope(name)).collect();
    entry(
        at,
        "task.start",
        "allow",
        json!({"actor": format!("agent/{agent}"), "agent": agent, "owner": "team", "task": task,
               "attestation": {"method": "mtls", "key": format!("key of {agent}")},
               "granted": {"scopes": scopes, "ttl": 600}}),
    )
}

/// A token of five minutes.
pub(crate) fn token(at: Timestamp, agent: &str, task: &str, id: &str, scopes: &[&str]) -> Value {
    let scopes: Vec<_> = scopes.iter().map(|name| scope(name)).collect();
    let end = at.floor_to_second().plus(std::time::Duration::from_mins(5));
    entry(
        at,
        "credential.token",
        "allow",
        json!({"actor": format!("agent/{agent}"), "agent": agent, "owner": "team", "task": task,
               "target": API, "granted": {"scopes": scopes, "ttl": 300, "expires_at": end},
               "credential": {"kind": "token", "id": id, "sha256": "ab", "key": "K"}}),
    )
}

/// What a verifier saw a token of `agent` used for: scope, outcome, how often. An empty scope is none.
pub(crate) fn used(
    at: Timestamp,
    verifier: &str,
    agent: &str,
    task: &str,
    items: &[(&str, &str, u64)],
) -> Value {
    let items: Vec<_> = items
        .iter()
        .map(|(scope, outcome, count)| {
            let mut item =
                json!({"outcome": outcome, "count": count, "first_at": at, "last_at": at});
            if !scope.is_empty() {
                item["scope"] = json!(scope);
            }
            item
        })
        .collect();
    entry(
        at,
        "use",
        "done",
        json!({"actor": format!("verifier/{verifier}"), "agent": agent, "owner": "team",
               "task": task, "target": API, "credential": {"kind": "token", "id": "C"},
               "use": {"by": "verifier", "items": items}}),
    )
}

/// That a verifier reported everything between two moments, but for what it lost.
pub(crate) fn covered(verifier: &str, from: Timestamp, until: Timestamp, lost: u64) -> Value {
    entry(
        until,
        "use",
        "done",
        json!({"actor": format!("verifier/{verifier}"), "target": API,
               "coverage": {"from": from, "until": until, "lost": lost, "unknown": 0}}),
    )
}

pub(crate) fn revoked(at: Timestamp, selector: &str, value: &str) -> Value {
    entry(
        at,
        "revocation",
        "done",
        json!({"actor": "operator/ops",
               "revocation": {"selector": selector, "value": value, "credentials": 1, "exact": true}}),
    )
}

/// What the log says that has these entries, of the period from `since` to `now`.
pub(crate) fn facts(since: Option<Timestamp>, now: Timestamp, entries: &[Value]) -> Facts {
    let mut facts = Facts::new(Period::new(since, now).unwrap());
    for (index, entry) in (0..).zip(entries) {
        facts.add(&Entry::parse("2026-09", index, entry.to_string().as_bytes()).unwrap());
    }
    facts
}

pub(crate) fn agent(name: &str, scopes: &[&str]) -> Agent {
    Agent {
        name: name.to_owned(),
        owner: "team".to_owned(),
        purpose: "test".to_owned(),
        stage: Some(Stage::Bounded),
        scopes: scopes.iter().map(|name| scope(name)).collect(),
        valid_until: Some(at(1_000_000)),
        state: Some("active".to_owned()),
        created_at: None,
        keys: Vec::new(),
    }
}

pub(crate) fn registry(agents: Vec<Agent>) -> Registry {
    let scopes = [
        ("read", Access::Read),
        ("write", Access::Write),
        ("pay", Access::Actuate),
    ];
    let scopes: BTreeMap<_, _> = scopes
        .into_iter()
        .map(|(name, access)| (name.to_owned(), Some(access)))
        .collect();
    Registry {
        version: Some(7),
        owners: vec![Owner {
            name: "team".to_owned(),
            contact: "team@example.org".to_owned(),
            state: Some("active".to_owned()),
        }],
        agents,
        targets: vec![Target {
            uri: API.to_owned(),
            risk: Some(Risk::Low),
            state: Some("active".to_owned()),
            scopes,
        }],
        permits: None,
        verifiers: None,
    }
}
