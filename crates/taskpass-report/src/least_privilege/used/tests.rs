//! Used, not used, not known; and what a registration keeps by use.

use serde_json::{Value, json};

use crate::facts::{Facts, KeysFrom};
use crate::least_privilege::{By, LeastPrivilege, Ratio, Row, Scope, least_privilege, suggest_by};
use crate::registry::Registry;
use crate::testing::{
    API, agent, at, covered, credential, facts, id, registry, scope, started, token, used,
};

fn made(facts: &Facts, registry: &Registry) -> LeastPrivilege {
    let about = facts.about(KeysFrom::Given, Some(7));
    least_privilege(facts, registry, about, &Scope::default()).unwrap()
}

/// `used`, `used_below`, `not_used_for_s` and `refused`.
type Known = (Option<u64>, Option<u64>, Option<u64>, u64);

/// Agent `a`, with `read` and `write` granted once, and a log of an hour.
fn log(more: Vec<Value>) -> Facts {
    let task = id(at(600), 1);
    let mut entries = vec![
        started(at(0), "a", &task, &["read", "write"]),
        token(
            at(10),
            "a",
            &task,
            &credential(at(310), 1),
            &["read", "write"],
        ),
    ];
    entries.extend(more);
    facts(None, at(3600), &entries)
}

fn two() -> Registry {
    registry(vec![agent("a", &["read", "write"])])
}

fn row(report: &LeastPrivilege, agent: &str, name: &str) -> Row {
    let rows = report.rows.iter();
    let mut of = rows.filter(|row| row.agent == agent && row.scope == scope(name));
    of.next().unwrap().clone()
}

#[test]
fn what_was_used_counts_and_what_was_not_is_known_only_where_all_is() {
    let task = id(at(600), 1);
    let seen = used(
        at(100),
        "v",
        "a",
        &task,
        &[("read", "allowed", 4), ("write", "refused", 2)],
    );
    let whole = covered("v", at(0), at(3000), 0);
    let lossy = covered("v", at(0), at(3000), 1);
    let late = covered("v", at(1000), at(3000), 0);
    let cases: Vec<(&str, Vec<Value>, [Known; 2])> = vec![
        (
            "nobody reports",
            vec![],
            [(None, None, None, 0), (None, None, None, 0)],
        ),
        (
            "everything is known",
            vec![seen.clone(), whole.clone()],
            [
                (Some(4), Some(0), Some(2900), 0),
                (Some(0), Some(0), Some(3000), 2),
            ],
        ),
        (
            "something is lost: what was seen is known still",
            vec![seen.clone(), lossy],
            [(Some(4), None, None, 0), (None, None, None, 2)],
        ),
        (
            "since a moment",
            vec![seen.clone(), late],
            [
                (Some(4), Some(0), Some(2000), 0),
                (Some(0), Some(0), Some(2000), 2),
            ],
        ),
        (
            "a token was used, and nobody says for which scope",
            vec![
                seen,
                used(at(200), "v", "a", &task, &[("", "allowed", 1)]),
                whole,
            ],
            [(Some(4), Some(0), Some(2900), 0), (None, Some(0), None, 2)],
        ),
    ];
    for (what, entries, [read, write]) in cases {
        let report = made(&log(entries), &two());
        for (name, expected) in [("read", read), ("write", write)] {
            let row = row(&report, "a", name);
            let known = (row.used, row.used_below, row.not_used_for_s, row.refused);
            assert_eq!(known, expected, "{what}: {name}");
        }
    }
}

#[test]
fn an_agents_own_word_is_shown_and_counts_for_nothing() {
    let mut word = used(
        at(100),
        "v",
        "a",
        &id(at(600), 1),
        &[("read", "allowed", 9), ("write", "refused", 9)],
    );
    word["actor"] = json!("agent/a");
    word["use"]["by"] = json!("agent");
    let report = made(&log(vec![word]), &two());
    let read = row(&report, "a", "read");
    assert_eq!(
        (read.own_word, read.used, read.refused, read.last_used_at),
        (9, None, 0, None)
    );
    assert_eq!(row(&report, "a", "write").own_word, 0);
    assert_eq!((report.total.use_known, report.total.used), (0, 0));
    assert_eq!(report.coverage.silent, [API]);
    assert!(report.coverage.says.contains("cannot be known"));
}

