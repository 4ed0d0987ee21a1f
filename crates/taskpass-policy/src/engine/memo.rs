//! What was answered, for whoever asks the very same again.
//!
//! An answer is found only by all that a decision reads, compared by value: the rows with their
//! versions, everything that is asked, and of the time whatever policies or this crate can see of it; of
//! lifetime, purpose and time no more than the set's policies can read ([`Reads`]).
//! So an answer that is found is the one that would be worked out. What is kept belongs to one policy
//! set and goes with it. There are a fixed number of places; a later answer takes that of an earlier
//! one. Where only the purpose, the lifetime or the minute is another, what the rows are to Cedar is found
//! in the same way, and only the questions are put anew.
//!
//! Answers are kept here, never grants: one decision, one grant. What failed is not kept: it may have
//! been the stack that was short, not the policy that was wrong.

use std::hash::{BuildHasher as _, Hash, RandomState};
use std::sync::Arc;

use arc_swap::ArcSwapOption;
use cedar_policy::Entities;
use taskpass_core::grant::Ask;
use taskpass_core::registry::{Agent, Owner, Target, Versioned};
use taskpass_core::{AgentName, ScopeRef, TaskId};

use crate::facts::Unbuildable;
use crate::reads::Reads;
use crate::request::Request;

/// What one decision came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answered {
    pub(crate) allowed: bool,
    pub(crate) errored: bool,
    pub(crate) would_deny: bool,
    /// What determined it.
    pub(crate) policies: Vec<String>,
    /// Of a denial: what would have been allowed on its own.
    pub(crate) scopes: Vec<ScopeRef>,
}

/// The answers of one policy set, and the rows that they are about as the set's schema has them.
pub(super) struct Memo {
    reads: Reads,
    answers: Places<Kept>,
    described: Places<Described>,
}

/// A place for each hash.
struct Places<T> {
    places: Box<[ArcSwapOption<T>]>,
    hasher: RandomState,
}

impl<T> Places<T> {
    fn new(places: usize) -> Self {
        Self {
            places: (0..places).map(|_| ArcSwapOption::empty()).collect(),
            hasher: RandomState::new(),
        }
    }

    fn of(&self, key: impl Hash) -> Option<&ArcSwapOption<T>> {
        let places = u64::try_from(self.places.len()).ok()?;
        let place = self.hasher.hash_one(key).checked_rem(places)?;
        self.places.get(usize::try_from(place).ok()?)
    }
}

struct Kept {
    described: Arc<Described>,
    terms: Terms,
    answered: Arc<Answered>,
}

struct Described {
    rows: Rows,
    entities: Entities,
}

impl Memo {
    /// With so many places, for a set that reads so much.
    pub(super) fn new(places: usize, reads: Reads) -> Self {
        Self {
            reads,
            answers: Places::new(places),
            described: Places::new(places),
        }
    }

    /// The answer to `request`: found, or worked out by `describe` and `evaluate`.
    pub(super) fn answer(
        &self,
        request: &Request<'_>,
        describe: impl FnOnce() -> Result<Entities, Unbuildable>,
        evaluate: impl FnOnce(&Entities) -> Answered,
    ) -> Arc<Answered> {
        // What changes by itself, the time and the rows, has no part in the place: the next minute's
        // answer replaces this one's.
        let reads = self.reads;
        let place = self.answers.of((
            about(request),
            reads.purpose.then(|| request.stated_purpose()),
            reads.ttl.then(|| request.ttl_seconds()),
            request.depth,
        ));
        if let Some(place) = place
            && let Some(kept) = place.load().as_deref()
            && kept.terms.are_of(request, reads)
            && kept.described.rows.are_of(request)
        {
            return Arc::clone(&kept.answered);
        }
        let Ok(described) = self.described(request, describe) else {
            return Arc::new(Answered::failed());
        };
        let answered = Arc::new(evaluate(&described.entities));
        if let Some(place) = place.filter(|_| !answered.errored) {
            place.store(Some(Arc::new(Kept {
                described,
                terms: Terms::of(request),
                answered: Arc::clone(&answered),
            })));
        }
        answered
    }

