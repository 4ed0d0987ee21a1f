//! What the reaper removed, on disk.

use crate::record::instant;
use crate::store::Swept;

/// A [`Swept`].
#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
pub(crate) struct SweptRecord {
    #[prost(uint64, tag = "1")]
    credentials: u64,
    #[prost(uint64, tag = "2")]
    tasks: u64,
    #[prost(uint64, tag = "3")]
    rules: u64,
    #[prost(uint64, tag = "4")]
    others: u64,
    /// In milliseconds.
    #[prost(uint64, tag = "5")]
    before: u64,
}

impl From<&Swept> for SweptRecord {
    fn from(swept: &Swept) -> Self {
        Self {
            credentials: swept.credentials,
            tasks: swept.tasks,
            rules: swept.rules,
            others: swept.others,
            before: swept.before.millis(),
        }
    }
}

impl SweptRecord {
    pub(crate) fn into_swept(self) -> Option<Swept> {
        Some(Swept {
            credentials: self.credentials,
            tasks: self.tasks,
            rules: self.rules,
            others: self.others,
            before: instant(self.before)?,
        })
    }
}
