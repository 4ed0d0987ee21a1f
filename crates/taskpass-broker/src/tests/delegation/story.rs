//! Who may hand on, whose the task is then, and how it ends.

use taskpass_core::task::TaskState;

use super::*;
use crate::testing::ops;
use crate::{Resume, RevokeWhat, TaskFilter};

#[tokio::test]
async fn nobody_hands_on_until_a_policy_permits_the_pair() {
    let world = World::with(1, "").await;
    let parent = world.t.start("payer", &["read"]).await.unwrap();
    let denied = world.hand_on("payer", "stranger", &["read"], parent).await;
    let Err(Error::PolicyDenied(denial)) = denied else {
        panic!("{denied:?}")
    };
    assert_eq!(denial.basis.policies, ["default-deny"]);
    assert!(denial.allowed.is_empty());
    // The entry names both, and where it was to stand.
    let entry = world.last("task.start").await;
    assert_eq!(entry["outcome"], "deny");
    assert_eq!(entry["actor"], "agent/payer");
    assert_eq!(
        (&entry["agent"], &entry["owner"]),
        (&"stranger".into(), &"others".into())
    );
    assert_eq!(entry["parent"], parent.to_string());
    assert_eq!(entry["ancestors"][0]["agent"], "payer");
    assert_eq!(entry["subject"], Value::Null);

    let pair = r#"@id("pair") permit (principal == Agent::"stranger", action == Action::"delegate", resource)
        when { resource.agent == Agent::"payer" };"#;
    world.permit(pair).await;
    let task = world
        .hand_on("payer", "stranger", &["read"], parent)
        .await
        .unwrap();
    let entry = world.last("task.start").await;
    assert_eq!(entry["outcome"], "allow");
    assert_eq!(
        (&entry["actor"], &entry["agent"]),
        (&"agent/payer".into(), &"stranger".into())
    );
    assert_eq!(entry["task"], task.to_string());
    // The pair is not the other way round, and not a third.
    let own = world.t.start("stranger", &["read"]).await.unwrap();
    for (who, to, parent) in [("stranger", "payer", own), ("payer", "reader", parent)] {
        let denied = world.hand_on(who, to, &["read"], parent).await;
        assert_eq!(reason(denied), "POLICY_DENIED", "{who} to {to}");
    }
}

