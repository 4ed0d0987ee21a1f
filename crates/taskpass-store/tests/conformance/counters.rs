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
    assert_eq!(refused, Refusal::LimitReached { counter });
    subject.commit(limited(7, at(120))).unwrap();
}
