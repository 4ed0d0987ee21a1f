//! A month of twenty agents from a seed: the figures of every report, counted once more from the raw
//! entries, each by looking at all of them.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use taskpass_core::Timestamp;

use crate::exposure::exposure;
use crate::facts::KeysFrom;
use crate::inventory::inventory;
use crate::least_privilege::{Scope, least_privilege, suggest};
use crate::registry::Agent;
use crate::testing::{
    API, agent, at, credential, entry, facts, id, registry, revoked, scope, started, token,
};

const AGENTS: u64 = 20;
const DAY: u64 = 86_400;
const SCOPES: [&str; 3] = ["read", "write", "pay"];

/// Chance that is the same every time.
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: u64) -> u64 {
        // The constants are Knuth's (MMIX).
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % n
    }
}

/// The entries of thirty days, in their order.
fn month(seed: u64) -> Vec<Value> {
    let mut dice = Dice(seed);
    let mut entries = Vec::new();
    let mut now = 0;
    while now < 30 * DAY {
        now += 60 + dice.below(DAY / 8);
        let name = format!("agent-{}", dice.below(AGENTS - 1));
        let n = u8::try_from(dice.below(200)).unwrap();
        let task = id(at(now + 3600), n);
        let wide = dice.below(3) == 0;
        let ceiling = if wide { &SCOPES[..2] } else { &SCOPES[..1] };
        entries.push(started(at(now), &name, &task, ceiling));
        let mut tokens = Vec::new();
        for m in 0..dice.below(4) {
            now += 1 + dice.below(100);
            let with = &ceiling[..=usize::try_from(dice.below(8) / 7)
                .unwrap()
                .min(ceiling.len() - 1)];
            let token_id = credential(at(now + 300), u8::try_from(m).unwrap());
            entries.push(token(at(now), &name, &task, &token_id, with));
            tokens.push(token_id);
        }
        now += 1 + dice.below(200);
        let done = json!({"agent": name, "task": task, "reason": "completed"});
        let why = json!({"agent": name, "reason": "POLICY_DENIED"});
        match (dice.below(10), tokens.first()) {
            (0, Some(first)) => entries.push(revoked(at(now), "credential", first)),
            (1, _) => entries.push(revoked(at(now), "task", &task)),
            (2, _) => entries.push(revoked(at(now), "agent", &name)),
            (3, _) => entries.push(revoked(at(now), "target", API)),
            (4, _) => entries.push(entry(at(now), "credential.token", "deny", why)),
            (5, _) => entries.push(entry(
                at(now),
                "denials",
                "deny",
                json!({"agent": name, "count": 9}),
            )),
            _ => entries.push(entry(at(now), "task.end", "done", done)),
        }
    }
    entries
}

fn time(entry: &Value, at: &str) -> u64 {
    let text = entry.pointer(at).unwrap().as_str().unwrap();
    Timestamp::parse_rfc3339(text).unwrap().secs()
}

/// When the token of `issued` ended, in seconds.
fn end(entries: &[Value], issued: &Value) -> (u64, bool) {
    let expires = time(issued, "/granted/expires_at");
    let named = |rule: &Value| match rule["revocation"]["selector"].as_str().unwrap() {
        "credential" => rule["revocation"]["value"] == issued["credential"]["id"],
        other => rule["revocation"]["value"] == issued[other],
    };
    let rules = entries
        .iter()
        .filter(|e| e["kind"] == "revocation" && named(e));
    let ends = rules.map(|rule| time(rule, "/at"));
    let first = ends
        .filter(|t| *t >= time(issued, "/at") && *t < expires)
        .min();
    (first.unwrap_or(expires), first.is_some())
}

