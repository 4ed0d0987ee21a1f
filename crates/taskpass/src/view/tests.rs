//! The JSON that scripts rely on, field by field, and the text that people read.

use std::collections::HashMap;

use serde_json::{Value, json};
use taskpass_api::v1::{self, entry, principal, revocation_selector};
use taskpass_core::Timestamp;

use super::credential::{IssuedCertificate, IssuedToken};
use super::key::Key;
use super::listing::Listing;
use super::registry::{Entry, Retired};
use super::revocation::{Revocation, Revoked};
use super::task::{Completed, Started, Task};
use super::tree::{Branch, Forest, Node};
use super::verification::{Introspection, Verification};
use crate::output::{Ink, View};

const AT: &str = "2023-11-14T22:13:20Z";

#[expect(clippy::unnecessary_wraps, reason = "as the fields of the proto are")]
fn at() -> Option<prost_types::Timestamp> {
    Some(prost_types::Timestamp {
        seconds: 1_700_000_000,
        nanos: 0,
    })
}

fn json(view: &impl serde::Serialize) -> Value {
    serde_json::to_value(view).unwrap()
}

fn text(view: &impl View) -> String {
    view.text(&Ink::plain_at(Timestamp::from_secs(1_699_999_730)))
}

fn entry_of(entry: entry::Entry) -> Entry {
    let entry = v1::Entry {
        entry: Some(entry),
        version: 3,
    };
    Entry::from_proto(Some(entry)).unwrap()
}

fn agent() -> v1::Agent {
    v1::Agent {
        name: "invoice-bot".into(),
        owner: "payments".into(),
        purpose: "reconcile".into(),
        stage: v1::Stage::ReadOnly.into(),
        scopes: vec!["https://a#x".into()],
        valid_until: at(),
        max_ttl: Some(prost_types::Duration {
            seconds: 90,
            nanos: 0,
        }),
        labels: HashMap::from([("env".into(), "prod".into())]),
        state: v1::State::Active.into(),
        created_at: at(),
        client_keys: vec![v1::ClientKey {
            key_id: "k".into(),
            until: at(),
            added_at: at(),
            ..v1::ClientKey::default()
        }],
        limits: Some(v1::Limits {
            live_tasks: Some(4),
            ..v1::Limits::default()
        }),
    }
}

#[test]
fn entries() {
    assert_eq!(
        json(&entry_of(entry::Entry::Agent(agent()))),
        json!({
            "name": "invoice-bot", "owner": "payments", "purpose": "reconcile",
            "stage": "read-only", "scopes": ["https://a#x"], "valid_until": AT, "max_ttl": 90,
            "labels": {"env": "prod"}, "state": "active", "created_at": AT,
            "client_keys": [{"key_id": "k", "until": AT, "added_at": AT}],
            "limits": {"live_credentials": null, "live_tasks": 4, "issues_per_second": null, "depth": null, "fan_out": null},
            "version": 3,
        })
    );
    let target = v1::Target {
        uri: "https://a".into(),
        scopes: vec![v1::TargetScope {
            name: "x".into(),
            access: v1::Access::Actuate.into(),
        }],
        risk: v1::Risk::High.into(),
        token_alg: v1::TokenAlg::Eddsa.into(),
        max_ttl: Some(prost_types::Duration {
            seconds: 1,
            nanos: 500_000_000,
        }),
        state: v1::State::Suspended.into(),
        token_profile: v1::TokenProfile::Oauth.into(),
        limits: None,
        observe: Some(v1::ObserveMode {
            observe_until: at(),
            reason: "trial".into(),
        }),
    };
    assert_eq!(
        json(&entry_of(entry::Entry::Target(target))),
        json!({
            "uri": "https://a", "scopes": [{"name": "x", "access": "actuate"}], "risk": "high",
            "token_alg": "EdDSA", "token_profile": "oauth", "max_ttl": 1.5, "state": "suspended",
            "limits": {"live_credentials": null, "live_tasks": null, "issues_per_second": null, "depth": null, "fan_out": null},
            "observe": {"observe_until": AT, "reason": "trial"}, "version": 3,
        })
    );
    let operator = v1::Operator {
        name: "ops".into(),
        roles: vec![1, 2, 3],
        state: v1::State::Retired.into(),
    };
    assert_eq!(
        json(&entry_of(entry::Entry::Operator(operator))),
        json!({
            "name": "ops", "roles": ["admin", "responder", "auditor"], "state": "retired", "version": 3,
        })
    );
    let verifier = entry::Entry::Verifier(v1::Verifier {
        name: "ledger".into(),
        targets: vec!["https://a".into()],
        state: 1,
    });
    let expected =
        json!({"name": "ledger", "targets": ["https://a"], "state": "active", "version": 3});
    assert_eq!(json(&entry_of(verifier)), expected);
}

