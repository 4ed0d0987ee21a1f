//! The checks: a token, a certificate, both together, and either again later.
//!
//! Order: form and signature, then place and time, then the binding, then the revocations. A token
//! that is bound cannot be accepted without its certificate: [`Verifier::verify_token`] refuses it,
//! and [`Verifier::verify_token_with`] takes only a certificate that was itself verified.

use std::collections::BTreeSet;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use taskpass_core::revocation::MAX_JWKS_AGE;
use taskpass_core::spiffe::TrustDomain;
use taskpass_core::time::Clock;
use taskpass_core::{TargetUri, ttl};
use taskpass_token::check::{Checked, Expect, check};
use taskpass_token::{JwkSet, TokenError};

use crate::certificate::{Anchors, AnchorsError, CertificateError, VerifiedCertificate};
use crate::metrics::{Counters, Metrics};
use crate::refusal::Refusal;
use crate::settings::{Settings, SettingsError, Staleness};
use crate::state::Shared;
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
    keys: RwLock<Arc<Keys>>,
    anchors: RwLock<Arc<Anchors>>,
    shared: Shared,
    counters: Counters,
}

/// The keys, and when they were fetched by the monotonic clock.
#[derive(Debug)]
struct Keys {
    set: JwkSet,
    fetched_at: Duration,
}

impl Verifier {
    /// A verifier that refuses everything until a [`Feed`](crate::Feed) has told it the rules.
    pub fn new(settings: Settings, clock: Arc<dyn Clock>) -> Result<Self, SettingsError> {
        settings.check()?;
        let anchors =
            Anchors::from_pem(&settings.task_anchors_pem).map_err(SettingsError::Anchors)?;
        let keys = Keys {
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
            shared: Shared::new(),
            counters: Counters::default(),
        };
        Ok(Self {
            inner: Arc::new(inner),
        })
    }

    /// Takes keys that were fetched just now. Call at least every five minutes; a day after the last
    /// call every token is refused, because the broker forgets by then which keys it distrusts.
    pub fn replace_jwks(&self, jwks: JwkSet) {
        let keys = Keys {
            set: jwks,
            fetched_at: self.inner.clock.monotonic(),
        };
        replace(&self.inner.keys, keys);
    }

    /// Takes new anchors; the old ones are trusted no more.
    pub fn replace_anchors(&self, pem: &str) -> Result<(), AnchorsError> {
        replace(&self.inner.anchors, Anchors::from_pem(pem)?);
        Ok(())
    }

    /// Checks a token that is bound to no certificate; one that is bound is refused.
    pub fn verify_token(
        &self,
        token: &str,
        audience: &TargetUri,
    ) -> Result<VerifiedToken, Refusal> {
        let outcome = self.token(token, audience, None);
        self.inner.counters.note(outcome)
    }

    /// Checks a token that came over a connection whose peer proved `certificate`. If the token is
    /// bound, it must be to that one; the certificate must still be good in any case.
    pub fn verify_token_with(
        &self,
        token: &str,
        audience: &TargetUri,
        certificate: &VerifiedCertificate,
    ) -> Result<VerifiedToken, Refusal> {
        let outcome = self.token(token, audience, Some(certificate));
        self.inner.counters.note(outcome)
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
        self.inner.counters.note(outcome)
    }

    /// Whether a certificate that was good is good still: not expired, not revoked since.
    pub fn recheck_certificate(&self, certificate: &VerifiedCertificate) -> Result<(), Refusal> {
        let outcome = self.certificate_still_good(certificate);
        self.inner.counters.note(outcome)
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
        let (age, rules) = self.inner.shared.size(self.inner.clock.monotonic());
        let seq = self.inner.shared.progress().borrow().seq;
        self.inner.counters.read(age, rules, seq)
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

    fn token(
        &self,
        token: &str,
        audience: &TargetUri,
        certificate: Option<&VerifiedCertificate>,
    ) -> Result<VerifiedToken, Refusal> {
        if !self.inner.audiences.contains(audience) {
            return Err(Refusal::NotOurAudience(audience.clone()));
        }
        let keys = self.keys()?;
        let expect = Expect {
            issuer: &self.inner.issuer,
            trust_domain: &self.inner.trust_domain,
            audience: Some(audience),
            now: self.inner.clock.now(),
            leeway: ttl::CLOCK_SKEW,
        };
        let checked = check(token, &keys.set, &expect).map_err(Refusal::Token)?;
        self.binding(&checked, certificate)?;
        self.judge_token(&checked)?;
        Ok(VerifiedToken::new(checked))
    }

    /// The certificate is good, and the token's if the token asks for one.
    fn binding(
        &self,
        token: &Checked,
        certificate: Option<&VerifiedCertificate>,
    ) -> Result<(), Refusal> {
        if let Some(certificate) = certificate {
            self.certificate_still_good(certificate)?;
        }
        match (token.bound_to(), certificate) {
            (Some(_), None) => Err(Refusal::CertificateMissing),
            (Some(digest), Some(given)) if digest != given.digest() => {
                Err(Refusal::OtherCertificate)
            }
            (Some(_), Some(given))
                if token.task() != given.task() || token.agent() != given.agent() =>
            {
                Err(Refusal::OtherTask)
            }
            (None, _) | (Some(_), Some(_)) => Ok(()),
        }
    }

    fn token_still_good(&self, token: &Checked) -> Result<(), Refusal> {
        if self.inner.clock.now() >= token.expires_at() {
            return Err(Refusal::Token(TokenError::Expired));
        }
        // A key that is no longer published is no longer trusted.
        if self.keys()?.set.get(token.key()).is_none() {
            return Err(Refusal::Token(TokenError::UnknownKey(token.key().clone())));
        }
        self.judge_token(token)
    }

    fn judge_token(&self, token: &Checked) -> Result<(), Refusal> {
        let monotonic = self.inner.clock.monotonic();
        self.inner
            .shared
            .judge(&token.facts(), &[], self.inner.staleness, monotonic)
    }

    fn certificate(
        &self,
        leaf: &[u8],
        intermediates: &[&[u8]],
    ) -> Result<VerifiedCertificate, Refusal> {
        let anchors = read(&self.inner.anchors)?;
        let now = self.inner.clock.now();
        let certificate = anchors
            .verify(leaf, intermediates, &self.inner.trust_domain, now)
            .map_err(Refusal::Certificate)?;
        self.judge_certificate(&certificate)?;
        Ok(certificate)
    }

    fn certificate_still_good(&self, certificate: &VerifiedCertificate) -> Result<(), Refusal> {
        if self.inner.clock.now() >= certificate.expires_at() {
            return Err(Refusal::Certificate(CertificateError::Expired));
        }
        if !read(&self.inner.anchors)?.trusts(certificate.root()) {
            return Err(Refusal::Certificate(CertificateError::Untrusted));
        }
        self.judge_certificate(certificate)
    }

    fn judge_certificate(&self, certificate: &VerifiedCertificate) -> Result<(), Refusal> {
        self.inner.shared.judge(
            &certificate.facts(),
            certificate.authorities(),
            self.inner.staleness,
            self.inner.clock.monotonic(),
        )
    }

    fn keys(&self) -> Result<Arc<Keys>, Refusal> {
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
