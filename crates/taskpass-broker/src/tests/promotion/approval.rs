//! What waits for a second operator: who can decide about it, until when, and of what.

use std::time::Duration;

use serde_json::json;
use taskpass_core::audit::Attestation;
use taskpass_core::caller::Caller;
use taskpass_core::promotion::{MAX_PROPOSALS, Proposal, SecondOperator};
use taskpass_core::registry::{Operator, Owner, Role, RowKey, State};

use super::*;
use crate::{PromotionRule, Standing};

fn rules(words: &[SecondOperator]) -> ChangeRules {
    ChangeRules {
        promotion: PromotionRule::Evidence,
        second_operator: words.iter().copied().collect(),
    }
}

fn operator(name: &str, key: &[u8]) -> Standing {
    Standing {
        caller: Caller::Operator(name.parse().unwrap(), [Role::Admin].into()),
        attestation: Attestation::Mtls {
            key: Sha256::of(key),
        },
        ..ops()
    }
}

fn deputy() -> Standing {
    operator("deputy", b"deputy's key")
}

async fn world(words: &[SecondOperator]) -> World {
    let world = World::new(rules(words)).await;
    let row = Row::Operator(Operator {
        name: "deputy".parse().unwrap(),
        roles: [Role::Admin].into(),
        state: State::Active,
    });
    world.t.broker.register(&ops(), row).await.unwrap();
    world
}

async fn proposed(world: &World) -> Proposal {
    match world.raise(Grounds::Force, WHY).await.unwrap() {
        Updated::Waits(proposal) => *proposal,
        Updated::Written(written) => panic!("{written:?}"),
    }
}

#[tokio::test]
async fn another_operator_makes_the_change_and_both_are_named() {
    let world = world(&[SecondOperator::Promote]).await;
    let broker = &world.t.broker;
    let proposal = proposed(&world).await;
    assert_eq!(
        world.reader().value.stage,
        Stage::ReadOnly,
        "nothing changed"
    );
    let waiting = broker.proposals(&ops()).await.unwrap();
    assert_eq!(waiting, std::slice::from_ref(&proposal));
    // The same again is the same.
    let again = world.raise(Grounds::Force, WHY).await.unwrap_err();
    assert_eq!(again.reason(), "ALREADY_PROPOSED");
    // Whoever proposed it cannot approve it, nor by another name with the same key.
    for own in [
        ops(),
        operator("ops", b"a new key"),
        operator("deputy", b"key"),
    ] {
        let refused = broker.approve(&own, proposal.id).await.unwrap_err();
        assert_eq!(refused.reason(), "SECOND_OPERATOR_REQUIRED", "{own:?}");
    }
    let written = broker.approve(&deputy(), proposal.id).await.unwrap();
    assert_eq!(written.version, 2);
    assert_eq!(world.reader().value.stage, Stage::Bounded);
    assert_eq!(
        world.promotion().await,
        json!({"from": "read-only", "to": "bounded", "by": "force",
               "proposal": {"id": proposal.id.to_string(), "by": "operator/ops",
                            "at": proposal.at.to_string()}})
    );
    // Each step is recorded, and the refusals too.
    let schema = super::super::schema::Schema::new();
    let entries = world.entries().await;
    for entry in &entries {
        schema.admits(entry).unwrap();
    }
    let change = entries
        .iter()
        .rfind(|entry| entry["promotion"]["proposal"].is_object())
        .unwrap();
    assert_eq!(change["actor"], json!("operator/deputy"));
    assert_eq!(change["reason"], json!(WHY));
    let made = entries.iter().find(|e| e["kind"] == json!("approval"));
    let made = made.unwrap();
    assert_eq!(made["id"], json!(proposal.id.to_string()));
    assert_eq!(
        (&made["state"], &made["agent"]),
        (&json!("proposed"), &json!("reader"))
    );
    let denied = entries.iter().filter(|entry| {
        entry["kind"] == json!("call") && entry["reason"] == json!("SECOND_OPERATOR_REQUIRED")
    });
    assert_eq!(denied.count(), 3);
    // It is decided once.
    let twice = broker.approve(&deputy(), proposal.id).await.unwrap_err();
    assert_eq!(twice.reason(), "PROPOSAL_NOT_FOUND");
    assert_eq!(broker.proposals(&ops()).await.unwrap(), []);
}

