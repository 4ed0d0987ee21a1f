//! The public HTTP front: what verifiers need, and nothing that needs a caller.
//!
//! | path | what | standard |
//! |---|---|---|
//! | `/.well-known/jwks.json` | the keys that sign tokens | RFC 7517 §8.5.2 |
//! | `/.well-known/openid-configuration` | discovery, for JOSE libraries | OpenID Connect Discovery 1.0 |
//! | `/.well-known/oauth-authorization-server` | the same facts | RFC 8414 |
//! | `/ca.pem` | the anchors of task certificates: root and issuing authorities | |
//! | `/crl/{issuer}/{hour}.crl` | revoked certificates that end in this hour | RFC 5280 §5 |
//! | `/crl/root.crl` | the root's own list | RFC 5280 §5 |

use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use taskpass_broker::{Broker, CrlError};
use taskpass_core::key::JWKS_MAX_AGE;
use taskpass_core::secret::Sha256;
use taskpass_issuer::{AuthorityId, Hierarchy};

/// How long a CRL may be cached: a revocation shows within it.
const CRL_MAX_AGE_SECS: u64 = 1;

/// The routes.
pub(crate) fn router(broker: Arc<Broker>) -> Router {
    Router::new()
        .route("/.well-known/jwks.json", get(jwks))
        .route("/.well-known/openid-configuration", get(metadata))
        .route("/.well-known/oauth-authorization-server", get(metadata))
        .route("/ca.pem", get(anchors))
        .route("/crl/root.crl", get(root_crl))
        .route("/crl/{issuer}/{file}", get(crl))
        .fallback(|| async { (StatusCode::NOT_FOUND, "there is nothing here\n") })
        .with_state(broker)
}

async fn jwks(State(broker): State<Arc<Broker>>, headers: HeaderMap) -> Response {
    let body = broker.issuer().jwks(broker.now()).to_json();
    cached(&headers, "application/jwk-set+json", body)
}

async fn anchors(State(broker): State<Arc<Broker>>, headers: HeaderMap) -> Response {
    let body = broker.issuer().anchors(Hierarchy::Task, broker.now());
    cached(&headers, "application/pem-certificate-chain", body)
}

/// One document for both well-known places: their values must agree.
async fn metadata(State(broker): State<Arc<Broker>>, headers: HeaderMap) -> Response {
    let issuer = &broker.birth().public_url;
    let document = serde_json::json!({
        "issuer": issuer,
        "jwks_uri": format!("{issuer}/.well-known/jwks.json"),
        // There is no authorization endpoint; both specifications demand the members.
        "response_types_supported": ["id_token"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["ES256", "EdDSA"],
        "grant_types_supported": [],
        "token_endpoint_auth_methods_supported": [],
        "tls_client_certificate_bound_access_tokens": true,
        "authorization_details_types_supported": ["urn:taskpass:task"],
    });
    cached(&headers, "application/json", document.to_string())
}

async fn root_crl(State(broker): State<Arc<Broker>>) -> Response {
    match broker.issuer().root_crl(Hierarchy::Task, broker.now()) {
        Ok(der) => crl_response(der, JWKS_MAX_AGE.as_secs()),
        Err(error) => {
            tracing::error!(%error, "the root's list could not be made");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

async fn crl(
    State(broker): State<Arc<Broker>>,
    Path((issuer, file)): Path<(String, String)>,
) -> Response {
    let bucket = file
        .strip_suffix(".crl")
        .and_then(|bucket| bucket.parse().ok());
    let (Ok(authority), Some(bucket)) = (issuer.parse::<AuthorityId>(), bucket) else {
        return (
            StatusCode::NOT_FOUND,
            "a list is named /crl/{issuer}/{hour}.crl\n",
        )
            .into_response();
    };
    // Signing takes tens of microseconds, but a large hour is worth leaving the runtime for.
    let listed = tokio::task::spawn_blocking(move || broker.crl(&authority, bucket)).await;
    match listed {
        Ok(Ok(der)) => crl_response(der, CRL_MAX_AGE_SECS),
        Ok(Err(error @ (CrlError::UnknownAuthority | CrlError::UnknownBucket))) => {
            (StatusCode::NOT_FOUND, format!("{error}\n")).into_response()
        }
        Ok(Err(error @ CrlError::NotReady)) => {
            let retry = [(header::RETRY_AFTER, "1")];
            (StatusCode::SERVICE_UNAVAILABLE, retry, format!("{error}\n")).into_response()
        }
        Ok(Err(CrlError::Sign(error))) => {
            tracing::error!(%error, "a list could not be signed");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
        Err(error) => {
            tracing::error!(%error, "making a list was cut off");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

fn crl_response(der: Vec<u8>, max_age: u64) -> Response {
    let headers = [
        (header::CONTENT_TYPE, "application/pkix-crl".to_owned()),
        (header::CACHE_CONTROL, format!("public, max-age={max_age}")),
    ];
    (headers, der).into_response()
}

/// A document with a strong `ETag`; unchanged, it is answered with 304.
fn cached(request: &HeaderMap, content_type: &'static str, body: String) -> Response {
    let etag = format!("\"{}\"", Sha256::of(body.as_bytes()));
    let seen = request
        .get_all(header::IF_NONE_MATCH)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|value| matches!(value.trim(), "*") || value.trim().trim_start_matches("W/") == etag);
    let cache = format!("public, max-age={}", JWKS_MAX_AGE.as_secs());
    let mut response = if seen {
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
