//! The metadata document: exactly what is served, and nothing that is not.

use serde_json::{Value, json};
use taskpass_broker::Broker;
use taskpass_token::claims::TASK_DETAILS_TYPE;

use super::Endpoint;
use super::token::{CLIENT_CREDENTIALS, TOKEN_EXCHANGE};

/// The document for both well-known places: their values must agree. `oauth` is where the OAuth front
/// is found, if there is one.
pub(crate) fn document(broker: &Broker, oauth: Option<&str>) -> String {
    let issuer = &broker.birth().public_url;
    let mut document = json!({
        "issuer": issuer,
        "jwks_uri": format!("{issuer}/.well-known/jwks.json"),
        // There is no authorization endpoint; both specifications demand the members.
        "response_types_supported": ["id_token"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["ES256", "EdDSA"],
        "grant_types_supported": [],
        "token_endpoint_auth_methods_supported": [],
        "tls_client_certificate_bound_access_tokens": true,
        "authorization_details_types_supported": [TASK_DETAILS_TYPE],
        "status_list_aggregation_endpoint": broker.issuer().status_aggregation(),
    });
    if let (Some(oauth), Value::Object(members)) = (oauth, &mut document) {
        members.extend(served(oauth));
    }
    document.to_string()
}

/// What the OAuth front adds.
fn served(oauth: &str) -> serde_json::Map<String, Value> {
    let at = |endpoint: Endpoint| format!("{oauth}{}", endpoint.path());
    let endpoints = json!({
        "token_endpoint": at(Endpoint::Token),
        "introspection_endpoint": at(Endpoint::Introspect),
        "revocation_endpoint": at(Endpoint::Revoke),
    });
    let agents = json!(["tls_client_auth", "private_key_jwt"]);
    let algorithms = json!(["ES256", "EdDSA"]);
    let more = json!({
        "grant_types_supported": [CLIENT_CREDENTIALS, TOKEN_EXCHANGE],
        "token_endpoint_auth_methods_supported": agents,
        "token_endpoint_auth_signing_alg_values_supported": algorithms,
        "introspection_endpoint_auth_methods_supported": ["tls_client_auth"],
        "revocation_endpoint_auth_methods_supported": agents,
        "revocation_endpoint_auth_signing_alg_values_supported": algorithms,
        // The same endpoints take certificates (RFC 8705 §5).
        "mtls_endpoint_aliases": endpoints,
    });
    let both = [more, endpoints].into_iter();
    both.filter_map(|members| match members {
        Value::Object(members) => Some(members),
        _ => None,
    })
    .flatten()
    .collect()
}