#[test]
fn absent_is_there_all_the_same() {
    assert_eq!(
        json(&entry_of(entry::Entry::Agent(v1::Agent::default()))),
        json!({
            "name": "", "owner": "", "purpose": "", "stage": null, "scopes": [],
            "valid_until": null, "max_ttl": null, "labels": {}, "state": null,
            "created_at": null, "client_keys": [],
            "limits": {"live_credentials": null, "live_tasks": null, "issues_per_second": null, "depth": null, "fan_out": null}, "version": 3,
        })
    );
    assert!(Entry::from_proto(None).is_err());
    assert!(Entry::from_proto(Some(v1::Entry::default())).is_err());
}

#[test]
fn retired() {
    let owner = v1::Owner {
        name: "payments".into(),
        contact: "c".into(),
        limits: None,
        state: v1::State::Retired.into(),
    };
    let reply = v1::RetireResponse {
        entry: Some(v1::Entry {
            entry: Some(entry::Entry::Owner(owner)),
            version: 3,
        }),
        credentials: 7,
        exact: false,
        agents: 2,
        tasks: 4,
        tasks_exact: true,
        registry_version: 9,
    };
    let view = Retired::from_proto(reply.clone(), false).unwrap();
    assert_eq!(
        json(&view),
        json!({
            "name": "payments", "contact": "c", "state": "retired", "version": 3,
            "limits": {"live_credentials": null, "live_tasks": null, "issues_per_second": null, "depth": null, "fan_out": null},
            "agents": 2, "tasks": 4, "tasks_exact": true, "credentials": 7, "exact": false,
            "dry_run": false, "registry_version": 9,
        })
    );
    assert!(text(&view).ends_with("ended  4 tasks, at most 7 credentials of 2 agents\n"));
    let dry = text(&Retired::from_proto(reply, true).unwrap());
    assert!(dry.contains("nothing was changed") && dry.contains("would end  4 tasks"));
}

#[test]
fn listings() {
    let Entry::Agent(row) = entry_of(entry::Entry::Agent(agent())) else {
        panic!("an agent");
    };
    let listing = Listing {
        items: vec![row],
        next_page_token: "N".into(),
    };
    let value = json(&listing);
    assert_eq!(value["agents"][0]["name"], "invoice-bot");
    assert_eq!(value["next_page_token"], "N");
    assert_eq!(value.as_object().unwrap().len(), 2);
    assert_eq!(
        text(&listing),
        "\
NAME         OWNER     STAGE      STATE   SCOPES  ENDS       PURPOSE
invoice-bot  payments  read-only  active  1       in 4m 30s  reconcile
… more: --page-token N
"
    );
}

fn task(id: &str, above: &[&str]) -> Task {
    let ancestor = |id: &&str| v1::Ancestor {
        task_id: (*id).to_owned(),
        agent: "a".into(),
    };
    Task::from(v1::Task {
        task_id: id.into(),
        agent: "a".into(),
        purpose: "p".into(),
        scopes: vec!["https://a#x".into()],
        started_at: at(),
        deadline_at: at(),
        state: v1::TaskState::Active.into(),
        ancestors: above.iter().map(ancestor).collect(),
        ended_at: None,
        decision_id: "D".into(),
    })
}

