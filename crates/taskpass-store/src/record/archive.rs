//! Where the log ends, on disk.

use crate::commit::ArchiveCursor;

/// An [`ArchiveCursor`]. Tags 1 to 3 were those of a log of plain lines.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct ArchiveRecord {
    #[prost(string, tag = "4")]
    log: String,
    #[prost(bytes = "vec", tag = "5")]
    state: Vec<u8>,
}

impl From<&ArchiveCursor> for ArchiveRecord {
    fn from(cursor: &ArchiveCursor) -> Self {
        Self {
            log: cursor.log.clone(),
            state: cursor.state.clone(),
        }
    }
}

impl From<ArchiveRecord> for ArchiveCursor {
    fn from(record: ArchiveRecord) -> Self {
        Self {
            log: record.log,
            state: record.state,
        }
    }
}
