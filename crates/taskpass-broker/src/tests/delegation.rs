//! Work that one agent hands on to another.

mod chain;
mod model;
mod story;
mod width;

use std::collections::BTreeSet;
use std::path::PathBuf;

use serde_json::Value;
use taskpass_core::registry::{Agent, Row, RowKey};
use taskpass_core::task::Task;
use taskpass_core::{ScopeRef, TaskId, Timestamp, Ttl};
use taskpass_store::{Change, Commit, Store as _};

use crate::policy::{Looked, PolicyDirectory};
use crate::testing::{LEDGER, TestBroker, as_agent};
use crate::{Error, StartRequest};

/// Permits every pair.
const ANY_PAIR: &str =
    r#"@id("any-pair") permit (principal, action == Action::"delegate", resource);"#;

/// A broker, and the directory of its policies.
struct World {
    t: TestBroker,
    policies: tempfile::TempDir,
}

impl World {
    /// The shipped policies, and `extra`.
    async fn with(seed: u64, extra: &str) -> Self {
        let policies = tempfile::tempdir().unwrap();
        let shipped = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../config/policies");
        for entry in std::fs::read_dir(shipped).unwrap() {
            let entry = entry.unwrap();
            std::fs::copy(entry.path(), policies.path().join(entry.file_name())).unwrap();
        }
        let t = TestBroker::seeded(seed).await;
        let world = Self { t, policies };
        world.permit(extra).await;
        world
    }

    /// Puts `extra` in force beside the shipped policies, instead of what was there.
    async fn permit(&self, extra: &str) {
        std::fs::write(self.policies.path().join("extra.cedar"), extra).unwrap();
        let mut directory = PolicyDirectory::new(self.policies.path().to_owned());
        let looked = directory.look(&self.t.broker, true).await.unwrap();
        assert_eq!(looked, Looked::InForce);
    }

    async fn new() -> Self {
        Self::with(1, ANY_PAIR).await
    }

    /// `who` hands a part of `parent` on to `to`, a second after whatever was before.
    async fn hand_on(
        &self,
        who: &str,
        to: &str,
        names: &[&str],
        parent: TaskId,
    ) -> Result<TaskId, Error> {
        let request = wish(to, names, parent);
        self.t.advance(1);
        let started = self.t.broker.start_task(&as_agent(who), request).await;
        started.map(|started| started.task.id)
    }

    async fn record(&self, task: TaskId) -> Task {
        self.t.store.task(task).await.unwrap().unwrap()
    }

    /// Writes rows as another process would: this broker's memory does not know of it.
    async fn elsewhere(&self, row: Row) {
        let commit = Commit::new(self.t.now()).change(Change::PutRow(row));
        self.t.store.commit(commit).await.unwrap();
    }

    /// An agent as it is registered.
    async fn agent(&self, name: &str) -> Agent {
        self.t.broker.reload_registry().await.unwrap();
        let registry = self.t.broker.registry();
        registry
            .agent(&name.parse().unwrap())
            .unwrap()
            .value
            .clone()
    }

    /// Changes an agent elsewhere.
    async fn change(&self, name: &str, change: impl FnOnce(&mut Agent)) {
        let mut agent = self.agent(name).await;
        change(&mut agent);
        self.elsewhere(Row::Agent(agent)).await;
    }

    /// Entries of this kind by the second they were made in, the oldest first.
    async fn entries(&self, kind: &str) -> Vec<Value> {
        let waiting = self.t.store.outbox(usize::MAX).await.unwrap();
        let entries = waiting
            .iter()
            .map(|entry| serde_json::from_slice::<Value>(&entry.json).unwrap());
        entries.filter(|entry| entry["kind"] == kind).collect()
    }

    /// Every entry is as its schema says.
    async fn are_as_documented(&self) {
        let schema = super::schema::Schema::new();
        let waiting = self.t.store.outbox(usize::MAX).await.unwrap();
        for entry in waiting {
            let entry = serde_json::from_slice(&entry.json).unwrap();
            schema.admits(&entry).unwrap();
        }
    }

    async fn last(&self, kind: &str) -> Value {
        self.entries(kind).await.pop().unwrap()
    }
}

fn wish(to: &str, names: &[&str], parent: TaskId) -> StartRequest {
    StartRequest {
        purpose: "handed on".into(),
        scopes: refs(names),
        ttl: Some(Ttl::from_mins(20)),
        parent: Some(parent),
        agent: Some(to.parse().unwrap()),
        idempotency_key: None,
    }
}

fn refs(names: &[&str]) -> BTreeSet<ScopeRef> {
    let of = |name: &&str| format!("{LEDGER}#{name}").parse().unwrap();
    names.iter().map(of).collect()
}

fn reason<T: std::fmt::Debug>(outcome: Result<T, Error>) -> &'static str {
    outcome.unwrap_err().reason()
}

/// Names that are not used where only the key is.
fn key(name: &str) -> RowKey {
    RowKey::Agent(name.parse().unwrap())
}

fn soon(now: Timestamp, secs: u64) -> Timestamp {
    now.plus(std::time::Duration::from_secs(secs))
}
