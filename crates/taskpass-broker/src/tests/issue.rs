use taskpass_core::task::{MAX_CHILDREN, TaskState};
use taskpass_core::ttl::Clamp;

use crate::testing::{TestBroker, as_agent, leaf};
use crate::{Error, StartRequest};

#[tokio::test]
async fn the_reply_says_what_was_granted_and_what_clamped_it() {
    let t = TestBroker::new().await;
    let task = t.start("reader", &["read"]).await.unwrap();
    t.advance(28 * 60);
    let token = t.token("reader", task).await.unwrap();
    assert_eq!(token.clamped_by, Some(Clamp::TaskDeadline));
    assert_eq!(
        token.credential.expires_at(),
        task.deadline().floor_to_second()
    );
    let unclamped = t
        .token_with("reader", task, &["read"], None, 1)
        .await
        .unwrap();
    assert_eq!(unclamped.clamped_by, None);
}

#[tokio::test]
async fn policy_is_asked_before_the_ceiling() {
    let t = TestBroker::new().await;
    let task = t.start("reader", &["read"]).await.unwrap();
    // Beyond the ceiling and beyond the stage: policy answers.
    let denied = t
        .token_with("reader", task, &["write"], None, 5)
        .await
        .unwrap_err();
    let Error::PolicyDenied(denial) = &denied else {
        panic!("{denied:?}")
    };
    assert_eq!(denial.basis.policies, ["stage-read-only"]);
    // Within policy, beyond the ceiling: the ceiling answers.
    let task = t.start("payer", &["read"]).await.unwrap();
    let beyond = t
        .token_with("payer", task, &["write"], None, 5)
        .await
        .unwrap_err();
    assert_eq!(beyond.reason(), "SCOPE_EXCEEDS_TASK");
}

#[tokio::test]
async fn another_agents_task_is_as_unknown_as_none() {
    let t = TestBroker::new().await;
    let task = t.start("reader", &["read"]).await.unwrap();
    let theirs = t.token("payer", task).await.unwrap_err();
    assert_eq!(theirs.reason(), "TASK_NOT_FOUND");
    assert_eq!(theirs.to_string(), Error::TaskNotFound { task }.to_string());
    assert_eq!(
        t.certificate("payer", task).await.unwrap_err().reason(),
        "TASK_NOT_FOUND"
    );
    let completed = t
        .broker
        .complete_task(&as_agent("payer"), task)
        .await
        .unwrap_err();
    assert_eq!(completed.reason(), "TASK_NOT_FOUND");
}

#[tokio::test]
async fn an_actuating_scope_needs_a_live_certificate_of_the_same_task() {
    let t = TestBroker::new().await;
    let task = t.start("payer", &["send"]).await.unwrap();
    let other = t.start("payer", &["send"]).await.unwrap();
    let unbound = t
        .token_with("payer", task, &["send"], None, 5)
        .await
        .unwrap_err();
    assert_eq!(unbound.reason(), "BINDING_REQUIRED");

    let certificate = t.certificate("payer", task).await.unwrap();
    let der = leaf(&certificate);
    let token = t
        .token_with("payer", task, &["send"], Some(der.clone()), 60)
        .await
        .unwrap();
    assert_eq!(token.clamped_by, Some(Clamp::Certificate));
    assert!(token.credential.expires_at() <= certificate.credential.expires_at());

    let elsewhere = t
        .token_with("payer", other, &["send"], Some(der.clone()), 5)
        .await;
    assert_eq!(elsewhere.unwrap_err().reason(), "INVALID_BINDING");
    let mut forged = der.clone();
    *forged.last_mut().unwrap() ^= 1;
    let forged = t
        .token_with("payer", task, &["send"], Some(forged), 5)
        .await;
    assert_eq!(forged.unwrap_err().reason(), "INVALID_BINDING");
    t.revoke(crate::RevokeWhat::Credential(certificate.credential.id))
        .await
        .unwrap();
    let revoked = t.token_with("payer", task, &["send"], Some(der), 5).await;
    assert_eq!(revoked.unwrap_err().reason(), "INVALID_BINDING");
}

#[tokio::test]
async fn a_child_never_has_more_than_its_parent() {
    let t = TestBroker::new().await;
    let parent = t.start("payer", &["read"]).await.unwrap();
    t.advance(60);
    let child = t
        .start_under("payer", &["read"], Some(parent))
        .await
        .unwrap();
    assert_eq!(child.deadline(), parent.deadline());
    let wider = t
        .start_under("payer", &["write"], Some(parent))
        .await
        .unwrap_err();
    assert_eq!(wider.reason(), "SCOPE_EXCEEDS_TASK");
    let foreign = t
        .start_under("reader", &["read"], Some(parent))
        .await
        .unwrap_err();
    assert_eq!(foreign.reason(), "TASK_NOT_FOUND");
    let mut deepest = child;
    for _ in 0..2 {
        deepest = t
            .start_under("payer", &["read"], Some(deepest))
            .await
            .unwrap();
    }
    let deeper = t
        .start_under("payer", &["read"], Some(deepest))
        .await
        .unwrap_err();
    assert_eq!(deeper.reason(), "TASK_TOO_DEEP");
}

