//! How many there may be beneath one, and how a start is the same start.

use taskpass_core::task::{MAX_CHILDREN, MAX_DEPTH};

use super::*;

#[tokio::test]
async fn so_many_children_and_no_more_however_many_ask_at_once() {
    let world = World::new().await;
    let t = &world.t;
    let parent = t.start("payer", &["read"]).await.unwrap();
    let other = t.start("payer", &["read"]).await.unwrap();
    let limit = usize::try_from(MAX_CHILDREN).unwrap();
    let starts = (0..limit + 8).map(|n| {
        let to = if n % 2 == 0 { "stranger" } else { "payer" };
        world.hand_on("payer", to, &["read"], parent)
    });
    let outcomes = futures_join(starts).await;
    let started: Vec<TaskId> = outcomes.iter().flatten().copied().collect();
    assert_eq!(started.len(), limit);
    for refused in outcomes.into_iter().filter(Result::is_err) {
        assert_eq!(reason(refused), "FAN_OUT");
    }
    let mut entries = world.entries("task.start").await;
    entries.retain(|entry| entry["outcome"] == "deny" && entry["reason"] == "FAN_OUT");
    assert_eq!(entries.len(), 8);
    // Elsewhere there is room: beneath another task, beneath a child, and once one has ended.
    assert!(
        world
            .hand_on("payer", "stranger", &["read"], other)
            .await
            .is_ok()
    );
    let own = started.iter().copied();
    let mut theirs = Vec::new();
    for id in own {
        if world.record(id).await.agent.as_str() == "stranger" {
            theirs.push(id);
        }
    }
    let child = theirs[0];
    assert!(
        t.start_under("stranger", &["read"], Some(child))
            .await
            .is_ok()
    );
    assert_eq!(
        reason(world.hand_on("payer", "stranger", &["read"], parent).await),
        "FAN_OUT"
    );
    t.broker
        .complete_task(&as_agent("stranger"), child)
        .await
        .unwrap();
    assert!(
        world
            .hand_on("payer", "stranger", &["read"], parent)
            .await
            .is_ok()
    );
    assert_eq!(
        reason(world.hand_on("payer", "stranger", &["read"], parent).await),
        "FAN_OUT"
    );
}

async fn futures_join<T>(futures: impl Iterator<Item = impl Future<Output = T>>) -> Vec<T> {
    let mut waiting: Vec<_> = futures.map(Box::pin).collect();
    let mut done: Vec<Option<T>> = waiting.iter().map(|_| None).collect();
    std::future::poll_fn(|context| {
        for (future, done) in waiting.iter_mut().zip(&mut done) {
            if done.is_none()
                && let std::task::Poll::Ready(outcome) = future.as_mut().poll(context)
            {
                *done = Some(outcome);
            }
        }
        if done.iter().all(Option::is_some) {
            std::task::Poll::Ready(())
        } else {
            std::task::Poll::Pending
        }
    })
    .await;
    done.into_iter().flatten().collect()
}

#[tokio::test]
async fn so_deep_and_no_deeper_through_whatever_hands() {
    let world = World::new().await;
    let agents = ["payer", "stranger", "payer", "reader", "stranger"];
    let mut task = world.t.start(agents[0], &["read"]).await.unwrap();
    for pair in agents[..=MAX_DEPTH].windows(2) {
        task = world
            .hand_on(pair[0], pair[1], &["read"], task)
            .await
            .unwrap();
    }
    assert_eq!(world.record(task).await.ancestors.len(), MAX_DEPTH);
    assert!(world.t.token("reader", task).await.is_ok());
    let deeper = world.hand_on("reader", "stranger", &["read"], task).await;
    assert_eq!(reason(deeper), "TASK_TOO_DEEP");
}

#[tokio::test]
async fn the_key_of_a_repeated_start_is_the_starters() {
    let world = World::new().await;
    let t = &world.t;
    let parent = t.start("payer", &["read"]).await.unwrap();
    let once = |to: &str, key: &str| StartRequest {
        idempotency_key: Some(key.into()),
        ..wish(to, &["read"], parent)
    };
    let start = async |who: &str, request| {
        let started = t.broker.start_task(&as_agent(who), request).await;
        started.map(|started| started.task.id)
    };
    let first = start("payer", once("stranger", "a")).await.unwrap();
    assert_eq!(start("payer", once("stranger", "a")).await.unwrap(), first);
    let other = start("payer", once("reader", "a")).await;
    assert_eq!(
        reason(other),
        "IDEMPOTENCY_KEY_REUSED",
        "another agent is another request"
    );
    // The same key of the other agent is another key.
    let request = StartRequest {
        idempotency_key: Some("a".into()),
        agent: None,
        ..wish("stranger", &["read"], first)
    };
    assert_ne!(start("stranger", request).await.unwrap(), first);
    // What was started is answered also where there is no room for another one.
    while world
        .hand_on("payer", "stranger", &["read"], parent)
        .await
        .is_ok()
    {}
    assert_eq!(start("payer", once("stranger", "a")).await.unwrap(), first);
    assert_eq!(
        reason(start("payer", once("stranger", "b")).await),
        "FAN_OUT"
    );
}
