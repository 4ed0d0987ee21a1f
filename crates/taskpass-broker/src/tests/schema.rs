//! Every kind of entry, as it is really made, against its JSON Schema; and the schema against what
//! is no entry.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use boon::{Compiler, Draft, SchemaIndex, Schemas};
use serde_json::{Value, json};
use taskpass_core::audit::EntryKind;

use super::story::{PURPOSE, REASON, Story, TRACE};
use crate::testing::TestBroker;

fn docs(name: &str) -> String {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs");
    std::fs::read_to_string(path.join(name)).unwrap()
}

/// The schema, ready to check entries.
pub(super) struct Schema {
    text: Value,
    schemas: Schemas,
    index: SchemaIndex,
}

impl Schema {
    pub(super) fn new() -> Self {
        let text: Value = serde_json::from_str(&docs("audit-entry.schema.json")).unwrap();
        let mut compiler = Compiler::new();
        compiler.set_default_draft(Draft::V2020_12);
        compiler.enable_format_assertions();
        compiler.add_resource("urn:schema", text.clone()).unwrap();
        let mut schemas = Schemas::new();
        let index = compiler.compile("urn:schema", &mut schemas).unwrap();
        Self {
            text,
            schemas,
            index,
        }
    }

    pub(super) fn admits(&self, entry: &Value) -> Result<(), String> {
        let outcome = self.schemas.validate(entry, self.index);
        outcome.map_err(|error| format!("{error:#}\n{entry:#}"))
    }

    /// The kinds with their outcomes that it knows.
    fn cases(&self) -> BTreeSet<String> {
        let all = self.text["allOf"].as_array().unwrap();
        all.iter()
            .filter(|case| case.get("if").is_some())
            .map(|case| case["title"].as_str().unwrap().to_owned())
            .collect()
    }
}

async fn entries() -> Vec<Value> {
    let folder = tempfile::tempdir().unwrap();
    let t = TestBroker::new().await;
    Story::tell(t, folder.path()).await.entries
}

fn case(entry: &Value) -> String {
    let text = |field: &str| entry[field].as_str().unwrap().to_owned();
    format!("{} {}", text("kind"), text("outcome"))
}

#[tokio::test]
async fn every_kind_of_entry_is_as_the_schema_says() {
    let schema = Schema::new();
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    let mut fields = BTreeSet::new();
    for entry in entries().await {
        schema.admits(&entry).unwrap();
        *seen.entry(case(&entry)).or_default() += 1;
        fields.extend(entry.as_object().unwrap().keys().cloned());
    }
    // Every case of the schema happened, and every kind of the code is in the schema.
    assert_eq!(
        seen.keys().cloned().collect::<BTreeSet<_>>(),
        schema.cases()
    );
    for kind in EntryKind::ALL {
        let found = seen
            .keys()
            .any(|case| case.starts_with(&format!("{kind} ")));
        assert!(found, "no entry of kind {kind} was made: {seen:?}");
    }
    // And so did every field.
    let known: BTreeSet<_> = schema.text["properties"]
        .as_object()
        .unwrap()
        .keys()
        .cloned()
        .collect();
    assert_eq!(fields, known);
}

