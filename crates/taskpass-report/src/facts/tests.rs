//! How credentials end, by what a log says.

mod month;
mod uses;

use serde_json::json;

use crate::testing::{API, at, credential, entry, facts, id, revoked, started, token};

/// When the one credential of the log ended and was revoked, and when its task ended: seconds after
/// the beginning.
fn ended(more: Vec<serde_json::Value>) -> (u64, Option<u64>, Option<u64>) {
    let task = id(at(600), 1);
    let mut entries = vec![
        started(at(0), "a", &task, &["read"]),
        token(at(10), "a", &task, &credential(at(310), 1), &["read"]),
    ];
    entries.extend(more);
    let facts = facts(None, at(1000), &entries);
    let life = facts.lives().next().unwrap();
    let secs = |t: taskpass_core::Timestamp| t.secs() - at(0).secs();
    (
        secs(life.ended_at),
        life.revoked_at.map(secs),
        life.task_ended_at.map(secs),
    )
}

#[test]
fn a_credential_ends_by_itself_or_by_the_first_rule_that_names_it() {
    let task = id(at(600), 1);
    let own = credential(at(310), 1);
    let end = |reason: &str| {
        entry(
            at(50),
            "task.end",
            "done",
            json!({"task": task, "agent": "a", "reason": reason}),
        )
    };
    for (what, more, expected) in [
        ("nothing", vec![], (310, None, Some(600))),
        (
            "its own rule",
            vec![revoked(at(20), "credential", &own)],
            (20, Some(20), Some(600)),
        ),
        (
            "its task's",
            vec![revoked(at(20), "task", &task)],
            (20, Some(20), Some(20)),
        ),
        (
            "its agent's",
            vec![revoked(at(21), "agent", "a")],
            (21, Some(21), Some(21)),
        ),
        (
            "its owner's",
            vec![revoked(at(22), "owner", "team")],
            (22, Some(22), Some(22)),
        ),
        (
            "its target's",
            vec![revoked(at(23), "target", API)],
            (23, Some(23), Some(600)),
        ),
        (
            "its key's",
            vec![revoked(at(24), "key", "K")],
            (24, Some(24), Some(600)),
        ),
        (
            "all",
            vec![revoked(at(25), "all", "")],
            (25, Some(25), Some(25)),
        ),
        (
            "another's",
            vec![revoked(at(20), "agent", "b")],
            (310, None, Some(600)),
        ),
        (
            "an earlier one",
            vec![revoked(at(5), "target", API)],
            (310, None, Some(600)),
        ),
        (
            "a later one",
            vec![revoked(at(400), "agent", "a")],
            (310, None, Some(400)),
        ),
        (
            "the first of two",
            vec![revoked(at(30), "agent", "a"), revoked(at(20), "all", "")],
            (20, Some(20), Some(20)),
        ),
        ("completed", vec![end("completed")], (310, None, Some(50))),
        (
            "a refused end",
            vec![entry(at(40), "task.end", "deny", json!({"task": task}))],
            (310, None, Some(600)),
        ),
    ] {
        assert_eq!(ended(more), expected, "{what}");
    }
}

#[test]
fn what_ends_a_task_ends_what_is_beneath() {
    let (above, below) = (id(at(600), 1), id(at(500), 2));
    let mut of_below = token(at(10), "b", &below, &credential(at(310), 1), &["read"]);
    of_below["ancestors"] = json!([{"task": above, "agent": "a"}]);
    for (selector, value) in [("task", above.as_str()), ("agent", "a")] {
        let entries = [
            started(at(0), "a", &above, &["read"]),
            of_below.clone(),
            revoked(at(20), selector, value),
        ];
        let facts = facts(None, at(100), &entries);
        let life = facts.lives().next().unwrap();
        assert_eq!(life.revoked_at, Some(at(20)), "{selector}");
        assert!(life.is_live(at(19)) && !life.is_live(at(20)));
    }
}

#[test]
fn the_period_bounds_what_is_counted_and_not_what_is_true() {
    let task = id(at(600), 1);
    let entries = [
        started(at(0), "a", &task, &["read"]),
        token(at(1), "a", &task, &credential(at(301), 1), &["read"]),
        token(at(50), "a", &task, &credential(at(350), 2), &["read"]),
        entry(
            at(60),
            "credential.token",
            "deny",
            json!({"agent": "a", "reason": "POLICY_DENIED"}),
        ),
        entry(
            at(61),
            "denials",
            "deny",
            json!({"agent": "a", "count": 40}),
        ),
    ];
    let facts = facts(Some(at(40)), at(100), &entries);
    let a = facts.agent("a").unwrap();
    assert_eq!((a.tasks, a.tokens, a.denials), (0, 1, 41));
    assert_eq!(a.last_task_at, Some(at(0)));
    assert!(a.methods.is_empty());
    assert_eq!(
        facts.lives().filter(|life| life.is_live(at(100))).count(),
        2
    );
    assert_eq!(facts.seen_since(), Some(at(40)));
}
