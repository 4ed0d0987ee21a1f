//! Least privilege: each scope of each agent, and what the suggestion would have denied.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::raw::{Raw, instant, millis, text, texts};
use crate::uses::{Count, Use, check_coverage, coverage, uses};

/// How often each scope was in tokens of the period: the agent's own, and those of tasks beneath its.
fn given<'a>(raw: &'a Raw, name: &str) -> BTreeMap<&'a str, (Count, Count)> {
    let mut given: BTreeMap<&str, (Count, Count)> = BTreeMap::new();
    for (at, entry) in raw.naming_in_period(name) {
        if entry["kind"] != json!("credential.token") || entry["outcome"] != json!("allow") {
            continue;
        }
        let own = entry["agent"] == json!(name);
        let below = Raw::above(entry).contains(name);
        for scope in texts(&entry["granted"]["scopes"]) {
            let once_more = |count: &mut Count| *count = (count.0 + 1, count.1.max(Some(at)));
            if own || below {
                let counts = given.entry(scope).or_default();
                if own {
                    once_more(&mut counts.0);
                }
                if below {
                    once_more(&mut counts.1);
                }
            }
        }
    }
    given
}

/// What a scope does, if its target has it.
fn access<'a>(raw: &'a Raw, scope: &str) -> Option<&'a str> {
    let (uri, name) = scope.split_once('#').unwrap();
    raw.targets.get(uri)?["scopes"][name].as_str()
}

/// Why an agent may not have a scope now.
fn blocked(raw: &Raw, name: &str, scope: &str) -> Option<&'static str> {
    let Some(agent) = raw.agents.get(name) else {
        return Some("the agent is not registered");
    };
    let (uri, _) = scope.split_once('#').unwrap();
    let is_active = |subject: String| raw.state(&subject) == Some("active");
    let owner = text(agent, "owner");
    let admitted: &[&str] = match text(agent, "stage") {
        "read-only" => &["read"],
        "bounded" => &["read", "write"],
        "autonomous" => &["read", "write", "actuate"],
        other => panic!("{other} is no stage"),
    };
    let access = access(raw, scope);
    let rules = [
        (
            texts(&agent["scopes"]).contains(&scope),
            "not in its registration",
        ),
        (
            is_active(format!("agent {name}")),
            "the agent is not active",
        ),
        (
            raw.owners.contains_key(owner) && is_active(format!("owner {owner}")),
            "its owner is not active",
        ),
        (
            millis(&agent["valid_until"]) > raw.until,
            "its end date has passed",
        ),
        (
            raw.targets.contains_key(uri),
            "the target is not registered",
        ),
        (
            is_active(format!("target {uri}")),
            "the target is not active",
        ),
        (access.is_some(), "the target does not have it"),
        (
            access.is_some_and(|access| admitted.contains(&access)),
            "its stage does not admit it",
        ),
    ];
    rules
        .into_iter()
        .find_map(|(held, why)| (!held).then_some(why))
}

/// What verifiers said of the period, and of which time that is everything.
struct Known<'a> {
    uses: BTreeMap<&'a str, BTreeMap<String, Use>>,
    complete: BTreeMap<&'a str, (u64, u64)>,
}

impl<'a> Known<'a> {
    fn of(raw: &'a Raw) -> Self {
        let targets = raw.targets.keys().map(String::as_str);
        let complete = targets.filter_map(|uri| Some((uri, coverage(raw, uri)?.1?)));
        Self {
            uses: uses(raw),
            complete: complete.collect(),
        }
    }
}

