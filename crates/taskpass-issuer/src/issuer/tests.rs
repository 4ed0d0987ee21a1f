//! Opening the recorded keys, every way in which that is refused, and what tests elsewhere share.

use super::*;
use std::collections::BTreeSet;
use std::sync::LazyLock;

use taskpass_core::grant::{Ask, Basis, Grant};
use taskpass_core::id::{DecisionId, TaskId};
use taskpass_core::key::KeyState;
use taskpass_core::rng::SeededRng;
use taskpass_core::secret::Sha256;
use taskpass_core::task::Ancestor;

use crate::prepare::TaskFacts;

/// Some instant, not at a whole second.
pub(crate) const NOW: Timestamp = Timestamp::from_millis(1_790_000_000_250);

pub(crate) fn kek() -> KeyEncryptionKey {
    KeyEncryptionKey::from_bytes([42; 32])
}

pub(crate) fn config() -> IssuerConfig {
    IssuerConfig {
        trust_domain: "example.org".parse().unwrap(),
        issuer_url: "https://broker.example".into(),
        crl_url: "http://crl.example:8081/".into(),
    }
}

static RECORDS: LazyLock<Vec<KeyRecord>> =
    LazyLock::new(|| crate::init(&config().trust_domain, NOW, &kek()).unwrap());

pub(crate) fn records() -> Vec<KeyRecord> {
    RECORDS.clone()
}

pub(crate) fn issuer() -> Issuer {
    Issuer::open(records(), config(), &kek()).unwrap()
}

#[expect(clippy::disallowed_methods, reason = "stands in for the policy engine")]
pub(crate) fn grant(agent: &str, ask: Ask) -> Grant {
    let basis = Basis {
        id: DecisionId::generate(NOW, &SeededRng::new(3)),
        policies: vec!["baseline".into()],
        would_deny: false,
        policy_set: Sha256::of(b"policies"),
    };
    Grant::decided(basis, agent.parse().unwrap(), ask, vec![])
}

pub(crate) fn scopes(texts: &[&str]) -> Ask {
    let refs: BTreeSet<_> = texts.iter().map(|text| text.parse().unwrap()).collect();
    Ask::Scopes(refs)
}

/// A task that ends in two hours, under one of another agent.
pub(crate) fn task() -> TaskFacts {
    let id = |seed| {
        let deadline = NOW.plus(std::time::Duration::from_hours(2));
        TaskId::generate(deadline, &SeededRng::new(seed))
    };
    TaskFacts {
        id: id(1),
        purpose: "close the books".into(),
        ancestors: vec![Ancestor {
            task: id(2),
            agent: "planner".parse().unwrap(),
        }],
    }
}

fn open(records: Vec<KeyRecord>) -> OpenError {
    Issuer::open(records, config(), &kek()).unwrap_err()
}

fn place(records: &[KeyRecord], purpose: KeyPurpose, state: KeyState) -> usize {
    let fits = |r: &KeyRecord| r.purpose == purpose && r.state == state;
    records.iter().position(fits).unwrap()
}

#[test]
fn init_fills_every_slot() {
    let records = records();
    let count = |purpose, state| {
        let fits = |r: &&KeyRecord| r.purpose == purpose && r.state == state;
        records.iter().filter(fits).count()
    };
    for purpose in KeyPurpose::ALL {
        let root = matches!(purpose, KeyPurpose::ControlRoot | KeyPurpose::TaskRoot);
        assert_eq!(count(*purpose, KeyState::Active), 1, "{purpose}");
        assert_eq!(
            count(*purpose, KeyState::Prepared),
            usize::from(!root),
            "{purpose}"
        );
    }
    let ids: BTreeSet<_> = records.iter().map(|record| &record.id).collect();
    assert_eq!(ids.len(), records.len());
    for record in &records {
        let authority =
            record.purpose.as_str().contains("root") || record.purpose.as_str().contains("issuing");
        assert_eq!(record.certificate.is_some(), authority);
        assert_eq!(record.not_after.is_some(), authority);
    }
    assert_eq!(issuer().crl_url(), "http://crl.example:8081");
}

#[test]
fn the_wrong_key_encryption_key_is_named() {
    let other = KeyEncryptionKey::from_bytes([43; 32]);
    assert!(matches!(
        Issuer::open(records(), config(), &other),
        Err(OpenError::WrongKeyEncryptionKey)
    ));
}

