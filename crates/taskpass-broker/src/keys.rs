//! The life of the signing keys: what is due is done here, one commit a step.
//!
//! What is due is decided by pure functions of the records and the time (`taskpass_issuer::rotation`).
//! A step is one commit with one entry for each key that it changes, and under the guard that nobody
//! changed a key in between; so a broker that is killed anywhere finds either the step done or not
//! begun, and goes on. Other brokers on the same store see it when they look next.

mod elsewhere;
mod rewrap;
mod rotate;

use taskpass_core::audit::{Entry, EntryKind, Outcome};
use taskpass_core::key::KeyRecord;
use taskpass_core::rng::Rng;
use taskpass_core::{DecisionId, Timestamp};
use taskpass_issuer::rotation::{self, Step};
use taskpass_store::{Change, Commit, CommitError, Guard, Lane, MetaKey, Refusal, Store};

use crate::broker::Broker;
use crate::entry::outbox;
use crate::error::Error;
use crate::standing::Standing;

pub use elsewhere::{Brought, SigningRequest};
pub use rewrap::{Rewrapped, rewrap_keys};
pub use rotate::Rotated;

/// How often a change of keys is tried again because another one came in between.
const ATTEMPTS: u32 = 8;
/// More steps than can be due at once: each slot has at most a few.
const MAX_STEPS: usize = 64;

/// The keys as they were read, to be changed only if they still are so.
pub(crate) struct KeysRead {
    pub(crate) records: Vec<KeyRecord>,
    version: Option<Vec<u8>>,
}

impl KeysRead {
    pub(crate) async fn from(store: &dyn Store) -> Result<Self, Error> {
        // Read before the keys: whoever changes them meanwhile makes the guard fail.
        let version = store.meta(MetaKey::KeysVersion).await?;
        let records = store.keys().await?;
        Ok(Self { records, version })
    }

    /// Nobody has changed a key since.
    pub(crate) fn guard(&self) -> Guard {
        Guard::MetaIs {
            key: MetaKey::KeysVersion,
            value: self.version.clone(),
        }
    }

    /// Whoever read the keys before this must read them again.
    pub(crate) fn raise(&self) -> Change {
        let version = self.version.as_deref();
        let next = version
            .and_then(|bytes| bytes.try_into().ok())
            .map_or(0, u64::from_be_bytes)
            .wrapping_add(1);
        Change::PutMeta {
            key: MetaKey::KeysVersion,
            value: next.to_be_bytes().to_vec(),
        }
    }

    /// The commit that changes these records, with an entry for each.
    pub(crate) fn change(
        &self,
        changed: Vec<KeyRecord>,
        now: Timestamp,
        mut entry: impl FnMut(&KeyRecord) -> Entry,
    ) -> Result<Commit, Error> {
        let mut commit = Commit::new(now).guard(self.guard()).change(self.raise());
        for record in changed {
            commit = commit
                .change(outbox(&entry(&record))?)
                .change(Change::PutKey(record));
        }
        Ok(commit)
    }
}

/// Whether a commit failed because the keys changed in between.
fn came_between(error: &CommitError) -> bool {
    matches!(error, CommitError::Refused(Refusal::MetaChanged { .. }))
}

/// The entry about a key that was made or changed its state.
pub(crate) fn made(record: &KeyRecord, rng: &dyn Rng, now: Timestamp) -> Entry {
    let id = DecisionId::generate(now, rng);
    let mut entry = Entry::new(id, now, EntryKind::Key, Outcome::Done);
    describe(&mut entry, record);
    entry
}

fn describe(entry: &mut Entry, record: &KeyRecord) {
    entry.subject = Some(format!("{} {}", record.purpose, record.id));
    entry.state = Some(record.state.as_str());
}

impl Broker {
    /// Does what is due to the keys: prepares the next ones, lets them take over, destroys what nothing
    /// needs any more; and takes over what another broker on the same store did. Returns how many steps
    /// that were.
    pub async fn rotate_due(&self) -> Result<usize, Error> {
        // While the time is in doubt nothing is due; what is held back after a leap is not forgotten.
        let Ok(now) = self.clock.safe_now() else {
            return Ok(0);
        };
        let forget = self.clock.reap_now().is_some();
        let mut done = 0;
        for _ in 0..MAX_STEPS {
            let keys = KeysRead::from(&*self.store).await?;
            if *self.issuer.load().records() != *keys.records {
                self.reload_keys().await?;
            }
            let Some(step) = rotation::next_step(&keys.records, now, forget) else {
                break;
            };
            if self.take_step(&keys, step, now).await? {
                done += 1;
            }
        }
        Ok(done)
    }

    async fn take_step(&self, keys: &KeysRead, step: Step, now: Timestamp) -> Result<bool, Error> {
        let (changed, why) = match step {
            Step::Make(purpose) => {
                let next = self.issuer.load().make_next(purpose, now, &self.kek);
                let next = next.map_err(Error::internal)?;
                (vec![next], "made to follow the active one")
            }
            Step::Change(changed, why) => (changed, why),
        };
        for record in &changed {
            tracing::info!(purpose = %record.purpose, key = %record.id, state = %record.state, why, "a key changed");
        }
        let commit = keys
            .change(changed, now, |record| {
                let mut entry = made(record, &*self.rng, now);
                entry.reason = Some(why.to_owned());
                entry
            })?
            .in_lane(Lane::Background);
        match self.commit(commit).await {
            Ok(_) => {
                self.metrics.key_steps.one();
                self.reload_keys().await?;
                Ok(true)
            }
            Err(error) if came_between(&error) => Ok(false),
            Err(error) => Err(Error::from_commit(error)),
        }
    }

    /// Changes keys because `caller` asked for it: `plan` says which, from the keys as they are, and
    /// what to answer. Tried again while other changes come in between.
    async fn change_keys<T>(
        &self,
        caller: &Standing,
        why: &str,
        mut plan: impl FnMut(&[KeyRecord], Timestamp) -> Result<(Vec<KeyRecord>, T), Error>,
    ) -> Result<T, Error> {
        for _ in 0..ATTEMPTS {
            let now = self.clock.safe_now()?;
            let keys = KeysRead::from(&*self.store).await?;
            if *self.issuer.load().records() != *keys.records {
                self.reload_keys().await?;
            }
            let (changed, answer) = plan(&keys.records, now)?;
            if changed.is_empty() {
                return Ok(answer);
            }
            let mut commit = keys.change(changed, now, |record| {
                let mut entry = self.entry(caller, now, EntryKind::Key, Outcome::Done);
                describe(&mut entry, record);
                entry.reason = Some(why.to_owned());
                entry
            })?;
            // If other policies came into force since the gate, this is refused, and the call repeated.
            commit.guards.extend(caller.decided_by());
            match self.commit(commit).await {
                Ok(_) => {
                    self.reload_keys().await?;
                    return Ok(answer);
                }
                Err(error) if came_between(&error) => {}
                Err(error) => return Err(Error::from_commit(error)),
            }
        }
        Err(Error::QueueFull)
    }
}
