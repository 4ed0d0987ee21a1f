use taskpass_core::revocation::Selector;

use super::*;
use crate::testing::{NOW, rule, task_id};

fn facts(task: u64) -> Facts {
    Facts {
        credential: None,
        agent: None,
        task: Some(task_id(task)),
        ancestors: Vec::new(),
        target: None,
        key: None,
        issued_at: NOW.secs(),
    }
}

fn of_task(seq: u64) -> Rule {
    rule(seq, Selector::Task(task_id(seq)), NOW)
}

fn judge(shared: &Shared, task: u64) -> Result<View, Refusal> {
    shared.judge(&facts(task), &[], Staleness::default(), Duration::ZERO)
}

#[test]
fn replacing_the_set_lets_nothing_through() {
    let shared = Shared::new();
    shared.load(vec![of_task(1)]);
    // Not complete yet, but what is known is refused as such.
    assert!(matches!(
        judge(&shared, 1),
        Err(Refusal::Revoked { seq: 1 })
    ));
    assert!(matches!(judge(&shared, 9), Err(Refusal::NotReady)));
    shared.confirm(1, NOW, Duration::ZERO);
    assert!(judge(&shared, 9).is_ok());
    // The next set comes in two pieces; the first lacks what the old one has.
    shared.load(vec![]);
    assert!(matches!(judge(&shared, 1), Err(Refusal::Revoked { .. })));
    shared.add(vec![of_task(2)], 2);
    assert!(matches!(judge(&shared, 2), Err(Refusal::Revoked { .. })));
    assert_eq!(shared.progress().borrow().seq, 1);
    assert_eq!(shared.size(Duration::ZERO), (Some(Duration::ZERO), 2));
    shared.confirm(2, NOW, Duration::ZERO);
    assert!(judge(&shared, 1).is_ok());
    assert!(matches!(judge(&shared, 2), Err(Refusal::Revoked { .. })));
    assert_eq!(
        *shared.progress().borrow(),
        Progress {
            ready: true,
            seq: 2
        }
    );
}

#[test]
fn a_set_that_was_never_confirmed_is_missed() {
    let shared = Shared::new();
    shared.load(vec![]);
    shared.confirm(0, NOW, Duration::ZERO);
    shared.load(vec![of_task(1)]);
    assert!(judge(&shared, 9).is_ok());
    shared.load(vec![]);
    assert!(matches!(judge(&shared, 1), Err(Refusal::Stale { .. })));
    shared.add(vec![of_task(1)], 1);
    shared.confirm(1, NOW, Duration::ZERO);
    assert!(matches!(judge(&shared, 1), Err(Refusal::Revoked { .. })));
    assert!(judge(&shared, 9).is_ok());
}

#[test]
fn rules_are_forgotten_by_the_brokers_time() {
    let shared = Shared::new();
    let rule = of_task(1);
    let prune_at = rule.prune_at;
    shared.load(vec![rule]);
    shared.confirm(1, prune_at.minus(Duration::from_millis(1)), Duration::ZERO);
    assert!(matches!(judge(&shared, 1), Err(Refusal::Revoked { .. })));
    shared.confirm(1, prune_at, Duration::ZERO);
    assert!(judge(&shared, 1).is_ok());
}

#[test]
fn a_poisoned_set_vouches_for_nothing() {
    let shared = Shared::new();
    shared.confirm(0, NOW, Duration::ZERO);
    assert!(judge(&shared, 1).is_ok());
    let half = std::panic::AssertUnwindSafe(|| shared.change(|_| panic!("half changed")));
    assert!(std::panic::catch_unwind(half).is_err());
    shared.confirm(0, NOW, Duration::ZERO);
    assert!(matches!(judge(&shared, 1), Err(Refusal::NotReady)));
}
