//! The life of the keys: rotated on schedule and on demand, tainted, certified elsewhere, sealed anew.

mod elsewhere;
mod model;

use std::time::Duration;

use taskpass_core::access::TokenAlg;
use taskpass_core::key::{JWKS_MAX_AGE, KeyId, KeyPurpose, KeyState};
use taskpass_issuer::{Issuer, KeyEncryptionKey, KeyView};
use taskpass_store::Store as _;

use crate::Revoke;
use crate::broker::issuer_config;
use crate::testing::{KEK, TestBroker, ops};
use crate::{RevokeWhat, rewrap_keys};

const DAY: u64 = 24 * 3600;

fn keys(t: &TestBroker, purpose: KeyPurpose, state: KeyState) -> Vec<KeyView> {
    let views = t.broker.issuer().key_views();
    views
        .into_iter()
        .filter(|view| view.purpose == purpose && view.state == state)
        .collect()
}

fn only(t: &TestBroker, purpose: KeyPurpose, state: KeyState) -> KeyId {
    let [view] = &keys(t, purpose, state)[..] else {
        panic!("{purpose} {state}: {:?}", t.broker.issuer().key_views());
    };
    view.id.clone()
}

/// The entries about keys since the outbox was looked at last: subject, state, reason, actor.
async fn entries(t: &TestBroker) -> Vec<(String, String, String)> {
    let outbox = t.store.outbox(100_000).await.unwrap();
    let mut found = Vec::new();
    for entry in outbox {
        let json: serde_json::Value = serde_json::from_slice(&entry.json).unwrap();
        if json["kind"] == "key" {
            let text = |name: &str| json[name].as_str().unwrap_or_default().to_owned();
            found.push((text("subject"), text("state"), text("reason")));
        }
    }
    found
}

#[tokio::test]
async fn every_slot_rotates_on_schedule_with_overlap_and_an_entry_for_each_step() {
    let t = TestBroker::new().await;
    assert_eq!(t.broker.rotate_due().await.unwrap(), 0, "nothing is due");
    let before = t.broker.issuer();
    let purpose = KeyPurpose::TokenEs256;
    let (first, second) = (
        only(&t, purpose, KeyState::Active),
        only(&t, purpose, KeyState::Prepared),
    );
    t.advance(30 * DAY - 1);
    assert_eq!(t.broker.rotate_due().await.unwrap(), 0);
    let told = entries(&t).await.len();
    t.advance(1);
    // Three slots take over and are refilled; the feed's old key has signed nothing that is kept.
    assert_eq!(t.broker.rotate_due().await.unwrap(), 7);
    assert_eq!(t.broker.rotate_due().await.unwrap(), 0);
    // Each key that changed has an entry: two for a takeover, one for a key made or destroyed.
    assert_eq!(entries(&t).await.len() - told, 3 * 2 + 3 + 1);
    assert_eq!(only(&t, purpose, KeyState::Active), second);
    assert_eq!(only(&t, purpose, KeyState::Retired), first);
    let jwks = t.broker.issuer().jwks(t.now());
    assert!(jwks.get(&first).is_some() && jwks.get(&second).is_some());
    assert_eq!(jwks.len(), 6);
    // What signs was in the set that everybody had.
    let known = before.jwks(t.now());
    assert!(
        known
            .get(t.broker.issuer().token_key(TokenAlg::Es256).id())
            .is_some()
    );

    t.advance(3600 + 60 - 1);
    assert_eq!(t.broker.rotate_due().await.unwrap(), 0);
    t.advance(1);
    assert_eq!(t.broker.rotate_due().await.unwrap(), 2);
    assert!(t.broker.issuer().jwks(t.now()).get(&first).is_none());
    let gone = keys(&t, purpose, KeyState::Retired);
    assert!(!gone[0].has_private, "its private half is destroyed");
    let stored = t.store.keys().await.unwrap();
    assert!(
        stored
            .iter()
            .any(|key| key.id == first && key.sealed.is_empty())
    );
}

