//! Rules against credentials of the same second, in whichever order they arrive.

use taskpass_core::revocation::Selector;
use taskpass_store::{Change, Commit, Refusal};

use crate::subject::Subject;
use crate::values::*;

fn selectors(token: &taskpass_core::credential::Credential) -> Vec<Selector> {
    vec![
        Selector::Credential(token.id),
        Selector::Target(target(0)),
        Selector::Key(key_id(0)),
    ]
}

pub(crate) fn first_revoked_then_issued_is_refused(subject: &mut dyn Subject) {
    let task = task(1, 0, at(1000), &[]);
    subject.commit(start(&task)).unwrap();
    let token = token(1, &task, at(10), at(60));
    for (n, selector) in selectors(&token).into_iter().enumerate() {
        let group = [revoke(selector.clone(), at(10)), issue(1, &token)];
        let outcomes = subject.apply(&group);
        let seq = outcomes[0].as_ref().unwrap().rules[0].seq;
        assert_eq!(seq, u64::try_from(n).unwrap() + 1);
        match outcomes[1].as_ref().unwrap_err() {
            Refusal::Revoked { seq } => {
                let rules = subject.reader().rules().after(seq - 1, 1);
                assert!(rules[0].matches(&token.facts()), "{selector}");
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(subject.reader().credential(token.id).unwrap(), None);
    assert_eq!(subject.reader().outbox_len(), 0);
}

pub(crate) fn first_issued_then_revoked_is_covered(subject: &mut dyn Subject) {
    let task = task(1, 0, at(1000), &[]);
    subject.commit(start(&task)).unwrap();
    let token = token(1, &task, at(10), at(60));
    let group = [issue(1, &token), revoke(Selector::Agent(agent(0)), at(10))];
    assert!(subject.apply(&group).iter().all(Result::is_ok));
    let rule = subject.reader().rules().matching(&token.facts()).unwrap();
    assert_eq!(rule.issued_before, at(10).secs());
}

pub(crate) fn a_rule_covers_the_newest_iat_although_the_clock_went_back(subject: &mut dyn Subject) {
    let task = task(1, 0, at(1000), &[]);
    subject.commit(start(&task)).unwrap();
    let ahead = token(1, &task, at(50), at(60));
    subject.commit(issue(1, &ahead)).unwrap();
    subject.reopen();
    let made = subject
        .commit(revoke(Selector::Target(target(0)), at(10)))
        .unwrap();
    assert_eq!(made.rules[0].issued_before, at(50).secs());
    assert_eq!(made.rules[0].at, at(10));
    // Tasks and identities are matched by their `iat` too.
    let mut later = crate::values::task(2, 1, at(1000), &[]);
    later.started_at = at(70);
    subject.commit(start(&later)).unwrap();
    let made = subject
        .commit(revoke(Selector::Agent(agent(1)), at(10)))
        .unwrap();
    assert_eq!(made.rules[0].issued_before, at(70).secs());
    let identity = Commit::new(at(10)).change(Change::PutIdentity(line(2, 1, at(90))));
    subject.commit(identity).unwrap();
    subject.reopen();
    let made = subject
        .commit(revoke(Selector::Agent(agent(2)), at(10)))
        .unwrap();
    assert_eq!(made.rules[0].issued_before, at(90).secs());
    assert_eq!(subject.reader().last_committed_at(), at(70));
}

pub(crate) fn rules_are_numbered_without_gaps_and_published(subject: &mut dyn Subject) {
    let rules = subject.reader().rules();
    let mut newest = rules.subscribe();
    assert_eq!((rules.newest_seq(), rules.len()), (0, 0));
    let two = Commit::new(at(1))
        .change(Change::Revoke(draft(Selector::Agent(agent(0)))))
        .change(Change::Revoke(draft(Selector::Agent(agent(1)))));
    let refused = revoke(Selector::Everything, at(1)).guard(taskpass_store::Guard::TaskLive {
        id: task_id(9, at(1)),
    });
    let group = [two, refused, revoke(Selector::Agent(agent(2)), at(2))];
    let outcomes = subject.apply(&group);
    let seqs: Vec<u64> = outcomes
        .iter()
        .flatten()
        .flat_map(|made| made.rules.iter().map(|rule| rule.seq))
        .collect();
    assert_eq!(seqs, [1, 2, 3]);
    assert_eq!(rules.newest_seq(), 3);
    // To tell those who wait is for the queue, after the answers.
    assert_eq!(*newest.borrow_and_update(), 3);
    let after: Vec<u64> = rules.after(1, 10).iter().map(|rule| rule.seq).collect();
    assert_eq!(after, [2, 3]);
}
