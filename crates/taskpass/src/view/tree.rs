//! Trees of tasks: each task with those beneath it.

use std::collections::BTreeMap;

use serde::Serialize;
use taskpass_api::v1;

use super::task::Task;
use super::wire;
use crate::output::text::{brief, harmless};
use crate::output::{Ink, View};

/// A task, with how many live credentials were issued under it where that was counted.
#[derive(Debug, Serialize)]
pub(crate) struct Branch {
    #[serde(flatten)]
    task: Task,
    credentials: Option<u64>,
    exact: Option<bool>,
}

impl Branch {
    /// A task of which the broker counted the credentials.
    pub(crate) fn counted(task: v1::Task, credentials: u64, exact: bool) -> Self {
        Self {
            task: task.into(),
            credentials: Some(credentials),
            exact: Some(exact),
        }
    }

    /// Such as `3 live`, or `200+ live` where there may be more.
    fn live(&self) -> Option<String> {
        let more = if self.exact == Some(false) { "+" } else { "" };
        self.credentials.map(|count| format!("{count}{more} live"))
    }
}

impl From<Task> for Branch {
    fn from(task: Task) -> Self {
        Self {
            task,
            credentials: None,
            exact: None,
        }
    }
}

/// A task with those beneath it.
#[derive(Debug, Serialize)]
pub(crate) struct Node {
    #[serde(flatten)]
    branch: Branch,
    children: Vec<Node>,
}

impl Node {
    /// The trees that `tasks` make: each beneath the nearest ancestor that is among them.
    pub(crate) fn forest(branches: Vec<Branch>) -> Vec<Self> {
        let known: std::collections::BTreeSet<String> = branches
            .iter()
            .map(|branch| branch.task.task_id.clone())
            .collect();
        // No task has an empty id: that is where the ones at the top are.
        let mut beneath: BTreeMap<String, Vec<Branch>> = BTreeMap::new();
        for branch in branches {
            let task = &branch.task;
            let parent = task
                .ancestors
                .iter()
                .map(|above| &above.task_id)
                .find(|above| known.contains(*above) && **above != task.task_id)
                .cloned();
            beneath
                .entry(parent.unwrap_or_default())
                .or_default()
                .push(branch);
        }
        Self::take("", &mut beneath)
    }

    fn take(parent: &str, beneath: &mut BTreeMap<String, Vec<Branch>>) -> Vec<Self> {
        // Each task is taken out once, so that not even a wrong answer can make this go on for ever.
        beneath
            .remove(parent)
            .unwrap_or_default()
            .into_iter()
            .map(|branch| Self {
                children: Self::take(&branch.task.task_id, beneath),
                branch,
            })
            .collect()
    }

    fn draw(&self, ink: &Ink, first: &str, rest: &str, out: &mut String) {
        let Task {
            task_id,
            agent,
            purpose,
            state,
            deadline_at,
            ..
        } = &self.branch.task;
        let state = wire::shown(*state);
        let live = self.branch.live().map(|live| format!("{live}  "));
        let text = format!(
            "{task_id}  {agent}  {state}  {}  {}{purpose}",
            brief(*deadline_at, ink),
            live.unwrap_or_default()
        );
        out.push_str(first);
        out.push_str(&harmless(&text));
        out.push('\n');
        let last = self.children.len().saturating_sub(1);
        for (at, child) in self.children.iter().enumerate() {
            let (branch, beneath) = if at == last {
                ("└─ ", "   ")
            } else {
                ("├─ ", "│  ")
            };
            child.draw(
                ink,
                &format!("{rest}{branch}"),
                &format!("{rest}{beneath}"),
                out,
            );
        }
    }
}

impl View for Node {
    fn text(&self, ink: &Ink) -> String {
        let mut out = String::new();
        self.draw(ink, "", "", &mut out);
        out
    }
}

/// Several trees.
#[derive(Debug, Serialize)]
pub(crate) struct Forest {
    /// The tasks at the top.
    pub(crate) tasks: Vec<Node>,
    /// Set if there were more tasks than were read.
    pub(crate) truncated: bool,
}

impl View for Forest {
    fn text(&self, ink: &Ink) -> String {
        let mut out: String = self.tasks.iter().map(|node| node.text(ink)).collect();
        if self.tasks.is_empty() {
            out.push_str("no tasks\n");
        }
        if self.truncated {
            out.push_str("… and more; `taskpass task list` pages through all of them\n");
        }
        out
    }
}
