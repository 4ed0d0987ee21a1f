//! Every control has figures, and every figure is what the log says.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::*;
use crate::facts::KeysFrom;
use crate::testing::{agent, at, credential, entry, facts, id, registry, revoked, started, token};

fn made(facts: &Facts, registry: &Registry, framework: Framework) -> Evidence {
    evidence(
        facts,
        registry,
        facts.about(KeysFrom::Given, Some(7)),
        framework,
    )
}

/// Every figure of all frameworks, as JSON by name; each must be the same wherever it stands.
fn figures(entries: &[Value], registry: &Registry) -> BTreeMap<String, Value> {
    let facts = facts(None, at(1_000), entries);
    let mut all = BTreeMap::<String, Value>::new();
    for framework in Framework::ALL {
        for row in made(&facts, registry, framework).rows {
            for figure in row.figures {
                let mut value = serde_json::to_value(&figure).unwrap();
                let name = value["figure"].as_str().unwrap().to_owned();
                value.as_object_mut().unwrap().remove("means");
                value.as_object_mut().unwrap().remove("figure");
                if let Some(before) = all.insert(name.clone(), value.clone()) {
                    assert_eq!(before, value, "{name}");
                }
            }
        }
    }
    all
}

#[test]
fn every_control_says_what_is_done_measured_and_not_shown() {
    let facts = facts(None, at(100), &[]);
    for framework in Framework::ALL {
        let report = made(&facts, &registry(vec![]), framework);
        assert_eq!(report.framework, framework.as_str());
        assert_eq!(report.controls, report.rows.len() as u64);
        let mut ids: Vec<_> = report.rows.iter().map(|row| row.control).collect();
        ids.extend(report.untouched.iter().map(|one| one.control));
        let known = ids.len();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), known, "{framework:?}");
        for row in &report.rows {
            assert!(!row.figures.is_empty(), "{}", row.control);
            let mut names: Vec<_> = row.figures.iter().map(|figure| figure.figure).collect();
            names.dedup();
            assert_eq!(names.len(), row.figures.len(), "{}", row.control);
            for text in [row.does, row.limit] {
                assert!(text.ends_with('.') && text.len() > 40, "{}", row.control);
                assert!(!text.contains("  "), "{}: {text}", row.control);
            }
        }
    }
    let ids = |framework| -> Vec<_> {
        let rows = made(&facts, &registry(vec![]), framework).rows;
        rows.iter().map(|row| row.control).collect()
    };
    let nhi: Vec<_> = (1..=10).map(|n| format!("NHI{n}")).collect();
    assert_eq!(ids(Framework::OwaspNhi), nhi);
    let asi: Vec<_> = (1..=10).map(|n| format!("ASI{n:02}")).collect();
    assert_eq!(ids(Framework::OwaspAsi), asi);
    assert_eq!(ids(Framework::Maestro), ["L3", "L4", "L5", "L6", "L7"]);
    assert!(ids(Framework::NistAiRmf).contains(&"MANAGE 2.4"));
}

#[test]
fn an_unknown_framework_is_told_which_there_are() {
    for framework in Framework::ALL {
        assert_eq!(framework.as_str().parse(), Ok(framework));
    }
    for bad in ["", "owasp", "OWASP-NHI", "iso-42001"] {
        let error = bad.parse::<Framework>().unwrap_err().to_string();
        for framework in Framework::ALL {
            assert!(error.contains(framework.as_str()), "{error}");
        }
    }
    let long = "x".repeat(1_000).parse::<Framework>().unwrap_err();
    assert!(long.to_string().len() < 200);
}

/// With nothing in the log nothing is claimed: no share of anything, no time, and no alarm but what the
/// registry alone says.
#[test]
fn of_an_empty_log_nothing_was_measured() {
    for (name, figure) in figures(&[], &registry(vec![])) {
        if name == "registered" {
            continue;
        }
        let nothing = match figure["unit"].as_str().unwrap() {
            "count" => figure["value"] == 0,
            "share" => figure["value"] == 0 && figure["of"] == 0,
            "seconds" | "microseconds" => figure["value"].is_null(),
            "counts" => figure["value"] == json!({}),
            other => panic!("{other}"),
        };
        assert!(nothing && figure["alarm"] == false, "{name}: {figure}");
    }
}

fn denied(secs: u64, kind: &str, more: Value) -> Value {
    entry(at(secs), kind, "deny", more)
}

fn decided(mut entry: Value, policy: &str) -> Value {
    entry["decision"] = json!({"policies": [policy], "policy_set": "S", "would_deny": false});
    entry
}

fn changed(secs: u64, agent: &str, state: &str) -> Value {
    entry(
        at(secs),
        "registry",
        "done",
        json!({"actor": "operator/ops", "subject": format!("agent {agent}"), "version": 2,
               "state": state}),
    )
}

