//! Changes, made inside the transaction of their group.

use std::sync::Arc;

use redb::ReadableTable as _;
use taskpass_core::coverage::Reporting;
use taskpass_core::credential::Credential;
use taskpass_core::identity::{IdentityLine, Principal};
use taskpass_core::registry::Row;
use taskpass_core::revocation::{Rule, RuleDraft};
use taskpass_core::secret::Sha256;
use taskpass_core::task::{Ended, Task};
use taskpass_core::{DecisionId, OwnerName, TaskId, Timestamp};

use super::error::During as _;
use super::group::Group;
use super::writing::{put, put_record};
use super::{keys, read, tables};
use crate::commit::{
    ArchiveCursor, Change, Committed, IdempotencyKey, MetaKey, Reporter, registry_version,
};
use crate::error::StoreError;
use crate::record::{
    self, ArchiveRecord, CredentialRecord, EnrolmentRecord, IdempotencyRecord, IdentityRecord,
    KeyRow, ReportingRecord, RowRecord, RuleRecord, TaskRecord, TieRecord,
};

impl Group<'_> {
    /// Makes one change at `at`, the commit's wall clock, and notes what the caller is told.
    pub(super) fn make(
        &mut self,
        change: &Change,
        at: Timestamp,
        committed: &mut Committed,
    ) -> Result<(), StoreError> {
        match change {
            Change::PutRow(row) => self.put_row(row, committed),
            Change::StartTask {
                task,
                idempotency,
                owner,
            } => self.start_task(task, idempotency.as_ref(), owner),
            Change::EndTask { id, ended } => self.end_task(*id, *ended),
            Change::TieTask(tie) => put_record(
                self.tables.tied_task()?,
                tie.task.as_bytes(),
                &TieRecord::from(tie),
            ),
            Change::RecordCredential(credential) => self.record_credential(credential),
            Change::Revoke(draft) => self.revoke(draft.clone(), at, committed),
            Change::PutEnrolment { hash, enrolment } => put_record(
                self.tables.enrolment()?,
                hash.as_bytes(),
                &EnrolmentRecord::from(enrolment),
            ),
            Change::UseEnrolment { hash } => self.use_enrolment(*hash, at),
            Change::VoidEnrolments(principal) => self.void_enrolments(principal),
            Change::PutIdentity(line) => self.put_identity(line),
            Change::PutKey(key) => {
                put_record(self.tables.key()?, key.id.as_str(), &KeyRow::from(key))
            }
            Change::Outbox(entry) => {
                put(self.tables.outbox()?, entry.id.as_bytes(), &entry.json[..])
            }
            Change::Archived { ids, cursor } => self.archived(ids, cursor),
            Change::LeasePlaces { kind, hour, next } => {
                let under = keys::list_place(*kind, *hour);
                put(self.tables.list_place()?, &under, *next)
            }
            Change::PutReporting {
                reporter,
                reporting,
            } => self.put_reporting(reporter, reporting),
            Change::PutMeta { key, value } => {
                put(self.tables.meta()?, keys::value(*key), value.as_slice())
            }
        }
    }

    /// Raises the version of the registry as a whole, for a commit that wrote rows.
    pub(super) fn raise_registry_version(&mut self) -> Result<u64, StoreError> {
        let under = keys::value(MetaKey::RegistryVersion);
        let table = self.tables.meta()?;
        let present = read::meta(table, under)?;
        let version = registry_version(present.as_deref()).saturating_add(1);
        put(table, under, version.to_be_bytes().as_slice())?;
        Ok(version)
    }

    fn put_row(&mut self, row: &Row, committed: &mut Committed) -> Result<(), StoreError> {
        let key = row.key();
        let table = self.tables.registry()?;
        let present = read::row(table, &key)?.map_or(0, |row| row.version);
        let version = present.saturating_add(1);
        let record = RowRecord::new(row, version);
        put_record(table, keys::row(&key).as_str(), &record)?;
        self.seen.wrote_row(&key, version);
        committed.rows.push((key, version));
        Ok(())
    }

    fn start_task(
        &mut self,
        task: &Task,
        idempotency: Option<&IdempotencyKey>,
        owner: &OwnerName,
    ) -> Result<(), StoreError> {
        let record = TaskRecord::new(task, idempotency.map(|key| key.key));
        let record = record.holding_place_of(owner);
        let (table, id) = (self.tables.task()?, task.id.as_bytes());
        let holds_one = |record: TaskRecord| Some(record.counted().is_some());
        // An id is drawn once; if it ever were not, its place would still be counted once.
        let holds_one = read::get("task", table, id, holds_one)?;
        put_record(table, id, &record)?;
        self.seen.wrote_task(task.id);
        if holds_one != Some(true) {
            self.counted.record_task(task, owner);
        }
        let by_agent = keys::agent_task(&task.agent, &task.id);
        put(self.tables.agent_task()?, by_agent.as_slice(), ())?;
        if let Some(parent) = task.parent() {
            let under = keys::pair(parent.as_bytes(), task.id.as_bytes());
            put(self.tables.child_task()?, &under, ())?;
        }
        if let Some(key) = idempotency {
            let record = IdempotencyRecord::new(task.id, key.request);
            let under = keys::idempotency(key);
            put_record(self.tables.idempotency()?, under.as_slice(), &record)?;
        }
        self.saw_iat(task.started_at);
        Ok(())
    }

    fn end_task(&mut self, id: TaskId, ended: Ended) -> Result<(), StoreError> {
        let ties = self.tables.tied_task()?;
        ties.remove(id.as_bytes()).during("removed a row")?;
        self.seen.wrote_task(id);
        let table = self.tables.task()?;
        let record = read::get("task", table, id.as_bytes(), |record: TaskRecord| {
            let counted = record.counted();
            Some((record.into_parts(id)?, counted))
        })?;
        match record {
            Some(((task, idempotency), counted)) if task.ended.is_none() => {
                if let Some(owner) = counted {
                    self.freed.record_task(&task, &owner);
                }
                let task = Task {
                    ended: Some(ended),
                    ..task
                };
                put_record(table, id.as_bytes(), &TaskRecord::new(&task, idempotency))
            }
            _ => Ok(()),
        }
    }

    fn record_credential(&mut self, credential: &Credential) -> Result<(), StoreError> {
        let id = credential.id.as_bytes();
        let record = CredentialRecord::from(credential);
        put_record(self.tables.credential()?, id, &record)?;
        let under = keys::pair(credential.task.as_bytes(), id);
        put(self.tables.task_credential()?, &under, ())?;
        self.credentials.push(credential.id);
        self.counted.record(credential);
        self.saw_iat(credential.issued_at);
        Ok(())
    }

    fn revoke(
        &mut self,
        draft: RuleDraft,
        at: Timestamp,
        committed: &mut Committed,
    ) -> Result<(), StoreError> {
        let seq = self.clock.newest_seq.saturating_add(1);
        let rule = draft.commit(seq, at, self.clock.newest_iat);
        put_record(self.tables.rule()?, seq, &RuleRecord::from(&rule))?;
        self.clock.newest_seq = seq;
        self.new_rules.insert(Rule::clone(&rule));
        committed.rules.push(Arc::new(rule));
        Ok(())
    }

    fn use_enrolment(&mut self, hash: Sha256, at: Timestamp) -> Result<(), StoreError> {
        let table = self.tables.enrolment()?;
        match read::enrolment(table, hash)? {
            Some(mut enrolment) if enrolment.used_at.is_none() => {
                enrolment.used_at = Some(at);
                let record = EnrolmentRecord::from(&enrolment);
                put_record(table, hash.as_bytes(), &record)
            }
            _ => Ok(()),
        }
    }

    /// The table is small and reaped, so it is read whole.
    fn void_enrolments(&mut self, principal: &Principal) -> Result<(), StoreError> {
        let table = self.tables.enrolment()?;
        let mut void = Vec::new();
        for row in table.iter().during("read enrolments")? {
            let (hash, value) = row.during("read enrolments")?;
            let convert = EnrolmentRecord::into_enrolment;
            let enrolment = record::read("enrolment", value.value(), convert)?;
            if enrolment.used_at.is_none() && enrolment.principal == *principal {
                void.push(*hash.value());
            }
        }
        for hash in &void {
            table.remove(hash).during("removed a row")?;
        }
        Ok(())
    }

    fn put_identity(&mut self, line: &IdentityLine) -> Result<(), StoreError> {
        let under = keys::principal(&line.principal);
        let record = IdentityRecord::from(line);
        put_record(self.tables.identity()?, under.as_str(), &record)?;
        self.identities.push(line.principal.clone());
        self.saw_iat(line.current.issued_at);
        Ok(())
    }

    fn put_reporting(
        &mut self,
        reporter: &Reporter,
        reporting: &Reporting,
    ) -> Result<(), StoreError> {
        let table = self.tables.meta()?;
        let present = read::reporting(table, reporter)?.map_or(0, |kept| kept.version);
        let record = ReportingRecord::new(reporting, present.saturating_add(1));
        put_record(table, keys::reporting(reporter).as_str(), &record)
    }

    fn archived(&mut self, ids: &[DecisionId], cursor: &ArchiveCursor) -> Result<(), StoreError> {
        let table = self.tables.outbox()?;
        for id in ids {
            table.remove(id.as_bytes()).during("removed a row")?;
        }
        let record = ArchiveRecord::from(cursor);
        put_record(self.tables.meta()?, tables::ARCHIVE, &record)
    }

    /// Remembers an `iat`, so that every later rule covers it even if the clock goes back.
    fn saw_iat(&mut self, issued_at: Timestamp) {
        self.clock.newest_iat = self.clock.newest_iat.max(issued_at.secs());
    }
}
