//! What the broker keeps, durably.
//!
//! The broker sees [`Store`]: commits in the words of the domain, and a few reads. Beneath it a
//! synchronous [`Backend`] applies whole groups of commits with one durable write, and [`Batched`]
//! forms the groups. Every backend passes the same conformance suite.
//!
//! What is guaranteed:
//!
//! - A commit is all or nothing, and on disk before it is answered.
//! - All guards of a commit hold at the moment its changes are made, against everything committed
//!   before it, in the same group or an earlier one.
//! - A rule that was committed is seen by every later guard and read.
//!
//! | backend | for |
//! |---|---|
//! | [`redb_store`] | one node: a file, or memory |
//! | [`Model`] | tests: plain maps, written independently of the other |
//!
//! What is not done here: no decision, no signature, no clock of its own.

mod backend;
mod backup;
mod batched;
mod commit;
mod counters;
mod error;
mod model;
mod record;
pub mod redb_store;
mod rules;
mod space;
mod store;

// Builders of test values, which the conformance suite uses from outside under this name.
#[cfg(test)]
extern crate self as taskpass_store;
#[cfg(test)]
#[path = "../tests/conformance/values.rs"]
#[expect(dead_code, reason = "the inline tests use a part of them")]
mod values;

pub use backend::{Backend, Reader};
pub use backup::{BackupError, BackupHeader, verify_backup};
pub use batched::{Batched, Options};
pub use commit::{
    ArchiveCursor, Change, Commit, Committed, Counter, Guard, IdempotencyKey, Lane, LeasedPlaces,
    MetaKey, Outboxed, Refusal, Reporter, registry_version, registry_version_value,
};
pub use error::{CommitError, OpenError, StoreError};
pub use model::Model;
pub use redb_store::RedbBackend;
pub use rules::SharedRules;
pub use store::{
    Birth, Page, Reaped, Stats, Store, Swept, policy_approvals, policy_approvals_value, proposals,
    proposals_value,
};