#[tokio::test]
async fn the_task_is_the_other_agents_and_the_starter_sees_and_ends_it() {
    let world = World::new().await;
    let t = &world.t;
    let parent = t.start("payer", &["read", "write"]).await.unwrap();
    let task = world
        .hand_on("payer", "stranger", &["read"], parent)
        .await
        .unwrap();
    let token = t.token("stranger", task).await.unwrap();
    assert_eq!(token.credential.agent.as_str(), "stranger");
    assert_eq!(token.credential.ancestors[0].agent.as_str(), "payer");

    // Only the other one issues and starts beneath it.
    for who in ["payer", "reader"] {
        assert_eq!(reason(t.token(who, task).await), "TASK_NOT_FOUND");
        assert_eq!(reason(t.certificate(who, task).await), "TASK_NOT_FOUND");
        assert_eq!(
            reason(t.start_under(who, &["read"], Some(task)).await),
            "TASK_NOT_FOUND"
        );
    }
    // Both see it; what is above is not shown to the one below, nor anything to a third.
    for (who, what, seen) in [
        ("payer", task, true),
        ("stranger", task, true),
        ("reader", task, false),
        ("stranger", parent, false),
    ] {
        let read = t.broker.task(&as_agent(who), what).await;
        assert_eq!(read.is_ok(), seen, "{who}");
        let tree = t.broker.task_tree(&as_agent(who), what, 10).await;
        assert_eq!(tree.is_ok(), seen, "{who}");
    }
    let listed = async |who: &str, parent| {
        let filter = TaskFilter {
            parent,
            ..TaskFilter::default()
        };
        let page = t
            .broker
            .list_tasks(&as_agent(who), filter, None, 10)
            .await
            .unwrap();
        page.items
            .iter()
            .map(|view| view.task.id)
            .collect::<Vec<_>>()
    };
    assert_eq!(listed("stranger", None).await, [task]);
    assert_eq!(listed("payer", None).await, [parent]);
    assert_eq!(listed("payer", Some(parent)).await, [task]);
    assert_eq!(
        listed("stranger", Some(parent)).await,
        [task],
        "its own only"
    );
    assert!(listed("reader", Some(parent)).await.is_empty());

    // A third can end nothing of it; the starter can, directly.
    assert_eq!(
        reason(t.broker.complete_task(&as_agent("reader"), task).await),
        "TASK_NOT_FOUND"
    );
    assert_eq!(
        reason(t.broker.complete_task(&as_agent("stranger"), parent).await),
        "TASK_NOT_FOUND",
        "what is above is not the receiver's to end"
    );
    t.advance(1);
    let (ended, credentials) = t
        .broker
        .complete_task(&as_agent("payer"), task)
        .await
        .unwrap();
    assert_eq!(
        (ended.state(t.now()), credentials),
        (TaskState::Completed, 1)
    );
    assert!(!t.is_active(&token).await);
    assert_eq!(reason(t.token("stranger", task).await), "TASK_NOT_ACTIVE");
    let entry = world.last("task.end").await;
    assert_eq!(
        (&entry["actor"], &entry["agent"]),
        (&"agent/payer".into(), &"stranger".into())
    );
    assert_eq!(entry["owner"], "others");
    let rules = t.broker.list_revocations(&ops(), 0, 10).await.unwrap();
    assert_eq!(rules.items[0].actor.to_string(), "agent/payer");
    assert!(t.token("payer", parent).await.is_ok(), "the parent goes on");
    world.are_as_documented().await;
}

#[tokio::test]
async fn ending_a_task_ends_what_others_run_beneath_it() {
    let world = World::new().await;
    let t = &world.t;
    for how in 0..4 {
        let parent = t.start("payer", &["read"]).await.unwrap();
        let child = world
            .hand_on("payer", "stranger", &["read"], parent)
            .await
            .unwrap();
        let grandchild = world
            .hand_on("stranger", "reader", &["read"], child)
            .await
            .unwrap();
        let held = [
            t.token("payer", parent).await.unwrap(),
            t.token("stranger", child).await.unwrap(),
            t.token("reader", grandchild).await.unwrap(),
        ];
        let certificate = t.certificate("reader", grandchild).await.unwrap();
        t.advance(1);
        let ended: &[bool] = match how {
            0 => {
                let (_, count) = t
                    .broker
                    .complete_task(&as_agent("payer"), parent)
                    .await
                    .unwrap();
                assert_eq!(count, 4);
                &[true, true, true]
            }
            1 => {
                let revoked = t.revoke(RevokeWhat::Task(child)).await.unwrap();
                assert_eq!((revoked.live.credentials, revoked.live.exact), (3, true));
                &[false, true, true]
            }
            2 => {
                let agent = RevokeWhat::Agent("stranger".parse().unwrap());
                let revoked = t.revoke_with(agent, true).await.unwrap();
                assert_eq!((revoked.live.credentials, revoked.live.exact), (3, true));
                &[false, true, true]
            }
            _ => {
                // The owner of the agent in the middle; the others' are another's.
                let owner = RevokeWhat::Owner("others".parse().unwrap());
                let revoked = t.revoke(owner).await.unwrap();
                assert_eq!((revoked.live.credentials, revoked.live.exact), (3, true));
                t.broker
                    .resume(
                        &ops(),
                        Resume::Entry(RowKey::Owner("others".parse().unwrap())),
                        "drill is over",
                    )
                    .await
                    .unwrap();
                &[false, true, true]
            }
        };
        t.advance(2);
        for (token, ended) in held.iter().zip(ended) {
            assert_eq!(!t.is_active(token).await, *ended, "{how}");
        }
        assert!(!t.certificate_is_active(&certificate).await, "{how}");
        t.broker.settle().await.unwrap();
        for (who, task) in [("stranger", child), ("reader", grandchild)] {
            assert_eq!(reason(t.token(who, task).await), "TASK_NOT_ACTIVE", "{how}");
            assert_eq!(
                reason(t.certificate(who, task).await),
                "TASK_NOT_ACTIVE",
                "{how}"
            );
            let view = t.broker.task(&as_agent(who), task).await.unwrap();
            assert_ne!(view.state, TaskState::Active, "{how}");
        }
    }
}

