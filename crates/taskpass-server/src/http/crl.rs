//! Lists of revoked certificates.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, StatusCode};
use taskpass_broker::Broker;
use taskpass_core::key::JWKS_MAX_AGE;
use taskpass_core::listing::ListId;
use taskpass_issuer::AuthorityId;

use super::document::{self, Kind};

/// A revocation shows within a second here, and within a second in a cache.
const LIST: Kind = Kind {
    content_type: "application/pkix-crl",
    max_age_secs: 1,
};

/// It changes with the keys alone.
const ROOT: Kind = Kind {
    content_type: "application/pkix-crl",
    max_age_secs: JWKS_MAX_AGE.as_secs(),
};

pub(super) async fn root(State(broker): State<Arc<Broker>>, headers: HeaderMap) -> Response {
    document::answer(&headers, ROOT, broker.root_crl().await)
}

pub(super) async fn list(
    State(broker): State<Arc<Broker>>,
    Path((issuer, file)): Path<(String, String)>,
    headers: HeaderMap,
) -> Response {
    let id = file.strip_suffix(".crl").and_then(list_id);
    let (Ok(authority), Some(id)) = (issuer.parse::<AuthorityId>(), id) else {
        return (
            StatusCode::NOT_FOUND,
            "a list is named /crl/{issuer}/{hour}.crl\n",
        )
            .into_response();
    };
    document::answer(&headers, LIST, broker.crl(&authority, id).await)
}

/// Where all lists are: for whoever fetches them ahead.
pub(super) async fn all(State(broker): State<Arc<Broker>>, headers: HeaderMap) -> Response {
    document::listing(&headers, "crls", broker.crls().await)
}

/// The hour's first list is named by the hour alone, any other `{hour}-{list}`; one name a list.
fn list_id(name: &str) -> Option<ListId> {
    if name.contains('-') {
        return name.parse().ok().filter(|id: &ListId| id.list > 0);
    }
    let hour = name.parse().ok()?;
    let id = ListId { hour, list: 0 };
    (hour.to_string() == name).then_some(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_has_one_name() {
        let id = |hour, list| Some(ListId { hour, list });
        for (name, expected) in [
            ("472222", id(472_222, 0)),
            ("472222-1", id(472_222, 1)),
            ("472222-0", None),
            ("0472222", None),
            ("+5", None),
            ("", None),
            ("-1", None),
        ] {
            assert_eq!(list_id(name), expected, "{name}");
        }
    }
}
