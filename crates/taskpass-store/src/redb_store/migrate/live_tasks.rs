//! To 4: tasks that are live begin to count among those of their agents and owner.
//!
//! Of an earlier store every task that has not ended gets its place; one whose agent is registered no
//! more, which no program of ours brings about, is left uncounted, and gives no place back when it
//! ends.

use redb::{ReadableTable as _, WriteTransaction};
use taskpass_core::registry::{Row, RowKey};
use taskpass_core::task::Task;
use taskpass_core::{OwnerName, TaskId};

use super::super::error::During as _;
use super::super::writing::{Tables, put, put_record};
use super::super::{keys, read};
use crate::counters::Counters;
use crate::error::StoreError;
use crate::record::{self, TaskRecord};

/// The step.
pub(super) fn step(transaction: &WriteTransaction) -> Result<(), StoreError> {
    let mut tables = Tables::new(transaction);
    let mut counted = Counters::default();
    for (task, record) in unended(&mut tables)? {
        let Some(owner) = owner_of(&mut tables, &task)? else {
            continue;
        };
        counted.record_task(&task, &owner);
        let record = record.holding_place_of(&owner);
        put_record(tables.task()?, task.id.as_bytes(), &record)?;
    }
    for (counter, minute, count) in counted.entries() {
        let key = keys::counter(counter, minute);
        put(tables.counter()?, key.as_slice(), count)?;
    }
    Ok(())
}

fn unended(tables: &mut Tables<'_>) -> Result<Vec<(Task, TaskRecord)>, StoreError> {
    const CORRUPT: StoreError = StoreError::Corrupt { table: "task" };
    let mut found = Vec::new();
    for row in tables.task()?.iter().during("read the tasks")? {
        let (id, value) = row.during("read the tasks")?;
        let id = TaskId::from_bytes(*id.value()).ok_or(CORRUPT)?;
        let whole = |record: TaskRecord| Some((record.clone().into_task(id)?, record));
        let (task, record) = record::read("task", value.value(), whole)?;
        if task.ended.is_none() {
            found.push((task, record));
        }
    }
    Ok(found)
}

fn owner_of(tables: &mut Tables<'_>, task: &Task) -> Result<Option<OwnerName>, StoreError> {
    let key = RowKey::Agent(task.agent.clone());
    let row = read::row(tables.registry()?, &key)?;
    Ok(row.and_then(|row| match row.value {
        Row::Agent(agent) => Some(agent.owner),
        _ => None,
    }))
}
