//! Status lists of tokens (draft-ietf-oauth-status-list §8, §9).
//!
//! They are for anybody, pages in a browser included: they say of places whether something was
//! revoked, and not what.

use std::sync::Arc;

use axum::extract::{Path, RawQuery, State};
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use taskpass_broker::{Broker, ListError};

use super::document::{self, Kind};

/// Far below the half minute after which a list asks to be fetched again, so that a cache on the
/// way adds little to it.
const LIST: Kind = Kind {
    content_type: "application/statuslist+jwt",
    max_age_secs: 5,
};

pub(super) async fn list(
    State(broker): State<Arc<Broker>>,
    Path(name): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    if asks_for_the_past(query.as_deref()) {
        let text = "lists of the past are not kept\n";
        return open((StatusCode::NOT_IMPLEMENTED, text).into_response());
    }
    let found = match name.parse() {
        Ok(id) => broker.status_list(id).await,
        Err(_) => Err(ListError::Unknown),
    };
    open(document::answer(&headers, LIST, found))
}

/// Where all lists are whose hour is not over.
pub(super) async fn all(State(broker): State<Arc<Broker>>, headers: HeaderMap) -> Response {
    let locations = broker.status_lists().await;
    open(document::listing(&headers, "status_lists", locations))
}

/// `?time=` (§8.4).
fn asks_for_the_past(query: Option<&str>) -> bool {
    let mut members = query.unwrap_or_default().split('&');
    members.any(|member| member == "time" || member.starts_with("time="))
}

fn open(mut response: Response) -> Response {
    response.headers_mut().insert(
        header::ACCESS_CONTROL_ALLOW_ORIGIN,
        HeaderValue::from_static("*"),
    );
    response
}
