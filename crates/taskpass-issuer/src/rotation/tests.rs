//! The table of a key's life, as pure functions of records and time.

use super::*;
use taskpass_core::secret::Sha256;

fn key(name: &[u8], state: KeyState, created: u64) -> KeyRecord {
    KeyRecord {
        id: KeyId::from_thumbprint(Sha256::of(name)),
        purpose: KeyPurpose::TokenEs256,
        state,
        created_at: Timestamp::from_secs(created),
        activate_at: None,
        activated_at: (state == KeyState::Active).then(|| Timestamp::from_secs(created)),
        retired_at: None,
        not_after: None,
        public: vec![],
        certificate: None,
        chain: vec![],
        crl: None,
        sealed: vec![1],
    }
}

#[test]
fn a_key_takes_over_when_it_is_known_and_its_time_has_come() {
    let purpose = KeyPurpose::TokenEs256;
    let active = key(b"a", KeyState::Active, 0);
    let alone = [active.clone()];
    let month = period(purpose).unwrap().as_secs();
    let at = Timestamp::from_secs;
    assert!(should_prepare_next(&alone, purpose));
    assert!(!should_activate_next(&alone, purpose, at(month)));
    assert_eq!(activate_next(&alone, purpose, at(month)), None);

    let pair = [active, key(b"b", KeyState::Prepared, 1000)];
    assert!(!should_prepare_next(&pair, purpose));
    assert!(!may_activate(&pair[1], at(1299)));
    assert!(may_activate(&pair[1], at(1300)));
    assert!(!should_activate_next(&pair, purpose, at(month - 1)));
    assert!(should_activate_next(&pair, purpose, at(month)));
    assert_eq!(activate_next(&pair, purpose, at(1299)), None);

    let changed = activate_next(&pair, purpose, at(month)).unwrap();
    assert_eq!(changed.len(), 2);
    assert_eq!(
        (&changed[0].id, changed[0].state),
        (&pair[1].id, KeyState::Active)
    );
    assert_eq!(changed[0].activated_at, Some(at(month)));
    assert_eq!(
        (&changed[1].id, changed[1].state),
        (&pair[0].id, KeyState::Retired)
    );
    assert_eq!(changed[1].retired_at, Some(at(month)));
}

#[test]
fn a_tainted_key_is_followed_at_once() {
    let purpose = KeyPurpose::TokenEs256;
    let keys = [
        key(b"a", KeyState::Tainted, 0),
        key(b"b", KeyState::Prepared, 0),
    ];
    assert!(should_activate_next(
        &keys,
        purpose,
        Timestamp::from_secs(300)
    ));
    let changed = activate_next(&keys, purpose, Timestamp::from_secs(300)).unwrap();
    assert_eq!(changed.len(), 1);
    assert_eq!(changed[0].id, keys[1].id);
}

#[test]
fn tainting_the_active_key_activates_the_waiting_one() {
    let keys = [
        key(b"a", KeyState::Active, 0),
        key(b"b", KeyState::Prepared, 9),
    ];
    let now = Timestamp::from_secs(10);
    let states = |changed: &[KeyRecord]| -> Vec<_> {
        changed.iter().map(|k| (k.id.clone(), k.state)).collect()
    };
    let (a, b) = (keys[0].id.clone(), keys[1].id.clone());
    assert_eq!(
        states(&taint(&keys, &a, now).unwrap()),
        [
            (a.clone(), KeyState::Tainted),
            (b.clone(), KeyState::Active)
        ]
    );
    assert_eq!(
        states(&taint(&keys, &b, now).unwrap()),
        [(b.clone(), KeyState::Tainted)]
    );
    let purpose = KeyPurpose::TokenEs256;
    assert_eq!(
        taint(&keys[..1], &a, now),
        Err(TaintError::NoSuccessor(purpose))
    );
    assert_eq!(taint(&keys[..1], &b, now), Err(TaintError::Unknown(b)));
    let again = [key(b"a", KeyState::Tainted, 0)];
    assert_eq!(taint(&again, &a, now), Ok(vec![]));
    let root = [KeyRecord {
        purpose: KeyPurpose::TaskRoot,
        ..key(b"a", KeyState::Active, 0)
    }];
    assert_eq!(
        taint(&root, &a, now),
        Err(TaintError::Root(KeyPurpose::TaskRoot))
    );
}

#[test]
fn roots_stay() {
    for purpose in [
        KeyPurpose::TaskRoot,
        KeyPurpose::ControlRoot,
        KeyPurpose::LogCheckpoint,
    ] {
        assert!(!should_prepare_next(&[], purpose));
        assert!(!should_activate_next(
            &[],
            purpose,
            Timestamp::from_secs(u64::MAX)
        ));
    }
}

const DAY: u64 = 24 * 3600;

