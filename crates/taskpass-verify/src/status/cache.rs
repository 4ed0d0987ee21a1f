//! The lists that are held, and what they say of a token.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use taskpass_core::Timestamp;
use taskpass_core::key::KeyId;
use taskpass_status::{Status, StatusList};
use taskpass_token::Checked;

use super::PlaceError;
use crate::refusal::Refusal;
use crate::settings::{DEFAULT_STALENESS, Staleness};
use crate::state::View;

/// The most lists that are held, of at most 1 MiB each. An hour of a broker has one for every 131 072
/// tokens, and no token lives longer than an hour.
const MAX_LISTS: usize = 64;
/// How long after one fetch of a list the next may follow.
const AT_LEAST: Duration = Duration::from_secs(1);

/// Held by whoever fetches a list.
pub(crate) type Flight = Arc<tokio::sync::Mutex<()>>;

#[derive(Debug, Default)]
pub(crate) struct Lists {
    slots: RwLock<HashMap<String, Slot>>,
}

/// What is known of one list, times by the monotonic clock.
#[derive(Debug, Default)]
struct Slot {
    held: Option<Held>,
    tried_at: Option<Duration>,
    wanted_at: Duration,
    flight: Flight,
}

#[derive(Debug)]
struct Held {
    list: StatusList,
    key: KeyId,
    /// When it was asked for.
    asked_at: Duration,
    /// How much older it was than it should have been when it came.
    behind: Duration,
}

/// What a judgement is made against.
pub(crate) struct Against<'a> {
    pub(crate) issuer: &'a str,
    pub(crate) staleness: Staleness,
    pub(crate) now: Timestamp,
    pub(crate) monotonic: Duration,
}

impl Held {
    fn age(&self, monotonic: Duration) -> Duration {
        monotonic.saturating_sub(self.asked_at) + self.behind
    }

    /// After how long to ask again: as it says itself, but so that it does not get too old meanwhile.
    fn refresh_after(&self, staleness: Staleness) -> Duration {
        let ttl = self.list.ttl();
        match staleness {
            Staleness::Strict(bound) => ttl.min(bound / 2),
            Staleness::BestEffort => ttl,
        }
    }
}

impl Lists {
    /// Refuses what its list speaks against, and whatever cannot be judged.
    pub(crate) fn judge(
        &self,
        token: &Checked,
        against: &Against<'_>,
        trusted: impl Fn(&KeyId) -> bool,
    ) -> Result<View, Refusal> {
        let place = token.status().ok_or(Refusal::Status(PlaceError::Absent))?;
        if !is_beneath(&place.uri, against.issuer) {
            return Err(Refusal::Status(PlaceError::Elsewhere));
        }
        // A lock that is poisoned guards lists that may be half changed.
        let slots = self.slots.read().map_err(|_| Refusal::NotReady)?;
        let slot = slots.get(&place.uri);
        let held = slot.and_then(|slot| slot.held.as_ref());
        let held = held.filter(|held| trusted(&held.key));
        let held = held.ok_or(Refusal::NotReady)?;
        match held.list.status(place.index) {
            Err(_) => return Err(Refusal::Status(PlaceError::NoPlace(place.index))),
            // However old: nothing that was revoked is taken back.
            Ok(Status::Invalid) => return Err(Refusal::Listed),
            _ if !held.list.is_current(against.now) => return Err(Refusal::ListStale),
            Ok(Status::Suspended | Status::Other(_)) => return Err(Refusal::Listed),
            Ok(Status::Valid) => {}
        }
        let age = held.age(against.monotonic);
        match against.staleness {
            Staleness::Strict(bound) if age > bound => Err(Refusal::Stale { age }),
            Staleness::BestEffort if age > DEFAULT_STALENESS => Ok(View::Unconfirmed),
            Staleness::Strict(_) | Staleness::BestEffort => Ok(View::Confirmed),
        }
    }

    /// What to hold while fetching `uri`, if it is to be fetched: it is at the issuer, it is not held
    /// or was asked for long enough ago, and nobody tried a moment ago.
    pub(crate) fn due(
        &self,
        uri: &str,
        against: &Against<'_>,
        trusted: impl Fn(&KeyId) -> bool,
    ) -> Option<Flight> {
        if !is_beneath(uri, against.issuer) {
            return None;
        }
        let now = against.monotonic;
        self.change(|slots| {
            make_room(slots, uri, against.now);
            let slot = slots.entry(uri.to_owned()).or_default();
            slot.wanted_at = now;
            let young = slot.held.as_ref().is_some_and(|held| {
                let since = now.saturating_sub(held.asked_at);
                since < held.refresh_after(against.staleness)
                    && held.list.is_current(against.now)
                    && trusted(&held.key)
            });
            let tried = slot.tried_at;
            let too_soon = tried.is_some_and(|tried| now.saturating_sub(tried) < AT_LEAST);
            (!young && !too_soon).then(|| Arc::clone(&slot.flight))
        })
    }

    /// Notes that a fetch of `uri` ended.
    pub(crate) fn tried(&self, uri: &str, at: Duration) {
        self.change(|slots| {
            if let Some(slot) = slots.get_mut(uri) {
                slot.tried_at = Some(at);
            }
        });
    }

    /// Takes a list that was asked for at `asked_at`, unless a newer one is held.
    pub(crate) fn take(
        &self,
        uri: &str,
        list: StatusList,
        key: KeyId,
        asked_at: Duration,
        behind: Duration,
    ) {
        self.change(|slots| {
            let Some(slot) = slots.get_mut(uri) else {
                // It gave way to others meanwhile.
                return;
            };
            let newer = slot.held.as_ref().is_some_and(|held| {
                held.asked_at > asked_at || held.list.issued_at() > list.issued_at()
            });
            if !newer {
                slot.held = Some(Held {
                    list,
                    key,
                    asked_at,
                    behind,
                });
            }
        });
    }

    /// How many lists are held.
    pub(crate) fn len(&self) -> usize {
        let slots = self.slots.read().unwrap_or_else(PoisonError::into_inner);
        slots.values().filter(|slot| slot.held.is_some()).count()
    }

    fn change<T>(&self, change: impl FnOnce(&mut HashMap<String, Slot>) -> T) -> T {
        // Poison stays: `judge` refuses from then on, whatever is written.
        change(&mut self.slots.write().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Makes room for `uri`: lists that are over go first, then the one that nobody has wanted for longest.
fn make_room(slots: &mut HashMap<String, Slot>, uri: &str, now: Timestamp) {
    if slots.len() < MAX_LISTS || slots.contains_key(uri) {
        return;
    }
    slots.retain(|_, slot| {
        let held = slot.held.as_ref();
        held.is_none_or(|held| held.list.is_current(now))
    });
    while slots.len() >= MAX_LISTS {
        let oldest = slots.iter().min_by_key(|(_, slot)| slot.wanted_at);
        let Some(oldest) = oldest.map(|(uri, _)| uri.clone()) else {
            return;
        };
        slots.remove(&oldest);
    }
}

/// Whether `uri` lies beneath the issuer's URL.
fn is_beneath(uri: &str, issuer: &str) -> bool {
    let rest = uri.strip_prefix(issuer.trim_end_matches('/'));
    rest.is_some_and(|rest| rest.starts_with('/'))
}
