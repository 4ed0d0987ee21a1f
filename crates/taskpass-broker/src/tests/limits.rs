//! Limits, each against a whole broker: what is over one is refused by its name, and nothing else is.

use std::sync::Arc;
use std::time::Duration;

use taskpass_core::TaskId;
use taskpass_core::registry::{LimitName, Limits, Row, RowKey};
use taskpass_store::{Counter, Store as _};
use tokio::task::JoinSet;

use crate::testing::{LEDGER, TestBroker, as_agent, ops};
use crate::{Error, LimitReached};

async fn limit(t: &TestBroker, key: &RowKey, name: LimitName, value: u32) {
    let mut row = t.broker.entry_of(&ops(), key).await.unwrap();
    let limits: &mut Limits = match &mut row.value {
        Row::Agent(agent) => &mut agent.limits,
        Row::Owner(owner) => &mut owner.limits,
        Row::Target(target) => &mut target.limits,
        other => panic!("{other:?}"),
    };
    limits.set(name, Some(value)).unwrap();
    let written = t
        .broker
        .update(&ops(), row.value, row.version, "drill")
        .await;
    written.unwrap();
}

fn agent(name: &str) -> RowKey {
    RowKey::Agent(name.parse().unwrap())
}

fn team() -> RowKey {
    RowKey::Owner("team".parse().unwrap())
}

fn ledger() -> RowKey {
    RowKey::Target(LEDGER.parse().unwrap())
}

fn reached<T: std::fmt::Debug>(outcome: Result<T, Error>) -> LimitReached {
    match outcome.unwrap_err() {
        Error::LimitReached(reached) => *reached,
        other => panic!("{other:?}"),
    }
}

async fn started(t: &TestBroker, who: &str) -> TaskId {
    t.start(who, &["read"]).await.unwrap()
}

/// Of `reader` and `payer`, both of `team`, and `stranger` of another owner: who is refused once
/// `reader` has taken two, and when there is room again.
#[tokio::test]
async fn live_credentials_of_an_agent_an_owner_and_a_target() {
    for (key, name, payer, stranger) in [
        (agent("reader"), "LIVE_CREDENTIALS_PER_AGENT", "OK", "OK"),
        (
            team(),
            "LIVE_CREDENTIALS_PER_OWNER",
            "LIVE_CREDENTIALS_PER_OWNER",
            "OK",
        ),
        (
            ledger(),
            "LIVE_CREDENTIALS_PER_TARGET",
            "LIVE_CREDENTIALS_PER_TARGET",
            "LIVE_CREDENTIALS_PER_TARGET",
        ),
    ] {
        let t = TestBroker::new().await;
        limit(&t, &key, LimitName::LiveCredentials, 2).await;
        let task = started(&t, "reader").await;
        for _ in 0..2 {
            t.token("reader", task).await.unwrap();
        }
        let full = reached(t.token("reader", task).await);
        assert_eq!(full.limit.as_str(), name);
        assert_eq!((full.allowed, full.used), (2, Some(2)));
        // The tokens end at 22:18:20, and are counted until the minute is over.
        assert_eq!(full.retry_after, Some(Duration::from_secs(340)));
        for (who, expected) in [("payer", payer), ("stranger", stranger)] {
            let task = started(&t, who).await;
            let outcome = t.token(who, task).await;
            assert_eq!(
                outcome.map_or_else(|e| e.reason(), |_| "OK"),
                expected,
                "{name} {who}"
            );
        }
        t.advance(339);
        assert!(t.token("reader", task).await.is_err());
        t.advance(1);
        t.token("reader", task).await.unwrap();
    }
}

#[tokio::test]
async fn live_tasks_of_an_agent_and_an_owner_and_an_end_gives_its_place_back() {
    for (key, name, payer) in [
        (agent("reader"), "LIVE_TASKS_PER_AGENT", "OK"),
        (team(), "LIVE_TASKS_PER_OWNER", "LIVE_TASKS_PER_OWNER"),
    ] {
        let t = TestBroker::new().await;
        limit(&t, &key, LimitName::LiveTasks, 2).await;
        let first = started(&t, "reader").await;
        let child = t.start_under("reader", &["read"], Some(first)).await;
        child.unwrap();
        let full = reached(t.start("reader", &["read"]).await);
        assert_eq!(full.limit.as_str(), name);
        assert_eq!((full.allowed, full.used), (2, Some(2)));
        assert!(full.retry_after.is_some());
        let other = t.start("payer", &["read"]).await;
        assert_eq!(other.map_or_else(|e| e.reason(), |_| "OK"), payer);
        started(&t, "stranger").await;
        t.broker
            .complete_task(&as_agent("reader"), first)
            .await
            .unwrap();
        started(&t, "reader").await;
        assert!(t.start("reader", &["read"]).await.is_err());
    }
}

