//! Live credentials by agent, owner and target, and live tasks by agent and owner, counted by the
//! minute in which they expire.
//!
//! A sum over the minutes from now on is an upper bound of what lives, without looking at any
//! credential or task: what expires within the running minute is counted until it is over. Nothing
//! expires out of a count: a minute that has passed is simply not summed any more. Only a task that
//! ends early is counted down, by the commit that records its end.

use std::collections::{BTreeMap, HashMap};

use taskpass_core::credential::Credential;
use taskpass_core::task::{Task, agents_in_chain};
use taskpass_core::{OwnerName, Timestamp};

use crate::commit::Counter;

/// Counts by minute.
pub(crate) type Minutes = BTreeMap<u64, u64>;

/// Counts by counter and expiry minute.
#[derive(Debug, Clone, Default)]
pub(crate) struct Counters {
    counts: HashMap<Counter, Minutes>,
    /// The owners' counts together: each credential has exactly one owner.
    total: Minutes,
}

impl Counters {
    /// Counts one credential under everything that it is counted by.
    pub(crate) fn record(&mut self, credential: &Credential) {
        let minute = credential.expires_at().minute();
        for agent in agents_in_chain(&credential.agent, &credential.ancestors) {
            self.add(&Counter::Agent(agent.clone()), minute, 1);
        }
        self.add(&Counter::Owner(credential.owner.clone()), minute, 1);
        if let Some(target) = credential.target() {
            self.add(&Counter::Target(target.clone()), minute, 1);
        }
    }

    /// Counts one task under everything that it is counted by.
    pub(crate) fn record_task(&mut self, task: &Task, owner: &OwnerName) {
        let minute = task.deadline_at().minute();
        for agent in agents_in_chain(&task.agent, &task.ancestors) {
            self.add(&Counter::AgentTasks(agent.clone()), minute, 1);
        }
        self.add(&Counter::OwnerTasks(owner.clone()), minute, 1);
    }

    /// Adds `count` to one minute.
    pub(crate) fn add(&mut self, counter: &Counter, minute: u64, count: u64) {
        if !self.counts.contains_key(counter) {
            self.counts.insert(counter.clone(), Minutes::new());
        }
        if let Some(minutes) = self.counts.get_mut(counter) {
            raise(minutes, minute, count);
        }
        if matches!(counter, Counter::Owner(_)) {
            raise(&mut self.total, minute, count);
        }
    }

    /// Adds all of `other`.
    pub(crate) fn merge(&mut self, other: &Self) {
        for (counter, minute, count) in other.entries() {
            self.add(counter, minute, count);
        }
    }

    /// Takes all of `other` away.
    pub(crate) fn take_away(&mut self, other: &Self) {
        for (counter, minute, count) in other.entries() {
            let Some(minutes) = self.counts.get_mut(counter) else {
                continue;
            };
            lower(minutes, minute, count);
            if minutes.is_empty() {
                self.counts.remove(counter);
            }
        }
    }

    /// One minute's count.
    pub(crate) fn get(&self, counter: &Counter, minute: u64) -> u64 {
        self.counts
            .get(counter)
            .and_then(|minutes| minutes.get(&minute))
            .copied()
            .unwrap_or_default()
    }

    /// What has not expired at `now`, the running minute counted whole.
    pub(crate) fn live(&self, counter: &Counter, now: Timestamp) -> u64 {
        self.counts
            .get(counter)
            .map_or(0, |minutes| sum_from(minutes, now))
    }

    /// The minutes that count at `now`.
    pub(crate) fn minutes(&self, counter: &Counter, now: Timestamp) -> Minutes {
        let all = self.counts.get(counter);
        all.map(|minutes| {
            minutes
                .range(now.minute()..)
                .map(|(m, n)| (*m, *n))
                .collect()
        })
        .unwrap_or_default()
    }

    /// The credentials of all owners together.
    pub(crate) fn live_credentials(&self, now: Timestamp) -> u64 {
        sum_from(&self.total, now)
    }

    /// Every count.
    pub(crate) fn entries(&self) -> impl Iterator<Item = (&Counter, u64, u64)> {
        self.counts.iter().flat_map(|(counter, minutes)| {
            minutes
                .iter()
                .map(move |(minute, count)| (counter, *minute, *count))
        })
    }