fn at(secs: u64) -> Timestamp {
    Timestamp::from_secs(secs)
}

/// Applies every step that is due; a key that is to be made is `made`, never published before `now`.
fn settle(keys: &mut Vec<KeyRecord>, now: Timestamp, made: &mut u64) {
    for _ in 0..20 {
        match next_step(keys, now, true) {
            None => return,
            Some(Step::Make(purpose)) => {
                *made += 1;
                keys.push(KeyRecord {
                    purpose,
                    ..key(&made.to_be_bytes(), KeyState::Prepared, now.secs())
                });
            }
            Some(Step::Change(changed, _)) => {
                for record in changed {
                    let old = keys.iter_mut().find(|old| old.id == record.id).unwrap();
                    assert_ne!(*old, record, "a step that changes nothing would never end");
                    *old = record;
                }
            }
        }
    }
    panic!("the steps do not end");
}

fn slot(keys: &[KeyRecord], state: KeyState) -> Vec<&KeyRecord> {
    of(keys, KeyPurpose::TokenEs256, state).collect()
}

#[test]
fn a_year_of_a_slot() {
    let mut keys = vec![key(b"first", KeyState::Active, 0)];
    let mut made = 0;
    let mut taken_over = 0;
    let mut active = keys[0].id.clone();
    for minute in 0..(365 * 24 * 60) {
        if minute % 7 != 0 {
            continue;
        }
        let now = at(minute * 60);
        settle(&mut keys, now, &mut made);
        let [signs] = slot(&keys, KeyState::Active)[..] else {
            panic!("{keys:?}");
        };
        assert_eq!(slot(&keys, KeyState::Prepared).len(), 1);
        let published = keys
            .iter()
            .filter(|key| key.purpose == KeyPurpose::TokenEs256 && key.is_published(now))
            .count();
        assert!(published <= MAX_PUBLISHED);
        let private = keys
            .iter()
            .filter(|key| key.purpose == KeyPurpose::TokenEs256 && key.has_private())
            .count();
        assert!(private <= MAX_PUBLISHED, "what is not needed is destroyed");
        if signs.id != active {
            taken_over += 1;
            active = signs.id.clone();
            assert!(now >= signs.created_at.plus(JWKS_MAX_AGE));
        }
    }
    assert_eq!(taken_over, 12);
}

#[test]
fn what_was_asked_for_happens_when_verifiers_can_know_the_key() {
    let asked = KeyRecord {
        activate_at: Some(at(1300)),
        ..key(b"b", KeyState::Prepared, 1000)
    };
    let keys = [key(b"a", KeyState::Active, 0), asked];
    let purpose = KeyPurpose::TokenEs256;
    assert!(!should_activate_next(&keys, purpose, at(1299)));
    assert!(should_activate_next(&keys, purpose, at(1300)));
    assert_eq!(takes_over_at(&keys, purpose, at(1000)), Some(at(1300)));
    let planned = [keys[0].clone(), key(b"b", KeyState::Prepared, 1000)];
    assert_eq!(
        takes_over_at(&planned, purpose, at(1000)),
        Some(at(30 * DAY))
    );
    assert_eq!(takes_over_at(&planned[..1], purpose, at(1000)), None);
}

#[test]
fn a_slot_has_one_key_that_retired() {
    let retired = KeyRecord {
        retired_at: Some(at(1000)),
        activated_at: Some(at(0)),
        ..key(b"r", KeyState::Retired, 0)
    };
    let asked = KeyRecord {
        activate_at: Some(at(0)),
        ..key(b"b", KeyState::Prepared, 0)
    };
    let keys = [retired, key(b"a", KeyState::Active, 1000), asked];
    let purpose = KeyPurpose::TokenEs256;
    let until = 1000 + 3600 + 60;
    assert_eq!(room_from(&keys, purpose, at(2000)), Some(at(until)));
    assert!(!should_activate_next(&keys, purpose, at(until - 1)));
    assert!(should_activate_next(&keys, purpose, at(until)));
    assert_eq!(takes_over_at(&keys, purpose, at(2000)), Some(at(until)));
}

#[test]
fn an_authority_is_followed_before_it_could_not_cover_its_leaves() {
    let authority = |name: &[u8], state, created, ends| KeyRecord {
        purpose: KeyPurpose::ControlIssuing,
        not_after: Some(at(ends)),
        ..key(name, state, created)
    };
    let keys = [
        authority(b"a", KeyState::Active, 0, 40 * DAY),
        authority(b"b", KeyState::Prepared, 0, 365 * DAY),
    ];
    let purpose = KeyPurpose::ControlIssuing;
    // Seven days for the longest identity, and one of margin.
    assert_eq!(serves_until(&keys[0]), Some(at(32 * DAY)));
    assert!(!should_activate_next(&keys, purpose, at(32 * DAY - 1)));
    assert!(should_activate_next(&keys, purpose, at(32 * DAY)));
    // One that has ended signs nothing that anybody accepts: whoever follows, follows at once.
    let late = [
        authority(b"a", KeyState::Active, 0, 40 * DAY),
        authority(b"b", KeyState::Prepared, 40 * DAY, 365 * DAY),
    ];
    assert!(should_activate_next(&late, purpose, at(40 * DAY)));
    assert!(!may_activate(&late[1], at(40 * DAY)));
    let dead = [
        authority(b"a", KeyState::Active, 0, 40 * DAY),
        authority(b"b", KeyState::Prepared, 0, 39 * DAY),
    ];
    assert!(!should_activate_next(&dead, purpose, at(40 * DAY)));
}

