//! From a text to claims that can be relied on: the one check of a token.
//!
//! The order matters. First who signed: form, type, key, the algorithm that the *key* has, the
//! signature. Only then is the payload read at all. Then whether it holds here and now: issuer,
//! audience, subject, times, and that the id carries the same end as `exp`. Whether a rule revoked
//! it is the caller's next question, to be asked with [`Checked::facts`]; so is the certificate
//! that [`Checked::bound_to`] names.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use taskpass_core::id::{CredentialId, TaskId};
use taskpass_core::key::KeyId;
use taskpass_core::name::AgentName;
use taskpass_core::revocation::Facts;
use taskpass_core::scope::{ScopeName, TargetUri};
use taskpass_core::secret::Sha256;
use taskpass_core::spiffe::{Subject, TrustDomain};
use taskpass_core::time::Timestamp;
use taskpass_core::ttl::MAX_TOKEN_TTL;

use crate::claims::{Claims, ClaimsError, StatusRef};
use crate::jwk::{Jwk, JwkSet};
use crate::jws::{self, JwsError, TOKEN_TYPE};

/// Where the keys that may sign tokens are. It must hold no key of another purpose.
pub trait KeyRing {
    /// The key of that id, if it is trusted.
    fn key(&self, id: &KeyId) -> Option<&Jwk>;
}

impl KeyRing for JwkSet {
    fn key(&self, id: &KeyId) -> Option<&Jwk> {
        self.get(id)
    }
}

impl KeyRing for BTreeMap<KeyId, Jwk> {
    fn key(&self, id: &KeyId) -> Option<&Jwk> {
        self.get(id)
    }
}

impl<S: std::hash::BuildHasher> KeyRing for HashMap<KeyId, Jwk, S> {
    fn key(&self, id: &KeyId) -> Option<&Jwk> {
        self.get(id)
    }
}

/// What a token must say to be accepted here.
#[derive(Debug, Clone, Copy)]
pub struct Expect<'a> {
    /// `iss`, byte for byte.
    pub issuer: &'a str,
    /// The trust domain of `sub`.
    pub trust_domain: &'a TrustDomain,
    /// `aud`, byte for byte; `None` only for the broker itself, which is asked about any token.
    pub audience: Option<&'a TargetUri>,
    /// The instant of the check.
    pub now: Timestamp,
    /// How far the issuer's clock may be ahead. It never prolongs a token.
    pub leeway: Duration,
}

/// Why a token was refused.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// Not a compact JWS of the strict form.
    #[error("not a token")]
    Malformed(#[source] JwsError),
    /// `typ` is not `at+jwt`.
    #[error("the token's type is not {TOKEN_TYPE}")]
    Type,
    /// It names no key, or its `kid` cannot be one of ours.
    #[error("the token names no key")]
    NoKey,
    /// It names a key that is not trusted.
    #[error("the token names the key {0}, which is not trusted")]
    UnknownKey(KeyId),
    /// It claims another algorithm than its key's.
    #[error("the token's algorithm is not that of its key")]
    Algorithm,
    /// The signature does not fit.
    #[error("the token's signature is wrong")]
    Signature,
    /// The signed payload does not hold a token's claims.
    #[error("the token's claims cannot be used")]
    Claims(#[source] ClaimsError),
    /// `iss` is another one.
    #[error("the token is from another issuer")]
    Issuer,
    /// `aud` is another one.
    #[error("the token is for {0}")]
    Audience(TargetUri),
    /// `sub` is no agent of the trust domain, or not the one that `client_id` names.
    #[error("the token's subject is no agent of this trust domain")]
    Subject,
    /// `jti` does not carry the end that `exp` states.
    #[error("the token's id and its end contradict each other")]
    Id,
    /// It lives longer than any token may, or ends before it begins.
    #[error("the token's lifetime is not one that a token can have")]
    Lifetime,
    /// `iat` lies in the future.
    #[error("the token was issued in the future")]
    IssuedInFuture,
    /// `nbf` lies in the future.
    #[error("the token is not valid yet")]
    NotYetValid,
    /// Its time is over.
    #[error("the token has expired")]
    Expired,
}

/// The claims of a token that passed every check. There is no other way to make one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checked {
    claims: Claims,
    status: Option<StatusRef>,
    agent: AgentName,
    key: KeyId,
}

