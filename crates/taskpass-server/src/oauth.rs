//! The OAuth front: the same broker for clients that speak OAuth 2.0 and no gRPC.
//!
//! | path | who | what | standard |
//! |---|---|---|---|
//! | `POST /oauth2/token` | agents | a task with one token, or another token of the same task | RFC 6749 §4.4, 8693, 8707, 9396 |
//! | `POST /oauth2/introspect` | verifiers | whether a token is valid now | RFC 7662 |
//! | `POST /oauth2/revoke` | agents | gives up a token of its own | RFC 7009 |
//!
//! It has a listener of its own, over TLS with optional client certificates. Clients authenticate by
//! their identity certificate (RFC 8705 §2.1), agents also by an assertion under a registered key
//! (RFC 7523). Every request is judged anew, as gRPC's are, and nothing here decides: each handler
//! parses, calls the function of the broker that gRPC calls, and says the answer in JSON. Who did
//! not authenticate learns nothing but that.

mod client;
mod counts;
mod credentials;
mod details;
mod exchange;
mod form;
mod introspect;
pub(crate) mod metadata;
mod refusal;
mod revoke;
mod token;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, post};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use taskpass_broker::{Broker, Error};
use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;

use crate::callers::Callers;
use crate::tls::Peer;
use client::Client;
pub(crate) use counts::{Counts, OUTCOMES};
use form::Form;
use refusal::{Code, Refusal};

/// The largest request: a token, an assertion, and what is asked for.
const MAX_BODY: usize = 32 * 1024;
/// How long a request's body may take.
const BODY_TIMEOUT: Duration = Duration::from_secs(5);

/// The three endpoints.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Endpoint {
    Token,
    Introspect,
    Revoke,
}

impl Endpoint {
    pub(crate) const ALL: [Self; 3] = [Self::Token, Self::Introspect, Self::Revoke];

    pub(crate) const fn path(self) -> &'static str {
        match self {
            Self::Token => "/oauth2/token",
            Self::Introspect => "/oauth2/introspect",
            Self::Revoke => "/oauth2/revoke",
        }
    }

    /// Its name in metrics.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Token => "token",
            Self::Introspect => "introspect",
            Self::Revoke => "revoke",
        }
    }
}

/// What all connections share.
pub(crate) struct Shared {
    pub(crate) broker: Arc<Broker>,
    /// What each caller takes, over gRPC included.
    pub(crate) callers: Arc<Callers>,
    /// Requests at one time of callers with a certificate, gRPC's included.
    pub(crate) room: Arc<Semaphore>,
    /// Requests at one time of callers without one.
    pub(crate) anonymous_room: Arc<Semaphore>,
    /// Requests that run: stopping waits for them.
    pub(crate) tracker: TaskTracker,
    pub(crate) counts: Arc<Counts>,
}

/// One connection.
#[derive(Clone)]
pub(crate) struct Front {
    pub(crate) shared: Arc<Shared>,
    pub(crate) peer: Peer,
}

/// The routes; each connection adds what its peer proved.
pub(crate) fn router() -> Router<Front> {
    let mut router = Router::new();
    for endpoint in Endpoint::ALL {
        router = router.route(endpoint.path(), route(endpoint));
    }
    router.fallback(|| async { (StatusCode::NOT_FOUND, "there is nothing here\n") })
}

fn route(endpoint: Endpoint) -> MethodRouter<Front> {
    post(
        move |State(front): State<Front>, request: Request| async move {
            let counts = Arc::clone(&front.shared.counts);
            let mut response = match answer(front, endpoint, request).await {
                Ok(response) => response,
                Err(refusal) => refusal.into_response(),
            };
            counts.count(endpoint, response.status());
            let headers = response.headers_mut();
            headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
            headers.insert(header::PRAGMA, HeaderValue::from_static("no-cache"));
            response
        },
    )
}

async fn answer(front: Front, endpoint: Endpoint, request: Request) -> Result<Response, Refusal> {
    let (head, body) = request.into_parts();
    if head.uri.query().is_some() {
        let message = "parameters belong into the body; the URL has none";
        return Err(Refusal::new(Code::InvalidRequest, message));
    }
    if !is_form(&head.headers) {
        let message = "send `Content-Type: application/x-www-form-urlencoded`";
        return Err(Refusal::new(Code::InvalidRequest, message));
    }
    let form = Form::read(&whole(body).await?)?;
    let room = match &front.peer {
        Peer::Caller(_) => &front.shared.room,
        Peer::Nobody | Peer::Certificate(_) => &front.shared.anonymous_room,
    };
    let permit = Arc::clone(room)
        .try_acquire_owned()
        .map_err(|_| Refusal::from(Error::QueueFull))?;
    // In a task of its own: what has begun to change something ends, whether or not somebody still
    // waits for the answer.
    let tracker = front.shared.tracker.clone();
    let running = tracker.spawn(async move {
        let _permit = permit;
        run(&front, endpoint, &head.headers, &form).await
    });
    running
        .await
        .map_err(|error| Refusal::from(Error::internal(error)))?
}

async fn run(
    front: &Front,
    endpoint: Endpoint,
    headers: &HeaderMap,
    form: &Form,
) -> Result<Response, Refusal> {
    let client = Client::authenticate(front, endpoint, headers, form).await?;
    let broker = &front.shared.broker;
    let caller = client.standing.caller.principal();
    // The room of all was taken when the request came; this is its caller's share.
    let entered = front.shared.callers.enter(&caller, false);
    let _place = entered.inspect_err(|error| {
        broker.count_limit(&caller, error);
    })?;
    match endpoint {
        Endpoint::Token => token::run(broker, &client, form).await,
        Endpoint::Introspect => introspect::run(broker, &client, form).await,
        Endpoint::Revoke => revoke::run(broker, &client, form).await,
    }
}

async fn whole(body: Body) -> Result<bytes::Bytes, Refusal> {
    let collected = axum::body::to_bytes(body, MAX_BODY);
    match tokio::time::timeout(BODY_TIMEOUT, collected).await {
        Ok(Ok(bytes)) => Ok(bytes),
        Ok(Err(_)) | Err(_) => Err(Refusal::new(
            Code::InvalidRequest,
            "send a whole request of at most 32 KiB within five seconds",
        )),
    }
}

fn is_form(headers: &HeaderMap) -> bool {
    let mut types = headers.get_all(header::CONTENT_TYPE).iter();
    let (Some(only), None) = (types.next(), types.next()) else {
        return false;
    };
    let media = only.to_str().unwrap_or_default().split(';').next();
    media.is_some_and(|media| {
        media
            .trim()
            .eq_ignore_ascii_case("application/x-www-form-urlencoded")
    })
}
