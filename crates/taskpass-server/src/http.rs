//! The public HTTP front: what verifiers need, and nothing that needs a caller.
//!
//! | path | what | standard |
//! |---|---|---|
//! | `/.well-known/jwks.json` | the keys that sign tokens | RFC 7517 §8.5.2 |
//! | `/.well-known/openid-configuration` | discovery, for JOSE libraries | OpenID Connect Discovery 1.0 |
//! | `/.well-known/oauth-authorization-server` | the same facts | RFC 8414 |
//! | `/ca.pem` | the anchors of task certificates: root and issuing authorities | |
//! | `/crl/{issuer}/{hour}.crl` | revoked certificates that end in this hour | RFC 5280 §5 |
//! | `/crl/{issuer}/{hour}-{list}.crl` | the hour's further lists, where one does not hold all | |
//! | `/crl/root.crl` | the root's own list | RFC 5280 §5 |
//! | `/crl` | where all lists of certificates are | |
//! | `/status/{list}` | which tokens were revoked | Token Status List §8 |
//! | `/status` | where all status lists are | Token Status List §9 |
//! | `/spiffe/bundle` | who signs certificates and tokens | SPIFFE Trust Domain and Bundle §4 |
//! | `/log/checkpoint` | the newest checkpoint of the audit log | C2SP tlog-checkpoint |
//! | `/log/{YYYY-MM}/checkpoint` | that of a month's log | C2SP tlog-checkpoint |
//! | `/log/{YYYY-MM}/vkey` | the public key that its checkpoints are checked by | C2SP signed-note |
//!
//! Entries of the audit log are not here: auditors get them over gRPC.

mod crl;
mod document;
mod log;
mod status;

use std::sync::Arc;

use axum::Router;
use axum::extract::{FromRef, State};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use taskpass_broker::{AuditLog, Broker};
use taskpass_core::key::JWKS_MAX_AGE;
use taskpass_core::secret::Sha256;
use taskpass_issuer::Hierarchy;

use crate::oauth;

/// What the handlers read.
#[derive(Clone)]
struct Front {
    broker: Arc<Broker>,
    log: Arc<AuditLog>,
    oauth: OauthUrl,
}

/// Where the OAuth front is found, if there is one.
#[derive(Clone)]
pub(crate) struct OauthUrl(pub(crate) Option<Arc<str>>);

impl FromRef<Front> for OauthUrl {
    fn from_ref(front: &Front) -> Self {
        front.oauth.clone()
    }
}

impl FromRef<Front> for Arc<Broker> {
    fn from_ref(front: &Front) -> Self {
        Self::clone(&front.broker)
    }
}

impl FromRef<Front> for Arc<AuditLog> {
    fn from_ref(front: &Front) -> Self {
        Self::clone(&front.log)
    }
}

/// The routes.
pub(crate) fn router(broker: Arc<Broker>, log: Arc<AuditLog>, oauth: OauthUrl) -> Router {
    Router::new()
        .route("/.well-known/jwks.json", get(jwks))
        .route("/.well-known/openid-configuration", get(metadata))
        .route("/.well-known/oauth-authorization-server", get(metadata))
        .route("/ca.pem", get(anchors))
        .route("/crl", get(crl::all))
        .route("/crl/root.crl", get(crl::root))
        .route("/crl/{issuer}/{file}", get(crl::list))
        .route("/status", get(status::all))
        .route("/status/{list}", get(status::list))
        .route("/spiffe/bundle", get(bundle))
        .route("/log/checkpoint", get(log::newest))
        .route("/log/{log}/checkpoint", get(log::checkpoint))
        .route("/log/{log}/vkey", get(log::vkey))
        .fallback(|| async { (StatusCode::NOT_FOUND, "there is nothing here\n") })
        .with_state(Front { broker, log, oauth })
}

async fn jwks(State(broker): State<Arc<Broker>>, headers: HeaderMap) -> Response {
    let body = broker.issuer().jwks(broker.now()).to_json();
    cached(&headers, "application/jwk-set+json", body)
}

async fn anchors(State(broker): State<Arc<Broker>>, headers: HeaderMap) -> Response {
    let body = broker.issuer().anchors(Hierarchy::Task, broker.now());
    cached(&headers, "application/pem-certificate-chain", body)
}

async fn bundle(State(broker): State<Arc<Broker>>, headers: HeaderMap) -> Response {
    let body = broker.issuer().spiffe_bundle(broker.now()).to_json();
    cached(&headers, "application/json", body)
}

/// One document for both well-known places: their values must agree.
async fn metadata(
    State(broker): State<Arc<Broker>>,
    State(oauth): State<OauthUrl>,
    headers: HeaderMap,
) -> Response {
    let body = oauth::metadata::document(&broker, oauth.0.as_deref());
    cached(&headers, "application/json", body)
}

/// A document with a strong `ETag`; unchanged, it is answered with 304.
fn cached(request: &HeaderMap, content_type: &'static str, body: String) -> Response {
    cached_for(request, content_type, body, JWKS_MAX_AGE.as_secs())
}

fn cached_for(
    request: &HeaderMap,
    content_type: &'static str,
    body: String,
    max_age_secs: u64,
) -> Response {
    let etag = format!("\"{}\"", Sha256::of(body.as_bytes()));
    let cache = format!("public, max-age={max_age_secs}");
    let mut response = if is_known(request, &etag) {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        ([(header::CONTENT_TYPE, content_type)], body).into_response()
    };
    let headers = response.headers_mut();
    for (name, value) in [(header::ETAG, etag), (header::CACHE_CONTROL, cache)] {
        if let Ok(value) = HeaderValue::from_str(&value) {
            headers.insert(name, value);
        }
    }
    response
}

/// Whether the caller has what carries this entity tag.
fn is_known(request: &HeaderMap, etag: &str) -> bool {
    request
        .get_all(header::IF_NONE_MATCH)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|value| matches!(value.trim(), "*") || value.trim().trim_start_matches("W/") == etag)
}
