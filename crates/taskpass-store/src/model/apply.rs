//! Guards and changes over maps.

use std::collections::BTreeSet;
use std::sync::Arc;

use taskpass_core::registry::Versioned;
use taskpass_core::revocation::Facts;
use taskpass_core::task::Task;
use taskpass_core::{OwnerName, TaskId, Timestamp};

use super::{Started, State};
use crate::commit::{
    Change, Commit, Committed, Counter, Guard, MetaKey, Refusal, registry_version,
};

impl State {
    /// All guards, then all changes.
    pub(super) fn commit(&mut self, commit: &Commit) -> Result<Committed, Refusal> {
        for guard in &commit.guards {
            self.check(guard, commit.at)?;
        }
        let mut committed = Committed::default();
        for change in &commit.changes {
            self.make(change.clone(), commit.at, &mut committed);
        }
        if !committed.rows.is_empty() {
            let under = MetaKey::RegistryVersion;
            let present = registry_version(self.values.get(&under).map(Vec::as_slice));
            let version = present.saturating_add(1);
            self.values.insert(under, version.to_be_bytes().to_vec());
            committed.registry_version = Some(version);
        }
        self.last_committed_at = self.last_committed_at.max(commit.at);
        Ok(committed)
    }

    fn check(&self, guard: &Guard, at: Timestamp) -> Result<(), Refusal> {
        let (holds, refusal) = match guard {
            Guard::Unchanged { key, version } => (
                self.rows.get(key).map_or(0, |row| row.version) == *version,
                Refusal::Changed { key: key.clone() },
            ),
            Guard::TaskLive { id } => {
                let task = self.tasks.get(id);
                return self.live(task.ok_or(Refusal::TaskUnknown { id: *id })?, at);
            }
            Guard::NotEnded { id } => {
                let task = self.tasks.get(id).ok_or(Refusal::TaskUnknown { id: *id })?;
                (task.ended.is_none(), Refusal::TaskNotLive { id: *id })
            }
            Guard::NotTied { id } => (!self.ties.contains_key(id), Refusal::Tied { id: *id }),
            Guard::NotRevoked(facts) => match self.revoked_by(facts) {
                Some(seq) => return Err(Refusal::Revoked { seq }),
                None => return Ok(()),
            },
            Guard::EnrolmentPending { hash } => (
                self.enrolments
                    .get(hash)
                    .is_some_and(|found| found.used_at.is_none() && found.expires_at > at),
                Refusal::EnrolmentSpent,
            ),
            Guard::Generation {
                principal,
                generation,
                broken,
            } => (
                match self.identities.get(principal) {
                    Some(line) => {
                        line.generation == *generation && line.broken_at.is_some() == *broken
                    }
                    None => *generation == 0 && !broken,
                },
                Refusal::GenerationChanged,
            ),
            Guard::Below { counter, limit } => (
                self.live_count(counter, at) < *limit,
                Refusal::LimitReached {
                    counter: counter.clone(),
                    limit: *limit,
                    live: self.live_count(counter, at),
                    room_in: self
                        .room_at(counter, *limit, at)
                        .map(|room_at| room_at.since(at)),
                },
            ),
            Guard::FewerChildren { parent, live, all } => {
                let beneath = self
                    .tasks
                    .values()
                    .filter(|task| task.parent() == Some(*parent) && at < task.deadline_at());
                let (mut lives, mut count) = (0, 0);
                for task in beneath {
                    count += 1;
                    let over =
                        task.ended.is_some() || self.revoked_by(&Facts::of_task(task)).is_some();
                    lives += u64::from(!over);
                }
                (
                    lives < *live && count < *all,
                    Refusal::TooManyChildren { parent: *parent },
                )
            }
            Guard::NotStarted(key) => {
                let found = self.started.get(&(key.agent.clone(), key.key));
                match found.filter(|started| started.task.deadline() > at) {
                    Some(Started { task, request }) => {
                        return Err(Refusal::AlreadyStarted {
                            task: *task,
                            same_request: *request == key.request,
                        });
                    }
                    None => return Ok(()),
                }
            }
            Guard::NextPlace { kind, hour, next } => {
                let present = self.next_places.get(&(*hour, *kind)).copied().unwrap_or(0);
                (present == *next, Refusal::PlacesLeased { next: present })
            }
            Guard::ReportingIs { reporter, version } => (
                self.reporting.get(reporter).map_or(0, |kept| kept.version) == *version,
                Refusal::ReportingChanged {
                    reporter: reporter.clone(),
                },
            ),
            Guard::MetaIs { key, value } => (
                self.values.get(key) == value.as_ref(),
                Refusal::MetaChanged { key: *key },
            ),
        };
        if holds { Ok(()) } else { Err(refusal) }
    }

    /// The task, then its ancestors, the nearest first.
    fn live(&self, task: &Task, at: Timestamp) -> Result<(), Refusal> {
        for place in task.lineage() {
            let over = match self.tasks.get(&place.task) {
                None => true,
                Some(task) => {
                    task.ended.is_some()
                        || task.deadline_at() <= at
                        || self.revoked_by(&Facts::of_task(task)).is_some()
                }
            };
            if over {
                return Err(Refusal::TaskNotLive { id: place.task });
            }
        }
        Ok(())
    }

    fn revoked_by(&self, facts: &Facts) -> Option<u64> {
        let rule = self.rules.values().find(|rule| rule.matches(facts));
        rule.map(|rule| rule.seq)
    }

