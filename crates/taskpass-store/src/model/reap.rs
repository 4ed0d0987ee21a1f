//! Removing what has expired from the maps.

use std::collections::BTreeMap;

use taskpass_core::Timestamp;

use super::State;
use crate::commit::MetaKey;
use crate::error::StoreError;
use crate::store::{Reaped, Swept};

impl State {
    /// Removes at most about `limit` rows; also says up to when rules were removed.
    pub(super) fn reap(&mut self, before: Timestamp, limit: usize) -> (Reaped, Option<Timestamp>) {
        let mut left = limit.max(1);
        let credentials = take(&mut self.credentials, &mut left, |id, _| {
            id.ends_at() < before
        });
        let tasks = take(&mut self.tasks, &mut left, |id, _| id.deadline() < before);
        let ties = take(&mut self.ties, &mut left, |id, _| id.deadline() < before);
        self.counted.retain(|id, _| !tasks.contains(id));
        self.started
            .retain(|_, started| !tasks.contains(&started.task));
        let enrolments = take(&mut self.enrolments, &mut left, |_, enrolment| {
            enrolment.expires_at < before
        });
        let counts = take(&mut self.counts, &mut left, |(minute, _), _| {
            *minute < before.minute()
        });
        let places = take(&mut self.next_places, &mut left, |(hour, _), _| {
            (hour + 1) * 3600 <= before.secs()
        });
        let (rules, until) = self.prune(before, &mut left);
        let reaped = Reaped {
            credentials: size(credentials.len()),
            tasks: size(tasks.len()),
            rules,
            others: size(ties.len() + enrolments.len() + counts.len() + places.len()),
            more: left == 0,
        };
        (reaped, until)
    }

    /// Adds what a step removed to what no entry tells yet.
    pub(super) fn add_swept(&mut self, step: &Reaped, before: Timestamp) -> Result<(), StoreError> {
        let kept = self.values.get(&MetaKey::Swept).map(Vec::as_slice);
        if let Some(sum) = Swept::after(kept, step, before)? {
            self.values.insert(MetaKey::Swept, sum);
        }
        Ok(())
    }

    /// The rules that end first, those that end together together.
    fn prune(&mut self, before: Timestamp, left: &mut usize) -> (u64, Option<Timestamp>) {
        let mut ends: Vec<_> = self.rules.values().map(|rule| rule.prune_at).collect();
        ends.retain(|end| *end <= before);
        ends.sort_unstable();
        let until = ends
            .get(..ends.len().min(*left))
            .and_then(|ends| ends.last());
        let Some(until) = until.copied() else {
            return (0, None);
        };
        let pruned = take(&mut self.rules, &mut usize::MAX.clone(), |_, rule| {
            rule.prune_at <= until
        });
        *left = left.saturating_sub(pruned.len());
        (size(pruned.len()), Some(until))
    }
}

/// Removes the first entries of which `due` holds, at most `left`; returns their keys.
fn take<K: Ord + Clone, V>(
    map: &mut BTreeMap<K, V>,
    left: &mut usize,
    due: impl Fn(&K, &V) -> bool,
) -> Vec<K> {
    let all = map.iter().filter(|(key, value)| due(key, value));
    let keys: Vec<K> = all.map(|(key, _)| key.clone()).take(*left).collect();
    for key in &keys {
        map.remove(key);
    }
    *left -= keys.len();
    keys
}

fn size(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}
