//! Windows in every order, and a random history against a set of seconds.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

const fn at(secs: u64) -> Timestamp {
    Timestamp::from_secs(100_000 + secs)
}

fn batch(n: u64) -> BatchId {
    let mut bytes = [0; 16];
    bytes[8..].copy_from_slice(&(n + 1).to_be_bytes());
    BatchId::from_slice(&bytes).unwrap()
}

const fn covered(from: u64, until: u64) -> Covered {
    Covered {
        window: Window {
            from: at(from),
            until: at(until),
        },
        lost: 0,
        unknown: 0,
        last: false,
    }
}

/// Takes windows one after the other, each at its end; what was told after each.
fn told(windows: &[Covered]) -> Vec<Vec<(u64, u64, u64, u64)>> {
    let mut reporting = Reporting::default();
    let secs = |at: Timestamp| at.secs() - 100_000;
    windows
        .iter()
        .zip(0..)
        .map(|(covered, n)| {
            let (next, told) = reporting.after(batch(n), covered, covered.window.until);
            reporting = next;
            told.iter()
                .map(|one| (secs(one.from), secs(one.until), one.lost, one.unknown))
                .collect()
        })
        .collect()
}

#[test]
fn a_batch_is_named_by_sixteen_bytes() {
    assert!(BatchId::from_slice(&[1; 16]).is_some());
    for bad in [&[1; 15][..], &[1; 17], &[], &[0; 16]] {
        assert_eq!(BatchId::from_slice(bad), None, "{bad:?}");
    }
}

#[test]
fn a_span_is_told_when_it_begins_every_quarter_of_an_hour_and_when_it_ends() {
    let with = |from, until, lost, unknown| Covered {
        lost,
        unknown,
        ..covered(from, until)
    };
    let last = |from, until| Covered {
        last: true,
        ..covered(from, until)
    };
    let told = told(&[
        covered(0, 0),
        with(0, 30, 2, 1),
        with(30, 60, 0, 4),
        covered(60, 899),
        covered(899, 900),
        covered(900, 930),
        last(930, 960),
        // It begins anew.
        covered(1000, 1030),
    ]);
    let expected = [
        vec![(0, 0, 0, 0)],
        vec![],
        vec![],
        vec![],
        vec![(0, 900, 2, 5)],
        vec![],
        vec![(900, 960, 0, 0)],
        vec![(1000, 1030, 0, 0)],
    ];
    assert_eq!(told, expected);
}

#[test]
fn a_gap_ends_one_span_and_begins_another() {
    let told = told(&[
        covered(0, 10),
        covered(10, 40),
        // Within a second it meets, beyond it does not.
        covered(41, 70),
        covered(72, 100),
        covered(100, 130),
        // Of before the gap, and late: told by itself, and nothing else changes.
        covered(40, 41),
        covered(130, 1200),
    ]);
    let expected = [
        vec![(0, 10, 0, 0)],
        vec![],
        vec![],
        vec![(10, 70, 0, 0), (72, 100, 0, 0)],
        vec![],
        vec![(40, 41, 0, 0)],
        vec![(100, 1200, 0, 0)],
    ];
    assert_eq!(told, expected);
}

#[test]
fn a_window_that_was_covered_before_makes_nothing_longer_and_its_losses_count() {
    let again = Covered {
        lost: 3,
        ..covered(10, 20)
    };
    let back = covered(0, 10);
    let told = told(&[covered(10, 40), again, back, covered(40, 1000)]);
    let expected = [
        vec![(10, 40, 0, 0)],
        vec![],
        vec![],
        // From the window that reached back.
        vec![(0, 1000, 3, 0)],
    ];
    assert_eq!(told, expected);
}

#[test]
fn the_newest_batches_are_known() {
    let mut reporting = Reporting::default();
    let many = u64::try_from(MAX_BATCHES).unwrap() + 5;
    for n in 0..many {
        assert!(!reporting.knows(batch(n)));
        (reporting, _) = reporting.after(batch(n), &covered(n, n + 1), at(n + 1));
        assert!(reporting.knows(batch(n)));
    }
    assert_eq!(reporting.batches.len(), MAX_BATCHES);
    let known: Vec<u64> = (0..many).filter(|n| reporting.knows(batch(*n))).collect();
    assert_eq!(known, (5..many).collect::<Vec<_>>());
}

proptest! {
    /// Whatever arrives in whatever order: what the trail is told is what was covered, no second
    /// more and none less, and every loss is told once.
    #[test]
    fn no_more_and_no_less_is_told_than_was_covered(
        windows in proptest::collection::vec((0_u64..4000, 0_u64..400, 0_u64..3, any::<bool>()), 1..40),
    ) {
        let mut reporting = Reporting::default();
        let (mut expected, mut lost) = (BTreeSet::new(), 0);
        let (mut seen, mut told_lost) = (BTreeSet::new(), 0);
        let mut now = at(0);
        for ((from, length, losses, last), n) in windows.into_iter().zip(0..) {
            let one = Covered { lost: losses, last, ..covered(from, from + length) };
            now = now.max(one.window.until);
            expected.extend(from..=from + length);
            lost += losses;
            let told;
            (reporting, told) = reporting.after(batch(n), &one, now);
            for facts in told {
                prop_assert!(facts.from <= facts.until);
                seen.extend(facts.from.secs() - 100_000..=facts.until.secs() - 100_000);
                told_lost += facts.lost;
            }
        }
        // The end tells the rest.
        if let Some(span) = reporting.span {
            let end = Covered {
                window: Window { from: span.until, until: span.until },
                lost: 0,
                unknown: 0,
                last: true,
            };
            let (_, told) = reporting.after(batch(999), &end, now);
            for facts in told {
                seen.extend(facts.from.secs() - 100_000..=facts.until.secs() - 100_000);
                told_lost += facts.lost;
            }
        }
        prop_assert_eq!(seen, expected);
        prop_assert_eq!(told_lost, lost);
    }
}