    fn described(
        &self,
        request: &Request<'_>,
        describe: impl FnOnce() -> Result<Entities, Unbuildable>,
    ) -> Result<Arc<Described>, Unbuildable> {
        let place = self.described.of(about(request));
        if let Some(place) = place
            && let Some(described) = place.load().as_ref()
            && described.rows.are_of(request)
        {
            return Ok(Arc::clone(described));
        }
        let described = Arc::new(Described {
            rows: Rows::of(request),
            entities: describe()?,
        });
        if let Some(place) = place {
            place.store(Some(Arc::clone(&described)));
        }
        Ok(described)
    }
}

/// Whom and what a request is about.
fn about(request: &Request<'_>) -> impl Hash {
    let scopes: Vec<_> = request.ask.scopes().collect();
    let agent = &request.agent.value.name;
    let task = request.task_asked_about();
    (agent, scopes, task, request.delegating_from)
}

/// All of a request that its entities are made of.
struct Rows {
    agent: Versioned<Agent>,
    owner: Option<Versioned<Owner>>,
    targets: Vec<Versioned<Target>>,
    ask: Ask,
    delegating_from: Option<AgentName>,
    task: Option<TaskId>,
    /// Whether the registration had not ended.
    registered: bool,
}

impl Rows {
    fn of(request: &Request<'_>) -> Self {
        let targets = &request.targets;
        Self {
            agent: request.agent.clone(),
            owner: request.owner.cloned(),
            targets: targets.iter().copied().cloned().collect(),
            ask: request.ask.clone(),
            delegating_from: request.delegating_from.cloned(),
            task: request.task_asked_about(),
            registered: request.now < request.agent.value.valid_until,
        }
    }

    /// Whether they are those of `request`.
    fn are_of(&self, request: &Request<'_>) -> bool {
        self.task == request.task_asked_about()
            && self.delegating_from.as_ref() == request.delegating_from
            && self.registered == (request.now < request.agent.value.valid_until)
            && self.ask == request.ask
            && self.agent == *request.agent
            && self.owner.as_ref() == request.owner
            && self.targets.iter().eq(request.targets.iter().copied())
    }
}

/// All else that a decision reads of a request.
struct Terms {
    purpose: String,
    depth: usize,
    ttl_seconds: u64,
    attestation: String,
    minute: u64,
    /// Whether each target was observed.
    observed: Vec<bool>,
}

impl Terms {
    fn of(request: &Request<'_>) -> Self {
        Self {
            purpose: request.stated_purpose().to_owned(),
            depth: request.depth,
            ttl_seconds: request.ttl_seconds(),
            attestation: request.attestation.to_owned(),
            minute: request.now.minute(),
            observed: observed(request).collect(),
        }
    }

    /// Whether they are those of `request`, as far as anything is read. Its fields are named one by one, so
    /// that one that it gains is not forgotten here.
    fn are_of(&self, request: &Request<'_>, reads: Reads) -> bool {
        let Request {
            agent: _,
            owner: _,
            targets: _,
            ask: _,
            delegating_from: _,
            task: _,
            purpose: _,
            depth,
            ttl: _,
            attestation,
            now,
        } = request;
        (!reads.time || self.minute == now.minute())
            && self.depth == *depth
            && (!reads.ttl || self.ttl_seconds == request.ttl_seconds())
            && (!reads.purpose || self.purpose == request.stated_purpose())
            && self.attestation == *attestation
            && self.observed.iter().copied().eq(observed(request))
    }
}

fn observed(request: &Request<'_>) -> impl Iterator<Item = bool> {
    let targets = request.targets.iter();
    targets.map(|target| target.value.is_observed(request.now))
}

#[cfg(test)]
mod tests;
