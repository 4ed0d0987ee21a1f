//! What the guards of one group have read already, so that a row is decoded once a group.
//!
//! Most commits of a group name the same few rows and tasks. The writer is the only one who changes
//! them, and every change of a group says so here: what is remembered is what the tables hold.

use std::collections::HashMap;
use std::rc::Rc;

use taskpass_core::TaskId;
use taskpass_core::registry::RowKey;
use taskpass_core::task::Task;

use super::read;
use super::shared::Shared;
use super::writing::Tables;
use crate::error::StoreError;

/// Rows and tasks of one group.
#[derive(Debug, Default)]
pub(super) struct Seen {
    versions: HashMap<RowKey, u64>,
    tasks: HashMap<TaskId, Rc<Task>>,
    /// Tasks that the group wrote.
    written: Vec<TaskId>,
}

impl Seen {
    /// The version of a registry row; 0 if there is none.
    pub(super) fn version(
        &mut self,
        tables: &mut Tables<'_>,
        key: &RowKey,
    ) -> Result<u64, StoreError> {
        if let Some(version) = self.versions.get(key) {
            return Ok(*version);
        }
        let version = read::row(tables.registry()?, key)?.map_or(0, |row| row.version);
        self.versions.insert(key.clone(), version);
        Ok(version)
    }

    /// A task, if there is one: from this group, from what is kept of earlier ones, or from its table.
    pub(super) fn task(
        &mut self,
        tables: &mut Tables<'_>,
        shared: &Shared,
        id: TaskId,
    ) -> Result<Option<Rc<Task>>, StoreError> {
        if let Some(task) = self.tasks.get(&id) {
            return Ok(Some(Rc::clone(task)));
        }
        let mut read = || read::task(tables.task()?, id);
        // What the group wrote is not what is kept, until it is durable.
        let task = if self.written.contains(&id) {
            read()?
        } else {
            shared.recent.tasks.get(&id, read)?
        };
        let Some(task) = task.map(Rc::new) else {
            return Ok(None);
        };
        self.tasks.insert(id, Rc::clone(&task));
        Ok(Some(task))
    }

    /// A row was written, and has this version now.
    pub(super) fn wrote_row(&mut self, key: &RowKey, version: u64) {
        self.versions.insert(key.clone(), version);
    }

    /// A task was written, and is read again when it is asked for.
    pub(super) fn wrote_task(&mut self, id: TaskId) {
        self.tasks.remove(&id);
        self.written.push(id);
    }

    /// The tasks that the group wrote.
    pub(super) fn into_written(self) -> Vec<TaskId> {
        self.written
    }
}
