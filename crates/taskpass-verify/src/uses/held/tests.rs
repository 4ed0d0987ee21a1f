//! No use is counted twice, and none is forgotten without being counted as lost.

use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::testing::{NOW, ledger};

fn id(n: u8) -> CredentialId {
    let mut bytes = *CredentialId::first_at(NOW).as_bytes();
    bytes[15] = n;
    CredentialId::from_bytes(bytes).unwrap()
}

fn at(secs: u64) -> Timestamp {
    NOW.plus(Duration::from_secs(secs))
}

fn what<'a>(
    target: &'a TargetUri,
    scope: &'a ScopeName,
    action: Option<&'a str>,
    resource: Option<&'a str>,
) -> What<'a> {
    What {
        target,
        scope: Some(scope),
        action,
        resource,
        outcome: Outcome::Allowed,
    }
}

fn counts(taken: &Taken) -> Vec<(Option<&str>, Option<&str>, u32)> {
    let slots = taken.slots.iter();
    slots
        .map(|(_, slot)| (slot.action.as_deref(), slot.resource.as_deref(), slot.count))
        .collect()
}

#[test]
fn what_is_the_same_is_one_count_with_its_first_and_last_time() {
    let (target, read) = (ledger(), "read".parse().unwrap());
    let held = Held::new(64);
    let plain = what(&target, &read, None, None);
    // Clocks go back.
    for secs in [5, 9, 2] {
        assert!(held.add(id(1), &plain, at(secs)).kept);
    }
    let refused = What {
        outcome: Outcome::Refused,
        ..plain
    };
    let unscoped = What {
        scope: None,
        ..plain
    };
    held.add(id(1), &refused, at(1));
    held.add(id(1), &unscoped, at(1));
    held.add(id(2), &plain, at(1));
    assert_eq!(held.len(), 4);
    let taken = held.take();
    let (of, slot) = &taken.slots[0];
    assert_eq!((*of, slot.count), (id(1), 3));
    assert_eq!((slot.first_at, slot.last_at), (at(2), at(9)));
    assert_eq!(taken.slots.len(), 4);
    assert_eq!((held.len(), held.take().slots.len()), (0, 0));
}

#[test]
fn where_there_is_no_room_names_give_way_before_uses_are_lost() {
    let (target, read) = (ledger(), "read".parse().unwrap());
    // Four in each part.
    let held = Held::new(64);
    let of = |action, resource| what(&target, &read, action, resource);
    for (action, resource, kept) in [
        (None, None, true),
        (Some("pay"), None, true),
        (Some("pay"), Some("1"), true),
        (Some("pay"), Some("2"), true),
        // Full.
        (Some("pay"), Some("3"), true),
        (Some("other"), Some("4"), true),
        (Some("pay"), Some("2"), true),
    ] {
        assert_eq!(held.add(id(16), &of(action, resource), at(0)).kept, kept);
    }
    // Another credential of the same part has no room, one of another part has.
    assert!(!held.add(id(32), &of(None, None), at(0)).kept);
    assert!(held.add(id(17), &of(None, None), at(0)).kept);
    let taken = held.take();
    let expected = [
        (None, None, 2),
        (Some("pay"), None, 2),
        (Some("pay"), Some("1"), 1),
        (Some("pay"), Some("2"), 2),
        (None, None, 1),
    ];
    assert_eq!(counts(&taken), expected);
    assert_eq!(taken.lost.get(&target), Some(&1));
    assert!(held.take().lost.is_empty(), "told once");
}

#[test]
fn a_name_that_comes_in_time_moves_the_count_and_one_that_is_late_changes_nothing() {
    let (target, read) = (ledger(), "read".parse().unwrap());
    let held = Held::new(64);
    let (plain, paid) = (
        what(&target, &read, None, None),
        what(&target, &read, Some("pay"), None),
    );
    let gathering = held.add(id(1), &plain, at(0)).gathering;
    held.add(id(1), &plain, at(1));
    held.rename(id(1), gathering, &plain, &paid, at(2));
    let expected = [(None, None, 1), (Some("pay"), None, 1)];
    assert_eq!(counts(&held.take()), expected);
    held.rename(id(1), gathering, &plain, &paid, at(3));
    assert!(held.take().slots.is_empty());
    // Nor does one of what was never there.
    let next = held.add(id(1), &paid, at(4)).gathering;
    held.rename(id(1), next, &plain, &paid, at(5));
    assert_eq!(counts(&held.take()), [(Some("pay"), None, 1)]);
}

proptest! {
    /// Whatever comes, is named and is taken, in whatever order: as many as came are in what was taken or
    /// lost, and no part holds more than its share.
    #[test]
    fn every_use_is_counted_once(
        steps in proptest::collection::vec((0_u8..40, 0_u8..4, 0_u8..6, 0_u8..12), 1..400),
    ) {
        let (target, read): (_, ScopeName) = (ledger(), "read".parse().unwrap());
        let held = Held::new(64);
        let names = ["a", "b", "c", "d", "e", "f"];
        let (mut came, mut seen) = (0_u64, 0_u64);
        let mut count = |taken: Taken| {
            seen += taken.slots.iter().map(|(_, slot)| u64::from(slot.count)).sum::<u64>();
            seen += taken.lost.values().sum::<u64>();
        };
        let mut gathering = 0;
        for (who, action, resource, step) in steps {
            let name = |n: u8| names.get(usize::from(n)).copied().filter(|_| n > 0);
            let is = what(&target, &read, name(action), name(resource));
            let plain = what(&target, &read, None, None);
            match step {
                0 => count(held.take()),
                1..=4 => held.rename(id(who), gathering, &plain, &is, at(1)),
                _ => {
                    let used = if step < 8 { &plain } else { &is };
                    gathering = held.add(id(who), used, at(1)).gathering;
                    came += 1;
                }
            }
            prop_assert!(held.len() <= 64);
        }
        count(held.take());
        prop_assert_eq!(seen, came);
    }
}
