//! Counts of live credentials, and the limits on them.

use taskpass_store::{Commit, Counter, Guard, Refusal};

use crate::subject::Subject;
use crate::values::*;

pub(crate) fn count_until_their_minute_has_passed(subject: &mut dyn Subject) {
    let task = task(1, 0, at(1000), &[]);
    subject.commit(start(&task)).unwrap();
    // Two tokens in minute 1, a certificate in minute 2.
    let group = [
        issue(1, &token(1, &task, at(1), at(60))),
        issue(2, &token(2, &task, at(1), at(119))),
        issue(3, &certificate(token(3, &task, at(1), at(150)))),
    ];
    assert!(subject.apply(&group).iter().all(Result::is_ok));
    let reader = subject.reader();
    for (now, all, tokens) in [(1, 3, 2), (60, 3, 2), (119, 3, 2), (120, 1, 0), (180, 0, 0)] {
        let live = |counter| reader.live(&counter, at(now));
        assert_eq!(live(Counter::Agent(agent(0))), all, "at {now}");
        assert_eq!(live(Counter::Owner(owner(0))), all, "at {now}");
        assert_eq!(live(Counter::Target(target(0))), tokens, "at {now}");
        assert_eq!(live(Counter::Agent(agent(1))), 0);
    }
    assert_eq!(reader.live_credentials(), 3);
    drop(reader);
    subject.commit(Commit::new(at(125))).unwrap();
    assert_eq!(subject.reader().live_credentials(), 1);
    // Reaping what has expired changes no count that is still asked for.
    assert!(subject.reap(at(125), 100).credentials >= 2);
    subject.reopen();
    let reader = subject.reader();
    assert_eq!(reader.live(&Counter::Agent(agent(0)), at(125)), 1);
    assert_eq!(reader.live(&Counter::Target(target(0)), at(125)), 0);
    assert_eq!(reader.live_credentials(), 1);
}

pub(crate) fn limit_within_a_group(subject: &mut dyn Subject) {
    let task = task(1, 0, at(1000), &[]);
    subject.commit(start(&task)).unwrap();
    let limited = |n, now| {
        issue(n, &token(n, &task, now, at(60))).guard(Guard::Below {
            counter: Counter::Owner(owner(0)),
            limit: 3,
        })
    };
    let group: Vec<Commit> = (0..5).map(|n| limited(n, at(1))).collect();
    let held: Vec<bool> = subject.apply(&group).iter().map(Result::is_ok).collect();
    assert_eq!(held, [true, true, true, false, false]);
    subject.reopen();
    let refused = subject.commit(limited(6, at(119))).unwrap_err();
    let counter = Counter::Owner(owner(0));
    let full = Refusal::LimitReached {
        counter,
        limit: 3,
        live: 3,
        room_in: Some(std::time::Duration::from_secs(1)),
    };
    assert_eq!(refused, full);
    subject.commit(limited(7, at(120))).unwrap();
}

pub(crate) fn live_tasks_until_they_end_or_their_minute_has_passed(subject: &mut dyn Subject) {
    let (first, second) = (task(1, 0, at(119), &[]), task(2, 0, at(300), &[]));
    subject.commit(start(&first)).unwrap();
    subject.commit(start(&second)).unwrap();
    let live = |subject: &dyn Subject, now| {
        let reader = subject.reader();
        let agent = reader.live(&Counter::AgentTasks(agent(0)), at(now));
        assert_eq!(agent, reader.live(&Counter::OwnerTasks(owner(0)), at(now)));
        assert_eq!(reader.live(&Counter::Agent(agent_of_nothing()), at(now)), 0);
        agent
    };
    assert_eq!((live(subject, 1), live(subject, 119)), (2, 2));
    assert_eq!((live(subject, 120), live(subject, 360)), (1, 0));
    // Ended twice gives one place back, and what was reaped meanwhile none.
    for _ in 0..2 {
        subject.commit(end(&second, at(5))).unwrap();
        subject.reopen();
        assert_eq!(live(subject, 5), 1);
    }
    subject.commit(Commit::new(at(400))).unwrap();
    assert!(subject.reap(at(400), 100).tasks >= 2);
    subject.commit(end(&first, at(401))).unwrap();
    subject.reopen();
    assert_eq!(live(subject, 0), 0);
}

fn agent_of_nothing() -> taskpass_core::AgentName {
    agent(5)
}

fn end(task: &taskpass_core::task::Task, when: taskpass_core::Timestamp) -> Commit {
    let ended = taskpass_core::task::Ended {
        at: when,
        reason: taskpass_core::task::EndReason::Completed,
    };
    Commit::new(when).change(taskpass_store::Change::EndTask { id: task.id, ended })
}

pub(crate) fn what_lies_beneath_counts_above(subject: &mut dyn Subject) {
    let root = task(1, 0, at(500), &[]);
    let child = task(2, 1, at(500), &[&root]);
    let grandchild = task(3, 0, at(500), &[&child, &root]);
    for one in [&root, &child, &grandchild] {
        subject.commit(start(one)).unwrap();
    }
    let issued = token(1, &grandchild, at(1), at(60));
    subject.commit(issue(1, &issued)).unwrap();
    let live = |subject: &dyn Subject, counter| subject.reader().live(&counter, at(1));
    assert_eq!(live(subject, Counter::AgentTasks(agent(0))), 3);
    assert_eq!(live(subject, Counter::AgentTasks(agent(1))), 2);
    assert_eq!(live(subject, Counter::OwnerTasks(owner(0))), 3);
    assert_eq!(live(subject, Counter::Agent(agent(0))), 1);
    assert_eq!(live(subject, Counter::Agent(agent(1))), 1);
    assert_eq!(subject.reader().live_credentials(), 1, "one is one");
    subject.commit(end(&grandchild, at(2))).unwrap();
    assert_eq!(live(subject, Counter::AgentTasks(agent(0))), 2);
    assert_eq!(live(subject, Counter::AgentTasks(agent(1))), 1);
    subject.reopen();
    assert_eq!(live(subject, Counter::OwnerTasks(owner(0))), 2);
}

pub(crate) fn a_place_is_given_back_within_a_group(subject: &mut dyn Subject) {
    let limited = |n| {
        start(&task(n, 0, at(90), &[])).guard(Guard::Below {
            counter: Counter::AgentTasks(agent(0)),
            limit: 2,
        })
    };
    let group = [
        limited(1),
        limited(2),
        limited(3),
        end(&task(1, 0, at(90), &[]), at(1)),
        limited(4),
        limited(5),
    ];
    let outcomes = subject.apply(&group);
    let held: Vec<bool> = outcomes.iter().map(Result::is_ok).collect();
    assert_eq!(held, [true, true, false, true, true, false]);
    let Err(Refusal::LimitReached { live, room_in, .. }) = &outcomes[5] else {
        panic!("{:?}", outcomes[5]);
    };
    assert_eq!((*live, *room_in), (2, Some(at(120).since(at(0)))));
    subject.reopen();
    let live = subject.reader().live(&Counter::AgentTasks(agent(0)), at(1));
    assert_eq!(live, 2);
}