#[test]
fn a_broker_that_slept_for_two_years_begins_anew() {
    let root = KeyRecord {
        purpose: KeyPurpose::TaskRoot,
        ..key(b"root", KeyState::Active, 0)
    };
    let authority = |name: &[u8], state, created| KeyRecord {
        purpose: KeyPurpose::TaskIssuing,
        not_after: Some(at(created + 365 * DAY)),
        ..key(name, state, created)
    };
    let keys = vec![
        root,
        authority(b"a", KeyState::Active, 0),
        authority(b"b", KeyState::Prepared, 0),
    ];
    let now = at(730 * DAY);
    let aged = &keys[2].id;
    let Some(Step::Change(changed, _)) = next_step(&keys, now, true) else {
        panic!("the aged one goes first");
    };
    assert_eq!(
        (&changed[0].id, changed[0].state),
        (aged, KeyState::Retired)
    );
    assert!(!changed[0].has_private() && !changed[0].is_published(now));
    // Without the root here it stays: it is all there is.
    let mut elsewhere = keys.clone();
    elsewhere[0].sealed = vec![];
    assert!(matches!(
        next_step(&elsewhere, now, true),
        Some(Step::Make(KeyPurpose::TokenEs256))
    ));
}

#[test]
fn nothing_is_destroyed_while_the_time_is_in_doubt() {
    let retired = KeyRecord {
        activated_at: Some(at(0)),
        retired_at: Some(at(0)),
        ..key(b"r", KeyState::Retired, 0)
    };
    let keys = [
        retired,
        key(b"a", KeyState::Active, 0),
        key(b"p", KeyState::Prepared, 0),
    ];
    let due = |now, forget| match next_step(&keys, at(now), forget) {
        Some(Step::Change(changed, _)) => changed,
        // The other slots are empty here: making their keys is due, whatever else is.
        _ => Vec::new(),
    };
    assert_eq!(due(3660, true), [keys[0].destroyed()]);
    assert_eq!(due(3660, false), []);
    assert_eq!(due(3659, true), []);
    let changed = due(30 * DAY, true);
    assert_eq!(
        changed[0].state,
        KeyState::Active,
        "taking over comes first"
    );
}

#[test]
fn a_tainted_key_is_destroyed_and_one_held_back_follows_last() {
    let held_back = KeyRecord {
        activate_at: Some(at(7 * DAY)),
        ..key(b"new root", KeyState::Prepared, 0)
    };
    let keys = [
        key(b"a", KeyState::Active, 0),
        held_back,
        key(b"fresh", KeyState::Prepared, 50),
    ];
    let changed = taint(&keys, &keys[0].id, at(50)).unwrap();
    assert_eq!(changed[0].state, KeyState::Tainted);
    assert!(!changed[0].has_private());
    assert_eq!(changed[1].id, keys[2].id);
    let changed = taint(&keys[..2], &keys[0].id, at(50)).unwrap();
    assert_eq!(changed[1].id, keys[1].id, "better than none");
    let checkpoint = KeyRecord {
        purpose: KeyPurpose::LogCheckpoint,
        ..keys[0].clone()
    };
    assert!(matches!(
        taint(&[checkpoint], &keys[0].id, at(50)),
        Err(TaintError::Log(_))
    ));
}

#[test]
fn one_that_stood_by_for_too_long_does_not_take_over() {
    let purpose = KeyPurpose::TaskIssuing;
    let day = 24 * 3600;
    let until = |name: &[u8], state, days: u64| KeyRecord {
        purpose,
        not_after: Some(Timestamp::from_secs(days * day)),
        ..key(name, state, 0)
    };
    let due = Timestamp::from_secs(120 * day);
    for (days, takes_over) in [(100, false), (120, false), (121, true), (400, true)] {
        let keys = [
            until(b"a", KeyState::Active, 700),
            until(b"b", KeyState::Prepared, days),
        ];
        assert_eq!(
            should_activate_next(&keys, purpose, due),
            takes_over,
            "{days}"
        );
        assert_eq!(is_of_use(&keys[1], due), takes_over);
    }
}
