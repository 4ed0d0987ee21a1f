mod random;

use std::time::Duration;

use taskpass_api::v1::{
    Revocation, RevocationSelector, revocation_selector::Selector as Wire,
    watch_revocations_response::Resync,
};
use taskpass_core::revocation::Selector;

use super::*;
use crate::testing::{Broker, NOW, rule, task_id};

fn task(seq: u64) -> Rule {
    rule(seq, Selector::Task(task_id(seq)), NOW)
}

/// A feed that has loaded and confirmed rules 1 and 2.
fn begun(broker: &Broker) -> FeedState {
    let mut state = FeedState::default();
    state.connected();
    let rules = [task(1), task(2)];
    let effect = state.on(broker.snapshot(&rules, 2), NOW).unwrap();
    assert!(matches!(effect, Effect::Load { rules } if rules.len() == 2));
    let beat = broker.heartbeat(&rules, 2, NOW);
    assert_eq!(state.on(beat, NOW), Ok(Effect::Confirm { seq: 2, at: NOW }));
    state
}

fn later(secs: u64) -> Timestamp {
    NOW.plus(Duration::from_secs(secs))
}

#[test]
fn frames_follow_one_another() {
    let broker = Broker::new(5);
    let mut state = begun(&broker);
    let effect = state.on(Broker::frame(2, 4, &[task(4)]), NOW).unwrap();
    assert!(matches!(effect, Effect::Add { rules, seq: 4, drill: None } if rules[0].seq == 4));
    assert_eq!(state.resume_point(), (5, 4));
    let rules = [task(1), task(2), task(4)];
    let beat = broker.heartbeat(&rules, 4, later(1));
    assert!(matches!(
        state.on(beat, later(1)),
        Ok(Effect::Confirm { seq: 4, .. })
    ));
    let beat = broker.heartbeat(&[], 4, later(2));
    assert_eq!(state.on(beat, later(2)), Err(FeedError::Digest));
}

/// What may not follow rules 1 and 2 of epoch 5.
#[expect(clippy::too_many_lines, reason = "a table")]
fn misfits(broker: &Broker) -> Vec<(&'static str, WatchRevocationsResponse, FeedError)> {
    let stranger = Broker::with_key(5, [9; 32]);
    let two = [task(1), task(2)];
    let unknown = |selector| Revocation {
        selector: Some(RevocationSelector { selector }),
        ..Broker::wire(&task(3))
    };
    let odd = |wire: Revocation| Broker::raw_frame(2, 3, vec![wire]);
    vec![
        (
            "a gap",
            Broker::frame(3, 4, &[task(4)]),
            FeedError::Gap {
                expected: 2,
                got: 3,
            },
        ),
        (
            "a repetition",
            Broker::frame(1, 2, &[task(2)]),
            FeedError::Gap {
                expected: 2,
                got: 1,
            },
        ),
        (
            "backwards",
            Broker::frame(2, 1, &[]),
            FeedError::Gap {
                expected: 2,
                got: 2,
            },
        ),
        (
            "outside its frame",
            Broker::frame(2, 3, &[task(4)]),
            FeedError::Place { seq: 4 },
        ),
        (
            "before its frame",
            Broker::frame(2, 3, &[task(2)]),
            FeedError::Place { seq: 2 },
        ),
        (
            "twice",
            Broker::frame(2, 3, &[task(3), task(3)]),
            FeedError::Place { seq: 3 },
        ),
        (
            "an unknown selector",
            odd(unknown(None)),
            FeedError::Rule { seq: 3 },
        ),
        (
            "an owner",
            odd(unknown(Some(Wire::Owner("o".into())))),
            FeedError::Rule { seq: 3 },
        ),
        (
            "not everything",
            odd(unknown(Some(Wire::Everything(false)))),
            FeedError::Rule { seq: 3 },
        ),
        (
            "no name",
            odd(unknown(Some(Wire::Agent("A B".into())))),
            FeedError::Rule { seq: 3 },
        ),
        (
            "no end",
            odd(Revocation {
                prune_at: None,
                ..Broker::wire(&task(3))
            }),
            FeedError::Rule { seq: 3 },
        ),
        (
            "a newer heartbeat",
            broker.heartbeat(&two, 3, later(1)),
            FeedError::Gap {
                expected: 2,
                got: 3,
            },
        ),
        (
            "another set",
            broker.heartbeat(&two[..1], 2, later(1)),
            FeedError::Digest,
        ),
        (
            "another epoch",
            Broker::new(6).heartbeat(&two, 2, later(1)),
            FeedError::Epoch,
        ),
        (
            "another key",
            stranger.heartbeat(&two, 2, later(1)),
            FeedError::Signature,
        ),
        (
            "an unknown message",
            WatchRevocationsResponse { message: None },
            FeedError::Unknown,
        ),
        (
            "a late resumption",
            broker.resumed(2),
            FeedError::OutOfTurn { kind: "resumption" },
        ),
        (
            "epoch nought",
            Broker::new(0).snapshot(&two, 2),
            FeedError::Epoch,
        ),
        (
            "a snapshot from the future",
            broker.snapshot(&two, 1),
            FeedError::Place { seq: 2 },
        ),
    ]
}

