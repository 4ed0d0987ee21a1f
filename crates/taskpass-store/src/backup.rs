//! A backup: the rows of one moment as a stream of bytes, with what they are said first and a digest last.
//!
//! ```text
//! "taskpass backup 1\n"
//! frames: length (4 bytes, big-endian) ‖ prost message Frame
//!         the first holds the header, those between hold rows, the last says how many rows there were
//! SHA-256 of everything before it (32 bytes)
//! ```
//!
//! The digest shows damage, not forgery: whoever can write the file can write another digest. So what is
//! read is bounded and checked like anything from outside. Private keys are in it as they are in the store,
//! sealed; the key that opens them is not.
//!
//! Not done here: reading or writing a store.

mod read;
mod write;

use taskpass_core::Timestamp;

pub use read::{BackupError, verify_backup};
pub(crate) use read::{Item, Rows, verify};
pub(crate) use write::{Encoder, Sink};

/// What every backup begins with: the version of the form is in it.
pub(crate) const MAGIC: &[u8] = b"taskpass backup 1\n";
/// The bytes of the digest at the end.
pub(crate) const DIGEST_LEN: u64 = 32;
/// The most that is read as one frame.
pub(crate) const MAX_FRAME: u32 = 16 * 1024 * 1024;

/// What a backup is of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackupHeader {
    /// When it was made.
    pub made_at: Timestamp,
    /// The schema of the rows.
    pub schema: u32,
    /// The trust domain.
    pub trust_domain: String,
    /// The issuer of all tokens.
    pub public_url: String,
    /// Whether the store was made by `dev`.
    pub dev: bool,
    /// When the store was made.
    pub born_at: Timestamp,
    /// The epoch of its rules.
    pub epoch: u64,
    /// The newest rule.
    pub newest_seq: u64,
    /// The wall clock of the newest commit.
    pub last_committed_at: Timestamp,
    /// The audit log that was written to; empty if there was none.
    pub log: String,
    /// How far it went, in the log's own encoding.
    pub log_state: Vec<u8>,
}

/// One frame.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Frame {
    #[prost(oneof = "Content", tags = "1, 2, 3")]
    pub(crate) content: Option<Content>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
pub(crate) enum Content {
    #[prost(message, tag = "1")]
    Header(HeaderRecord),
    #[prost(message, tag = "2")]
    Rows(RowsRecord),
    /// How many rows there were.
    #[prost(uint64, tag = "3")]
    End(u64),
}

/// A [`BackupHeader`].
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct HeaderRecord {
    #[prost(uint64, tag = "1")]
    made_at: u64,
    #[prost(uint32, tag = "2")]
    schema: u32,
    #[prost(string, tag = "3")]
    trust_domain: String,
    #[prost(string, tag = "4")]
    public_url: String,
    #[prost(bool, tag = "5")]
    dev: bool,
    #[prost(uint64, tag = "6")]
    born_at: u64,
    #[prost(uint64, tag = "7")]
    epoch: u64,
    #[prost(uint64, tag = "8")]
    newest_seq: u64,
    #[prost(uint64, tag = "9")]
    last_committed_at: u64,
    #[prost(string, tag = "10")]
    log: String,
    #[prost(bytes = "vec", tag = "11")]
    log_state: Vec<u8>,
}

/// Rows of one table: as many keys as values, in their encoding in the table.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct RowsRecord {
    #[prost(string, tag = "1")]
    pub(crate) table: String,
    #[prost(bytes = "vec", repeated, tag = "2")]
    pub(crate) keys: Vec<Vec<u8>>,
    #[prost(bytes = "vec", repeated, tag = "3")]
    pub(crate) values: Vec<Vec<u8>>,
}

impl From<&BackupHeader> for HeaderRecord {
    fn from(header: &BackupHeader) -> Self {
        Self {
            made_at: header.made_at.millis(),
            schema: header.schema,
            trust_domain: header.trust_domain.clone(),
            public_url: header.public_url.clone(),
            dev: header.dev,
            born_at: header.born_at.millis(),
            epoch: header.epoch,
            newest_seq: header.newest_seq,
            last_committed_at: header.last_committed_at.millis(),
            log: header.log.clone(),
            log_state: header.log_state.clone(),
        }
    }
}

impl From<HeaderRecord> for BackupHeader {
    fn from(record: HeaderRecord) -> Self {
        Self {
            made_at: Timestamp::from_millis(record.made_at),
            schema: record.schema,
            trust_domain: record.trust_domain,
            public_url: record.public_url,
            dev: record.dev,
            born_at: Timestamp::from_millis(record.born_at),
            epoch: record.epoch,
            newest_seq: record.newest_seq,
            last_committed_at: Timestamp::from_millis(record.last_committed_at),
            log: record.log,
            log_state: record.log_state,
        }
    }
}

#[cfg(test)]
mod tests;
