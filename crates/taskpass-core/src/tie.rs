//! Ties: tasks that live only as long as a process says that it does.
//!
//! A task is tied when its agent first keeps it alive, and stays tied until it ends. Whether
//! somebody holds the tie at this moment is not recorded: only that somebody must.

use crate::id::{DecisionId, TaskId};
use crate::time::Timestamp;

/// A task that ends when its process is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tie {
    /// The task.
    pub task: TaskId,
    /// When it was tied.
    pub at: Timestamp,
    /// The audit entry that says so.
    pub entry: DecisionId,
}