#[tokio::test]
async fn starting_again_with_one_key_is_the_same_start() {
    let t = TestBroker::new().await;
    let request = |purpose: &str| StartRequest {
        purpose: purpose.into(),
        scopes: ["https://ledger.example#read".parse().unwrap()].into(),
        ttl: None,
        parent: None,
        agent: None,
        idempotency_key: Some("once".into()),
    };
    let first = t
        .broker
        .start_task(&as_agent("reader"), request("a"))
        .await
        .unwrap();
    let again = t
        .broker
        .start_task(&as_agent("reader"), request("a"))
        .await
        .unwrap();
    assert_eq!(first.task, again.task);
    let other = t
        .broker
        .start_task(&as_agent("reader"), request("b"))
        .await
        .unwrap_err();
    assert_eq!(other.reason(), "IDEMPOTENCY_KEY_REUSED");
    let theirs = t
        .broker
        .start_task(&as_agent("payer"), request("b"))
        .await
        .unwrap();
    assert_ne!(
        theirs.task.id, first.task.id,
        "another agent's key is another key"
    );
}

#[tokio::test]
async fn completing_ends_what_lives_and_can_be_repeated() {
    let t = TestBroker::new().await;
    let caller = as_agent("reader");
    let idle = t.start("reader", &["read"]).await.unwrap();
    assert_eq!(t.broker.complete_task(&caller, idle).await.unwrap().1, 0);
    assert_eq!(
        t.broker.rules_in_force().0,
        0,
        "nothing lived, so no rule was written"
    );

    let task = t.start("reader", &["read"]).await.unwrap();
    let token = t.token("reader", task).await.unwrap();
    let certificate = t.certificate("reader", task).await.unwrap();
    let (ended, count) = t.broker.complete_task(&caller, task).await.unwrap();
    assert_eq!((ended.state(t.now()), count), (TaskState::Completed, 2));
    assert!(!t.is_active(&token).await && !t.certificate_is_active(&certificate).await);
    assert_eq!(t.broker.complete_task(&caller, task).await.unwrap().1, 0);
    assert_eq!(t.broker.rules_in_force().0, 1);
    assert_eq!(
        t.token("reader", task).await.unwrap_err().reason(),
        "TASK_NOT_ACTIVE"
    );
    // The rule is forgotten once what it matched has ended, not only when the task would have.
    t.advance(10 * 60 + 60 + 300);
    t.broker.settle().await.unwrap();
    t.advance(6 * 60);
    t.broker.reap().await.unwrap();
    assert_eq!(t.broker.rules_in_force().0, 0);
}

#[tokio::test]
async fn nothing_expired_is_active_and_the_reaper_changes_nothing_about_it() {
    let t = TestBroker::new().await;
    let task = t.start("reader", &["read"]).await.unwrap();
    let token = t.token("reader", task).await.unwrap();
    assert!(t.is_active(&token).await);
    t.advance(5 * 60 - 1);
    assert!(t.is_active(&token).await);
    t.advance(1);
    assert!(!t.is_active(&token).await);
    assert_eq!(
        t.broker.reap().await.unwrap().credentials,
        0,
        "within skew and retention"
    );
    t.advance(6 * 60 + 1);
    assert_eq!(t.broker.reap().await.unwrap().credentials, 1);
    assert!(!t.is_active(&token).await);
}

#[tokio::test]
async fn a_clock_that_goes_back_stops_issuing_until_it_has_caught_up() {
    let t = TestBroker::new().await;
    let task = t.start("reader", &["read"]).await.unwrap();
    let now = t.now();
    t.clock
        .jump_to(now.minus(std::time::Duration::from_secs(30)));
    assert_eq!(
        t.token("reader", task).await.unwrap_err().reason(),
        "CLOCK_UNSAFE"
    );
    t.clock.jump_to(now);
    assert!(t.token("reader", task).await.is_ok());
}

/// A credential states its end in whole seconds: in the last one of its task there is none to give.
#[tokio::test]
async fn in_the_last_second_of_a_task_it_is_over() {
    let t = TestBroker::new().await;
    let task = t.start("reader", &["read"]).await.unwrap();
    let last = task.deadline().floor_to_second();
    t.clock
        .jump_to(last.minus(std::time::Duration::from_millis(1)));
    assert!(t.token("reader", task).await.is_ok());
    assert!(t.certificate("reader", task).await.is_ok());
    t.clock.jump_to(last);
    for error in [
        t.token("reader", task).await.unwrap_err(),
        t.certificate("reader", task).await.unwrap_err(),
    ] {
        assert_eq!(error.reason(), "TASK_NOT_ACTIVE");
    }
}

#[tokio::test]
async fn completing_ends_what_lives_in_a_tree_too_large_to_be_counted() {
    let t = TestBroker::new().await;
    let root = t.start("reader", &["read"]).await.unwrap();
    let child = t
        .start_under("reader", &["read"], Some(root))
        .await
        .unwrap();
    let token = t.token("reader", child).await.unwrap();
    // As wide as it may be, twice.
    let mut parents = vec![child];
    for _ in 1..MAX_CHILDREN {
        let next = t.start_under("reader", &["read"], Some(root)).await;
        parents.push(next.unwrap());
    }
    for parent in parents {
        for _ in 0..MAX_CHILDREN {
            let next = t.start_under("reader", &["read"], Some(parent)).await;
            next.unwrap();
        }
    }
    t.broker
        .complete_task(&as_agent("reader"), root)
        .await
        .unwrap();
    assert!(!t.is_active(&token).await);
}
