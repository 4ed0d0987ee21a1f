//! Listings, page by page.

use taskpass_core::task::Task;
use taskpass_store::{ArchiveCursor, Change, Commit, Page};

use crate::subject::Subject;
use crate::values::*;

/// Reads all pages of `limit` items.
fn pages<T: Clone, I: Copy>(
    limit: usize,
    id: impl Fn(&T) -> I,
    read: impl Fn(Option<I>, usize) -> Page<T>,
) -> Vec<T> {
    let mut all: Vec<T> = Vec::new();
    loop {
        let page = read(all.last().map(&id), limit);
        assert!(page.items.len() <= limit);
        assert!(!page.more || page.items.len() == limit);
        all.extend(page.items);
        if !page.more {
            return all;
        }
    }
}

pub(crate) fn tasks_credentials_and_children(subject: &mut dyn Subject) {
    let root = task(0, 0, at(1000), &[]);
    // The names of agents 1 and 10 begin alike; their tasks must not mix.
    let others: Vec<Task> = (1..7)
        .map(|n| {
            let by = if n % 2 == 0 { 1 } else { 10 };
            let deadline = at(u64::from(n) * 10);
            let above: &[&Task] = if n < 5 { &[] } else { &[&root] };
            task(n, by, deadline, above)
        })
        .collect();
    for task in others.iter().rev().chain([&root]) {
        subject.commit(start(task)).unwrap();
    }
    let tokens: Vec<_> = (1..6)
        .map(|n| token(n, &root, at(1), at(u64::from(n) * 30)))
        .collect();
    for (n, token) in tokens.iter().enumerate().rev() {
        subject
            .commit(issue(u16::try_from(n).unwrap(), token))
            .unwrap();
    }
    let reader = subject.reader();
    let of = |by: u8| {
        let of_agent = others.iter().filter(|task| task.agent == agent(by));
        of_agent.cloned().collect::<Vec<_>>()
    };
    let mut all = others.clone();
    all.push(root.clone());
    for limit in 1..9 {
        let tasks = |agent: Option<u8>| {
            let agent = agent.map(crate::values::agent);
            pages(
                limit,
                |task: &Task| task.id,
                |after, limit| reader.tasks(agent.as_ref(), after, limit).unwrap(),
            )
        };
        assert_eq!(tasks(None), all);
        assert_eq!(tasks(Some(1)), of(1));
        assert_eq!(tasks(Some(10)), of(10));
        assert_eq!(tasks(Some(0)), std::slice::from_ref(&root));
        assert_eq!(tasks(Some(2)), []);
        let children = pages(
            limit,
            |task: &Task| task.id,
            |after, limit| reader.children(root.id, after, limit).unwrap(),
        );
        assert_eq!(children, others[4..]);
        let credentials = pages(
            limit,
            |one: &taskpass_core::credential::Credential| one.id,
            |after, limit| reader.credentials(root.id, after, limit).unwrap(),
        );
        assert_eq!(credentials, tokens);
    }
    let none = reader.tasks(None, None, 0).unwrap();
    assert!(none.items.is_empty() && none.more);
}

pub(crate) fn the_outbox_is_archived_in_order(subject: &mut dyn Subject) {
    let mut entries: Vec<_> = (0..6).map(entry).collect();
    for entry in &entries {
        let commit = Commit::new(at(1)).change(Change::Outbox(entry.clone()));
        subject.commit(commit).unwrap();
    }
    entries.sort_by_key(|entry| entry.id);
    let reader = subject.reader();
    assert_eq!(reader.outbox(100).unwrap(), entries);
    let first = reader.outbox(4).unwrap();
    assert_eq!(first, entries[..4]);
    assert_eq!(reader.archive_cursor().unwrap(), ArchiveCursor::default());
    drop(reader);
    let cursor = ArchiveCursor {
        log: "2026-11".to_owned(),
        state: vec![0, 1, 255],
    };
    let archived = Commit::new(at(2)).change(Change::Archived {
        ids: first.iter().map(|entry| entry.id).collect(),
        cursor: cursor.clone(),
    });
    // Removing what has gone already is no error.
    assert!(
        subject
            .apply(&[archived.clone(), archived])
            .iter()
            .all(Result::is_ok)
    );
    subject.reopen();
    let reader = subject.reader();
    assert_eq!(reader.outbox(100).unwrap(), entries[4..]);
    assert_eq!(reader.outbox_len(), 2);
    assert_eq!(reader.archive_cursor().unwrap(), cursor);
}
