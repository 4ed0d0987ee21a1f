//! From what was gathered to the batches that are sent: a window for each target, in as many batches as
//! its items need.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use taskpass_api::v1;
use taskpass_core::rng::Rng;
use taskpass_core::{CredentialId, TargetUri, Timestamp};

use super::held::{Outcome, Slot, Taken};

/// The most items that the broker takes in one batch.
const MAX_ITEMS: usize = 256;
/// The most batches in one call; the broker would take more, but at a pace that is bounded as well.
const MAX_BATCHES: usize = 8;
/// The most bytes in one call, by [`size`]; the broker takes 512 KiB.
const MAX_BYTES: usize = 384 * 1024;
/// The longest window; the broker takes a day.
const LONGEST: Duration = Duration::from_hours(23);

/// The most uses that the broker takes as lost in one batch.
const MOST_LOST: u64 = u32::MAX as u64;
/// Windows that ended longer ago are not taken; the broker takes them of a week.
const OLDEST: Duration = Duration::from_hours(6 * 24);

/// A batch that has not been taken yet. Sent again it is the same batch.
pub(super) type Batch = v1::ReportUseRequest;

/// The batches that report everything between two moments at these targets.
pub(super) fn batches<'a>(
    targets: impl Iterator<Item = &'a TargetUri>,
    taken: Taken,
    (from, until): (Timestamp, Timestamp),
    ending: bool,
    rng: &dyn Rng,
) -> VecDeque<Batch> {
    let mut by_target: BTreeMap<TargetUri, Vec<v1::UseItem>> = BTreeMap::new();
    for (id, slot) in taken.slots {
        let items = by_target.entry(slot.target.clone()).or_default();
        items.push(item(id, slot));
    }
    let mut batches = VecDeque::new();
    for target in targets {
        let batch = |from, until, items| Batch {
            batch_id: rng.bytes16().to_vec().into(),
            target: target.to_string(),
            covered_from: Some(timestamp(from)),
            covered_until: Some(timestamp(until)),
            items,
            lost: 0,
            last: false,
        };
        // After a machine has slept: nothing happened, and it takes several windows to say so. Of longer
        // ago than can be said, nothing is.
        let mut from = from.max(until.minus(OLDEST));
        while until.since(from) > LONGEST {
            let end = from.plus(LONGEST);
            batches.push_back(batch(from, end, Vec::new()));
            from = end;
        }
        let mut items = by_target.remove(target).unwrap_or_default();
        let mut lost = taken.lost.get(target).copied().unwrap_or(0).min(MOST_LOST);
        loop {
            let rest = items.split_off(items.len().min(MAX_ITEMS));
            let ends = rest.is_empty();
            batches.push_back(Batch {
                lost: std::mem::take(&mut lost),
                last: ending && ends,
                ..batch(from, until, std::mem::replace(&mut items, rest))
            });
            if ends {
                break;
            }
        }
    }
    batches
}

/// How many of the first batches fit into one call: one at least.
pub(super) fn in_one_call(batches: &VecDeque<Batch>) -> usize {
    let mut bytes = 0_usize;
    let fit = batches.iter().take(MAX_BATCHES).take_while(|batch| {
        bytes = bytes.saturating_add(size(batch));
        bytes <= MAX_BYTES
    });
    fit.count().max(1)
}

/// The uses of a batch.
pub(super) fn uses(batch: &Batch) -> u64 {
    let counts = batch.items.iter().map(|item| item.count);
    counts.fold(0, u64::saturating_add)
}

/// About as many bytes as it has, and no fewer.
fn size(batch: &Batch) -> usize {
    let items = batch.items.iter().map(|item| {
        let texts = [
            &item.credential_id,
            &item.scope,
            &item.action,
            &item.resource,
        ];
        texts.iter().map(|text| text.len()).sum::<usize>() + 80
    });
    items.sum::<usize>() + batch.target.len() + 128
}

fn item(id: CredentialId, slot: Slot) -> v1::UseItem {
    let text = |text: Option<std::sync::Arc<str>>| text.map_or_else(String::new, |t| t.to_string());
    let outcome = match slot.outcome {
        Outcome::Allowed => v1::UseOutcome::Allowed,
        Outcome::Refused => v1::UseOutcome::Refused,
    };
    v1::UseItem {
        credential_id: id.to_string(),
        scope: slot
            .scope
            .map_or_else(String::new, |scope| scope.to_string()),
        action: text(slot.action),
        resource: text(slot.resource),
        outcome: outcome.into(),
        count: slot.count.into(),
        first_at: Some(timestamp(slot.first_at)),
        last_at: Some(timestamp(slot.last_at)),
    }
}

fn timestamp(at: Timestamp) -> prost_types::Timestamp {
    let nanos = at.millis() % 1000 * 1_000_000;
    prost_types::Timestamp {
        seconds: i64::try_from(at.secs()).unwrap_or(i64::MAX),
        nanos: i32::try_from(nanos).unwrap_or(0),
    }
}

#[cfg(test)]
mod tests;
