//! Each requirement from a log that has just what it is about.

use serde_json::{Value, json};

use super::*;
use crate::facts::KeysFrom;
use crate::testing::{
    agent, at, covered, credential, entry, facts, id, registry, revoked, started, token, used,
};

const NOW: u64 = 20_000;

/// A certificate of so many seconds.
fn certificate(secs: u64) -> Value {
    let end = at(50).plus(std::time::Duration::from_secs(secs));
    entry(
        at(50),
        "credential.certificate",
        "allow",
        json!({"actor": "agent/a", "agent": "a", "task": id(at(600), 1),
               "granted": {"ttl": secs, "expires_at": end},
               "credential": {"kind": "certificate", "id": credential(end, 9), "key": "K"}}),
    )
}

fn drill(at_secs: u64, change: impl FnOnce(&mut Value)) -> Value {
    let mut drill = json!({"connected": 2, "confirmed": 2, "silent": 0, "commit_us": 900,
        "first_us": 1500, "p50_us": 2000, "last_us": 2001, "introspect_us": 1000, "timed_out": false});
    change(&mut drill);
    entry(at(at_secs), "drill", "done", json!({"drill": drill}))
}

/// Work that meets every requirement but for use.
fn work() -> Vec<Value> {
    let task = id(at(600), 1);
    let mut bound = token(at(10), "a", &task, &credential(at(310), 1), &["read"]);
    bound["credential"]["bound_to"] = json!("ab");
    vec![
        started(at(0), "a", &task, &["read"]),
        bound,
        drill(20, |_| {}),
    ]
}

fn report_of(
    entries: &[Value],
    change: impl FnOnce(&mut Registry),
    file: &str,
    keys: KeysFrom,
) -> Readiness {
    let facts = facts(None, at(NOW), entries);
    let mut registry = registry(vec![agent("a", &["read"])]);
    change(&mut registry);
    let about = facts.about(keys, registry.version);
    let file: RequirementsFile = serde_json::from_str(file).unwrap();
    file.check().unwrap();
    readiness(&facts, &registry, about, (Some("a"), None), &file).unwrap()
}

fn check(report: &Readiness, requirement: Requirement) -> &Check {
    let mut checks = report.rows[0].checks.iter();
    checks
        .find(|check| check.requirement == requirement)
        .unwrap()
}

/// How `requirement` goes with these entries, and its figure.
fn found(
    requirement: Requirement,
    entries: &[Value],
    change: impl FnOnce(&mut Registry),
) -> (Outcome, Option<u64>) {
    let report = report_of(entries, change, "{}", KeysFrom::Given);
    let check = check(&report, requirement);
    assert_eq!(check.to_do.is_none(), check.outcome == Outcome::Pass);
    assert!(!check.rests_on.is_empty() && !check.asks.is_empty());
    (check.outcome, check.measured)
}

use Outcome::{Fail, Pass, Unknown};

#[test]
fn all_is_asked_and_use_is_all_that_is_not_known() {
    let report = report_of(&work(), |_| {}, "{}", KeysFrom::Copy);
    let row = &report.rows[0];
    assert_eq!(row.checks.len(), Requirement::ALL.len());
    let missing: Vec<_> = row
        .checks
        .iter()
        .filter(|check| check.outcome != Pass)
        .map(|check| (check.requirement, check.outcome))
        .collect();
    assert_eq!(missing, [(Requirement::LeastPrivilege, Unknown)]);
    assert!(!row.ready && !report.passed());
    assert_eq!((row.missing, report.ready, report.agents), (1, 0, 1));
    // Without it, the agent is ready; and the report says that it was not asked.
    let file = r#"{"all": {"not_asked": ["least_privilege"]}}"#;
    let report = report_of(&work(), |_| {}, file, KeysFrom::Copy);
    assert!(report.passed());
    assert_eq!(report.requirements["bounded"].not_asked.len(), 1);
    assert_eq!(report.rows[0].checks.len(), Requirement::ALL.len() - 1);
    // Where nothing has to be used, nothing need be known.
    let file = r#"{"bounded": {"used_min_percent": 0}}"#;
    assert!(report_of(&work(), |_| {}, file, KeysFrom::Copy).passed());
    let of_others = r#"{"autonomous": {"used_min_percent": 0}}"#;
    assert!(!report_of(&work(), |_| {}, of_others, KeysFrom::Copy).passed());
}

#[test]
fn an_owner_answers_or_does_not() {
    let owner = Requirement::OwnerActive;
    assert_eq!(found(owner, &[], |_| {}), (Pass, Some(1)));
    let suspended = |r: &mut Registry| r.owners[0].state = Some("suspended".into());
    assert_eq!(found(owner, &[], suspended), (Fail, Some(0)));
    assert_eq!(
        found(owner, &[], |r| r.owners[0].state = None),
        (Fail, Some(0))
    );
    assert_eq!(found(owner, &[], |r| r.owners.clear()), (Fail, Some(0)));
}