#[tokio::test]
async fn force_alone_can_need_a_second_operator() {
    let world = world(&[SecondOperator::Force]).await;
    let grounds = world.vouched().await;
    let proposal = proposed(&world).await;
    world
        .t
        .broker
        .reject(&ops(), proposal.id, "after all on evidence")
        .await
        .unwrap();
    assert!(matches!(
        world.raise(grounds, WHY).await.unwrap(),
        Updated::Written(_)
    ));
    let entries = world.entries().await;
    let rejected = entries.iter().find(|e| e["state"] == json!("rejected"));
    let rejected = rejected.unwrap();
    super::super::schema::Schema::new()
        .admits(rejected)
        .unwrap();
    assert_eq!(
        rejected["promotion"]["proposal"]["id"],
        json!(proposal.id.to_string())
    );
    let gone = world.t.broker.approve(&deputy(), proposal.id).await;
    assert_eq!(gone.unwrap_err().reason(), "PROPOSAL_NOT_FOUND");
}

#[tokio::test]
async fn where_nothing_is_asked_force_cannot_be_left_out() {
    let mut world = world(&[]).await;
    let open = ChangeRules {
        promotion: PromotionRule::Open,
        ..rules(&[SecondOperator::Force])
    };
    world.t.reopen_with(open).await;
    let Updated::Waits(proposal) = world.raise(Grounds::Nothing, WHY).await.unwrap() else {
        panic!("it rose");
    };
    assert_eq!(world.reader().value.stage, Stage::ReadOnly);
    let broker = &world.t.broker;
    broker.approve(&deputy(), proposal.id).await.unwrap();
    assert_eq!(world.promotion().await["by"], json!("open"));
}

#[tokio::test]
async fn nobody_is_registered_above_the_lowest_stage_by_one() {
    let world = world(&[SecondOperator::Promote]).await;
    let broker = &world.t.broker;
    let new = |name: &str, stage| {
        Row::Agent(Agent {
            name: name.parse().unwrap(),
            stage,
            ..world.reader().value
        })
    };
    let list = |row| Apply {
        entries: vec![Proposed {
            entry: 0,
            row,
            keeps_validity: false,
        }],
        ..world.apply(true, WHY)
    };
    for stage in [Stage::Bounded, Stage::Autonomous] {
        let refused = broker.register(&ops(), new("new", stage)).await;
        let refused = refused.unwrap_err();
        assert_eq!(refused.reason(), "SECOND_OPERATOR_REQUIRED");
        assert!(refused.to_string().contains("register it at read-only"));
        let refused = broker.apply(&ops(), &list(new("new", stage))).await;
        assert_eq!(refused.unwrap_err().reason(), "SECOND_OPERATOR_REQUIRED");
    }
    let lowest = new("listed", Stage::ReadOnly);
    broker.apply(&ops(), &list(lowest)).await.unwrap();
    let lowest = new("new", Stage::ReadOnly);
    broker.register(&ops(), lowest).await.unwrap();
}