#[test]
fn whatever_does_not_fit_asks_for_a_snapshot() {
    let broker = Broker::new(5);
    let two = [task(1), task(2)];
    for (what, message, expected) in misfits(&broker) {
        let mut state = begun(&broker);
        assert_eq!(state.on(message, later(1)), Err(expected), "{what}");
        assert_eq!(state.resume_point(), (0, 0), "{what}");
        // Nothing but a snapshot goes on.
        let beat = broker.heartbeat(&two, 2, later(2));
        assert_eq!(
            state.on(beat, later(2)),
            Err(FeedError::OutOfTurn { kind: "heartbeat" }),
            "{what}"
        );
        assert!(
            state.on(broker.snapshot(&two, 2), later(2)).is_ok(),
            "{what}"
        );
    }
}

#[test]
fn a_broken_stream_is_continued_only_where_it_ended() {
    let broker = Broker::new(5);
    let mut state = begun(&broker);
    state.connected();
    let early = state.on(Broker::frame(2, 3, &[task(3)]), NOW);
    assert_eq!(early, Err(FeedError::OutOfTurn { kind: "frame" }));

    let mut state = begun(&broker);
    state.connected();
    assert_eq!(state.resume_point(), (5, 2));
    assert_eq!(state.on(broker.resumed(2), NOW), Ok(Effect::Nothing));
    assert!(state.on(Broker::frame(2, 3, &[task(3)]), NOW).is_ok());

    let mut state = begun(&broker);
    state.connected();
    let other = state.on(Broker::new(6).resumed(2), NOW);
    assert_eq!(other, Err(FeedError::Epoch));

    let mut state = FeedState::default();
    state.connected();
    let nothing = state.on(broker.resumed(0), NOW);
    assert_eq!(nothing, Err(FeedError::OutOfTurn { kind: "resumption" }));
}

#[test]
fn a_resync_forgets_the_place() {
    let broker = Broker::new(5);
    let mut state = begun(&broker);
    let resync = Message::Resync(Resync {
        reason: "history pruned".into(),
    });
    let message = WatchRevocationsResponse {
        message: Some(resync),
    };
    assert!(matches!(state.on(message, NOW), Ok(Effect::Reload { .. })));
    assert_eq!(state.resume_point(), (0, 0));
    assert!(state.on(Broker::frame(2, 3, &[task(3)]), NOW).is_err());
    assert!(state.on(broker.snapshot(&[task(3)], 3), NOW).is_ok());
}

