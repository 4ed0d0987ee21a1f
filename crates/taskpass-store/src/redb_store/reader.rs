//! The reading side: each call is one read transaction, closed before it returns.

use std::ops::Bound;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};

use redb::{Database, ReadTransaction, ReadableDatabase as _, ReadableTable as _};
use taskpass_core::coverage::Reporting;
use taskpass_core::credential::Credential;
use taskpass_core::enrolment::Enrolment;
use taskpass_core::identity::{IdentityLine, Principal};
use taskpass_core::key::{KeyId, KeyRecord};
use taskpass_core::registry::{Row, Versioned};
use taskpass_core::secret::Sha256;
use taskpass_core::task::Task;
use taskpass_core::tie::Tie;
use taskpass_core::{AgentName, CredentialId, DecisionId, TaskId, Timestamp};

use super::error::During as _;
use super::shared::Shared;
use super::{copy, keys, read, tables};
use crate::backend::Reader;
use crate::commit::{ArchiveCursor, Counter, LeasedPlaces, MetaKey, Outboxed, Reporter};
use crate::error::StoreError;
use crate::record::{
    self, ArchiveRecord, CredentialRecord, KeyRow, RowRecord, TaskRecord, TieRecord,
};
use crate::rules::SharedRules;
use crate::store::{Birth, Page};

const OPENED: &str = "opened a table";
const READ: &str = "read a page";

/// Reads a redb store as long as its writer lives.
#[derive(Debug)]
pub(super) struct RedbReader {
    /// Weak, so that a reader that is still held somewhere does not keep the file open.
    database: Weak<Database>,
    shared: Arc<Shared>,
}

impl RedbReader {
    pub(super) fn new(database: &Arc<Database>, shared: Arc<Shared>) -> Self {
        Self {
            database: Arc::downgrade(database),
            shared,
        }
    }

    /// Nothing is answered from memory once the writer is gone.
    fn check_open(&self) -> Result<(), StoreError> {
        let is_open = self.database.strong_count() > 0;
        is_open.then_some(()).ok_or(StoreError::Stopped)
    }

    fn look<T>(
        &self,
        look: impl FnOnce(&ReadTransaction) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let database = self.database.upgrade().ok_or(StoreError::Stopped)?;
        let transaction = database.begin_read().during("began a read")?;
        look(&transaction)
    }

    fn all_tasks(
        transaction: &ReadTransaction,
        after: Option<TaskId>,
        limit: usize,
    ) -> Result<Page<Task>, StoreError> {
        let table = transaction.open_table(tables::TASK).during(OPENED)?;
        let after = after.as_ref().map(TaskId::as_bytes);
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let rows = table
            .range::<&[u8; 16]>((from, Bound::Unbounded))
            .during(READ)?;
        let tasks = rows.map(|row| {
            let (id, value) = row.during(READ)?;
            let id = TaskId::from_bytes(*id.value());
            let convert = |record: TaskRecord| record.into_task(id?);
            record::read("task", value.value(), convert)
        });
        page(tasks, limit)
    }

    fn tasks_of_agent(
        transaction: &ReadTransaction,
        agent: &AgentName,
        after: Option<TaskId>,
        limit: usize,
    ) -> Result<Page<Task>, StoreError> {
        let table = transaction.open_table(tables::AGENT_TASK).during(OPENED)?;
        let (first, last) = keys::agent_task_edges(agent);
        let first = after.map_or(first, |after| keys::agent_task(agent, &after));
        let range = (
            Bound::Excluded(first.as_slice()),
            Bound::Excluded(last.as_slice()),
        );
        let rows = table.range::<&[u8]>(range).during(READ)?;
        let ids = index("agent_task", rows, limit, keys::task_of_agent_task)?;
        Self::tasks_of(transaction, ids, limit)
    }

    /// The tasks that an index names, in its order.
    fn tasks_of(
        transaction: &ReadTransaction,
        ids: Vec<TaskId>,
        limit: usize,
    ) -> Result<Page<Task>, StoreError> {
        let table = transaction.open_table(tables::TASK).during(OPENED)?;
        let found = |id| read::task(&table, id)?.ok_or(StoreError::Corrupt { table: "task" });
        page(ids.into_iter().map(found), limit)
    }
}

/// The first `limit` of `items`, and whether there is another one.
fn page<T>(
    items: impl Iterator<Item = Result<T, StoreError>>,
    limit: usize,
) -> Result<Page<T>, StoreError> {
    let mut items = items
        .take(limit.saturating_add(1))
        .collect::<Result<Vec<_>, _>>()?;
    let more = items.len() > limit;
    items.truncate(limit);
    Ok(Page { items, more })
}

