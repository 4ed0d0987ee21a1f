//! Tasks, and what starting and completing one answers.

use std::collections::BTreeMap;

use serde::Serialize;
use taskpass_api::v1;
use taskpass_core::Timestamp;

use super::listing::Row;
use super::wire::{self, Ancestor};
use crate::output::table::Fields;
use crate::output::text::{brief, harmless, instant, list};
use crate::output::{Ink, View};

/// A task as it is recorded.
#[derive(Debug, Serialize)]
#[expect(clippy::struct_field_names, reason = "the names are the proto's")]
pub(crate) struct Task {
    pub(crate) task_id: String,
    agent: String,
    purpose: String,
    scopes: Vec<String>,
    started_at: Option<Timestamp>,
    deadline_at: Option<Timestamp>,
    state: Option<&'static str>,
    pub(crate) ancestors: Vec<Ancestor>,
    ended_at: Option<Timestamp>,
    decision_id: String,
}

impl From<v1::Task> for Task {
    fn from(task: v1::Task) -> Self {
        Self {
            state: wire::task_state(task.state),
            task_id: task.task_id,
            agent: task.agent,
            purpose: task.purpose,
            scopes: task.scopes,
            started_at: wire::instant(task.started_at),
            deadline_at: wire::instant(task.deadline_at),
            ancestors: task.ancestors.into_iter().map(Into::into).collect(),
            ended_at: wire::instant(task.ended_at),
            decision_id: task.decision_id,
        }
    }
}

impl Task {
    fn fields(&self, ink: &Ink) -> Fields {
        let above: Vec<String> = self
            .ancestors
            .iter()
            .map(|above| format!("{} ({})", above.task_id, above.agent))
            .collect();
        Fields::default()
            .with("task", &self.task_id)
            .with("agent", &self.agent)
            .with("purpose", &self.purpose)
            .with("state", wire::shown(self.state))
            .each("scopes", &self.scopes)
            .with("started", instant(self.started_at, ink))
            .with("deadline", instant(self.deadline_at, ink))
            .maybe("ended", self.ended_at.map(|at| instant(Some(at), ink)))
            .each("beneath", &above)
            .with("decision", &self.decision_id)
    }
}

impl View for Task {
    fn text(&self, ink: &Ink) -> String {
        self.fields(ink).render(ink)
    }
}

impl Row for Task {
    const PLURAL: &'static str = "tasks";
    const HEADING: &'static [&'static str] = &["TASK", "AGENT", "STATE", "DEADLINE", "PURPOSE"];

    fn cells(&self, ink: &Ink) -> Vec<String> {
        vec![
            self.task_id.clone(),
            self.agent.clone(),
            wire::shown(self.state),
            brief(self.deadline_at, ink),
            self.purpose.clone(),
        ]
    }
}

/// A task that has just started.
#[derive(Debug, Serialize)]
pub(crate) struct Started {
    task_id: String,
    deadline_at: Option<Timestamp>,
    scopes: Vec<String>,
    clamped_by: Vec<String>,
    decision_id: String,
}

impl From<v1::StartResponse> for Started {
    fn from(reply: v1::StartResponse) -> Self {
        Self {
            task_id: reply.task_id,
            deadline_at: wire::instant(reply.deadline_at),
            scopes: reply.scopes,
            clamped_by: reply.clamped_by,
            decision_id: reply.decision_id,
        }
    }
}

impl View for Started {
    fn text(&self, ink: &Ink) -> String {
        Fields::default()
            .with("task", &self.task_id)
            .with("deadline", instant(self.deadline_at, ink))
            .each("scopes", &self.scopes)
            .with("clamped by", list(&self.clamped_by))
            .with("decision", &self.decision_id)
            .render(ink)
    }
}

/// A task that has just been completed.
#[derive(Debug, Serialize)]
pub(crate) struct Completed {
    #[serde(flatten)]
    task: Task,
    credentials: u64,
}

impl Completed {
    /// The task, and how many live credentials its end ended.
    pub(crate) fn new(task: v1::Task, credentials: u64) -> Self {
        Self {
            task: task.into(),
            credentials,
        }
    }
}

impl View for Completed {
    fn text(&self, ink: &Ink) -> String {
        self.task
            .fields(ink)
            .with("ended credentials", self.credentials.to_string())
            .render(ink)
    }
}

/// A task with those beneath it.
#[derive(Debug, Serialize)]
pub(crate) struct Node {
    #[serde(flatten)]
    task: Task,
    children: Vec<Node>,
}

impl Node {
    /// The trees that `tasks` make: each beneath the nearest ancestor that is among them.
    pub(crate) fn forest(tasks: Vec<Task>) -> Vec<Self> {
        let known: std::collections::BTreeSet<String> =
            tasks.iter().map(|task| task.task_id.clone()).collect();
        // No task has an empty id: that is where the ones at the top are.
        let mut beneath: BTreeMap<String, Vec<Task>> = BTreeMap::new();
        for task in tasks {
            let parent = task
                .ancestors
                .iter()
                .map(|above| &above.task_id)
                .find(|above| known.contains(*above) && **above != task.task_id)
                .cloned();
            beneath
                .entry(parent.unwrap_or_default())
                .or_default()
                .push(task);
        }
        Self::take("", &mut beneath)
    }

    fn take(parent: &str, beneath: &mut BTreeMap<String, Vec<Task>>) -> Vec<Self> {
        // Each task is taken out once, so that not even a wrong answer can make this go on for ever.
        beneath
            .remove(parent)
            .unwrap_or_default()
            .into_iter()
            .map(|task| Self {
                children: Self::take(&task.task_id, beneath),
                task,
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
        } = &self.task;
        let state = wire::shown(*state);
        let line = format!(
            "{task_id}  {agent}  {state}  {}  {purpose}",
            brief(*deadline_at, ink)
        );
        out.push_str(first);
        out.push_str(&harmless(&line));
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
