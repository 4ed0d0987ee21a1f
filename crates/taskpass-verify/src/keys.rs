//! Keeps the keys that sign tokens up to date: on schedule, and when a token names an unknown one.
//!
//! One fetch at a time, whoever asks: those that come while one is under way wait for it and look
//! again. A fetch that failed or brought nothing new counts like one that helped, so a flood of tokens
//! with invented key ids causes at most one fetch for each interval. A fetch belongs to nobody: if the
//! request that caused it goes away, it goes on.
//!
//! Old keys are kept while fetching fails, up to
//! [`MAX_JWKS_AGE`](taskpass_core::revocation::MAX_JWKS_AGE), from which on the [`Verifier`] refuses
//! every token. Their age counts from when they were asked for, not from when they came.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use taskpass_core::TargetUri;
use taskpass_core::key::KeyId;
use taskpass_core::rng::Rng;
use taskpass_token::JwkSet;
use tokio::sync::Mutex;

use crate::certificate::VerifiedCertificate;
use crate::refusal::Refusal;
use crate::token::{UnverifiedToken, VerifiedToken};
use crate::verifier::Verifier;

/// How long a fetch may take, whatever it is.
pub const LONGEST: Duration = Duration::from_secs(30);

/// Why keys could not be fetched.
pub type FetchError = Box<dyn std::error::Error + Send + Sync>;
/// A fetch under way.
pub type Fetching<'a> = Pin<Box<dyn Future<Output = Result<JwkSet, FetchError>> + Send + 'a>>;

/// Where the keys come from: `HttpKeys` of the feature `http`, or a test.
pub trait FetchKeys: Send + Sync + fmt::Debug {
    /// Asks for the issuer's keys of this moment. It is given up after [`LONGEST`].
    fn fetch(&self) -> Fetching<'_>;
}

/// How often to fetch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Schedule {
    /// How long keys are used before they are asked for again: as long as the broker says that they
    /// may be cached, five minutes.
    pub every: Duration,
    /// How long after one fetch the next may follow, whoever asks for it.
    pub at_least: Duration,
}

impl Default for Schedule {
    fn default() -> Self {
        Self {
            every: Duration::from_mins(5),
            at_least: Duration::from_secs(15),
        }
    }
}

impl Schedule {
    /// Bounds beyond which it would harm the broker, or the verifier.
    fn bounded(self) -> Self {
        let (least, most) = (Duration::from_secs(1), Duration::from_hours(1));
        let every = self.every.clamp(least, most);
        Self {
            every,
            at_least: self.at_least.clamp(least, every),
        }
    }
}

/// What came of asking for keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refreshed {
    /// The key that was asked for is there.
    Known,
    /// It is not, although the keys are of this moment.
    Unknown,
    /// It is not, and nobody was asked, because that was done a moment ago.
    TooSoon,
    /// It is not, and the keys could not be fetched.
    Failed,
}

/// Renews a verifier's keys. Cloning it shares everything.
#[derive(Debug, Clone)]
pub struct Keys {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    verifier: Verifier,
    source: Arc<dyn FetchKeys>,
    schedule: Schedule,
    rng: Arc<dyn Rng>,
    /// When a fetch last ended, by the monotonic clock; held while one is under way.
    last: Mutex<Option<Duration>>,
}

impl Keys {
    /// Renews the keys of `verifier` from `source`. `rng` spreads the fetches of many verifiers.
    pub fn new(
        verifier: Verifier,
        source: Arc<dyn FetchKeys>,
        schedule: Schedule,
        rng: Arc<dyn Rng>,
    ) -> Self {
        let inner = Inner {
            verifier,
            source,
            schedule: schedule.bounded(),
            rng,
            last: Mutex::new(None),
        };
        Self {
            inner: Arc::new(inner),
        }
    }

    /// The verifier whose keys these are.
    pub fn verifier(&self) -> &Verifier {
        &self.inner.verifier
    }

    /// Renews them on schedule until `shutdown` is there.
    pub async fn run(&self, shutdown: impl Future<Output = ()>) {
        tokio::select! {
            biased;
            () = shutdown => {}
            () = self.forever() => {}
        }
    }

    async fn forever(&self) {
        loop {
            let due = self.inner.schedule.every;
            let verifier = &self.inner.verifier;
            let overdue = verifier.jwks_age() >= due || !verifier.has_keys();
            if overdue && !self.renew().await {
                tokio::time::sleep(self.spread(self.inner.schedule.at_least)).await;
                continue;
            }
            let age = verifier.jwks_age();
            tokio::time::sleep(self.spread(due.saturating_sub(age))).await;
        }
    }