fn drilled(secs: u64, confirmed: u64, last: u64) -> Value {
    entry(
        at(secs),
        "drill",
        "done",
        json!({"actor": "operator/ops", "agent": "canary",
               "drill": {"connected": 3, "confirmed": confirmed, "silent": 3 - confirmed,
                         "commit_us": 900, "last_us": last, "timed_out": false}}),
    )
}

/// A log in which something happens for every figure.
fn log() -> Vec<Value> {
    let (task, part) = (id(at(600), 1), id(at(500), 2));
    let twice = credential(at(315), 9);
    let mut bound = token(at(11), "a", &task, &credential(at(311), 2), &["write"]);
    bound["credential"]["bound_to"] = json!("CERT");
    let mut below = decided(started(at(12), "b", &part, &["read"]), "permit");
    below["ancestors"] = json!([{"task": task, "agent": "a"}]);
    below["attestation"] = json!({"method": "federated_jwt", "issuer": "ci", "subject": "s"});
    let mut certificate = token(at(13), "b", &part, &credential(at(73), 3), &[]);
    certificate["kind"] = json!("credential.certificate");
    certificate["credential"]["kind"] = json!("certificate");
    certificate["granted"]["expires_at"] = json!(at(73));
    let mut observed = decided(
        token(at(14), "b", &part, &credential(at(314), 4), &["pay"]),
        "default-deny",
    );
    observed["decision"]["would_deny"] = json!(true);
    let mut widened = changed(40, "b", "active");
    widened["widened"] = json!(["scopes"]);
    widened["reason"] = json!("review");
    let mut broken = decided(
        denied(
            17,
            "task.start",
            json!({"agent": "a", "reason": "POLICY_DENIED"}),
        ),
        "forbid-night",
    );
    broken["decision"]["errored"] = json!(true);
    let mut shared = started(at(18), "c", &id(at(600), 3), &["read"]);
    shared["attestation"]["key"] = json!("key of a");
    let out_of = |reason: &str| {
        denied(
            16,
            "credential.token",
            json!({"agent": "a", "reason": reason}),
        )
    };
    vec![
        decided(started(at(0), "a", &task, &["read", "write"]), "permit"),
        decided(
            token(at(10), "a", &task, &credential(at(310), 1), &["read"]),
            "permit",
        ),
        bound,
        below,
        certificate,
        observed,
        token(at(15), "b", &part, &twice, &["read"]),
        token(at(15), "b", &part, &twice, &["read"]),
        out_of("SCOPE_EXCEEDS_TASK"),
        out_of("LIVE_CREDENTIALS_PER_AGENT"),
        broken,
        denied(17, "denials", json!({"agent": "a", "count": 40})),
        shared,
        denied(19, "identity.theft", json!({"actor": "agent/a"})),
        revoked(at(20), "credential", &credential(at(310), 1)),
        drilled(21, 3, 2_000),
        drilled(22, 2, 3_500),
        entry(at(23), "key", "done", json!({"subject": "x"})),
        entry(
            at(24),
            "read",
            "done",
            json!({"actor": "operator/aud", "subject": "x"}),
        ),
        entry(at(25), "approval", "done", json!({"actor": "operator/ops"})),
        entry(
            at(26),
            "use",
            "done",
            json!({"actor": "verifier/v", "use": {"by": "verifier", "items": []}}),
        ),
        // The same kind, and says of nothing what it was used for.
        entry(
            at(26),
            "use",
            "done",
            json!({"actor": "verifier/v", "target": "https://t.example",
                   "coverage": {"from": at(1), "until": at(26), "lost": 0, "unknown": 0}}),
        ),
        widened,
        // Retired, while two credentials go on for their whole life; and then one more is issued.
        changed(50, "b", "retired"),
        token(at(60), "b", &part, &credential(at(360), 5), &["read"]),
    ]
}