#[tokio::test]
async fn entries_lead_to_each_other() {
    let entries = entries().await;
    let find = |what: &dyn Fn(&Value) -> bool| -> Vec<Value> {
        entries
            .iter()
            .filter(|entry| what(entry))
            .cloned()
            .collect()
    };
    let of = |name: &str| find(&|entry: &Value| case(entry) == name);
    // From a call to the certificate that it was made with, and to the token that it was got with.
    let start = find(&|entry| {
        case(entry) == "task.start deny" && entry["agent"] == "reader" && entry["trace_id"] == TRACE
    });
    let key = &start[0]["attestation"]["key"];
    let renewed = of("identity.renew allow");
    let renewed: Vec<_> = renewed
        .iter()
        .filter(|entry| entry["identity"]["key"] == *key)
        .collect();
    assert_eq!(renewed.len(), 1);
    assert_eq!(renewed[0]["identity"]["generation"], 2);
    assert_eq!(renewed[0]["generation"], 1);
    let enrolled = of("enrolment allow");
    let enrolled = enrolled
        .iter()
        .find(|entry| entry["identity"]["key"] == renewed[0]["attestation"]["key"])
        .unwrap();
    let made = of("enrolment.token done");
    let made: Vec<_> = made
        .iter()
        .filter(|entry| entry["enrolment"]["token"] == enrolled["attestation"]["token"])
        .collect();
    assert_eq!(made.len(), 1);
    assert_eq!(made[0]["agent"], "reader");

    // From an effect to what it followed from.
    let ids: BTreeMap<_, _> = entries
        .iter()
        .map(|entry| (entry["id"].as_str().unwrap(), entry))
        .collect();
    assert_eq!(ids.len(), entries.len(), "an id names one entry");
    let causes: BTreeSet<_> = entries
        .iter()
        .filter_map(|entry| {
            let cause = ids[entry["cause"]["entry"].as_str()?];
            Some(format!("{} from {}", case(entry), case(cause)))
        })
        .collect();
    let expected = [
        "drill done from revocation done",
        "key done from revocation done",
        "registry done from revocation done",
        "revocation done from task.end done",
        "task.end done from task.tie done",
    ];
    assert_eq!(causes, expected.map(str::to_owned).into());
    let rules: BTreeSet<_> = of("task.end done")
        .iter()
        .filter_map(|entry| Some(entry["cause"]["rule"]["selector"].as_str()?.to_owned()))
        .collect();
    assert_eq!(rules, ["agent", "all", "task"].map(str::to_owned).into());
    let rule = find(&|entry| entry["cause"]["rule"]["selector"] == "agent");
    let revocation = find(&|entry| {
        entry["kind"] == "revocation" && entry["at"] == rule[0]["cause"]["rule"]["at"]
    });
    assert_eq!(revocation.len(), 1);
    assert_eq!(revocation[0]["reason"], REASON);
    assert_eq!(revocation[0]["agent"], "payer");
    assert_eq!(revocation[0]["owner"], "team");

    // One line says it all: the chain, the purpose, the decision, both lifetimes.
    let part = find(&|entry| {
        case(entry) == "credential.token allow"
            && entry["parent"].is_string()
            && entry["purpose"] == PURPOSE
    });
    let part = &part[0];
    assert_eq!(part["parent"], part["ancestors"][0]["task"]);
    assert_eq!(part["ancestors"][0]["agent"], "payer");
    assert_eq!(part["decision"]["would_deny"], false);
    assert_eq!(
        (&part["asked"]["ttl"], &part["granted"]["ttl"]),
        (&json!(600), &json!(600))
    );
    let refused =
        find(&|entry| case(entry) == "task.start deny" && entry["reason"] == "SCOPE_EXCEEDS_TASK");
    assert_eq!(refused[0]["parent"], refused[0]["ancestors"][0]["task"]);
    let foreign =
        find(&|entry| case(entry) == "task.start deny" && entry["reason"] == "TASK_NOT_FOUND");
    assert_eq!(foreign[0]["parent"], refused[0]["parent"]);
    assert!(
        foreign[0]["ancestors"].is_null(),
        "it is not the caller's to be told of"
    );
}

#[tokio::test]
async fn the_schema_refuses_what_is_no_entry() {
    let schema = Schema::new();
    let entries = entries().await;
    let of = |name: &str| entries.iter().find(|entry| case(entry) == name).unwrap();
    // One with every field: of a caller by a certificate. Which comes first is chance.
    let token = entries
        .iter()
        .find(|entry| case(entry) == "credential.token allow" && !entry["generation"].is_null())
        .unwrap();
    let denied = entries
        .iter()
        .find(|entry| entry["reason"] == "POLICY_DENIED")
        .unwrap();
    let set = |entry: &Value, path: &str, value: Value| {
        let mut changed = entry.clone();
        let (parent, field) = path.rsplit_once('/').unwrap();
        changed.pointer_mut(parent).unwrap()[field] = value;
        changed
    };
    let without = |entry: &Value, field: &str| {
        let mut changed = entry.clone();
        changed.as_object_mut().unwrap().remove(field).unwrap();
        changed
    };
    let mut wrong = vec![
        json!([]),
        json!({}),
        set(token, "/token", json!("eyJ")),
        set(token, "/granted/token", json!("eyJ")),
        set(token, "/kind", json!("credential.password")),
        set(token, "/outcome", json!("maybe")),
        set(token, "/outcome", json!("done")),
        set(token, "/kind", json!("reap")),
        set(token, "/v", json!(2)),
        set(token, "/at", json!("2026-02-30T00:00:00Z")),
        set(token, "/at", json!("2026-02-03T00:00:00+01:00")),
        set(token, "/id", json!("82345678901234567890123456")),
        set(
            token,
            "/task",
            token["task"].as_str().unwrap().to_lowercase().into(),
        ),
        set(token, "/actor", json!("root")),
        set(token, "/granted/ttl", json!("300")),
        set(token, "/granted/ttl", json!(-1)),
        set(token, "/asked/scopes", json!([])),
        set(token, "/decision/would_deny", Value::Null),
        set(token, "/credential/kind", json!("certificate")),
        set(token, "/credential/sha256", json!("AAAA")),
        set(token, "/attestation/method", json!("enrolment_token")),
        set(token, "/purpose", json!("two\nlines")),
        set(token, "/reason", json!("POLICY_DENIED")),
        set(
            token,
            "/log",
            json!({ "origin": "broker.example/log/2026-11" }),
        ),
        without(denied, "decision"),
        set(denied, "/reason", json!("because")),
        set(denied, "/granted", token["granted"].clone()),
        without(of("log done"), "log"),
        without(of("call deny"), "attestation"),
        without(of("revocation done"), "actor"),
        without(of("task.end deny"), "reason"),
    ];
    for field in [
        "decision",
        "credential",
        "granted",
        "asked",
        "task",
        "agent",
        "owner",
        "purpose",
        "target",
        "actor",
        "generation",
        "attestation",
        "v",
        "id",
        "at",
    ] {
        wrong.push(without(token, field));
    }
    for entry in wrong {
        assert!(schema.admits(&entry).is_err(), "{entry:#}");
    }
    schema.admits(token).unwrap();
    schema.admits(denied).unwrap();
}

