//! A broker that has more to do than it takes: it says so, and hears operators and health all the same.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use taskpass_api::v1::{self, revocation_selector::Selector};
use taskpass_client::Refused;
use taskpass_testkit::{Broker, eventually, within};
use tonic::Code;

use crate::raw::{h2, head, message};
use crate::{LEDGER, served, well_behaved, well_behaved_soon};

const CALLERS: usize = 32;

/// What the callers were told.
#[derive(Default)]
struct Told {
    stop: AtomicBool,
    granted: AtomicU64,
    full: AtomicU64,
}

/// Asks for one token after the other, and for no wait in between.
async fn press(
    mut credentials: v1::credential_service_client::CredentialServiceClient<
        tonic::transport::Channel,
    >,
    task: String,
    told: Arc<Told>,
) {
    while !told.stop.load(Ordering::Relaxed) {
        let request = v1::IssueTokenRequest {
            task_id: task.clone(),
            target: LEDGER.to_owned(),
            scopes: vec!["invoices:read".to_owned()],
            ..v1::IssueTokenRequest::default()
        };
        match within(credentials.issue_token(request)).await {
            Ok(_) => told.granted.fetch_add(1, Ordering::Relaxed),
            Err(status) => {
                assert_eq!(status.code(), Code::ResourceExhausted, "{status:?}");
                let refused = Refused::from(status);
                assert!(refused.is("QUEUE_FULL"), "{refused:?}");
                assert!(refused.retry_after.is_some(), "it says when: {refused:?}");
                told.full.fetch_add(1, Ordering::Relaxed)
            }
        };
    }
}

async fn health(broker: &Broker) {
    let (mut streams, _guard) = h2(broker, "", 65_535).await;
    let request = head(broker, "grpc.health.v1.Health/Check");
    let (response, mut body) = streams.send_request(request, false).expect("a stream");
    body.send_data(message(b""), true).expect("a message");
    let response = within(response).await.expect("an answer");
    // In the trailers of an answer; in the head there would be a refusal.
    assert_eq!(response.headers().get("grpc-status"), None, "{response:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_revokes_and_who_asks_for_health_finds_room_where_nobody_else_does() {
    let broker = served("in_flight = 1").await;
    let (task, _) = well_behaved(&broker).await;
    let mut tokens = Vec::new();
    for _ in 0..20 {
        let token = within(task.token(LEDGER, ["invoices:read"], None)).await;
        tokens.push(token.expect("a token").id().to_string());
    }
    let told = Arc::new(Told::default());
    let mut callers = tokio::task::JoinSet::new();
    for _ in 0..4 {
        let services = broker.services("invoice-bot").await;
        for _ in 0..CALLERS / 4 {
            let (id, told) = (task.id().to_string(), Arc::clone(&told));
            callers.spawn(press(services.credentials(), id, told));
        }
    }
    eventually("there is no room", async || {
        (told.full.load(Ordering::Relaxed) > 50).then_some(())
    })
    .await;
    let mut operator = broker.services("").await.revocations();
    for token in tokens {
        let selector = Some(Selector::CredentialId(token));
        let request = v1::RevokeRequest {
            selector: Some(v1::RevocationSelector { selector }),
            reason: "drill".to_owned(),
            dry_run: false,
            no_suspend: false,
        };
        let revoked = within(operator.revoke(request)).await.expect("revoked");
        assert!(revoked.into_inner().seq > 0);
        health(&broker).await;
        assert_eq!(broker.ops("/readyz").status, 200);
    }
    told.stop.store(true, Ordering::Relaxed);
    while let Some(ended) = callers.join_next().await {
        ended.expect("granted, or told that there is no room");
    }
    let (granted, full) = (&told.granted, &told.full);
    println!("{granted:?} granted, {full:?} refused");
    assert!(granted.load(Ordering::Relaxed) > 0, "somebody is served");
    well_behaved_soon(&broker, Duration::from_secs(3)).await;
}
