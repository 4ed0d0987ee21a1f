//! The gate: before any handler runs, the table and the broker are asked.
//!
//! For each request: the method is in the table; a token of another issuer, if it brings one, is good; who proved
//! nothing calls what needs no identity; the message is there, whole; the caller's identity, if it has one, is
//! accepted at this moment; the table admits this kind of caller; there is room; policies permit what an operator
//! calls. Handlers find the caller's [`Standing`] in the request and never ask again, except for streams, which ask
//! every second.

mod admission;
mod body;

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use taskpass_broker::federation::AttestationRefusal;
use taskpass_broker::metrics::Count;
use taskpass_broker::{Broker, Error, Proved, Standing};
use taskpass_core::identity::Principal;
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::task::TaskTracker;
use tonic::body::Body;
use tonic::service::Routes;
use tower::{Service, ServiceExt as _};

use crate::accept::{Known, Where};
use crate::access::{self, Access};
use crate::callers::{Callers, Place, Streaming};
use crate::federation::Federation;
use crate::status;
pub(crate) use body::Room;

/// The largest body of a caller without an identity: an enrolment token and a CSR.
const ANONYMOUS_BYTES: usize = 16 * 1024;
/// The methods of health.
const HEALTH: &str = "/grpc.health.v1.Health/";
/// Where an earlier key of an identity is heard too, for it to be noticed.
const RENEWAL: &str = "/taskpass.v1.EnrolmentService/RenewIdentity";
/// Requests at one time of callers without an identity.
pub(crate) const ANONYMOUS_ROOM: usize = 64;
/// The same on one connection.
const STRANGERS_STREAMS: u32 = 8;
/// The same where it may turn out, request by request, to be somebody whom a token of another issuer names.
/// HTTP/2 is told at the beginning, when nobody can know.
const BEARERS_STREAMS: u32 = 32;

/// What all connections share.
pub(crate) struct Shared {
    pub(crate) broker: Arc<Broker>,
    pub(crate) routes: Routes,
    /// Rows beside the table: a bench's, and none where a broker is served.
    pub(crate) floors: &'static [Access],
    pub(crate) reflection: bool,
    /// Whom the broker believes besides itself.
    pub(crate) federation: Arc<Federation>,
    /// What callers with an identity take, each and together.
    pub(crate) callers: Arc<Callers>,
    /// Requests at one time of callers without one.
    pub(crate) anonymous_room: Arc<Semaphore>,
    /// The largest message.
    pub(crate) message_bytes: usize,
    /// What messages may take that are on their way, of callers with an identity and of all others.
    pub(crate) bodies: Room,
    pub(crate) strangers_bodies: Room,
    /// Requests that run: stopping waits for them.
    pub(crate) tracker: TaskTracker,
    /// Where requests are worked on that load may hold up.
    pub(crate) work: Handle,
    /// Where operators are heard.
    pub(crate) operators: Handle,
    /// Requests that were refused because as many ran as may at one time.
    pub(crate) refused: Arc<Count>,
}

/// What a request holds while it runs.
enum Held {
    /// Nothing: it cannot be kept out.
    Nothing,
    /// A place of those without an identity.
    Stranger(
        #[expect(dead_code, reason = "held, and given back when dropped")] OwnedSemaphorePermit,
    ),
    /// A place of its caller's.
    Caller(#[expect(dead_code, reason = "held, and given back when dropped")] Arc<Place>),
}

/// The service of one connection.
#[derive(Clone)]
pub(crate) struct Gate {
    shared: Arc<Shared>,
    proved: Option<Proved>,
    stranger: Stranger,
    known: Known,
}

/// What somebody who proved nothing may do.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Stranger {
    /// What needs no identity.
    Nobody,
    /// The same; other calls are told why what it showed makes it no agent.
    Refused(AttestationRefusal),
    /// Ask for health, and nothing else: it is at the Unix socket, where nobody enrols.
    Local(AttestationRefusal),
}

impl Stranger {
    /// How many requests at one time its connection may have. `tokens`: whether a token of another issuer
    /// would be believed.
    const fn streams(self, tokens: bool) -> u32 {
        match self {
            Self::Nobody if tokens => BEARERS_STREAMS,
            Self::Nobody | Self::Refused(_) | Self::Local(_) => STRANGERS_STREAMS,
        }
    }
}

impl Gate {
    pub(crate) fn new(shared: Arc<Shared>, proved: Result<Proved, Stranger>) -> Self {
        let (proved, stranger) = match proved {
            Ok(proved) => (Some(proved), Stranger::Nobody),
            Err(stranger) => (None, stranger),
        };
        Self {
            shared,
            proved,
            stranger,
            known: Known::default(),
        }
    }

