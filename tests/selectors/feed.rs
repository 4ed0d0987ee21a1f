//! The feed itself, and what is not revoked.

use std::time::Duration;

use taskpass_api::v1::revocation_selector::Selector;
use taskpass_api::v1::{self};
use taskpass_client::Refused;
use taskpass_testkit::{Broker, refused, within};
use taskpass_verify::Reason;

use crate::world::*;

/// A stream is asked about every second: whoever is refused loses it.
#[tokio::test]
async fn the_feed_of_a_caller_that_is_refused_ends() {
    use v1::watch_revocations_response::Message;
    let broker = Broker::start(BIN);
    broker.verifier("leaving", &[LEDGER]).await;
    broker.operator("on-call", &[v1::Role::Responder]).await;
    for (kind, name) in [
        (v1::Kind::Verifier, "leaving"),
        (v1::Kind::Operator, "on-call"),
    ] {
        let mut revocations = broker.services(name).await.revocations();
        let request = v1::WatchRevocationsRequest::default();
        let stream = within(revocations.watch_revocations(request))
            .await
            .unwrap();
        let mut stream = stream.into_inner();
        let first = within(stream.message()).await.unwrap().unwrap();
        assert!(
            matches!(first.message, Some(Message::Snapshot(_))),
            "{first:?}"
        );
        let request = v1::SuspendRequest {
            kind: kind.into(),
            name: name.to_owned(),
            reason: "drill".to_owned(),
        };
        within(broker.services("").await.registry().suspend(request))
            .await
            .unwrap();
        let ended = tokio::time::timeout(Duration::from_secs(3), async {
            loop {
                match stream.message().await {
                    Ok(Some(_)) => {}
                    Ok(None) => panic!("the stream ends with a reason"),
                    Err(status) => return Refused::from(status),
                }
            }
        });
        assert_eq!(ended.await.unwrap().reason, "CALLER_SUSPENDED", "{name}");
        let request = v1::WatchRevocationsRequest::default();
        let again = refused(within(revocations.watch_revocations(request)).await);
        assert_eq!(again.reason, "CALLER_SUSPENDED", "{name}");
    }
}

/// A rule names an agent; a verifier is told only what can concern its targets, and not who did it.
#[tokio::test]
async fn a_verifier_hears_only_what_can_concern_it() {
    let world = World::new().await;
    let ledger = world.broker.watch("ledger", &[LEDGER]).await;
    for name in ["bank token", "token"] {
        let Held::Token(token, _) = &world.held[name] else {
            panic!()
        };
        let selector = Selector::CredentialId(token.id().to_string());
        let reply = world.revoke(&selector).await;
        world.watcher.reaches(reply.seq).await;
        ledger.reaches(reply.seq).await;
    }
    assert_eq!(world.watcher.verifier.metrics().rules, 2);
    assert_eq!(ledger.verifier.metrics().rules, 1);
    let Held::Token(token, _) = &world.held["token"] else {
        panic!()
    };
    assert_eq!(ledger.token(token.expose(), LEDGER), Some(Reason::Revoked));

    let mut revocations = world.broker.services("ledger").await.revocations();
    let request = v1::WatchRevocationsRequest::default();
    let stream = within(revocations.watch_revocations(request))
        .await
        .unwrap();
    let first = within(stream.into_inner().message())
        .await
        .unwrap()
        .unwrap();
    let Some(v1::watch_revocations_response::Message::Snapshot(snapshot)) = first.message else {
        panic!("{first:?}")
    };
    let rule = &snapshot.revocations[..];
    let [rule] = rule else { panic!("{rule:?}") };
    assert_eq!(
        (rule.reason.as_str(), &rule.actor, rule.owner.as_str()),
        ("", &None, "")
    );
}

#[tokio::test]
async fn what_is_unknown_is_not_revoked() {
    let broker = Broker::start(BIN);
    let id = "01M82F7QME2SN5NXE43XBVSJNR".to_owned();
    let mut revocations = broker.services("").await.revocations();
    for (selector, reason) in [
        (
            Some(Selector::CredentialId(id.clone())),
            "CREDENTIAL_NOT_FOUND",
        ),
        (Some(Selector::TaskId(id)), "TASK_NOT_FOUND"),
        (Some(Selector::Agent("nobody".into())), "AGENT_NOT_FOUND"),
        (Some(Selector::Owner("nobody".into())), "OWNER_NOT_FOUND"),
        (
            Some(Selector::Target("https://x.example".into())),
            "TARGET_NOT_FOUND",
        ),
        (Some(Selector::KeyId("x".into())), "KEY_NOT_FOUND"),
        (Some(Selector::Everything(false)), "INVALID_SELECTOR"),
        (None, "INVALID_SELECTOR"),
    ] {
        let request = v1::RevokeRequest {
            selector: Some(v1::RevocationSelector {
                selector: selector.clone(),
            }),
            reason: "drill".to_owned(),
            ..v1::RevokeRequest::default()
        };
        let answer = refused(within(revocations.revoke(request)).await);
        assert_eq!(answer.reason, reason, "{selector:?}");
    }
    for reason in ["", "line\nbreak", &"x".repeat(257)] {
        let request = v1::RevokeRequest {
            selector: Some(v1::RevocationSelector {
                selector: Some(Selector::Everything(true)),
            }),
            reason: reason.to_owned(),
            ..v1::RevokeRequest::default()
        };
        let answer = refused(within(revocations.revoke(request)).await);
        assert_eq!(answer.reason, "INVALID_REASON", "{reason:?}");
    }
    let request = v1::ListRevocationsRequest::default();
    let rules = within(revocations.list(request))
        .await
        .unwrap()
        .into_inner();
    assert!(rules.revocations.is_empty());
}
