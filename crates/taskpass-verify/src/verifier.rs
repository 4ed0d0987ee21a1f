//! The checks: a token, a certificate, both together, and either again later.
//!
//! Order: form and signature, then time and place, then the binding, then the revocations. A token
//! that is bound cannot be accepted without its certificate: [`Verifier::verify_token`] refuses it,
//! and [`Verifier::verify_token_with`] takes only a certificate that was itself verified. Each check
//! is made against the keys, anchors, rules and time of that moment, and nothing is remembered from
//! one to the next: whoever asks again for each request follows every change.

#[cfg(feature = "status")]
mod by_lists;

use std::collections::BTreeSet;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use taskpass_core::key::KeyId;
use taskpass_core::revocation::{Facts, MAX_JWKS_AGE};
use taskpass_core::spiffe::TrustDomain;
use taskpass_core::time::Clock;
use taskpass_core::{CredentialId, TargetUri, ttl};
use taskpass_token::check::{Checked, Expect, check};
use taskpass_token::{JwkSet, TokenError};

use crate::certificate::{Anchors, AnchorsError, CertificateError, Extended, VerifiedCertificate};
use crate::metrics::{Counters, Metrics, Now};
use crate::refusal::Refusal;
use crate::settings::{Settings, SettingsError, Staleness};
use crate::state::{Shared, View};
use crate::token::VerifiedToken;

/// Checks credentials. Cloning it shares everything: keys, anchors, rules and numbers.
#[derive(Debug, Clone)]
pub struct Verifier {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    issuer: String,
    trust_domain: TrustDomain,
    audiences: BTreeSet<TargetUri>,
    staleness: Staleness,
    clock: Arc<dyn Clock>,
    keys: RwLock<Arc<Held>>,
    anchors: RwLock<Arc<Anchors>>,
    revocations: Revocations,
    shared: Shared,
    counters: Counters,
}

/// Where the verifier knows the revocations from.
#[derive(Debug)]
enum Revocations {
    /// The rules that a feed brings.
    Feed,
    /// Published lists.
    #[cfg(feature = "status")]
    Lists(Box<by_lists::ByLists>),
}

/// The keys, and when they were asked for by the monotonic clock.
#[derive(Debug)]
struct Held {
    set: JwkSet,
    fetched_at: Duration,
}

impl Verifier {
    /// A verifier that refuses everything until a [`Feed`](crate::Feed) has told it the rules.
    pub fn new(settings: Settings, clock: Arc<dyn Clock>) -> Result<Self, SettingsError> {
        Self::with(settings, Revocations::Feed, clock)
    }