#[tokio::test]
async fn a_tree_shows_whoever_runs_what_and_what_lives() {
    let world = World::new().await;
    let t = &world.t;
    let parent = t.start("payer", &["read"]).await.unwrap();
    let child = world
        .hand_on("payer", "stranger", &["read"], parent)
        .await
        .unwrap();
    let own = t
        .start_under("stranger", &["read"], Some(child))
        .await
        .unwrap();
    t.token("payer", parent).await.unwrap();
    for _ in 0..3 {
        t.token("stranger", own).await.unwrap();
    }
    t.token_with("stranger", own, &["read"], None, 1)
        .await
        .unwrap();
    t.advance(61);
    let shown = async |who: &crate::Standing, root, limit| {
        let tree = t.broker.task_tree(who, root, limit).await.unwrap();
        let nodes = tree.nodes.iter().map(|node| {
            assert!(node.exact);
            (node.view.task.id, node.credentials)
        });
        (nodes.collect::<Vec<_>>(), tree.truncated)
    };
    let reads = world.entries("read").await.len();
    let whole = vec![(parent, 1), (child, 0), (own, 3)];
    assert_eq!(
        shown(&as_agent("payer"), parent, 10).await,
        (whole.clone(), false)
    );
    assert_eq!(
        shown(&as_agent("payer"), child, 10).await,
        (whole[1..].to_vec(), false)
    );
    assert_eq!(
        shown(&as_agent("stranger"), child, 10).await,
        (whole[1..].to_vec(), false)
    );
    assert_eq!(world.entries("read").await.len(), reads);
    assert_eq!(shown(&ops(), parent, 2).await, (whole[..2].to_vec(), true));
    assert_eq!(shown(&ops(), parent, 3).await, (whole, false));
    let entry = world.last("read").await;
    assert_eq!(entry["subject"], format!("task tree {parent}"));
    assert_eq!(
        world.entries("read").await.len(),
        reads + 2,
        "one entry a call"
    );
}

#[tokio::test]
async fn what_is_malformed_is_said_before_anything_is_asked() {
    let world = World::new().await;
    let mut request = wish("stranger", &["read"], TaskId::first_at(world.t.now()));
    request.parent = None;
    let refused = world.t.broker.start_task(&as_agent("payer"), request).await;
    assert_eq!(reason(refused), "INVALID_AGENT");
}

/// What stands beneath several agents of one owner is counted once.
#[tokio::test]
async fn offboarding_counts_each_credential_once() {
    let world = World::new().await;
    let t = &world.t;
    let parent = t.start("payer", &["read"]).await.unwrap();
    let child = world.hand_on("payer", "reader", &["read"], parent).await;
    t.token("reader", child.unwrap()).await.unwrap();
    let team = taskpass_core::registry::RowKey::Owner("team".parse().unwrap());
    let asked = t.broker.what_retiring_ends(&ops(), &team).await.unwrap();
    assert_eq!(asked.ended.tasks.count, 2);
    let told = (asked.ended.live.credentials, asked.ended.live.exact);
    assert_eq!(told, (1, true));
    let what = RevokeWhat::Owner("team".parse().unwrap());
    let revoked = t.revoke(what).await.unwrap();
    assert_eq!((revoked.live.credentials, revoked.live.exact), (1, true));
}