    /// Forgets one minute of a counter.
    pub(crate) fn forget(&mut self, counter: &Counter, minute: u64) {
        let Some(minutes) = self.counts.get_mut(counter) else {
            return;
        };
        let forgotten = minutes.remove(&minute).unwrap_or_default();
        if minutes.is_empty() {
            self.counts.remove(counter);
        }
        if matches!(counter, Counter::Owner(_)) {
            lower(&mut self.total, minute, forgotten);
        }
    }
}

/// From when on fewer than `limit` are left by expiry alone; `None` if `limit` is 0.
pub(crate) fn room_at(minutes: &Minutes, limit: u64) -> Option<Timestamp> {
    let mut left = minutes
        .values()
        .fold(0_u64, |sum, count| sum.saturating_add(*count));
    minutes.iter().find_map(|(minute, count)| {
        left = left.saturating_sub(*count);
        (left < limit).then(|| Timestamp::from_secs(minute.saturating_add(1).saturating_mul(60)))
    })
}

/// Nothing is kept that counts nothing.
fn lower(minutes: &mut Minutes, minute: u64, count: u64) {
    let present = minutes.get(&minute).copied().unwrap_or_default();
    if present > count {
        minutes.insert(minute, present - count);
    } else {
        minutes.remove(&minute);
    }
}

fn raise(minutes: &mut Minutes, minute: u64, count: u64) {
    let present = minutes.entry(minute).or_default();
    *present = present.saturating_add(count);
}

fn sum_from(minutes: &Minutes, now: Timestamp) -> u64 {
    minutes
        .range(now.minute()..)
        .fold(0, |sum, (_, count)| sum.saturating_add(*count))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_running_minute_counts_and_the_past_does_not() {
        let agent = Counter::Agent("a".parse().unwrap());
        let owner = Counter::Owner("o".parse().unwrap());
        let mut counters = Counters::default();
        for minute in [1, 2, 2, 3] {
            counters.add(&agent, minute, 1);
            counters.add(&owner, minute, 1);
        }
        for (secs, live) in [(0, 4), (60, 4), (119, 4), (120, 3), (180, 1), (240, 0)] {
            let now = Timestamp::from_secs(secs);
            assert_eq!(counters.live(&agent, now), live, "at {secs}");
            assert_eq!(counters.live_credentials(now), live, "at {secs}");
        }
        counters.forget(&agent, 2);
        assert_eq!(counters.live(&agent, Timestamp::ZERO), 2);
        assert_eq!(counters.live(&owner, Timestamp::ZERO), 4);
        assert_eq!(counters.live_credentials(Timestamp::ZERO), 4);
        let mut sum = counters.clone();
        sum.merge(&counters);
        assert_eq!(sum.live(&owner, Timestamp::ZERO), 8);
        assert_eq!(sum.get(&agent, 1), 2);
        sum.take_away(&counters);
        assert_eq!(sum.live(&owner, Timestamp::ZERO), 4);
        sum.take_away(&counters);
        assert_eq!(sum.entries().count(), 0);
        sum.take_away(&counters);
        assert_eq!(sum.live(&owner, Timestamp::ZERO), 0);
    }

    #[test]
    fn room_comes_when_enough_has_expired() {
        let owner = Counter::OwnerTasks("o".parse().unwrap());
        let mut counters = Counters::default();
        for (minute, count) in [(1, 2), (3, 5), (4, 1)] {
            counters.add(&owner, minute, count);
        }
        assert_eq!(
            counters.live_credentials(Timestamp::ZERO),
            0,
            "tasks are none"
        );
        for (now, limit, room) in [
            (0, 8, Some(120)),
            (0, 7, Some(120)),
            (0, 6, Some(240)),
            (0, 2, Some(240)),
            (0, 1, Some(300)),
            (0, 0, None),
            (120, 6, Some(240)),
            (300, 1, None),
        ] {
            let minutes = counters.minutes(&owner, Timestamp::from_secs(now));
            let expected = room.map(Timestamp::from_secs);
            assert_eq!(room_at(&minutes, limit), expected, "{limit} at {now}");
        }
    }
}