/// What a rule ended gives its place back once that is recorded, the whole tree of it.
#[tokio::test]
async fn revoked_tasks_give_their_places_back() {
    let t = TestBroker::new().await;
    limit(&t, &agent("reader"), LimitName::LiveTasks, 3).await;
    let root = started(&t, "reader").await;
    let child = t.start_under("reader", &["read"], Some(root)).await;
    let child = child.unwrap();
    let grandchild = t.start_under("reader", &["read"], Some(child)).await;
    grandchild.unwrap();
    assert!(t.start("reader", &["read"]).await.is_err());
    t.revoke(crate::RevokeWhat::Task(root)).await.unwrap();
    t.broker.settle().await.unwrap();
    let live = || {
        let counter = Counter::AgentTasks("reader".parse().unwrap());
        t.store.live(counter, t.now())
    };
    assert_eq!(live().await.unwrap(), 0);
    // Settling again gives nothing back twice.
    t.broker.settle().await.unwrap();
    for _ in 0..3 {
        started(&t, "reader").await;
    }
    assert_eq!(live().await.unwrap(), 3);
    assert!(t.start("reader", &["read"]).await.is_err());
}

/// Also where nothing lives that a rule would have to end.
#[tokio::test]
async fn what_stands_beneath_a_completed_task_gives_its_place_back_too() {
    let t = TestBroker::new().await;
    limit(&t, &agent("reader"), LimitName::LiveTasks, 3).await;
    for _ in 0..3 {
        let root = started(&t, "reader").await;
        let child = t.start_under("reader", &["read"], Some(root)).await;
        let child = child.unwrap();
        let grandchild = t.start_under("reader", &["read"], Some(child)).await;
        let grandchild = grandchild.unwrap();
        let reader = as_agent("reader");
        t.broker.complete_task(&reader, root).await.unwrap();
        let (rules, _) = t.broker.rules_in_force();
        // After a lost reply: nothing was left to do.
        t.broker.complete_task(&reader, root).await.unwrap();
        assert_eq!(t.broker.rules_in_force().0, rules);
        t.broker.settle().await.unwrap();
        for task in [child, grandchild] {
            let record = t.store.task(task).await.unwrap().unwrap();
            assert!(record.ended.is_some(), "its record says so");
        }
        let counter = Counter::AgentTasks("reader".parse().unwrap());
        assert_eq!(t.store.live(counter, t.now()).await.unwrap(), 0);
        t.advance(2);
    }
    // Where nothing is beneath, no rule is needed.
    let alone = started(&t, "reader").await;
    let (rules, _) = t.broker.rules_in_force();
    let over = t.broker.complete_task(&as_agent("reader"), alone).await;
    over.unwrap();
    assert_eq!(t.broker.rules_in_force().0, rules);
}

#[tokio::test]
async fn issues_per_second_of_an_agent_an_owner_and_a_target() {
    for (key, name, payer, stranger) in [
        (agent("reader"), "ISSUES_PER_SECOND_PER_AGENT", "OK", "OK"),
        (
            team(),
            "ISSUES_PER_SECOND_PER_OWNER",
            "ISSUES_PER_SECOND_PER_OWNER",
            "OK",
        ),
        (
            ledger(),
            "ISSUES_PER_SECOND_PER_TARGET",
            "ISSUES_PER_SECOND_PER_TARGET",
            "ISSUES_PER_SECOND_PER_TARGET",
        ),
    ] {
        let t = TestBroker::new().await;
        limit(&t, &key, LimitName::IssuesPerSecond, 4).await;
        let task = started(&t, "reader").await;
        for _ in 0..4 {
            t.token("reader", task).await.unwrap();
        }
        let full = reached(t.token("reader", task).await);
        assert_eq!(full.limit.as_str(), name);
        assert_eq!(full.retry_after, Some(Duration::from_millis(250)));
        for (who, expected) in [("payer", payer), ("stranger", stranger)] {
            let task = started(&t, who).await;
            let outcome = t.token(who, task).await;
            assert_eq!(
                outcome.map_or_else(|e| e.reason(), |_| "OK"),
                expected,
                "{name} {who}"
            );
        }
        t.clock.advance(Duration::from_millis(250));
        t.token("reader", task).await.unwrap();
        assert!(t.token("reader", task).await.is_err());
    }
}

/// Or whoever is denied at a target could take its pace from those who are not.
#[tokio::test]
async fn what_policy_denies_takes_nobodys_pace() {
    let t = TestBroker::new().await;
    limit(&t, &ledger(), LimitName::IssuesPerSecond, 1).await;
    let (denied, allowed) = (started(&t, "reader").await, started(&t, "payer").await);
    for _ in 0..5 {
        let outcome = t.token_with("reader", denied, &["write"], None, 5).await;
        assert_eq!(outcome.unwrap_err().reason(), "POLICY_DENIED");
    }
    t.token("payer", allowed).await.unwrap();
}

