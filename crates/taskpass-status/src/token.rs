//! The signed document (§5.1): written here, signed by whoever has the key.

use serde::Serialize;
use taskpass_core::access::TokenAlg;
use taskpass_core::key::KeyId;
use taskpass_token::jws;

use crate::lst;
use crate::packed::Packed;

/// The media type of the signed document; no token has it.
pub const STATUS_LIST_TYPE: &str = "statuslist+jwt";

/// What the document says beside the statuses.
#[derive(Debug, Clone, Copy)]
pub struct ListClaims<'a> {
    /// `sub`: where the list is published, byte for byte what tokens name.
    pub uri: &'a str,
    /// `iat`, in seconds: everything revoked until then is in it.
    pub issued_at: u64,
    /// `exp`, in seconds: from then on it says nothing.
    pub expires_at: u64,
    /// `ttl`, in seconds: after how long to fetch it again.
    pub ttl: u64,
    /// Where all lists are named.
    pub aggregation_uri: Option<&'a str>,
}

#[derive(Serialize)]
struct Payload<'a> {
    sub: &'a str,
    iat: u64,
    exp: u64,
    ttl: u64,
    status_list: Listed<'a>,
}

#[derive(Serialize)]
struct Listed<'a> {
    bits: u8,
    lst: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    aggregation_uri: Option<&'a str>,
}

/// What is to be signed with the key `kid`; [`jws::assemble`] adds the signature.
pub fn signing_input(
    claims: &ListClaims<'_>,
    packed: &Packed,
    alg: TokenAlg,
    kid: &KeyId,
) -> String {
    let payload = Payload {
        sub: claims.uri,
        iat: claims.issued_at,
        exp: claims.expires_at,
        ttl: claims.ttl,
        status_list: Listed {
            bits: packed.bits().get(),
            lst: lst::encode(packed),
            aggregation_uri: claims.aggregation_uri,
        },
    };
    let header = jws::header_json(alg, kid, STATUS_LIST_TYPE);
    // Strings and integers: there is nothing here that JSON cannot hold.
    jws::signing_input(
        &header,
        &serde_json::to_string(&payload).unwrap_or_default(),
    )
}

/// The document that names all lists (§9.2).
pub fn aggregation_json<'a>(uris: impl IntoIterator<Item = &'a str>) -> String {
    #[derive(Serialize)]
    struct All<'a> {
        status_lists: Vec<&'a str>,
    }
    let all = All {
        status_lists: uris.into_iter().collect(),
    };
    serde_json::to_string(&all).unwrap_or_default()
}
