//! Every kind of entry has a class with what that class requires; the entry itself is not changed.

use serde_json::{Value, json};
use taskpass_core::audit::EntryKind;

use super::*;
use crate::testing::{at, credential, entry, id, token};

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
                3002 | 3003 => &["user"][..],
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

#[test]
fn what_is_no_entry_becomes_no_event() {
    for json in ["{}", "[]", r#"{"v":2}"#] {
        assert!(cloudevents(placed(json)).is_err() && ocsf(placed(json)).is_err());
    }
}
