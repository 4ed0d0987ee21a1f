//! Tasks, and what starting and completing one answers.

use serde::Serialize;
use taskpass_api::v1;
use taskpass_core::Timestamp;

use super::listing::Row;
use super::wire::{self, Ancestor};
use crate::output::table::Fields;
use crate::output::text::{brief, instant, list};
use crate::output::{Ink, View};

/// A task as it is recorded.
#[derive(Debug, Serialize)]
#[expect(clippy::struct_field_names, reason = "the names are the proto's")]
pub(crate) struct Task {
    pub(crate) task_id: String,
    pub(super) agent: String,
    pub(super) purpose: String,
    scopes: Vec<String>,
    started_at: Option<Timestamp>,
    pub(super) deadline_at: Option<Timestamp>,
    pub(super) state: Option<&'static str>,
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
    would_deny: bool,
}

impl From<v1::StartResponse> for Started {
    fn from(reply: v1::StartResponse) -> Self {
        Self {
            task_id: reply.task_id,
            deadline_at: wire::instant(reply.deadline_at),
            scopes: reply.scopes,
            clamped_by: reply.clamped_by,
            decision_id: reply.decision_id,
            would_deny: reply.would_deny,
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
            .maybe(
                "warning",
                wire::observed(self.would_deny).map(str::to_owned),
            )
            .render(ink)
    }
}

/// What was said of a credential's use is recorded.
#[derive(Debug, Serialize)]
pub(crate) struct Said {
    credential_id: String,
    recorded: u64,
    by: &'static str,
}

impl Said {
    /// So many uses of a credential, by its agent's word.
    pub(crate) fn new(credential_id: String, recorded: u64) -> Self {
        Self {
            credential_id,
            recorded,
            by: "agent",
        }
    }
}

impl View for Said {
    fn text(&self, ink: &Ink) -> String {
        Fields::default()
            .with("credential", &self.credential_id)
            .with("recorded", self.recorded.to_string())
            .with("by", "the agent's own word")
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
