//! The task that sends what was gathered.
//!
//! What the broker does not answer is kept and sent again, the same batches with the same ids, which it
//! records once; meanwhile the next uses gather, up to their bound. What it says that it will never take
//! is dropped and counted as lost. At the end everything is sent once more, for a few seconds at most,
//! and the broker is told that this was the last.

use std::collections::{BTreeMap, VecDeque};
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use taskpass_api::v1::ReportUseResponse;
use taskpass_api::v1::verification_service_client::VerificationServiceClient;
use taskpass_core::rng::Rng;
use taskpass_core::{TargetUri, Timestamp};
use tonic::transport::Channel;
use tonic::{Code, Status};

use super::batch::{Batch, batches, in_one_call, uses};
use super::{Uses, bump};
use crate::feed::Backoff;

/// How long one call may take.
const ANSWER: Duration = Duration::from_secs(10);
/// How long the last report may take.
const LAST: Duration = Duration::from_secs(5);
/// Between two attempts, the first and the longest.
const WAITS: (Duration, Duration) = (Duration::from_secs(1), Duration::from_mins(1));

/// Sends what [`Uses`] gathers, for as long as it runs.
#[derive(Debug)]
pub struct UseReports {
    uses: Uses,
    client: VerificationServiceClient<Channel>,
    rng: Arc<dyn Rng>,
    /// Up to when everything is in a batch.
    until: Timestamp,
    /// What the broker has not taken yet, the oldest first.
    waiting: VecDeque<Batch>,
    /// What was dropped, to be told with the next window.
    dropped: BTreeMap<TargetUri, u64>,
    /// One batch in each call, to find the one that is not taken.
    singly: bool,
}

/// A call that came to nothing.
#[derive(Debug, thiserror::Error)]
pub(super) enum NotTaken {
    #[error("the broker did not take what was used")]
    Refused(#[source] Box<Status>),
    #[error("the broker did not answer for {}s", ANSWER.as_secs())]
    Silent,
}

impl UseReports {
    /// Sends what `uses` gathers over `channel`, whose identity must be that of a verifier of the same
    /// audiences. `rng` names batches and spreads retries. Covered is the time from now on.
    pub fn new(uses: Uses, channel: Channel, rng: Arc<dyn Rng>) -> Self {
        let until = uses.inner.verifier.clock().now();
        Self {
            uses,
            client: VerificationServiceClient::new(channel),
            rng,
            until,
            waiting: VecDeque::new(),
            dropped: BTreeMap::new(),
            singly: false,
        }
    }

    /// Runs until `shutdown` is there, and then sends the rest: wait for it to end.
    pub async fn run(mut self, shutdown: impl Future<Output = ()>) {
        tokio::select! {
            biased;
            () = shutdown => {}
            () = self.forever() => {}
        }
        self.gather(true);
        if tokio::time::timeout(LAST, self.deliver_all())
            .await
            .is_err()
        {
            let rest: u64 = self.waiting.iter().map(uses).sum();
            tracing::warn!(uses = rest, "what was used last could not be reported");
        }
    }

    async fn forever(&mut self) {
        loop {
            self.gather(false);
            self.deliver_all().await;
            tokio::time::sleep(self.uses.inner.settings.every).await;
        }
    }

    /// Puts into batches what was gathered since the last time. That there was nothing is worth saying.
    pub(super) fn gather(&mut self, ending: bool) {
        let inner = &*self.uses.inner;
        let mut taken = inner.held.take();
        for (target, count) in std::mem::take(&mut self.dropped) {
            let lost = taken.lost.entry(target).or_default();
            *lost = lost.saturating_add(count);
        }
        // A clock that is set back covers nothing twice.
        let window = (self.until, inner.verifier.clock().now().max(self.until));
        self.until = window.1;
        let targets = inner.verifier.audiences();
        self.waiting
            .extend(batches(targets, taken, window, ending, &*self.rng));
        self.count_waiting();
    }

    /// Sends until nothing waits.
    async fn deliver_all(&mut self) {
        let mut backoff = Backoff::between(WAITS.0, WAITS.1);
        while !self.waiting.is_empty() {
            match self.deliver().await {
                Ok(()) => backoff.reset(),
                Err(error) => {
                    let wait = backoff.next(&*self.rng);
                    tell(&error, wait);
                    tokio::time::sleep(wait).await;
                }
            }
        }
    }

    /// Sends the first batches; an error if they have to be sent again.
    pub(super) async fn deliver(&mut self) -> Result<(), NotTaken> {
        let many = if self.singly {
            1
        } else {
            in_one_call(&self.waiting)
        };
        let sent: Vec<Batch> = self.waiting.iter().take(many).cloned().collect();
        let call = self.client.report_use(tokio_stream::iter(sent));
        let failure = match tokio::time::timeout(ANSWER, call).await {
            Ok(Ok(reply)) => {
                self.taken(many, reply.get_ref());
                return Ok(());
            }
            Ok(Err(status)) => NotTaken::Refused(Box::new(status)),
            Err(_) => NotTaken::Silent,
        };
        bump(&self.uses.inner.counters.failures, 1);
        match &failure {
            NotTaken::Refused(status) if is_final(status.code()) => {
                if many == 1 {
                    self.drop_first(status);
                    self.singly = false;
                } else {
                    // One of them is the cause; those before it are recorded, and will be again.
                    self.singly = true;
                }
                Ok(())
            }
            NotTaken::Refused(_) | NotTaken::Silent => Err(failure),
        }
    }

    fn taken(&mut self, many: usize, reply: &ReportUseResponse) {
        let inner = &*self.uses.inner;
        let counters = &inner.counters;
        for batch in self.waiting.drain(..many.min(self.waiting.len())) {
            bump(&counters.sent, uses(&batch));
            bump(&counters.batches, 1);
        }
        bump(&counters.unknown, reply.unknown);
        bump(&counters.refused, reply.refused);
        let now = inner.verifier.clock().monotonic().as_millis();
        let now = u64::try_from(now).unwrap_or(u64::MAX).saturating_add(1);
        counters.delivered_at.store(now, Ordering::Relaxed);
        self.singly &= !self.waiting.is_empty();
        self.count_waiting();
    }

    /// Gives the first batch up: it will never be taken, and what is behind it may.
    fn drop_first(&mut self, status: &Status) {
        let Some(batch) = self.waiting.pop_front() else {
            return;
        };
        let lost = uses(&batch).saturating_add(batch.lost);
        bump(&self.uses.inner.counters.lost, uses(&batch));
        tracing::error!(
            target_uri = batch.target,
            uses = lost,
            code = ?status.code(),
            message = status.message(),
            "the broker will never take what was used, and it is given up"
        );
        if let Ok(target) = batch.target.parse::<TargetUri>() {
            let dropped = self.dropped.entry(target).or_default();
            *dropped = dropped.saturating_add(lost);
        }
        self.count_waiting();
    }

    fn count_waiting(&self) {
        let waiting = u64::try_from(self.waiting.len()).unwrap_or(u64::MAX);
        let counters = &self.uses.inner.counters;
        counters.waiting.store(waiting, Ordering::Relaxed);
    }
}

fn tell(error: &NotTaken, wait: Duration) {
    let source = std::error::Error::source(error);
    tracing::warn!(%error, source, ?wait, "uses could not be reported");
}

/// Whether the same batch would be refused again.
fn is_final(code: Code) -> bool {
    matches!(code, Code::InvalidArgument | Code::PermissionDenied)
}
