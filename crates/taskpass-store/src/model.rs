//! The plain model: the same semantics in ordered maps, written without a look at any backend.
//!
//! It says what a store does, as simply as possible: every listing is a filter over a whole map,
//! every rule is asked. The conformance suite compares backends with it, and tests of other crates
//! use it as a store. It keeps nothing beyond the process.

mod apply;
mod reader;
mod reap;

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use bytes::Bytes;
use taskpass_core::coverage::Reporting;
use taskpass_core::credential::{Credential, CredentialKind};
use taskpass_core::enrolment::Enrolment;
use taskpass_core::identity::{IdentityLine, Principal};
use taskpass_core::key::{KeyId, KeyRecord};
use taskpass_core::registry::{Row, RowKey, Versioned};
use taskpass_core::revocation::{Rule, RuleSet};
use taskpass_core::secret::Sha256;
use taskpass_core::task::Task;
use taskpass_core::tie::Tie;
use taskpass_core::{AgentName, CredentialId, DecisionId, OwnerName, TaskId, Timestamp};

use crate::backend::{Backend, Reader};
use crate::commit::{ArchiveCursor, Commit, Committed, Counter, MetaKey, Refusal, Reporter};
use crate::error::StoreError;
use crate::rules::SharedRules;
use crate::store::{Birth, Reaped};

/// A store in ordered maps.
#[derive(Debug)]
pub struct Model {
    shared: Arc<Shared>,
}

/// What the model and its readers share.
#[derive(Debug)]
struct Shared {
    birth: Birth,
    rules: Arc<SharedRules>,
    state: RwLock<State>,
}

/// Everything that is kept.
#[derive(Debug, Default)]
struct State {
    rows: BTreeMap<RowKey, Versioned<Row>>,
    tasks: BTreeMap<TaskId, Task>,
    started: BTreeMap<(AgentName, Sha256), Started>,
    /// The owners of tasks that hold a place.
    counted: BTreeMap<TaskId, OwnerName>,
    credentials: BTreeMap<CredentialId, Credential>,
    counts: BTreeMap<(u64, Counter), u64>,
    rules: BTreeMap<u64, Arc<Rule>>,
    enrolments: BTreeMap<Sha256, Enrolment>,
    identities: BTreeMap<Principal, IdentityLine>,
    keys: BTreeMap<KeyId, KeyRecord>,
    ties: BTreeMap<TaskId, Tie>,
    outbox: BTreeMap<DecisionId, Bytes>,
    cursor: ArchiveCursor,
    values: BTreeMap<MetaKey, Vec<u8>>,
    reporting: BTreeMap<Reporter, Versioned<Reporting>>,
    next_places: BTreeMap<(u64, CredentialKind), u64>,
    newest_seq: u64,
    newest_iat: u64,
    last_committed_at: Timestamp,
}

/// What a key started.
#[derive(Debug)]
struct Started {
    task: TaskId,
    request: Sha256,
}

impl Model {
    /// An empty model.
    pub fn new(birth: Birth) -> Self {
        let state = State {
            last_committed_at: birth.born_at,
            ..State::default()
        };
        Self {
            shared: Arc::new(Shared {
                birth,
                rules: Arc::new(SharedRules::new(RuleSet::default(), 0)),
                state: RwLock::new(state),
            }),
        }
    }
}

impl Shared {
    fn look<T>(&self, look: impl FnOnce(&State) -> T) -> T {
        look(&self.state.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        change(&mut self.state.write().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Backend for Model {
    fn apply(&mut self, group: &[Commit]) -> Result<Vec<Result<Committed, Refusal>>, StoreError> {
        let outcomes: Vec<_> = self
            .shared
            .change(|state| group.iter().map(|commit| state.commit(commit)).collect());
        let made = outcomes.iter().flatten();
        let rules = made.flat_map(|committed: &Committed| committed.rules.iter().cloned());
        self.shared.rules.publish(rules);
        Ok(outcomes)
    }

    fn reap(&mut self, before: Timestamp, limit: usize) -> Result<Reaped, StoreError> {
        let (reaped, rules_until) = self.shared.change(|state| {
            let (reaped, rules_until) = state.reap(before, limit);
            state.add_swept(&reaped, before)?;
            Ok::<_, StoreError>((reaped, rules_until))
        })?;
        if let Some(until) = rules_until {
            self.shared.rules.prune(until);
        }
        Ok(reaped)
    }

    fn reader(&self) -> Arc<dyn Reader> {
        Arc::new(reader::ModelReader::new(Arc::clone(&self.shared)))
    }
}