#[tokio::test]
async fn what_nobody_can_approve_any_more_ends_when_it_is_looked_at() {
    let world = world(&[SecondOperator::Promote]).await;
    let broker = &world.t.broker;
    let ended = || async {
        let entries = world.entries().await;
        let ended = entries.iter().filter(|e| e["state"] == json!("expired"));
        let each = ended.map(|entry| {
            let schema = super::super::schema::Schema::new();
            schema.admits(entry).unwrap();
            let id = entry["promotion"]["proposal"]["id"].clone();
            (id, entry["reason"].as_str().unwrap().to_owned())
        });
        each.collect::<Vec<_>>()
    };
    let change = |purpose: &'static str| {
        let mut agent = world.reader();
        agent.value.purpose = purpose.into();
        (Row::Agent(agent.value), agent.version)
    };
    // The agent was changed: the list ends it, once.
    let first = proposed(&world).await;
    let (row, version) = change("another");
    broker.update(&ops(), row, version, "").await.unwrap();
    for _ in 0..2 {
        assert_eq!(broker.proposals(&ops()).await.unwrap(), []);
    }
    let changed = "the agent was changed since";
    assert_eq!(
        ended().await,
        [(json!(first.id.to_string()), changed.to_owned())]
    );
    let gone = broker.approve(&deputy(), first.id).await.unwrap_err();
    assert_eq!(gone.reason(), "PROPOSAL_NOT_FOUND");
    // And so does the next one that is proposed.
    let second = proposed(&world).await;
    let (row, version) = change("a third");
    broker.update(&ops(), row, version, "").await.unwrap();
    let third = proposed(&world).await;
    assert_eq!(ended().await.len(), 2);
    assert_ne!(second.id, third.id);
    // Whoever proposed it is suspended.
    let key = RowKey::Operator("ops".parse().unwrap());
    broker.suspend(&deputy(), key, "left").await.unwrap();
    assert_eq!(broker.proposals(&deputy()).await.unwrap(), []);
    let all = ended().await;
    assert_eq!(all.len(), 3);
    let last = all
        .iter()
        .find(|(id, _)| *id == json!(third.id.to_string()));
    assert!(last.unwrap().1.contains("no active administrator"));
}

#[tokio::test]
async fn what_changed_meanwhile_is_stale() {
    let world = world(&[SecondOperator::Promote]).await;
    let broker = &world.t.broker;
    let proposal = proposed(&world).await;
    let mut agent = world.reader();
    agent.value.purpose = "another".into();
    let row = Row::Agent(agent.value);
    broker.update(&ops(), row, agent.version, "").await.unwrap();
    let stale = broker.approve(&deputy(), proposal.id).await.unwrap_err();
    assert_eq!(stale.reason(), "VERSION_CHANGED");
    assert_eq!(world.reader().value.stage, Stage::ReadOnly);
    // It can be rejected, and proposed anew.
    broker
        .reject(&deputy(), proposal.id, "stale")
        .await
        .unwrap();
    let anew = proposed(&world).await;
    broker.approve(&deputy(), anew.id).await.unwrap();
    assert_eq!(world.reader().value.purpose, "another");
}

#[tokio::test]
async fn whoever_may_not_any_more_has_proposed_nothing() {
    let world = world(&[SecondOperator::Promote]).await;
    let broker = &world.t.broker;
    let proposal = proposed(&world).await;
    let key = RowKey::Operator("ops".parse().unwrap());
    broker.suspend(&deputy(), key, "left").await.unwrap();
    let refused = broker.approve(&deputy(), proposal.id).await.unwrap_err();
    assert_eq!(refused.reason(), "SECOND_OPERATOR_REQUIRED");
    assert!(refused.to_string().contains("no active administrator"));
    broker.reject(&deputy(), proposal.id, "left").await.unwrap();
}

#[tokio::test]
async fn an_owner_that_is_gone_meanwhile_stops_it() {
    let world = world(&[SecondOperator::Promote]).await;
    let broker = &world.t.broker;
    let proposal = proposed(&world).await;
    let key = RowKey::Owner("team".parse().unwrap());
    broker.suspend(&ops(), key, "left").await.unwrap();
    let refused = broker.approve(&deputy(), proposal.id).await.unwrap_err();
    assert_eq!(refused.reason(), "OWNER_NOT_ACTIVE");
}

#[tokio::test]
async fn a_proposal_ends_and_says_so() {
    let world = world(&[SecondOperator::Promote]).await;
    let broker = &world.t.broker;
    let proposal = proposed(&world).await;
    assert_eq!(
        proposal.ends_at,
        proposal.at.plus(Duration::from_hours(7 * 24))
    );
    world.t.advance(7 * 24 * 3600 - 1);
    assert_eq!(broker.proposals(&ops()).await.unwrap().len(), 1);
    world.t.advance(1);
    assert_eq!(broker.proposals(&ops()).await.unwrap(), []);
    let ended = broker.approve(&deputy(), proposal.id).await.unwrap_err();
    assert_eq!(ended.reason(), "PROPOSAL_NOT_FOUND");
    // The next one that is made clears it away.
    let next = proposed(&world).await;
    let entries = world.entries().await;
    let expired: Vec<_> = entries
        .iter()
        .filter(|entry| entry["state"] == json!("expired"))
        .collect();
    assert_eq!(expired.len(), 1);
    super::super::schema::Schema::new()
        .admits(expired[0])
        .unwrap();
    assert_eq!(
        expired[0]["promotion"]["proposal"]["id"],
        json!(proposal.id.to_string())
    );
    broker.approve(&deputy(), next.id).await.unwrap();
}