#[test]
fn a_certificate_uses_no_scope() {
    let mut shown = used(at(100), "v", "a", &id(at(600), 1), &[("", "allowed", 5)]);
    shown["credential"]["kind"] = json!("certificate");
    let whole = covered("v", at(0), at(3000), 0);
    let report = made(&log(vec![shown, whole]), &two());
    assert_eq!(row(&report, "a", "read").used, Some(0));
}

#[test]
fn what_was_handed_on_is_used_beneath() {
    let (above, below) = (id(at(600), 1), id(at(600), 2));
    let mut handed = token(at(30), "b", &below, &credential(at(330), 3), &["write"]);
    handed["ancestors"] = json!([{"task": above, "agent": "a"}]);
    let entries = vec![
        handed,
        used(at(100), "v", "b", &below, &[("write", "allowed", 3)]),
        covered("v", at(0), at(3000), 0),
    ];
    let registry = registry(vec![agent("a", &["read", "write"]), agent("b", &["write"])]);
    let report = made(&log(entries), &registry);
    let (of_a, of_b) = (row(&report, "a", "write"), row(&report, "b", "write"));
    assert_eq!((of_a.used, of_a.used_below), (Some(0), Some(3)));
    assert_eq!((of_b.used, of_b.used_below), (Some(3), Some(0)));
    assert_eq!(of_a.last_used_at, Some(at(100)));
    let ratio = Ratio {
        permitted: 2,
        granted: 2,
        use_known: 2,
        used: 1,
    };
    assert_eq!(report.agents["a"], ratio);
}

#[test]
fn the_period_is_that_of_the_use() {
    let task = id(at(600), 1);
    let early = used(at(100), "v", "a", &task, &[("read", "allowed", 1)]);
    // It came late, and from a clock that is ahead.
    let mut late = used(at(500), "v", "a", &task, &[("read", "allowed", 2)]);
    late["use"]["items"][0]["last_at"] = json!(at(9000));
    let mut before = used(at(400), "v", "a", &task, &[("read", "allowed", 4)]);
    before["use"]["items"][0]["last_at"] = json!(at(200));
    let entries = [early, before, late];
    let facts = facts(Some(at(300)), at(3600), &entries);
    let read = row(&made(&facts, &two()), "a", "read");
    assert_eq!((read.used, read.last_used_at), (Some(2), Some(at(500))));
    assert!(read.permitted, "although nothing was granted in the period");
}

#[test]
fn a_suggestion_by_use_rests_on_what_is_known_and_falls_back_where_it_is_not() {
    let task = id(at(600), 1);
    let seen = used(at(100), "v", "a", &task, &[("read", "allowed", 4)]);
    let whole = covered("v", at(0), at(3000), 0);
    let removed = |entries: Vec<Value>, by: By| {
        let (facts, registry) = (log(entries), two());
        let report = made(&facts, &registry);
        let suggestion = suggest_by(&facts, &registry, &report, by);
        let removed: Vec<_> = suggestion
            .agents
            .iter()
            .flat_map(|a| a.remove.clone())
            .collect();
        (removed, suggestion)
    };
    let (lost, suggestion) = removed(vec![seen.clone(), whole.clone()], By::Used);
    assert_eq!(lost, [scope("write")]);
    assert_eq!(suggestion.by_used, [API]);
    assert!(suggestion.by_granted.is_empty());
    // The task and the token asked for it.
    assert_eq!((suggestion.requests, suggestion.of_requests), (2, 2));
    assert!(suggestion.says.contains("were not used"));

    for (what, entries) in [
        ("nobody reports", vec![]),
        (
            "not all of it",
            vec![seen.clone(), covered("v", at(0), at(3000), 1)],
        ),
        ("by grants", vec![seen.clone(), whole.clone()]),
    ] {
        let by = if what == "by grants" {
            By::Granted
        } else {
            By::Used
        };
        let (lost, suggestion) = removed(entries, by);
        assert!(lost.is_empty(), "{what}");
        assert!(suggestion.by_used.is_empty(), "{what}");
        let falls_back = suggestion.by_granted == [API] && suggestion.says.contains(API);
        assert_eq!(falls_back, by == By::Used, "{what}: {}", suggestion.says);
    }

    // What was used with a scope that nobody names may have been any.
    let unnamed = used(at(200), "v", "a", &task, &[("", "allowed", 1)]);
    let (lost, _) = removed(vec![seen, unnamed, whole], By::Used);
    assert!(lost.is_empty());
}
