//! Credentials that renew themselves, as one: a certificate with its key, and the tokens bound to it.
//!
//! To renew is to issue again under the same task: the broker asks policy with today's registry, and
//! nothing outlives the task. It is done at two thirds of the shortest granted life, give or take a
//! tenth, so that many processes which began together do not renew together. A renewal asks for what was
//! granted last, never for more. One that fails for a passing reason (no connection, a broker that is
//! busy) is tried again, and what is held stays; one that the broker judged is the end. A pair is whole
//! or not there: a certificate whose token was refused is thrown away.

mod plan;
mod run;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use taskpass_core::rng::{Rng, SystemRng};
use taskpass_core::time::SystemClock;
use taskpass_core::{Clock, ScopeName, TargetUri, Timestamp};
use tokio::sync::watch;
use tokio::task::AbortHandle;

use super::{AgentError, Certificate, Task, Token};

/// What is wanted under a task, and kept fresh.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    certificate: Option<WantedCertificate>,
    tokens: Vec<WantedToken>,
}

#[derive(Debug, Clone, Copy)]
struct WantedCertificate {
    ttl: Option<Duration>,
}

#[derive(Debug, Clone)]
struct WantedToken {
    target: TargetUri,
    scopes: BTreeSet<ScopeName>,
    ttl: Option<Duration>,
}

impl Wanted {
    /// A certificate with a fresh key each time; tokens are bound to it. Without a `ttl` the broker's
    /// default holds.
    #[must_use]
    pub fn certificate(mut self, ttl: Option<Duration>) -> Self {
        self.certificate = Some(WantedCertificate { ttl });
        self
    }

    /// A token for `target` with `scopes` there.
    pub fn token<S: AsRef<str>>(
        mut self,
        target: &str,
        scopes: impl IntoIterator<Item = S>,
        ttl: Option<Duration>,
    ) -> Result<Self, AgentError> {
        let scopes: Result<_, _> = scopes
            .into_iter()
            .map(|text| text.as_ref().parse())
            .collect();
        self.tokens.push(WantedToken {
            target: target.parse()?,
            scopes: scopes?,
            ttl,
        });
        Ok(self)
    }
}

/// One generation of credentials.
#[derive(Debug, Clone)]
pub struct Credentials {
    generation: u64,
    received_at: Timestamp,
    certificate: Option<Certificate>,
    tokens: Vec<(TargetUri, Token)>,
}

impl Credentials {
    /// 1 for the first, and one more with each renewal.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// The certificate, if one was wanted.
    pub fn certificate(&self) -> Option<&Certificate> {
        self.certificate.as_ref()
    }

    /// The tokens, as they were wanted, each with its target.
    pub fn tokens(&self) -> impl ExactSizeIterator<Item = (&TargetUri, &Token)> {
        self.tokens.iter().map(|(target, token)| (target, token))
    }

    /// The token for `target`.
    pub fn token(&self, target: &str) -> Option<&Token> {
        let mut tokens = self.tokens.iter();
        let found = tokens.find(|(other, _)| other.as_str() == target);
        found.map(|(_, token)| token)
    }

    /// The instant from which the first of them is no longer valid; none if nothing was wanted.
    pub fn expires_at(&self) -> Option<Timestamp> {
        let tokens = self.tokens.iter().map(|(_, token)| token.expires_at());
        let certificate = self.certificate.iter().map(Certificate::expires_at);
        tokens.chain(certificate).min()
    }
}

/// How renewing goes.
#[derive(Debug, Clone)]
pub enum Renewal {
    /// What is held is the newest there can be.
    Fresh,
    /// The last try failed for a reason that may pass; what is held is kept.
    Failing(Arc<AgentError>),
    /// There will be no more: what is held ends by itself, if it has not.
    Ended(Arc<AgentError>),
}

/// What is held, and how renewing goes.
#[derive(Debug, Clone)]
pub struct Renewed {
    /// The newest credentials.
    pub credentials: Arc<Credentials>,
    /// How renewing goes.
    pub renewal: Renewal,
}

/// Credentials that are renewed in the background until this is dropped.
#[derive(Debug)]
pub struct Renewing {
    newest: watch::Receiver<Renewed>,
    running: AbortHandle,
}

impl Drop for Renewing {
    fn drop(&mut self) {
        self.running.abort();
    }
}

impl Renewing {
    /// The newest credentials. Take them anew for each use.
    pub fn current(&self) -> Arc<Credentials> {
        Arc::clone(&self.newest.borrow().credentials)
    }

    /// Tells of every renewal, and of every one that failed.
    pub fn subscribe(&self) -> watch::Receiver<Renewed> {
        self.newest.clone()
    }
}

impl Task {
    /// Takes what is wanted, and keeps it fresh for as long as the task lives. Needs a tokio runtime.
    pub async fn renewing(&self, wanted: Wanted) -> Result<Renewing, AgentError> {
        let clock = Arc::new(SystemClock::new());
        let rng = Arc::new(SystemRng::new());
        self.renewing_by(wanted, clock, rng).await
    }

    /// The same by a clock and a random source of the caller's.
    pub async fn renewing_by(
        &self,
        wanted: Wanted,
        clock: Arc<dyn Clock>,
        rng: Arc<dyn Rng>,
    ) -> Result<Renewing, AgentError> {
        let task = self.clone();
        let take = move |wanted: Wanted| {
            let task = task.clone();
            async move { task.take(&wanted).await }
        };
        run::start(self.deadline, wanted, clock, rng, take).await
    }

    /// The certificate first, and the tokens bound to it.
    async fn take(&self, wanted: &Wanted) -> Result<run::Taken, AgentError> {
        let certificate = match wanted.certificate {
            Some(WantedCertificate { ttl }) => Some(self.certificate(ttl).await?),
            None => None,
        };
        let mut tokens = Vec::with_capacity(wanted.tokens.len());
        for one in &wanted.tokens {
            let (target, scopes) = (
                one.target.as_str(),
                one.scopes.iter().map(ScopeName::as_str),
            );
            let issued = self
                .issue(target, scopes, one.ttl, certificate.as_ref())
                .await?;
            tokens.push(issued);
        }
        Ok(run::Taken {
            certificate,
            tokens,
        })
    }
}

#[cfg(test)]
mod tests;
