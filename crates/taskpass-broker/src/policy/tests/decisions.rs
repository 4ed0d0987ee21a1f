//! Decisions that were made, found by their ids, and what would be decided today.

use taskpass_core::access::{CertificateProfile, Stage};
use taskpass_core::grant::Ask;
use taskpass_core::registry::{Row, RowKey};
use taskpass_core::{DecisionId, TaskId};

use taskpass_store::Store as _;

use super::{World, only};
use crate::policy::{PastDecision, Supposed, Terms};
use crate::testing::{TestBroker, as_agent, csr, ops};
use crate::{CertificateRequest, Error};

fn denial(error: &Error) -> DecisionId {
    match error {
        Error::PolicyDenied(denial) => denial.basis.id,
        other => panic!("{other}"),
    }
}

/// Whether, and by which policies, the past decision would be made today.
fn today(past: &PastDecision) -> (bool, Vec<String>) {
    let explained = past.today.as_ref().unwrap().as_ref().unwrap();
    (explained.said.allowed, explained.said.policies.clone())
}

async fn decision_of(t: &TestBroker, task: TaskId) -> DecisionId {
    t.store.task(task).await.unwrap().unwrap().decision
}

async fn explain(world: &mut World, id: DecisionId) -> PastDecision {
    world.archiver.drain().await.unwrap();
    let log = world.archiver.log();
    log.explain_decision(&ops(), id).await.unwrap()
}

fn allowed(policy: &str) -> (bool, Vec<String>) {
    (true, vec![policy.to_owned()])
}

fn refused(policy: &str) -> (bool, Vec<String>) {
    (false, vec![policy.to_owned()])
}

/// Each kind of decision, found; what it was is in its entry, and today follows today's registry.
#[tokio::test]
async fn decisions_are_found_and_asked_again() {
    let mut world = World::new().await;
    let t = &world.t;
    let task = t.start("payer", &["read", "write"]).await.unwrap();
    let child = t.start_under("payer", &["read"], Some(task)).await.unwrap();
    let started = decision_of(t, task).await;
    let delegated = decision_of(t, child).await;
    let token = t.token("payer", task).await.unwrap();
    let request = CertificateRequest {
        task,
        csr: csr(),
        profile: CertificateProfile::Client,
        ttl: None,
    };
    let payer = as_agent("payer");
    let certificate = t.broker.issue_certificate(&payer, &request).await.unwrap();
    let denied = t.start("reader", &["write"]).await.unwrap_err();
    let registered = "permit-registered-scopes";
    let both = (
        true,
        vec!["permit-own-subtask".to_owned(), registered.to_owned()],
    );
    let cases = [
        (started, "task.start", allowed(registered)),
        (delegated, "task.start", both),
        (
            token.credential.decision,
            "credential.token",
            allowed(registered),
        ),
        (
            certificate.credential.decision,
            "credential.certificate",
            allowed("permit-task-certificate"),
        ),
        (denial(&denied), "task.start", refused("stage-read-only")),
    ];
    for (id, kind, expected) in cases {
        let past = explain(&mut world, id).await;
        let entry: serde_json::Value = serde_json::from_slice(&past.entry.json).unwrap();
        assert_eq!(entry["id"], id.to_string());
        assert_eq!(entry["kind"], kind);
        assert_eq!(today(&past), expected, "{kind}");
        // It is asked by the terms that it was asked by.
        let supposed = &past.today.unwrap().unwrap().supposed;
        let recorded = &entry["decision"]["policies"];
        assert_eq!(*recorded, serde_json::json!(expected.1));
        assert_eq!(supposed.terms.purpose.as_deref(), Some("test"));
        assert_eq!(supposed.terms.attestation.as_deref(), Some("mtls"));
        assert_eq!(supposed.from.is_some(), id == delegated);
    }

    // The registry changes, and so does today; what was decided stays.
    let reader = world
        .t
        .broker
        .registry()
        .agent(&"reader".parse().unwrap())
        .unwrap()
        .clone();
    let mut agent = reader.value.clone();
    agent.stage = Stage::Bounded;
    let row = Row::Agent(agent);
    world
        .t
        .broker
        .update(&ops(), row, reader.version, "promoted")
        .await
        .unwrap();
    let past = explain(&mut world, denial(&denied)).await;
    assert_eq!(today(&past), allowed(registered));
    let entry: serde_json::Value = serde_json::from_slice(&past.entry.json).unwrap();
    assert_eq!(
        entry["decision"]["policies"],
        serde_json::json!(["stage-read-only"])
    );
}

