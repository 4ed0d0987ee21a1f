//! A task on disk.

use taskpass_core::secret::Sha256;
use taskpass_core::task::{Ended, Task};
use taskpass_core::{DecisionId, OwnerName, TaskId};

use crate::record::credential::AncestorRecord;
use crate::record::{instant, optional, sha256};

/// A [`Task`] without its id, which is the key, and the idempotency key it was started under.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct TaskRecord {
    #[prost(string, tag = "1")]
    agent: String,
    #[prost(string, tag = "2")]
    purpose: String,
    #[prost(string, repeated, tag = "3")]
    scopes: Vec<String>,
    #[prost(message, repeated, tag = "4")]
    ancestors: Vec<AncestorRecord>,
    #[prost(uint64, tag = "5")]
    started_at: u64,
    #[prost(bytes = "vec", tag = "6")]
    decision: Vec<u8>,
    #[prost(message, optional, tag = "7")]
    ended: Option<EndedRecord>,
    /// So that the reaper finds the row of the idempotency key.
    #[prost(bytes = "vec", optional, tag = "8")]
    idempotency: Option<Vec<u8>>,
    /// The owner among whose live tasks it counts; absent once it has ended, or where it never was
    /// counted.
    #[prost(string, optional, tag = "9")]
    counted_for: Option<String>,
}

/// The early end of a task.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct EndedRecord {
    #[prost(uint64, tag = "1")]
    at: u64,
    #[prost(string, tag = "2")]
    reason: String,
}

impl EndedRecord {
    fn into_ended(self) -> Option<Ended> {
        Some(Ended {
            at: instant(self.at)?,
            reason: self.reason.parse().ok()?,
        })
    }
}

impl TaskRecord {
    /// The record of `task`, started under `idempotency`.
    pub(crate) fn new(task: &Task, idempotency: Option<Sha256>) -> Self {
        Self {
            agent: task.agent.to_string(),
            purpose: task.purpose.clone(),
            scopes: task.scopes.iter().map(ToString::to_string).collect(),
            ancestors: task.ancestors.iter().map(Into::into).collect(),
            started_at: task.started_at.millis(),
            decision: task.decision.as_bytes().to_vec(),
            ended: task.ended.map(|ended| EndedRecord {
                at: ended.at.millis(),
                reason: ended.reason.to_string(),
            }),
            idempotency: idempotency.map(|hash| hash.as_bytes().to_vec()),
            counted_for: None,
        }
    }

    /// The record of a task that holds a place among the live ones of `owner`.
    pub(crate) fn holding_place_of(mut self, owner: &OwnerName) -> Self {
        self.counted_for = Some(owner.to_string());
        self
    }

    /// Among whose live tasks it counts.
    pub(crate) fn counted(&self) -> Option<OwnerName> {
        self.counted_for.as_ref()?.parse().ok()
    }

    /// The task `id` and its idempotency key.
    pub(crate) fn into_parts(self, id: TaskId) -> Option<(Task, Option<Sha256>)> {
        let idempotency = optional(self.idempotency.as_deref(), sha256)?;
        Some((self.into_task(id)?, idempotency))
    }

    /// The task `id`.
    pub(crate) fn into_task(self, id: TaskId) -> Option<Task> {
        let scopes = self.scopes.iter().map(|scope| scope.parse().ok());
        Some(Task {
            id,
            agent: self.agent.parse().ok()?,
            purpose: self.purpose,
            scopes: scopes.collect::<Option<_>>()?,
            ancestors: AncestorRecord::all(self.ancestors)?,
            started_at: instant(self.started_at)?,
            decision: DecisionId::from_slice(&self.decision)?,
            ended: optional(self.ended, EndedRecord::into_ended)?,
        })
    }
}
