//! From a text to claims that can be believed.
//!
//! The order is fixed: form, algorithm, signature, and only then what it says. Every member stands
//! once, at every depth, so that no two readers of a token read two things. `aud` is exactly the one
//! that was pinned: a token that is for somebody else as well could be shown to us by them.

use std::time::Duration;

use serde::Deserialize;
use serde_json::{Map, Value};
use taskpass_core::Timestamp;

use super::alg::ForeignAlg;
use super::keys::ForeignKey;
use crate::jws::{JwsError, MAX_TOKEN_LEN, Parts};
use crate::strict::{Object, Unambiguous, present};

/// How far the issuer's clock may be ahead of ours.
pub const LEEWAY: Duration = Duration::from_secs(5);
/// The longest `sub`, and the longest `kid`: both are recorded.
const MAX_NAME: usize = 512;

/// Why a token is not believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ForeignTokenError {
    /// Not a compact JWS of bounded length, or a header with members that change its meaning.
    #[error("it is not a JWT of at most 16 KiB with a header of alg, kid, typ and x5t")]
    Form,
    /// A token of another kind, such as an access token.
    #[error("its `typ` is not JWT")]
    Kind,
    /// No key is named.
    #[error("it names no key: `kid` is required")]
    NoKey,
    /// The algorithm is not pinned, or not one of the key's.
    #[error("its algorithm is not one that is pinned for its issuer, or not its key's")]
    Algorithm,
    /// The signature is wrong.
    #[error("its signature is wrong")]
    Signature,
    /// The claims are no object of single members, or lack what is needed.
    #[error("it needs `iss`, `sub`, `aud`, `exp` and `iat`, each once and of the usual type")]
    Claims,
    /// Of another issuer.
    #[error("it is of another issuer")]
    Issuer,
    /// For somebody else, or not only for us.
    #[error("its `aud` is not the one audience that is pinned for its issuer")]
    Audience,
    /// Over.
    #[error("it has expired; present a fresh one")]
    Expired,
    /// Made in the future.
    #[error("it was made in the future; set the issuer's clock or the broker's")]
    Future,
    /// Made too long ago.
    #[error("it was made too long ago (`max_age`); present a fresh one")]
    TooOld,
}

/// What is believed of an issuer.
#[derive(Debug, Clone, Copy)]
pub struct Believes<'a> {
    /// `iss`, exactly.
    pub issuer: &'a str,
    /// `aud`, exactly.
    pub audience: &'a str,
    /// Which algorithms may sign.
    pub algorithms: &'a [ForeignAlg],
    /// How long after `iat` a token is taken.
    pub max_age: Duration,
}

/// A token taken apart; nothing of it is believed yet.
#[derive(Debug)]
pub struct ForeignToken<'a> {
    parts: Parts<'a>,
    alg: String,
    kid: String,
    claims: Map<String, Value>,
}

/// What an issuer says about a caller.
#[derive(Debug, Clone, PartialEq)]
pub struct Believed {
    /// `sub`.
    pub subject: String,
    /// The key that signed it.
    pub kid: String,
    /// `iat`, brought back by [`LEEWAY`]: at the latest then it was made, by our clock.
    pub issued_at: Timestamp,
    /// When it is taken no longer: at its `exp`, or when it is too old.
    pub expires_at: Timestamp,
    /// All of its claims.
    pub claims: Map<String, Value>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    alg: String,
    #[serde(default, deserialize_with = "present")]
    kid: Option<String>,
    #[serde(default, deserialize_with = "present")]
    typ: Option<String>,
    // Another name of the key, which some issuers give too: not looked at.
    #[serde(default, rename = "x5t", deserialize_with = "present")]
    _x5t: Option<String>,
    #[serde(default, rename = "x5t#S256", deserialize_with = "present")]
    _x5t_s256: Option<String>,
}

