//! Tasks: when each began, when it ended, and what stands above it.

use std::collections::BTreeMap;

use taskpass_core::{TaskId, Timestamp};

use crate::entry::{Ancestor, Entry};

/// The tasks of a log.
#[derive(Debug, Default)]
pub(super) struct Tasks(BTreeMap<String, Task>);

#[derive(Debug, Default)]
struct Task {
    began_at: Option<Timestamp>,
    ended_at: Option<Timestamp>,
    above: Vec<Ancestor>,
}

impl Tasks {
    pub(super) fn add(&mut self, entry: &Entry) {
        // Of a refusal the task is the one that was named: it may be nobody's.
        let Some(id) = entry.task.as_ref().filter(|_| entry.outcome != "deny") else {
            return;
        };
        let task = self.0.entry(id.clone()).or_default();
        if task.above.is_empty() {
            task.above.clone_from(&entry.ancestors);
        }
        match entry.kind.as_str() {
            "task.start" => task.began_at = Some(entry.at),
            "task.end" => task.ended_at = task.ended_at.or(Some(entry.at)),
            _ => {}
        }
    }

    pub(super) fn began(&self, id: &str) -> Option<Timestamp> {
        self.0.get(id)?.began_at
    }

    /// When it ended by itself or by its agent; its deadline is in its id.
    pub(super) fn end(&self, id: &str) -> Option<Timestamp> {
        let deadline = id.parse().ok().map(|id: TaskId| id.deadline());
        let ended = self.0.get(id).and_then(|task| task.ended_at);
        deadline.into_iter().chain(ended).min()
    }

    pub(super) fn above(&self, id: &str) -> &[Ancestor] {
        self.0.get(id).map_or(&[], |task| &task.above)
    }
}