#[tokio::test]
async fn too_fast_is_counted_and_not_recorded_one_by_one() {
    let t = TestBroker::new().await;
    limit(&t, &agent("reader"), LimitName::IssuesPerSecond, 0).await;
    let task = started(&t, "reader").await;
    let before = t.store.stats().outbox;
    for _ in 0..200 {
        let never = reached(t.token("reader", task).await);
        assert_eq!(never.retry_after, None, "a pace of zero is never");
    }
    assert_eq!(t.store.stats().outbox, before, "no commit each");
    t.advance(61);
    t.broker.record_counted_denials().await.unwrap();
    assert_eq!(t.store.stats().outbox, before + 1);
    let newest = t.store.outbox(1_000).await.unwrap().pop().unwrap();
    let entry: serde_json::Value = serde_json::from_slice(&newest.json).unwrap();
    assert_eq!(
        (entry["kind"].as_str(), entry["count"].as_u64()),
        (Some("denials"), Some(200))
    );
    assert_eq!(entry["actor"], "agent/reader");
}

#[tokio::test]
async fn the_form_of_a_tree_follows_the_registration() {
    let t = TestBroker::new().await;
    limit(&t, &agent("reader"), LimitName::Depth, 1).await;
    limit(&t, &team(), LimitName::FanOut, 2).await;
    let root = started(&t, "reader").await;
    let under = |parent| t.start_under("reader", &["read"], Some(parent));
    let child = under(root).await.unwrap();
    assert_eq!(under(child).await.unwrap_err().reason(), "TASK_TOO_DEEP");
    under(root).await.unwrap();
    assert_eq!(under(root).await.unwrap_err().reason(), "FAN_OUT");
    t.broker
        .complete_task(&as_agent("reader"), child)
        .await
        .unwrap();
    under(root).await.unwrap();
}

#[tokio::test]
async fn a_limit_above_what_the_code_allows_is_not_registered() {
    let t = TestBroker::new().await;
    for (key, name) in [(agent("reader"), "depth"), (ledger(), "live_tasks")] {
        let mut row = t.broker.entry_of(&ops(), &key).await.unwrap();
        match &mut row.value {
            Row::Agent(agent) => agent.limits.depth = Some(9),
            Row::Target(target) => target.limits.live_tasks = Some(1),
            other => panic!("{other:?}"),
        }
        let refused = t
            .broker
            .update(&ops(), row.value, row.version, "drill")
            .await;
        let refused = refused.unwrap_err();
        assert_eq!(refused.reason(), "INVALID_FIELD");
        assert!(refused.to_string().contains(name), "{refused}");
    }
}

/// Nothing but the guard inside the commit can hold here: all of them look before any has written.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_hundred_at_once_never_exceed_a_limit() {
    let t = TestBroker::new().await;
    limit(&t, &agent("reader"), LimitName::LiveCredentials, 7).await;
    limit(&t, &agent("payer"), LimitName::LiveTasks, 7).await;
    let task = started(&t, "reader").await;
    let t = Arc::new(t);
    let (mut issues, mut starts) = (JoinSet::new(), JoinSet::new());
    for _ in 0..100 {
        let (one, other) = (Arc::clone(&t), Arc::clone(&t));
        issues.spawn(async move { one.token("reader", task).await });
        starts.spawn(async move { other.start("payer", &["read"]).await });
    }
    let (outcomes, begun) = (issues.join_all().await, starts.join_all().await);
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 7);
    assert_eq!(begun.iter().filter(|outcome| outcome.is_ok()).count(), 7);
    for refused in outcomes.into_iter().filter(Result::is_err) {
        assert_eq!(reached(refused).used, Some(7));
    }
    let live = |counter| t.store.live(counter, t.now());
    let counter = Counter::Agent("reader".parse().unwrap());
    assert_eq!(live(counter).await.unwrap(), 7);
    let counter = Counter::AgentTasks("payer".parse().unwrap());
    assert_eq!(live(counter).await.unwrap(), 7);
}

/// Ended tasks are bounded by nothing but their deadlines: looking for live ones among them ends.
#[tokio::test]
async fn a_listing_looks_at_so_much_and_says_where_to_go_on() {
    let t = TestBroker::new().await;
    let live = started(&t, "reader").await;
    let record = t.store.task(live).await.unwrap().unwrap();
    let ended = Some(taskpass_core::task::Ended {
        at: t.now(),
        reason: taskpass_core::task::EndReason::Completed,
    });
    let mut commit = taskpass_store::Commit::new(t.now());
    for _ in 0..16_000 {
        let task = taskpass_core::task::Task {
            id: TaskId::generate(t.now().plus(Duration::from_mins(1)), &*t.rng),
            ended,
            ..record.clone()
        };
        let owner = "team".parse().unwrap();
        commit = commit.change(taskpass_store::Change::StartTask {
            task,
            idempotency: None,
            owner,
        });
    }
    t.store.commit(commit).await.unwrap();
    let filter = crate::TaskFilter {
        active_only: true,
        ..crate::TaskFilter::default()
    };
    let reader = as_agent("reader");
    let (mut after, mut found, mut calls) = (None, Vec::new(), 0);
    loop {
        let page = t.broker.list_tasks(&reader, filter.clone(), after, 2);
        let page = page.await.unwrap();
        found.extend(page.items.iter().map(|view| view.task.id));
        calls += 1;
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(found, [live]);
    assert_eq!(calls, 4, "about five thousand at a time");
}