impl<'a> ForeignToken<'a> {
    /// Takes a token apart.
    pub fn read(text: &'a str) -> Result<Self, ForeignTokenError> {
        let form = |_: JwsError| ForeignTokenError::Form;
        let parts = Parts::split(text, MAX_TOKEN_LEN).map_err(form)?;
        let header = parts.header().map_err(form)?;
        let Object(header): Object<Header> =
            serde_json::from_slice(&header).map_err(|_| ForeignTokenError::Form)?;
        let is_jwt = header
            .typ
            .as_deref()
            .is_none_or(|typ| typ.eq_ignore_ascii_case("JWT") || typ.eq_ignore_ascii_case("JOSE"));
        if !is_jwt {
            return Err(ForeignTokenError::Kind);
        }
        let kid = header.kid.filter(|kid| is_name(kid));
        let claims = parts.payload().map_err(form)?;
        let Ok(Unambiguous(Value::Object(claims))) = serde_json::from_slice(&claims) else {
            return Err(ForeignTokenError::Claims);
        };
        Ok(Self {
            parts,
            alg: header.alg,
            kid: kid.ok_or(ForeignTokenError::NoKey)?,
            claims,
        })
    }

    /// The issuer that it claims: whose keys and whose pins to judge it by, and no more.
    pub fn claimed_issuer(&self) -> Option<&str> {
        self.claims.get("iss")?.as_str()
    }

    /// The key that it names.
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// Whether its algorithm is among the pinned ones: to be asked before its key is looked for, so
    /// that nothing is fetched for a token that no key could save.
    pub fn pinned(&self, algorithms: &[ForeignAlg]) -> Result<ForeignAlg, ForeignTokenError> {
        algorithms
            .iter()
            .copied()
            .find(|alg| alg.as_str() == self.alg)
            .ok_or(ForeignTokenError::Algorithm)
    }

    /// Believes it, if `key` signed it and all of it is as pinned.
    pub fn believe(
        self,
        key: &ForeignKey,
        believes: &Believes<'_>,
        now: Timestamp,
    ) -> Result<Believed, ForeignTokenError> {
        let alg = self.pinned(believes.algorithms)?;
        if !key.fits(alg) {
            return Err(ForeignTokenError::Algorithm);
        }
        let signature = self
            .parts
            .signature()
            .map_err(|_| ForeignTokenError::Form)?;
        key.verify(alg, self.parts.signing_input.as_bytes(), &signature)
            .map_err(|_| ForeignTokenError::Signature)?;
        if self.claimed_issuer() != Some(believes.issuer) {
            return Err(ForeignTokenError::Issuer);
        }
        if !is_for(self.claims.get("aud"), believes.audience) {
            return Err(ForeignTokenError::Audience);
        }
        let times = Times::read(&self.claims).ok_or(ForeignTokenError::Claims)?;
        let (issued_at, expires_at) = times.judge(believes.max_age, now)?;
        let subject = self.claims.get("sub").and_then(Value::as_str);
        let subject = subject.filter(|subject| is_name(subject));
        Ok(Believed {
            subject: subject.ok_or(ForeignTokenError::Claims)?.to_owned(),
            kid: self.kid,
            issued_at,
            expires_at,
            claims: self.claims,
        })
    }
}

/// Something that can be recorded and read in one line.
fn is_name(text: &str) -> bool {
    (1..=MAX_NAME).contains(&text.len()) && !text.chars().any(char::is_control)
}

/// One audience, alone or as a list of one.
fn is_for(aud: Option<&Value>, audience: &str) -> bool {
    match aud {
        Some(Value::String(one)) => one == audience,
        Some(Value::Array(list)) => {
            matches!(list.as_slice(), [Value::String(one)] if one == audience)
        }
        _ => false,
    }
}

struct Times {
    iat: Timestamp,
    exp: Timestamp,
    nbf: Option<Timestamp>,
}

impl Times {
    fn read(claims: &Map<String, Value>) -> Option<Self> {
        let at = |value: &Value| value.as_u64().map(Timestamp::from_secs);
        Some(Self {
            iat: at(claims.get("iat")?)?,
            exp: at(claims.get("exp")?)?,
            nbf: match claims.get("nbf") {
                Some(nbf) => Some(at(nbf)?),
                None => None,
            },
        })
    }

    /// From when and until when it counts.
    fn judge(
        &self,
        max_age: Duration,
        now: Timestamp,
    ) -> Result<(Timestamp, Timestamp), ForeignTokenError> {
        if self.exp <= now {
            return Err(ForeignTokenError::Expired);
        }
        let latest = now.plus(LEEWAY);
        if self.iat > latest || self.nbf.is_some_and(|nbf| nbf > latest) {
            return Err(ForeignTokenError::Future);
        }
        let too_old = self.iat.plus(max_age);
        if too_old <= now {
            return Err(ForeignTokenError::TooOld);
        }
        Ok((self.iat.minus(LEEWAY), self.exp.min(too_old)))
    }
}
