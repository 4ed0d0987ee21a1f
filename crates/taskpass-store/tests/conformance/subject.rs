//! What the scenarios run on: each backend, alone and beneath its queue.

use std::sync::Arc;

use taskpass_core::coverage::Reporting;
use taskpass_core::credential::Credential;
use taskpass_core::enrolment::Enrolment;
use taskpass_core::identity::{IdentityLine, Principal};
use taskpass_core::key::KeyRecord;
use taskpass_core::registry::{Row, Versioned};
use taskpass_core::rng::SeededRng;
use taskpass_core::secret::Sha256;
use taskpass_core::task::Task;
use taskpass_core::tie::Tie;
use taskpass_core::{AgentName, CredentialId, TaskId, Timestamp};
use taskpass_store::{
    ArchiveCursor, Backend, Batched, Birth, Commit, CommitError, Committed, Counter, LeasedPlaces,
    MetaKey, Model, Options, Outboxed, Page, Reader, Reaped, RedbBackend, Refusal, Reporter,
    SharedRules, Store, StoreError, redb_store,
};
use tokio::runtime::Runtime;

use crate::values::birth;

/// A store under test.
pub(crate) trait Subject {
    /// What it is.
    fn name(&self) -> String;

    /// Applies a group of one lane.
    fn apply(&mut self, group: &[Commit]) -> Vec<Result<Committed, Refusal>>;

    /// Removes what expired.
    fn reap(&mut self, before: Timestamp, limit: usize) -> Reaped;

    /// Its reading side; dropped before `reopen`.
    fn reader(&self) -> Arc<dyn Reader>;

    /// Closes and opens it again; false if it keeps nothing.
    fn reopen(&mut self) -> bool;
}

impl dyn Subject + '_ {
    /// Applies one commit.
    pub(crate) fn commit(&mut self, commit: Commit) -> Result<Committed, Refusal> {
        self.apply(&[commit]).pop().unwrap()
    }
}

/// Where a backend comes from: fresh the first time, as it was afterwards.
type Open<B> = Box<dyn Fn() -> B>;

type Make = Box<dyn Fn() -> Box<dyn Subject>>;

/// Every subject, each freshly made.
pub(crate) fn all() -> Vec<Make> {
    let mut all: Vec<Make> = Vec::new();
    for queued in [false, true] {
        all.push(subject("model", queued, false, || {
            Box::new(|| Model::new(birth()))
        }));
        all.push(subject("redb in memory", queued, false, || {
            Box::new(|| RedbBackend::in_memory(birth(), &options()).unwrap())
        }));
        all.push(subject("redb file", queued, true, file));
    }
    all
}

fn subject<B: Backend>(
    name: &'static str,
    queued: bool,
    durable: bool,
    source: fn() -> Open<B>,
) -> Make {
    Box::new(move || {
        let open = source();
        if queued {
            Box::new(Queued::new(name, durable, open))
        } else {
            Box::new(Direct::new(name, durable, open))
        }
    })
}

pub(crate) fn options() -> Options {
    Options {
        cache_bytes: 4 * 1024 * 1024,
        reap_chunk: 2,
        ..Options::default()
    }
}

fn file() -> Open<RedbBackend> {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store.redb");
    redb_store::create(&path, &birth(), &SeededRng::new(7)).unwrap();
    Box::new(move || {
        // The directory lives as long as this closure does.
        RedbBackend::open(&directory.path().join("store.redb"), &options()).unwrap()
    })
}

/// The redb file alone, for the random histories.
pub(crate) fn redb_file() -> Box<dyn Subject> {
    Box::new(Direct::new("redb file", true, file()))
}

struct Direct<B> {
    name: &'static str,
    durable: bool,
    open: Open<B>,
    backend: Option<B>,
}

impl<B: Backend> Direct<B> {
    fn new(name: &'static str, durable: bool, open: Open<B>) -> Self {
        Self {
            name,
            durable,
            backend: Some(open()),
            open,
        }
    }
}

impl<B: Backend> Subject for Direct<B> {
    fn name(&self) -> String {
        self.name.to_owned()
    }

    fn apply(&mut self, group: &[Commit]) -> Vec<Result<Committed, Refusal>> {
        self.backend.as_mut().unwrap().apply(group).unwrap()
    }

    fn reap(&mut self, before: Timestamp, limit: usize) -> Reaped {
        self.backend.as_mut().unwrap().reap(before, limit).unwrap()
    }

    fn reader(&self) -> Arc<dyn Reader> {
        self.backend.as_ref().unwrap().reader()
    }

    fn reopen(&mut self) -> bool {
        if self.durable {
            self.backend = None;
            self.backend = Some((self.open)());
        }
        self.durable
    }
}

struct Queued<B: Backend> {
    name: &'static str,
    durable: bool,
    open: Open<B>,
    runtime: Arc<Runtime>,
    store: Option<Arc<Batched<B>>>,
}

impl<B: Backend> Queued<B> {
    fn new(name: &'static str, durable: bool, open: Open<B>) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        Self {
            name,
            durable,
            store: Some(Arc::new(Batched::new(open(), options()))),
            open,
            runtime: Arc::new(runtime),
        }
    }

    fn store(&self) -> &Arc<Batched<B>> {
        self.store.as_ref().unwrap()
    }
}

