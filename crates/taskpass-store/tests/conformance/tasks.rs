//! When a task is live, how it ends, and how it starts once.

use taskpass_core::Timestamp;
use taskpass_core::revocation::Selector;
use taskpass_core::task::{EndReason, Ended, Task};
use taskpass_store::{Change, Commit, Guard, Refusal};

use crate::subject::Subject;
use crate::values::*;

fn live(subject: &mut dyn Subject, task: &Task, now: Timestamp) -> Result<(), Refusal> {
    let commit = Commit::new(now).guard(Guard::TaskLive { id: task.id });
    subject.commit(commit).map(drop)
}

fn over(task: &Task) -> Result<(), Refusal> {
    Err(Refusal::TaskNotLive { id: task.id })
}

fn end(task: &Task, ended: Ended) -> Commit {
    Commit::new(ended.at).change(Change::EndTask { id: task.id, ended })
}

const COMPLETED: EndReason = EndReason::Completed;

/// A root of agent 0, its child of agent 1, and the grandchild of agent 2.
fn family(subject: &mut dyn Subject) -> [Task; 3] {
    let root = task(1, 0, at(300), &[]);
    let child = task(2, 1, at(200), &[&root]);
    let grandchild = task(3, 2, at(100), &[&child]);
    let family = [root, child, grandchild];
    for task in &family {
        subject.commit(start(task)).unwrap();
    }
    family
}

pub(crate) fn live_until_the_deadline_and_not_at_it(subject: &mut dyn Subject) {
    let [root, _, grandchild] = family(subject);
    let last = Timestamp::from_millis(at(100).millis() - 1);
    assert_eq!(live(subject, &grandchild, last), Ok(()));
    assert_eq!(live(subject, &grandchild, at(100)), over(&grandchild));
    assert_eq!(live(subject, &root, at(100)), Ok(()));
}

pub(crate) fn over_with_any_ancestor(subject: &mut dyn Subject) {
    let [root, child, grandchild] = family(subject);
    let ended = |secs| Ended {
        at: at(secs),
        reason: COMPLETED,
    };
    subject.commit(end(&child, ended(10))).unwrap();
    assert_eq!(live(subject, &root, at(11)), Ok(()));
    assert_eq!(live(subject, &child, at(11)), over(&child));
    assert_eq!(live(subject, &grandchild, at(11)), over(&child));
    subject.commit(end(&root, ended(12))).unwrap();
    assert_eq!(live(subject, &grandchild, at(13)), over(&child));
    // A parent whose record is missing is over.
    let gone = task(9, 0, at(50), &[]);
    let orphan = task(10, 1, at(50), &[&gone]);
    subject.commit(start(&orphan)).unwrap();
    assert_eq!(live(subject, &orphan, at(1)), over(&gone));
}

/// Each rule meets a family with agents of its own: all start in the same second, so the rules
/// before it would reach them otherwise.
pub(crate) fn over_by_rule(subject: &mut dyn Subject) {
    for (first, by_rule) in [(1, 0), (4, 1), (7, 2), (10, 3), (13, 4)] {
        let root = task(first, first, at(300), &[]);
        let child = task(first + 1, first + 1, at(200), &[&root]);
        let grandchild = task(first + 2, first + 2, at(100), &[&child]);
        let family = [root, child, grandchild];
        for task in &family {
            subject.commit(start(task)).unwrap();
            assert_eq!(live(subject, task, at(50)), Ok(()));
        }
        let (selector, over_from) = match by_rule {
            0 => (Selector::Agent(agent(first + 2)), 2),
            1 => (Selector::Agent(agent(first + 1)), 1),
            2 => (Selector::Agent(agent(first)), 0),
            3 => (Selector::Task(family[1].id), 1),
            _ => (Selector::Everything, 0),
        };
        subject.commit(revoke(selector.clone(), at(0))).unwrap();
        for (depth, task) in family.iter().enumerate() {
            let expected = if depth < over_from {
                Ok(())
            } else {
                over(task)
            };
            assert_eq!(live(subject, task, at(50)), expected, "{selector} {depth}");
        }
    }
}

pub(crate) fn ended_once(subject: &mut dyn Subject) {
    let [root, ..] = family(subject);
    let first = Ended {
        at: at(5),
        reason: COMPLETED,
    };
    let second = Ended {
        at: at(6),
        reason: EndReason::Revoked,
    };
    assert!(
        subject
            .apply(&[end(&root, first), end(&root, second)])
            .iter()
            .all(Result::is_ok)
    );
    assert_eq!(
        subject.reader().task(root.id).unwrap().unwrap().ended,
        Some(first)
    );
    // Whoever records its end elsewhere too is told that it is not theirs; a task that a rule
    // matches has not ended yet.
    let other = task(4, 4, at(300), &[]);
    subject.commit(start(&other)).unwrap();
    subject
        .commit(revoke(Selector::Task(other.id), at(6)))
        .unwrap();
    let mine = |task: &Task| end(task, second).guard(Guard::NotEnded { id: task.id });
    assert_eq!(
        subject.commit(mine(&root)).unwrap_err(),
        over(&root).unwrap_err()
    );
    let outcomes = subject.apply(&[mine(&other), mine(&other)]);
    assert!(outcomes[0].is_ok());
    assert_eq!(
        outcomes[1].as_ref().unwrap_err(),
        &over(&other).unwrap_err()
    );
    // Ending what is not there does nothing.
    let unknown = task(9, 0, at(50), &[]);
    subject.commit(end(&unknown, first)).unwrap();
    assert_eq!(subject.reader().task(unknown.id).unwrap(), None);
}

pub(crate) fn a_repeated_start_is_the_same_start(subject: &mut dyn Subject) {
    let begin = |task: &Task, now, request| {
        let key = idempotency(0, 1, request);
        Commit::new(now)
            .guard(Guard::NotStarted(key.clone()))
            .change(Change::StartTask {
                task: task.clone(),
                idempotency: Some(key),
            })
    };
    let (first, second) = (task(1, 0, at(100), &[]), task(2, 0, at(200), &[]));
    let group = [
        begin(&first, at(1), 1),
        begin(&second, at(1), 1),
        begin(&second, at(1), 2),
    ];
    let outcomes = subject.apply(&group);
    let started = |task: &Task, same_request| Refusal::AlreadyStarted {
        task: task.id,
        same_request,
    };
    assert!(outcomes[0].is_ok());
    assert_eq!(outcomes[1].as_ref().unwrap_err(), &started(&first, true));
    assert_eq!(outcomes[2].as_ref().unwrap_err(), &started(&first, false));
    assert_eq!(subject.reader().task(second.id).unwrap(), None);
    // The key is free again once its task is past the deadline, reaped or not.
    let last = Timestamp::from_millis(at(100).millis() - 1);
    let refused = subject.commit(begin(&second, last, 1)).unwrap_err();
    assert_eq!(refused, started(&first, true));
    subject.commit(begin(&second, at(100), 1)).unwrap();
    let refused = subject.commit(begin(&first, at(100), 1)).unwrap_err();
    assert_eq!(refused, started(&second, true));
}