/// Keys of an index table after `from`, up to `to`, read by `convert`; one more than `limit`.
fn index<K: redb::Key + 'static, T>(
    name: &'static str,
    rows: redb::Range<'_, K, ()>,
    limit: usize,
    convert: impl Fn(K::SelfType<'_>) -> Option<T>,
) -> Result<Vec<T>, StoreError> {
    rows.take(limit.saturating_add(1))
        .map(|row| {
            let (key, ()) = row.map(|(key, _)| (key, ())).during(READ)?;
            convert(key.value()).ok_or(StoreError::Corrupt { table: name })
        })
        .collect()
}

/// The range of the pairs that begin with `first`, after `after`.
fn pairs(first: &[u8; 16], after: Option<&[u8; 16]>) -> (Bound<[u8; 32]>, Bound<[u8; 32]>) {
    let from = after.map_or_else(
        || Bound::Included(keys::pair(first, &[0; 16])),
        |after| Bound::Excluded(keys::pair(first, after)),
    );
    (from, Bound::Included(keys::pair(first, &[0xff; 16])))
}

fn task_of_pair(key: &[u8; 32]) -> Option<TaskId> {
    keys::second_of_pair(key).and_then(TaskId::from_bytes)
}

impl Reader for RedbReader {
    fn birth(&self) -> &Birth {
        &self.shared.birth
    }

    fn rules(&self) -> Arc<SharedRules> {
        Arc::clone(&self.shared.rules)
    }

    fn last_committed_at(&self) -> Timestamp {
        self.shared.last_committed_at()
    }

    fn registry(&self) -> Result<Vec<Versioned<Row>>, StoreError> {
        self.look(|transaction| {
            let table = transaction.open_table(tables::REGISTRY).during(OPENED)?;
            let rows = table.iter().during(READ)?;
            rows.map(|row| {
                let (_, value) = row.during(READ)?;
                record::read("registry", value.value(), RowRecord::into_row)
            })
            .collect()
        })
    }

    fn task(&self, id: TaskId) -> Result<Option<Task>, StoreError> {
        self.check_open()?;
        self.shared.recent.tasks.get(&id, || {
            self.look(|transaction| {
                let table = transaction.open_table(tables::TASK).during(OPENED)?;
                read::task(&table, id)
            })
        })
    }

    fn tasks(
        &self,
        agent: Option<&AgentName>,
        after: Option<TaskId>,
        limit: usize,
    ) -> Result<Page<Task>, StoreError> {
        self.look(|transaction| match agent {
            Some(agent) => Self::tasks_of_agent(transaction, agent, after, limit),
            None => Self::all_tasks(transaction, after, limit),
        })
    }

    fn children(
        &self,
        parent: TaskId,
        after: Option<TaskId>,
        limit: usize,
    ) -> Result<Page<Task>, StoreError> {
        self.look(|transaction| {
            let table = transaction.open_table(tables::CHILD_TASK).during(OPENED)?;
            let (from, to) = pairs(parent.as_bytes(), after.as_ref().map(TaskId::as_bytes));
            let rows = table
                .range::<&[u8; 32]>((from.as_ref(), to.as_ref()))
                .during(READ)?;
            let ids = index("child_task", rows, limit, task_of_pair)?;
            Self::tasks_of(transaction, ids, limit)
        })
    }

    fn ties(&self, after: Option<TaskId>, limit: usize) -> Result<Page<Tie>, StoreError> {
        self.look(|transaction| {
            let table = transaction.open_table(tables::TIED_TASK).during(OPENED)?;
            let after = after.as_ref().map(TaskId::as_bytes);
            let from = after.map_or(Bound::Unbounded, Bound::Excluded);
            let rows = table
                .range::<&[u8; 16]>((from, Bound::Unbounded))
                .during(READ)?;
            let ties = rows.map(|row| {
                let (id, value) = row.during(READ)?;
                let id = TaskId::from_bytes(*id.value());
                let convert = |record: TieRecord| record.into_tie(id?);
                record::read("tied_task", value.value(), convert)
            });
            page(ties, limit)
        })
    }

    fn credential(&self, id: CredentialId) -> Result<Option<Credential>, StoreError> {
        self.check_open()?;
        self.shared.recent.credentials.get(&id, || {
            self.look(|transaction| {
                let table = transaction.open_table(tables::CREDENTIAL).during(OPENED)?;
                let convert = |record: CredentialRecord| record.into_credential(id);
                read::get("credential", &table, id.as_bytes(), convert)
            })
        })
    }