#[test]
fn tasks() {
    let expected = json!({
        "task_id": "T", "agent": "a", "purpose": "p", "scopes": ["https://a#x"],
        "started_at": AT, "deadline_at": AT, "state": "active",
        "ancestors": [{"task_id": "P", "agent": "a"}], "ended_at": null, "decision_id": "D",
    });
    assert_eq!(json(&task("T", &["P"])), expected);
    let started = Started::from(v1::StartResponse {
        task_id: "T".into(),
        deadline_at: at(),
        scopes: vec!["https://a#x".into()],
        clamped_by: vec!["agent_max_ttl".into()],
        decision_id: "D".into(),
        would_deny: true,
    });
    assert!(text(&started).contains("no policy permits this"));
    assert_eq!(
        json(&started),
        json!({
            "task_id": "T", "deadline_at": AT, "scopes": ["https://a#x"],
            "clamped_by": ["agent_max_ttl"], "decision_id": "D", "would_deny": true,
        })
    );
    let completed = Completed::new(v1::Task::default(), 2);
    let value = json(&completed);
    assert_eq!(
        (&value["credentials"], &value["task_id"]),
        (&json!(2), &json!(""))
    );
}

#[test]
fn trees() {
    let tasks = vec![
        task("T1", &[]),
        task("T2", &["T1"]),
        task("T4", &["T3", "T1"]),
        task("T3", &["T1"]),
        task("T5", &["GONE", "T1"]),
        task("T6", &["GONE"]),
    ];
    let tasks = tasks.into_iter().map(Branch::from);
    let forest = Forest {
        tasks: Node::forest(tasks.collect()),
        truncated: false,
    };
    assert_eq!(
        text(&forest),
        "\
T1  a  active  in 4m 30s  p
├─ T2  a  active  in 4m 30s  p
├─ T3  a  active  in 4m 30s  p
│  └─ T4  a  active  in 4m 30s  p
└─ T5  a  active  in 4m 30s  p
T6  a  active  in 4m 30s  p
"
    );
    let value = json(&forest);
    assert_eq!(
        value["tasks"][0]["children"][1]["children"][0]["task_id"],
        "T4"
    );
    assert_eq!(value["truncated"], false);
    // Two tasks that each claim to be above the other: no answer makes this hang.
    let circle = Node::forest(vec![task("A", &["B"]).into(), task("B", &["A"]).into()]);
    assert!(circle.is_empty());
    assert_eq!(value["tasks"][0]["credentials"], json!(null), "not counted");

    let counted = |credentials, exact| {
        let task = v1::Task {
            task_id: "T".into(),
            agent: "a".into(),
            ..v1::Task::default()
        };
        Node::forest(vec![Branch::counted(task, credentials, exact)]).remove(0)
    };
    assert!(text(&counted(3, true)).contains("  3 live  "));
    assert!(text(&counted(20_000, false)).contains("  20000+ live  "));
    let value = json(&counted(3, true));
    assert_eq!(
        (&value["credentials"], &value["exact"]),
        (&json!(3), &json!(true))
    );
}

#[test]
fn issued() {
    let token = IssuedToken::from(v1::IssueTokenResponse {
        token: "eyJ".into(),
        credential_id: "C".into(),
        expires_at: at(),
        scopes: vec!["x".into()],
        clamped_by: vec![],
        decision_id: "D".into(),
        revocation_seq: u64::MAX,
        would_deny: false,
    });
    assert!(!text(&token).contains("no policy permits this"));
    assert_eq!(
        json(&token),
        json!({
            "token": "eyJ", "credential_id": "C", "expires_at": AT, "scopes": ["x"],
            "clamped_by": [], "decision_id": "D", "revocation_seq": u64::MAX, "would_deny": false,
        })
    );
    assert!(!text(&token).contains("eyJ") && !format!("{token:?}").contains("eyJ"));
    let reply = v1::IssueCertificateResponse {
        credential_id: "C".into(),
        expires_at: at(),
        decision_id: "D".into(),
        clamped_by: vec!["task_deadline".into()],
        revocation_seq: 4,
        ..v1::IssueCertificateResponse::default()
    };
    let files = vec!["key.pem", "ca.pem", "cert.pem"];
    assert_eq!(
        json(&IssuedCertificate::new(reply, "tls".as_ref(), files)),
        json!({
            "credential_id": "C", "expires_at": AT, "clamped_by": ["task_deadline"],
            "decision_id": "D", "revocation_seq": 4, "out": "tls",
            "files": ["key.pem", "ca.pem", "cert.pem"],
        })
    );
}