#[test]
fn a_shared_key_is_a_shared_secret() {
    let attestation = Requirement::Attestation;
    assert_eq!(found(attestation, &work(), |_| {}), (Pass, Some(0)));
    assert_eq!(found(attestation, &[], |_| {}), (Unknown, None));
    // The proof at the start alone says nothing of what goes on.
    let mut enrolled = work();
    enrolled[0]["attestation"] = json!({"method": "enrolment_token", "token": "ab"});
    assert_eq!(found(attestation, &enrolled, |_| {}), (Unknown, None));
    let mut shared = work();
    let mut other = started(at(5), "b", &id(at(600), 2), &[]);
    other["attestation"]["key"] = json!("key of a");
    shared.push(other);
    assert_eq!(found(attestation, &shared, |_| {}), (Fail, Some(1)));
    let registered = |r: &mut Registry| {
        let mut b = agent("b", &[]);
        b.keys = vec!["thumbprint".into()];
        r.agents[0].keys = b.keys.clone();
        r.agents.push(b);
    };
    assert_eq!(found(attestation, &work(), registered), (Fail, Some(1)));
    let file = r#"{"all": {"attestation": ["unix"]}}"#;
    let report = report_of(&work(), |_| {}, file, KeysFrom::Given);
    assert_eq!(check(&report, attestation).outcome, Fail);
}

#[test]
fn the_longest_life_is_held_against_its_cap() {
    let ttl = Requirement::Ttl;
    // 300 of 900 seconds.
    assert_eq!(found(ttl, &work(), |_| {}), (Pass, Some(33)));
    assert_eq!(found(ttl, &[], |_| {}), (Unknown, None));
    for (secs, outcome, percent) in [(3600, Pass, 100), (3601, Fail, 100), (7200, Fail, 200)] {
        let mut entries = work();
        entries.push(certificate(secs));
        assert_eq!(
            found(ttl, &entries, |_| {}),
            (outcome, Some(percent)),
            "{secs}"
        );
    }
    // Of what was revoked it counts for how long it was given.
    let mut entries = work();
    entries.push(certificate(7200));
    entries.push(revoked(at(51), "agent", "a"));
    assert_eq!(found(ttl, &entries, |_| {}).0, Fail);
}

#[test]
fn what_was_not_seen_is_unused_only_where_all_is_seen() {
    let task = id(at(600), 1);
    let with = |scopes: &[(&str, &str, u64)], from: u64, lost: u64| {
        let mut entries = work();
        if !scopes.is_empty() {
            entries.push(used(at(100), "v", "a", &task, scopes));
        }
        entries.push(covered("v", at(from), at(NOW), lost));
        let more = |r: &mut Registry| r.agents[0] = agent("a", &["read", "write"]);
        found(Requirement::LeastPrivilege, &entries, more)
    };
    let read = ("read", "allowed", 3);
    // One of two, and half is enough.
    assert_eq!(with(&[read], 0, 0), (Pass, Some(50)));
    assert_eq!(
        with(&[read, ("write", "allowed", 1)], 0, 0),
        (Pass, Some(100))
    );
    // None of two: known, where everything was seen; not with losses, nor of the time before.
    assert_eq!(with(&[], 0, 0), (Fail, Some(0)));
    assert_eq!(with(&[], 0, 1), (Unknown, None));
    assert_eq!(with(&[], 10_000, 0), (Unknown, None));
    // What was seen is enough without the rest, and a refusal is no use.
    assert_eq!(with(&[read], 10_000, 1), (Pass, Some(50)));
    assert_eq!(with(&[("read", "refused", 9)], 0, 0), (Fail, Some(0)));
}

#[test]
fn shares_and_counts_of_the_period() {
    let task = id(at(600), 1);
    let mut entries = work();
    // Bound: one of two, at a stage where half is enough; one of three is not.
    assert_eq!(
        found(Requirement::BoundTokens, &entries, |_| {}),
        (Pass, Some(100))
    );
    entries.push(token(
        at(30),
        "a",
        &task,
        &credential(at(330), 2),
        &["read"],
    ));
    assert_eq!(
        found(Requirement::BoundTokens, &entries, |_| {}),
        (Pass, Some(50))
    );
    entries.push(token(
        at(31),
        "a",
        &task,
        &credential(at(331), 3),
        &["read"],
    ));
    assert_eq!(
        found(Requirement::BoundTokens, &entries, |_| {}),
        (Fail, Some(33))
    );
    assert_eq!(
        found(Requirement::BoundTokens, &[], |_| {}),
        (Unknown, None)
    );
    // Refused: none of four; one of five is more than ten in a hundred.
    assert_eq!(
        found(Requirement::Denials, &entries, |_| {}),
        (Pass, Some(0))
    );
    let denied = json!({"actor": "agent/a", "agent": "a", "reason": "POLICY_DENIED"});
    entries.push(entry(at(40), "credential.token", "deny", denied));
    assert_eq!(
        found(Requirement::Denials, &entries, |_| {}),
        (Fail, Some(20))
    );
    assert_eq!(found(Requirement::Denials, &[], |_| {}), (Unknown, None));
    // Observed: none is the most.
    assert_eq!(
        found(Requirement::WouldDeny, &entries, |_| {}),
        (Pass, Some(0))
    );
    entries[1]["decision"] = json!({"policies": ["default-deny"], "would_deny": true});
    assert_eq!(
        found(Requirement::WouldDeny, &entries, |_| {}),
        (Fail, Some(1))
    );
    assert_eq!(found(Requirement::WouldDeny, &[], |_| {}), (Unknown, None));
}

