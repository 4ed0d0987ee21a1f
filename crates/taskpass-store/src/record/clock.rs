//! How far the store has come: written once a group, and read once at the start.

/// The high-water marks of everything committed.
#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
pub(crate) struct ClockRecord {
    /// The newest `iat` of a credential, task or identity, in seconds: a rule covers at least it.
    #[prost(uint64, tag = "1")]
    pub(crate) newest_iat: u64,
    /// The latest wall clock of a commit, in milliseconds.
    #[prost(uint64, tag = "2")]
    pub(crate) last_committed_at: u64,
    /// The newest `seq` that a rule was given, also if that rule has been pruned.
    #[prost(uint64, tag = "3")]
    pub(crate) newest_seq: u64,
}
