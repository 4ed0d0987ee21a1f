//! Which key is to follow which, and when: pure functions of the records and the time.
//!
//! A key is published for at least the time for which verifiers may cache the JWKS before it signs.
//! Only a tainted key is followed at once: verifiers fetch a key they do not know, and a thief's
//! signature is worse than a second fetch. A retired key is published until what it signed has ended,
//! and no slot has two of them unless one was tainted: at most three keys of a slot are published.
//! Roots do not rotate; one that was replaced stays while an authority that it certified is published.
//!
//! [`next_step`] says what is due. Each step is one commit and can be taken again, so a broker that
//! was killed between two of them goes on where it was.

mod step;

use std::time::Duration;

use taskpass_core::key::{JWKS_MAX_AGE, KeyId, KeyPurpose, KeyRecord, KeyState};
use taskpass_core::time::Timestamp;

use crate::authority::{self, Hierarchy};

pub use step::{Step, next_step};

/// The most keys of one slot that are published at once: one to come, one that signs, one of before.
pub const MAX_PUBLISHED: usize = 3;

/// How long before an authority could not certify its longest leaf any more the next one takes over.
pub const AUTHORITY_MARGIN: Duration = Duration::from_hours(24);

/// How long a key of `purpose` signs before the next one takes over; `None` for roots, and for the
/// checkpoint key, by which everybody knows the log.
pub const fn period(purpose: KeyPurpose) -> Option<Duration> {
    match purpose {
        KeyPurpose::TokenEs256 | KeyPurpose::TokenEdDsa | KeyPurpose::Feed => {
            Some(Duration::from_hours(24 * 30))
        }
        // A third of the certificate's year: what waits for its turn ages too.
        KeyPurpose::ControlIssuing | KeyPurpose::TaskIssuing => {
            Some(Duration::from_hours(24 * 120))
        }
        KeyPurpose::ControlRoot | KeyPurpose::TaskRoot | KeyPurpose::LogCheckpoint => None,
    }
}

/// Whether the broker can make a key of `purpose` by itself: an authority's needs the private half of
/// the root above it.
pub fn can_make(records: &[KeyRecord], purpose: KeyPurpose) -> bool {
    match hierarchy(purpose) {
        Some(hierarchy) => {
            of(records, hierarchy.root(), KeyState::Active).any(KeyRecord::has_private)
        }
        None => period(purpose).is_some(),
    }
}

/// Whether a fresh key of `purpose` should be made: none is waiting for its turn.
pub fn should_prepare_next(records: &[KeyRecord], purpose: KeyPurpose) -> bool {
    period(purpose).is_some() && of(records, purpose, KeyState::Prepared).next().is_none()
}

/// From when on every verifier can know a prepared key, and it may sign.
pub fn known_at(record: &KeyRecord) -> Timestamp {
    let cached = record.created_at.plus(JWKS_MAX_AGE);
    record.activate_at.map_or(cached, |at| at.max(cached))
}

/// Whether `record` may begin to sign: it waits for its turn, and every verifier can know it.
pub fn may_activate(record: &KeyRecord, now: Timestamp) -> bool {
    record.state == KeyState::Prepared && now >= known_at(record)
}

/// Until when a key that began to sign is to go on: for its period, and, of an authority, no longer
/// than it can certify what lives longest. `None` for keys that do not rotate.
pub fn serves_until(record: &KeyRecord) -> Option<Timestamp> {
    let began = record.activated_at.unwrap_or(record.created_at);
    let by_age = began.plus(period(record.purpose)?);
    Some(last_use(record).map_or(by_age, |end| by_age.min(end)))
}

/// Until when an authority can certify what lives longest, with a margin.
fn last_use(record: &KeyRecord) -> Option<Timestamp> {
    let longest = record.purpose.longest_signed()?.duration();
    Some(record.not_after?.minus(longest + AUTHORITY_MARGIN))
}

