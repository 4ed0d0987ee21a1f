//! How much one caller may ask at once: so that none takes the others' room.
//!
//! Three bounds for each caller that proved who it is, whatever connections it comes over: requests in
//! a second, requests at one time, streams at one time; and one for all together, requests in a second. Counted is by name, so that a second
//! connection, or a second key of the same agent, is no second share. What an operator does to revoke,
//! and health, are bounded by none of them. In this process's memory: nothing of it is kept, and a
//! caller that asks for nothing has no entry.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use http_body::{Frame, SizeHint};
use taskpass_broker::{Error, Limit, LimitReached};
use taskpass_core::Clock;
use taskpass_core::identity::Principal;
use taskpass_core::rate::Paces;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tonic::Status;
use tonic::body::Body;

use crate::settings::CallerLimits;

/// Credentials of one batch that are as much work as one request: they share commits.
const ITEMS_A_PLACE: usize = 16;
/// When a request is likely to have ended.
const SOON: Duration = Duration::from_millis(100);
/// Streams that follow the log, of one operator: a quarter of all.
const TAILS: usize = 16;
/// Exports of the log, of one operator: half of all.
const EXPORTS: usize = 2;

/// All callers.
pub(crate) struct Callers {
    limits: CallerLimits,
    clock: Arc<dyn Clock>,
    /// Requests at one time of all of them.
    room: Arc<Semaphore>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Of each caller, and of all together (`None`).
    paces: Paces<Option<Principal>>,
    held: HashMap<Principal, Held>,
}

/// What a caller holds now.
#[derive(Default)]
struct Held {
    requests: usize,
    streams: HashMap<&'static str, usize>,
}

impl Held {
    fn is_empty(&self) -> bool {
        self.requests == 0 && self.streams.is_empty()
    }
}

/// A request that runs. Dropping it gives everything back but the pace.
pub(crate) struct Place {
    callers: Arc<Callers>,
    caller: Principal,
    places: usize,
    room: Option<OwnedSemaphorePermit>,
}

/// A stream that is open.
struct StreamPlace {
    callers: Arc<Callers>,
    caller: Principal,
    method: &'static str,
}

impl Callers {
    pub(crate) fn new(limits: CallerLimits, clock: Arc<dyn Clock>, room: Arc<Semaphore>) -> Self {
        Self {
            limits,
            clock,
            room,
            state: Mutex::default(),
        }
    }

    /// One request of `caller`. `in_room` takes a place of all callers' room too.
    pub(crate) fn enter(
        self: &Arc<Self>,
        caller: &Principal,
        in_room: bool,
    ) -> Result<Place, Error> {
        self.pace(caller, 1)?;
        let mut place = Place {
            callers: Arc::clone(self),
            caller: caller.clone(),
            places: 0,
            room: None,
        };
        place.widen(1, in_room)?;
        Ok(place)
    }

    /// Whether there is no room at this moment, whoever calls.
    pub(crate) fn is_full(&self) -> bool {
        self.room.available_permits() == 0
    }

    fn pace(&self, caller: &Principal, requests: u32) -> Result<(), LimitReached> {
        let rate = self.limits.requests_per_second;
        let now = self.clock.monotonic();
        let all = self.limits.all_per_second;
        // The caller first: who is too fast by itself is told so, and takes nothing of the others'.
        let wanted = [(Some(caller.clone()), rate), (None, all)];
        let taken = self.lock().paces.take(&wanted, requests, now);
        taken.map_err(|too_fast| match too_fast.which {
            0 => {
                let limit = Limit::RequestsPerCaller;
                LimitReached::of_caller(limit, caller, rate.into(), None, too_fast.wait)
            }
            _ => LimitReached::of_all(all.into(), too_fast.wait),
        })
    }

    /// Holds `response` to the caller's share of streams, until its last byte is sent or nobody
    /// reads it any more.
    pub(crate) fn stream(
        self: &Arc<Self>,
        caller: &Principal,
        method: &'static str,
    ) -> Result<Option<Streaming>, Error> {
        let Some(most) = self.share(method) else {
            return Ok(None);
        };
        let mut state = self.lock();
        let streams = &mut state.held.entry(caller.clone()).or_default().streams;
        let open = streams.get(method).copied().unwrap_or_default();
        if open >= most {
            let (allowed, used) = (count(most), Some(count(open)));
            let limit = Limit::StreamsPerCaller;
            return Err(LimitReached::of_caller(limit, caller, allowed, used, None).into());
        }
        streams.insert(method, open + 1);
        drop(state);
        Ok(Some(Streaming(StreamPlace {
            callers: Arc::clone(self),
            caller: caller.clone(),
            method,
        })))
    }

