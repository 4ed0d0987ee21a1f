//! What the numbers of a step mean, given what there is: so that most steps are about something that lives.

use taskpass_core::Timestamp;

use super::picture::{AGENTS, Model, OWNERS, SCOPES, TARGETS};

/// How many sets of scopes there are, the empty one included.
const SETS: usize = 1 << SCOPES.len();

impl Model {
    /// The task that a step is about: the one with this number, or one of those that are live.
    pub(super) fn task(&self, now: Timestamp, number: usize) -> Option<usize> {
        let all = 0..self.tasks.len();
        let live: Vec<_> = all.filter(|task| self.is_live(now, *task)).collect();
        pick(number, self.tasks.len(), &live)
    }

    /// A set of scopes, or, from `SETS` on, a part of what a task has.
    pub(super) fn part(&self, task: usize, set: usize) -> usize {
        let own = self.tasks[task].scopes;
        match set.checked_sub(SETS) {
            None => set,
            Some(part) if own & part == 0 => own,
            Some(part) => own & part,
        }
    }

    /// A scope, or, beyond all scopes, one of those of a task.
    pub(super) fn scope(&self, task: usize, scope: usize) -> usize {
        let own = (0..SCOPES.len()).filter(|one| self.tasks[task].scopes & (1 << one) != 0);
        match scope.checked_sub(SCOPES.len()) {
            None => scope,
            Some(place) => own.cycle().nth(place).unwrap_or(0),
        }
    }

    /// The credential that a step is about, in the same way.
    pub(super) fn credential(&self, now: Timestamp, number: usize) -> Option<usize> {
        let all = self.credentials.iter().enumerate();
        let live = all.filter(|(_, one)| !one.revoked && now < one.expires_at);
        let live: Vec<_> = live.map(|(place, _)| place).collect();
        pick(number, self.credentials.len(), &live)
    }

    /// The row that is to be resumed: the first one from this one on that is not active, if any.
    pub(super) fn inactive(&mut self, row: usize) -> usize {
        let rows = AGENTS.len() + OWNERS.len() + TARGETS.len() + 1;
        let mut from = (row..rows).chain(0..row);
        from.find(|row| !*self.active(*row)).unwrap_or(row)
    }
}

fn pick(number: usize, all: usize, live: &[usize]) -> Option<usize> {
    if number < all {
        return Some(number);
    }
    let place = number.checked_rem(live.len())?;
    live.get(place).copied()
}
