//! Ties: made once, read by deadline, gone with the task.

use taskpass_core::TaskId;
use taskpass_core::task::{EndReason, Ended};
use taskpass_store::{Change, Commit, Guard, Refusal};

use crate::subject::Subject;
use crate::values::*;

fn read(subject: &dyn Subject, after: Option<TaskId>, limit: usize) -> (Vec<TaskId>, bool) {
    let page = subject.reader().ties(after, limit).unwrap();
    (page.items.iter().map(|tie| tie.task).collect(), page.more)
}

pub(crate) fn are_made_once_and_read_by_deadline(subject: &mut dyn Subject) {
    let late = task(1, 0, at(300), &[]);
    let soon = task(2, 1, at(200), &[]);
    for task in [&late, &soon] {
        subject.commit(start(task)).unwrap();
    }
    let bind = |task| {
        Commit::new(at(1))
            .guard(Guard::NotTied { id: task })
            .change(Change::TieTask(tie(if task == late.id {
                &late
            } else {
                &soon
            })))
    };
    // Two that want the same: the second is told.
    let outcomes = subject.apply(&[bind(late.id), bind(late.id), bind(soon.id)]);
    assert!(outcomes[0].is_ok() && outcomes[2].is_ok());
    let refused = outcomes[1].as_ref().unwrap_err();
    assert_eq!(refused, &Refusal::Tied { id: late.id });
    assert_eq!(read(subject, None, 9), (vec![soon.id, late.id], false));
    assert_eq!(read(subject, None, 1), (vec![soon.id], true));
    assert_eq!(read(subject, Some(soon.id), 1), (vec![late.id], false));
    let ties = subject.reader().ties(None, 9).unwrap().items;
    assert_eq!(ties, [tie(&soon), tie(&late)]);
}

pub(crate) fn last_until_the_end_of_the_task(subject: &mut dyn Subject) {
    let ended = task(1, 0, at(300), &[]);
    let expired = task(2, 1, at(100), &[]);
    for task in [&ended, &expired] {
        let tied = start(task).change(Change::TieTask(tie(task)));
        subject.commit(tied).unwrap();
    }
    let over = Ended {
        at: at(5),
        reason: EndReason::Lost,
    };
    let end = Commit::new(at(5)).change(Change::EndTask {
        id: ended.id,
        ended: over,
    });
    subject.commit(end).unwrap();
    assert_eq!(read(subject, None, 9), (vec![expired.id], false));
    let record = subject.reader().task(ended.id).unwrap().unwrap();
    assert_eq!(record.ended, Some(over));
    assert_eq!(subject.reap(at(100), 1000).others, 0);
    assert_eq!(read(subject, None, 9).0, [expired.id]);
    let reaped = subject.reap(at(101), 1000);
    assert_eq!((reaped.tasks, reaped.others), (1, 1));
    assert_eq!(read(subject, None, 9), (vec![], false));
}
