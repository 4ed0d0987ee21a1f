//! What the reaper removes, in which steps, and what it must leave.

use std::time::Duration;

use taskpass_core::Timestamp;
use taskpass_core::revocation::Selector;
use taskpass_core::task::{EndReason, Ended};
use taskpass_store::{Change, Commit, Guard, MetaKey, Reaped, Refusal, Swept};

use crate::subject::Subject;
use crate::values::*;

fn reap_all(subject: &mut dyn Subject, before: Timestamp, limit: usize) -> Reaped {
    let mut sum = Reaped::default();
    loop {
        let step = subject.reap(before, limit);
        let size = step.credentials + step.tasks + step.rules + step.others;
        assert!(size <= u64::try_from(limit).unwrap(), "{step:?}");
        assert!(size > 0 || !step.more, "no progress");
        sum.credentials += step.credentials;
        sum.tasks += step.tasks;
        sum.rules += step.rules;
        sum.others += step.others;
        if !step.more {
            return sum;
        }
    }
}

fn swept(subject: &dyn Subject) -> Swept {
    let kept = subject.reader().meta(MetaKey::Swept).unwrap();
    Swept::from_kept(kept.as_deref()).unwrap()
}

fn told(sum: &Reaped, before: Timestamp) -> Swept {
    Swept {
        credentials: sum.credentials,
        tasks: sum.tasks,
        rules: sum.rules,
        others: sum.others,
        before,
    }
}

/// What is removed is in the sum until a commit takes exactly that sum.
pub(crate) fn sums_up_what_no_entry_tells(subject: &mut dyn Subject) {
    let task = task(1, 0, at(900), &[]);
    subject.commit(start(&task)).unwrap();
    for n in 0..4_u16 {
        let token = token(n, &task, at(1), at(60 * (1 + u64::from(n))));
        subject.commit(issue(n, &token)).unwrap();
    }
    let take = |read: &Swept| {
        Commit::new(at(10))
            .guard(Guard::MetaIs {
                key: MetaKey::Swept,
                value: Some(read.to_kept()),
            })
            .change(Change::PutMeta {
                key: MetaKey::Swept,
                value: Swept::NONE.to_kept(),
            })
    };
    assert_eq!(subject.reap(at(60), 10), Reaped::default());
    assert_eq!(swept(subject), Swept::NONE);
    assert_eq!(subject.reader().meta(MetaKey::Swept).unwrap(), None);
    let first = reap_all(subject, at(130), 10);
    let read = swept(subject);
    assert_eq!(read, told(&first, at(130)));
    assert_eq!(read.credentials, 2);
    // Another step comes between reading and taking: what was read is not all there is.
    let second = reap_all(subject, at(190), 10);
    assert_eq!(second.credentials, 1);
    let key = MetaKey::Swept;
    assert_eq!(
        subject.commit(take(&read)).unwrap_err(),
        Refusal::MetaChanged { key }
    );
    let both = swept(subject);
    assert_eq!(both.credentials, 3);
    assert_eq!(both.others, first.others + second.others);
    assert_eq!(both.before, at(190));
    subject.commit(take(&both)).unwrap();
    assert!(swept(subject).is_none());
    // A clock that was set back does not take back what was said.
    assert_eq!(reap_all(subject, at(100), 10), Reaped::default());
    assert!(swept(subject).is_none());
    reap_all(subject, at(250), 10);
    assert_eq!(
        (swept(subject).credentials, swept(subject).before),
        (1, at(250))
    );
}

pub(crate) fn removes_in_bounded_steps_what_has_expired_and_nothing_else(
    subject: &mut dyn Subject,
) {
    let old = task(1, 0, at(130), &[]);
    let child = task(2, 1, at(120), &[&old]);
    let young = task(3, 0, at(500), &[]);
    for task in [&old, &child, &young] {
        subject.commit(start(task)).unwrap();
    }
    let expired = [
        token(1, &old, at(1), at(60)),
        token(2, &child, at(1), at(119)),
    ];
    let at_the_edge = token(3, &young, at(1), at(130));
    let living = token(4, &young, at(1), at(400));
    for (n, token) in expired.iter().chain([&at_the_edge, &living]).enumerate() {
        subject
            .commit(issue(u16::try_from(n).unwrap(), token))
            .unwrap();
    }
    for before in [0, 60] {
        assert_eq!(subject.reap(at(before), 1000), Reaped::default());
    }
    let sum = reap_all(subject, at(130), 1);
    // Three counters of minute 1, of two agents: agents 0 and 1, the owner, the target.
    let expected = Reaped {
        credentials: 2,
        tasks: 1,
        others: 4,
        ..Reaped::default()
    };
    assert_eq!(sum, expected);
    assert_eq!(swept(subject), told(&expected, at(130)));
    subject.reopen();
    assert_eq!(swept(subject), told(&expected, at(130)));
    let reader = subject.reader();
    for token in &expired {
        assert_eq!(reader.credential(token.id).unwrap(), None);
        assert!(
            reader
                .credentials(token.task, None, 10)
                .unwrap()
                .items
                .is_empty()
        );
    }
    assert_eq!(reader.task(child.id).unwrap(), None);
    assert!(
        reader
            .tasks(Some(&agent(1)), None, 10)
            .unwrap()
            .items
            .is_empty()
    );
    assert!(reader.children(old.id, None, 10).unwrap().items.is_empty());
    let left = [old.clone(), young.clone()];
    assert_eq!(reader.tasks(Some(&agent(0)), None, 10).unwrap().items, left);
    let left = [at_the_edge, living];
    assert_eq!(reader.credentials(young.id, None, 10).unwrap().items, left);
    assert_eq!(reader.outbox_len(), 4);
}