/// Until when another key of `purpose` cannot retire, because an earlier one is still published;
/// `None` if it can.
pub fn room_from(records: &[KeyRecord], purpose: KeyPurpose, now: Timestamp) -> Option<Timestamp> {
    of(records, purpose, KeyState::Retired)
        .filter(|record| record.is_published(now))
        .filter_map(KeyRecord::published_until)
        .max()
}

/// The prepared key of `purpose` that is first in turn.
pub fn next_in_turn(records: &[KeyRecord], purpose: KeyPurpose) -> Option<&KeyRecord> {
    of(records, purpose, KeyState::Prepared).min_by_key(|record| known_at(record))
}

/// Whether the waiting key of `purpose` should take over now: the active one has served its time,
/// or there is none, or it was asked for.
pub fn should_activate_next(records: &[KeyRecord], purpose: KeyPurpose, now: Timestamp) -> bool {
    let Some(next) = next_in_turn(records, purpose) else {
        return false;
    };
    let Some(active) = of(records, purpose, KeyState::Active).next() else {
        return period(purpose).is_some() && may_activate(next, now);
    };
    // One that cannot certify what may be asked of it is followed without waiting, as everybody knows an
    // authority by the root above it; beneath a root that is new, only when it certifies nothing at all.
    if let (Some(end), Some(longest)) = (active.not_after, purpose.longest_signed()) {
        let held_back = next.activate_at.is_some_and(|at| at > now);
        let over = now >= end || (!held_back && now.plus(longest.duration()) > end);
        if over {
            return next.not_after.is_some_and(|end| now < end);
        }
    }
    let asked = next.activate_at.is_some_and(|at| at <= now);
    let served = serves_until(active).is_some_and(|until| until <= now);
    (asked || served)
        && may_activate(next, now)
        && is_of_use(next, now)
        && room_from(records, purpose, now).is_none()
}

/// Whether it can certify what lives longest: one that stood by for too long cannot.
pub fn is_of_use(record: &KeyRecord, now: Timestamp) -> bool {
    match (record.not_after, record.purpose.longest_signed()) {
        (Some(end), Some(longest)) => now.plus(longest.duration()) <= end,
        _ => true,
    }
}

/// When the key that waits for its turn takes over, if nothing else happens; `None` if none waits, or
/// the key does not rotate.
pub fn takes_over_at(
    records: &[KeyRecord],
    purpose: KeyPurpose,
    now: Timestamp,
) -> Option<Timestamp> {
    let next = next_in_turn(records, purpose)?;
    let served = of(records, purpose, KeyState::Active).find_map(serves_until)?;
    let due = next.activate_at.map_or(served, |asked| asked.min(served));
    let room = room_from(records, purpose, now).unwrap_or(due);
    Some(due.max(known_at(next)).max(room))
}

/// The changed records if `next` takes over at `now`: itself first, then the one that retires.
pub fn take_over(records: &[KeyRecord], next: &KeyRecord, now: Timestamp) -> Vec<KeyRecord> {
    let retired = of(records, next.purpose, KeyState::Active).map(|record| KeyRecord {
        state: KeyState::Retired,
        retired_at: Some(now),
        ..record.clone()
    });
    let next = KeyRecord {
        state: KeyState::Active,
        activated_at: Some(now),
        ..next.clone()
    };
    std::iter::once(next).chain(retired).collect()
}

/// The changed records if the first key of `purpose` that may, takes over at `now`: the new active
/// one first, then the retired. `None` if none may.
pub fn activate_next(
    records: &[KeyRecord],
    purpose: KeyPurpose,
    now: Timestamp,
) -> Option<Vec<KeyRecord>> {
    period(purpose)?;
    let next = next_in_turn(records, purpose).filter(|record| may_activate(record, now))?;
    Some(take_over(records, next, now))
}

/// A key that never signed and is not going to: its private half is destroyed.
pub fn dropped(record: &KeyRecord, now: Timestamp) -> KeyRecord {
    KeyRecord {
        state: KeyState::Retired,
        retired_at: Some(now),
        activate_at: None,
        ..record.destroyed()
    }
}

