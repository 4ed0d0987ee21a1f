//! Signed lists as answers: entity tags, caching, and why there is none.

use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use std::sync::Arc;
use taskpass_broker::{Document, ListError};

use super::is_known;

/// A kind of list.
#[derive(Debug, Clone, Copy)]
pub(super) struct Kind {
    pub(super) content_type: &'static str,
    /// How long a cache may keep it.
    pub(super) max_age_secs: u64,
}

/// The list, or 304 if the caller has it, or why there is none.
pub(super) fn answer(
    request: &HeaderMap,
    kind: Kind,
    document: Result<Arc<Document>, ListError>,
) -> Response {
    let document = match document {
        Ok(document) => document,
        Err(error) => return refusal(&error),
    };
    let mut response = if is_known(request, &document.etag) {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        document.body.clone().into_response()
    };
    let cache = format!("public, max-age={}", kind.max_age_secs);
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static(kind.content_type),
    );
    for (name, value) in [
        (header::ETAG, &document.etag),
        (header::CACHE_CONTROL, &cache),
    ] {
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.insert(name, value);
        }
    }
    response
}

/// A JSON object of one member: where all lists of a kind are.
pub(super) fn listing(
    request: &HeaderMap,
    member: &str,
    locations: Result<Vec<String>, ListError>,
) -> Response {
    match locations {
        Ok(locations) => super::cached_for(
            request,
            "application/json",
            serde_json::json!({ member: locations }).to_string(),
            1,
        ),
        Err(error) => refusal(&error),
    }
}

fn refusal(error: &ListError) -> Response {
    match error {
        ListError::Unknown => (StatusCode::NOT_FOUND, format!("{error}\n")).into_response(),
        ListError::NotReady => {
            let retry = [(header::RETRY_AFTER, "1")];
            (StatusCode::SERVICE_UNAVAILABLE, retry, format!("{error}\n")).into_response()
        }
        ListError::Failed(_) => {
            tracing::error!(
                error = error as &dyn std::error::Error,
                "a list could not be made"
            );
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}