#[tokio::test]
async fn it_outlives_a_restart() {
    let mut world = world(&[SecondOperator::Promote]).await;
    let proposal = proposed(&world).await;
    world.t.reopen_with(rules(&[])).await;
    assert_eq!(
        world.t.broker.proposals(&ops()).await.unwrap(),
        std::slice::from_ref(&proposal)
    );
    world
        .t
        .broker
        .approve(&deputy(), proposal.id)
        .await
        .unwrap();
    assert_eq!(world.reader().value.stage, Stage::Bounded);
}

#[tokio::test]
async fn nothing_but_a_stage_waits_and_a_list_does_not() {
    let world = world(&[SecondOperator::Promote]).await;
    let broker = &world.t.broker;
    let mut update = world.update(Grounds::Force, WHY);
    if let Row::Agent(agent) = &mut update.row {
        agent.purpose = "another".into();
    }
    let refused = broker.replace(&ops(), &update).await.unwrap_err();
    assert_eq!(refused.reason(), "INVALID_FIELD");
    let refused = world.raise(Grounds::Force, "").await.unwrap_err();
    assert_eq!(
        refused.reason(),
        "INVALID_REASON",
        "without a reason nothing waits"
    );
    let refused = broker
        .apply(&ops(), &world.apply(true, WHY))
        .await
        .unwrap_err();
    assert_eq!(refused.reason(), "SECOND_OPERATOR_REQUIRED");
    assert_eq!(broker.proposals(&ops()).await.unwrap(), []);
    assert_eq!(world.reader().version, 1);
}

#[tokio::test]
async fn no_more_wait_than_may() {
    let world = world(&[SecondOperator::Promote]).await;
    let broker = &world.t.broker;
    let owner = Row::Owner(Owner {
        name: "many".parse().unwrap(),
        contact: "many@example".into(),
        limits: taskpass_core::registry::Limits::NONE,
        state: State::Active,
    });
    broker.register(&ops(), owner).await.unwrap();
    let template = world.reader().value;
    for n in 0..=MAX_PROPOSALS {
        let mut agent = Agent {
            name: format!("agent-{n}").parse().unwrap(),
            owner: "many".parse().unwrap(),
            ..template.clone()
        };
        let row = Row::Agent(agent.clone());
        broker.register(&ops(), row).await.unwrap();
        agent.stage = Stage::Bounded;
        let update = Update {
            row: Row::Agent(agent),
            expected: 1,
            reason: WHY.to_owned(),
            grounds: Grounds::Force,
        };
        match broker.replace(&ops(), &update).await {
            Ok(Updated::Waits(_)) => assert!(n < MAX_PROPOSALS),
            Err(error) => {
                assert_eq!(error.reason(), "PROPOSALS_FULL");
                assert_eq!(n, MAX_PROPOSALS);
            }
            Ok(other) => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn of_two_who_decide_at_once_one_does() {
    let world = world(&[SecondOperator::Promote]).await;
    let broker = &world.t.broker;
    let proposal = proposed(&world).await;
    let third = operator("deputy", b"deputy's key");
    let (deputy, reject) = (deputy(), "too early");
    let (approved, rejected) = tokio::join!(
        broker.approve(&deputy, proposal.id),
        broker.reject(&third, proposal.id, reject)
    );
    assert!(
        approved.is_ok() != rejected.is_ok(),
        "{approved:?} {rejected:?}"
    );
    let raised = world.reader().value.stage == Stage::Bounded;
    assert_eq!(raised, approved.is_ok());
}
