//! Keys that are registered for an agent: few, sound, each with an end.

use std::collections::BTreeSet;

use taskpass_core::Timestamp;
use taskpass_core::registry::ClientKey;
use taskpass_token::Jwk;

use super::MAX_VALIDITY;
use crate::error::Error;

/// The most keys of one agent: one in use, one to come, and some for several installations.
const MAX_KEYS: usize = 8;

/// The keys with the instants at which they were registered, which no request can choose. Keys that
/// were there and have ended are dropped.
pub(super) fn dated(keys: Vec<ClientKey>, present: &[ClientKey], now: Timestamp) -> Vec<ClientKey> {
    keys.into_iter()
        .filter_map(|key| {
            let known = present.iter().find(|other| other.id == key.id);
            if known.is_some() && key.until <= now {
                return None;
            }
            let added_at = known.map_or(now, |known| known.added_at);
            Some(ClientKey { added_at, ..key })
        })
        .collect()
}

/// Whether these may be an agent's keys.
pub(super) fn check(keys: &[ClientKey], now: Timestamp) -> Result<(), Error> {
    let wrong = |expected: &str| Err(Error::field("client_keys", expected));
    if keys.len() > MAX_KEYS {
        return wrong("at most 8 keys; remove one first");
    }
    if keys
        .iter()
        .map(|key| &key.id)
        .collect::<BTreeSet<_>>()
        .len()
        != keys.len()
    {
        return wrong("each key once");
    }
    for key in keys {
        if !Jwk::from_json(key.jwk.as_bytes()).is_ok_and(|jwk| *jwk.id() == key.id) {
            return wrong("public JWKs, EC P-256 or OKP Ed25519");
        }
        if key.until <= now || key.until > now.plus(MAX_VALIDITY) {
            return wrong("each with an end in the next 400 days");
        }
    }
    Ok(())
}