fn rows_of(raw: &Raw, known: &Known<'_>, name: &str) -> Vec<Value> {
    let given = given(raw, name);
    let used = known.uses.get(name);
    let registered = raw.agents.get(name);
    let owner = registered.map_or(raw.owner_of(name), |agent| agent["owner"].as_str());
    let mut scopes: BTreeSet<&str> = given.keys().copied().collect();
    scopes.extend(registered.map_or_else(Vec::new, |agent| texts(&agent["scopes"])));
    scopes.extend(
        used.into_iter()
            .flat_map(|used| used.keys())
            .map(String::as_str),
    );
    let first = raw.at[0];
    let looked_since = raw.since.map_or(first, |since| since.max(first));
    let row = |scope: &str| {
        let (own, below) = given.get(scope).copied().unwrap_or_default();
        let last = own.1.max(below.1);
        let blocked = blocked(raw, name, scope);
        let of_scope = used
            .and_then(|used| used.get(scope))
            .copied()
            .unwrap_or_default();
        let complete = known
            .complete
            .get(scope.split_once('#').unwrap().0)
            .copied();
        let seen = |count: Count| (count.0 > 0 || complete.is_some()).then_some(count.0);
        let last_used = of_scope.own.1.max(of_scope.below.1);
        let unused = complete.map(|(since, until)| {
            until.saturating_sub(last_used.map_or(since, |last| last.max(since))) / 1000
        });
        json!({
            "agent": name,
            "owner": owner,
            "scope": scope,
            "access": access(raw, scope),
            "permitted": blocked.is_none(),
            "blocked_by": blocked,
            "policies": [],
            "would_deny": false,
            "granted": own.0,
            "granted_below": below.0,
            "last_granted_at": instant(last),
            "not_granted_for_s": (raw.until - last.unwrap_or(looked_since)) / 1000,
            "used": seen(of_scope.own),
            "used_below": seen(of_scope.below),
            "use_known_since": instant(complete.map(|(since, _)| since)),
            "last_used_at": instant(last_used),
            "not_used_for_s": unused,
            "refused": of_scope.refused,
            "own_word": of_scope.own_word,
        })
    };
    scopes.into_iter().map(row).collect()
}

fn ratio(rows: &[Value]) -> Value {
    let permitted = rows.iter().filter(|row| row["permitted"] == json!(true));
    let granted = permitted.clone().filter(|row| !is_idle(row));
    let was_used = |row: &&&Value| {
        let seen = |field: &str| row[field].as_u64();
        seen("used") > Some(0) || seen("used_below") > Some(0)
    };
    let used = permitted.clone().filter(|row| was_used(&row));
    let known =
        |row: &&Value| was_used(&row) || (row["used"].is_u64() && row["used_below"].is_u64());
    json!({
        "permitted": permitted.clone().count(),
        "granted": granted.count(),
        "use_known": permitted.clone().filter(known).count(),
        "used": used.count(),
    })
}

fn is_idle(row: &Value) -> bool {
    row["granted"] == json!(0) && row["granted_below"] == json!(0)
}

/// One way of asking: whose, for what, with which scopes, beneath whom.
type Ask = (String, String, Vec<String>, Vec<String>);

/// What was allowed in the period, by what was asked: how often, when last, by which decision.
fn asks(raw: &Raw) -> BTreeMap<Ask, (u64, u64, String)> {
    let mut asks: BTreeMap<Ask, (u64, u64, String)> = BTreeMap::new();
    for (at, entry) in raw.of_period() {
        let kind = text(entry, "kind");
        if !["task.start", "credential.token"].contains(&kind) || text(entry, "outcome") != "allow"
        {
            continue;
        }
        let mut scopes: Vec<String> = texts(&entry["granted"]["scopes"])
            .into_iter()
            .map(str::to_owned)
            .collect();
        scopes.sort();
        let above = entry["ancestors"].as_array().map_or(&[][..], Vec::as_slice);
        let above = above
            .iter()
            .map(|task| text(task, "agent").to_owned())
            .collect();
        let ask = (
            text(entry, "agent").to_owned(),
            kind.to_owned(),
            scopes,
            above,
        );
        let seen = asks.entry(ask).or_default();
        seen.0 += 1;
        seen.1 = seen.1.max(at);
        text(entry, "id").clone_into(&mut seen.2);
    }
    asks
}