#[tokio::test]
async fn the_terms_of_a_decision_are_asked_again() {
    let mut world = World::new().await;
    // Tasks of half an hour ask for 1800 s, tokens of five minutes for 300, and no other will do.
    world
        .t
        .broker
        .put_in_force(only(
            "@id(\"exact\") permit (principal, action, resource is Scope)
         when { context.ttl_seconds == 1800 || context.ttl_seconds == 300 }
         unless { context.purpose != \"test\" || context.attestation != \"mtls\" };",
        ))
        .await
        .unwrap();
    let task = world.t.start("payer", &["read"]).await.unwrap();
    let started = decision_of(&world.t, task).await;
    let token = world.t.token("payer", task).await.unwrap();
    for id in [started, token.credential.decision] {
        assert_eq!(today(&explain(&mut world, id).await), allowed("exact"));
    }
}

#[tokio::test]
async fn what_cannot_be_found_or_asked_says_so() {
    let mut world = World::new().await;
    let unknown = DecisionId::generate(world.t.now(), &*world.t.rng);
    world.archiver.drain().await.unwrap();
    let log = world.archiver.log();
    let error = log.explain_decision(&ops(), unknown).await.unwrap_err();
    assert_eq!(error.reason(), "ENTRY_NOT_FOUND");
    // An entry that is about no request.
    let first = world.entries().await;
    let id: DecisionId = first
        .iter()
        .find(|entry| entry["kind"] == "broker")
        .unwrap()["id"]
        .as_str()
        .unwrap()
        .parse()
        .unwrap();
    assert!(explain(&mut world, id).await.today.is_none());
}

#[tokio::test]
async fn supposed_requests_are_evaluated_and_recorded() {
    let mut world = World::new().await;
    let supposed = |agent: &str, scopes: &[&str], from: Option<&str>| Supposed {
        agent: agent.parse().unwrap(),
        ask: Ask::Scopes(scopes.iter().map(|scope| scope.parse().unwrap()).collect()),
        from: from.map(|from| from.parse().unwrap()),
        depth: usize::from(from.is_some()),
        terms: Terms::default(),
    };
    let (read, write) = (
        "https://ledger.example#read",
        "https://ledger.example#write",
    );
    let broker = &world.t.broker;
    let both = supposed("reader", &[read, write], None);
    let explained = broker.explain_supposed(&ops(), both).await.unwrap();
    assert!(!explained.said.allowed);
    assert_eq!(explained.said.policies, ["stage-read-only"]);
    assert_eq!(explained.said.allowed_scopes, [read.parse().unwrap()]);
    assert_eq!(explained.said.answers.len(), 2);
    assert_eq!(explained.refused_before, None);
    let handed = supposed("reader", &[read], Some("payer"));
    let explained = broker.explain_supposed(&ops(), handed).await.unwrap();
    assert_eq!(explained.said.policies, ["default-deny"]);
    for (supposed, reason) in [
        (supposed("nobody", &[read], None), "AGENT_NOT_FOUND"),
        (
            supposed("reader", &[read], Some("nobody")),
            "AGENT_NOT_FOUND",
        ),
        (
            supposed("reader", &["https://x.example#read"], None),
            "UNKNOWN_TARGET",
        ),
    ] {
        let error = broker.explain_supposed(&ops(), supposed).await.unwrap_err();
        assert_eq!(error.reason(), reason);
    }
    let key = RowKey::Agent("reader".parse().unwrap());
    broker.suspend(&ops(), key, "drill").await.unwrap();
    let explained = broker
        .explain_supposed(&ops(), supposed("reader", &[read], None))
        .await
        .unwrap();
    assert_eq!(explained.refused_before, Some("AGENT_SUSPENDED"));
    let entries = world.entries().await;
    let reads = entries.iter().filter(|entry| {
        entry["kind"] == "read" && entry["subject"].as_str().unwrap().starts_with("policy on ")
    });
    assert_eq!(reads.count(), 6);
}