#[test]
fn a_replica_that_lags_does_not_take_rules_back() {
    let broker = Broker::new(5);
    let mut state = begun(&broker);
    state.on(Broker::frame(2, 4, &[task(4)]), NOW).unwrap();
    // Another stream, from a replica that has not heard of rule 4, and catches up.
    let two = [task(1), task(2)];
    state.on(broker.snapshot(&two, 2), NOW).unwrap();
    let beat = broker.heartbeat(&two, 2, later(1));
    let behind = FeedError::Behind { known: 4, got: 2 };
    assert_eq!(state.on(beat, later(1)), Err(behind));
    state.on(broker.snapshot(&two, 2), NOW).unwrap();
    state.on(Broker::frame(2, 4, &[task(4)]), NOW).unwrap();
    let beat = broker.heartbeat(&[task(1), task(2), task(4)], 4, later(2));
    assert!(matches!(
        state.on(beat, later(2)),
        Ok(Effect::Confirm { seq: 4, .. })
    ));
    // Another life of the store counts anew.
    let restored = Broker::new(6);
    state.on(restored.snapshot(&two, 2), NOW).unwrap();
    let beat = restored.heartbeat(&two, 2, later(3));
    assert!(matches!(
        state.on(beat, later(3)),
        Ok(Effect::Confirm { seq: 2, .. })
    ));
}

#[test]
fn a_heartbeat_of_another_time_proves_nothing() {
    let broker = Broker::new(5);
    let two = [task(1), task(2)];
    for (at, now, proves) in [
        (later(60), later(0), true),
        (later(61), later(0), false),
        (later(1), later(61), true),
        (later(1), later(62), false),
        // No newer than the one before.
        (later(0), later(1), false),
    ] {
        let mut state = begun(&broker);
        let effect = state.on(broker.heartbeat(&two, 2, at), now).unwrap();
        let expected = if proves {
            Effect::Confirm { seq: 2, at }
        } else {
            Effect::Skewed { at }
        };
        assert_eq!(effect, expected, "{at} {now}");
        // The place is kept: the next good one goes on.
        let at = later(70);
        let beat = broker.heartbeat(&two, 2, at);
        assert_eq!(state.on(beat, at), Ok(Effect::Confirm { seq: 2, at }));
    }
}

#[test]
fn the_feeds_key_is_an_ed25519_key() {
    let broker = Broker::new(5);
    for jwk in ["", "{}", r#"{"kty":"oct","k":"AAAA"}"#] {
        let Some(Message::Snapshot(mut snapshot)) = broker.snapshot(&[], 0).message else {
            unreachable!()
        };
        snapshot.feed_jwk = jwk.into();
        let message = WatchRevocationsResponse {
            message: Some(Message::Snapshot(snapshot)),
        };
        assert_eq!(FeedState::default().on(message, NOW), Err(FeedError::Key));
    }
}

/// Every kind of selector survives the wire with its digest.
#[test]
fn every_selector_is_understood() {
    let broker = Broker::new(5);
    let key = taskpass_core::key::KeyId::from_thumbprint(taskpass_core::secret::Sha256::of(b"k"));
    let selectors = [
        Selector::Credential(taskpass_core::CredentialId::first_at(NOW)),
        Selector::Task(task_id(1)),
        Selector::Agent("a".parse().unwrap()),
        Selector::Target(crate::testing::ledger()),
        Selector::Key(key),
        Selector::Everything,
    ];
    let rules: Vec<_> = (1..).zip(selectors).map(|(n, s)| rule(n, s, NOW)).collect();
    let mut state = FeedState::default();
    let Ok(Effect::Load { rules: loaded }) = state.on(broker.snapshot(&rules, 6), NOW) else {
        panic!("not loaded")
    };
    let selectors = |rules: &[Rule]| rules.iter().map(|r| r.selector.clone()).collect::<Vec<_>>();
    assert_eq!(selectors(&loaded), selectors(&rules));
    let beat = broker.heartbeat(&rules, 6, later(1));
    assert!(matches!(
        state.on(beat, later(1)),
        Ok(Effect::Confirm { .. })
    ));
}
