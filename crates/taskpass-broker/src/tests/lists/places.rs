//! Places: one credential each, whichever broker gives them.

use std::collections::BTreeSet;

use taskpass_core::Timestamp;
use taskpass_core::credential::CredentialKind;
use taskpass_core::listing::list_hour;
use taskpass_store::Store as _;

use crate::places::BLOCK;
use crate::testing::{TestBroker, open_on};

async fn leased(t: &TestBroker, hour: u64) -> u64 {
    let all = t.store.leased_places().await.unwrap();
    let own = all
        .iter()
        .find(|leased| leased.hour == hour && leased.kind == CredentialKind::Token);
    own.map_or(0, |leased| leased.next)
}

#[tokio::test]
async fn two_brokers_on_one_store_give_no_place_twice() {
    let t = TestBroker::new().await;
    let other = open_on(t.store.clone(), &t.clock, &t.rng).await;
    let end = t.now().plus(std::time::Duration::from_mins(5));
    let kind = CredentialKind::Token;
    let many = usize::try_from(BLOCK).unwrap() + 100;
    let take = |broker: std::sync::Arc<crate::Broker>| async move {
        let mut places = Vec::new();
        for n in 0..many {
            places.push(broker.place(kind, end).await.unwrap());
            if n % 64 == 0 {
                tokio::task::yield_now().await;
            }
        }
        places
    };
    let (mine, theirs) = tokio::join!(take(t.broker.clone()), take(other));
    let all: BTreeSet<_> = mine.iter().chain(&theirs).collect();
    assert_eq!(all.len(), 2 * many);
    // Two blocks each: no more commits than that, however many places.
    assert_eq!(leased(&t, list_hour(end)).await, 4 * BLOCK);
}

#[tokio::test]
async fn a_crash_loses_the_rest_of_a_block_and_nothing_else() {
    let mut t = TestBroker::new().await;
    let end = t.now().plus(std::time::Duration::from_mins(5));
    let kind = CredentialKind::Token;
    let before = t.broker.place(kind, end).await.unwrap();
    t.reopen().await;
    let mut after = BTreeSet::new();
    for _ in 0..BLOCK {
        after.insert(t.broker.place(kind, end).await.unwrap());
    }
    assert!(!after.contains(&before));
    assert_eq!(u64::try_from(after.len()).unwrap(), BLOCK);
    assert_eq!(leased(&t, list_hour(end)).await, 2 * BLOCK);
}

#[tokio::test]
async fn the_next_block_is_there_before_it_is_needed() {
    let t = TestBroker::new().await;
    let (kind, end) = (CredentialKind::Token, t.now().plus(FIVE));
    t.broker.lease_ahead().await.unwrap();
    let count = || t.broker.metrics().leased_blocks.get();
    assert_eq!(count(), 1);
    for n in 0..=BLOCK / 2 {
        t.broker.place(kind, end).await.unwrap();
        if n == 0 {
            // Enough is left: nothing to do.
            t.broker.lease_ahead().await.unwrap();
            assert_eq!(count(), 1);
        }
    }
    // Told so, and done once.
    t.broker.places_run_low().await;
    t.broker.lease_ahead().await.unwrap();
    t.broker.lease_ahead().await.unwrap();
    assert_eq!(count(), 2);
    // Shortly before tokens end in the next hour, that one gets its first block.
    let next = Timestamp::from_secs((list_hour(end) + 1) * 3600);
    t.advance(next.secs() - end.secs() - 20);
    assert_eq!(leased(&t, list_hour(next)).await, 0);
    t.broker.lease_ahead().await.unwrap();
    assert_eq!(leased(&t, list_hour(next)).await, BLOCK);
}

const FIVE: std::time::Duration = std::time::Duration::from_mins(5);

/// Over the end of a list, and to its last place.
#[tokio::test]
async fn a_full_list_is_followed_by_another() {
    let t = TestBroker::new().await;
    let (kind, end) = (CredentialKind::Token, t.now().plus(FIVE));
    let len = taskpass_core::listing::LIST_LEN;
    let mut first = BTreeSet::new();
    for _ in 0..len {
        let place = t.broker.place(kind, end).await.unwrap();
        assert_eq!(place.list(), 0);
        first.insert(place.index());
    }
    assert!(first.into_iter().eq(0..len));
    assert_eq!(t.broker.place(kind, end).await.unwrap().list(), 1);
    assert_eq!(t.broker.status_lists().await.unwrap().len(), 2);
}
