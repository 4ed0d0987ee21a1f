//! The loop: wait, take, publish.

use std::sync::Arc;
use std::time::Duration;

use taskpass_core::rng::Rng;
use taskpass_core::{Clock, Timestamp};
use tokio::sync::watch;

use super::super::{AgentError, Certificate, Token};
use super::plan::{due_after, may_pass, retry_after};
use super::{Credentials, Renewal, Renewed, Renewing, Wanted};

/// How often it is looked, while waiting, whether the wall clock is further.
const LOOK: Duration = Duration::from_secs(5);

/// What one round of issuing gave.
pub(super) struct Taken {
    pub(super) certificate: Option<Certificate>,
    /// As they were wanted.
    pub(super) tokens: Vec<Token>,
}

/// Takes for the first time, and starts renewing.
pub(super) async fn start<T, F>(
    deadline: Timestamp,
    wanted: Wanted,
    clock: Arc<dyn Clock>,
    rng: Arc<dyn Rng>,
    take: T,
) -> Result<Renewing, AgentError>
where
    T: Fn(Wanted) -> F + Send + Sync + 'static,
    F: Future<Output = Result<Taken, AgentError>> + Send + 'static,
{
    let mut wanted = wanted;
    let first = take(wanted.clone()).await?;
    let first = accept(&mut wanted, first, 1, clock.now())?;
    let (sender, newest) = watch::channel(Renewed {
        credentials: Arc::new(first),
        renewal: Renewal::Fresh,
    });
    let run = Run {
        deadline,
        wanted,
        clock,
        rng,
        take,
        sender,
    };
    let running = tokio::spawn(run.run()).abort_handle();
    Ok(Renewing { newest, running })
}

struct Run<T> {
    deadline: Timestamp,
    wanted: Wanted,
    clock: Arc<dyn Clock>,
    rng: Arc<dyn Rng>,
    take: T,
    sender: watch::Sender<Renewed>,
}

impl<T, F> Run<T>
where
    T: Fn(Wanted) -> F + Send + Sync + 'static,
    F: Future<Output = Result<Taken, AgentError>> + Send + 'static,
{
    async fn run(mut self) {
        let mut failures = 0;
        let mut wait = self.due();
        loop {
            let left = self.deadline.since(self.clock.now());
            if wait >= left {
                self.rest(left).await;
                return self.say(Renewal::Ended(Arc::new(AgentError::Deadline)));
            }
            self.rest(wait).await;
            match self.renew().await {
                Ok(next) => {
                    failures = 0;
                    self.sender.send_replace(Renewed {
                        credentials: Arc::new(next),
                        renewal: Renewal::Fresh,
                    });
                    wait = self.due();
                }
                Err(error) if may_pass(&error) => {
                    failures += 1;
                    wait = retry_after(failures, self.left(), said(&error));
                    self.say(Renewal::Failing(Arc::new(error)));
                }
                Err(error) => return self.say(Renewal::Ended(Arc::new(error))),
            }
        }
    }

    /// Waits, by the wall clock too: a machine that sleeps does not count that in its timers, and what
    /// is held ends all the same.
    async fn rest(&self, wait: Duration) {
        let end = self.clock.now().plus(wait);
        let mut left = wait;
        while !left.is_zero() {
            let part = left.min(LOOK);
            tokio::time::sleep(part).await;
            left = left.saturating_sub(part).min(end.since(self.clock.now()));
        }
    }

    async fn renew(&mut self) -> Result<Credentials, AgentError> {
        let generation = self.sender.borrow().credentials.generation + 1;
        let taken = (self.take)(self.wanted.clone()).await?;
        accept(&mut self.wanted, taken, generation, self.clock.now())
    }

    /// How long what is held waits for its renewal; for ever if it ends with the task, which nothing
    /// can outlive.
    fn due(&self) -> Duration {
        let held = Arc::clone(&self.sender.borrow().credentials);
        match held.expires_at() {
            // A certificate's last second, and the part of a second that a token does not have.
            Some(end) if end.plus(Duration::from_secs(2)) <= self.deadline => {
                due_after(held.received_at, end, &*self.rng)
            }
            _ => Duration::MAX,
        }
    }

    /// How long what is held goes on.
    fn left(&self) -> Duration {
        let end = self.sender.borrow().credentials.expires_at();
        end.map_or(Duration::ZERO, |end| end.since(self.clock.now()))
    }

    fn say(&self, renewal: Renewal) {
        self.sender.send_modify(|newest| newest.renewal = renewal);
    }
}

/// How long the broker said to wait.
fn said(error: &AgentError) -> Option<Duration> {
    match error {
        AgentError::Refused(refused) => refused.retry_after,
        _ => None,
    }
}

/// Takes over what was granted, if it is no more than was wanted; from now on no more than that is.
fn accept(
    wanted: &mut Wanted,
    taken: Taken,
    generation: u64,
    now: Timestamp,
) -> Result<Credentials, AgentError> {
    let mut tokens = Vec::with_capacity(taken.tokens.len());
    for (one, token) in wanted.tokens.iter_mut().zip(taken.tokens) {
        if token.scopes().is_empty() || !token.scopes().is_subset(&one.scopes) {
            return Err(AgentError::Answer { field: "scopes" });
        }
        one.scopes.clone_from(token.scopes());
        tokens.push((one.target.clone(), token));
    }
    Ok(Credentials {
        generation,
        received_at: now,
        certificate: taken.certificate,
        tokens,
    })
}
