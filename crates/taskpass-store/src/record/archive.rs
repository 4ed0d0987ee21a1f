//! Where the log ends, on disk.

use crate::commit::ArchiveCursor;

/// An [`ArchiveCursor`].
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct ArchiveRecord {
    #[prost(uint64, tag = "1")]
    next_index: u64,
    #[prost(string, tag = "2")]
    file: String,
    #[prost(uint64, tag = "3")]
    length: u64,
}

impl From<&ArchiveCursor> for ArchiveRecord {
    fn from(cursor: &ArchiveCursor) -> Self {
        Self {
            next_index: cursor.next_index,
            file: cursor.file.clone(),
            length: cursor.length,
        }
    }
}

impl From<ArchiveRecord> for ArchiveCursor {
    fn from(record: ArchiveRecord) -> Self {
        Self {
            next_index: record.next_index,
            file: record.file,
            length: record.length,
        }
    }
}