#[test]
fn refusals_are_not_rounded_away() {
    // 10.9 in a hundred are more than ten.
    let mut entries = vec![started(at(0), "a", &id(at(600), 1), &["read"])];
    for n in 0..48 {
        let token_id = credential(at(310), n);
        let token = token(at(10), "a", &id(at(600), 1), &token_id, &["read"]);
        entries.push(token);
    }
    let denials = json!({"agent": "a", "count": 6});
    entries.push(entry(at(40), "denials", "deny", denials));
    assert_eq!(
        found(Requirement::Denials, &entries, |_| {}),
        (Fail, Some(10))
    );
}

#[test]
fn a_drill_counts_if_it_is_recent_and_all_refused_in_time() {
    let with = |at_secs: u64, change: &dyn Fn(&mut Value)| {
        found(Requirement::Drill, &[drill(at_secs, |d| change(d))], |_| {})
    };
    assert_eq!(found(Requirement::Drill, &[], |_| {}), (Unknown, None));
    assert_eq!(with(20, &|_| {}), (Pass, Some(3)));
    assert_eq!(
        with(20, &|d| d["last_us"] = json!(5_000_001)),
        (Fail, Some(5001))
    );
    assert_eq!(with(20, &|d| d["timed_out"] = json!(true)).0, Fail);
    let silent = |d: &mut Value| {
        d["confirmed"] = json!(1);
        d["silent"] = json!(1);
    };
    assert_eq!(with(20, &silent).0, Fail);
    let nobody = |d: &mut Value| {
        d["connected"] = json!(0);
        d["confirmed"] = json!(0);
    };
    assert_eq!(with(20, &nobody), (Unknown, None));
    // The last one counts, and not the best; and not one of long ago.
    let slow = drill(30, |d| d["last_us"] = json!(9_000_000));
    assert_eq!(
        found(Requirement::Drill, &[drill(20, |_| {}), slow], |_| {}).0,
        Fail
    );
    let file = r#"{"all": {"drill_max_age": "10s"}}"#;
    let report = report_of(&[drill(20, |_| {})], |_| {}, file, KeysFrom::Given);
    assert_eq!(check(&report, Requirement::Drill).outcome, Fail);
}

#[test]
fn a_log_and_a_review_date() {
    assert_eq!(
        found(Requirement::LogVerified, &work(), |_| {}),
        (Pass, Some(3))
    );
    assert_eq!(
        found(Requirement::LogVerified, &[], |_| {}),
        (Unknown, Some(0))
    );
    let given = r#"{"all": {"log_keys": "given"}}"#;
    for (keys, expected) in [(KeysFrom::Given, Pass), (KeysFrom::Copy, Fail)] {
        let report = report_of(&work(), |_| {}, given, keys);
        assert_eq!(check(&report, Requirement::LogVerified).outcome, expected);
    }
    let report = report_of(&work(), |_| {}, "{}", KeysFrom::Given);
    let review = check(&report, Requirement::ReviewDate);
    assert!(review.asks.ends_with("within 180d"), "{}", review.asks);
    let until = |days: u64| {
        let ends = at(NOW).plus(std::time::Duration::from_hours(24 * days));
        let change = move |r: &mut Registry| r.agents[0].valid_until = Some(ends);
        found(Requirement::ReviewDate, &[], change)
    };
    assert_eq!(until(180), (Pass, Some(180)));
    assert_eq!(until(181), (Fail, Some(181)));
    assert_eq!(until(0), (Fail, Some(0)));
    assert_eq!(
        found(Requirement::ReviewDate, &[], |r| r.agents[0].valid_until =
            None),
        (Fail, None)
    );
}

fn rose(at_secs: u64, to: &str, promotion: Value) -> Value {
    let mut promotion = promotion;
    promotion["from"] = json!("read-only");
    promotion["to"] = json!(to);
    entry(
        at(at_secs),
        "registry",
        "done",
        json!({"actor": "operator/ops", "agent": "a", "subject": "agent a", "version": 2,
               "state": "active", "reason": "review", "promotion": promotion}),
    )
}