#[test]
fn every_figure_is_what_the_log_says() {
    let mut overdue = agent("old", &["read"]);
    overdue.valid_until = Some(at(900));
    let mut orphan = agent("orphan", &["read"]);
    orphan.owner = "nobody".into();
    let registry = registry(vec![agent("a", &["read", "write", "pay"]), overdue, orphan]);
    let found = figures(&log(), &registry);
    let count = |value: u64| json!({"unit": "count", "value": value, "alarm": false});
    let alarm = |value: u64| json!({"unit": "count", "value": value, "alarm": true});
    let share =
        |value: u64, of: u64| json!({"unit": "share", "value": value, "of": of, "alarm": false});
    let seconds = |value: u64| json!({"unit": "seconds", "value": value, "alarm": false});
    let counts = |value: Value| json!({"unit": "counts", "value": value, "alarm": false});
    let expected: BTreeMap<&str, Value> = [
        (
            "registered",
            counts(json!({"agents": 3, "owners": 1, "targets": 1})),
        ),
        ("agents_without_owner", alarm(1)),
        ("agents_overdue", alarm(1)),
        ("agents_never_used", count(2)),
        ("keys_of_several_agents", alarm(1)),
        ("agents_retired", count(1)),
        (
            "beyond_retirement",
            json!({"unit": "seconds", "value": 265, "alarm": true}),
        ),
        ("issued_after_end", alarm(1)),
        ("tasks", count(3)),
        ("credentials", count(7)),
        (
            "refusals",
            counts(json!({"LIVE_CREDENTIALS_PER_AGENT": 1, "POLICY_DENIED": 1,
                          "SCOPE_EXCEEDS_TASK": 1, "counted": 40, "unknown": 1})),
        ),
        ("refused_outside_task", count(1)),
        ("refused_by_policy", counts(json!({"forbid-night": 1}))),
        ("refused_by_limit", count(1)),
        ("decisions_with_policies", share(5, 11)),
        ("policy_sets", count(1)),
        ("policy_errors", alarm(1)),
        ("allowed_by_observing", count(1)),
        ("permitted_and_granted", share(2, 2)),
        ("targets_of_one_agent", count(1)),
        ("depths", counts(json!({"0": 2, "1": 1}))),
        ("methods", counts(json!({"mtls": 2, "federated_jwt": 1}))),
        ("vouched", counts(json!({"ci": 1}))),
        ("bound_tokens", share(1, 6)),
        ("longest_token", seconds(300)),
        ("median_token", seconds(300)),
        ("longest_certificate", seconds(60)),
        ("beyond_task", seconds(0)),
        ("ids_issued_twice", alarm(1)),
        ("live", count(0)),
        ("key_steps", count(1)),
        ("identity_thefts", alarm(1)),
        ("revocations", counts(json!({"credential": 1}))),
        ("credentials_ended", count(1)),
        ("drills", count(2)),
        (
            "drill_last_refusal",
            json!({"unit": "microseconds", "value": 3_500, "alarm": false}),
        ),
        ("drill_confirmed", share(2, 3)),
        ("drill_silent", alarm(1)),
        ("log_entries", count(25)),
        ("operators", counts(json!({"aud": 1, "ops": 6}))),
        ("reads", count(1)),
        ("registry_changes", count(2)),
        ("registry_widened", share(1, 2)),
        ("approvals", count(1)),
        ("use_reports", count(1)),
    ]
    .into_iter()
    .collect();
    for (name, value) in &expected {
        assert_eq!(found.get(*name), Some(value), "{name}");
    }
    let names: Vec<_> = found.keys().map(String::as_str).collect();
    assert_eq!(names, expected.keys().copied().collect::<Vec<_>>());
}

#[test]
fn only_what_is_in_the_period_counts_but_for_what_is_of_the_whole_log() {
    let facts = facts(Some(at(45)), at(1_000), &log());
    let report = made(&facts, &registry(vec![]), Framework::NistAiRmf);
    let found = |name: &str| {
        let mut figures = report.rows.iter().flat_map(|row| &row.figures);
        figures
            .find(|figure| figure.figure == name)
            .unwrap()
            .measure
            .clone()
    };
    assert_eq!(found("tasks"), Measure::count(0));
    assert_eq!(found("drills"), Measure::count(0));
    assert_eq!(
        found("drill_last_refusal"),
        Measure::Microseconds { value: None }
    );
    assert_eq!(found("registry_changes"), Measure::count(1));
    assert_eq!(found("agents_retired"), Measure::count(1));
    assert_eq!(found("issued_after_end"), Measure::count(1));
}

#[test]
fn a_sheet_has_every_figure_and_marks_those_to_look_at() {
    let facts = facts(None, at(1_000), &log());
    let report = made(&facts, &registry(vec![]), Framework::Maestro);
    let sheet = crate::sheet::Sheet::from(&report);
    let figures = &sheet.tables[0];
    let many: usize = report.rows.iter().map(|row| row.figures.len()).sum();
    assert_eq!(figures.rows.len(), many);
    let alarms = figures.rows.iter().filter(|row| row.alarm);
    let mut names: Vec<_> = alarms.map(|row| row.cells[2].as_str()).collect();
    names.sort_unstable();
    let expected = [
        "drill_silent",
        "issued_after_end",
        "keys_of_several_agents",
        "policy_errors",
    ];
    assert_eq!(names, expected);
    assert_eq!(report.alarms, 4);
    assert_eq!(sheet.tables[2].rows.len(), 2);
}
