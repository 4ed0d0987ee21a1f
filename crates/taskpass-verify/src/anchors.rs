//! Keeps up with the issuing authorities that the broker publishes.
//!
//! A broker changes its issuing authority now and then, the root hardly ever. A peer usually sends the
//! authority above its certificate along; of one that does not, it must be known here. What is fetched
//! can add authorities beneath the roots that the verifier was given, and nothing else: a new root is
//! never taken from the network, whoever publishes it. It is told to the operator, who replaces the
//! file ([`Verifier::replace_anchors`]).

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use taskpass_core::rng::Rng;

use crate::certificate::{AnchorsError, Extended};
use crate::keys::{FetchError, LONGEST};
use crate::verifier::Verifier;

/// How often the anchors are asked for where nothing else is said.
pub const EVERY: Duration = Duration::from_hours(1);

/// A fetch under way.
pub type Fetching<'a> = Pin<Box<dyn Future<Output = Result<String, FetchError>> + Send + 'a>>;

/// Where the anchors come from: `HttpAnchors` of the feature `http`, or a test.
pub trait FetchAnchors: Send + Sync + fmt::Debug {
    /// Asks for the anchors of this moment, in PEM. It is given up after [`LONGEST`].
    fn fetch(&self) -> Fetching<'_>;
}

/// Why nothing was added.
#[derive(Debug, thiserror::Error)]
pub enum RenewError {
    /// They could not be fetched.
    #[error("the issuer's anchors could not be fetched")]
    Fetch(#[source] FetchError),
    /// They cannot be read; what was known stays.
    #[error("the issuer's anchors cannot be used")]
    Anchors(#[from] AnchorsError),
}

/// Renews a verifier's issuing authorities.
#[derive(Debug, Clone)]
pub struct Anchors {
    verifier: Verifier,
    source: Arc<dyn FetchAnchors>,
    every: Duration,
    rng: Arc<dyn Rng>,
}

impl Anchors {
    /// Renews what `verifier` knows from `source`, every hour. `rng` spreads the fetches of many
    /// verifiers.
    pub fn new(verifier: Verifier, source: Arc<dyn FetchAnchors>, rng: Arc<dyn Rng>) -> Self {
        Self {
            verifier,
            source,
            every: EVERY,
            rng,
        }
    }

    /// Asks this often instead: a minute to a day.
    #[must_use]
    pub fn every(mut self, every: Duration) -> Self {
        self.every = every.clamp(Duration::from_mins(1), Duration::from_hours(24));
        self
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
            let tenth = u64::try_from(self.every.as_millis() / 10).unwrap_or(0);
            let more = self.rng.below(tenth.saturating_add(1));
            tokio::time::sleep(self.every + Duration::from_millis(more)).await;
            // What came of it is in the log, and what was known stays.
            let _ = self.renew().await;
        }
    }

    /// Asks once.
    pub async fn renew(&self) -> Result<Extended, RenewError> {
        let fetched = tokio::time::timeout(LONGEST, self.source.fetch())
            .await
            .unwrap_or_else(|_| Err("no answer in time".into()));
        let renewed = fetched
            .map_err(RenewError::Fetch)
            .and_then(|pem| Ok(self.verifier.extend_anchors(&pem)?));
        match &renewed {
            Ok(extended) if extended.strange_roots > 0 => tracing::warn!(
                roots = extended.strange_roots,
                "the issuer publishes a root that is not trusted here; if it changed its root, replace \
                 the anchors"
            ),
            Ok(_) => {}
            Err(error) => {
                let error = error as &dyn std::error::Error;
                tracing::warn!(error, "the issuer's anchors could not be renewed");
            }
        }
        renewed
    }
}

#[cfg(test)]
mod tests;
