//! Spans of verifiers, and what follows of which time everything is known.

use serde_json::{Value, json};

use super::*;
use crate::registry::Verifier;
use crate::testing::{API, agent, at, covered, entry, facts, registry, started};

/// What is told, the period, the entries, and hours of what follows, as [`complete`] has them.
type Case = (
    &'static str,
    Option<u64>,
    Vec<Value>,
    (Option<u64>, Option<u64>, bool),
);

const HOUR: u64 = 3600;
const END: u64 = 100 * HOUR;

/// The coverage of the target by a log that begins at 0, reported on at [`END`].
fn coverage(since: Option<u64>, verifiers: Option<&[&str]>, more: &[Value]) -> TargetCoverage {
    let mut entries = vec![started(at(0), "a", "T", &["read"])];
    entries.extend_from_slice(more);
    let facts = facts(since.map(at), at(END), &entries);
    let active = |name: &&str| Verifier {
        name: (*name).to_owned(),
        targets: vec![API.to_owned()],
        state: Some("active".to_owned()),
    };
    let registry = Registry {
        verifiers: verifiers.map(|names| names.iter().map(active).collect()),
        ..registry(vec![agent("a", &["read"])])
    };
    TargetCoverage::of(&facts, &registry, API)
}

fn span(verifier: &str, from: u64, until: u64) -> Value {
    covered(verifier, at(from * HOUR), at(until * HOUR), 0)
}

fn lossy(verifier: &str, from: u64, until: u64) -> Value {
    covered(verifier, at(from * HOUR), at(until * HOUR), 3)
}

/// Hours of `complete_since` and `complete_until`, and whether that is the whole period.
fn complete(of: &TargetCoverage) -> (Option<u64>, Option<u64>, bool) {
    let hour = |at: Option<Timestamp>| at.map(|t| (t.secs() - at_zero()) / HOUR);
    (
        hour(of.complete_since),
        hour(of.complete_until),
        of.whole_period,
    )
}

fn at_zero() -> u64 {
    at(0).secs()
}

#[test]
fn since_when_everything_is_known() {
    let unknown = entry(
        at(30 * HOUR),
        "use",
        "done",
        json!({"actor": "verifier/v", "target": API,
               "coverage": {"from": at(20 * HOUR), "until": at(30 * HOUR), "lost": 0, "unknown": 1}}),
    );
    let cases: Vec<Case> = vec![
        ("nobody", None, vec![], (None, None, false)),
        (
            "all of it",
            None,
            vec![span("v", 0, 100)],
            (Some(0), Some(100), true),
        ),
        (
            "two hours of grace",
            None,
            vec![span("v", 2, 98)],
            (Some(2), Some(98), true),
        ),
        (
            "begun late",
            None,
            vec![span("v", 40, 99)],
            (Some(40), Some(99), false),
        ),
        (
            "ended early",
            None,
            vec![span("v", 0, 97)],
            (None, None, false),
        ),
        (
            "short gaps are none, whatever their order in the log",
            None,
            vec![span("v", 50, 100), span("v", 0, 48), span("v", 48, 49)],
            (Some(0), Some(100), true),
        ),
        (
            "since the last gap",
            None,
            vec![span("v", 0, 40), span("v", 43, 100)],
            (Some(43), Some(100), false),
        ),
        (
            "since the last loss",
            None,
            vec![span("v", 0, 40), lossy("v", 40, 60), span("v", 60, 100)],
            (Some(60), Some(100), false),
        ),
        (
            "since nobody knew a credential",
            None,
            vec![span("v", 0, 20), unknown, span("v", 30, 100)],
            (Some(30), Some(100), false),
        ),
        (
            "lost at the end",
            None,
            vec![lossy("v", 0, 100)],
            (None, None, false),
        ),
        (
            "a moment is no time",
            None,
            vec![span("v", 99, 99)],
            (None, None, false),
        ),
        (
            "the period only",
            Some(50 * HOUR),
            vec![lossy("v", 0, 10), span("v", 13, 100)],
            (Some(50), Some(100), true),
        ),
        (
            "nothing of the period",
            Some(99 * HOUR + 1),
            vec![span("v", 0, 99)],
            (None, None, false),
        ),
    ];
    check(cases);
}

fn check(cases: Vec<Case>) {
    for (what, since, entries, expected) in cases {
        assert_eq!(
            complete(&coverage(since, None, &entries)),
            expected,
            "{what}"
        );
    }
}

#[test]
fn every_verifier_is_to_report_until_it_is_retired() {
    let retired = entry(
        at(50 * HOUR),
        "registry",
        "done",
        json!({"subject": "verifier old", "state": "retired"}),
    );
    check(vec![
        (
            "the later of two",
            None,
            vec![span("v", 0, 100), span("w", 30, 99)],
            (Some(30), Some(99), false),
        ),
        (
            "one of two that stopped",
            None,
            vec![span("v", 0, 100), span("old", 0, 40)],
            (None, None, false),
        ),
        (
            "unless it is retired",
            None,
            vec![span("v", 0, 100), span("old", 0, 40), retired],
            (Some(0), Some(100), true),
        ),
    ]);
}

#[test]
fn the_registry_says_who_is_to_report() {
    let entries = [span("v", 0, 100), span("old", 0, 40)];
    let whole = (Some(0), Some(100), true);
    assert_eq!(complete(&coverage(None, Some(&["v"]), &entries)), whole);
    let with_silent = coverage(None, Some(&["v", "mute"]), &entries);
    assert_eq!(with_silent.not_reporting, ["mute"]);
    assert_eq!(complete(&with_silent), (None, None, false));
    // Nobody is to report any more: what was reported is there, and that it is all is not known.
    assert_eq!(
        complete(&coverage(None, Some(&[]), &entries)),
        (None, None, false)
    );
}

#[test]
fn gaps_and_losses_are_said() {
    let entries = [
        lossy("v", 0, 10),
        span("v", 13, 20),
        lossy("v", 22, 90),
        // What is no verifier's word covers nothing.
        entry(
            at(END),
            "use",
            "done",
            json!({"actor": "agent/v", "target": API,
                   "coverage": {"from": at(0), "until": at(END), "lost": 0, "unknown": 0}}),
        ),
    ];
    let of = coverage(Some(5 * HOUR), None, &entries);
    let [v] = of.verifiers.as_slice() else {
        panic!("{of:?}")
    };
    assert_eq!((v.since, v.until), (at(5 * HOUR), at(90 * HOUR)));
    assert_eq!((v.lost, v.unknown), (6, 0));
    let gap = |from, until| Gap {
        from: at(from * HOUR),
        until: at(until * HOUR),
    };
    assert_eq!(v.gaps, [gap(10, 13), gap(90, 100)]);
}
