//! A store that fails when told to, and remembers every entry that it put into its outbox.

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use taskpass_core::credential::Credential;
use taskpass_core::enrolment::Enrolment;
use taskpass_core::identity::{IdentityLine, Principal};
use taskpass_core::key::KeyRecord;
use taskpass_core::registry::{Row, Versioned};
use taskpass_core::secret::Sha256;
use taskpass_core::task::Task;
use taskpass_core::tie::Tie;
use taskpass_core::{AgentName, CredentialId, TaskId, Timestamp};
use taskpass_store::{
    ArchiveCursor, Birth, Change, Commit, CommitError, Committed, Counter, LeasedPlaces, MetaKey,
    Outboxed, Page, Reaped, SharedRules, Stats, Store, StoreError,
};

/// How the next commit of the archiver fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Nothing is written.
    NotDone,
    /// It is written, and the answer is lost.
    DoneUnheard,
}

#[derive(Debug, Default)]
struct State {
    fault: Option<Fault>,
    key_fault: Option<Fault>,
    recorded: Vec<String>,
}

/// A store with faults.
pub(crate) struct Faulty {
    inner: Arc<dyn Store>,
    state: Mutex<State>,
}

impl Faulty {
    /// Over a store, whose outbox is what was recorded so far.
    pub(crate) async fn over(inner: Arc<dyn Store>) -> Arc<Self> {
        let entries = inner.outbox(10_000).await.unwrap();
        let recorded = entries.iter().map(|entry| entry.id.to_string()).collect();
        let fault = None;
        Arc::new(Self {
            inner,
            state: Mutex::new(State {
                fault,
                key_fault: None,
                recorded,
            }),
        })
    }

    /// Lets the next commit that moves the log's cursor fail.
    pub(crate) fn fail_next(&self, fault: Option<Fault>) {
        self.state().fault = fault;
    }

    /// Lets the next commit that changes a key fail.
    pub(crate) fn fail_next_key(&self, fault: Option<Fault>) {
        self.state().key_fault = fault;
    }

    /// The ids of all entries that were committed, sorted.
    pub(crate) fn recorded(&self) -> Vec<String> {
        let mut recorded = self.state().recorded.clone();
        recorded.sort();
        recorded
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn lost() -> CommitError {
    CommitError::Failed(StoreError::Corrupt { table: "none" })
}

#[async_trait]
impl Store for Faulty {
    async fn commit(&self, commit: Commit) -> Result<Committed, CommitError> {
        let archives = commit
            .changes
            .iter()
            .any(|change| matches!(change, Change::Archived { .. }));
        let keys = commit
            .changes
            .iter()
            .any(|change| matches!(change, Change::PutKey(_)));
        let fault = archives.then(|| self.state().fault.take()).flatten();
        let fault = fault.or_else(|| keys.then(|| self.state().key_fault.take()).flatten());
        if fault == Some(Fault::NotDone) {
            return Err(lost());
        }
        let entries: Vec<_> = commit
            .changes
            .iter()
            .filter_map(|change| match change {
                Change::Outbox(entry) => Some(entry.id.to_string()),
                _ => None,
            })
            .collect();
        let committed = self.inner.commit(commit).await?;
        self.state().recorded.extend(entries);
        match fault {
            Some(_) => Err(lost()),
            None => Ok(committed),
        }
    }

    fn birth(&self) -> &Birth {
        self.inner.birth()
    }

    fn rules(&self) -> Arc<SharedRules> {
        self.inner.rules()
    }

    fn last_committed_at(&self) -> Timestamp {
        self.inner.last_committed_at()
    }

    async fn registry(&self) -> Result<Vec<Versioned<Row>>, StoreError> {
        self.inner.registry().await
    }

    async fn task(&self, id: TaskId) -> Result<Option<Task>, StoreError> {
        self.inner.task(id).await
    }

    async fn tasks(
        &self,
        agent: Option<AgentName>,
        after: Option<TaskId>,
        limit: usize,
    ) -> Result<Page<Task>, StoreError> {
        self.inner.tasks(agent, after, limit).await
    }

    async fn children(
        &self,
        parent: TaskId,
        after: Option<TaskId>,
        limit: usize,
    ) -> Result<Page<Task>, StoreError> {
        self.inner.children(parent, after, limit).await
    }

    async fn ties(&self, after: Option<TaskId>, limit: usize) -> Result<Page<Tie>, StoreError> {
        self.inner.ties(after, limit).await
    }

    async fn credential(&self, id: CredentialId) -> Result<Option<Credential>, StoreError> {
        self.inner.credential(id).await
    }

    async fn credentials(
        &self,
        task: TaskId,
        after: Option<CredentialId>,
        limit: usize,
    ) -> Result<Page<Credential>, StoreError> {
        self.inner.credentials(task, after, limit).await
    }

    async fn enrolment(&self, hash: Sha256) -> Result<Option<Enrolment>, StoreError> {
        self.inner.enrolment(hash).await
    }

    async fn identity(&self, principal: &Principal) -> Result<Option<IdentityLine>, StoreError> {
        self.inner.identity(principal).await
    }

    async fn keys(&self) -> Result<Vec<KeyRecord>, StoreError> {
        self.inner.keys().await
    }

    async fn meta(&self, key: MetaKey) -> Result<Option<Vec<u8>>, StoreError> {
        self.inner.meta(key).await
    }

    async fn leased_places(&self) -> Result<Vec<LeasedPlaces>, StoreError> {
        self.inner.leased_places().await
    }

    async fn outbox(&self, limit: usize) -> Result<Vec<Outboxed>, StoreError> {
        self.inner.outbox(limit).await
    }

    async fn archive_cursor(&self) -> Result<ArchiveCursor, StoreError> {
        self.inner.archive_cursor().await
    }

    async fn live(&self, counter: Counter, now: Timestamp) -> Result<u64, StoreError> {
        self.inner.live(counter, now).await
    }

    async fn reap(&self, before: Timestamp, limit: usize) -> Result<Reaped, CommitError> {
        self.inner.reap(before, limit).await
    }

    fn stats(&self) -> Stats {
        self.inner.stats()
    }
}