    /// Tells `known` once a request has proved who it is from.
    pub(crate) fn telling(mut self, known: Known) -> Self {
        self.known = known;
        self
    }

    /// Whether the connection proved something.
    pub(crate) fn is_proved(&self) -> bool {
        self.proved.is_some()
    }

    /// Where the connection is served: who proved nothing stays at the door.
    pub(crate) fn place(&self) -> Where {
        match self.proved.as_ref().map(|proved| &proved.principal) {
            None => Where::Door(
                self.stranger
                    .streams(self.shared.federation.believes_tokens()),
            ),
            Some(Principal::Operator(_)) => Where::On(self.shared.operators.clone()),
            Some(Principal::Agent(_) | Principal::Verifier(_)) => {
                Where::On(self.shared.work.clone())
            }
        }
    }

    /// How many requests at one time the connection may have if it stays at the door.
    pub(crate) fn door(&self) -> Option<u32> {
        match self.place() {
            Where::Door(streams) => Some(streams),
            Where::Here | Where::On(_) => None,
        }
    }

    /// Whether there is no room for a request, whatever it brings.
    fn is_full(&self, row: &Access) -> bool {
        if is_urgent(row) {
            return false;
        }
        if self.proved.is_none() && row.anyone {
            return self.shared.anonymous_room.available_permits() == 0;
        }
        self.shared.callers.is_full()
    }

    /// Answers a refusal, once it is recorded. Who has no identity is counted by nobody but the
    /// metrics of connections: anybody can connect, and must not be able to fill the trail.
    async fn refuse(&self, method: &str, error: Error) -> Response<Body> {
        let refusal = matches!(
            error,
            Error::MethodNotAllowed { .. }
                | Error::AgentSuspended { .. }
                | Error::CallerSuspended { .. }
                | Error::PolicyDenied(_)
                | Error::Unauthenticated { .. }
        );
        if let Some(proved) = &self.proved
            && refusal
        {
            let broker = &self.shared.broker;
            let recorded = broker
                .record_refused_call(proved, &short(method), &error)
                .await;
            if let Err(error) = recorded {
                return status::of(error).into_http();
            }
        }
        status::of(error).into_http()
    }

    /// Judges the request and runs it, each once its body is there: authority is that of the moment
    /// in which the handler begins, and a body that never comes holds no place.
    async fn handle(mut self, request: Request<Incoming>) -> Response<Body> {
        let method = request.uri().path().to_owned();
        let row = match self.row(&method) {
            Ok(row) => row,
            Err(error) => return self.refuse(&method, error).await,
        };
        // Said before anything is checked or kept: under load, what a refusal costs is taken from
        // those who are served.
        if self.is_full(row) {
            self.shared.refused.one();
            body::passed_over(request.into_body()).await;
            return status::of(Error::QueueFull).into_http();
        }
        if let Err(error) = self.attest(row, request.headers()).await {
            return status::of(error).into_http();
        }
        // A message that is not going to be looked at is not waited for.
        if self.proved.is_none()
            && let Err(error) = self.admit_stranger(row)
        {
            return self.refuse(&method, error).await;
        }
        let mut request = if access::streams_requests(row) {
            request.map(Body::new)
        } else {
            match self.whole(request).await {
                Ok(request) => request,
                Err(error) => return status::of(error).into_http(),
            }
        };
        if let Err(error) = self.admit(row, &mut request).await {
            return self.refuse(&method, error).await;
        }
        let (held, streaming) = match self.take_place(row, &mut request) {
            Ok(taken) => taken,
            Err(error) => return status::of(error).into_http(),
        };
        if let Err(error) = self.admit_operator(row, &mut request) {
            return self.refuse(&method, error).await;
        }
        let routes = self.shared.routes.clone();
        // In a task of its own: what has begun to change something ends, whether or not somebody
        // still waits for the answer, so that memory never lags behind what was committed.
        let running = async move {
            let _held = held;
            routes.oneshot(request).await
        };
        let running = if is_urgent(row) {
            self.shared.tracker.spawn(running)
        } else {
            self.shared.tracker.spawn_on(running, &self.shared.work)
        };
        match running.await {
            Ok(Ok(response)) => {
                let response = status::explain(response);
                match streaming {
                    Some(streaming) => streaming.hold(response),
                    None => response,
                }
            }
            Ok(Err(never)) => match never {},
            Err(error) => status::of(Error::internal(error)).into_http(),
        }
    }