    /// `wait` and up to a tenth more.
    fn spread(&self, wait: Duration) -> Duration {
        let tenth = u64::try_from(wait.as_millis() / 10).unwrap_or(0);
        let more = self.inner.rng.below(tenth.saturating_add(1));
        wait + Duration::from_millis(more)
    }

    /// Fetches once, unless that was done a moment ago; whether the keys are of this moment.
    async fn renew(&self) -> bool {
        self.once(|_| false).await == Refreshed::Unknown
    }

    /// Looks for a key that a token names: among those that are there, and if it is not one of them,
    /// by fetching, as often as the schedule permits.
    pub async fn look_for(&self, key: &KeyId) -> Refreshed {
        if self.inner.verifier.knows_key(key) {
            return Refreshed::Known;
        }
        let outcome = self.once(|verifier| verifier.knows_key(key)).await;
        if outcome == Refreshed::TooSoon {
            self.inner.verifier.counters().keys_suppressed();
        }
        outcome
    }

    /// As [`look_for`](Self::look_for), but does not wait: for callers that cannot. Outside a tokio
    /// runtime it does nothing.
    pub fn look_for_later(&self, key: KeyId) {
        if self.inner.verifier.knows_key(&key) {
            return;
        }
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            let keys = self.clone();
            runtime.spawn(async move { keys.look_for(&key).await });
        }
    }

    /// As [`Verifier::verify_token`], but looks for the token's key first.
    pub async fn verify_token(
        &self,
        token: &str,
        audience: &TargetUri,
    ) -> Result<VerifiedToken, Refusal> {
        self.look_for_key_of(token.into()).await;
        self.inner.verifier.verify_token(token, audience)
    }

    /// As [`Verifier::verify_token_with`], but looks for the token's key first.
    pub async fn verify_token_with(
        &self,
        token: &str,
        audience: &TargetUri,
        certificate: &VerifiedCertificate,
    ) -> Result<VerifiedToken, Refusal> {
        self.look_for_key_of(token.into()).await;
        let verifier = &self.inner.verifier;
        verifier.verify_token_with(token, audience, certificate)
    }

    async fn look_for_key_of(&self, token: UnverifiedToken<'_>) {
        if let Some(key) = token.claimed_key() {
            // What came of it shows in the check that follows.
            self.look_for(&key).await;
        }
    }

    /// One fetch at a time; none if `enough` is true by then, or if it is too soon.
    async fn once(&self, enough: impl Fn(&Verifier) -> bool) -> Refreshed {
        let inner = &self.inner;
        if let Some(known) = self.settled(*inner.last.lock().await, &enough) {
            return known;
        }
        // In a task of its own: a caller that goes away must not end the fetch of all others, or
        // whoever asks and hangs up could keep new keys away for ever.
        let keys = self.clone();
        let fetched = tokio::spawn(async move { keys.fetch().await }).await;
        match fetched {
            _ if enough(&inner.verifier) => Refreshed::Known,
            Ok(fetched) => fetched,
            Err(_) => Refreshed::Failed,
        }
    }

    fn settled(
        &self,
        last: Option<Duration>,
        enough: &impl Fn(&Verifier) -> bool,
    ) -> Option<Refreshed> {
        if enough(&self.inner.verifier) {
            return Some(Refreshed::Known);
        }
        let now = self.inner.verifier.clock().monotonic();
        let since = now.saturating_sub(last?);
        (since < self.inner.schedule.at_least).then_some(Refreshed::TooSoon)
    }

    async fn fetch(&self) -> Refreshed {
        let inner = &self.inner;
        let mut last = inner.last.lock().await;
        // Somebody else may have begun between the two locks.
        if let Some(settled) = self.settled(*last, &|_| false) {
            return settled;
        }
        let begun = inner.verifier.clock().monotonic();
        *last = Some(begun);
        inner.verifier.counters().keys_fetched();
        let fetched = tokio::time::timeout(LONGEST, inner.source.fetch())
            .await
            .unwrap_or_else(|_| Err("no answer in time".into()));
        // From its end, so that whoever waited for a slow one does not begin the next.
        *last = Some(inner.verifier.clock().monotonic());
        match fetched {
            Ok(set) => {
                inner.verifier.take_jwks(set, begun);
                Refreshed::Unknown
            }
            Err(error) => {
                inner.verifier.counters().keys_failed();
                tracing::warn!(%error, age = ?inner.verifier.jwks_age(), "the issuer's keys could not be fetched");
                Refreshed::Failed
            }
        }
    }
}

#[cfg(test)]
mod tests;
