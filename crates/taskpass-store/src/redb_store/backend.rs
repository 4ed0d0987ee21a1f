//! The writer: one redb database, owned by one thread.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, RwLock};

use redb::{
    Database, Durability, ReadableDatabase as _, ReadableTable as _, ReadableTableMetadata as _,
    WriteTransaction,
};
use taskpass_core::Timestamp;
use taskpass_core::revocation::RuleSet;

use super::error::During as _;
use super::group::{Effects, Group};
use super::reader::RedbReader;
use super::shared::{Recent, Shared};
use super::{keys, read, tables};
use crate::backend::{Backend, Reader};
use crate::commit::{Commit, Committed, Refusal};
use crate::counters::Counters;
use crate::error::StoreError;
use crate::record::{self, ClockRecord, RuleRecord};
use crate::rules::SharedRules;
use crate::space::Space;
use crate::store::{Birth, Reaped};

/// A store in one redb file, or in memory. Make one with [`open`](super::open) or
/// [`in_memory`](super::in_memory).
#[derive(Debug)]
pub struct RedbBackend {
    pub(super) database: Arc<Database>,
    pub(super) shared: Arc<Shared>,
    pub(super) clock: ClockRecord,
    quick_repair: bool,
    /// Of a store in a file.
    space: Option<Space>,
    /// After a failed write, what is on disk is unknown: nothing more is tried.
    failed: bool,
}

impl RedbBackend {
    /// Takes over a database of the present schema: reads its small tables.
    pub(super) fn load(
        database: Database,
        birth: Birth,
        path: Option<PathBuf>,
        quick_repair: bool,
    ) -> Result<Self, StoreError> {
        let transaction = database.begin_read().during("began a read")?;
        let meta = transaction
            .open_table(tables::META)
            .during("opened a table")?;
        let clock: ClockRecord = read::get("meta", &meta, tables::CLOCK, Some)?
            .ok_or(StoreError::Corrupt { table: "meta" })?;
        let mut set = RuleSet::default();
        let rules = transaction
            .open_table(tables::RULE)
            .during("opened a table")?;
        for row in rules.iter().during("read the rules")? {
            let (seq, value) = row.during("read the rules")?;
            let convert = |record: RuleRecord| record.into_rule(seq.value());
            set.insert(record::read("rule", value.value(), convert)?);
        }
        let mut counters = Counters::default();
        let counts = transaction
            .open_table(tables::COUNTER)
            .during("opened a table")?;
        for row in counts.iter().during("read the counters")? {
            let (key, count) = row.during("read the counters")?;
            let (counter, minute) =
                keys::read_counter(key.value()).ok_or(StoreError::Corrupt { table: "counter" })?;
            counters.add(&counter, minute, count.value());
        }
        let outbox = transaction
            .open_table(tables::OUTBOX)
            .during("opened a table")?;
        let space = path.as_deref().map(Space::beside);
        let shared = Shared {
            birth,
            rules: Arc::new(SharedRules::new(set, clock.newest_seq)),
            path,
            counters: RwLock::new(counters),
            last_committed_at: AtomicU64::new(clock.last_committed_at),
            outbox: AtomicU64::new(outbox.len().during("counted the outbox")?),
            recent: Recent::default(),
        };
        drop((meta, rules, counts, outbox));
        drop(transaction);
        Ok(Self {
            database: Arc::new(database),
            shared: Arc::new(shared),
            clock,
            quick_repair,
            space,
            failed: false,
        })
    }

    /// Begins a write, durable when it commits.
    pub(super) fn begin(&self) -> Result<WriteTransaction, StoreError> {
        let mut transaction = self.database.begin_write().during("began a write")?;
        transaction
            .set_durability(Durability::Immediate)
            .during("began a write")?;
        transaction.set_quick_repair(self.quick_repair);
        Ok(transaction)
    }

    /// Runs `work` unless an earlier one failed; from its first failure on nothing runs.
    fn crash_only<T>(
        &mut self,
        work: impl FnOnce(&mut Self) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        if self.failed {
            return Err(StoreError::Stopped);
        }
        let result = work(self);
        self.failed = result.is_err();
        result
    }

    fn write(&mut self, group: &[Commit]) -> Result<Vec<Result<Committed, Refusal>>, StoreError> {
        let transaction = self.begin()?;
        let mut work = Group::new(&transaction, &self.shared, self.clock);
        let outcomes: Vec<_> = group
            .iter()
            .map(|commit| work.commit(commit))
            .collect::<Result<_, _>>()?;
        if outcomes.iter().all(Result::is_err) {
            drop(work);
            transaction.abort().during("left a write")?;
            return Ok(outcomes);
        }
        let effects = work.finish()?;
        transaction.commit().during("wrote a group of commits")?;
        self.take_over(effects);
        Ok(outcomes)
    }

    /// What was written is durable now: memory follows.
    fn take_over(&mut self, effects: Effects) {
        self.clock = effects.clock;
        let shared = &self.shared;
        shared.recent.changed(&effects);
        shared.change_counters(|counters| {
            counters.merge(&effects.counted);
            counters.take_away(&effects.freed);
        });
        shared.outbox.store(effects.outbox, Ordering::Relaxed);
        shared
            .last_committed_at
            .store(effects.clock.last_committed_at, Ordering::Relaxed);
        shared.rules.publish(effects.rules);
    }
}

impl Backend for RedbBackend {
    fn apply(&mut self, group: &[Commit]) -> Result<Vec<Result<Committed, Refusal>>, StoreError> {
        self.crash_only(|backend| backend.write(group))
    }

    fn reap(&mut self, before: Timestamp, limit: usize) -> Result<Reaped, StoreError> {
        self.crash_only(|backend| backend.remove_expired(before, limit))
    }

    fn has_room(&mut self) -> bool {
        self.space.as_mut().is_none_or(Space::is_ample)
    }

    fn reader(&self) -> Arc<dyn Reader> {
        Arc::new(RedbReader::new(&self.database, Arc::clone(&self.shared)))
    }
}
