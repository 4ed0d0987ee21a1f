//! Another set of policies comes into force when two operators say so, also over a restart.

use std::fs;

use serde_json::json;
use taskpass_core::audit::Attestation;
use taskpass_core::caller::Caller;
use taskpass_core::promotion::{PROPOSAL_TTL, SecondOperator};
use taskpass_core::registry::{Operator, Role, Row, RowKey, State, System};
use taskpass_core::secret::Sha256;
use taskpass_policy::PolicySet;
use taskpass_store::{Change, Commit, MetaKey, Store, policy_approvals};

use super::shipped_dir;
use crate::policy::{Looked, PolicyDirectory};
use crate::testing::{TestBroker, ops};
use crate::{ChangeRules, Standing};

const CLOSED: &str = "@id(\"closed\") forbid (principal, action, resource);";

fn rules() -> ChangeRules {
    ChangeRules {
        second_operator: [SecondOperator::Policy].into(),
        ..ChangeRules::default()
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

/// A broker with a second administrator, and a folder with policies that lock everybody out.
async fn world() -> (TestBroker, tempfile::TempDir, Sha256) {
    let mut t = TestBroker::new().await;
    t.reopen_with(rules()).await;
    let row = Row::Operator(Operator {
        name: "deputy".parse().unwrap(),
        roles: [Role::Admin].into(),
        state: State::Active,
    });
    t.broker.register(&ops(), row).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    for entry in fs::read_dir(shipped_dir()).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), folder.path().join(entry.file_name())).unwrap();
    }
    fs::write(folder.path().join("closed.cedar"), CLOSED).unwrap();
    let set = PolicySet::from_dir(folder.path()).unwrap().hash();
    (t, folder, set)
}

#[tokio::test]
async fn a_changed_set_waits_for_two_operators() {
    let (t, folder, set) = world().await;
    let broker = &t.broker;
    let before = broker.policy_hash();
    let mut directory = PolicyDirectory::new(folder.path().to_owned());
    for told in [true, false] {
        assert_eq!(directory.look(broker, told).await.unwrap(), Looked::Waits);
    }
    let one = broker.approve_policy(&ops(), set, "review").await.unwrap();
    assert_eq!((one.by.len(), one.missing), (1, 1));
    // The same operator, or the same key, is no second.
    for own in [ops(), operator("ops", b"new"), operator("deputy", b"key")] {
        let refused = broker.approve_policy(&own, set, "review").await;
        assert_eq!(refused.unwrap_err().reason(), "SECOND_OPERATOR_REQUIRED");
    }
    assert_eq!(directory.look(broker, true).await.unwrap(), Looked::Waits);
    assert_eq!(broker.policy_hash(), before);
    let deputy = operator("deputy", b"deputy's");
    let two = broker.approve_policy(&deputy, set, "review").await.unwrap();
    assert_eq!(two.missing, 0);
    assert_eq!(
        directory.look(broker, false).await.unwrap(),
        Looked::InForce
    );
    assert_eq!(broker.policy_hash(), set);
    // It locks everybody out of everything but of approving another: the one before again.
    let closed = broker.list_keys(&ops()).await;
    assert!(closed.is_ok(), "reads are asked at the gate");
    broker.approve_policy(&ops(), before, "back").await.unwrap();
    broker
        .approve_policy(&deputy, before, "back")
        .await
        .unwrap();
    fs::remove_file(folder.path().join("closed.cedar")).unwrap();
    assert_eq!(directory.look(broker, true).await.unwrap(), Looked::InForce);
    assert_eq!(broker.policy_hash(), before);
    let waiting = t.store.outbox(usize::MAX).await.unwrap();
    let entries = waiting
        .iter()
        .map(|entry| serde_json::from_slice::<serde_json::Value>(&entry.json).unwrap());
    let approved = entries.filter(|entry| entry["state"] == json!("approved"));
    assert_eq!(approved.count(), 4);
}

#[tokio::test]
async fn an_approval_counts_while_it_and_its_operator_do() {
    let (t, folder, set) = world().await;
    let broker = &t.broker;
    let mut directory = PolicyDirectory::new(folder.path().to_owned());
    let deputy = operator("deputy", b"deputy's");
    broker.approve_policy(&ops(), set, "review").await.unwrap();
    broker.approve_policy(&deputy, set, "review").await.unwrap();
    let key = RowKey::Operator("deputy".parse().unwrap());
    broker.suspend(&ops(), key.clone(), "left").await.unwrap();
    assert_eq!(directory.look(broker, true).await.unwrap(), Looked::Waits);
    broker
        .resume(&ops(), crate::Resume::Entry(key), "back")
        .await
        .unwrap();
    t.advance(PROPOSAL_TTL.as_secs());
    assert_eq!(directory.look(broker, true).await.unwrap(), Looked::Waits);
    // Then the same two can say it again.
    broker.approve_policy(&ops(), set, "review").await.unwrap();
    let again = broker.approve_policy(&deputy, set, "review").await.unwrap();
    assert_eq!(again.missing, 0);
    assert_eq!(directory.look(broker, true).await.unwrap(), Looked::InForce);
}

