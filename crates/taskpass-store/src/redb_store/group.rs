//! One group of commits inside one write transaction.

use std::collections::BTreeSet;
use std::sync::Arc;

use redb::{ReadableTableMetadata as _, WriteTransaction};
use taskpass_core::identity::Principal;
use taskpass_core::revocation::{Rule, RuleSet};
use taskpass_core::{CredentialId, TaskId};

use super::error::During as _;
use super::seen::Seen;
use super::shared::Shared;
use super::writing::{Tables, put, put_record};
use super::{keys, tables};
use crate::commit::{Commit, Committed, Counter, Refusal};
use crate::counters::Counters;
use crate::error::StoreError;
use crate::record::ClockRecord;

/// The group so far: its tables, and what memory must take over once it is durable.
pub(super) struct Group<'t> {
    pub(super) tables: Tables<'t>,
    /// What its guards have read.
    pub(super) seen: Seen,
    pub(super) shared: &'t Shared,
    pub(super) clock: ClockRecord,
    /// The rules of this group, for the guards of its later commits.
    pub(super) new_rules: RuleSet,
    /// The credentials and tasks of this group.
    pub(super) counted: Counters,
    /// The tasks that ended in this group.
    pub(super) freed: Counters,
    /// The principals whose identity lines were written.
    pub(super) identities: Vec<Principal>,
    /// The credentials that were written.
    pub(super) credentials: Vec<CredentialId>,
}

/// What memory takes over once the group is durable.
pub(super) struct Effects {
    pub(super) clock: ClockRecord,
    pub(super) counted: Counters,
    pub(super) freed: Counters,
    pub(super) rules: Vec<Arc<Rule>>,
    pub(super) outbox: u64,
    /// The tasks that were written.
    pub(super) tasks: Vec<TaskId>,
    pub(super) identities: Vec<Principal>,
    pub(super) credentials: Vec<CredentialId>,
}

impl<'t> Group<'t> {
    /// An empty group on top of `clock`.
    pub(super) fn new(
        transaction: &'t WriteTransaction,
        shared: &'t Shared,
        clock: ClockRecord,
    ) -> Self {
        Self {
            tables: Tables::new(transaction),
            seen: Seen::default(),
            shared,
            clock,
            new_rules: RuleSet::default(),
            counted: Counters::default(),
            freed: Counters::default(),
            identities: Vec::new(),
            credentials: Vec::new(),
        }
    }

    /// Checks all guards, then makes all changes.
    pub(super) fn commit(
        &mut self,
        commit: &Commit,
    ) -> Result<Result<Committed, Refusal>, StoreError> {
        for guard in &commit.guards {
            if let Some(refusal) = self.check(guard, commit.at)? {
                return Ok(Err(refusal));
            }
        }
        let mut committed = Committed::default();
        for change in &commit.changes {
            self.make(change, commit.at, &mut committed)?;
        }
        if !committed.rows.is_empty() {
            committed.registry_version = Some(self.raise_registry_version()?);
        }
        let at = commit.at.millis();
        self.clock.last_committed_at = self.clock.last_committed_at.max(at);
        Ok(Ok(committed))
    }

    /// Writes what is written once a group: the changed counters and the clock.
    pub(super) fn finish(mut self) -> Result<Effects, StoreError> {
        let changed: BTreeSet<(Counter, u64)> = self
            .counted
            .entries()
            .chain(self.freed.entries())
            .map(|(counter, minute, _)| (counter.clone(), minute))
            .collect();
        for (counter, minute) in &changed {
            let earlier = self.shared.counters(|all| all.get(counter, *minute));
            let key = keys::counter(counter, *minute);
            let sum = earlier
                .saturating_add(self.counted.get(counter, *minute))
                .saturating_sub(self.freed.get(counter, *minute));
            let table = self.tables.counter()?;
            if sum == 0 {
                table.remove(key.as_slice()).during("removed a row")?;
            } else {
                put(table, key.as_slice(), sum)?;
            }
        }
        put_record(self.tables.meta()?, tables::CLOCK, &self.clock)?;
        Ok(Effects {
            clock: self.clock,
            outbox: self.tables.outbox()?.len().during("counted the outbox")?,
            rules: self.new_rules.after(0).cloned().collect(),
            counted: self.counted,
            freed: self.freed,
            tasks: self.seen.into_written(),
            identities: self.identities,
            credentials: self.credentials,
        })
    }
}
