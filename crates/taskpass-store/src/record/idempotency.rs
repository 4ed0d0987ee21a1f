//! Which task a key started, on disk.

use taskpass_core::TaskId;
use taskpass_core::secret::Sha256;

use crate::record::sha256;

/// The task that was started under a key, and what was asked for.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct IdempotencyRecord {
    #[prost(bytes = "vec", tag = "1")]
    task: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    request: Vec<u8>,
}

impl IdempotencyRecord {
    /// `task` was started by `request`.
    pub(crate) fn new(task: TaskId, request: Sha256) -> Self {
        Self {
            task: task.as_bytes().to_vec(),
            request: request.as_bytes().to_vec(),
        }
    }

    /// The task, and the hash of the request.
    pub(crate) fn into_parts(self) -> Option<(TaskId, Sha256)> {
        Some((TaskId::from_slice(&self.task)?, sha256(&self.request)?))
    }
}