impl<B: Backend> Subject for Queued<B> {
    fn name(&self) -> String {
        format!("batched over {}", self.name)
    }

    fn apply(&mut self, group: &[Commit]) -> Vec<Result<Committed, Refusal>> {
        self.runtime.block_on(async {
            // Tasks of this runtime run in the order in which they were spawned.
            let waiting: Vec<_> = group
                .iter()
                .map(|commit| {
                    let store = Arc::clone(self.store());
                    // One lane, so that the order of the group is kept.
                    let commit = commit.clone().in_lane(taskpass_store::Lane::Normal);
                    tokio::spawn(async move { store.commit(commit).await })
                })
                .collect();
            let mut outcomes = Vec::new();
            for answer in waiting {
                outcomes.push(match answer.await.unwrap() {
                    Ok(committed) => Ok(committed),
                    Err(CommitError::Refused(refusal)) => Err(refusal),
                    Err(other) => panic!("{other:?}"),
                });
            }
            outcomes
        })
    }

    fn reap(&mut self, before: Timestamp, limit: usize) -> Reaped {
        self.runtime
            .block_on(self.store().reap(before, limit))
            .unwrap()
    }

    fn reader(&self) -> Arc<dyn Reader> {
        Arc::new(Through {
            store: Arc::clone(self.store()),
            runtime: Arc::clone(&self.runtime),
        })
    }

    fn reopen(&mut self) -> bool {
        if self.durable {
            let store = self.store.take().unwrap();
            self.runtime.block_on(store.close());
            drop(store);
            self.store = Some(Arc::new(Batched::new((self.open)(), options())));
        }
        self.durable
    }
}

/// Reads through the asynchronous trait.
struct Through<B: Backend> {
    store: Arc<Batched<B>>,
    runtime: Arc<Runtime>,
}

impl<B: Backend> Reader for Through<B> {
    fn birth(&self) -> &Birth {
        self.store.birth()
    }

    fn rules(&self) -> Arc<SharedRules> {
        self.store.rules()
    }

    fn last_committed_at(&self) -> Timestamp {
        self.store.last_committed_at()
    }

    fn registry(&self) -> Result<Vec<Versioned<Row>>, StoreError> {
        self.runtime.block_on(self.store.registry())
    }

    fn task(&self, id: TaskId) -> Result<Option<Task>, StoreError> {
        self.runtime.block_on(self.store.task(id))
    }

    fn tasks(
        &self,
        agent: Option<&AgentName>,
        after: Option<TaskId>,
        limit: usize,
    ) -> Result<Page<Task>, StoreError> {
        self.runtime
            .block_on(self.store.tasks(agent.cloned(), after, limit))
    }

    fn children(
        &self,
        parent: TaskId,
        after: Option<TaskId>,
        limit: usize,
    ) -> Result<Page<Task>, StoreError> {
        self.runtime
            .block_on(self.store.children(parent, after, limit))
    }

    fn ties(&self, after: Option<TaskId>, limit: usize) -> Result<Page<Tie>, StoreError> {
        self.runtime.block_on(self.store.ties(after, limit))
    }

    fn credential(&self, id: CredentialId) -> Result<Option<Credential>, StoreError> {
        self.runtime.block_on(self.store.credential(id))
    }

    fn credentials(
        &self,
        task: TaskId,
        after: Option<CredentialId>,
        limit: usize,
    ) -> Result<Page<Credential>, StoreError> {
        self.runtime
            .block_on(self.store.credentials(task, after, limit))
    }

    fn enrolment(&self, hash: Sha256) -> Result<Option<Enrolment>, StoreError> {
        self.runtime.block_on(self.store.enrolment(hash))
    }

    fn identity(&self, principal: &Principal) -> Result<Option<IdentityLine>, StoreError> {
        self.runtime.block_on(self.store.identity(principal))
    }

    fn keys(&self) -> Result<Vec<KeyRecord>, StoreError> {
        self.runtime.block_on(self.store.keys())
    }

    fn meta(&self, key: MetaKey) -> Result<Option<Vec<u8>>, StoreError> {
        self.runtime.block_on(self.store.meta(key))
    }

    fn reporting(&self, reporter: &Reporter) -> Result<Option<Versioned<Reporting>>, StoreError> {
        self.runtime.block_on(self.store.reporting(reporter))
    }

    fn leased_places(&self) -> Result<Vec<LeasedPlaces>, StoreError> {
        self.runtime.block_on(self.store.leased_places())
    }

    fn outbox(&self, limit: usize) -> Result<Vec<Outboxed>, StoreError> {
        self.runtime.block_on(self.store.outbox(limit))
    }

    fn archive_cursor(&self) -> Result<ArchiveCursor, StoreError> {
        self.runtime.block_on(self.store.archive_cursor())
    }

    fn live(&self, counter: &Counter, now: Timestamp) -> u64 {
        self.runtime
            .block_on(self.store.live(counter.clone(), now))
            .unwrap()
    }

    fn live_credentials(&self) -> u64 {
        self.store.stats().live_credentials
    }

    fn outbox_len(&self) -> u64 {
        self.store.stats().outbox
    }

    fn file_bytes(&self) -> u64 {
        self.store.stats().file_bytes
    }
}
