//! The store's trait over the queue and the reader.
//!
//! Reads by id run where they are called: a page of the file that is not cached costs one read of
//! the disk. Reads of pages leave the runtime.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
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

use tokio::sync::mpsc;

use super::Batched;
use crate::backend::{Backend, Reader};
use crate::commit::{
    ArchiveCursor, Commit, Committed, Counter, LeasedPlaces, MetaKey, Outboxed, Reporter,
};
use crate::error::{CommitError, StoreError};
use crate::rules::SharedRules;
use crate::store::{Birth, Page, Reaped, Stats, Store};

impl<B: Backend> Batched<B> {
    fn reader(&self) -> Result<&Arc<dyn Reader>, StoreError> {
        if self.figures.is_stopped() {
            return Err(StoreError::Stopped);
        }
        Ok(&self.reader.0)
    }

    /// Runs a longer read off the runtime.
    async fn aside<T: Send + 'static>(
        &self,
        read: impl FnOnce(&dyn Reader) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let reader = Arc::clone(self.reader()?);
        let joined = tokio::task::spawn_blocking(move || read(&*reader)).await;
        joined.unwrap_or_else(|error| {
            Err(StoreError::Backend {
                operation: "read a page",
                source: Box::new(error),
            })
        })
    }
}

/// How long a piece of a backup waits to be taken.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long a backup takes at most.
const LONGEST: Duration = Duration::from_mins(15);

#[async_trait]
impl<B: Backend> Store for Batched<B> {
    async fn commit(&self, commit: Commit) -> Result<Committed, CommitError> {
        self.submit(commit).await
    }

    async fn backup(&self, at: Timestamp, out: mpsc::Sender<Bytes>) -> Result<(), StoreError> {
        let runtime = tokio::runtime::Handle::current();
        let mut longest = Box::pin(tokio::time::sleep(LONGEST));
        self.aside(move |reader| {
            reader.backup(at, &mut |piece| {
                runtime.block_on(async {
                    tokio::select! {
                        biased;
                        () = &mut longest => false,
                        sent = tokio::time::timeout(PATIENCE, out.send(piece)) => {
                            sent.is_ok_and(|sent| sent.is_ok())
                        }
                    }
                })
            })
        })
        .await
    }

    fn birth(&self) -> &Birth {
        self.reader.0.birth()
    }

    fn rules(&self) -> Arc<SharedRules> {
        self.reader.0.rules()
    }

    fn last_committed_at(&self) -> Timestamp {
        self.reader.0.last_committed_at()
    }

    async fn registry(&self) -> Result<Vec<Versioned<Row>>, StoreError> {
        self.aside(<dyn Reader>::registry).await
    }

    async fn task(&self, id: TaskId) -> Result<Option<Task>, StoreError> {
        self.reader()?.task(id)
    }

    async fn tasks(
        &self,
        agent: Option<AgentName>,
        after: Option<TaskId>,
        limit: usize,
    ) -> Result<Page<Task>, StoreError> {
        self.aside(move |reader| reader.tasks(agent.as_ref(), after, limit))
            .await
    }

    async fn children(
        &self,
        parent: TaskId,
        after: Option<TaskId>,
        limit: usize,
    ) -> Result<Page<Task>, StoreError> {
        self.aside(move |reader| reader.children(parent, after, limit))
            .await
    }

    async fn ties(&self, after: Option<TaskId>, limit: usize) -> Result<Page<Tie>, StoreError> {
        self.aside(move |reader| reader.ties(after, limit)).await
    }

    async fn credential(&self, id: CredentialId) -> Result<Option<Credential>, StoreError> {
        self.reader()?.credential(id)
    }

    async fn credentials(
        &self,
        task: TaskId,
        after: Option<CredentialId>,
        limit: usize,
    ) -> Result<Page<Credential>, StoreError> {
        self.aside(move |reader| reader.credentials(task, after, limit))
            .await
    }

    async fn enrolment(&self, hash: Sha256) -> Result<Option<Enrolment>, StoreError> {
        self.reader()?.enrolment(hash)
    }

    async fn identity(&self, principal: &Principal) -> Result<Option<IdentityLine>, StoreError> {
        self.reader()?.identity(principal)
    }

    async fn keys(&self) -> Result<Vec<KeyRecord>, StoreError> {
        self.aside(<dyn Reader>::keys).await
    }

    async fn meta(&self, key: MetaKey) -> Result<Option<Vec<u8>>, StoreError> {
        self.reader()?.meta(key)
    }

    async fn reporting(
        &self,
        reporter: &Reporter,
    ) -> Result<Option<Versioned<Reporting>>, StoreError> {
        self.reader()?.reporting(reporter)
    }

    async fn leased_places(&self) -> Result<Vec<LeasedPlaces>, StoreError> {
        self.reader()?.leased_places()
    }

    async fn outbox(&self, limit: usize) -> Result<Vec<Outboxed>, StoreError> {
        self.aside(move |reader| reader.outbox(limit)).await
    }

    async fn archive_cursor(&self) -> Result<ArchiveCursor, StoreError> {
        self.reader()?.archive_cursor()
    }

    async fn live(&self, counter: Counter, now: Timestamp) -> Result<u64, StoreError> {
        Ok(self.reader()?.live(&counter, now))
    }

    async fn reap(&self, before: Timestamp, limit: usize) -> Result<Reaped, CommitError> {
        self.remove_expired(before, limit).await
    }

    fn stats(&self) -> Stats {
        let reader = &self.reader.0;
        Stats {
            queued: u64::try_from(self.queue.len()).unwrap_or(u64::MAX),
            outbox: reader.outbox_len(),
            outbox_limit: self.outbox_limit,
            live_credentials: reader.live_credentials(),
            file_bytes: reader.file_bytes(),
            ..self.figures.stats()
        }
    }
}
