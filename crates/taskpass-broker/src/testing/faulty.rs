//! A store that fails when told to, or dies, and remembers every entry that it put into its outbox.

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
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
use taskpass_store::{
    ArchiveCursor, Birth, Change, Commit, CommitError, Committed, Counter, LeasedPlaces, MetaKey,
    Outboxed, Page, Reaped, Reporter, SharedRules, Stats, Store, StoreError,
};

/// How a commit fails.
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
    /// After how many more commits it dies, and how the one fails at which it does.
    dies: Option<(usize, Fault)>,
    dead: bool,
    recorded: Vec<String>,
}

/// A store with faults.
pub(crate) struct Faulty {
    inner: Arc<dyn Store>,
    state: Arc<Mutex<State>>,
}

impl Faulty {
    /// Over a store, whose outbox is what was recorded so far.
    pub(crate) async fn over(inner: Arc<dyn Store>) -> Arc<Self> {
        let entries = inner.outbox(10_000).await.unwrap();
        let recorded = entries.iter().map(|entry| entry.id.to_string()).collect();
        let fault = None;
        Arc::new(Self {
            inner,
            state: Arc::new(Mutex::new(State {
                fault,
                recorded,
                ..State::default()
            })),
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

    /// Lets so many more commits succeed; the next one fails, and from then on none is taken.
    pub(crate) fn die_after(&self, commits: usize, fault: Fault) {
        self.state().dies = Some((commits, fault));
    }

    /// Whether it has died.
    pub(crate) fn is_dead(&self) -> bool {
        self.state().dead
    }

    /// Takes commits again, as after a restart.
    pub(crate) fn revive(&self) {
        let mut state = self.state();
        (state.dies, state.dead) = (None, false);
    }

    /// How the commit that comes now fails, if this is the one.
    fn death(&self) -> Option<Fault> {
        let mut state = self.state();
        if state.dead {
            return Some(Fault::NotDone);
        }
        let (left, fault) = state.dies?;
        if let Some(left) = left.checked_sub(1) {
            state.dies = Some((left, fault));
            return None;
        }
        state.dead = true;
        Some(fault)
    }

    /// The ids of all entries that were committed, sorted.
    pub(crate) fn recorded(&self) -> Vec<String> {
        let mut recorded = self.state().recorded.clone();
        recorded.sort();
        recorded
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        lock(&self.state)
    }
}

fn lock(state: &Mutex<State>) -> std::sync::MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
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
        let fault = self.death().or(fault);
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
        // Whoever waits for it may go: it is done all the same, and noted.
        let (inner, state) = (Arc::clone(&self.inner), Arc::clone(&self.state));
        let commit = tokio::spawn(async move {
            let committed = inner.commit(commit).await?;
            lock(&state).recorded.extend(entries);
            Ok::<_, CommitError>(committed)
        });
        let committed = commit.await.unwrap()?;
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

    async fn reporting(
        &self,
        reporter: &Reporter,
    ) -> Result<Option<Versioned<Reporting>>, StoreError> {
        self.inner.reporting(reporter).await
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
        let death = self.death();
        if death == Some(Fault::NotDone) {
            return Err(lost());
        }
        let reaped = self.inner.reap(before, limit).await?;
        if death.is_some() {
            return Err(lost());
        }
        Ok(reaped)
    }

    fn stats(&self) -> Stats {
        self.inner.stats()
    }
}
