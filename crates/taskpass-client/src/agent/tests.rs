//! The agent against a server in the same process, over real mutual TLS.

use super::*;
use crate::testing::{Broker, LEDGER, READ};

#[tokio::test]
async fn from_task_to_bound_token() {
    let broker = Broker::start().await;
    let agent = Agent::connect(&broker.addr, &broker.identity())
        .await
        .unwrap();
    // The broker's first answer to each call is RETRY_AFTER_REVOCATION.
    let task = agent
        .start_task("pay invoice 17", [format!("{LEDGER}#{READ}")], None)
        .await
        .unwrap();
    assert_eq!(task.clamped_by(), ["agent_max_ttl"]);
    assert_eq!(task.scopes().len(), 1);
    assert_eq!(task.deadline(), task.id().deadline().floor_to_second());

    let token = task.token(LEDGER, [READ], None).await.unwrap();
    assert_eq!(token.expose(), "token, unbound");
    assert!(!format!("{token:?}").contains("unbound"));
    assert_eq!(token.revocation_seq(), 9);

    let certificate = task.certificate(None).await.unwrap();
    assert!(certificate.key_pem().contains("PRIVATE KEY"));
    assert!(!format!("{certificate:?}").contains("PRIVATE"));
    let bound = task
        .bound_token(LEDGER, [READ], None, &certificate)
        .await
        .unwrap();
    let digest = taskpass_core::secret::Sha256::of(certificate.leaf_der());
    assert_eq!(bound.expose(), format!("token, bound to {digest}"));

    let child = task
        .start_child("look it up", [format!("{LEDGER}#{READ}")], None)
        .await
        .unwrap();
    assert_ne!(child.id(), task.id());
    let other = "archiver".parse().unwrap();
    let scopes = [format!("{LEDGER}#{READ}")];
    let handed_on = task
        .delegate(&other, "file it", &scopes, None)
        .await
        .unwrap();
    assert_eq!(
        (handed_on.agent(), handed_on.scopes()),
        (&other, task.scopes())
    );
    let call = format!("start {} archiver", task.id());
    assert!(broker.saw(&call), "{call}");
    let taken_up = agent.take_up(handed_on.id()).await.unwrap();
    assert_eq!(taken_up.id(), handed_on.id());
    assert_eq!(taken_up.scopes(), handed_on.scopes());
    assert_eq!(taken_up.deadline(), handed_on.deadline());
    assert_eq!(handed_on.end().await.unwrap(), Completed { credentials: 3 });
    assert_eq!(task.complete().await.unwrap(), Completed { credentials: 3 });
}

#[tokio::test]
async fn a_refusal_keeps_its_reason() {
    let broker = Broker::start().await;
    let agent = Agent::connect(&broker.addr, &broker.identity())
        .await
        .unwrap();
    let task = agent
        .start_task("x", [format!("{LEDGER}#{READ}")], None)
        .await
        .unwrap();
    let error = task
        .token(LEDGER, ["invoices:write"], None)
        .await
        .unwrap_err();
    let AgentError::Refused(refused) = error else {
        panic!("{error}")
    };
    assert!(refused.is("POLICY_DENIED"));
    assert_eq!(refused.metadata["decision_id"], "D1");
}

#[tokio::test]
async fn a_misspelt_scope_is_not_sent() {
    let broker = Broker::start().await;
    let agent = Agent::connect(&broker.addr, &broker.identity())
        .await
        .unwrap();
    for scopes in [["invoices:read"], ["https://ledger.example#"]] {
        let error = agent.start_task("x", scopes, None).await.unwrap_err();
        assert!(matches!(error, AgentError::Scope(_)), "{error}");
    }
    assert_eq!(broker.calls(), 0);
}

#[tokio::test]
async fn strangers_do_not_connect() {
    let (broker, other) = (Broker::start().await, Broker::start().await);
    // A broker that is known by other anchors.
    let error = Agent::connect(&other.addr, &broker.identity())
        .await
        .unwrap_err();
    assert!(matches!(
        error,
        AgentError::Connect(ConnectError::Unreachable { .. })
    ));
    // A caller that the broker does not know: TLS 1.3 says so with the first call.
    let theirs = other.identity();
    let stranger = Identity::new(
        theirs.cert_pem().to_owned(),
        theirs.key_pem().clone(),
        broker.identity().ca_pem().to_owned(),
    )
    .unwrap();
    let outcome = match Agent::connect(&broker.addr, &stranger).await {
        Ok(agent) => agent
            .start_task("x", [format!("{LEDGER}#{READ}")], None)
            .await
            .map(|_| ()),
        Err(error) => Err(error),
    };
    assert!(outcome.is_err());
    assert_eq!(broker.calls(), 0);
    // A name that the broker's certificate does not carry.
    let port = broker.addr.rsplit_once(':').unwrap().1;
    let error = Agent::connect(&format!("127.0.0.2:{port}"), &broker.identity())
        .await
        .unwrap_err();
    assert!(matches!(error, AgentError::Connect(_)));
}
