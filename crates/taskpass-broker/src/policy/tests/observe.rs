//! Observing a target, from its registration to the entry of what it let through.

use std::time::Duration;

use taskpass_core::registry::{MAX_OBSERVE, Observe, Row, RowKey};

use super::{World, only};
use crate::Error;
use crate::policy::{Supposed, Terms};
use crate::testing::{LEDGER, TestBroker, ops};
use taskpass_core::grant::Ask;

/// Permits reading and certificates, and what operators do.
const NARROW: &str =
    "@id(\"reads\") permit (principal is Agent, action == Action::\"read\", resource);
    @id(\"operators\") permit (principal is Operator, action, resource);";

async fn set_observe(t: &TestBroker, observe: Option<Observe>) -> Result<(), Error> {
    let registry = t.broker.registry();
    let row = registry.target(&LEDGER.parse().unwrap()).unwrap();
    let (mut target, version) = (row.value.clone(), row.version);
    target.observe = observe;
    let caller = ops();
    let row = Row::Target(target);
    let updated = t.broker.update(&caller, row, version, "").await;
    updated.map(drop)
}

fn for_secs(t: &TestBroker, secs: u64) -> Observe {
    Observe {
        until: t.now().plus(Duration::from_secs(secs)),
        reason: "trial".into(),
    }
}

#[tokio::test]
async fn what_no_policy_permits_is_allowed_and_marked_until_the_end() {
    let mut world = World::new().await;
    let t = &world.t;
    t.broker.put_in_force(only(NARROW)).await.unwrap();
    let denied = t.start("payer", &["write"]).await.unwrap_err();
    assert_eq!(denied.reason(), "POLICY_DENIED");
    set_observe(t, Some(for_secs(t, 600))).await.unwrap();
    t.advance(1);
    let task = t.start("payer", &["read", "write"]).await.unwrap();
    let narrow = t.token("payer", task).await.unwrap();
    assert!(!narrow.would_deny, "a policy permits reading");
    let wide = t
        .token_with("payer", task, &["write"], None, 5)
        .await
        .unwrap();
    assert!(wide.would_deny);
    assert_eq!(t.broker.metrics().would_deny.get(), 2);
    // Of the two other questions about a task, nothing is overridden.
    let certificate = t.certificate("payer", task).await.unwrap_err();
    assert_eq!(certificate.reason(), "POLICY_DENIED");
    let child = t
        .start_under("payer", &["read"], Some(task))
        .await
        .unwrap_err();
    assert_eq!(child.reason(), "POLICY_DENIED");
    // Nor a ceiling, nor what an operator has suspended.
    let read_only = t.start("payer", &["read"]).await.unwrap();
    let beyond = t.token_with("payer", read_only, &["write"], None, 5).await;
    assert_eq!(beyond.unwrap_err().reason(), "SCOPE_EXCEEDS_TASK");
    let agent = RowKey::Agent("stranger".parse().unwrap());
    t.broker.suspend(&ops(), agent, "drill").await.unwrap();
    assert!(t.start("stranger", &["write"]).await.is_err());
    // It is said beforehand.
    let supposed = Supposed {
        agent: "payer".parse().unwrap(),
        ask: Ask::Scopes([format!("{LEDGER}#write").parse().unwrap()].into()),
        from: None,
        depth: 0,
        terms: Terms::default(),
    };
    let said = t.broker.explain_supposed(&ops(), supposed).await.unwrap();
    assert!(said.said.allowed && said.said.would_deny);
    // It ends by itself, also for tasks that are running.
    t.advance(600);
    let over = t.token_with("payer", task, &["write"], None, 5).await;
    assert_eq!(over.unwrap_err().reason(), "POLICY_DENIED");
    assert!(t.token("payer", task).await.is_ok());
    let id = wide.credential.decision.to_string();
    let entries = world.entries().await;
    let entry = entries.iter().find(|entry| entry["id"] == *id).unwrap();
    assert_eq!(entry["decision"]["would_deny"], true);
    assert_eq!(
        entry["decision"]["policies"],
        serde_json::json!(["default-deny"])
    );
    let observed = entries.iter().find(|entry| {
        let reason = entry["reason"].as_str().unwrap_or_default();
        entry["kind"] == "registry" && reason.starts_with("observed until 20")
    });
    assert!(
        observed.unwrap()["reason"]
            .as_str()
            .unwrap()
            .ends_with(": trial")
    );
}

#[tokio::test]
async fn it_is_bounded_and_can_be_ended() {
    let t = TestBroker::new().await;
    let too_long = MAX_OBSERVE.as_secs() + 1;
    for observe in [for_secs(&t, too_long), for_secs(&t, 0)] {
        let error = set_observe(&t, Some(observe)).await.unwrap_err();
        assert!(
            matches!(
                error,
                Error::InvalidField {
                    field: "observe_until",
                    ..
                }
            ),
            "{error}"
        );
    }
    t.broker.put_in_force(only(NARROW)).await.unwrap();
    set_observe(&t, Some(for_secs(&t, 600))).await.unwrap();
    assert!(t.start("payer", &["write"]).await.is_ok());
    set_observe(&t, None).await.unwrap();
    assert!(t.start("payer", &["write"]).await.is_err());
}
