//! What is gathered until it is sent: counts, with a bound, where requests meet as little as possible.
//!
//! Sixteen parts, by the random bits of the credential's id, each with its own lock and its own share of
//! the room: two requests wait for each other only if they fall into one part at the same instant, and
//! one credential fills no other part's room. A use that was seen before allocates nothing. Where there
//! is no room, the names give way first (the resource, then the action), and then the use is counted as
//! lost.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use taskpass_core::{CredentialId, ScopeName, TargetUri, Timestamp};

const PARTS: usize = 16;

/// How a use ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It was let through.
    Allowed,
    /// It was not, although the token is one of the broker's: revoked, without the scope, without its
    /// certificate.
    Refused,
}

/// What makes two uses of one credential the same.
#[derive(Debug, Clone, Copy)]
pub(super) struct What<'a> {
    pub(super) target: &'a TargetUri,
    pub(super) scope: Option<&'a ScopeName>,
    pub(super) action: Option<&'a str>,
    pub(super) resource: Option<&'a str>,
    pub(super) outcome: Outcome,
}

/// Uses of one credential that are the same.
#[derive(Debug)]
pub(super) struct Slot {
    pub(super) target: TargetUri,
    pub(super) scope: Option<ScopeName>,
    pub(super) action: Option<Arc<str>>,
    pub(super) resource: Option<Arc<str>>,
    pub(super) outcome: Outcome,
    pub(super) count: u32,
    pub(super) first_at: Timestamp,
    pub(super) last_at: Timestamp,
}

/// What became of a use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Added {
    /// Whether there was room.
    pub(super) kept: bool,
    /// Which gathering it is in, of its part: the next one begins when this is taken.
    pub(super) gathering: u64,
}

/// Everything that was gathered.
#[derive(Debug, Default)]
pub(super) struct Taken {
    pub(super) slots: Vec<(CredentialId, Slot)>,
    pub(super) lost: BTreeMap<TargetUri, u64>,
}

#[derive(Debug)]
pub(super) struct Held {
    parts: [Mutex<Part>; PARTS],
    /// Of each part.
    most: usize,
}

#[derive(Debug, Default)]
struct Part {
    gathering: u64,
    uses: BTreeMap<CredentialId, Vec<Slot>>,
    len: usize,
    lost: BTreeMap<TargetUri, u64>,
}

impl Held {
    pub(super) fn new(most: usize) -> Self {
        Self {
            parts: Default::default(),
            most: most / PARTS,
        }
    }

    /// Adds a use.
    pub(super) fn add(&self, id: CredentialId, what: &What<'_>, at: Timestamp) -> Added {
        let mut part = self.part(id);
        Added {
            kept: part.add(self.most, id, what, at),
            gathering: part.gathering,
        }
    }

    /// Makes one use of `was` one of `is`, if it is still in that gathering.
    #[cfg(feature = "tower")]
    pub(super) fn rename(
        &self,
        id: CredentialId,
        gathering: u64,
        was: &What<'_>,
        is: &What<'_>,
        at: Timestamp,
    ) {
        let mut part = self.part(id);
        if part.gathering == gathering {
            part.rename(self.most, id, was, is, at);
        }
    }

    /// Takes everything out.
    pub(super) fn take(&self) -> Taken {
        let mut taken = Taken::default();
        for part in &self.parts {
            let mut part = lock(part);
            let next = part.gathering.wrapping_add(1);
            let Part { uses, lost, .. } = std::mem::take(&mut *part);
            part.gathering = next;
            drop(part);
            for (target, count) in lost {
                let sum = taken.lost.entry(target).or_default();
                *sum = sum.saturating_add(count);
            }
            let slots = uses.into_iter();
            let slots = slots.flat_map(|(id, slots)| slots.into_iter().map(move |slot| (id, slot)));
            taken.slots.extend(slots);
        }
        taken
    }

    /// How many counts are held.
    pub(super) fn len(&self) -> usize {
        self.parts.iter().map(|part| lock(part).len).sum()
    }

    fn part(&self, id: CredentialId) -> MutexGuard<'_, Part> {
        // The end of an id is random.
        let [first, ..] = &self.parts;
        let last = id.as_bytes().last().copied().unwrap_or(0);
        lock(self.parts.get(usize::from(last) % PARTS).unwrap_or(first))
    }
}

/// Counts are whole whatever happened to whoever held the lock.
fn lock(part: &Mutex<Part>) -> MutexGuard<'_, Part> {
    part.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Part {
    fn add(&mut self, most: usize, id: CredentialId, what: &What<'_>, at: Timestamp) -> bool {
        if let Some(slot) = self.find(id, what) {
            slot.once_more(at);
            return true;
        }
        if self.len < most {
            self.len += 1;
            self.uses.entry(id).or_default().push(Slot::new(what, at));
            return true;
        }
        for coarser in [what.without_resource(), what.unnamed()] {
            if let Some(slot) = self.find(id, &coarser) {
                slot.once_more(at);
                return true;
            }
        }
        let lost = self.lost.entry(what.target.clone()).or_default();
        *lost = lost.saturating_add(1);
        false
    }

    #[cfg(feature = "tower")]
    fn rename(
        &mut self,
        most: usize,
        id: CredentialId,
        was: &What<'_>,
        is: &What<'_>,
        at: Timestamp,
    ) {
        let room = self.len < most || self.find(id, is).is_some();
        let Some(slots) = self.uses.get_mut(&id) else {
            return;
        };
        let Some(place) = slots.iter().position(|slot| slot.is(was)) else {
            return;
        };
        let last = slots.get(place).is_some_and(|slot| slot.count <= 1);
        // Where there is no room for a name, it stays without.
        if !room && !last {
            return;
        }
        if last {
            slots.swap_remove(place);
            self.len = self.len.saturating_sub(1);
        } else if let Some(slot) = slots.get_mut(place) {
            slot.count -= 1;
        }
        self.add(most, id, is, at);
    }

    fn find(&mut self, id: CredentialId, what: &What<'_>) -> Option<&mut Slot> {
        let slots = self.uses.get_mut(&id)?;
        slots.iter_mut().find(|slot| slot.is(what))
    }
}

impl What<'_> {
    fn without_resource(&self) -> Self {
        Self {
            resource: None,
            ..*self
        }
    }

    fn unnamed(&self) -> Self {
        Self {
            action: None,
            ..self.without_resource()
        }
    }
}

impl Slot {
    fn new(what: &What<'_>, at: Timestamp) -> Self {
        Self {
            target: what.target.clone(),
            scope: what.scope.cloned(),
            action: what.action.map(Arc::from),
            resource: what.resource.map(Arc::from),
            outcome: what.outcome,
            count: 1,
            first_at: at,
            last_at: at,
        }
    }

    fn is(&self, what: &What<'_>) -> bool {
        self.outcome == what.outcome
            && self.scope.as_ref() == what.scope
            && self.action.as_deref() == what.action
            && self.resource.as_deref() == what.resource
            && self.target == *what.target
    }

    fn once_more(&mut self, at: Timestamp) {
        self.count = self.count.saturating_add(1);
        self.first_at = self.first_at.min(at);
        self.last_at = self.last_at.max(at);
    }
}

#[cfg(test)]
mod tests;
