//! The gate: before any handler runs, the table and the broker are asked.
//!
//! For each request: the method is in the table; the message is there, whole; the caller's identity, if
//! it has one, is accepted at this moment; the table admits this kind of caller; there is room. Handlers find the caller's
//! [`Standing`] in the request and never ask again, except for streams, which ask every second.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::{Request, Response};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use taskpass_broker::{Broker, Error, Proved};
use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;
use tonic::body::Body;
use tonic::service::Routes;
use tower::{Service, ServiceExt as _};

use crate::access::{self, Access};
use crate::status;

/// How long a request's body may take.
const BODY_TIMEOUT: Duration = Duration::from_secs(5);
/// The largest body of a caller without an identity: an enrolment token and a CSR.
const ANONYMOUS_BYTES: usize = 16 * 1024;
/// Requests at one time of callers without an identity.
pub(crate) const ANONYMOUS_ROOM: usize = 64;

/// What all connections share.
pub(crate) struct Shared {
    pub(crate) broker: Arc<Broker>,
    pub(crate) routes: Routes,
    pub(crate) reflection: bool,
    /// Requests at one time of callers with an identity.
    pub(crate) room: Arc<Semaphore>,
    /// Requests at one time of callers without one.
    pub(crate) anonymous_room: Arc<Semaphore>,
    /// The largest message.
    pub(crate) message_bytes: usize,
    /// Requests that run: stopping waits for them.
    pub(crate) tracker: TaskTracker,
}

/// The service of one connection.
#[derive(Clone)]
pub(crate) struct Gate {
    shared: Arc<Shared>,
    proved: Option<Proved>,
}

impl Gate {
    pub(crate) fn new(shared: Arc<Shared>, proved: Option<Proved>) -> Self {
        Self { shared, proved }
    }

    async fn admit(&self, row: &Access, request: &mut Request<Body>) -> Result<(), Error> {
        let Some(proved) = &self.proved else {
            if row.anyone {
                return Ok(());
            }
            return Err(Error::Unauthenticated {
                message: "call with an identity certificate; `taskpass enrol` gets one",
            });
        };
        let trace_id = trace_id(request.headers());
        match self.shared.broker.standing(proved, trace_id).await {
            Ok(standing) if row.admits(&standing.caller) => {
                request.extensions_mut().insert(standing);
                request.extensions_mut().insert(proved.clone());
                Ok(())
            }
            Ok(standing) => Err(Error::MethodNotAllowed {
                caller: standing.caller.to_string(),
                method: row.method.to_owned(),
            }),
            // Whoever needs no identity is not stopped by a bad one: it may be here to enrol anew.
            Err(_) if row.anyone => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Answers a refusal, once it is recorded. Who has no identity is counted by nobody but the
    /// metrics of connections: anybody can connect, and must not be able to fill the trail.
    async fn refuse(&self, method: &str, error: Error) -> Response<Body> {
        let refusal = matches!(
            error,
            Error::MethodNotAllowed { .. }
                | Error::AgentSuspended { .. }
                | Error::CallerSuspended { .. }
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
    async fn handle(self, request: Request<Incoming>) -> Response<Body> {
        let method = request.uri().path().to_owned();
        let row = match self.row(&method) {
            Ok(row) => row,
            Err(error) => return self.refuse(&method, error).await,
        };
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
        let room = match (row.reserved, &self.proved) {
            (true, _) => None,
            (false, Some(_)) => Some(&self.shared.room),
            // Who has no identity shares a small room, and cannot fill that of those who do.
            (false, None) => Some(&self.shared.anonymous_room),
        };
        let permit = match room.map(|room| Arc::clone(room).try_acquire_owned()) {
            None => None,
            Some(Ok(permit)) => Some(permit),
            Some(Err(_)) => return status::of(Error::QueueFull).into_http(),
        };
        let routes = self.shared.routes.clone();
        // In a task of its own: what has begun to change something ends, whether or not somebody
        // still waits for the answer, so that memory never lags behind what was committed.
        let running = self.shared.tracker.spawn(async move {
            let _permit = permit;
            routes.oneshot(request).await
        });
        match running.await {
            Ok(Ok(response)) => status::explain(response),
            Ok(Err(never)) => match never {},
            Err(error) => status::of(Error::internal(error)).into_http(),
        }
    }

    fn row(&self, method: &str) -> Result<&'static Access, Error> {
        access::find(method, self.shared.reflection).ok_or_else(|| Error::MethodNotAllowed {
            caller: "nobody".to_owned(),
            method: short(method),
        })
    }

    /// The request with its whole body, which must come soon and be small enough.
    async fn whole(&self, request: Request<Incoming>) -> Result<Request<Body>, Error> {
        let limit = match self.proved {
            // Five bytes of framing, and what the message may have.
            Some(_) => self.shared.message_bytes.saturating_add(5),
            None => ANONYMOUS_BYTES,
        };
        let (head, body) = request.into_parts();
        let collected = tokio::time::timeout(BODY_TIMEOUT, Limited::new(body, limit).collect());
        match collected.await {
            Ok(Ok(body)) => {
                let body = Body::new(Full::new(body.to_bytes()));
                Ok(Request::from_parts(head, body))
            }
            Ok(Err(error)) if error.is::<http_body_util::LengthLimitError>() => {
                Err(Error::MessageTooLarge { limit })
            }
            Ok(Err(_)) | Err(_) => Err(Error::field("message", "a whole message, soon")),
        }
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