/// By whoever's word: to the issue of what was used.
#[tokio::test]
async fn a_use_leads_to_the_issue_of_what_was_used() {
    let entries = entries().await;
    let used: Vec<_> = entries
        .iter()
        .filter(|entry| !entry["use"].is_null())
        .collect();
    assert_eq!(used.len(), 2);
    for entry in &used {
        let decision = &entry["cause"]["decision"];
        let issued = entries.iter().find(|entry| entry["id"] == *decision);
        let issued = issued.unwrap();
        assert_eq!(case(issued), "credential.token allow");
        for field in ["credential", "agent", "owner", "task", "target"] {
            assert_eq!(issued[field], entry[field], "{field}");
        }
        let items = entry["use"]["items"].as_array().unwrap();
        let outcomes: Vec<_> = items.iter().map(|item| &item["outcome"]).collect();
        assert_eq!(outcomes, ["allowed", "refused", "allowed"]);
    }
    let by: BTreeSet<_> = used
        .iter()
        .map(|entry| entry["use"]["by"].as_str())
        .collect();
    assert_eq!(by, [Some("agent"), Some("verifier")].into());
}

#[tokio::test]
async fn the_schema_refuses_what_is_no_use() {
    let schema = Schema::new();
    let entries = entries().await;
    let with = |field: &str| {
        entries
            .iter()
            .find(|entry| !entry[field].is_null())
            .unwrap()
    };
    let (used, covered) = (with("use"), with("coverage"));
    let set = |entry: &Value, path: &str, value: Value| {
        let mut changed = entry.clone();
        let (parent, field) = path.rsplit_once('/').unwrap();
        changed.pointer_mut(parent).unwrap()[field] = value;
        changed
    };
    let without = |entry: &Value, field: &str| {
        let mut changed = entry.clone();
        changed.as_object_mut().unwrap().remove(field).unwrap();
        changed
    };
    for entry in [
        without(used, "credential"),
        without(used, "cause"),
        without(used, "use"),
        without(used, "actor"),
        set(used, "/use/by", json!("operator")),
        set(used, "/use/items", json!([])),
        set(used, "/use/items/0/count", json!(0)),
        set(used, "/use/items/0/action", json!("a\nb")),
        set(used, "/use/items/0/outcome", json!("maybe")),
        set(used, "/use/items/0/token", json!("eyJ")),
        set(used, "/coverage", covered["coverage"].clone()),
        set(used, "/cause", json!({ "entry": used["id"] })),
        without(covered, "coverage"),
        without(covered, "target"),
        set(covered, "/actor", json!("agent/payer")),
        set(covered, "/agent", json!("payer")),
        set(covered, "/coverage/lost", Value::Null),
    ] {
        assert!(schema.admits(&entry).is_err(), "{entry:#}");
    }
    schema.admits(used).unwrap();
    schema.admits(covered).unwrap();
}

#[test]
fn what_the_schema_knows_the_document_explains() {
    let schema = Schema::new();
    let document = docs("AUDIT_LOG.md");
    let words = |at: &Value| at.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    let mut expected = words(&schema.text["properties"]);
    for field in [
        "granted",
        "decision",
        "credential",
        "revocation",
        "identity",
        "log",
    ] {
        let inner = words(&schema.text["properties"][field]["properties"]);
        expected.extend(inner.iter().map(|name| format!("{field}.{name}")));
    }
    expected.extend(EntryKind::ALL.iter().map(ToString::to_string));
    for word in expected {
        assert!(
            document.contains(&format!("`{word}`")),
            "`{word}` is not explained"
        );
    }
}
