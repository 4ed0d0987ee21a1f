//! What is revoked and has not expired, as the lists need it.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};

use taskpass_core::credential::{Credential, CredentialBody};
use taskpass_core::key::KeyId;
use taskpass_core::listing::{LIST_LEN, ListId, ListPlace, list_hour};
use taskpass_core::revocation::Selector;
use taskpass_core::{CredentialId, Timestamp};
use taskpass_issuer::{CrlEntry, CrlReason};
use taskpass_status::{Bits, Packed};

/// Revoked.
const INVALID: u8 = 1;

/// Rules are worked through in lanes, so that a narrow one never waits for one that walks every
/// task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ListLane {
    /// One credential, one task.
    Narrow,
    /// One agent.
    Agent,
    /// A target, a key, everything.
    Wide,
}

impl ListLane {
    /// All.
    pub const ALL: [Self; 3] = [Self::Narrow, Self::Agent, Self::Wide];

    /// The lane of a rule.
    pub(crate) fn of(selector: &Selector) -> Self {
        match selector {
            Selector::Credential(_) | Selector::Task(_) => Self::Narrow,
            Selector::Agent(_) => Self::Agent,
            Selector::Target(_) | Selector::Key(_) | Selector::Everything => Self::Wide,
        }
    }
}

/// How far a lane is.
#[derive(Debug, Clone, Copy, Default)]
struct Progress {
    /// Rules up to this one are on the lists.
    listed: u64,
    /// All rules that there were then are on the lists; `None` before the first time.
    as_of: Option<Timestamp>,
}

#[derive(Debug, Default)]
struct Lanes {
    narrow: Progress,
    agent: Progress,
    wide: Progress,
}

impl Lanes {
    fn of(&mut self, lane: ListLane) -> &mut Progress {
        match lane {
            ListLane::Narrow => &mut self.narrow,
            ListLane::Agent => &mut self.agent,
            ListLane::Wide => &mut self.wide,
        }
    }

    fn all(&self) -> [Progress; 3] {
        [self.narrow, self.agent, self.wide]
    }
}

/// The revoked certificates of one list.
#[derive(Debug, Default)]
struct Certificates {
    entries: BTreeMap<CredentialId, (Timestamp, CrlReason)>,
    version: u64,
}

/// The revoked tokens of one list.
#[derive(Debug)]
struct Tokens {
    packed: Packed,
    version: u64,
}

#[derive(Debug, Default)]
struct Known {
    tokens: BTreeMap<ListId, Tokens>,
    certificates: HashMap<(KeyId, ListId), Certificates>,
    lanes: Lanes,
}

/// What is revoked, and how far it is derived.
#[derive(Debug, Default)]
pub(crate) struct RevokedLists {
    known: Mutex<Known>,
}

/// A list of all that is valid.
fn nothing_revoked() -> Packed {
    let bytes = usize::try_from(LIST_LEN / 8).unwrap_or_default();
    Packed::all_valid(Bits::One, bytes)
}

impl RevokedLists {
    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes revoked credentials in. To do it twice changes nothing.
    pub(crate) fn add<'a>(
        &self,
        credentials: impl IntoIterator<Item = &'a Credential>,
        at: Timestamp,
        reason: CrlReason,
    ) {
        let mut known = self.lock();
        for credential in credentials {
            known.add(credential, at, reason);
        }
    }

    /// Up to which rule a lane is on the lists.
    pub(crate) fn listed(&self, lane: ListLane) -> u64 {
        self.lock().lanes.of(lane).listed
    }

    /// The lane's rules up to `seq` are on the lists; with `as_of`, all that there were then.
    pub(crate) fn advance(&self, lane: ListLane, seq: u64, as_of: Option<Timestamp>) {
        let mut known = self.lock();
        let progress = known.lanes.of(lane);
        progress.listed = progress.listed.max(seq);
        progress.as_of = as_of.or(progress.as_of);
    }

    /// The instant up to which the lists are complete; `None` while it is not known.
    pub(crate) fn complete_as_of(&self, now: Timestamp, newest_seq: u64) -> Option<Timestamp> {
        let lanes = self.lock().lanes.all();
        let mut oldest = now;
        for lane in lanes {
            let as_of = lane.as_of?;
            if lane.listed < newest_seq {
                oldest = oldest.min(as_of);
            }
        }
        Some(oldest)
    }

    /// Forgets lists of hours that are over.
    pub(crate) fn prune(&self, oldest: u64) {
        let mut known = self.lock();
        known.tokens.retain(|id, _| id.hour >= oldest);
        known.certificates.retain(|(_, id), _| id.hour >= oldest);
    }

    pub(super) fn token_version(&self, id: ListId) -> u64 {
        self.lock().tokens.get(&id).map_or(0, |list| list.version)
    }

    pub(super) fn tokens(&self, id: ListId) -> Packed {
        let known = self.lock();
        known
            .tokens
            .get(&id)
            .map_or_else(nothing_revoked, |list| list.packed.clone())
    }

    pub(super) fn certificate_version(&self, key: &KeyId, id: ListId) -> u64 {
        let known = self.lock();
        let list = known.certificates.get(&(key.clone(), id));
        list.map_or(0, |list| list.version)
    }

    /// The revoked certificates of a list that end after `since`.
    pub(super) fn certificates(&self, key: &KeyId, id: ListId, since: Timestamp) -> Vec<CrlEntry> {
        let known = self.lock();
        let list = known.certificates.get(&(key.clone(), id));
        let entries = list.into_iter().flat_map(|list| &list.entries);
        entries
            .filter(|(id, _)| id.expires_at() > since)
            .map(|(id, (at, reason))| CrlEntry {
                id: *id,
                at: *at,
                reason: *reason,
            })
            .collect()
    }
}

impl Known {
    fn add(&mut self, credential: &Credential, at: Timestamp, reason: CrlReason) {
        let id = ListId {
            hour: list_hour(credential.expires_at()),
            list: credential.listed.map_or(0, ListPlace::list),
        };
        match (&credential.body, credential.listed) {
            (CredentialBody::Certificate, _) => {
                let place = (credential.key.clone(), id);
                let list = self.certificates.entry(place).or_default();
                list.entries.entry(credential.id).or_insert_with(|| {
                    list.version += 1;
                    (at, reason)
                });
            }
            (CredentialBody::Token { .. }, Some(place)) => {
                let list = self.tokens.entry(id).or_insert_with(|| Tokens {
                    packed: nothing_revoked(),
                    version: 0,
                });
                let index = place.index().into();
                // A place lies within its list, which `ListPlace` guarantees.
                if list.packed.get(index) == Some(0) && list.packed.set(index, INVALID).is_ok() {
                    list.version += 1;
                }
            }
            // A token that names no list is on none.
            (CredentialBody::Token { .. }, None) => {}
        }
    }
}