#[tokio::test]
async fn a_restart_brings_no_other_policies() {
    let (mut t, folder, set) = world().await;
    let changed = || PolicySet::from_dir(folder.path()).unwrap();
    let refused = t.open_under(changed(), rules()).await.unwrap_err();
    assert!(refused.to_string().contains(&set.to_string()), "{refused}");
    // Those that were in force start; and so do others where nobody asks.
    t.reopen_with(rules()).await;
    let deputy = operator("deputy", b"deputy's");
    t.broker
        .approve_policy(&ops(), set, "review")
        .await
        .unwrap();
    t.broker
        .approve_policy(&deputy, set, "review")
        .await
        .unwrap();
    let opened = t.open_under(changed(), rules()).await.unwrap();
    assert_eq!(opened.policy_hash(), set);
}

#[tokio::test]
async fn an_approval_is_for_once() {
    let (t, folder, set) = world().await;
    let broker = &t.broker;
    let before = broker.policy_hash();
    let mut directory = PolicyDirectory::new(folder.path().to_owned());
    let deputy = operator("deputy", b"deputy's");
    let third = Sha256::of(b"another set");
    for who in [&ops(), &deputy] {
        for set in [set, before] {
            broker.approve_policy(who, set, "review").await.unwrap();
        }
    }
    broker.approve_policy(&deputy, third, "next").await.unwrap();
    assert_eq!(directory.look(broker, true).await.unwrap(), Looked::InForce);
    let left: Vec<_> = kept(&t).await.into_iter().map(|left| left.set).collect();
    assert_eq!(
        left,
        [before, before, third],
        "those of the set are used up"
    );
    // Back, and forth again: that takes two once more.
    fs::remove_file(folder.path().join("closed.cedar")).unwrap();
    assert_eq!(directory.look(broker, true).await.unwrap(), Looked::InForce);
    assert_eq!(broker.policy_hash(), before);
    fs::write(folder.path().join("closed.cedar"), CLOSED).unwrap();
    assert_eq!(directory.look(broker, true).await.unwrap(), Looked::Waits);
    let again = PolicySet::from_dir(folder.path()).unwrap();
    let refused = broker.put_in_force(again).await.unwrap_err();
    assert_eq!(refused.reason(), "SECOND_OPERATOR_REQUIRED");
    assert_eq!(broker.policy_hash(), before);
}

#[tokio::test]
async fn an_approval_is_used_up_by_a_restart_too() {
    let (t, folder, set) = world().await;
    let deputy = operator("deputy", b"deputy's");
    for who in [&ops(), &deputy] {
        t.broker.approve_policy(who, set, "review").await.unwrap();
    }
    let changed = PolicySet::from_dir(folder.path()).unwrap();
    let opened = t.open_under(changed, rules()).await.unwrap();
    assert_eq!(opened.policy_hash(), set);
    assert_eq!(kept(&t).await, []);
}

async fn kept(t: &TestBroker) -> Vec<taskpass_core::promotion::PolicyApproval> {
    let kept = t.store.meta(MetaKey::PolicyApprovals).await.unwrap();
    policy_approvals(kept.as_deref()).unwrap()
}

#[tokio::test]
async fn nobody_takes_the_room_of_others() {
    let (t, _folder, set) = world().await;
    let broker = &t.broker;
    let deputy = operator("deputy", b"deputy's");
    let nonsense = |n: u64| Sha256::of(&n.to_be_bytes());
    for n in 0..80 {
        let taken = broker.approve_policy(&deputy, nonsense(n), "noise").await;
        taken.unwrap();
    }
    let sets = |of: Vec<taskpass_core::promotion::PolicyApproval>| {
        of.into_iter().map(|each| each.set).collect::<Vec<_>>()
    };
    assert_eq!(sets(kept(&t).await), [76, 77, 78, 79].map(nonsense));
    broker.approve_policy(&ops(), set, "review").await.unwrap();
    assert_eq!(kept(&t).await.len(), 5);
    // What somebody left behind is gone with them.
    let key = RowKey::Operator("deputy".parse().unwrap());
    broker.suspend(&ops(), key, "left").await.unwrap();
    broker
        .approve_policy(&ops(), nonsense(0), "review")
        .await
        .unwrap();
    assert_eq!(sets(kept(&t).await), [set, nonsense(0)]);
}

#[tokio::test]
async fn a_sealed_broker_takes_no_approval_from_before() {
    let (t, _folder, set) = world().await;
    let sealed = Row::System(System {
        state: State::Active,
        sealed_at: Some(t.now()),
    });
    let seal = Commit::new(t.now()).change(Change::PutRow(sealed));
    t.store.commit(seal).await.unwrap();
    t.broker.reload_registry().await.unwrap();
    let refused = t.broker.approve_policy(&ops(), set, "review").await;
    assert_eq!(refused.unwrap_err().reason(), "BROKER_SEALED");
    assert_eq!(kept(&t).await, []);
}