#[test]
fn revocations() {
    let reply = v1::RevokeResponse {
        seq: 9,
        credentials: 3,
        exact: true,
        suspended: vec!["agent a".into()],
        revoked_at: at(),
    };
    let view = Revoked::new(reply.clone(), false);
    assert_eq!(
        json(&view),
        json!({
            "seq": 9, "credentials": 3, "exact": true, "suspended": ["agent a"],
            "revoked_at": AT, "dry_run": false,
        })
    );
    assert!(text(&view).contains("ended      3 credentials\n"));
    assert!(text(&Revoked::new(reply, true)).starts_with("dry run        nothing was changed\n"));
    let rule = v1::Revocation {
        seq: 9,
        selector: Some(v1::RevocationSelector {
            selector: Some(revocation_selector::Selector::Everything(true)),
        }),
        actor: Some(v1::Principal {
            kind: Some(principal::Kind::Operator("ops".into())),
        }),
        ..v1::Revocation::default()
    };
    let value = json(&Revocation::from_proto(rule).unwrap());
    assert_eq!(value["selector"]["everything"], true);
    assert_eq!(value["selector"].as_object().unwrap().len(), 7);
    assert_eq!(
        value["actor"],
        json!({"agent": null, "operator": "ops", "verifier": null})
    );
}

#[test]
fn introspections() {
    let inactive = json!({
        "active": false, "credential_id": null, "kind": null, "sub": null, "agent": null,
        "task_id": null, "ancestors": [], "target": null, "scopes": [], "issued_at": null,
        "expires_at": null, "bound_to": null, "purpose": null,
    });
    assert_eq!(
        json(&Introspection::from(v1::IntrospectResponse::default())),
        inactive
    );
    let active = Introspection::from(v1::IntrospectResponse {
        active: true,
        kind: v1::CredentialKind::Token.into(),
        credential_id: "C".into(),
        expires_at: at(),
        ..v1::IntrospectResponse::default()
    });
    assert_eq!(json(&active)["kind"], "token");
    assert!(text(&active).contains("in 4m 30s"));
    let refused = json(&Verification::refused("revoked", true));
    assert_eq!(
        (&refused["valid"], &refused["reason"]),
        (&json!(false), &json!("revoked"))
    );
    assert_eq!(refused["credential_id"], Value::Null);
}

#[test]
fn keys() {
    let key = Key::from(v1::Key {
        key_id: "k".into(),
        purpose: "token-es256".into(),
        state: v1::KeyState::Active.into(),
        created_at: at(),
        ..v1::Key::default()
    });
    assert_eq!(
        json(&key),
        json!({
            "key_id": "k", "purpose": "token-es256", "state": "active", "created_at": AT,
            "activated_at": null, "retired_at": null, "not_after": null, "public_jwk": "",
            "certificate_pem": "", "has_private": false, "takes_over_at": null,
        })
    );
}

#[test]
fn a_stranger_s_text_cannot_steer_the_terminal() {
    let agent = v1::Agent {
        purpose: "\u{1b}[2Jnice".into(),
        ..agent()
    };
    let view = entry_of(entry::Entry::Agent(agent));
    assert!(!text(&view).contains('\u{1b}'));
}

#[test]
fn what_became_of_keys() {
    use super::key::{Imported, Key, Request, Rotated, Tainted};
    let key = |state: v1::KeyState| {
        Key::from(v1::Key {
            key_id: "k".into(),
            purpose: "task-issuing".into(),
            state: state.into(),
            ..v1::Key::default()
        })
    };
    let rotated = Rotated {
        next: Some(key(v1::KeyState::Active)),
        takes_over_at: super::wire::instant(at()),
    };
    assert_eq!(json(&rotated)["takes_over_at"], AT);
    assert_eq!(json(&rotated)["next"]["state"], "active");
    assert!(text(&rotated).contains("takes over"));
    let tainted = Tainted {
        seq: 3,
        credentials: 7,
        next: None,
    };
    assert_eq!(
        json(&tainted),
        json!({ "seq": 3, "credentials": 7, "next": null })
    );
    assert!(text(&tainted).contains("at most 7 credentials"));
    // A request is printed as it is, to be redirected.
    let request = Request {
        key_id: "k".into(),
        csr_pem: "PEM\n".into(),
    };
    assert_eq!(text(&request), "PEM\n");
    for (state, says) in [
        (v1::KeyState::Prepared, true),
        (v1::KeyState::Active, false),
    ] {
        let imported = Imported {
            authority: Some(key(state)),
            root: None,
            takes_over_at: None,
        };
        assert_eq!(text(&imported).contains("in its turn"), says);
    }
}
