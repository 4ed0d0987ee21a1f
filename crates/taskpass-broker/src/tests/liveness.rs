use std::time::Duration;

use taskpass_core::task::{EndReason, TaskState};
use taskpass_store::Store as _;

use crate::testing::{TestBroker, as_agent, ops};
use crate::{Error, RevokeWhat};

async fn ended(t: &TestBroker, task: taskpass_core::TaskId) -> Option<EndReason> {
    let task = t.store.task(task).await.unwrap().unwrap();
    task.ended.map(|ended| ended.reason)
}

#[tokio::test]
async fn a_task_ends_with_its_process_and_takes_everything_with_it() {
    let t = TestBroker::new().await;
    let payer = as_agent("payer");
    let task = t.start("payer", &["read"]).await.unwrap();
    let child = t.start_under("payer", &["read"], Some(task)).await.unwrap();
    let token = t.token("payer", child).await.unwrap();
    let kept = t.broker.keep_alive(&payer, task).await.unwrap();
    assert_eq!(kept.state().await.unwrap(), TaskState::Active);
    assert_eq!(kept.lost_after(), Duration::from_secs(30));
    // As long as it is there, and 30 s more.
    assert_eq!(t.sweep_for(120).await, 0);
    drop(kept);
    assert_eq!(t.sweep_for(29).await, 0);
    assert!(t.is_active(&token).await);
    assert_eq!(t.sweep_for(1).await, 1);
    assert_eq!(ended(&t, task).await, Some(EndReason::Lost));
    assert!(!t.is_active(&token).await);
    for over in [task, child] {
        let refused = t.token("payer", over).await.unwrap_err();
        assert_eq!(refused.reason(), "TASK_NOT_ACTIVE");
        let refused = t.broker.keep_alive(&payer, over).await.unwrap_err();
        assert_eq!(refused.reason(), "TASK_NOT_ACTIVE");
    }
    assert_eq!(t.broker.metrics().tasks_lost.get(), 1);
    assert_eq!(t.broker.metrics().keep_alive_streams.get(), 0);
    assert_eq!(t.broker.tied_tasks(), (0, 0));
    assert!(t.store.ties(None, 9).await.unwrap().items.is_empty());
}

#[tokio::test]
async fn whoever_comes_back_in_time_keeps_it_and_any_stream_holds() {
    let t = TestBroker::new().await;
    let payer = as_agent("payer");
    let task = t.start("payer", &["read"]).await.unwrap();
    let first = t.broker.keep_alive(&payer, task).await.unwrap();
    let second = t.broker.keep_alive(&payer, task).await.unwrap();
    drop(first);
    assert_eq!(t.sweep_for(60).await, 0);
    drop(second);
    for _ in 0..3 {
        assert_eq!(t.sweep_for(29).await, 0);
        drop(t.broker.keep_alive(&payer, task).await.unwrap());
    }
    assert_eq!(t.sweep_for(30).await, 1);
    // One entry for the tie, however many streams there were.
    let entries = t.store.outbox(usize::MAX).await.unwrap();
    let ties = entries
        .iter()
        .filter(|entry| String::from_utf8_lossy(&entry.json).contains("\"task.tie\""));
    assert_eq!(ties.count(), 1);
}

#[tokio::test]
async fn a_task_that_was_never_kept_alive_goes_on_by_itself() {
    let t = TestBroker::new().await;
    let task = t.start("payer", &["read"]).await.unwrap();
    assert_eq!(t.sweep_for(120).await, 0);
    assert!(t.token("payer", task).await.is_ok());
}

#[tokio::test]
async fn only_its_agent_ties_a_task_and_only_while_it_lives() {
    let t = TestBroker::new().await;
    let task = t.start("payer", &["read"]).await.unwrap();
    let other = t.broker.keep_alive(&as_agent("reader"), task).await;
    assert_eq!(other.unwrap_err().reason(), "TASK_NOT_FOUND");
    let operator = t.broker.keep_alive(&ops(), task).await.unwrap_err();
    assert!(matches!(operator, Error::MethodNotAllowed { .. }));
    assert_eq!(t.broker.tied_tasks(), (0, 0));
    let payer = as_agent("payer");
    let kept = t.broker.keep_alive(&payer, task).await.unwrap();
    t.broker.complete_task(&payer, task).await.unwrap();
    assert_eq!(kept.state().await.unwrap(), TaskState::Completed);
    drop(kept);
    assert_eq!(t.sweep_for(60).await, 0);
    assert_eq!(ended(&t, task).await, Some(EndReason::Completed));
    assert_eq!(t.broker.tied_tasks(), (0, 0));
    let late = t.broker.keep_alive(&payer, task).await.unwrap_err();
    assert_eq!(late.reason(), "TASK_NOT_ACTIVE");
}

#[tokio::test]
async fn a_stream_sees_that_its_task_was_revoked() {
    let t = TestBroker::new().await;
    let task = t.start("payer", &["read"]).await.unwrap();
    let kept = t.broker.keep_alive(&as_agent("payer"), task).await.unwrap();
    t.revoke_with(RevokeWhat::Agent("payer".parse().unwrap()), true)
        .await
        .unwrap();
    assert_eq!(kept.state().await.unwrap(), TaskState::Revoked);
}

#[tokio::test]
async fn after_a_restart_every_tied_task_has_one_grace() {
    let mut t = TestBroker::new().await;
    let payer = as_agent("payer");
    let back = t.start("payer", &["read"]).await.unwrap();
    let gone = t.start("payer", &["read"]).await.unwrap();
    for task in [back, gone] {
        // As when the broker is killed: nothing of the release is recorded.
        drop(t.broker.keep_alive(&payer, task).await.unwrap());
    }
    t.reopen().await;
    assert_eq!(t.broker.tied_tasks(), (2, 2));
    assert_eq!(t.sweep_for(29).await, 0);
    let kept = t.broker.keep_alive(&payer, back).await.unwrap();
    assert_eq!(t.sweep_for(60).await, 1);
    assert_eq!(ended(&t, gone).await, Some(EndReason::Lost));
    assert_eq!(ended(&t, back).await, None);
    drop(kept);
}

#[tokio::test]
async fn while_the_clock_is_in_doubt_nothing_is_ended() {
    let t = TestBroker::new().await;
    let task = t.start("payer", &["read"]).await.unwrap();
    drop(t.broker.keep_alive(&as_agent("payer"), task).await.unwrap());
    t.clock.jump_to(t.now().minus(Duration::from_mins(2)));
    assert!(!t.broker.clock_is_safe());
    assert_eq!(t.sweep_for(90).await, 0);
    assert_eq!(ended(&t, task).await, None);
    // It has caught up: by then the grace has long passed.
    assert_eq!(t.sweep_for(40).await, 1);
    assert_eq!(ended(&t, task).await, Some(EndReason::Lost));
}
