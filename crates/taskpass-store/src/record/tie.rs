//! A tie on disk.

use taskpass_core::tie::Tie;
use taskpass_core::{DecisionId, TaskId};

use crate::record::instant;

/// A [`Tie`] without its task, which is the key.
///
/// Several brokers on one store would add who holds it, and until when.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct TieRecord {
    #[prost(uint64, tag = "1")]
    at: u64,
    #[prost(bytes = "vec", tag = "2")]
    entry: Vec<u8>,
}

impl From<&Tie> for TieRecord {
    fn from(tie: &Tie) -> Self {
        Self {
            at: tie.at.millis(),
            entry: tie.entry.as_bytes().to_vec(),
        }
    }
}

impl TieRecord {
    /// The tie of `task`.
    pub(crate) fn into_tie(self, task: TaskId) -> Option<Tie> {
        Some(Tie {
            task,
            at: instant(self.at)?,
            entry: DecisionId::from_slice(&self.entry)?,
        })
    }
}
