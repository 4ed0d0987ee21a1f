//! Removing what has expired, from the left edge of each table.
//!
//! Whoever reads a record compares it with the clock, so nothing depends on when this runs. Records
//! go in an order in which no row outlives what leads to it: credentials, tasks, enrolments,
//! counters, leases, rules.

use redb::{ReadableTable as _, WriteTransaction};
use taskpass_core::listing::list_hour;
use taskpass_core::revocation::RuleSet;
use taskpass_core::{CredentialId, TaskId, Timestamp};

use super::backend::RedbBackend;
use super::error::During as _;
use super::shared::Shared;
use super::writing::{Tables, put};
use super::{keys, read};
use crate::commit::{Counter, MetaKey};
use crate::error::StoreError;
use crate::record::{self, CredentialTask, EnrolmentRecord, IdempotencyRecord, TaskRecord};
use crate::store::{Reaped, Swept};

impl RedbBackend {
    /// One durable step of about `limit` rows.
    pub(super) fn remove_expired(
        &mut self,
        before: Timestamp,
        limit: usize,
    ) -> Result<Reaped, StoreError> {
        let transaction = self.begin()?;
        let mut sweep = Sweep::new(&transaction, &self.shared, before, limit.max(1));
        sweep.credentials()?;
        sweep.tasks()?;
        sweep.ties()?;
        sweep.enrolments()?;
        sweep.counters()?;
        sweep.list_places()?;
        let rules_until = sweep.rules()?;
        sweep.add_up()?;
        let (reaped, gone, left) = sweep.finish();
        if left == limit.max(1) {
            transaction.abort().during("left a write")?;
            return Ok(reaped);
        }
        transaction.commit().during("removed expired rows")?;
        self.shared.change_counters(|all| {
            for (counter, minute) in &gone.counters {
                all.forget(counter, *minute);
            }
        });
        self.shared.recent.gone(&gone.tasks, &gone.credentials);
        if let Some(until) = rules_until {
            self.shared.rules.prune(until);
        }
        Ok(Reaped {
            more: left == 0,
            ..reaped
        })
    }
}

/// One step of the reaper.
struct Sweep<'t> {
    tables: Tables<'t>,
    shared: &'t Shared,
    before: Timestamp,
    left: usize,
    reaped: Reaped,
    gone: Gone,
}

/// What a step removed of which memory has a copy.
#[derive(Default)]
struct Gone {
    credentials: Vec<CredentialId>,
    tasks: Vec<TaskId>,
    counters: Vec<(Counter, u64)>,
}

impl<'t> Sweep<'t> {
    fn new(
        transaction: &'t WriteTransaction,
        shared: &'t Shared,
        before: Timestamp,
        limit: usize,
    ) -> Self {
        Self {
            tables: Tables::new(transaction),
            shared,
            before,
            left: limit,
            reaped: Reaped::default(),
            gone: Gone::default(),
        }
    }

    /// How much was removed, what of it memory has, and how many rows of the limit are left.
    fn finish(self) -> (Reaped, Gone, usize) {
        (self.reaped, self.gone, self.left)
    }

    /// Notes `count` removed rows.
    fn spend(&mut self, count: usize) -> u64 {
        self.left = self.left.saturating_sub(count);
        u64::try_from(count).unwrap_or(u64::MAX)
    }

    fn credentials(&mut self) -> Result<(), StoreError> {
        const CORRUPT: StoreError = StoreError::Corrupt {
            table: "credential",
        };
        let edge = CredentialId::first_at(self.before);
        let mut gone = Vec::new();
        let extracted = self
            .tables
            .credential()?
            .extract_from_if::<&[u8; 16], _>(..edge.as_bytes(), |_, _| true)
            .during("removed credentials")?;
        for row in extracted.take(self.left) {
            let (id, value) = row.during("removed credentials")?;
            let convert = |record: CredentialTask| record.task();
            let task = record::read("credential", value.value(), convert)?;
            let id = CredentialId::from_bytes(*id.value()).ok_or(CORRUPT)?;
            gone.push(keys::pair(task.as_bytes(), id.as_bytes()));
            self.gone.credentials.push(id);
        }
        // Rows of one page one after another: those of a task are neighbours there.
        gone.sort_unstable();
        let index = self.tables.task_credential()?;
        for key in &gone {
            index.remove(key).during("removed credentials")?;
        }
        self.reaped.credentials = self.spend(gone.len());
        Ok(())
    }

    fn tasks(&mut self) -> Result<(), StoreError> {
        let edge = TaskId::first_at(self.before);
        let mut gone = Vec::new();
        let extracted = self
            .tables
            .task()?
            .extract_from_if::<&[u8; 16], _>(..edge.as_bytes(), |_, _| true)
            .during("removed tasks")?;
        for row in extracted.take(self.left) {
            let (id, value) = row.during("removed tasks")?;
            let convert = |id| move |record: TaskRecord| record.into_parts(id);
            let id =
                TaskId::from_bytes(*id.value()).ok_or(StoreError::Corrupt { table: "task" })?;
            gone.push(record::read("task", value.value(), convert(id))?);
        }
        for (task, idempotency) in &gone {
            let by_agent = keys::agent_task(&task.agent, &task.id);
            let index = self.tables.agent_task()?;
            index.remove(by_agent.as_slice()).during("removed tasks")?;
            if let Some(parent) = task.parent() {
                let under = keys::pair(parent.as_bytes(), task.id.as_bytes());
                let index = self.tables.child_task()?;
                index.remove(&under).during("removed tasks")?;
            }
            if let Some(key) = idempotency {
                let under = keys::idempotency_of(task.starter(), key);
                self.idempotency(under.as_slice(), task.id)?;
            }
        }
        self.gone.tasks = gone.iter().map(|(task, _)| task.id).collect();
        self.reaped.tasks = self.spend(gone.len());
        Ok(())
    }

