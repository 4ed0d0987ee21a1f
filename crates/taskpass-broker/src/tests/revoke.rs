use taskpass_core::key::{KeyPurpose, KeyState};
use taskpass_core::listing::{ListId, list_hour};
use taskpass_core::registry::RowKey;
use taskpass_core::task::TaskState;

use crate::testing::{LEDGER, TestBroker, as_agent, ops, verifier};
use crate::{FeedStart, Resume, Revoke, RevokeWhat};

#[tokio::test]
async fn within_the_second_of_a_revocation_one_is_told_to_wait() {
    let t = TestBroker::new().await;
    t.start("reader", &["read"]).await.unwrap();
    t.advance(5);
    t.revoke_with(RevokeWhat::Agent("reader".parse().unwrap()), true)
        .await
        .unwrap();
    let same_second = t.start("reader", &["read"]).await.unwrap_err();
    assert_eq!(same_second.reason(), "RETRY_AFTER_REVOCATION");
    t.advance(1);
    let task = t.start("reader", &["read"]).await.unwrap();
    assert!(t.is_active(&t.token("reader", task).await.unwrap()).await);
}

#[tokio::test]
async fn a_task_takes_its_subtree_along_and_says_how_many() {
    let t = TestBroker::new().await;
    let root = t.start("payer", &["read"]).await.unwrap();
    let child = t.start_under("payer", &["read"], Some(root)).await.unwrap();
    let other = t.start("payer", &["read"]).await.unwrap();
    let token = t.token("payer", root).await.unwrap();
    let childs = t.token("payer", child).await.unwrap();
    let certificate = t.certificate("payer", child).await.unwrap();
    let untouched = t.token("payer", other).await.unwrap();
    let expired = t
        .token_with("payer", root, &["read"], None, 1)
        .await
        .unwrap();
    t.advance(61);

    let revoked = t.revoke(RevokeWhat::Task(root)).await.unwrap();
    assert_eq!(
        (revoked.seq, revoked.live.credentials, revoked.live.exact),
        (1, 3, true)
    );
    for token in [&token, &childs, &expired] {
        assert!(!t.is_active(token).await);
    }
    assert!(!t.certificate_is_active(&certificate).await);
    assert!(t.is_active(&untouched).await);
    for task in [root, child] {
        assert_eq!(
            t.token("payer", task).await.unwrap_err().reason(),
            "TASK_NOT_ACTIVE"
        );
    }
    // The child's record follows in the background, once however often it is derived.
    assert_eq!(t.broker.settle().await.unwrap(), 1);
    assert_eq!(t.broker.settle().await.unwrap(), 0);
    let view = t.broker.task(&as_agent("payer"), child).await.unwrap();
    assert_eq!(view.state, TaskState::Revoked);
    assert!(view.task.ended.is_some());
}

#[tokio::test]
async fn an_owner_goes_with_all_agents_and_nobody_elses() {
    let t = TestBroker::new().await;
    let mut tokens = Vec::new();
    for who in ["reader", "payer", "stranger"] {
        let task = t.start(who, &["read"]).await.unwrap();
        tokens.push(t.token(who, task).await.unwrap());
    }
    let revoked = t
        .revoke(RevokeWhat::Owner("team".parse().unwrap()))
        .await
        .unwrap();
    assert_eq!((revoked.live.credentials, revoked.live.exact), (2, true));
    assert_eq!(revoked.suspended, [RowKey::Owner("team".parse().unwrap())]);
    assert!(!t.is_active(&tokens[0]).await && !t.is_active(&tokens[1]).await);
    assert!(t.is_active(&tokens[2]).await);
    t.advance(2);
    assert_eq!(
        t.start("payer", &["read"]).await.unwrap_err().reason(),
        "AGENT_SUSPENDED"
    );
    let owner = RowKey::Owner("team".parse().unwrap());
    t.broker
        .resume(&ops(), Resume::Entry(owner), "drill over")
        .await
        .unwrap();
    assert!(t.start("payer", &["read"]).await.is_ok());
}