/// Checks a token.
pub fn check(token: &str, keys: &impl KeyRing, expect: &Expect<'_>) -> Result<Checked, TokenError> {
    let jws = jws::parse(token).map_err(TokenError::Malformed)?;
    if jws.header.typ.as_deref() != Some(TOKEN_TYPE) {
        return Err(TokenError::Type);
    }
    let kid = jws.header.kid.as_deref();
    let id = kid.and_then(KeyId::parse).ok_or(TokenError::NoKey)?;
    let Some(key) = keys.key(&id) else {
        return Err(TokenError::UnknownKey(id));
    };
    if jws.header.alg != key.alg().as_str() {
        return Err(TokenError::Algorithm);
    }
    key.verify(jws.signing_input.as_bytes(), &jws.signature)
        .map_err(|_| TokenError::Signature)?;
    let (claims, status) = Claims::from_json_listed(&jws.payload).map_err(TokenError::Claims)?;
    let agent = holds_here(&claims, expect)?;
    holds_now(&claims, expect)?;
    Ok(Checked {
        claims,
        status,
        agent,
        key: id,
    })
}

fn holds_here(claims: &Claims, expect: &Expect<'_>) -> Result<AgentName, TokenError> {
    if claims.issuer != expect.issuer {
        return Err(TokenError::Issuer);
    }
    if expect.audience.is_some_and(|aud| *aud != claims.audience) {
        return Err(TokenError::Audience(claims.audience.clone()));
    }
    match &claims.subject.subject {
        Subject::Agent(name)
            if claims.subject.trust_domain == *expect.trust_domain && *name == claims.client_id =>
        {
            Ok(name.clone())
        }
        _ => Err(TokenError::Subject),
    }
}

fn holds_now(claims: &Claims, expect: &Expect<'_>) -> Result<(), TokenError> {
    if claims.id.expires_at().secs() != claims.expires_at {
        return Err(TokenError::Id);
    }
    let longest = MAX_TOKEN_TTL.duration().as_secs();
    match claims.expires_at.checked_sub(claims.issued_at) {
        Some(1..) if claims.expires_at - claims.issued_at <= longest => {}
        _ => return Err(TokenError::Lifetime),
    }
    let latest = expect.now.plus(expect.leeway);
    if Timestamp::from_secs(claims.issued_at) > latest {
        return Err(TokenError::IssuedInFuture);
    }
    if Timestamp::from_secs(claims.not_before) > latest {
        return Err(TokenError::NotYetValid);
    }
    if expect.now >= claims.id.expires_at() {
        return Err(TokenError::Expired);
    }
    Ok(())
}

impl Checked {
    /// All claims.
    pub fn claims(&self) -> &Claims {
        &self.claims
    }

    /// `jti`.
    pub fn id(&self) -> CredentialId {
        self.claims.id
    }

    /// The agent.
    pub fn agent(&self) -> &AgentName {
        &self.agent
    }

    /// The task.
    pub fn task(&self) -> TaskId {
        self.claims.task.task
    }

    /// The audience.
    pub fn target(&self) -> &TargetUri {
        &self.claims.audience
    }

    /// The scopes.
    pub fn scopes(&self) -> &[ScopeName] {
        &self.claims.scopes
    }

    /// Whether `scope` is one of them.
    pub fn has_scope(&self, scope: &ScopeName) -> bool {
        self.claims.scopes.contains(scope)
    }

    /// When it was issued.
    pub fn issued_at(&self) -> Timestamp {
        Timestamp::from_secs(self.claims.issued_at)
    }

    /// The instant from which it is no longer valid.
    pub fn expires_at(&self) -> Timestamp {
        self.claims.id.expires_at()
    }

    /// SHA-256 of the certificate that must present it, if it is bound to one.
    pub fn bound_to(&self) -> Option<Sha256> {
        self.claims.bound_to
    }

    /// Where it is published whether it was revoked, if it says so.
    pub fn status(&self) -> Option<&StatusRef> {
        self.status.as_ref()
    }

    /// The key that signed it.
    pub fn key(&self) -> &KeyId {
        &self.key
    }

    /// What revocation rules are matched against.
    pub fn facts(&self) -> Facts {
        Facts {
            credential: Some(self.claims.id),
            agent: Some(self.agent.clone()),
            task: Some(self.claims.task.task),
            ancestors: self.claims.task.ancestors.clone(),
            target: Some(self.claims.audience.clone()),
            key: Some(self.key.clone()),
            issued_at: self.claims.issued_at,
        }
    }
}

#[cfg(test)]
mod tests;
