//! Permitted, granted, unknown; and what a narrower registration would deny.

use serde_json::json;

use super::*;
use crate::facts::KeysFrom;
use crate::registry::Registry;
use crate::testing::{agent, at, credential, facts, id, registry, scope, started, token};

/// Something about the registry that is otherwise.
type Change = fn(&mut Registry);

fn made(facts: &Facts, registry: &Registry) -> LeastPrivilege {
    let about = facts.about(KeysFrom::Given, Some(7));
    least_privilege(facts, registry, about, &Scope::default()).unwrap()
}

#[test]
fn why_a_scope_is_not_permitted() {
    let base = || registry(vec![agent("a", &["read", "pay", "gone"])]);
    let blocked_by = |registry: &Registry, name: &str| {
        let report = made(&facts(None, at(100), &[]), registry);
        let row = report.rows.iter().find(|row| row.scope == scope(name));
        row.unwrap().blocked_by.clone()
    };
    assert_eq!(blocked_by(&base(), "read"), None);
    assert_eq!(
        blocked_by(&base(), "pay").as_deref(),
        Some("its stage does not admit it")
    );
    assert_eq!(
        blocked_by(&base(), "gone").as_deref(),
        Some("the target does not have it")
    );
    let changed: [(Change, &str); 7] = [
        (
            |r| r.agents[0].state = Some("suspended".into()),
            "the agent is not active",
        ),
        (|r| r.agents[0].state = None, "the agent is not active"),
        (
            |r| r.agents[0].valid_until = Some(at(100)),
            "its end date has passed",
        ),
        (|r| r.agents[0].stage = None, "its stage does not admit it"),
        (
            |r| r.owners[0].state = Some("suspended".into()),
            "its owner is not active",
        ),
        (
            |r| r.targets[0].state = Some("suspended".into()),
            "the target is not active",
        ),
        (|r| r.targets.clear(), "the target is not registered"),
    ];
    for (change, expected) in changed {
        let mut registry = base();
        change(&mut registry);
        assert_eq!(blocked_by(&registry, "read").as_deref(), Some(expected));
    }
}

#[test]
fn silence_is_not_disuse() {
    let task = id(at(600), 1);
    let entries = [
        started(at(0), "a", &task, &["read", "write"]),
        token(at(10), "a", &task, &credential(at(310), 1), &["read"]),
        token(at(20), "a", &task, &credential(at(320), 2), &["read"]),
    ];
    let facts = facts(None, at(100), &entries);
    let report = made(&facts, &registry(vec![agent("a", &["read", "write"])]));
    let figures: Vec<_> = report
        .rows
        .iter()
        .map(|row| (row.granted, row.not_granted_for_s, row.used))
        .collect();
    assert_eq!(figures, [(2, Some(80), None), (0, Some(100), None)]);
    assert_eq!(
        report.total,
        Ratio {
            permitted: 2,
            granted: 1,
            ..Ratio::default()
        }
    );
    assert_eq!(report.coverage.silent, ["https://api.example"]);
    assert!(report.coverage.says.contains("cannot be known"));
}

#[test]
fn what_nobody_has_is_refused() {
    let facts = facts(
        None,
        at(100),
        &[started(at(0), "old", &id(at(600), 1), &[])],
    );
    let registry = registry(vec![agent("a", &[])]);
    let check = |agent: Option<&str>, owner: Option<&str>, target: Option<&str>| {
        let scope = Scope {
            agent: agent.map(str::to_owned),
            owner: owner.map(str::to_owned),
            target: target.map(str::to_owned),
        };
        scope.check(&facts, &registry)
    };
    assert_eq!(
        check(Some("a"), Some("team"), Some("https://api.example")),
        Ok(())
    );
    assert_eq!(check(Some("old"), None, None), Ok(()), "the log knows it");
    assert_eq!(
        check(Some("x"), None, None),
        Err(UnknownName::Agent("x".into()))
    );
    assert_eq!(
        check(None, Some("x"), None),
        Err(UnknownName::Owner("x".into()))
    );
    assert_eq!(
        check(None, None, Some("x")),
        Err(UnknownName::Target("x".into()))
    );
}

#[test]
fn a_suggestion_keeps_what_was_granted_and_says_what_it_denies() {
    let (one, two) = (id(at(600), 1), id(at(600), 2));
    let mut below = token(at(30), "b", &two, &credential(at(330), 3), &["pay"]);
    below["ancestors"] = json!([{"task": one, "agent": "a"}]);
    let entries = [
        // Asked for as a ceiling, and never as a token.
        started(at(0), "a", &one, &["read", "write"]),
        token(at(10), "a", &one, &credential(at(310), 1), &["read"]),
        started(at(11), "a", &id(at(600), 3), &["read"]),
        below,
    ];
    let facts = facts(None, at(100), &entries);
    let registry = registry(vec![
        agent("a", &["read", "write", "pay"]),
        agent("b", &["pay"]),
    ]);
    let suggestion = suggest(&facts, &registry, &made(&facts, &registry));
    assert_eq!(
        suggestion.agents,
        [Narrower {
            agent: "a".into(),
            // What it handed on is asked of it, too.
            keep: vec![scope("read"), scope("pay")],
            remove: vec![scope("write")],
        }]
    );
    let denied = &suggestion.would_have_denied;
    assert_eq!(
        (suggestion.requests, suggestion.of_requests, denied.len()),
        (1, 4, 1)
    );
    assert_eq!(
        (denied[0].kind, &denied[0].missing),
        ("task.start", &vec![scope("write")])
    );
}

#[test]
fn nothing_is_suggested_where_all_was_granted() {
    let task = id(at(600), 1);
    let entries = [
        started(at(0), "a", &task, &["read"]),
        token(at(10), "a", &task, &credential(at(310), 1), &["read"]),
    ];
    let facts = facts(None, at(100), &entries);
    let registry = registry(vec![agent("a", &["read"])]);
    let suggestion = suggest(&facts, &registry, &made(&facts, &registry));
    assert!(suggestion.agents.is_empty() && suggestion.would_have_denied.is_empty());
    assert!(suggestion.says.starts_with("nothing to remove"));
}

#[test]
fn what_the_registration_of_today_has_lost_is_denied_whoever_else_loses_something() {
    let (one, two) = (id(at(600), 1), id(at(600), 2));
    let entries = [
        started(at(0), "a", &one, &["write"]),
        token(at(10), "a", &one, &credential(at(310), 1), &["write"]),
        started(at(20), "a", &two, &["read"]),
        token(at(30), "a", &two, &credential(at(330), 2), &["read"]),
    ];
    let facts = facts(None, at(100), &entries);
    // `write` was taken away meanwhile, and nothing is left to take.
    let registry = registry(vec![agent("a", &["read"])]);
    let suggestion = suggest(&facts, &registry, &made(&facts, &registry));
    assert!(suggestion.agents.is_empty());
    let denied = suggestion.would_have_denied.iter();
    let denied: Vec<_> = denied
        .map(|denied| (denied.kind, &denied.missing))
        .collect();
    let write = vec![scope("write")];
    assert_eq!(
        denied,
        [("task.start", &write), ("credential.token", &write)]
    );
}