    fn with(
        settings: Settings,
        revocations: Revocations,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, SettingsError> {
        settings.check()?;
        let anchors =
            Anchors::from_pem(&settings.task_anchors_pem).map_err(SettingsError::Anchors)?;
        let keys = Held {
            set: settings.jwks,
            fetched_at: clock.monotonic(),
        };
        let inner = Inner {
            issuer: settings.issuer,
            trust_domain: settings.trust_domain,
            audiences: settings.audiences,
            staleness: settings.staleness,
            clock,
            keys: RwLock::new(Arc::new(keys)),
            anchors: RwLock::new(Arc::new(anchors)),
            revocations,
            shared: Shared::new(),
            counters: Counters::default(),
        };
        Ok(Self {
            inner: Arc::new(inner),
        })
    }

    /// `iss` of the tokens that it takes.
    pub fn issuer(&self) -> &str {
        &self.inner.issuer
    }

    /// Takes keys that were fetched just now. Call at least every five minutes, or let
    /// [`Keys`](crate::Keys) do it; a day after the last call every token is refused, because the
    /// broker forgets by then which keys it distrusts.
    pub fn replace_jwks(&self, jwks: JwkSet) {
        self.take_jwks(jwks, self.inner.clock.monotonic());
    }

    /// Takes keys that were asked for at `fetched_at`; an answer that was overtaken by a later one
    /// changes nothing.
    pub(crate) fn take_jwks(&self, set: JwkSet, fetched_at: Duration) {
        let mut held = self
            .inner
            .keys
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        if held.fetched_at <= fetched_at {
            *held = Arc::new(Held { set, fetched_at });
        }
    }

    /// Whether this key is one of those that may sign tokens.
    pub fn knows_key(&self, key: &KeyId) -> bool {
        self.keys().is_ok_and(|keys| keys.set.get(key).is_some())
    }

    pub(crate) fn has_keys(&self) -> bool {
        let held = self
            .inner
            .keys
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        !held.set.is_empty()
    }

    /// How long ago the keys were fetched.
    pub fn jwks_age(&self) -> Duration {
        let held = self
            .inner
            .keys
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        self.inner.clock.monotonic().saturating_sub(held.fetched_at)
    }

    /// Takes new anchors; the old ones are trusted no more.
    pub fn replace_anchors(&self, pem: &str) -> Result<(), AnchorsError> {
        replace(&self.inner.anchors, Anchors::from_pem(pem)?);
        Ok(())
    }

    /// Takes issuing authorities that were published later: those that the roots which are trusted
    /// already vouch for, and no root that is not. See [`Anchors`](crate::anchors::Anchors), which
    /// fetches them.
    pub fn extend_anchors(&self, pem: &str) -> Result<Extended, AnchorsError> {
        let now = self.inner.clock.now();
        let mut slot = self
            .inner
            .anchors
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        let (anchors, extended) = slot.extended_by(pem, now)?;
        *slot = Arc::new(anchors);
        Ok(extended)
    }

    /// Checks a token that is bound to no certificate; one that is bound is refused.
    pub fn verify_token(
        &self,
        token: &str,
        audience: &TargetUri,
    ) -> Result<VerifiedToken, Refusal> {
        self.check(token.into())?.for_target(audience)?.unbound()
    }

    /// Checks a token that came over a connection whose peer proved `certificate`. If the token is
    /// bound, it must be to that one; the certificate must still be good in any case.
    pub fn verify_token_with(
        &self,
        token: &str,
        audience: &TargetUri,
        certificate: &VerifiedCertificate,
    ) -> Result<VerifiedToken, Refusal> {
        self.check(token.into())?
            .for_target(audience)?
            .presented_with(certificate)
    }

    /// Checks a certificate in DER with what its holder sent along. That the holder has the key is
    /// for the TLS handshake to show.
    pub fn verify_certificate(
        &self,
        leaf: &[u8],
        intermediates: &[&[u8]],
    ) -> Result<VerifiedCertificate, Refusal> {
        let outcome = self.certificate(leaf, intermediates);
        self.inner.counters.note(outcome)
    }

    /// Whether a token that was good is good still: not expired, not revoked since.
    pub fn recheck_token(&self, token: &VerifiedToken) -> Result<(), Refusal> {
        let outcome = self.token_still_good(token.checked());
        self.inner.counters.note(outcome.map(|view| ((), view)))
    }

    /// Whether a certificate that was good is good still: not expired, not revoked since.
    pub fn recheck_certificate(&self, certificate: &VerifiedCertificate) -> Result<(), Refusal> {
        let outcome = self.certificate_still_good(certificate);
        self.inner.counters.note(outcome.map(|view| ((), view)))
    }

    /// Waits until a complete set of rules is known.
    pub async fn wait_until_ready(&self) {
        // The sender lives as long as `self`.
        let mut progress = self.inner.shared.progress();
        let _ = progress.wait_for(|progress| progress.ready).await;
    }

    /// Waits until the rules up to `seq` are in force here: after revoking, with the answer's `seq`;
    /// with a token's `revocation_seq`, to see at least what its issuer saw.
    pub async fn wait_for_seq(&self, seq: u64) {
        let mut progress = self.inner.shared.progress();
        let _ = progress
            .wait_for(|progress| progress.ready && progress.seq >= seq)
            .await;
    }

    /// The numbers at this instant.
    pub fn metrics(&self) -> Metrics {
        let inner = &*self.inner;
        let (staleness, rules) = inner.shared.size(inner.clock.monotonic());
        let progress = *inner.shared.progress().borrow();
        let keys = inner.keys.read().unwrap_or_else(PoisonError::into_inner);
        let jwks_age = inner.clock.monotonic().saturating_sub(keys.fetched_at);
        inner.counters.read(&Now {
            ready: progress.ready,
            staleness,
            bound: match inner.staleness {
                Staleness::Strict(bound) => Some(bound),
                Staleness::BestEffort => None,
            },
            rules,
            seq: progress.seq,
            keys: keys.set.len(),
            jwks_age,
            lists: self.lists_held(),
        })
    }

    pub(crate) fn shared(&self) -> &Shared {
        &self.inner.shared
    }

    pub(crate) fn counters(&self) -> &Counters {
        &self.inner.counters
    }

    pub(crate) fn clock(&self) -> &dyn Clock {
        &*self.inner.clock
    }

    pub(crate) fn signed(&self, token: &str) -> Result<Checked, Refusal> {
        let keys = self.keys()?;
        let expect = Expect {
            issuer: &self.inner.issuer,
            trust_domain: &self.inner.trust_domain,
            // The next step's question, and no token is good for anything before it is answered.
            audience: None,
            now: self.inner.clock.now(),
            leeway: ttl::CLOCK_SKEW,
        };
        check(token, &keys.set, &expect).map_err(Refusal::Token)
    }

    /// Whether a certificate that was good can be looked at again without verifying it anew.
    #[cfg(feature = "tower")]
    pub(crate) fn rechecks_certificates(&self) -> bool {
        matches!(self.inner.revocations, Revocations::Feed)
    }

    pub(crate) fn audiences(&self) -> impl Iterator<Item = &TargetUri> {
        self.inner.audiences.iter()
    }

    pub(crate) fn speaks_for(&self, target: &TargetUri) -> bool {
        self.inner.audiences.contains(target)
    }

    fn token_still_good(&self, token: &Checked) -> Result<View, Refusal> {
        // Another verifier may have made it.
        if token.claims().issuer != self.inner.issuer {
            return Err(Refusal::Token(TokenError::Issuer));
        }
        if !self.speaks_for(token.target()) {
            return Err(Refusal::NotOurAudience(token.target().clone()));
        }
        if self.inner.clock.now() >= token.expires_at() {
            return Err(Refusal::Token(TokenError::Expired));
        }
        // A key that is no longer published is no longer trusted.
        if self.keys()?.set.get(token.key()).is_none() {
            return Err(Refusal::Token(TokenError::UnknownKey(token.key().clone())));
        }
        self.judge_token(token)
    }

    pub(crate) fn judge_token(&self, token: &Checked) -> Result<View, Refusal> {
        match &self.inner.revocations {
            Revocations::Feed => self.judge(&token.facts(), &[]),
            #[cfg(feature = "status")]
            Revocations::Lists(by) => self.judge_by(by, token),
        }
    }

    fn judge(&self, facts: &Facts, authorities: &[KeyId]) -> Result<View, Refusal> {
        let monotonic = self.inner.clock.monotonic();
        self.inner
            .shared
            .judge(facts, authorities, self.inner.staleness, monotonic)
    }

    fn certificate(
        &self,
        leaf: &[u8],
        intermediates: &[&[u8]],
    ) -> Result<(VerifiedCertificate, View), Refusal> {
        #[cfg(feature = "status")]
        if let Revocations::Lists(by) = &self.inner.revocations {
            return self.certificate_by(by, leaf, intermediates);
        }
        let anchors = read(&self.inner.anchors)?;
        let now = self.inner.clock.now();
        let certificate = anchors
            .verify(leaf, intermediates, &self.inner.trust_domain, now)
            .map_err(Refusal::Certificate)?;
        let view = self.judge_certificate(&certificate)?;
        Ok((certificate, view))
    }

    pub(crate) fn certificate_still_good(
        &self,
        certificate: &VerifiedCertificate,
    ) -> Result<View, Refusal> {
        self.certificate_still_holds(certificate)?;
        self.judge_certificate(certificate)
    }

    /// Whether a certificate that comes with a token is good still.
    pub(crate) fn certificate_beside_token(
        &self,
        certificate: &VerifiedCertificate,
    ) -> Result<View, Refusal> {
        #[cfg(feature = "status")]
        if let Revocations::Lists(by) = &self.inner.revocations {
            return self.certificate_beside(by, certificate);
        }
        self.certificate_still_good(certificate)
    }

    /// Whether a certificate that was good is good still, as far as that can be seen without the
    /// revocations.
    fn certificate_still_holds(&self, certificate: &VerifiedCertificate) -> Result<(), Refusal> {
        // Another verifier may have made it.
        if *certificate.trust_domain() != self.inner.trust_domain {
            return Err(Refusal::Certificate(CertificateError::TrustDomain));
        }
        if self.inner.clock.now() >= certificate.expires_at() {
            return Err(Refusal::Certificate(CertificateError::Expired));
        }
        if !read(&self.inner.anchors)?.trusts(certificate.root()) {
            return Err(Refusal::Certificate(CertificateError::Untrusted));
        }
        Ok(())
    }

    /// The rule by which a credential is refused here, whatever else is in it; none if none does.
    pub(crate) fn refuses(&self, credential: CredentialId) -> Option<u64> {
        let facts = Facts {
            credential: Some(credential),
            agent: None,
            task: None,
            ancestors: Vec::new(),
            target: None,
            key: None,
            issued_at: 0,
        };
        match self.judge(&facts, &[]) {
            Err(Refusal::Revoked { seq }) => Some(seq),
            Ok(_) | Err(_) => None,
        }
    }

    fn judge_certificate(&self, certificate: &VerifiedCertificate) -> Result<View, Refusal> {
        self.judge(&certificate.facts(), certificate.authorities())
    }

    #[cfg(not(feature = "status"))]
    #[expect(
        clippy::unused_self,
        reason = "with the feature there is something to look at"
    )]
    const fn lists_held(&self) -> usize {
        0
    }

    fn keys(&self) -> Result<Arc<Held>, Refusal> {
        let keys = read(&self.inner.keys)?;
        let age = self.inner.clock.monotonic().saturating_sub(keys.fetched_at);
        if age > MAX_JWKS_AGE {
            return Err(Refusal::KeysStale { age });
        }
        Ok(keys)
    }
}

fn read<T>(slot: &RwLock<Arc<T>>) -> Result<Arc<T>, Refusal> {
    // Nothing panics while it holds these; if something did, nothing is vouched for.
    slot.read()
        .map(|value| Arc::clone(&value))
        .map_err(|_| Refusal::NotReady)
}

fn replace<T>(slot: &RwLock<Arc<T>>, value: T) {
    *slot.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(value);
}

#[cfg(test)]
mod conformance;
#[cfg(test)]
mod tests;
