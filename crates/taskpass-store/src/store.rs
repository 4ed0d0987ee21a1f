//! What the broker sees of the store.

mod proposals;
mod swept;

use std::sync::Arc;

use async_trait::async_trait;
use taskpass_core::coverage::Reporting;
use taskpass_core::credential::Credential;
use taskpass_core::enrolment::Enrolment;
use taskpass_core::identity::{IdentityLine, Principal};
use taskpass_core::key::KeyRecord;
use taskpass_core::registry::{Row, Versioned};
use taskpass_core::secret::Sha256;
use taskpass_core::spiffe::TrustDomain;
use taskpass_core::task::Task;
use taskpass_core::tie::Tie;
use taskpass_core::{AgentName, CredentialId, TaskId, Timestamp};

use crate::commit::{
    ArchiveCursor, Commit, Committed, Counter, LeasedPlaces, MetaKey, Outboxed, Reporter,
};
use crate::error::{CommitError, StoreError};
use crate::rules::SharedRules;

pub use proposals::{policy_approvals, policy_approvals_value, proposals, proposals_value};
pub use swept::Swept;

/// What a store was made for; written once, with the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Birth {
    /// The trust domain.
    pub trust_domain: TrustDomain,
    /// The public base URL: `iss`, and what the JWKS and metadata are found under.
    pub public_url: String,
    /// Where CRLs are found, over plain HTTP.
    pub crl_url: String,
    /// Made by `dev`: `serve` refuses it.
    pub dev: bool,
    /// When.
    pub born_at: Timestamp,
    /// Changes whenever the history of rules was cut (a restored backup): verifiers start over.
    pub epoch: u64,
}

/// One page of a listing.
#[derive(Debug, Clone)]
pub struct Page<T> {
    /// The items.
    pub items: Vec<T>,
    /// Whether there is more after the last of them.
    pub more: bool,
}

/// What one call of the reaper removed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Reaped {
    /// Expired credentials.
    pub credentials: u64,
    /// Tasks past their deadline and retention.
    pub tasks: u64,
    /// Rules that can match nothing any more.
    pub rules: u64,
    /// Expired enrolments and other small rows.
    pub others: u64,
    /// Whether the limit stopped it: there is more to remove.
    pub more: bool,
}

/// What a store knows of itself, for metrics. Cheap to read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stats {
    /// Commits that were made.
    pub commits: u64,
    /// Groups that were written; commits divided by groups is the group size.
    pub groups: u64,
    /// The last group's commits.
    pub last_group: u64,
    /// How long the last group took to write, in microseconds.
    pub last_group_micros: u64,
    /// The sum of all groups' times, in microseconds.
    pub total_group_micros: u64,
    /// Commits waiting now.
    pub queued: u64,
    /// Audit entries in the outbox.
    pub outbox: u64,
    /// How many it holds at most before ordinary commits are refused.
    pub outbox_limit: u64,
    /// Unexpired credentials, by the counters.
    pub live_credentials: u64,
    /// The size of the store's file in bytes; 0 in memory.
    pub file_bytes: u64,
    /// Whether the disk was so full, when it was last looked at, that ordinary commits are refused.
    pub disk_full: bool,
}

/// The broker's durable memory.
///
/// Reads by id are cheap and may run on the runtime; reads of pages leave it. No read holds
/// anything open across an await.
#[async_trait]
pub trait Store: Send + Sync + 'static {
    /// Makes `commit` durable, or says why not.
    async fn commit(&self, commit: Commit) -> Result<Committed, CommitError>;

    /// What the store was made for.
    fn birth(&self) -> &Birth;

    /// The rules in force.
    fn rules(&self) -> Arc<SharedRules>;

    /// The wall clock of the newest commit, also of an earlier run.
    fn last_committed_at(&self) -> Timestamp;

    /// Every row of the registry.
    async fn registry(&self) -> Result<Vec<Versioned<Row>>, StoreError>;

    /// A task by id.
    async fn task(&self, id: TaskId) -> Result<Option<Task>, StoreError>;

    /// Tasks by deadline, from `after` on (exclusive); of one agent if `agent` is given.
    async fn tasks(
        &self,
        agent: Option<AgentName>,
        after: Option<TaskId>,
        limit: usize,
    ) -> Result<Page<Task>, StoreError>;

    /// The tasks directly under `parent`, by deadline, from `after` on (exclusive).
    async fn children(
        &self,
        parent: TaskId,
        after: Option<TaskId>,
        limit: usize,
    ) -> Result<Page<Task>, StoreError>;

    /// The tied tasks by deadline, from `after` on (exclusive).
    async fn ties(&self, after: Option<TaskId>, limit: usize) -> Result<Page<Tie>, StoreError>;

    /// A credential by id.
    async fn credential(&self, id: CredentialId) -> Result<Option<Credential>, StoreError>;

    /// The credentials of a task, by expiry, from `after` on (exclusive).
    async fn credentials(
        &self,
        task: TaskId,
        after: Option<CredentialId>,
        limit: usize,
    ) -> Result<Page<Credential>, StoreError>;

    /// An enrolment by the hash of its token.
    async fn enrolment(&self, hash: Sha256) -> Result<Option<Enrolment>, StoreError>;

    /// A principal's identity line.
    async fn identity(&self, principal: &Principal) -> Result<Option<IdentityLine>, StoreError>;

    /// Every key.
    async fn keys(&self) -> Result<Vec<KeyRecord>, StoreError>;

    /// A single value.
    async fn meta(&self, key: MetaKey) -> Result<Option<Vec<u8>>, StoreError>;

    /// What is kept of a verifier's reports at a target, if it ever reported.
    async fn reporting(
        &self,
        reporter: &Reporter,
    ) -> Result<Option<Versioned<Reporting>>, StoreError>;

    /// How far the places on lists are leased, by hour; an hour without a row has none.
    async fn leased_places(&self) -> Result<Vec<LeasedPlaces>, StoreError>;

    /// The oldest entries of the outbox.
    async fn outbox(&self, limit: usize) -> Result<Vec<Outboxed>, StoreError>;

    /// Where the log ends.
    async fn archive_cursor(&self) -> Result<ArchiveCursor, StoreError>;

    /// How many credentials have not expired at `now`: an upper bound on the live ones, since some
    /// may be revoked, and since the minute that runs is counted whole.
    async fn live(&self, counter: Counter, now: Timestamp) -> Result<u64, StoreError>;

    /// Removes what expired before `before`, at most about `limit` rows, and rules that are
    /// prunable at `before`. In the background lane. What is removed is added, in the same step, to
    /// what [`MetaKey::Swept`] keeps.
    async fn reap(&self, before: Timestamp, limit: usize) -> Result<Reaped, CommitError>;

    /// Hands over the whole store as it is at this moment, as the pieces of a backup file made at `at`.
    /// Whoever takes none for half a minute, or is not done within a quarter of an hour, gets no more: the
    /// store's file grows meanwhile.
    async fn backup(
        &self,
        at: Timestamp,
        out: tokio::sync::mpsc::Sender<bytes::Bytes>,
    ) -> Result<(), StoreError> {
        let _ = (at, out);
        Err(StoreError::no_backup())
    }

    /// Figures for metrics.
    fn stats(&self) -> Stats;
}