#[tokio::test]
async fn a_token_of_the_key_before_is_good_until_it_ends() {
    let t = TestBroker::new().await;
    t.advance(JWKS_MAX_AGE.as_secs());
    let task = t.start("reader", &["read"]).await.unwrap();
    let old = t.token("reader", task).await.unwrap();
    let certificate = t.certificate("reader", task).await.unwrap();
    for purpose in ["token-es256", "task-issuing"] {
        let rotated = t.broker.rotate_key(&ops(), purpose, false).await.unwrap();
        assert_eq!(rotated.takes_over_at, t.now());
        assert_eq!(rotated.next.state, KeyState::Active);
    }
    let new = t.token("reader", task).await.unwrap();
    assert_ne!(old.credential.key, new.credential.key);
    for token in [&old, &new] {
        assert!(t.is_active(token).await);
        let jwks = t.broker.issuer().jwks(t.now());
        assert!(jwks.get(&token.credential.key).is_some());
    }
    assert!(t.certificate_is_active(&certificate).await);
    let newer = t.certificate("reader", task).await.unwrap();
    assert_ne!(newer.credential.key, certificate.credential.key);
}

#[tokio::test]
async fn on_demand_waits_for_verifiers_unless_told_not_to() {
    let t = TestBroker::new().await;
    let purpose = KeyPurpose::TokenEdDsa;
    let (active, prepared) = (
        only(&t, purpose, KeyState::Active),
        only(&t, purpose, KeyState::Prepared),
    );
    let rotated = t
        .broker
        .rotate_key(&ops(), active.as_str(), false)
        .await
        .unwrap();
    assert_eq!(rotated.next.id, prepared);
    assert_eq!(rotated.takes_over_at, t.now().plus(JWKS_MAX_AGE));
    assert_eq!(only(&t, purpose, KeyState::Active), active);
    // Asked again, the answer is the same.
    let again = t
        .broker
        .rotate_key(&ops(), "token-eddsa", false)
        .await
        .unwrap();
    assert_eq!(again.takes_over_at, rotated.takes_over_at);
    t.advance(JWKS_MAX_AGE.as_secs());
    t.broker.rotate_due().await.unwrap();
    assert_eq!(only(&t, purpose, KeyState::Active), prepared);

    // A second time within the hour: the set would grow.
    let refused = t
        .broker
        .rotate_key(&ops(), "token-eddsa", true)
        .await
        .unwrap_err();
    assert_eq!(refused.reason(), "KEY_NOT_READY");
    assert!(
        refused.to_string().contains("is published until"),
        "{refused}"
    );
    t.advance(3660);
    t.broker.rotate_due().await.unwrap();
    let next = only(&t, purpose, KeyState::Prepared);
    t.broker
        .rotate_key(&ops(), next.as_str(), true)
        .await
        .unwrap();
    assert_eq!(only(&t, purpose, KeyState::Active), next);

    for (key, reason) in [
        ("task-root", "INVALID_KEY"),
        ("log-checkpoint", "INVALID_KEY"),
        ("nonsense", "INVALID_KEY"),
        ("", "INVALID_KEY"),
        (
            KeyId::from_thumbprint(taskpass_core::secret::Sha256::of(b"x")).as_str(),
            "KEY_NOT_FOUND",
        ),
        (active.as_str(), "KEY_NOT_READY"),
    ] {
        let error = t.broker.rotate_key(&ops(), key, false).await.unwrap_err();
        assert_eq!(error.reason(), reason, "{key}: {error}");
    }
}

#[tokio::test]
async fn a_tainted_key_of_any_slot_is_followed_at_once_and_destroyed() {
    let t = TestBroker::new().await;
    for purpose in KeyPurpose::ALL {
        let active = keys(&t, *purpose, KeyState::Active)[0].id.clone();
        let tainted = t.broker.taint_key(&ops(), active.as_str(), "stolen").await;
        if taskpass_issuer::rotation::period(*purpose).is_none() {
            assert_eq!(tainted.unwrap_err().reason(), "INVALID_KEY", "{purpose}");
            continue;
        }
        let tainted = tainted.unwrap();
        assert_eq!(tainted.seq == 0, *purpose == KeyPurpose::Feed);
        let next = tainted.next.unwrap();
        assert_eq!(only(&t, *purpose, KeyState::Active), next.id);
        assert_eq!(keys(&t, *purpose, KeyState::Prepared).len(), 1);
        let view = &keys(&t, *purpose, KeyState::Tainted)[0];
        assert!(view.id == active && !view.has_private);
    }
    let blank = t.broker.taint_key(&ops(), "x", "").await.unwrap_err();
    assert_eq!(blank.reason(), "INVALID_REASON");
    // The other way, which responders may take, is for what tasks hold.
    let feed = only(&t, KeyPurpose::Feed, KeyState::Active).to_string();
    let request = Revoke {
        what: RevokeWhat::Key(feed),
        reason: "x".into(),
        dry_run: false,
        no_suspend: false,
    };
    let error = t.broker.revoke(&ops(), &request).await.unwrap_err();
    assert_eq!(error.reason(), "INVALID_SELECTOR");
}

