//! Reads of the model.

use std::sync::Arc;

use taskpass_core::coverage::Reporting;
use taskpass_core::credential::Credential;
use taskpass_core::enrolment::Enrolment;
use taskpass_core::identity::{IdentityLine, Principal};
use taskpass_core::key::KeyRecord;
use taskpass_core::registry::{Row, Versioned};
use taskpass_core::secret::Sha256;
use taskpass_core::task::Task;
use taskpass_core::tie::Tie;
use taskpass_core::{AgentName, CredentialId, TaskId, Timestamp};

use super::Shared;
use crate::backend::Reader;
use crate::commit::{ArchiveCursor, Counter, LeasedPlaces, MetaKey, Outboxed, Reporter};
use crate::error::StoreError;
use crate::rules::SharedRules;
use crate::store::{Birth, Page};

/// Reads the model's maps.
#[derive(Debug)]
pub(super) struct ModelReader {
    shared: Arc<Shared>,
}

impl ModelReader {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    fn tasks_where(
        &self,
        after: Option<TaskId>,
        limit: usize,
        wanted: impl Fn(&Task) -> bool,
    ) -> Page<Task> {
        self.shared.look(|state| {
            let tasks = state.tasks.values();
            let wanted = tasks.filter(|task| Some(task.id) > after && wanted(task));
            page(wanted.cloned().collect(), limit)
        })
    }
}

fn page<T>(mut items: Vec<T>, limit: usize) -> Page<T> {
    let more = items.len() > limit;
    items.truncate(limit);
    Page { items, more }
}

impl Reader for ModelReader {
    fn birth(&self) -> &Birth {
        &self.shared.birth
    }

    fn rules(&self) -> Arc<SharedRules> {
        Arc::clone(&self.shared.rules)
    }

    fn last_committed_at(&self) -> Timestamp {
        self.shared.look(|state| state.last_committed_at)
    }

    fn registry(&self) -> Result<Vec<Versioned<Row>>, StoreError> {
        Ok(self
            .shared
            .look(|state| state.rows.values().cloned().collect()))
    }

    fn task(&self, id: TaskId) -> Result<Option<Task>, StoreError> {
        Ok(self.shared.look(|state| state.tasks.get(&id).cloned()))
    }

    fn tasks(
        &self,
        agent: Option<&AgentName>,
        after: Option<TaskId>,
        limit: usize,
    ) -> Result<Page<Task>, StoreError> {
        Ok(self.tasks_where(after, limit, |task| {
            agent.is_none_or(|agent| task.agent == *agent)
        }))
    }

    fn children(
        &self,
        parent: TaskId,
        after: Option<TaskId>,
        limit: usize,
    ) -> Result<Page<Task>, StoreError> {
        Ok(self.tasks_where(after, limit, |task| task.parent() == Some(parent)))
    }

    fn ties(&self, after: Option<TaskId>, limit: usize) -> Result<Page<Tie>, StoreError> {
        Ok(self.shared.look(|state| {
            let ties = state.ties.values();
            let later = ties.filter(|tie| Some(tie.task) > after);
            page(later.copied().collect(), limit)
        }))
    }

    fn credential(&self, id: CredentialId) -> Result<Option<Credential>, StoreError> {
        Ok(self
            .shared
            .look(|state| state.credentials.get(&id).cloned()))
    }

    fn credentials(
        &self,
        task: TaskId,
        after: Option<CredentialId>,
        limit: usize,
    ) -> Result<Page<Credential>, StoreError> {
        let items = self.shared.look(|state| {
            let all = state.credentials.values();
            all.filter(|one| one.task == task && Some(one.id) > after)
                .cloned()
                .collect()
        });
        Ok(page(items, limit))
    }

    fn enrolment(&self, hash: Sha256) -> Result<Option<Enrolment>, StoreError> {
        Ok(self
            .shared
            .look(|state| state.enrolments.get(&hash).cloned()))
    }

    fn identity(&self, principal: &Principal) -> Result<Option<IdentityLine>, StoreError> {
        Ok(self
            .shared
            .look(|state| state.identities.get(principal).cloned()))
    }

    fn keys(&self) -> Result<Vec<KeyRecord>, StoreError> {
        Ok(self
            .shared
            .look(|state| state.keys.values().cloned().collect()))
    }

    fn meta(&self, key: MetaKey) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.shared.look(|state| state.values.get(&key).cloned()))
    }

    fn reporting(&self, reporter: &Reporter) -> Result<Option<Versioned<Reporting>>, StoreError> {
        Ok(self
            .shared
            .look(|state| state.reporting.get(reporter).cloned()))
    }

    fn leased_places(&self) -> Result<Vec<LeasedPlaces>, StoreError> {
        Ok(self.shared.look(|state| {
            let all = state.next_places.iter();
            all.map(|((hour, kind), next)| LeasedPlaces {
                kind: *kind,
                hour: *hour,
                next: *next,
            })
            .collect()
        }))
    }

    fn outbox(&self, limit: usize) -> Result<Vec<Outboxed>, StoreError> {
        Ok(self.shared.look(|state| {
            let entries = state.outbox.iter().take(limit);
            entries
                .map(|(id, json)| Outboxed {
                    id: *id,
                    json: json.clone(),
                })
                .collect()
        }))
    }

    fn archive_cursor(&self) -> Result<ArchiveCursor, StoreError> {
        Ok(self.shared.look(|state| state.cursor.clone()))
    }

    fn live(&self, counter: &Counter, now: Timestamp) -> u64 {
        self.shared.look(|state| state.live_count(counter, now))
    }

    fn live_credentials(&self) -> u64 {
        self.shared.look(|state| {
            let now = state.last_committed_at;
            let all = state.counts.iter();
            all.filter(|((minute, counter), _)| {
                *minute >= now.minute() && matches!(counter, Counter::Owner(_))
            })
            .map(|(_, count)| count)
            .sum()
        })
    }

    fn outbox_len(&self) -> u64 {
        self.shared
            .look(|state| u64::try_from(state.outbox.len()).unwrap_or(u64::MAX))
    }

    fn file_bytes(&self) -> u64 {
        0
    }
}
