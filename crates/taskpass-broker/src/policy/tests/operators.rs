//! What operators may do by policy: asked about what is changed, recorded with it, refused by name.

use serde_json::json;
use taskpass_core::TaskId;
use taskpass_core::identity::Principal;
use taskpass_core::registry::{Row, RowKey};
use taskpass_core::verb::Verb;

use super::{World, shipped_and};
use crate::testing::{LEDGER, TestBroker, as_agent, ops};
use crate::{Apply, Error, Proposed, Revoke, RevokeWhat};

const OURS: &str = "
    @id(\"only-alice-revokes-everything\")
    forbid (principal, action == Action::\"revoke\", resource is Broker)
    unless { principal == Operator::\"alice\" };
    @id(\"others-are-not-ours\")
    forbid (principal is Operator, action in [Action::\"update\", Action::\"suspend\", Action::\"create_enrolment_token\"], resource is Agent)
    when { resource.owner == Owner::\"others\" };
    @id(\"not-their-tasks\")
    forbid (principal, action == Action::\"revoke\", resource is Task)
    when { resource.agent.owner == Owner::\"others\" };
    @id(\"keys-by-change\")
    forbid (principal, action in [Action::\"taint_key\", Action::\"rotate_key\"], resource)
    unless { context.reason like \"CHG-*\" };
    @id(\"no-export\")
    forbid (principal, action == Action::\"export_audit\", resource);";

fn denied_by(error: &Error) -> Vec<String> {
    match error {
        Error::PolicyDenied(denial) => denial.basis.policies.clone(),
        other => panic!("{other}"),
    }
}

/// Does, and is refused, one thing after the other: the task of others, and the key.
async fn act(t: &TestBroker) -> (TaskId, String) {
    t.broker.put_in_force(shipped_and(OURS)).await.unwrap();
    let theirs = t.start("stranger", &["read"]).await.unwrap();
    let ours = t.start("payer", &["read"]).await.unwrap();

    let everything = t.revoke(RevokeWhat::Everything).await.unwrap_err();
    assert_eq!(denied_by(&everything), ["only-alice-revokes-everything"]);
    let task = t.revoke(RevokeWhat::Task(theirs)).await.unwrap_err();
    assert_eq!(denied_by(&task), ["not-their-tasks"]);
    assert!(
        t.token("stranger", theirs).await.is_ok(),
        "nothing was revoked"
    );
    t.revoke(RevokeWhat::Task(ours)).await.unwrap();
    t.revoke(RevokeWhat::Target(LEDGER.parse().unwrap()))
        .await
        .unwrap();

    // What a dry run would say is asked about as well.
    let request = Revoke {
        what: RevokeWhat::Everything,
        reason: "drill".into(),
        dry_run: true,
        no_suspend: false,
    };
    assert!(t.broker.revoke(&ops(), &request).await.is_err());

    // An agent is neither taken from others nor given to them.
    let registry = t.broker.registry();
    for (name, owner) in [("stranger", "team"), ("payer", "others")] {
        let row = registry.agent(&name.parse().unwrap()).unwrap();
        let mut agent = row.value.clone();
        agent.owner = owner.parse().unwrap();
        let row = (Row::Agent(agent), row.version);
        let changed = t.broker.update(&ops(), row.0, row.1, "moved").await;
        assert_eq!(denied_by(&changed.unwrap_err()), ["others-are-not-ours"]);
    }
    let stranger = RowKey::Agent("stranger".parse().unwrap());
    let suspended = t.broker.suspend(&ops(), stranger, "drill").await;
    assert_eq!(denied_by(&suspended.unwrap_err()), ["others-are-not-ours"]);
    let payer = RowKey::Agent("payer".parse().unwrap());
    t.broker.suspend(&ops(), payer, "drill").await.unwrap();
    let principal = Principal::Agent("stranger".parse().unwrap());
    let token = t.broker.create_enrolment_token(&ops(), &principal).await;
    assert_eq!(denied_by(&token.unwrap_err()), ["others-are-not-ours"]);

    let key = t
        .broker
        .issuer()
        .jwks(t.now())
        .iter()
        .next()
        .unwrap()
        .id()
        .clone();
    let key = key.to_string();
    let tainted = t
        .broker
        .taint_key(&ops(), &key, "leaked")
        .await
        .unwrap_err();
    assert_eq!(denied_by(&tainted), ["keys-by-change"]);
    t.broker
        .taint_key(&ops(), &key, "CHG-7 leaked")
        .await
        .unwrap();
    (theirs, key)
}

#[tokio::test]
async fn acts_are_asked_about_what_they_change() {
    let mut world = World::new().await;
    let (theirs, key) = act(&world.t).await;
    let entries = world.entries().await;
    let mut refused: Vec<_> = entries
        .iter()
        .filter(|entry| entry["kind"] == "call" && entry["outcome"] == "deny")
        .map(|entry| {
            assert_eq!(entry["reason"], "POLICY_DENIED");
            assert_eq!(entry["actor"], "operator/ops");
            (
                entry["subject"].as_str().unwrap().to_owned(),
                entry["decision"]["policies"][0]
                    .as_str()
                    .unwrap()
                    .to_owned(),
            )
        })
        .collect();
    let by = |subject: &str, policy: &str| (subject.to_owned(), policy.to_owned());
    // All within one instant: their order is that of their ids.
    refused.sort();
    let mut expected = vec![
        by("revoke all", "only-alice-revokes-everything"),
        by(&format!("revoke task {theirs}"), "not-their-tasks"),
        by("revoke all", "only-alice-revokes-everything"),
        by("update agent stranger", "others-are-not-ours"),
        by("update agent payer", "others-are-not-ours"),
        by("suspend agent stranger", "others-are-not-ours"),
        by(
            "create_enrolment_token agent stranger",
            "others-are-not-ours",
        ),
        by(&format!("taint_key key {key}"), "keys-by-change"),
    ];
    expected.sort();
    assert_eq!(refused, expected);
    for (kind, subject, policy) in [
        ("revocation", None, "responders-respond"),
        ("registry", Some("agent payer"), "responders-respond"),
    ] {
        let done = entries.iter().find(|entry| {
            entry["kind"] == kind
                && entry["actor"] == "operator/ops"
                && subject.is_none_or(|subject| entry["subject"] == subject)
        });
        assert_eq!(
            done.unwrap()["decision"]["policies"],
            json!([policy]),
            "{kind}"
        );
    }
}

#[tokio::test]
async fn what_is_about_the_broker_is_asked_at_the_gate() {
    let world = World::new().await;
    let broker = &world.t.broker;
    broker.put_in_force(shipped_and(OURS)).await.unwrap();
    let export = broker.admit_operator(ops(), Verb::ExportAudit).unwrap_err();
    assert_eq!(denied_by(&export), ["no-export"]);
    let reader = broker.admit_operator(ops(), Verb::ReadAudit).unwrap();
    let basis = reader.decision.unwrap();
    assert_eq!(basis.policies, ["operators-inspect"]);
    assert_eq!(basis.policy_set, broker.policy_hash());
    // Of others than operators nothing is asked.
    let agent = broker.admit_operator(as_agent("payer"), Verb::ExportAudit);
    assert_eq!(agent.unwrap().decision, None);
}

/// A dry run of a file is asked about each entry, like the act.
#[tokio::test]
async fn a_file_is_asked_about_entry_by_entry_also_if_nothing_is_changed() {
    let t = TestBroker::new().await;
    t.broker.put_in_force(shipped_and(OURS)).await.unwrap();
    for dry_run in [true, false] {
        for (name, denied) in [("stranger", true), ("payer", false)] {
            let registry = t.broker.registry();
            let row = registry.agent(&name.parse().unwrap()).unwrap();
            let mut agent = row.value.clone();
            agent.purpose = "another".into();
            let request = Apply {
                entries: vec![Proposed {
                    entry: 0,
                    row: Row::Agent(agent),
                    keeps_validity: false,
                }],
                faults: Vec::new(),
                expected_version: None,
                dry_run,
                reason: String::new(),
                prune: false,
                force: false,
            };
            let applied = t.broker.apply(&ops(), &request).await;
            if denied {
                assert_eq!(denied_by(&applied.unwrap_err()), ["others-are-not-ours"]);
            } else {
                assert_eq!(applied.unwrap().changes.len(), 1, "dry run: {dry_run}");
            }
        }
    }
}