/// A key cannot be tainted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TaintError {
    /// There is no such key.
    #[error("there is no key {0}")]
    Unknown(KeyId),
    /// A root is everybody's trust anchor: nothing signed here could tell them.
    #[error("a {0} key cannot be tainted; replace the broker's hierarchies instead")]
    Root(KeyPurpose),
    /// Everybody knows the log by it.
    #[error("a {0} key cannot be tainted; begin a new log instead")]
    Log(KeyPurpose),
    /// It signs, and none is prepared to follow it.
    #[error("no {0} key is prepared to follow the tainted one")]
    NoSuccessor(KeyPurpose),
}

/// The changed records if the key `id` is distrusted from `now` on: itself, without its private half,
/// if it signs, the prepared key that follows it at once, and a root whose list that outdates. A key that is tainted already changes
/// nothing.
pub fn taint(
    records: &[KeyRecord],
    id: &KeyId,
    now: Timestamp,
) -> Result<Vec<KeyRecord>, TaintError> {
    let record = records
        .iter()
        .find(|record| record.id == *id)
        .ok_or_else(|| TaintError::Unknown(id.clone()))?;
    match record.purpose {
        KeyPurpose::ControlRoot | KeyPurpose::TaskRoot => {
            return Err(TaintError::Root(record.purpose));
        }
        KeyPurpose::LogCheckpoint => return Err(TaintError::Log(record.purpose)),
        KeyPurpose::TokenEs256
        | KeyPurpose::TokenEdDsa
        | KeyPurpose::ControlIssuing
        | KeyPurpose::TaskIssuing
        | KeyPurpose::Feed => {}
    }
    if record.state == KeyState::Tainted {
        return Ok(Vec::new());
    }
    let mut changed = vec![KeyRecord {
        state: KeyState::Tainted,
        // Also of one that had retired before: what is published changes now.
        retired_at: Some(now),
        activate_at: None,
        ..record.destroyed()
    }];
    if record.state == KeyState::Active {
        // One that was held back, for a root that is not known everywhere, only if there is no other.
        let held_back = |next: &KeyRecord| next.activate_at.is_some_and(|at| at > now);
        let next = of(records, record.purpose, KeyState::Prepared)
            .min_by_key(|next| (held_back(next), next.created_at))
            .ok_or(TaintError::NoSuccessor(record.purpose))?;
        changed.push(KeyRecord {
            state: KeyState::Active,
            activated_at: Some(now),
            ..next.clone()
        });
    }
    // A list that was signed beforehand says nothing of this one, and nobody here can sign another.
    let outdated = records.iter().filter(|root| {
        root.crl.is_some() && !root.has_private() && authority::is_beneath(record, root)
    });
    changed.extend(outdated.map(|root| KeyRecord {
        crl: None,
        ..root.clone()
    }));
    Ok(changed)
}

/// Whether a root is to be trusted at `now`: it is the hierarchy's, or an authority that it certified
/// is still published.
pub fn is_root_needed(records: &[KeyRecord], root: &KeyRecord, now: Timestamp) -> bool {
    let Some(hierarchy) = Hierarchy::ALL
        .into_iter()
        .find(|hierarchy| hierarchy.root() == root.purpose)
    else {
        return false;
    };
    match root.state {
        KeyState::Active => true,
        KeyState::Retired => records.iter().any(|record| {
            record.purpose == hierarchy.issuing()
                && record.is_published(now)
                && authority::is_beneath(record, root)
        }),
        KeyState::Waiting | KeyState::Prepared | KeyState::Tainted => false,
    }
}

/// The hierarchy whose issuing keys are of `purpose`.
pub fn hierarchy(purpose: KeyPurpose) -> Option<Hierarchy> {
    Hierarchy::ALL
        .into_iter()
        .find(|hierarchy| hierarchy.issuing() == purpose)
}

fn of(
    records: &[KeyRecord],
    purpose: KeyPurpose,
    state: KeyState,
) -> impl Iterator<Item = &KeyRecord> {
    records
        .iter()
        .filter(move |record| record.purpose == purpose && record.state == state)
}

#[cfg(test)]
mod tests;