#[test]
fn damaged_and_exchanged_records_are_refused() {
    for purpose in KeyPurpose::ALL {
        let at = place(&records(), *purpose, KeyState::Active);
        let mut changed = records();
        *changed[at].sealed.last_mut().unwrap() ^= 1;
        assert!(matches!(open(changed), OpenError::Unseal { purpose: p, .. } if p == *purpose));

        let mut changed = records();
        changed[at].public[20] ^= 1;
        assert!(matches!(open(changed), OpenError::Mismatch { purpose: p, .. } if p == *purpose));
    }
    // A prepared key is tried as well, before its turn comes.
    let at = place(&records(), KeyPurpose::Feed, KeyState::Prepared);
    let mut changed = records();
    changed[at].sealed.truncate(5);
    assert!(matches!(open(changed), OpenError::Unseal { .. }));

    // Another key's seal under this key's name.
    let active = place(&records(), KeyPurpose::Feed, KeyState::Active);
    let mut changed = records();
    changed[active].sealed = changed[at].sealed.clone();
    assert!(matches!(open(changed), OpenError::Unseal { .. }));

    for certificate in [None, Some(vec![]), records()[active].certificate.clone()] {
        let at = place(&records(), KeyPurpose::TaskIssuing, KeyState::Active);
        let mut changed = records();
        changed[at].certificate = certificate;
        assert!(matches!(open(changed), OpenError::Certificate { .. }));
    }
    let at = place(&records(), KeyPurpose::TaskIssuing, KeyState::Active);
    let root = place(&records(), KeyPurpose::TaskRoot, KeyState::Active);
    let mut changed = records();
    changed[at].certificate = changed[root].certificate.clone();
    assert!(matches!(open(changed), OpenError::Certificate { .. }));
}

#[test]
fn each_purpose_has_exactly_one_active_key() {
    for purpose in KeyPurpose::ALL {
        let mut none = records();
        none.retain(|r| !(r.purpose == *purpose && r.state == KeyState::Active));
        assert!(matches!(open(none), OpenError::NoActive(p) if p == *purpose));
        let mut two = records();
        two.push(two[place(&two, *purpose, KeyState::Active)].clone());
        assert!(matches!(open(two), OpenError::TwoActive(p) if p == *purpose));
    }
}

#[test]
fn urls_that_cannot_stand_in_a_credential_are_refused() {
    for bad in [
        "",
        "broker.example",
        "https://",
        "ftp://x",
        "https://ä.example",
        "https://a b",
    ] {
        for (config, name) in [
            (
                IssuerConfig {
                    issuer_url: bad.into(),
                    ..config()
                },
                "issuer URL",
            ),
            (
                IssuerConfig {
                    crl_url: bad.into(),
                    ..config()
                },
                "CRL URL",
            ),
        ] {
            let refused = Issuer::open(records(), config, &kek());
            assert!(
                matches!(refused, Err(OpenError::Url(n)) if n == name),
                "{bad}"
            );
        }
    }
}

#[test]
fn a_next_key_opens_beside_the_others() {
    let before = issuer();
    for purpose in KeyPurpose::ALL {
        let next = before.make_next(*purpose, NOW, &kek());
        if matches!(purpose, KeyPurpose::ControlRoot | KeyPurpose::TaskRoot) {
            assert!(matches!(next, Err(InitError::Root(p)) if p == *purpose));
            continue;
        }
        let next = next.unwrap();
        assert_eq!((next.purpose, next.state), (*purpose, KeyState::Prepared));
        let mut records = records();
        records.push(next);
        assert!(Issuer::open(records, config(), &kek()).is_ok(), "{purpose}");
    }
}

#[test]
fn heartbeats_and_checkpoints_have_keys_of_their_own() {
    let issuer = issuer();
    let beat = Heartbeat {
        epoch: 1,
        seq: 7,
        at: NOW,
        digest: [9; 32],
    };
    let signature = issuer.sign_heartbeat(&beat).unwrap();
    assert!(beat.verify(issuer.feed_key(), &signature).is_ok());
    assert!(beat.verify(issuer.checkpoint_key(), &signature).is_err());
    let signature = issuer.sign_checkpoint(b"note").unwrap();
    assert!(issuer.checkpoint_key().verify(b"note", &signature).is_ok());
    let shown = format!("{issuer:?}");
    assert!(!shown.contains("sealed"), "{shown}");
}

#[test]
fn no_key_s_id_looks_like_an_option() {
    let issuer = issuer();
    for _ in 0..200 {
        let next = issuer.make_next(KeyPurpose::Feed, NOW, &kek()).unwrap();
        assert!(!next.id.as_str().starts_with('-'));
    }
}