    /// What the request takes: of its caller's share, and of the room of all. Health takes nothing, and
    /// neither does what an operator calls to revoke.
    fn take_place(
        &self,
        row: &'static Access,
        request: &mut Request<Body>,
    ) -> Result<(Held, Option<Streaming>), Error> {
        if row.method.starts_with(HEALTH) {
            return Ok((Held::Nothing, None));
        }
        // Whose identity is not accepted, and who may call all the same, is a stranger.
        let standing = request.extensions().get::<Standing>();
        let Some(caller) = standing.map(|standing| standing.caller.principal()) else {
            let room = Arc::clone(&self.shared.anonymous_room);
            let permit = room.try_acquire_owned().map_err(|_| Error::QueueFull)?;
            return Ok((Held::Stranger(permit), None));
        };
        let is_operator = matches!(caller, Principal::Operator(_));
        if row.reserved && is_operator && !access::is_stream(row) {
            return Ok((Held::Nothing, None));
        }
        let entered = self.shared.callers.enter(&caller, !row.reserved);
        let taken = entered.and_then(|place| {
            let streaming = self.shared.callers.stream(&caller, row.method)?;
            Ok((Arc::new(place), streaming))
        });
        let (place, streaming) = taken.inspect_err(|error| {
            self.shared.broker.count_limit(&caller, error);
        })?;
        request.extensions_mut().insert(Arc::clone(&place));
        Ok((Held::Caller(place), streaming))
    }

    fn row(&self, method: &str) -> Result<&'static Access, Error> {
        access::find(method, self.shared.reflection)
            .or_else(|| self.shared.floors.iter().find(|row| row.method == method))
            .ok_or_else(|| Error::MethodNotAllowed {
                caller: "nobody".to_owned(),
                method: short(method),
            })
    }

    /// The request with its whole body, which must come soon and be small enough.
    async fn whole(&self, request: Request<Incoming>) -> Result<Request<Body>, Error> {
        let (limit, room) = match self.proved {
            // Five bytes of framing, and what the message may have.
            Some(_) => (
                self.shared.message_bytes.saturating_add(5),
                &self.shared.bodies,
            ),
            None => (ANONYMOUS_BYTES, &self.shared.strangers_bodies),
        };
        let (head, body) = request.into_parts();
        let body = body::whole(body, limit, room).await?;
        Ok(Request::from_parts(head, Body::new(Full::new(body))))
    }
}

impl Service<Request<Incoming>> for Gate {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Incoming>) -> Self::Future {
        let gate = self.clone();
        Box::pin(async move { Ok(gate.handle(request).await) })
    }
}

/// Whether load must not hold up a method: health, and what is called to revoke.
fn is_urgent(row: &Access) -> bool {
    row.reserved || row.method.starts_with(HEALTH)
}

/// A method's name as far as one of ours can be long: the caller chose it.
fn short(method: &str) -> String {
    method.chars().take(128).collect()
}

/// The trace id of a W3C `traceparent`, if it is a well-formed one.
pub(crate) fn trace_id(headers: &http::HeaderMap) -> Option<String> {
    let text = headers.get("traceparent")?.to_str().ok()?;
    let id = text.split('-').nth(1)?;
    let good = id.len() == 32
        && id
            .bytes()
            .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
        && id.bytes().any(|b| b != b'0');
    good.then(|| id.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Who showed something that is refused is told so, and is given no more for it; a token is believed
    /// of who showed nothing.
    #[test]
    fn strangers_get_few_streams() {
        let why = AttestationRefusal::Nobody;
        for (stranger, without, with) in [
            (Stranger::Nobody, 8, 32),
            (Stranger::Refused(why), 8, 8),
            (Stranger::Local(why), 8, 8),
        ] {
            let streams = (stranger.streams(false), stranger.streams(true));
            assert_eq!(streams, (without, with), "{stranger:?}");
        }
    }

    #[test]
    fn only_a_well_formed_trace_id_is_taken() {
        let with = |text: &'static str| {
            let mut headers = http::HeaderMap::new();
            headers.insert("traceparent", http::HeaderValue::from_static(text));
            trace_id(&headers)
        };
        let good = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        assert_eq!(
            with(good).as_deref(),
            Some("4bf92f3577b34da6a3ce929d0e0e4736")
        );
        for bad in [
            "",
            "00-short-x-01",
            "00-00000000000000000000000000000000-1-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-1-01",
        ] {
            assert_eq!(with(bad), None, "{bad}");
        }
    }
}
