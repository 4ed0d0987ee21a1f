//! Places on the published lists: each is given to one credential, by whichever broker on the store.
//!
//! Places are leased in blocks, one commit a block, guarded by what was free before; so two brokers
//! never hold the same one, and an issue writes no row for its place. The next block is leased when
//! half of the last one is left, so that issuing does not wait. What a broker holds when it ends is
//! lost, and nothing else.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use taskpass_core::Timestamp;
use taskpass_core::credential::CredentialKind;
use taskpass_core::listing::{LIST_LEN, ListId, ListPlace, list_hour};
use taskpass_core::rng::Rng;
use taskpass_status::Permutation;
use taskpass_store::{Change, Commit, CommitError, Guard, MetaKey, Refusal, Store};
use tokio::sync::Notify;

use crate::broker::Broker;
use crate::error::Error;

/// How many places one commit leases.
pub(crate) const BLOCK: u64 = 4096;
/// From how few on the next block is leased.
const LOW: u64 = BLOCK / 2;
/// How often a lease is tried against other brokers.
const ATTEMPTS: usize = 16;

/// How many credentials stand on one list: of tokens as many as it has places, of certificates
/// fewer, since each revoked one takes some sixty bytes there.
const fn list_len(kind: CredentialKind) -> u64 {
    match kind {
        CredentialKind::Token => LIST_LEN as u64,
        CredentialKind::Certificate => 1 << 16,
    }
}

/// Places of one list that are ours to give.
#[derive(Debug)]
struct Block {
    list: u32,
    next: u32,
    end: u32,
    /// Tokens get their places in this order; the place of a certificate shows nowhere.
    order: Option<Permutation>,
}

/// The lists of one hour.
#[derive(Debug, Default)]
struct Hour {
    /// The first place that nobody has leased, as far as we know.
    free: u64,
    blocks: VecDeque<Block>,
}

impl Hour {
    fn left(&self) -> u64 {
        let left = self.blocks.iter().map(|block| block.end - block.next);
        left.map(u64::from).sum()
    }

    fn take(&mut self) -> Option<ListPlace> {
        loop {
            let block = self.blocks.front_mut()?;
            if block.next < block.end {
                let counter = block.next;
                block.next += 1;
                let index = match &block.order {
                    Some(order) => order.place(counter)?,
                    None => counter,
                };
                return ListPlace::new(block.list, index);
            }
            self.blocks.pop_front();
        }
    }
}

type Hours = BTreeMap<(u64, CredentialKind), Hour>;

/// The places that this broker holds.
#[derive(Debug)]
pub(crate) struct Places {
    key: [u8; 32],
    hours: Mutex<Hours>,
    leasing: tokio::sync::Mutex<()>,
    low: Notify,
}