fn check(seed: u64, since: Option<u64>) {
    let entries = month(seed);
    let now = time(entries.last().unwrap(), "/at");
    let facts = facts(since.map(at), Timestamp::from_secs(now), &entries);
    let names: Vec<String> = (0..AGENTS).map(|n| format!("agent-{n}")).collect();
    let dated = |name: &String| Agent {
        valid_until: Some(at(60 * DAY)),
        ..agent(name, &SCOPES[..2])
    };
    let registry = registry(names.iter().map(dated).collect());
    let about = facts.about(KeysFrom::Given, None);
    let from = since.map_or(0, |since| at(since).secs());
    let within: Vec<&Value> = entries.iter().filter(|e| time(e, "/at") >= from).collect();
    let is = |e: &Value, kind: &str, outcome: &str| e["kind"] == kind && e["outcome"] == outcome;
    let tokens: Vec<&Value> = within
        .iter()
        .copied()
        .filter(|e| is(e, "credential.token", "allow"))
        .collect();

    let report = exposure(&facts, about.clone(), |_| true);
    let mut lives: Vec<u64> = tokens
        .iter()
        .map(|t| end(&entries, t).0 - time(t, "/at"))
        .collect();
    lives.sort_unstable();
    let ended = tokens.iter().filter(|t| end(&entries, t).1).count();
    assert_eq!(report.credentials, tokens.len() as u64);
    assert_eq!(report.revoked, ended as u64);
    assert_eq!(report.token_life.max_s, lives.last().copied());
    assert_eq!(
        report.token_life.p50_s,
        lives.get((lives.len() - 1) / 2).copied()
    );

    for row in inventory(&facts, &registry, about.clone()).rows {
        let own = |e: &&&Value| e["agent"] == json!(row.agent);
        let tasks = within
            .iter()
            .filter(own)
            .filter(|e| e["kind"] == "task.start");
        assert_eq!(row.tasks, tasks.count() as u64);
        let denials = within.iter().filter(own).filter(|e| e["outcome"] == "deny");
        let denials = denials
            .map(|e| e["count"].as_u64().unwrap_or(1))
            .sum::<u64>();
        assert_eq!(row.denials, denials);
        let issued = entries
            .iter()
            .filter(|e| is(e, "credential.token", "allow"));
        let live = issued.filter(|e| e["agent"] == json!(row.agent) && end(&entries, e).0 > now);
        assert_eq!(row.live_credentials, live.count() as u64);
        let ever = entries
            .iter()
            .any(|e| e["kind"] == "task.start" && e["agent"] == json!(row.agent));
        assert_eq!(row.faults.is_empty(), ever, "{}", row.agent);
    }

    let mut report = least_privilege(&facts, &registry, about, &Scope::default()).unwrap();
    let mut granted = BTreeMap::<(String, String), u64>::new();
    for token in &tokens {
        for scope in token["granted"]["scopes"].as_array().unwrap() {
            let of = |value: &Value| value.as_str().unwrap().to_owned();
            *granted.entry((of(&token["agent"]), of(scope))).or_default() += 1;
        }
    }
    for row in &report.rows {
        let key = (row.agent.clone(), row.scope.clone());
        assert_eq!(
            row.granted,
            granted.get(&key).copied().unwrap_or(0),
            "{key:?}"
        );
    }

    // The suggestion, put to the raw entries: what asks for a scope that no token of the agent had.
    report.suggestion = Some(suggest(&facts, &registry, &report));
    let suggestion = report.suggestion.unwrap();
    let lost = |e: &&&Value| {
        let scopes = e["granted"]["scopes"].as_array().unwrap();
        let name = e["agent"].as_str().unwrap();
        scopes.iter().any(|scope| {
            let key = (name.to_owned(), scope.as_str().unwrap().to_owned());
            !granted.contains_key(&key)
        })
    };
    let allowed = within.iter().filter(|e| e["outcome"] == "allow");
    assert_eq!(suggestion.of_requests, allowed.clone().count() as u64);
    assert_eq!(suggestion.requests, allowed.filter(lost).count() as u64);
    assert!(suggestion.requests > 0, "the month has something to find");
    assert!(
        suggestion
            .agents
            .iter()
            .all(|a| !a.keep.contains(&scope("pay")))
    );
}

#[test]
fn every_figure_is_what_the_raw_entries_say() {
    for seed in 1..=3 {
        check(seed, None);
        check(seed, Some(17 * DAY));
    }
}
