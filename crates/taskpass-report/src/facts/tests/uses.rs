//! Uses of some weeks from a seed, counted once more from the raw entries; and coverage, minute by
//! minute.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use taskpass_core::Timestamp;

use crate::facts::KeysFrom;
use crate::least_privilege::{Scope, least_privilege};
use crate::testing::{agent, at, covered, credential, facts, id, registry, started, token, used};

const HOUR: u64 = 3600;
const DAYS: u64 = 20;
const END: u64 = DAYS * 24 * HOUR;
const AGENTS: u64 = 6;
const SCOPES: [&str; 2] = ["read", "write"];

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

/// Entries in their order: two verifiers that report a quarter of an hour each, with gaps and losses,
/// and what six agents used, some of it beneath the first one's tasks, some by their own word.
fn weeks(seed: u64) -> Vec<Value> {
    let mut dice = Dice(seed);
    let mut entries = vec![];
    for verifier in ["v", "w"] {
        // Whole minutes, for they are looked at one by one.
        let mut now = dice.below(2 * 24 * 60) * 60;
        while now + 15 * 60 <= END {
            let until = now + 15 * 60;
            let lost = u64::from(dice.below(400) == 0);
            entries.push(covered(verifier, at(now), at(until), lost));
            now = until
                + if dice.below(150) == 0 {
                    dice.below(8 * 60) * 60
                } else {
                    0
                };
        }
    }
    for n in 0..600 {
        let now = 60 + dice.below(END - HOUR);
        let (who, name) = (dice.below(AGENTS), dice.below(2));
        let (name, who) = (SCOPES[usize::try_from(name).unwrap()], format!("a{who}"));
        let task = id(at(now + 3600), u8::try_from(n % 250).unwrap());
        let mut start = started(at(now), &who, &task, &[name]);
        let beneath = dice.below(3) == 0 && who != "a0";
        if beneath {
            start["ancestors"] = json!([{"task": id(at(now + 3600), 251), "agent": "a0"}]);
        }
        entries.push(start);
        let id = credential(at(now + 300), u8::try_from(n % 250).unwrap());
        entries.push(token(at(now + 1), &who, &task, &id, &[name]));
        let outcome = if dice.below(4) == 0 {
            "refused"
        } else {
            "allowed"
        };
        let items = [(name, outcome, 1 + dice.below(9))];
        let by = if dice.below(2) == 0 { "v" } else { "w" };
        let mut report = used(at(now + 2), by, &who, &task, &items);
        if dice.below(5) == 0 {
            report["actor"] = json!(format!("agent/{who}"));
            report["use"]["by"] = json!("agent");
        }
        entries.push(report);
    }
    entries.sort_by_key(|entry| time(entry, "/at"));
    entries
}

fn time(entry: &Value, place: &str) -> Timestamp {
    let text = entry.pointer(place).unwrap().as_str().unwrap();
    Timestamp::parse_rfc3339(text).unwrap()
}

/// Since when everything is known, by looking back from the end, one minute after the other: at each,
/// both verifiers have reported within two hours, and nothing was lost since.
fn complete_since(entries: &[Value], since: u64) -> Option<u64> {
    let (mut since_when, mut until) = (since, END);
    for verifier in ["v", "w"] {
        let mut minutes = BTreeSet::new();
        let mut lost_until = 0;
        for entry in entries {
            let own = entry["actor"] == json!(format!("verifier/{verifier}"));
            if !own || entry["coverage"].is_null() {
                continue;
            }
            let minute = |place| (time(entry, place).secs() - at(0).secs()) / 60;
            let (from, until) = (minute("/coverage/from"), minute("/coverage/until"));
            if until * 60 < since {
                continue;
            }
            minutes.extend(from..=until);
            if entry["coverage"]["lost"] != json!(0) {
                lost_until = lost_until.max(until * 60);
            }
        }
        let mut earliest = END / 60;
        let mut now = END / 60;
        while now > 0 && earliest - now <= 120 {
            if minutes.contains(&now) {
                earliest = now;
            }
            now -= 1;
        }
        if earliest == END / 60 && !minutes.contains(&earliest) {
            return None;
        }
        if minutes.contains(&0) && earliest <= 120 {
            earliest = 0;
        }
        since_when = since_when.max(earliest * 60).max(lost_until);
        until = until.min(minutes.last().unwrap() * 60);
    }
    // Of a moment nothing is known.
    (since_when < until).then_some(since_when)
}