    /// How many streams of a method a caller may have; `None` if the method is none of those.
    fn share(&self, method: &str) -> Option<usize> {
        let streams = self.limits.streams;
        match method {
            "/taskpass.v1.RevocationService/WatchRevocations" => Some(streams),
            "/taskpass.v1.AuditService/Tail" => Some(streams.min(TAILS)),
            "/taskpass.v1.AuditService/Export" => Some(streams.min(EXPORTS)),
            _ => None,
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, caller: &Principal, change: impl FnOnce(&mut Held)) {
        let mut state = self.lock();
        if let Some(held) = state.held.get_mut(caller) {
            change(held);
            if held.is_empty() {
                state.held.remove(caller);
            }
        }
    }
}

impl Place {
    /// What one request asks `items` times counts as so many of a second's requests, and takes a place
    /// for each sixteen; until the returned value is dropped.
    pub(crate) fn weigh(&self, items: usize) -> Result<Self, Error> {
        self.pace(items)?;
        let mut place = Self {
            callers: Arc::clone(&self.callers),
            caller: self.caller.clone(),
            places: 0,
            room: None,
        };
        let places = items.div_ceil(ITEMS_A_PLACE).saturating_sub(1);
        place.widen(places, true)?;
        Ok(place)
    }

    /// The request itself was counted when it came; a batch of more than a second's worth is a second's
    /// worth.
    fn pace(&self, items: usize) -> Result<(), LimitReached> {
        let rate = self.callers.limits.requests_per_second;
        let whole = u32::try_from(items).unwrap_or(u32::MAX).min(rate);
        let paced = match whole.saturating_sub(1) {
            0 => Ok(()),
            more => self.callers.pace(&self.caller, more),
        };
        paced.map_err(|mut reached| {
            // Whoever asks again is counted again.
            let again = Duration::from_secs(1).checked_div(rate).unwrap_or_default();
            reached.retry_after = reached.retry_after.map(|wait| wait.saturating_add(again));
            reached
        })
    }

    /// Takes `places`, or none.
    fn widen(&mut self, places: usize, in_room: bool) -> Result<(), Error> {
        let most = self.callers.limits.in_flight;
        if places == 0 {
            return Ok(());
        }
        let mut state = self.callers.lock();
        let present = state.held.get(&self.caller).map_or(0, |held| held.requests);
        if present.saturating_add(places) > most {
            let (allowed, used) = (count(most), Some(count(present)));
            let limit = Limit::InFlightPerCaller;
            let reached = LimitReached::of_caller(limit, &self.caller, allowed, used, Some(SOON));
            return Err(reached.into());
        }
        if in_room {
            let wanted = u32::try_from(places).unwrap_or(u32::MAX);
            let permit = Arc::clone(&self.callers.room).try_acquire_many_owned(wanted);
            self.room = Some(permit.map_err(|_| Error::QueueFull)?);
        }
        state.held.entry(self.caller.clone()).or_default().requests += places;
        self.places = places;
        Ok(())
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let places = self.places;
        if places > 0 {
            self.callers.change(&self.caller, |held| {
                held.requests = held.requests.saturating_sub(places);
            });
        }
    }
}

impl Drop for StreamPlace {
    fn drop(&mut self) {
        self.callers.change(&self.caller, |held| {
            let left = held.streams.get(self.method).copied().unwrap_or_default();
            if left > 1 {
                held.streams.insert(self.method, left - 1);
            } else {
                held.streams.remove(self.method);
            }
        });
    }
}

/// A stream's place, to be held by its body.
pub(crate) struct Streaming(StreamPlace);

impl Streaming {
    /// The response, which holds the place for as long as its body is there.
    pub(crate) fn hold(self, response: http::Response<Body>) -> http::Response<Body> {
        response.map(|body| {
            Body::new(Holding {
                body,
                _place: self.0,
            })
        })
    }
}

struct Holding {
    body: Body,
    _place: StreamPlace,
}

impl http_body::Body for Holding {
    type Data = bytes::Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

fn count(size: usize) -> u64 {
    u64::try_from(size).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
