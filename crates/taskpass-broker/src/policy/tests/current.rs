//! A set that came into force in between wins over what the one before decided.

use std::sync::atomic::Ordering;

use taskpass_policy::PolicySet;
use taskpass_store::{Change, Commit, MetaKey, Store as _};

use super::{shipped_and, shipped_dir};
use crate::policy::{Looked, PolicyDirectory};
use crate::testing::{TestBroker, ops};

const CLOSED: &str = "@id(\"closed\") forbid (principal is Agent, action, resource);";

/// Makes the store name `set`, as the commit does that puts it in force.
async fn name_in_store(t: &TestBroker, set: &PolicySet) {
    let commit = Commit::new(t.now()).change(Change::PutMeta {
        key: MetaKey::PolicySet,
        value: set.hash().as_bytes().to_vec(),
    });
    t.store.commit(commit).await.unwrap();
}

#[tokio::test]
async fn what_was_decided_by_the_set_before_is_decided_again() {
    let t = TestBroker::new().await;
    let task = t.start("payer", &["read"]).await.unwrap();
    for start in [false, true] {
        t.broker
            .put_in_force(PolicySet::shipped().unwrap())
            .await
            .unwrap();
        let before = t.broker.metrics().decided_again.get();
        // The new set is committed, and not yet what decides here.
        let coming = t.broker.succession.alone.lock().await;
        let closed = shipped_and(CLOSED);
        name_in_store(&t, &closed).await;
        let asked = async {
            if start {
                t.start("payer", &["read"]).await.map(drop)
            } else {
                t.token("payer", task).await.map(drop)
            }
        };
        let comes = async {
            while t.broker.metrics().decided_again.get() == before {
                tokio::task::yield_now().await;
            }
            t.broker.policy.replace(closed);
            drop(coming);
        };
        let (answer, ()) = tokio::join!(asked, comes);
        assert_eq!(answer.unwrap_err().reason(), "POLICY_DENIED", "{start}");
        assert_eq!(t.broker.metrics().decided_again.get(), before + 1);
    }
}

/// A broker whose policies are not those that the store names issues nothing; operators change nothing.
#[tokio::test]
async fn another_set_in_the_store_stops_everything() {
    let t = TestBroker::new().await;
    let task = t.start("payer", &["read"]).await.unwrap();
    name_in_store(&t, &shipped_and(CLOSED)).await;
    let issued = t.token("payer", task).await.unwrap_err();
    assert_eq!(issued.reason(), "QUEUE_FULL");
    let key = taskpass_core::registry::RowKey::Agent("payer".parse().unwrap());
    let suspended = t.broker.suspend(&ops(), key, "drill").await.unwrap_err();
    assert_eq!(suspended.reason(), "QUEUE_FULL");
    t.broker
        .put_in_force(PolicySet::shipped().unwrap())
        .await
        .unwrap();
    assert!(t.token("payer", task).await.is_ok());
}

/// If nobody knows what came of putting a set in force, the next look settles it.
#[tokio::test]
async fn doubt_is_settled_by_the_next_look() {
    let t = TestBroker::new().await;
    let mut directory = PolicyDirectory::new(shipped_dir());
    let looked = directory.look(&t.broker, false).await.unwrap();
    assert_eq!(looked, Looked::Same);
    name_in_store(&t, &shipped_and(CLOSED)).await;
    t.broker.succession.in_doubt.store(true, Ordering::Release);
    let looked = directory.look(&t.broker, true).await.unwrap();
    assert_eq!(looked, Looked::InForce);
    assert!(t.start("payer", &["read"]).await.is_ok());
    let looked = directory.look(&t.broker, true).await.unwrap();
    assert_eq!(looked, Looked::Same);
}