#[tokio::test]
async fn everything_stops_until_resumed() {
    let t = TestBroker::new().await;
    let task = t.start("payer", &["read"]).await.unwrap();
    let token = t.token("payer", task).await.unwrap();
    t.revoke(RevokeWhat::Everything).await.unwrap();
    assert!(!t.is_active(&token).await);
    t.advance(2);
    assert_eq!(
        t.start("payer", &["read"]).await.unwrap_err().reason(),
        "BROKER_HALTED"
    );
    assert_eq!(
        t.token("payer", task).await.unwrap_err().reason(),
        "BROKER_HALTED"
    );
    t.broker
        .resume(&ops(), Resume::Everything, "drill over")
        .await
        .unwrap();
    assert_eq!(
        t.token("payer", task).await.unwrap_err().reason(),
        "TASK_NOT_ACTIVE"
    );
    assert!(t.start("payer", &["read"]).await.is_ok());
}

#[tokio::test]
async fn a_tainted_key_is_replaced_at_once() {
    let t = TestBroker::new().await;
    let task = t.start("reader", &["read"]).await.unwrap();
    let before = t.token("reader", task).await.unwrap();
    let key = before.credential.key.clone();
    t.revoke(RevokeWhat::Key(key.to_string())).await.unwrap();
    assert!(!t.is_active(&before).await);
    let after = t.token("reader", task).await.unwrap();
    assert_ne!(after.credential.key, key);
    assert!(t.is_active(&after).await);
    let states: Vec<_> = t
        .broker
        .issuer()
        .key_views()
        .into_iter()
        .filter(|view| view.purpose == KeyPurpose::TokenEs256)
        .map(|view| view.state)
        .collect();
    for state in [KeyState::Active, KeyState::Prepared, KeyState::Tainted] {
        assert_eq!(
            states.iter().filter(|other| **other == state).count(),
            1,
            "{states:?}"
        );
    }
    assert!(t.broker.issuer().jwks(t.now()).get(&key).is_none());
    let unknown = t
        .revoke(RevokeWhat::Key("nonsense".into()))
        .await
        .unwrap_err();
    assert_eq!(unknown.reason(), "KEY_NOT_FOUND");
}

#[tokio::test]
async fn a_dry_run_changes_nothing() {
    let t = TestBroker::new().await;
    let task = t.start("reader", &["read"]).await.unwrap();
    let token = t.token("reader", task).await.unwrap();
    let request = Revoke {
        what: RevokeWhat::Agent("reader".parse().unwrap()),
        reason: "what if".into(),
        dry_run: true,
        no_suspend: false,
    };
    let told = t.broker.revoke(&ops(), &request).await.unwrap();
    assert_eq!(
        (told.seq, told.live.credentials, told.suspended.len()),
        (0, 1, 1)
    );
    assert!(t.is_active(&token).await);
    assert!(t.token("reader", task).await.is_ok());
    let unnamed = Revoke {
        reason: String::new(),
        ..request
    };
    assert_eq!(
        t.broker
            .revoke(&ops(), &unnamed)
            .await
            .unwrap_err()
            .reason(),
        "INVALID_REASON"
    );
}

#[tokio::test]
async fn a_restart_forgets_no_revocation() {
    let mut t = TestBroker::new().await;
    let task = t.start("reader", &["read"]).await.unwrap();
    let token = t.token("reader", task).await.unwrap();
    let certificate = t.certificate("reader", task).await.unwrap();
    t.revoke(RevokeWhat::Task(task)).await.unwrap();
    t.reopen().await;
    assert!(!t.is_active(&token).await);
    assert!(!t.certificate_is_active(&certificate).await);
    // The list is not served before the rules of the earlier run are worked through.
    let authority = t
        .broker
        .issuer()
        .authorities(taskpass_issuer::Hierarchy::Task, t.now());
    let authority = authority
        .into_iter()
        .find(|view| view.key == certificate.credential.key)
        .unwrap();
    let id = ListId {
        hour: list_hour(certificate.credential.expires_at()),
        list: 0,
    };
    assert!(t.broker.crl(&authority.id, id).await.is_err());
    for lane in crate::ListLane::ALL {
        t.broker.list_revoked(lane).await.unwrap();
    }
    let list = &t.broker.crl(&authority.id, id).await.unwrap().body;
    let serial = certificate.credential.id;
    let listed = list.windows(16).any(|window| window == serial.as_bytes());
    assert!(listed, "the certificate is on its list");
}