impl Places {
    /// None yet. `key` orders the places of tokens, and is the same for all brokers of the store.
    pub(crate) fn new(key: [u8; 32]) -> Self {
        Self {
            key,
            hours: Mutex::default(),
            leasing: tokio::sync::Mutex::default(),
            low: Notify::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Hours> {
        self.hours.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self, kind: CredentialKind, hour: u64) -> Option<ListPlace> {
        let mut hours = self.lock();
        let held = hours.get_mut(&(hour, kind))?;
        let place = held.take();
        if held.left() < LOW {
            self.low.notify_one();
        }
        place
    }

    fn left(&self, kind: CredentialKind, hour: u64) -> u64 {
        self.lock().get(&(hour, kind)).map_or(0, Hour::left)
    }

    /// How many lists an hour has, as far as this broker knows.
    pub(crate) fn lists(&self, kind: CredentialKind, hour: u64) -> u64 {
        let free = self.lock().get(&(hour, kind)).map_or(0, |held| held.free);
        free.div_ceil(list_len(kind))
    }

    /// Learns up to where somebody has leased.
    pub(crate) fn learn(&self, kind: CredentialKind, hour: u64, free: u64) {
        let mut hours = self.lock();
        let held = hours.entry((hour, kind)).or_default();
        held.free = held.free.max(free);
    }

    /// Forgets hours before `oldest`.
    pub(crate) fn prune(&self, oldest: u64) {
        self.lock().retain(|(hour, _), _| *hour >= oldest);
    }

    /// The block that would begin at the first free place: it ends where its list does.
    fn next_block(&self, kind: CredentialKind, hour: u64) -> (u64, u64) {
        let free = self.lock().get(&(hour, kind)).map_or(0, |held| held.free);
        let len = list_len(kind);
        let list_end = (free / len + 1).saturating_mul(len);
        (free, free.saturating_add(BLOCK).min(list_end))
    }

    /// Takes over a block that is ours on disk.
    fn install(&self, kind: CredentialKind, hour: u64, from: u64, to: u64) {
        let len = list_len(kind);
        let list = u32::try_from(from / len).unwrap_or(u32::MAX);
        let within = |place: u64| u32::try_from(place).unwrap_or(u32::MAX);
        let order = match kind {
            CredentialKind::Token => {
                let name = ListId { hour, list }.to_string();
                Some(Permutation::new(&self.key, &name))
            }
            CredentialKind::Certificate => None,
        };
        let block = Block {
            list,
            next: within(from % len),
            end: within(from % len + (to - from)),
            order,
        };
        let mut hours = self.lock();
        let held = hours.entry((hour, kind)).or_default();
        held.free = held.free.max(to);
        held.blocks.push_back(block);
    }

    fn low_hours(&self) -> Vec<(u64, CredentialKind)> {
        let hours = self.lock();
        let low = hours
            .iter()
            .filter(|(_, held)| !held.blocks.is_empty() && held.left() < LOW);
        low.map(|(which, _)| *which).collect()
    }
}

/// The key that orders the places of tokens: drawn by the first broker on the store.
pub(crate) async fn list_key(
    store: &Arc<dyn Store>,
    rng: &dyn Rng,
    now: Timestamp,
) -> Result<[u8; 32], Error> {
    let drawn = rng.bytes32();
    let commit = Commit::new(now.max(store.last_committed_at()))
        .guard(Guard::MetaIs {
            key: MetaKey::ListKey,
            value: None,
        })
        .change(Change::PutMeta {
            key: MetaKey::ListKey,
            value: drawn.to_vec(),
        });
    let found = store.meta(MetaKey::ListKey).await?;
    if found.is_none() {
        match store.commit(commit).await {
            Ok(_) => return Ok(drawn),
            // Another broker was first.
            Err(CommitError::Refused(Refusal::MetaChanged { .. })) => {}
            Err(error) => return Err(Error::from_commit(error)),
        }
    }
    let found = store.meta(MetaKey::ListKey).await?;
    let key = found.and_then(|bytes| <[u8; 32]>::try_from(bytes).ok());
    key.ok_or_else(|| Error::internal(std::io::Error::other("the key of the lists is unreadable")))
}

impl Broker {
    /// A place for a credential that ends at `expires_at`, given to nobody else.
    pub(crate) async fn place(
        &self,
        kind: CredentialKind,
        expires_at: Timestamp,
    ) -> Result<ListPlace, Error> {
        let hour = list_hour(expires_at);
        for _ in 0..ATTEMPTS {
            if let Some(place) = self.places.take(kind, hour) {
                return Ok(place);
            }
            self.lease(kind, hour, 1).await?;
        }
        Err(Error::QueueFull)
    }

    /// Leases a block unless `enough` places are held.
    async fn lease(&self, kind: CredentialKind, hour: u64, enough: u64) -> Result<(), Error> {
        let _alone = self.places.leasing.lock().await;
        for _ in 0..ATTEMPTS {
            if self.places.left(kind, hour) >= enough {
                return Ok(());
            }
            let (from, to) = self.places.next_block(kind, hour);
            let commit = Commit::new(self.background_now())
                .guard(Guard::NextPlace {
                    kind,
                    hour,
                    next: from,
                })
                .change(Change::LeasePlaces {
                    kind,
                    hour,
                    next: to,
                });
            match self.store.commit(commit).await {
                Ok(_) => {
                    self.places.install(kind, hour, from, to);
                    self.metrics.leased_blocks.one();
                    return Ok(());
                }
                Err(CommitError::Refused(Refusal::PlacesLeased { next })) => {
                    self.places.learn(kind, hour, next);
                }
                Err(error) => return Err(Error::from_commit(error)),
            }
        }
        Err(Error::QueueFull)
    }

    /// Leases what will be needed soon: the next block where one runs low, and one for the hour in
    /// which tokens that are issued now will end. Nothing depends on it but that issuing does not
    /// wait.
    pub async fn lease_ahead(&self) -> Result<(), Error> {
        let ahead = self.limits.token_ttl.duration();
        let soon = self.clock.now().plus(ahead).plus(SOON);
        let (token, hour) = (CredentialKind::Token, list_hour(soon));
        if self.places.left(token, hour) == 0 {
            self.lease(token, hour, 1).await?;
        }
        for (hour, kind) in self.places.low_hours() {
            self.lease(kind, hour, LOW).await?;
        }
        Ok(())
    }

    /// Resolves when a block runs low.
    pub async fn places_run_low(&self) {
        self.places.low.notified().await;
    }
}

/// How long before tokens will end in a new hour its first block is leased.
const SOON: std::time::Duration = std::time::Duration::from_secs(30);
