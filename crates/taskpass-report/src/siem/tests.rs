//! Every kind of entry has a class with what that class requires; the entry itself is not changed.

use serde_json::{Value, json};
use taskpass_core::audit::EntryKind;

use super::*;
use crate::testing::{at, credential, entry, id, revoked, token};

const ORIGIN: &str = "broker.example/log/2026-09";

fn placed(json: &str) -> Placed<'_> {
    Placed {
        origin: ORIGIN,
        log: "2026-09",
        index: 5,
        json,
    }
}

#[test]
fn an_event_carries_the_entry_as_it_is_hashed() {
    let (task, token_id) = (id(at(600), 1), credential(at(300), 1));
    // Spaces and order are the hash's, whatever a parser thinks of them.
    let json = token(at(0), "a", &task, &token_id, &["read"]).to_string();
    let json = json.replacen(':', ": ", 1);
    let line = cloudevents(placed(&json)).unwrap();
    assert!(line.ends_with(&format!("\"data\":{json}}}")) && !line.contains('\n'));
    let event: Value = serde_json::from_str(&line).unwrap();
    assert_eq!(event["specversion"], "1.0");
    assert_eq!(event["source"], json!(format!("//{ORIGIN}")));
    assert_eq!(event["type"], "taskpass.audit.v1.credential.token.allow");
    assert_eq!(event["subject"], json!(token_id));
    assert_eq!(event["time"], json!(at(0)));
    let event: Value = serde_json::from_str(&ocsf(placed(&json)).unwrap()).unwrap();
    assert_eq!(event["raw_data"], json!(json));
    assert_eq!(event["metadata"]["correlation_uid"], json!(task));
    assert_eq!(event["entity"], json!({"type": "token", "uid": token_id}));
    assert_eq!(event["time"], json!(at(0).millis()));
}

#[test]
fn every_kind_has_what_its_class_requires() {
    for kind in EntryKind::ALL {
        for outcome in ["allow", "deny", "done"] {
            let json = entry(at(0), kind.as_str(), outcome, json!({"reason": "R"})).to_string();
            let event: Value = serde_json::from_str(&ocsf(placed(&json)).unwrap()).unwrap();
            let class = event["class_uid"].as_u64().unwrap();
            let required = match class {
                3002 => &["user", "service"][..],
                3003 => &["user", "privileges", "session"],
                3004 => &["entity"],
                6003 => &["api", "src_endpoint"],
                other => panic!("{other}"),
            };
            for field in required
                .iter()
                .chain(&["actor", "metadata", "severity_id", "time"])
            {
                assert!(!event[field].is_null(), "{kind}: {field}");
            }
            assert_eq!(event["category_uid"], json!(class / 1000), "{kind}");
            let type_uid = class * 100 + event["activity_id"].as_u64().unwrap();
            assert_eq!(event["type_uid"], json!(type_uid), "{kind}");
            let denied = outcome == "deny";
            assert_eq!(event["status_id"], json!(if denied { 2 } else { 1 }));
            assert_eq!(
                event["status_code"],
                if denied { json!("R") } else { Value::Null }
            );
        }
    }
}

/// An entry of each kind and outcome, as brokers made them: what tests/interop/siem puts to the schemas.
const ENTRIES: &str = include_str!("entries.jsonl");

#[test]
fn every_kind_is_among_the_entries_that_are_put_to_the_schemas() {
    let mut kinds = std::collections::BTreeSet::new();
    for json in ENTRIES.lines() {
        let entry: Value = serde_json::from_str(json).unwrap();
        let event: Value = serde_json::from_str(&ocsf(placed(json)).unwrap()).unwrap();
        assert_eq!(event["metadata"]["event_code"], entry["kind"]);
        assert_eq!(event["raw_data"], json!(json));
        cloudevents(placed(json)).unwrap();
        kinds.insert(entry["kind"].as_str().unwrap().to_owned());
    }
    for kind in EntryKind::ALL {
        assert!(kinds.contains(kind.as_str()), "add an entry of kind {kind}");
    }
}

#[test]
fn an_entry_that_stands_for_many_says_how_many_and_when() {
    let items = json!({"by": "verifier", "items": [
        {"outcome": "allowed", "count": 2, "first_at": at(1), "last_at": at(5)},
        {"outcome": "refused", "count": 3, "first_at": at(2), "last_at": at(4)},
    ]});
    let coverage = json!({"from": at(1), "until": at(9), "lost": 0, "unknown": 0});
    for (kind, more, fields) in [
        (
            "use",
            json!({"use": items}),
            [json!(5), Value::Null, json!(at(5).millis())],
        ),
        (
            "use",
            json!({"coverage": coverage}),
            [Value::Null, json!(at(1).millis()), json!(at(9).millis())],
        ),
        (
            "reap",
            json!({"count": 7}),
            [json!(7), Value::Null, Value::Null],
        ),
        ("read", json!({}), [Value::Null, Value::Null, Value::Null]),
    ] {
        let json = entry(at(10), kind, "done", more).to_string();
        let event: Value = serde_json::from_str(&ocsf(placed(&json)).unwrap()).unwrap();
        let said = ["count", "start_time", "end_time"].map(|field| event[field].clone());
        assert_eq!(said, fields, "{json}");
    }
}

#[test]
fn what_the_broker_did_by_itself_is_the_systems() {
    let json = entry(at(0), "reap", "done", json!({})).to_string();
    let event: Value = serde_json::from_str(&ocsf(placed(&json)).unwrap()).unwrap();
    assert_eq!(event["actor"]["user"]["type_id"], json!(3));
    let revoked = revoked(at(0), "all", "").to_string();
    let event: Value = serde_json::from_str(&ocsf(placed(&revoked)).unwrap()).unwrap();
    assert_eq!(event["entity"], json!({"type": "all", "name": "all"}));
    assert_eq!(event["actor"]["user"]["name"], json!("operator/ops"));
}

#[test]
fn what_is_no_entry_becomes_no_event() {
    for json in ["{}", "[]", r#"{"v":2}"#] {
        assert!(cloudevents(placed(json)).is_err() && ocsf(placed(json)).is_err());
    }
}