#[tokio::test]
async fn another_broker_on_the_same_store_follows() {
    let t = TestBroker::new().await;
    let store = std::sync::Arc::clone(&t.store) as std::sync::Arc<dyn taskpass_store::Store>;
    let other = crate::testing::open_on(store, &t.clock, &t.rng).await;
    t.advance(JWKS_MAX_AGE.as_secs());
    let mut told = other.watch_keys();
    t.broker
        .rotate_key(&ops(), "token-es256", false)
        .await
        .unwrap();
    assert_ne!(
        other.issuer().token_key(TokenAlg::Es256).id(),
        t.broker.issuer().token_key(TokenAlg::Es256).id()
    );
    other.rotate_due().await.unwrap();
    assert_eq!(
        other.issuer().token_key(TokenAlg::Es256).id(),
        t.broker.issuer().token_key(TokenAlg::Es256).id()
    );
    assert!(told.has_changed().unwrap());
    told.mark_unchanged();
    other.rotate_due().await.unwrap();
    assert!(!told.has_changed().unwrap());
}

#[tokio::test]
async fn after_a_leap_ahead_nothing_is_destroyed() {
    let t = TestBroker::new().await;
    t.advance(JWKS_MAX_AGE.as_secs());
    t.broker
        .rotate_key(&ops(), "token-es256", false)
        .await
        .unwrap();
    t.clock.jump_to(t.now().plus(Duration::from_hours(2)));
    t.broker.rotate_due().await.unwrap();
    assert!(keys(&t, KeyPurpose::TokenEs256, KeyState::Retired)[0].has_private);
    t.advance(2 * 3600);
    t.broker.rotate_due().await.unwrap();
    assert!(!keys(&t, KeyPurpose::TokenEs256, KeyState::Retired)[0].has_private);
}

#[tokio::test]
async fn sealed_anew_only_the_new_key_opens_them() {
    let mut t = TestBroker::new().await;
    let (old, new) = (
        KeyEncryptionKey::from_bytes(KEK),
        KeyEncryptionKey::from_bytes([7; 32]),
    );
    let other = KeyEncryptionKey::from_bytes([8; 32]);
    let wrong = rewrap_keys(&*t.store, &other, &new, &*t.rng, t.now()).await;
    assert_eq!(wrong.unwrap_err().reason(), "WRONG_KEK");
    let before = t.store.keys().await.unwrap();
    let done = rewrap_keys(&*t.store, &old, &new, &*t.rng, t.now())
        .await
        .unwrap();
    assert_eq!(done.keys, before.len());
    let after = t.store.keys().await.unwrap();
    let config = || issuer_config(t.store.birth());
    assert!(Issuer::open(after.clone(), config(), &new).is_ok());
    assert!(matches!(
        Issuer::open(after.clone(), config(), &old),
        Err(taskpass_issuer::OpenError::WrongKeyEncryptionKey)
    ));
    // Cut off after the commit, it is done again: nothing is left to do.
    let again = rewrap_keys(&*t.store, &old, &new, &*t.rng, t.now())
        .await
        .unwrap();
    assert_eq!(again.keys, 0);
    assert_eq!(t.store.keys().await.unwrap(), after);
    let told = entries(&t).await;
    assert!(
        told.iter()
            .any(|entry| entry.2.contains("another key-encryption key")),
        "{told:?}"
    );
    let back = rewrap_keys(&*t.store, &new, &old, &*t.rng, t.now())
        .await
        .unwrap();
    assert_eq!(back.keys, before.len());
    t.reopen().await;
    assert!(t.start("reader", &["read"]).await.is_ok());
}
