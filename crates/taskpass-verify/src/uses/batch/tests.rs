//! Windows that meet, in batches that the broker takes.

use std::sync::Arc;

use taskpass_core::rng::SeededRng;

use super::*;
use crate::testing::{NOW, ledger};

fn at(secs: u64) -> Timestamp {
    NOW.plus(Duration::from_secs(secs))
}

fn slot(n: u32, resource: usize) -> (CredentialId, Slot) {
    let slot = Slot {
        target: ledger(),
        scope: Some("read".parse().unwrap()),
        action: None,
        resource: Some(Arc::from("x".repeat(resource))),
        outcome: Outcome::Refused,
        count: n,
        first_at: at(1),
        last_at: at(2),
    };
    (CredentialId::first_at(NOW), slot)
}

fn made(taken: Taken, window: (u64, u64), last: bool) -> Vec<Batch> {
    let other: TargetUri = "https://b.example".parse().unwrap();
    let targets = [ledger(), other];
    let window = (at(window.0), at(window.1));
    let rng = SeededRng::new(1);
    batches(targets.iter(), taken, window, last, &rng).into()
}

#[test]
fn each_target_has_its_window_whether_anything_was_used_or_not() {
    let taken = Taken {
        slots: (1..=600).map(|n| slot(n, 3)).collect(),
        lost: [(ledger(), 7)].into(),
    };
    let made = made(taken, (0, 30), true);
    let of = made.iter().map(|batch| {
        let seconds = |at: &Option<prost_types::Timestamp>| at.unwrap().seconds;
        assert_eq!(
            seconds(&batch.covered_until) - seconds(&batch.covered_from),
            30
        );
        (&*batch.target, batch.items.len(), batch.lost, batch.last)
    });
    let (ledger, other) = ("https://ledger.example", "https://b.example");
    let expected = [
        (ledger, 256, 7, false),
        (ledger, 256, 0, false),
        (ledger, 88, 0, true),
        (other, 0, 0, true),
    ];
    assert_eq!(of.collect::<Vec<_>>(), expected);
    assert_eq!(made.iter().map(uses).sum::<u64>(), 600 * 601 / 2);
    let item = &made[0].items[0];
    assert_eq!(
        (item.scope.as_str(), item.resource.as_str()),
        ("read", "xxx")
    );
    assert_eq!(item.outcome, i32::from(v1::UseOutcome::Refused));
    let ids: std::collections::BTreeSet<_> = made.iter().map(|b| b.batch_id.to_vec()).collect();
    assert_eq!(ids.len(), 4, "each is a batch of its own");
}

#[test]
fn a_long_time_takes_several_windows_that_meet() {
    let day = 24 * 3600;
    let made = made(Taken::default(), (0, 3 * day), false);
    let of_ledger: Vec<_> = made
        .iter()
        .filter(|b| b.target.contains("ledger"))
        .collect();
    assert_eq!(of_ledger.len(), 4);
    let mut from = Some(timestamp(at(0)));
    for batch in &of_ledger {
        assert_eq!(batch.covered_from, from);
        let (from_s, until_s) = (from.unwrap().seconds, batch.covered_until.unwrap().seconds);
        assert!(until_s - from_s < i64::try_from(day).unwrap());
        from = batch.covered_until;
    }
    assert_eq!(from, Some(timestamp(at(3 * day))));
    // What is too old is a gap, and no reason to send for ever.
    let month = self::made(Taken::default(), (0, 30 * day), false);
    assert_eq!(month.len(), 2 * 7);
    assert_eq!(month[0].covered_from, Some(timestamp(at(24 * day))));
}

#[test]
fn a_call_has_no_more_than_the_broker_takes() {
    use prost::Message as _;
    for resource in [0, 100, 256] {
        let slots = (0..5000).map(|_| slot(u32::MAX, resource)).collect();
        let taken = Taken {
            slots,
            ..Taken::default()
        };
        let mut waiting: VecDeque<Batch> = made(taken, (0, 30), false).into();
        while !waiting.is_empty() {
            let many = in_one_call(&waiting);
            let call: Vec<Batch> = waiting.drain(..many).collect();
            let bytes: usize = call.iter().map(|batch| batch.encoded_len() + 5).sum();
            assert!((1..=32).contains(&call.len()));
            assert!(bytes <= 512 * 1024, "{bytes}");
            let estimated: usize = call.iter().map(size).sum();
            assert!(bytes <= estimated, "{bytes} {estimated}");
        }
    }
}

/// The broker would refuse the batch, and with it the window, again and again.
#[test]
fn no_more_is_said_to_be_lost_than_can_be() {
    for (lost, said) in [
        (u64::from(u32::MAX), u64::from(u32::MAX)),
        (u64::MAX, u64::from(u32::MAX)),
    ] {
        let taken = Taken {
            lost: [(ledger(), lost)].into(),
            ..Taken::default()
        };
        assert_eq!(made(taken, (0, 30), false)[0].lost, said);
    }
}
