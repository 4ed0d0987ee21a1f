//! Live credentials by agent, owner and target, counted by the minute in which they expire.
//!
//! A sum over the minutes from now on is an upper bound of what lives, without looking at any
//! credential. Nothing is counted down: a minute that has passed is simply not summed any more.

use std::collections::{BTreeMap, HashMap};

use taskpass_core::Timestamp;
use taskpass_core::credential::Credential;

use crate::commit::Counter;

type Minutes = BTreeMap<u64, u64>;

/// Counts by counter and expiry minute.
#[derive(Debug, Clone, Default)]
pub(crate) struct Counters {
    counts: HashMap<Counter, Minutes>,
    /// The agents' counts together: each credential has exactly one agent.
    total: Minutes,
}

impl Counters {
    /// Counts one credential under everything that it is counted by.
    pub(crate) fn record(&mut self, credential: &Credential) {
        let minute = credential.expires_at().minute();
        self.add(&Counter::Agent(credential.agent.clone()), minute, 1);
        self.add(&Counter::Owner(credential.owner.clone()), minute, 1);
        if let Some(target) = credential.target() {
            self.add(&Counter::Target(target.clone()), minute, 1);
        }
    }

    /// Adds `count` to one minute.
    pub(crate) fn add(&mut self, counter: &Counter, minute: u64, count: u64) {
        if !self.counts.contains_key(counter) {
            self.counts.insert(counter.clone(), Minutes::new());
        }
        if let Some(minutes) = self.counts.get_mut(counter) {
            raise(minutes, minute, count);
        }
        if matches!(counter, Counter::Agent(_)) {
            raise(&mut self.total, minute, count);
        }
    }

    /// Adds all of `other`.
    pub(crate) fn merge(&mut self, other: &Self) {
        for (counter, minute, count) in other.entries() {
            self.add(counter, minute, count);
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

    /// The same for all agents together.
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
        if let Some(minutes) = self.counts.get_mut(counter) {
            minutes.remove(&minute);
            if minutes.is_empty() {
                self.counts.remove(counter);
            }
        }
        // Whoever forgets a minute forgets it for all counters, in one or several steps.
        self.total.remove(&minute);
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
        let mut sum = counters.clone();
        sum.merge(&counters);
        assert_eq!(sum.live(&owner, Timestamp::ZERO), 8);
        assert_eq!(sum.get(&agent, 1), 2);
    }
}
