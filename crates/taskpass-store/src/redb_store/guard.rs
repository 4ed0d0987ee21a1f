//! Guards, checked inside the transaction of their group.

use redb::ReadableTable as _;
use taskpass_core::credential::CredentialKind;
use taskpass_core::identity::Principal;
use taskpass_core::registry::RowKey;
use taskpass_core::revocation::Facts;
use taskpass_core::secret::Sha256;
use taskpass_core::task::Task;
use taskpass_core::{TaskId, Timestamp};

use super::error::During as _;
use super::group::Group;
use super::{keys, read};
use crate::commit::{Counter, Guard, IdempotencyKey, MetaKey, Refusal, Reporter};
use crate::counters::{self, Minutes};
use crate::error::StoreError;

/// `Ok(None)`: the guard holds.
type Checked = Result<Option<Refusal>, StoreError>;

impl Group<'_> {
    /// Checks one guard at `at`, the commit's wall clock.
    pub(super) fn check(&mut self, guard: &Guard, at: Timestamp) -> Checked {
        match guard {
            Guard::Unchanged { key, version } => self.unchanged(key, *version),
            Guard::TaskLive { id } => self.task_live(*id, at),
            Guard::NotEnded { id } => self.not_ended(*id),
            Guard::NotTied { id } => self.not_tied(*id),
            Guard::NotRevoked(facts) => {
                Ok(self.revoked_by(facts).map(|seq| Refusal::Revoked { seq }))
            }
            Guard::EnrolmentPending { hash } => self.enrolment_pending(*hash, at),
            Guard::Generation {
                principal,
                generation,
                broken,
            } => self.generation(principal, *generation, *broken),
            Guard::Below { counter, limit } => Ok(self.below(counter, *limit, at)),
            Guard::FewerChildren { parent, live, all } => {
                self.fewer_children(*parent, *live, *all, at)
            }
            Guard::NotStarted(key) => self.not_started(key, at),
            Guard::NextPlace { kind, hour, next } => self.next_place(*kind, *hour, *next),
            Guard::ReportingIs { reporter, version } => self.reporting_is(reporter, *version),
            Guard::MetaIs { key, value } => self.meta_is(*key, value.as_deref()),
        }
    }

    fn unchanged(&mut self, key: &RowKey, version: u64) -> Checked {
        let present = self.seen.version(&mut self.tables, key)?;
        Ok((present != version).then(|| Refusal::Changed { key: key.clone() }))
    }

    fn task_live(&mut self, id: TaskId, at: Timestamp) -> Checked {
        let Some(task) = self.seen.task(&mut self.tables, self.shared, id)? else {
            return Ok(Some(Refusal::TaskUnknown { id }));
        };
        if !self.is_live(&task, at) {
            return Ok(Some(Refusal::TaskNotLive { id }));
        }
        for above in &task.ancestors {
            // An ancestor that is gone was past its deadline, or the reaper would have left it.
            let live = match self.seen.task(&mut self.tables, self.shared, above.task)? {
                Some(ancestor) => self.is_live(&ancestor, at),
                None => false,
            };
            if !live {
                return Ok(Some(Refusal::TaskNotLive { id: above.task }));
            }
        }
        Ok(None)
    }

    fn not_ended(&mut self, id: TaskId) -> Checked {
        Ok(match self.seen.task(&mut self.tables, self.shared, id)? {
            None => Some(Refusal::TaskUnknown { id }),
            Some(task) => task.ended.map(|_| Refusal::TaskNotLive { id }),
        })
    }

    fn not_tied(&mut self, id: TaskId) -> Checked {
        let tie = read::tie(self.tables.tied_task()?, id)?;
        Ok(tie.map(|_| Refusal::Tied { id }))
    }

    fn is_live(&self, task: &Task, at: Timestamp) -> bool {
        task.ended.is_none()
            && at < task.deadline_at()
            && self.revoked_by(&Facts::of_task(task)).is_none()
    }

    /// The `seq` of a rule that matches, among those on disk and those that this group made.
    fn revoked_by(&self, facts: &Facts) -> Option<u64> {
        let earlier = self.shared.rules.matching(facts).map(|rule| rule.seq);
        earlier.or_else(|| self.new_rules.matching(facts).map(|rule| rule.seq))
    }

    fn enrolment_pending(&mut self, hash: Sha256, at: Timestamp) -> Checked {
        let pending = read::enrolment(self.tables.enrolment()?, hash)?
            .is_some_and(|enrolment| enrolment.used_at.is_none() && at < enrolment.expires_at);
        Ok((!pending).then_some(Refusal::EnrolmentSpent))
    }

    fn generation(&mut self, principal: &Principal, generation: u64, broken: bool) -> Checked {
        let present = read::identity(self.tables.identity()?, principal)?
            .map_or((0, false), |line| {
                (line.generation, line.broken_at.is_some())
            });
        Ok((present != (generation, broken)).then_some(Refusal::GenerationChanged))
    }

    fn below(&self, counter: &Counter, limit: u64, at: Timestamp) -> Option<Refusal> {
        let earlier = self.shared.counters(|counters| counters.live(counter, at));
        let live = earlier
            .saturating_add(self.counted.live(counter, at))
            .saturating_sub(self.freed.live(counter, at));
        (live >= limit).then(|| Refusal::LimitReached {
            counter: counter.clone(),
            limit,
            live,
            room_in: counters::room_at(&self.minutes(counter, at), limit)
                .map(|room_at| room_at.since(at)),
        })
    }

    /// What counts by minute, with this group's own.
    fn minutes(&self, counter: &Counter, at: Timestamp) -> Minutes {
        let mut minutes = self.shared.counters(|all| all.minutes(counter, at));
        for (minute, count) in self.counted.minutes(counter, at) {
            let present = minutes.entry(minute).or_default();
            *present = present.saturating_add(count);
        }
        for (minute, count) in self.freed.minutes(counter, at) {
            let present = minutes.entry(minute).or_default();
            *present = present.saturating_sub(count);
        }
        minutes
    }

    /// Looks at no more rows than `all`, and stops at the first limit that is reached.
    fn fewer_children(&mut self, parent: TaskId, live: u64, all: u64, at: Timestamp) -> Checked {
        let refused = Ok(Some(Refusal::TooManyChildren { parent }));
        // Ids begin with the deadline: what is past it at `at` lies before this edge.
        let from = keys::pair(parent.as_bytes(), TaskId::first_at(at).as_bytes());
        let to = keys::pair(parent.as_bytes(), &[0xff; 16]);
        let (mut lives, mut count) = (0_u64, 0_u64);
        let mut children = Vec::new();
        let table = self.tables.child_task()?;
        let rows = table.range::<&[u8; 32]>(&from..=&to);
        for row in rows.during("read children")? {
            let (key, _) = row.during("read children")?;
            let child = keys::second_of_pair(key.value()).and_then(TaskId::from_bytes);
            let child = child.ok_or(StoreError::Corrupt {
                table: "child_task",
            })?;
            if at < child.deadline() {
                count = count.saturating_add(1);
                children.push(child);
            }
            if count >= all {
                return refused;
            }
        }
        for child in children {
            let task = self.seen.task(&mut self.tables, self.shared, child)?;
            lives += u64::from(task.is_some_and(|task| self.is_live(&task, at)));
            if lives >= live {
                return refused;
            }
        }
        // Where nothing at all is allowed, not even the first one is.
        Ok((live == 0 || all == 0).then_some(Refusal::TooManyChildren { parent }))
    }

    fn not_started(&mut self, key: &IdempotencyKey, at: Timestamp) -> Checked {
        let started = read::started(self.tables.idempotency()?, key)?;
        // Whether the reaper has been here must make no difference.
        let started = started.filter(|(task, _)| at < task.deadline());
        Ok(started.map(|(task, request)| Refusal::AlreadyStarted {
            task,
            same_request: request == key.request,
        }))
    }

    fn next_place(&mut self, kind: CredentialKind, hour: u64, next: u64) -> Checked {
        let present = read::next_place(self.tables.list_place()?, kind, hour)?;
        Ok((present != next).then_some(Refusal::PlacesLeased { next: present }))
    }

    fn reporting_is(&mut self, reporter: &Reporter, version: u64) -> Checked {
        let present = read::reporting(self.tables.meta()?, reporter)?;
        let changed = present.map_or(0, |kept| kept.version) != version;
        Ok(changed.then(|| Refusal::ReportingChanged {
            reporter: reporter.clone(),
        }))
    }

    fn meta_is(&mut self, key: MetaKey, expected: Option<&[u8]>) -> Checked {
        let present = read::meta(self.tables.meta()?, keys::value(key))?;
        Ok((present.as_deref() != expected).then_some(Refusal::MetaChanged { key }))
    }
}