    fn credentials(
        &self,
        task: TaskId,
        after: Option<CredentialId>,
        limit: usize,
    ) -> Result<Page<Credential>, StoreError> {
        self.look(|transaction| {
            let table = transaction
                .open_table(tables::TASK_CREDENTIAL)
                .during(OPENED)?;
            let after = after.as_ref().map(CredentialId::as_bytes);
            let (from, to) = pairs(task.as_bytes(), after);
            let rows = table
                .range::<&[u8; 32]>((from.as_ref(), to.as_ref()))
                .during(READ)?;
            let ids = index("task_credential", rows, limit, keys::credential_of_pair)?;
            let table = transaction.open_table(tables::CREDENTIAL).during(OPENED)?;
            let found = |id: CredentialId| {
                let convert = |record: CredentialRecord| record.into_credential(id);
                read::get("credential", &table, id.as_bytes(), convert)?.ok_or(
                    StoreError::Corrupt {
                        table: "credential",
                    },
                )
            };
            page(ids.into_iter().map(found), limit)
        })
    }

    fn enrolment(&self, hash: Sha256) -> Result<Option<Enrolment>, StoreError> {
        self.look(|transaction| {
            let table = transaction.open_table(tables::ENROLMENT).during(OPENED)?;
            read::enrolment(&table, hash)
        })
    }

    fn identity(&self, principal: &Principal) -> Result<Option<IdentityLine>, StoreError> {
        self.check_open()?;
        self.shared.recent.identities.get(principal, || {
            self.look(|transaction| {
                let table = transaction.open_table(tables::IDENTITY).during(OPENED)?;
                read::identity(&table, principal)
            })
        })
    }

    fn keys(&self) -> Result<Vec<KeyRecord>, StoreError> {
        self.look(|transaction| {
            let table = transaction.open_table(tables::KEY).during(OPENED)?;
            let rows = table.iter().during(READ)?;
            rows.map(|row| {
                let (id, value) = row.during(READ)?;
                let id = KeyId::parse(id.value());
                record::read("key", value.value(), |record: KeyRow| record.into_key(id?))
            })
            .collect()
        })
    }

    fn meta(&self, key: MetaKey) -> Result<Option<Vec<u8>>, StoreError> {
        self.look(|transaction| {
            let table = transaction.open_table(tables::META).during(OPENED)?;
            read::meta(&table, keys::value(key))
        })
    }

    fn reporting(&self, reporter: &Reporter) -> Result<Option<Versioned<Reporting>>, StoreError> {
        self.look(|transaction| {
            let table = transaction.open_table(tables::META).during(OPENED)?;
            read::reporting(&table, reporter)
        })
    }

    fn leased_places(&self) -> Result<Vec<LeasedPlaces>, StoreError> {
        self.look(|transaction| {
            let table = transaction.open_table(tables::LIST_PLACE).during(OPENED)?;
            let rows = table.iter().during(READ)?;
            rows.map(|row| {
                let (key, next) = row.during(READ)?;
                let read = keys::read_list_place(key.value());
                let (kind, hour) = read.ok_or(StoreError::Corrupt {
                    table: "list_place",
                })?;
                Ok(LeasedPlaces {
                    kind,
                    hour,
                    next: next.value(),
                })
            })
            .collect()
        })
    }

    fn outbox(&self, limit: usize) -> Result<Vec<Outboxed>, StoreError> {
        self.look(|transaction| {
            let table = transaction.open_table(tables::OUTBOX).during(OPENED)?;
            let rows = table.iter().during(READ)?.take(limit);
            rows.map(|row| {
                let (id, json) = row.during(READ)?;
                let id = DecisionId::from_bytes(*id.value());
                Ok(Outboxed {
                    id: id.ok_or(StoreError::Corrupt { table: "outbox" })?,
                    json: bytes::Bytes::copy_from_slice(json.value()),
                })
            })
            .collect()
        })
    }

    fn archive_cursor(&self) -> Result<ArchiveCursor, StoreError> {
        self.look(|transaction| {
            let table = transaction.open_table(tables::META).during(OPENED)?;
            let convert = |record: ArchiveRecord| Some(record.into());
            let cursor = read::get("meta", &table, tables::ARCHIVE, convert)?;
            Ok(cursor.unwrap_or_default())
        })
    }

    fn live(&self, counter: &Counter, now: Timestamp) -> u64 {
        self.shared.counters(|counters| counters.live(counter, now))
    }

    fn live_credentials(&self) -> u64 {
        let now = self.shared.last_committed_at();
        self.shared
            .counters(|counters| counters.live_credentials(now))
    }

    fn outbox_len(&self) -> u64 {
        self.shared.outbox.load(Ordering::Relaxed)
    }

    fn backup(
        &self,
        at: Timestamp,
        sink: &mut dyn FnMut(bytes::Bytes) -> bool,
    ) -> Result<(), StoreError> {
        self.look(|transaction| {
            let header = copy::header(transaction, at)?;
            let mut out = copy::begin(&header, sink)?;
            for table in copy::ALL {
                table.take(transaction, &mut out)?;
            }
            copy::end(out)
        })
    }

    fn file_bytes(&self) -> u64 {
        let path = self.shared.path.as_ref();
        path.and_then(|path| std::fs::metadata(path).ok())
            .map_or(0, |metadata| metadata.len())
    }
}
