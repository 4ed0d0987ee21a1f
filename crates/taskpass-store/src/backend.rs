//! What lies beneath a store: a synchronous writer of whole groups, and its readers.
//!
//! A [`Backend`] is owned by one thread and does nothing concurrently; [`Batched`] forms the groups
//! and answers the callers. Readers are shared by everybody and never wait for the writer.
//!
//! [`Batched`]: crate::Batched

use std::sync::Arc;

use taskpass_core::coverage::Reporting;
use taskpass_core::credential::Credential;
use taskpass_core::enrolment::Enrolment;
use taskpass_core::identity::{IdentityLine, Principal};
use taskpass_core::key::KeyRecord;
use taskpass_core::registry::{Row, Versioned};
use taskpass_core::secret::Sha256;
use taskpass_core::task::Task;
use taskpass_core::tie::Tie;
use taskpass_core::{AgentName, CredentialId, TaskId, Timestamp};

use crate::commit::{
    ArchiveCursor, Commit, Committed, Counter, LeasedPlaces, MetaKey, Outboxed, Refusal, Reporter,
};
use crate::error::StoreError;
use crate::rules::SharedRules;
use crate::store::{Birth, Page, Reaped};

/// A place that keeps commits.
pub trait Backend: Send + 'static {
    /// Checks and applies the commits of `group` in order and makes them durable together; answers
    /// each of them.
    ///
    /// A later commit's guards see what the earlier ones changed. A refused commit changes nothing.
    /// Rules enter [`SharedRules`] after the group is durable and before this returns; who waits for
    /// them is told once the callers have their answers. After an
    /// error nothing is known of the group, and the backend must not be used again.
    fn apply(&mut self, group: &[Commit]) -> Result<Vec<Result<Committed, Refusal>>, StoreError>;

    /// Removes what expired before `before`, in one durable step of about `limit` rows, and adds what
    /// that was to what [`MetaKey::Swept`] keeps.
    fn reap(&mut self, before: Timestamp, limit: usize) -> Result<Reaped, StoreError>;

    /// Whether there is room for commits that can be refused. Asked before each group and each step
    /// of the reaper.
    fn has_room(&mut self) -> bool {
        true
    }

    /// The reading side.
    fn reader(&self) -> Arc<dyn Reader>;
}

/// The reading side of a backend; the methods are those of [`Store`], synchronous.
///
/// Every call sees one durable state and holds nothing open when it returns. Once the backend is
/// dropped, reads answer [`StoreError::Stopped`].
///
/// [`Store`]: crate::Store
pub trait Reader: Send + Sync + 'static {
    /// What the store was made for.
    fn birth(&self) -> &Birth;

    /// The rules in force.
    fn rules(&self) -> Arc<SharedRules>;

    /// The latest wall clock of a commit.
    fn last_committed_at(&self) -> Timestamp;

    /// Every row of the registry.
    fn registry(&self) -> Result<Vec<Versioned<Row>>, StoreError>;

    /// A task by id.
    fn task(&self, id: TaskId) -> Result<Option<Task>, StoreError>;

    /// Tasks by deadline after `after`; of one agent if `agent` is given.
    fn tasks(
        &self,
        agent: Option<&AgentName>,
        after: Option<TaskId>,
        limit: usize,
    ) -> Result<Page<Task>, StoreError>;

    /// The tasks directly under `parent`, by deadline after `after`.
    fn children(
        &self,
        parent: TaskId,
        after: Option<TaskId>,
        limit: usize,
    ) -> Result<Page<Task>, StoreError>;

    /// The tied tasks by deadline after `after`.
    fn ties(&self, after: Option<TaskId>, limit: usize) -> Result<Page<Tie>, StoreError>;

    /// A credential by id.
    fn credential(&self, id: CredentialId) -> Result<Option<Credential>, StoreError>;

    /// The credentials of a task, by expiry after `after`.
    fn credentials(
        &self,
        task: TaskId,
        after: Option<CredentialId>,
        limit: usize,
    ) -> Result<Page<Credential>, StoreError>;

    /// An enrolment by the hash of its token.
    fn enrolment(&self, hash: Sha256) -> Result<Option<Enrolment>, StoreError>;

    /// A principal's identity line.
    fn identity(&self, principal: &Principal) -> Result<Option<IdentityLine>, StoreError>;

    /// Every key.
    fn keys(&self) -> Result<Vec<KeyRecord>, StoreError>;

    /// A single value.
    fn meta(&self, key: MetaKey) -> Result<Option<Vec<u8>>, StoreError>;

    /// What is kept of a verifier's reports at a target, if it ever reported.
    fn reporting(&self, reporter: &Reporter) -> Result<Option<Versioned<Reporting>>, StoreError>;

    /// How far places are leased, by hour.
    fn leased_places(&self) -> Result<Vec<LeasedPlaces>, StoreError>;

    /// The oldest entries of the outbox.
    fn outbox(&self, limit: usize) -> Result<Vec<Outboxed>, StoreError>;

    /// Where the log ends.
    fn archive_cursor(&self) -> Result<ArchiveCursor, StoreError>;

    /// How many credentials have not expired at `now`, the running minute counted whole.
    fn live(&self, counter: &Counter, now: Timestamp) -> u64;

    /// The same for all agents together, at the time of the last commit.
    fn live_credentials(&self) -> u64;

    /// How many entries the outbox holds.
    fn outbox_len(&self) -> u64;

    /// The size of the store's file in bytes; 0 in memory.
    fn file_bytes(&self) -> u64;

    /// Hands over the whole store as it is at this moment, in pieces, until `sink` takes no more. Backends
    /// whose database has a backup of its own leave it to that.
    fn backup(
        &self,
        at: Timestamp,
        sink: &mut dyn FnMut(bytes::Bytes) -> bool,
    ) -> Result<(), StoreError> {
        let _ = (at, sink);
        Err(StoreError::no_backup())
    }
}