#[test]
fn by_what_it_came_to_its_stage() {
    let ground = |entries: &[Value]| {
        let report = report_of(entries, |_| {}, "{}", KeysFrom::Given);
        report.rows.into_iter().next().unwrap().ground
    };
    let registered = ground(&work());
    assert_eq!(registered.by, RoseBy::Registration);
    assert_eq!(registered.says, "registered so: no evidence");
    let forced = rose(5, "bounded", json!({"by": "force"}));
    let found = ground(std::slice::from_ref(&forced));
    assert_eq!((found.by, found.at), (RoseBy::Force, Some(at(5))));
    assert!(found.says.contains("forced by operator/ops"), "{found:?}");
    let mut proposed = rose(
        6,
        "bounded",
        json!({"by": "evidence", "readiness": {"report": "ab12", "size": 3},
               "proposal": {"id": "P", "by": "operator/first", "at": at(1)}}),
    );
    let found = ground(&[forced.clone(), proposed.clone()]);
    assert_eq!(
        (found.by, found.report.as_deref()),
        (RoseBy::Evidence, Some("ab12"))
    );
    assert_eq!(found.operators, ["operator/first", "operator/ops"]);
    // What only waits has not risen; and what rose less is no evidence of more.
    proposed["kind"] = json!("approval");
    assert_eq!(ground(&[proposed]).by, RoseBy::Registration);
    let less = rose(5, "read-only", json!({"by": "evidence"}));
    assert_eq!(ground(&[less]).by, RoseBy::Registration);
}

#[test]
fn one_agent_or_all_that_are_not_retired() {
    let facts = facts(None, at(NOW), &work());
    let mut old = agent("old", &[]);
    old.state = Some("retired".into());
    let registry = registry(vec![agent("a", &["read"]), agent("b", &[]), old]);
    let about = facts.about(KeysFrom::Given, Some(7));
    let file = RequirementsFile::default();
    let of = |agent, stage| readiness(&facts, &registry, about.clone(), (agent, stage), &file);
    let all = of(None, None).unwrap();
    assert_eq!(all.agents, 2);
    assert_eq!(of(Some("old"), None).unwrap().agents, 1);
    assert_eq!(
        of(Some("c"), None).unwrap_err(),
        UnknownName::Agent("c".into())
    );
    // A higher stage asks for more.
    let higher = of(Some("a"), Some(Stage::Autonomous)).unwrap();
    assert_eq!(higher.rows[0].for_stage, "autonomous");
    assert_eq!(higher.requirements["autonomous"].bound_min_percent, 90);
    let nobody = crate::testing::registry(Vec::new());
    let none = readiness(&facts, &nobody, about.clone(), (None, None), &file).unwrap();
    assert!(!none.passed(), "of nobody nothing follows");
    for report in [&all, &higher, &none] {
        let sheet = crate::sheet::Sheet::from(report);
        for table in &sheet.tables {
            assert!(
                table
                    .rows
                    .iter()
                    .all(|row| row.cells.len() == table.columns.len())
            );
        }
    }
}

#[test]
fn a_file_of_requirements_is_judged() {
    let read = |text: &str| serde_json::from_str::<RequirementsFile>(text);
    for bad in [
        r#"{"everything": {}}"#,
        r#"{"all": {"used": 1}}"#,
        r#"{"all": {"token_ttl_max": "soon"}}"#,
        r#"{"all": {"not_asked": ["kindness"]}}"#,
        r#"{"all": {"log_keys": "mine"}}"#,
        r#"{"all": {"used_min_percent": -1}}"#,
    ] {
        assert!(read(bad).is_err(), "{bad}");
    }
    for (bad, message) in [
        (
            r#"{"bounded": {"used_min_percent": 101}}"#,
            "bounded.used_min_percent: at most 100, not 101",
        ),
        (
            r#"{"all": {"attestation": ["password"]}}"#,
            "all.attestation: `password` is no method; there are enrolment_token, federated_jwt, \
             foreign_svid, mtls, private_key_jwt, unix",
        ),
    ] {
        assert_eq!(read(bad).unwrap().check().unwrap_err().to_string(), message);
    }
    let file = read(
        r#"{"all": {"token_ttl_max": "5m", "would_deny_max": 3}, "bounded": {"token_ttl_max": "1m"}}"#,
    );
    let file = file.unwrap();
    let (bounded, other) = (file.at(Stage::Bounded), file.at(Stage::ReadOnly));
    assert_eq!((bounded.token_ttl_max_s, bounded.would_deny_max), (60, 3));
    assert_eq!((other.token_ttl_max_s, other.drill_max_ms), (300, 5000));
}
