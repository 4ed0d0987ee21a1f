//! Handing work on to another agent, and taking up what was handed on.

use std::collections::BTreeSet;
use std::time::Duration;

use taskpass_api::v1::task_service_client::TaskServiceClient;
use taskpass_api::v1::{CompleteRequest, GetTaskRequest};
use taskpass_core::{AgentName, ScopeRef, TaskId, Timestamp};

use super::{Agent, AgentError, Completed, Task, Wish, once_more};
use crate::wire;

/// A task that was handed on: another agent runs it, and this side watches it and may end it.
/// Dropping it ends nothing.
#[derive(Debug, Clone)]
pub struct Delegated {
    task: Task,
    agent: AgentName,
}

impl Delegated {
    /// Its id: what the other agent takes up, with [`Agent::take_up`].
    pub fn id(&self) -> TaskId {
        self.task.id()
    }

    /// The agent that runs it.
    pub fn agent(&self) -> &AgentName {
        &self.agent
    }

    /// When it ends at the latest.
    pub fn deadline(&self) -> Timestamp {
        self.task.deadline()
    }

    /// The ceiling that was granted.
    pub fn scopes(&self) -> &BTreeSet<ScopeRef> {
        self.task.scopes()
    }

    /// What shortened it; empty if nothing did.
    pub fn clamped_by(&self) -> &[String] {
        self.task.clamped_by()
    }

    /// Ends it with everything beneath it; whatever was issued there is revoked, whoever holds it.
    pub async fn end(self) -> Result<Completed, AgentError> {
        self.task.complete().await
    }
}

impl Task {
    /// Hands a part of this task on to another agent, within this task's scopes and deadline. Denied
    /// unless a policy permits the pair and both could get the scopes themselves; every use of it
    /// depends on this agent's standing too, and ends with this task.
    pub async fn delegate<S: AsRef<str>>(
        &self,
        agent: &AgentName,
        purpose: &str,
        scopes: impl IntoIterator<Item = S>,
        ttl: Option<Duration>,
    ) -> Result<Delegated, AgentError> {
        let wish = Wish {
            parent: Some(self.id),
            agent: Some(agent.clone()),
            ..Wish::default()
        };
        let task = self.agent.start(purpose, scopes, ttl, wish).await?;
        Ok(Delegated {
            task,
            agent: agent.clone(),
        })
    }
}

impl Agent {
    /// Takes up a task that this agent runs: one that was handed on to it, or one that it started
    /// before. What was handed on is also found by listing one's own tasks.
    pub async fn take_up(&self, task: TaskId) -> Result<Task, AgentError> {
        let request = GetTaskRequest {
            task_id: task.to_string(),
        };
        let client = TaskServiceClient::new(self.channel.clone());
        let reply = once_more(|| {
            let (mut client, request) = (client.clone(), request.clone());
            async move { client.get(request).await }
        })
        .await?;
        let known = reply.into_inner().task.unwrap_or_default();
        let scopes = known.scopes.iter().map(|text| text.parse());
        Ok(Task {
            agent: self.clone(),
            id: task,
            deadline: wire::timestamp(known.deadline_at)
                .ok_or(AgentError::Answer { field: "deadline" })?,
            scopes: scopes
                .collect::<Result<_, _>>()
                .map_err(|_| AgentError::Answer { field: "scopes" })?,
            clamped_by: Vec::new(),
        })
    }

    /// Ends a task by its id: one of this agent's, or one beneath such a task that another runs.
    pub async fn end(&self, task: TaskId) -> Result<Completed, AgentError> {
        let request = CompleteRequest {
            task_id: task.to_string(),
        };
        let client = TaskServiceClient::new(self.channel.clone());
        let reply = once_more(|| {
            let (mut client, request) = (client.clone(), request.clone());
            async move { client.complete(request).await }
        })
        .await?;
        Ok(Completed {
            credentials: reply.into_inner().credentials,
        })
    }
}
