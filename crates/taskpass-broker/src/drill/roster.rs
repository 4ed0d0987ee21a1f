//! Who is on the feed, and whom a drill waits for.
//!
//! Each stream of a verifier has a seat for as long as it lasts. A drill takes the seats that its rule
//! concerns, just before the rule is made, and gives each a token of its own: 16 random bytes that only
//! this stream is told, and only its own identity can hand back. So one verifier cannot speak for another,
//! nor one process of an API for the next. A stream that ends without having confirmed is not waited for,
//! and counts as silent. One drill at a time, and one a minute; one that made no rule does not count.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use taskpass_core::credential::Credential;
use taskpass_core::identity::Principal;
use taskpass_core::revocation::{Rule, Selector};
use taskpass_core::rng::Rng;
use taskpass_core::secret::Sha256;
use taskpass_core::{CredentialId, TargetUri};
use tokio::sync::Notify;

use super::BETWEEN;
use crate::error::Error;

type Token = [u8; 16];

/// The streams, and the drill that runs.
#[derive(Debug, Clone, Default)]
pub(crate) struct Drills(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    /// Whether a drill waits for anybody: every rule of every stream asks.
    armed: AtomicBool,
    /// Told whenever somebody confirms, or leaves.
    changed: Notify,
}

#[derive(Debug, Default)]
struct State {
    next: u64,
    seats: BTreeMap<u64, Seated>,
    running: Option<Running>,
    /// When the last drill that made a rule began.
    last: Option<Duration>,
}

#[derive(Debug)]
struct Seated {
    who: Principal,
    targets: BTreeSet<TargetUri>,
}

#[derive(Debug)]
struct Running {
    /// When it began, and until when it runs at the latest.
    began: Duration,
    timeout: Duration,
    made_a_rule: bool,
    credential: Option<CredentialId>,
    waits: BTreeMap<u64, Waiting>,
}

#[derive(Debug)]
struct Waiting {
    who: Principal,
    token: Token,
    refused: Option<Duration>,
    left: bool,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing is left half done under this lock, and no decision rests on what is beneath it.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The place of one stream of a verifier; given up when dropped.
#[derive(Debug)]
pub(crate) struct Seat {
    shared: Arc<Shared>,
    id: u64,
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state.seats.remove(&self.id);
        let waiting = state.running.as_mut();
        if let Some(waiting) = waiting.and_then(|running| running.waits.get_mut(&self.id)) {
            waiting.left = true;
            self.shared.changed.notify_one();
        }
    }
}

impl Seat {
    /// What the stream hands back once it refuses what `rule` names, if a drill waits for that.
    pub(crate) fn token(&self, rule: &Rule) -> Option<Token> {
        let Selector::Credential(id) = &rule.selector else {
            return None;
        };
        if !self.shared.armed.load(Ordering::Acquire) {
            return None;
        }
        let state = self.shared.lock();
        let running = state.running.as_ref()?;
        if running.credential.as_ref() != Some(id) {
            return None;
        }
        running.waits.get(&self.id).map(|waiting| waiting.token)
    }
}

/// The one drill that runs; over when dropped.
#[derive(Debug)]
pub(super) struct Slot(Arc<Shared>);

impl Drop for Slot {
    fn drop(&mut self) {
        self.0.armed.store(false, Ordering::Release);
        let mut state = self.0.lock();
        if let Some(running) = state.running.take()
            && running.made_a_rule
        {
            state.last = Some(running.began);
        }
    }
}

impl Drills {
    /// Gives a stream of a verifier its seat.
    pub(crate) fn seat(&self, who: Principal, targets: BTreeSet<TargetUri>) -> Seat {
        let mut state = self.0.lock();
        let id = state.next;
        state.next = state.next.wrapping_add(1);
        state.seats.insert(id, Seated { who, targets });
        Seat {
            shared: Arc::clone(&self.0),
            id,
        }
    }

    /// Begins a drill at `now`, unless one runs or was held within the minute.
    pub(super) fn begin(&self, now: Duration, timeout: Duration) -> Result<Slot, Error> {
        let mut state = self.0.lock();
        if let Some(running) = &state.running {
            let ends = running.began.saturating_add(running.timeout);
            return Err(Error::DrillNotNow {
                why: "another drill runs",
                retry_after: ends.saturating_sub(now).max(Duration::from_secs(1)),
            });
        }
        let next = state.last.map(|last| last.saturating_add(BETWEEN));
        if let Some(next) = next.filter(|next| *next > now) {
            return Err(Error::DrillNotNow {
                why: "one was held within the last minute",
                retry_after: next.saturating_sub(now),
            });
        }
        state.running = Some(Running {
            began: now,
            timeout,
            made_a_rule: false,
            credential: None,
            waits: BTreeMap::new(),
        });
        Ok(Slot(Arc::clone(&self.0)))
    }

    /// Notes that `who` refuses since `at`; whether a drill waited for that.
    pub(super) fn confirm(
        &self,
        who: &Principal,
        token: &[u8],
        credential: CredentialId,
        at: Duration,
    ) -> bool {
        // Hashes are compared: how long that takes says nothing of the token.
        let said = Sha256::of(token);
        let mut state = self.0.lock();
        let Some(running) = state.running.as_mut() else {
            return false;
        };
        if running.credential != Some(credential) {
            return false;
        }
        let mut of_caller = running.waits.values_mut().filter(|one| one.who == *who);
        let Some(waiting) = of_caller.find(|waiting| Sha256::of(&waiting.token) == said) else {
            return false;
        };
        if waiting.refused.is_some() {
            return false;
        }
        waiting.refused = Some(at);
        self.0.changed.notify_one();
        true
    }
}

impl Slot {
    /// Waits from now on for every stream that a rule about `credential` concerns.
    pub(super) fn arm(&self, credential: &Credential, rng: &dyn Rng) {
        let mut state = self.0.lock();
        let waits = state
            .seats
            .iter()
            .filter(|(_, seated)| {
                let target = credential.target();
                target.is_none_or(|target| seated.targets.contains(target))
            })
            .map(|(id, seated)| {
                let waiting = Waiting {
                    who: seated.who.clone(),
                    token: rng.bytes16(),
                    refused: None,
                    left: false,
                };
                (*id, waiting)
            })
            .collect();
        if let Some(running) = state.running.as_mut() {
            running.credential = Some(credential.id);
            running.waits = waits;
        }
        self.0.armed.store(true, Ordering::Release);
    }

    /// The rule is made: the minute counts.
    pub(super) fn held(&self) {
        if let Some(running) = self.0.lock().running.as_mut() {
            running.made_a_rule = true;
        }
    }

    /// Waits until each stream has confirmed or left.
    pub(super) async fn everybody(&self) {
        while !self.nobody_is_missing() {
            self.0.changed.notified().await;
        }
    }

    fn nobody_is_missing(&self) -> bool {
        self.0.lock().running.as_ref().is_none_or(|running| {
            let mut waits = running.waits.values();
            waits.all(|one| one.refused.is_some() || one.left)
        })
    }

    /// Each stream, and when it confirmed; the quickest first, the silent ones last.
    pub(super) fn result(&self) -> Vec<(Principal, Option<Duration>)> {
        let state = self.0.lock();
        let waits = state
            .running
            .iter()
            .flat_map(|running| running.waits.values());
        let mut result: Vec<_> = waits.map(|one| (one.who.clone(), one.refused)).collect();
        result.sort_by(|a, b| {
            (a.1.is_none(), a.1, a.0.name()).cmp(&(b.1.is_none(), b.1, b.0.name()))
        });
        result
    }
}

#[cfg(test)]
mod tests;