#[tokio::test]
async fn the_feed_tells_a_verifier_what_concerns_it_without_a_gap() {
    let t = TestBroker::new().await;
    let (mut subscription, first) = t.broker.subscribe(&verifier(), 0, 0).unwrap();
    assert!(matches!(
        first,
        FeedStart::Snapshot {
            resync: None,
            seq: 0,
            ..
        }
    ));
    t.revoke_with(
        RevokeWhat::Target("https://mail.example".parse().unwrap()),
        true,
    )
    .await
    .unwrap();
    t.revoke_with(RevokeWhat::Target(LEDGER.parse().unwrap()), true)
        .await
        .unwrap();
    assert!(
        t.broker.heartbeat(&mut subscription).is_none(),
        "not before it was told"
    );
    let frame = subscription.next_frame().unwrap();
    assert_eq!((frame.from, frame.to, frame.rules.len()), (0, 2, 1));
    assert!(subscription.next_frame().is_none());
    let (heartbeat, _) = t.broker.heartbeat(&mut subscription).unwrap();
    assert_eq!((heartbeat.epoch, heartbeat.seq), (7, 2));

    let (_, resumed) = t.broker.subscribe(&verifier(), 7, 1).unwrap();
    assert!(matches!(resumed, FeedStart::Resumed { seq: 1 }));
    for (epoch, seq) in [(8, 1), (7, 99)] {
        let (_, first) = t.broker.subscribe(&verifier(), epoch, seq).unwrap();
        assert!(matches!(
            first,
            FeedStart::Snapshot {
                resync: Some(_),
                seq: 2,
                ..
            }
        ));
    }
    assert!(t.broker.subscribe(&as_agent("reader"), 0, 0).is_err());
}

#[tokio::test]
async fn two_taints_at_once_leave_one_key_that_signs_and_neither_undone() {
    let t = TestBroker::new().await;
    let keys: Vec<_> = t
        .broker
        .issuer()
        .key_views()
        .into_iter()
        .filter(|view| view.purpose == KeyPurpose::TokenEs256)
        .map(|view| view.id)
        .collect();
    let (first, second) = tokio::join!(
        t.revoke(RevokeWhat::Key(keys[0].to_string())),
        t.revoke(RevokeWhat::Key(keys[1].to_string())),
    );
    first.unwrap();
    second.unwrap();
    for id in &keys {
        let view = t
            .broker
            .issuer()
            .key_views()
            .into_iter()
            .find(|view| view.id == *id);
        assert_eq!(view.unwrap().state, KeyState::Tainted);
    }
    let task = t.start("reader", &["read"]).await.unwrap();
    let token = t.token("reader", task).await.unwrap();
    assert!(!keys.contains(&token.credential.key));
    assert!(t.is_active(&token).await);
}

#[tokio::test]
async fn an_agent_that_made_itself_large_is_revoked_like_any_other() {
    let t = TestBroker::new().await;
    let task = t.start("reader", &["read"]).await.unwrap();
    let token = t.token("reader", task).await.unwrap();
    for _ in 0..4_100 {
        t.start("reader", &["read"]).await.unwrap();
    }
    let revoked = t
        .revoke(RevokeWhat::Agent("reader".parse().unwrap()))
        .await
        .unwrap();
    assert!(!revoked.live.exact, "not all of it was looked at");
    assert!(revoked.live.credentials >= 1);
    assert!(!t.is_active(&token).await);
}

#[tokio::test]
async fn what_has_expired_stays_expired_when_the_clock_goes_back() {
    let t = TestBroker::new().await;
    let task = t.start("reader", &["read"]).await.unwrap();
    let token = t.token("reader", task).await.unwrap();
    t.advance(5 * 60);
    t.start("reader", &["read"]).await.unwrap();
    assert!(!t.is_active(&token).await);
    t.clock
        .jump_to(t.now().minus(std::time::Duration::from_secs(200)));
    assert!(!t.is_active(&token).await);
}