pub(crate) fn keeps_an_ended_task_until_its_deadline(subject: &mut dyn Subject) {
    let task = task(1, 0, at(100), &[]);
    subject.commit(start(&task)).unwrap();
    let ended = Ended {
        at: at(5),
        reason: EndReason::Revoked,
    };
    subject
        .commit(Commit::new(at(5)).change(Change::EndTask { id: task.id, ended }))
        .unwrap();
    assert_eq!(reap_all(subject, at(100), 10).tasks, 0);
    assert_eq!(
        subject.reader().task(task.id).unwrap().unwrap().ended,
        Some(ended)
    );
    assert_eq!(reap_all(subject, at(101), 10).tasks, 1);
    assert_eq!(subject.reader().task(task.id).unwrap(), None);
}

pub(crate) fn keeps_a_rule_until_it_can_match_nothing(subject: &mut dyn Subject) {
    let soon = task_id(1, at(60));
    let selectors = [
        Selector::Task(task_id(2, at(600))),
        Selector::Task(soon),
        Selector::Agent(agent(0)),
    ];
    for selector in selectors {
        subject.commit(revoke(selector, at(0))).unwrap();
    }
    let rules = subject.reader().rules();
    let end = rules.after(1, 1)[0].prune_at;
    assert!(end > at(60));
    assert_eq!(
        reap_all(subject, end.minus(Duration::from_millis(1)), 1).rules,
        0
    );
    assert_eq!(rules.len(), 3);
    assert_eq!(reap_all(subject, end, 1).rules, 1);
    let left: Vec<u64> = rules.after(0, 9).iter().map(|rule| rule.seq).collect();
    assert_eq!(left, [1, 3]);
    drop(rules);
    subject.reopen();
    let rules = subject.reader().rules();
    let left: Vec<u64> = rules.after(0, 9).iter().map(|rule| rule.seq).collect();
    assert_eq!(left, [1, 3]);
    assert_eq!(reap_all(subject, at(3_000_000), 1).rules, 2);
    assert!(rules.is_empty());
    assert_eq!(rules.newest_seq(), 3);
}

pub(crate) fn keeps_a_key_that_a_later_task_uses(subject: &mut dyn Subject) {
    let key = idempotency(0, 1, 1);
    let (first, second) = (task(1, 0, at(100), &[]), task(2, 0, at(200), &[]));
    for task in [&first, &second] {
        let commit = Commit::new(at(1)).change(Change::StartTask {
            task: task.clone(),
            idempotency: Some(key.clone()),
            owner: owner(0),
        });
        subject.commit(commit).unwrap();
    }
    let free = |subject: &mut dyn Subject, now| {
        let guard = Guard::NotStarted(idempotency(0, 1, 1));
        subject.commit(Commit::new(at(now)).guard(guard)).is_ok()
    };
    assert_eq!(reap_all(subject, at(150), 10).tasks, 1);
    assert!(!free(subject, 150));
    assert_eq!(reap_all(subject, at(250), 10).tasks, 1);
    // Even for a clock that went back: the row is gone.
    assert!(free(subject, 150));
}

pub(crate) fn removes_enrolments_and_voids_them(subject: &mut dyn Subject) {
    let put = |hash, n, expires| Change::PutEnrolment {
        hash: digest(hash),
        enrolment: enrolment(n, at(expires)),
    };
    let commit = Commit::new(at(1))
        .change(put(0, 0, 100))
        .change(put(1, 0, 200))
        .change(put(2, 0, 200))
        .change(put(3, 1, 200))
        .change(Change::UseEnrolment { hash: digest(2) })
        .change(Change::UseEnrolment { hash: digest(9) });
    subject.commit(commit).unwrap();
    // Used once: a second use changes nothing.
    let again = Commit::new(at(2)).change(Change::UseEnrolment { hash: digest(2) });
    subject.commit(again).unwrap();
    let used = subject.reader().enrolment(digest(2)).unwrap().unwrap();
    assert_eq!(used.used_at, Some(at(1)));
    assert_eq!(reap_all(subject, at(100), 10).others, 0);
    assert_eq!(reap_all(subject, at(101), 10).others, 1);
    let void = Commit::new(at(3)).change(Change::VoidEnrolments(principal(0)));
    subject.commit(void).unwrap();
    let reader = subject.reader();
    let kept = |n| reader.enrolment(digest(n)).unwrap().is_some();
    assert_eq!(
        [kept(0), kept(1), kept(2), kept(3)],
        [false, false, true, true]
    );
}
