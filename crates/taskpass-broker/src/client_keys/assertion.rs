//! Reading and judging a client assertion (RFC 7523 §3, and draft-ietf-oauth-rfc7523bis for `aud`).
//!
//! First who signed, by a key of the named agent and the algorithm that the *key* has; only then
//! what it says. `aud` is one string and exactly the issuer: an assertion that a client was led to
//! make for another server, or for another endpoint, is worth nothing here.

use std::time::Duration;

use serde::Deserialize;
use taskpass_core::registry::ClientKey;
use taskpass_core::secret::Sha256;
use taskpass_core::{AgentName, Timestamp};
use taskpass_token::Jwk;
use taskpass_token::jws::{self, Compact};
use taskpass_token::strict::{Object, present};

use crate::error::Error;

/// The longest assertion that is looked at.
const MAX_LEN: usize = 8 * 1024;
/// How far an assertion's end may lie ahead.
pub(super) const MAX_LIFE: Duration = Duration::from_mins(5);
/// How far the client's clock may be ahead of ours.
pub(super) const LEEWAY: Duration = Duration::from_secs(5);
/// The longest `jti`.
const MAX_JTI: usize = 256;

/// Whom it names, before anything is believed.
#[derive(Deserialize)]
struct Named {
    iss: String,
    sub: String,
}

#[derive(Deserialize)]
struct Payload {
    aud: String,
    exp: u64,
    iat: u64,
    jti: String,
    #[serde(default, deserialize_with = "present")]
    nbf: Option<u64>,
}

/// An assertion, its signature unchecked.
pub(super) struct Presented<'a> {
    jws: Compact<'a>,
    agent: AgentName,
}

/// What a signed assertion says, all of it good.
#[derive(Debug)]
pub(super) struct Good {
    /// SHA-256 of its `jti`.
    pub(super) jti: Sha256,
    pub(super) issued_at: Timestamp,
    pub(super) expires_at: Timestamp,
}

impl<'a> Presented<'a> {
    /// Takes it apart; nothing if it cannot be one of a client's.
    pub(super) fn read(assertion: &'a str) -> Option<Self> {
        let jws = jws::parse_within(assertion, MAX_LEN).ok()?;
        let typ = jws.header.typ.as_deref().unwrap_or("JWT");
        let is_assertion = ["JWT", "client-authentication+jwt"]
            .iter()
            .any(|known| typ.eq_ignore_ascii_case(known));
        let Object(named): Object<Named> = serde_json::from_slice(&jws.payload).ok()?;
        let agent = named.sub.parse().ok()?;
        (is_assertion && named.iss == named.sub).then_some(Self { jws, agent })
    }

    /// Whose it claims to be.
    pub(super) fn agent(&self) -> &AgentName {
        &self.agent
    }

    /// The key that signed it, of those that have not ended: the one that `kid` names, or whichever
    /// fits if it names none.
    pub(super) fn signed_by<'k>(
        &self,
        keys: &'k [ClientKey],
        now: Timestamp,
    ) -> Option<&'k ClientKey> {
        let kid = self.jws.header.kid.as_deref();
        keys.iter()
            .filter(|key| now < key.until && kid.is_none_or(|kid| kid == key.id.as_str()))
            .find(|key| {
                Jwk::from_json(key.jwk.as_bytes()).is_ok_and(|jwk| {
                    self.jws.header.alg == jwk.alg().as_str()
                        && jwk
                            .verify(self.jws.signing_input.as_bytes(), &self.jws.signature)
                            .is_ok()
                })
            })
    }

    /// What it says, if that holds here and now. To be asked only once the signature was checked:
    /// the answers tell what is wrong.
    pub(super) fn claims(&self, audience: &str, now: Timestamp) -> Result<Good, Error> {
        let Object(payload): Object<Payload> = serde_json::from_slice(&self.jws.payload)
            .map_err(|_| {
                refused(
                    "the client assertion needs `aud` (one string), `exp` and `iat` (whole seconds) \
                     and `jti`, each once",
                )
            })?;
        if payload.aud != audience {
            return Err(refused(
                "the client assertion is for another audience: `aud` is the issuer, as the metadata \
                 has it, and nothing else",
            ));
        }
        let at = |secs: u64| Timestamp::from_secs(secs.min(u64::MAX / 2_000));
        let (issued_at, expires_at) = (at(payload.iat), at(payload.exp));
        if expires_at <= now {
            return Err(refused("the client assertion has expired; make a new one"));
        }
        if expires_at > now.plus(MAX_LIFE).plus(LEEWAY) {
            return Err(refused(
                "the client assertion's `exp` is more than five minutes ahead; make it shorter",
            ));
        }
        let latest = now.plus(LEEWAY);
        if issued_at > latest || payload.nbf.is_some_and(|nbf| at(nbf) > latest) {
            return Err(refused(
                "the client assertion was made in the future; set the client's clock",
            ));
        }
        if !(1..=MAX_JTI).contains(&payload.jti.len()) {
            return Err(refused(
                "the client assertion's `jti` has 1 to 256 bytes, never the same twice",
            ));
        }
        Ok(Good {
            jti: Sha256::of(payload.jti.as_bytes()),
            issued_at,
            expires_at,
        })
    }
}

impl Good {
    /// By how much it was made after `now`.
    pub(super) fn ahead_of(&self, now: Timestamp) -> Option<Duration> {
        let ahead = self.issued_at.since(now);
        (!ahead.is_zero()).then_some(ahead)
    }
}

pub(super) const fn refused(message: &'static str) -> Error {
    Error::Unauthenticated { message }
}

#[cfg(test)]
mod tests;
