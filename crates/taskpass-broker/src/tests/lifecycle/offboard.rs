//! Offboarding an owner: one act, counted, and final.

use taskpass_core::registry::{Row, State};
use taskpass_core::task::TaskState;
use taskpass_store::{Change, Commit, Store as _};

use super::{WHY, agent_of, before, enrolment, key, owner, paths};
use crate::testing::{TestBroker, as_agent, csr, ops};

#[tokio::test]
async fn ends_all_of_every_agent_in_one_act_and_says_how_many() {
    let t = TestBroker::new().await;
    let held = before(&t).await;
    let child = t
        .start_under("payer", &["read"], Some(held.task))
        .await
        .unwrap();
    let childs = t.token("payer", child).await.unwrap();
    let reading = t.start("reader", &["read"]).await.unwrap();
    let read = t.token("reader", reading).await.unwrap();
    let over = t.start("reader", &["read"]).await.unwrap();
    t.broker
        .complete_task(&as_agent("reader"), over)
        .await
        .unwrap();
    let strangers = t.start("stranger", &["read"]).await.unwrap();
    let stranger = t.token("stranger", strangers).await.unwrap();

    let asked = t.broker.what_retiring_ends(&ops(), &owner("team")).await;
    let asked = asked.unwrap();
    assert_eq!(
        (
            asked.ended.agents,
            asked.ended.tasks.count,
            asked.ended.live.credentials
        ),
        (2, 3, 3)
    );
    assert!(asked.ended.tasks.exact && asked.ended.live.exact);
    assert!(t.is_active(&read).await, "asking ends nothing");
    let (rules, _) = t.broker.rules_in_force();

    let retired = t.broker.retire(&ops(), owner("team"), WHY).await.unwrap();
    assert_eq!(retired.ended, asked.ended);
    assert_eq!(crate::registry::state(&retired.row.value), State::Retired);
    assert_eq!(
        t.broker.rules_in_force().0,
        rules + 2,
        "a rule for each agent"
    );
    for token in [&held.token, &childs, &read] {
        assert!(!t.is_active(token).await);
    }
    assert!(t.is_active(&stranger).await);
    t.broker.settle().await.unwrap();
    for task in [held.task, child, reading] {
        let view = t.broker.task(&ops(), task).await.unwrap();
        assert_eq!(view.state, TaskState::Revoked);
    }
    let again = t.broker.retire(&ops(), owner("team"), WHY).await;
    assert_eq!(again.unwrap_err().reason(), "RETIRED");
}

/// What came to the owner since the registry was read is offboarded with the rest.
#[tokio::test]
async fn an_agent_that_comes_to_the_owner_meanwhile_is_offboarded_too() {
    for revoke in [false, true] {
        let t = TestBroker::new().await;
        let task = t.start("stranger", &["read"]).await.unwrap();
        let token = t.token("stranger", task).await.unwrap();
        // Another process gives it to the team; this one's memory does not know.
        let mut agent = agent_of(&t, "stranger").value;
        agent.owner = "team".parse().unwrap();
        let commit = Commit::new(t.now()).change(Change::PutRow(Row::Agent(agent)));
        t.store.commit(commit).await.unwrap();
        t.advance(1);
        if revoke {
            let what = crate::RevokeWhat::Owner("team".parse().unwrap());
            t.revoke(what).await.unwrap();
        } else {
            let retired = t.broker.retire(&ops(), owner("team"), WHY).await.unwrap();
            assert_eq!(retired.ended.agents, 3);
        }
        assert!(!t.is_active(&token).await, "revoke: {revoke}");
    }
}

/// Given to somebody else, an agent begins anew: what it had does not come back.
#[tokio::test]
async fn a_new_owner_lets_an_agent_enrol_and_no_more() {
    let t = TestBroker::new().await;
    let held = before(&t).await;
    t.advance(2);
    t.broker.retire(&ops(), owner("team"), WHY).await.unwrap();
    t.advance(2);
    // Not to one that is retired, nor without a reason.
    let given = |name: &'static str, reason: &'static str| {
        super::change(&t, reason, move |agent| agent.owner = name.parse().unwrap())
    };
    assert_eq!(
        given("team", WHY).await.unwrap_err().reason(),
        "OWNER_NOT_ACTIVE"
    );
    assert_eq!(
        given("others", "").await.unwrap_err().reason(),
        "INVALID_REASON"
    );
    given("others", WHY).await.unwrap();
    assert_eq!(agent_of(&t, "payer").value.state, State::Active);

    assert!(!t.is_active(&held.token).await);
    for (path, outcome) in paths(&t, &held).await {
        // The test's caller of a start is admitted by nobody: it may what a new identity may.
        let may = path == "start";
        assert_eq!(outcome.is_ok(), may, "{path}: {outcome:?}");
    }
    assert!(t.broker.enrol(&enrolment(&t).await, &csr()).await.is_ok());
}

#[tokio::test]
async fn what_else_is_retired_ends_nothing() {
    let t = TestBroker::new().await;
    let verifier = taskpass_core::registry::RowKey::Verifier("ledger".parse().unwrap());
    let retired = t.broker.retire(&ops(), verifier, WHY).await.unwrap();
    assert_eq!(retired.ended, crate::Ended::NOTHING);
    let alone = t.broker.retire(&ops(), key("reader"), WHY).await.unwrap();
    assert_eq!((alone.ended.agents, alone.ended.tasks.count), (1, 0));
}