    /// Of tasks that ran to their deadline: an end removes the tie with it.
    fn ties(&mut self) -> Result<(), StoreError> {
        let edge = TaskId::first_at(self.before);
        let extracted = self
            .tables
            .tied_task()?
            .extract_from_if::<&[u8; 16], _>(..edge.as_bytes(), |_, _| true)
            .during("removed ties")?;
        let mut gone = 0;
        for row in extracted.take(self.left) {
            row.during("removed ties")?;
            gone += 1;
        }
        self.reaped.others += self.spend(gone);
        Ok(())
    }

    /// Forgets an idempotency key, unless a later task was started under it.
    fn idempotency(&mut self, key: &[u8], task: TaskId) -> Result<(), StoreError> {
        let table = self.tables.idempotency()?;
        let started = read::get("idempotency", table, key, IdempotencyRecord::into_parts)?;
        if started.is_some_and(|(started, _)| started == task) {
            table.remove(key).during("removed tasks")?;
        }
        Ok(())
    }

    /// The table is small, so it is read whole.
    fn enrolments(&mut self) -> Result<(), StoreError> {
        let mut gone = Vec::new();
        let table = self.tables.enrolment()?;
        for row in table.iter().during("read enrolments")? {
            let (hash, value) = row.during("read enrolments")?;
            let convert = EnrolmentRecord::into_enrolment;
            let enrolment = record::read("enrolment", value.value(), convert)?;
            if enrolment.expires_at < self.before && gone.len() < self.left {
                gone.push(*hash.value());
            }
        }
        for hash in &gone {
            table.remove(hash).during("removed enrolments")?;
        }
        self.reaped.others += self.spend(gone.len());
        Ok(())
    }

    /// Minutes that have passed whole.
    fn counters(&mut self) -> Result<(), StoreError> {
        let edge = keys::counter_edge(self.before.minute());
        let extracted = self
            .tables
            .counter()?
            .extract_from_if::<&[u8], _>(..edge.as_slice(), |_, _| true)
            .during("removed counters")?;
        for row in extracted.take(self.left) {
            let (key, _) = row.during("removed counters")?;
            let counter = keys::read_counter(key.value());
            let counter = counter.ok_or(StoreError::Corrupt { table: "counter" })?;
            self.gone.counters.push(counter);
        }
        self.reaped.others += self.spend(self.gone.counters.len());
        Ok(())
    }

    /// Hours that have passed whole.
    fn list_places(&mut self) -> Result<(), StoreError> {
        let edge = keys::list_place_edge(list_hour(self.before));
        let extracted = self
            .tables
            .list_place()?
            .extract_from_if::<&[u8; 9], _>(..&edge, |_, _| true)
            .during("removed leases")?;
        let mut gone = 0;
        for row in extracted.take(self.left) {
            row.during("removed leases")?;
            gone += 1;
        }
        self.reaped.others += self.spend(gone);
        Ok(())
    }

    /// Adds what this step removed to what no entry tells yet.
    fn add_up(&mut self) -> Result<(), StoreError> {
        let under = keys::value(MetaKey::Swept);
        let table = self.tables.meta()?;
        let kept = read::meta(table, under)?;
        match Swept::after(kept.as_deref(), &self.reaped, self.before)? {
            Some(sum) => put(table, under, sum.as_slice()),
            None => Ok(()),
        }
    }

    /// Removes prunable rules, the earliest `prune_at` first; returns up to when, so that memory
    /// forgets exactly the same ones.
    fn rules(&mut self) -> Result<Option<Timestamp>, StoreError> {
        let (until, gone) = self
            .shared
            .rules
            .read(|set| prunable(set, self.before, self.left));
        let table = self.tables.rule()?;
        for seq in &gone {
            table.remove(seq).during("removed rules")?;
        }
        self.reaped.rules = self.spend(gone.len());
        Ok(until)
    }
}

/// About `limit` prunable rules: all that are prunable at the returned instant.
fn prunable(set: &RuleSet, before: Timestamp, limit: usize) -> (Option<Timestamp>, Vec<u64>) {
    let all = set.after(0).filter(|rule| rule.is_prunable(before));
    let mut by_end: Vec<_> = all.map(|rule| (rule.prune_at, rule.seq)).collect();
    by_end.sort_unstable();
    let last = by_end.iter().take(limit).next_back();
    let until = last.map(|(prune_at, _)| *prune_at);
    by_end.retain(|(prune_at, _)| Some(*prune_at) <= until);
    (until, by_end.into_iter().map(|(_, seq)| seq).collect())
}