    pub(super) fn live_count(&self, counter: &Counter, now: Timestamp) -> u64 {
        self.counts
            .iter()
            .filter(|((minute, counted), _)| counted == counter && *minute >= now.minute())
            .map(|(_, count)| count)
            .sum()
    }

    fn room_at(&self, counter: &Counter, limit: u64, now: Timestamp) -> Option<Timestamp> {
        let live = |now| self.live_count(counter, now);
        let ends = self.counts.keys().map(|(minute, _)| (minute + 1) * 60);
        let mut ends: Vec<_> = ends.map(Timestamp::from_secs).collect();
        ends.retain(|end| *end > now && live(*end) < limit);
        ends.into_iter().min()
    }

    fn count_task(&mut self, task: &Task, owner: OwnerName) {
        if self.counted.contains_key(&task.id) {
            return;
        }
        for counter in counters_of(task, &owner) {
            let under = (task.id.deadline().minute(), counter);
            *self.counts.entry(under).or_default() += 1;
        }
        self.counted.insert(task.id, owner);
    }

    fn uncount_task(&mut self, id: TaskId) {
        let counted = self.counted.remove(&id);
        let Some((owner, task)) = counted.zip(self.tasks.get(&id)) else {
            return;
        };
        for counter in counters_of(task, &owner) {
            let under = (id.deadline().minute(), counter);
            let count = self.counts.get(&under).copied().unwrap_or_default();
            if count > 1 {
                self.counts.insert(under, count - 1);
            } else {
                self.counts.remove(&under);
            }
        }
    }

    fn make(&mut self, change: Change, at: Timestamp, committed: &mut Committed) {
        match change {
            Change::PutRow(value) => {
                let key = value.key();
                let version = self.rows.get(&key).map_or(0, |row| row.version) + 1;
                self.rows.insert(key.clone(), Versioned { value, version });
                committed.rows.push((key, version));
            }
            Change::StartTask {
                task,
                idempotency,
                owner,
            } => {
                self.newest_iat = self.newest_iat.max(task.started_at.secs());
                if let Some(key) = idempotency {
                    let started = Started {
                        task: task.id,
                        request: key.request,
                    };
                    self.started.insert((key.agent, key.key), started);
                }
                self.count_task(&task, owner);
                self.tasks.insert(task.id, task);
            }
            Change::TieTask(tie) => {
                self.ties.insert(tie.task, tie);
            }
            Change::EndTask { id, ended } => {
                self.ties.remove(&id);
                let Some(task) = self.tasks.get_mut(&id) else {
                    return;
                };
                task.ended = task.ended.or(Some(ended));
                self.uncount_task(id);
            }
            Change::RecordCredential(credential) => {
                self.newest_iat = self.newest_iat.max(credential.issued_at.secs());
                let minute = credential.expires_at().minute();
                let target = credential.target().cloned().map(Counter::Target);
                let owner = Counter::Owner(credential.owner.clone());
                let above = credential.ancestors.iter().map(|above| &above.agent);
                let agents: BTreeSet<_> = above.chain([&credential.agent]).collect();
                let agents = agents.into_iter().cloned().map(Counter::Agent);
                for counter in agents.chain([owner]).chain(target) {
                    *self.counts.entry((minute, counter)).or_default() += 1;
                }
                self.credentials.insert(credential.id, credential);
            }
            Change::Revoke(draft) => {
                self.newest_seq += 1;
                let rule = Arc::new(draft.commit(self.newest_seq, at, self.newest_iat));
                self.rules.insert(rule.seq, Arc::clone(&rule));
                committed.rules.push(rule);
            }
            Change::PutEnrolment { hash, enrolment } => {
                self.enrolments.insert(hash, enrolment);
            }
            Change::UseEnrolment { hash } => {
                if let Some(enrolment) = self.enrolments.get_mut(&hash) {
                    enrolment.used_at = enrolment.used_at.or(Some(at));
                }
            }
            Change::VoidEnrolments(principal) => self
                .enrolments
                .retain(|_, found| found.used_at.is_some() || found.principal != principal),
            Change::PutIdentity(line) => {
                self.newest_iat = self.newest_iat.max(line.current.issued_at.secs());
                self.identities.insert(line.principal.clone(), line);
            }
            Change::PutKey(key) => {
                self.keys.insert(key.id.clone(), key);
            }
            Change::Outbox(entry) => {
                self.outbox.insert(entry.id, entry.json);
            }
            Change::Archived { ids, cursor } => {
                self.outbox.retain(|id, _| !ids.contains(id));
                self.cursor = cursor;
            }
            Change::LeasePlaces { kind, hour, next } => {
                self.next_places.insert((hour, kind), next);
            }
            Change::PutReporting {
                reporter,
                reporting: value,
            } => {
                let version = self.reporting.get(&reporter).map_or(0, |kept| kept.version) + 1;
                self.reporting
                    .insert(reporter, Versioned { value, version });
            }
            Change::PutMeta { key, value } => {
                self.values.insert(key, value);
            }
        }
    }
}

/// What a task counts under while it is live.
fn counters_of(task: &Task, owner: &OwnerName) -> Vec<Counter> {
    let above = task.ancestors.iter().map(|above| &above.agent);
    let agents: BTreeSet<_> = above.chain([&task.agent]).collect();
    let agents = agents.into_iter().cloned().map(Counter::AgentTasks);
    agents.chain([Counter::OwnerTasks(owner.clone())]).collect()
}
