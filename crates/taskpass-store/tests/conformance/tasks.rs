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

/// What an earlier commit of the group read of a task does not hide what the next one did to it.
pub(crate) fn live_as_far_as_its_group_has_come(subject: &mut dyn Subject) {
    let [root, child, grandchild] = family(subject);
    let late = task(4, 4, at(300), &[]);
    let ended = Ended {
        at: at(10),
        reason: COMPLETED,
    };
    let look = |task: &Task| Commit::new(at(10)).guard(Guard::TaskLive { id: task.id });
    let (unknown, over_late) = (Refusal::TaskUnknown { id: late.id }, over(&late));
    let group = [
        (look(&grandchild), Ok(())),
        (end(&child, ended), Ok(())),
        (look(&grandchild), over(&child)),
        (look(&root), Ok(())),
        (revoke(Selector::Task(root.id), at(10)), Ok(())),
        (look(&root), over(&root)),
        (look(&late), Err(unknown)),
        (start(&late), Ok(())),
        (look(&late), Ok(())),
        (end(&late, ended), Ok(())),
        (look(&late), over_late),
    ];
    let (commits, expected): (Vec<_>, Vec<_>) = group.into_iter().unzip();
    let outcomes = subject.apply(&commits).into_iter();
    let outcomes: Vec<_> = outcomes.map(|outcome| outcome.map(drop)).collect();
    assert_eq!(outcomes, expected);
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
                owner: owner(0),
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

/// Two live children are allowed, and five before their deadlines.
pub(crate) fn children_are_counted_within_a_group(subject: &mut dyn Subject) {
    let root = task(1, 0, at(1000), &[]);
    let other = task(2, 0, at(1000), &[]);
    for task in [&root, &other] {
        subject.commit(start(task)).unwrap();
    }
    let child = |n, deadline| task(n, n, at(deadline), &[&root]);
    let begin = |task: &Task, now| {
        let guard = Guard::FewerChildren {
            parent: root.id,
            live: 2,
            all: 5,
        };
        let start = Change::StartTask {
            task: task.clone(),
            idempotency: None,
            owner: owner(0),
        };
        Commit::new(at(now)).guard(guard).change(start)
    };
    let refused = Err(Refusal::TooManyChildren { parent: root.id });
    // Another task's child counts there, and a grandchild beneath its parent only.
    let foreign = task(3, 3, at(900), &[&other]);
    subject.commit(start(&foreign)).unwrap();
    let [first, second, third] = [(10, 100), (11, 900), (12, 900)].map(|(n, at)| child(n, at));
    let group = [&first, &second, &third].map(|task| begin(task, 1));
    let held: Vec<bool> = subject.apply(&group).iter().map(Result::is_ok).collect();
    assert_eq!(held, [true, true, false]);
    let grandchild = task(20, 4, at(900), &[&second]);
    subject.commit(start(&grandchild)).unwrap();

    // Past its deadline one is over, to the millisecond.
    let last = Timestamp::from_millis(at(100).millis() - 1);
    let mut early = begin(&third, 0);
    early.at = last;
    assert_eq!(subject.commit(early).map(drop), refused);
    subject.commit(begin(&third, 100)).unwrap();
    assert_eq!(
        subject.commit(begin(&child(13, 900), 100)).map(drop),
        refused
    );
    // So is one that has ended, and one that a rule matches.
    let ended = Ended {
        at: at(101),
        reason: COMPLETED,
    };
    subject.commit(end(&second, ended)).unwrap();
    subject.commit(begin(&child(13, 900), 102)).unwrap();
    subject
        .commit(revoke(Selector::Task(third.id), at(103)))
        .unwrap();
    subject.commit(begin(&child(14, 900), 104)).unwrap();
    assert_eq!(
        subject.commit(begin(&child(15, 900), 104)).map(drop),
        refused
    );
    // Ended ones count among all until their deadline: five at the end, although none is live.
    for n in [13, 14] {
        subject.commit(end(&child(n, 900), ended)).unwrap();
    }
    subject.commit(begin(&child(15, 900), 105)).unwrap();
    subject.commit(end(&child(15, 900), ended)).unwrap();
    assert_eq!(
        subject.commit(begin(&child(16, 900), 106)).map(drop),
        refused
    );
    subject.commit(begin(&child(16, 950), 900)).unwrap();
}

/// The key is the starter's, and is forgotten with the task, whoever runs that.
pub(crate) fn a_key_is_the_starters(subject: &mut dyn Subject) {
    let root = task(1, 0, at(300), &[]);
    let child = task(2, 1, at(100), &[&root]);
    subject.commit(start(&root)).unwrap();
    let key = idempotency(0, 1, 1);
    let begin = Commit::new(at(1)).change(Change::StartTask {
        task: child.clone(),
        idempotency: Some(key.clone()),
        owner: owner(0),
    });
    subject.commit(begin).unwrap();
    let free = |subject: &mut dyn Subject| {
        let guard = Guard::NotStarted(key.clone());
        subject.commit(Commit::new(at(50)).guard(guard)).is_ok()
    };
    assert!(!free(subject));
    subject.reap(at(150), 100);
    // Even for a clock that went back: the row is gone.
    assert!(free(subject));
}