fn check(seed: u64, since: Option<u64>) -> Option<u64> {
    let entries = weeks(seed);
    let facts = facts(since.map(at), at(END), &entries);
    let names: Vec<String> = (0..AGENTS).map(|n| format!("a{n}")).collect();
    let mut registry = registry(names.iter().map(|name| agent(name, &SCOPES)).collect());
    for agent in &mut registry.agents {
        agent.valid_until = Some(at(2 * END));
    }
    let about = facts.about(KeysFrom::Given, None);
    let report = least_privilege(&facts, &registry, about, &Scope::default()).unwrap();

    let first = entries.iter().map(|e| time(e, "/at").secs() - at(0).secs());
    let begin = since.unwrap_or_else(|| first.min().unwrap());
    let known = complete_since(&entries, begin);
    let target = &report.coverage.targets[0];
    let reported = target.complete_since.map(|t| t.secs() - at(0).secs());
    assert_eq!(reported, known, "{seed}");
    assert_eq!(
        target.whole_period,
        known.is_some_and(|known| known <= begin + 2 * HOUR)
    );
    for verifier in &target.verifiers {
        let lost = entries.iter().filter(|entry| {
            entry["actor"] == json!(format!("verifier/{}", verifier.verifier))
                && entry["coverage"]["lost"] == json!(1)
                && time(entry, "/coverage/until") >= at(begin)
        });
        assert_eq!(verifier.lost, lost.count() as u64);
    }

    let mut counts: BTreeMap<(String, String, &str), u64> = BTreeMap::new();
    let within = entries.iter().filter(|entry| {
        entry["kind"] == json!("use")
            && entry["coverage"].is_null()
            && time(entry, "/use/items/0/last_at") >= at(begin)
    });
    for entry in within {
        let item = &entry["use"]["items"][0];
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let scope = format!("{}#{}", text(&entry["target"]), text(&item["scope"]));
        let what = match (&*text(&entry["use"]["by"]), &*text(&item["outcome"])) {
            ("verifier", "allowed") => "used",
            ("verifier", _) => "refused",
            (_, "allowed") => "own word",
            _ => continue,
        };
        let mut add = |agent: String, what| {
            *counts.entry((agent, scope.clone(), what)).or_default() +=
                item["count"].as_u64().unwrap();
        };
        add(text(&entry["agent"]), what);
        let start = entries
            .iter()
            .find(|start| start["kind"] == json!("task.start") && start["task"] == entry["task"]);
        if what == "used" && !start.unwrap()["ancestors"].is_null() {
            add("a0".to_owned(), "below");
        }
    }
    for row in &report.rows {
        let count = |what| {
            let key = (row.agent.clone(), row.scope.clone(), what);
            counts.get(&key).copied().unwrap_or(0)
        };
        let or_unknown = |count| (count > 0 || known.is_some()).then_some(count);
        assert_eq!(row.used, or_unknown(count("used")), "{row:?}");
        assert_eq!(row.used_below, or_unknown(count("below")), "{row:?}");
        assert_eq!(
            (row.refused, row.own_word),
            (count("refused"), count("own word"))
        );
    }
    assert!(counts.keys().any(|(_, _, what)| *what == "below"));
    let used = report
        .rows
        .iter()
        .filter(|row| row.permitted && row.was_used() == Some(true));
    assert_eq!(report.total.used, used.count() as u64);
    known
}

#[test]
fn every_figure_of_use_is_what_the_raw_entries_say() {
    let mut outcomes = BTreeSet::new();
    for seed in 1..=8 {
        outcomes.insert(check(seed, None).is_some());
        outcomes.insert(check(seed, Some(15 * 24 * HOUR)).is_some());
    }
    assert!(
        outcomes.contains(&true),
        "some of the logs are complete up to their end"
    );
}