/// The narrower registration, and what it denies of what was allowed.
fn check_suggestion(raw: &Raw, rows: &BTreeMap<&str, Vec<Value>>, suggestion: &Value) {
    let mut kept: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    let mut narrower = Vec::new();
    for (name, agent) in &raw.agents {
        let idle: BTreeSet<&str> = rows[name.as_str()]
            .iter()
            .filter(|row| is_idle(row))
            .map(|row| text(row, "scope"))
            .collect();
        let (remove, keep): (Vec<&str>, Vec<&str>) = texts(&agent["scopes"])
            .into_iter()
            .partition(|scope| idle.contains(scope));
        kept.insert(name, keep.iter().copied().collect());
        if !remove.is_empty() {
            narrower.push(json!({ "agent": name, "keep": keep, "remove": remove }));
        }
    }
    assert!(!narrower.is_empty());
    assert_eq!(suggestion["agents"], json!(narrower));
    let (mut denied, mut requests, mut of_requests) = (Vec::new(), 0, 0);
    for ((agent, kind, scopes, above), (times, last, id)) in asks(raw) {
        of_requests += times;
        let everybody = || std::iter::once(&agent).chain(&above);
        let lacks = |who: &String, scope: &str| {
            kept.get(who.as_str())
                .is_none_or(|kept| !kept.contains(scope))
        };
        let missing: Vec<&String> = scopes
            .iter()
            .filter(|scope| everybody().any(|who| lacks(who, scope)))
            .collect();
        if !missing.is_empty() {
            requests += times;
            denied.push(json!({
                "agent": agent,
                "kind": kind,
                "scopes": scopes,
                "missing": missing,
                "times": times,
                "last_at": instant(Some(last)),
                "last_decision": id,
            }));
        }
    }
    assert!(!denied.is_empty());
    let sorted = |denied: &[Value]| {
        let mut lines: Vec<String> = denied.iter().map(ToString::to_string).collect();
        lines.sort();
        lines
    };
    assert_eq!(
        sorted(suggestion["would_have_denied"].as_array().unwrap()),
        sorted(&denied)
    );
    assert_eq!(suggestion["by"], json!("granted"));
    assert_eq!(suggestion["by_used"], json!([]));
    assert_eq!(suggestion["by_granted"], json!([]));
    assert_eq!(suggestion["requests"], json!(requests));
    assert_eq!(suggestion["of_requests"], json!(of_requests));
}

/// Each scope of each agent that the registry or the log of the period names.
fn all_rows(raw: &Raw) -> BTreeMap<&str, Vec<Value>> {
    let mut names: BTreeSet<&str> = raw.agents.keys().map(String::as_str).collect();
    for (_, entry) in raw.of_period() {
        if entry["kind"] == json!("credential.token") && entry["outcome"] == json!("allow") {
            names.insert(text(entry, "agent"));
            names.extend(Raw::above(entry));
        }
    }
    let known = Known::of(raw);
    names.extend(known.uses.keys());
    let rows = names.iter().map(|name| (*name, rows_of(raw, &known, name)));
    rows.collect()
}

/// How many scopes are permitted, and of these how many were granted, over all agents.
pub(crate) fn total(raw: &Raw) -> Value {
    let all: Vec<Value> = all_rows(raw).into_values().flatten().collect();
    ratio(&all)
}

/// The whole report.
pub(crate) fn check(raw: &Raw, report: &Value) {
    let rows = all_rows(raw);
    let all: Vec<Value> = rows.values().flatten().cloned().collect();
    let reported = report["rows"].as_array().unwrap();
    assert_eq!(reported.len(), all.len());
    for (reported, row) in reported.iter().zip(&all) {
        assert_eq!(reported, row);
    }
    assert_eq!(report["total"], ratio(&all));
    let agents: BTreeMap<&str, Value> = rows
        .iter()
        .map(|(name, rows)| (*name, ratio(rows)))
        .collect();
    assert_eq!(report["agents"], json!(agents));
    let targets = all
        .iter()
        .map(|row| text(row, "scope").split_once('#').unwrap().0);
    check_coverage(raw, &targets.collect(), &report["coverage"]);
    assert_eq!(report["permitted_by"], json!("registration"));
    assert_eq!(report["policy_set"], Value::Null);
    check_suggestion(raw, &rows, &report["suggestion"]);
}
