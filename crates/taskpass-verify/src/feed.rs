//! The connection that keeps the rules: from the broker's stream into the verifier.
//!
//! What a message means is decided by `FeedState`, without input or output; here is the
//! stream, the waiting, and connecting again. Whatever does not fit ends the stream, and the next one
//! begins with a snapshot; a connection that merely broke is continued where it ended. The feed never
//! gives up, and never takes a rule back because it was interrupted. It answers nothing but a drill.

mod backoff;
mod decode;
mod drill;
mod state;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use taskpass_api::v1::revocation_service_client::RevocationServiceClient;
use taskpass_api::v1::{WatchRevocationsRequest, WatchRevocationsResponse};
use taskpass_core::rng::Rng;
use tokio_stream::StreamExt as _;
use tonic::Status;
use tonic::transport::Channel;

use crate::verifier::Verifier;
pub(crate) use backoff::Backoff;
use drill::Confirming;
use state::{Effect, FeedState};

pub use state::FeedError;

/// Heartbeats come every second; a stream that is silent for so long is dead.
const SILENCE: Duration = Duration::from_secs(5);
/// How long the broker may take to begin.
const BEGIN: Duration = Duration::from_secs(10);
/// A snapshot of many rules comes as one message.
const MAX_MESSAGE: usize = 32 * 1024 * 1024;

/// Keeps a verifier's rules up to date for as long as it runs.
#[derive(Debug)]
pub struct Feed {
    verifier: Verifier,
    channel: Channel,
    rng: Arc<dyn Rng>,
}

/// Why a stream ended.
#[derive(Debug, thiserror::Error)]
enum Ended {
    #[error("the stream broke")]
    Broken(#[source] Box<Status>),
    #[error("nothing came for {}s", SILENCE.as_secs())]
    Silent,
    #[error("the broker closed the stream")]
    Closed,
    #[error("the feed does not fit what is known")]
    Wrong(#[source] FeedError),
}

impl Feed {
    /// A feed for `verifier` over `channel`, whose identity must be a verifier's that speaks for the
    /// same audiences (or an operator's). `rng` spreads reconnections.
    pub fn new(verifier: Verifier, channel: Channel, rng: Arc<dyn Rng>) -> Self {
        Self {
            verifier,
            channel,
            rng,
        }
    }

    /// Runs until `shutdown` is there.
    pub async fn run(self, shutdown: impl Future<Output = ()>) {
        tokio::select! {
            biased;
            () = shutdown => {}
            () = self.forever() => {}
        }
    }

    async fn forever(&self) {
        let mut state = FeedState::default();
        let mut backoff = Backoff::new();
        let mut confirming = Confirming::default();
        loop {
            let ended = self.watch(&mut state, &mut backoff, &mut confirming).await;
            let wait = backoff.next(&*self.rng);
            report(&ended, wait);
            tokio::time::sleep(wait).await;
        }
    }

    /// Follows one stream to its end.
    async fn watch(
        &self,
        state: &mut FeedState,
        backoff: &mut Backoff,
        confirming: &mut Confirming,
    ) -> Ended {
        let mut client = RevocationServiceClient::new(self.channel.clone())
            .max_decoding_message_size(MAX_MESSAGE);
        let (epoch, after_seq) = state.resume_point();
        let begin = client.watch_revocations(WatchRevocationsRequest { epoch, after_seq });
        let mut stream = match tokio::time::timeout(BEGIN, begin).await {
            Ok(Ok(reply)) => reply.into_inner(),
            Ok(Err(status)) => return Ended::Broken(Box::new(status)),
            Err(_) => return Ended::Silent,
        };
        self.verifier.counters().connected();
        state.connected();
        loop {
            let message = match tokio::time::timeout(SILENCE, stream.next()).await {
                Ok(Some(Ok(message))) => message,
                Ok(Some(Err(status))) => return Ended::Broken(Box::new(status)),
                Ok(None) => return Ended::Closed,
                Err(_) => return Ended::Silent,
            };
            match self.take(state, message, confirming) {
                Ok(true) => backoff.reset(),
                Ok(false) => {}
                Err(error) => return Ended::Wrong(error),
            }
        }
    }

    /// Applies one message; whether it confirmed that all is well.
    fn take(
        &self,
        state: &mut FeedState,
        message: WatchRevocationsResponse,
        confirming: &mut Confirming,
    ) -> Result<bool, FeedError> {
        let clock = self.verifier.clock();
        let shared = self.verifier.shared();
        match state.on(message, clock.now()) {
            Ok(Effect::Load { rules }) => shared.load(rules),
            Ok(Effect::Add { rules, seq, drill }) => {
                shared.add(rules, seq);
                if let Some(drill) = drill {
                    confirming.confirm(&drill, &self.verifier, &self.channel);
                }
            }
            Ok(Effect::Confirm { seq, at }) => {
                shared.confirm(seq, at, clock.monotonic());
                return Ok(true);
            }
            Ok(Effect::Skewed { at }) => {
                self.verifier.counters().skewed();
                tracing::warn!(broker = %at, here = %clock.now(), "clocks differ too much, or the heartbeat is old");
            }
            Ok(Effect::Reload { reason }) => {
                self.verifier.counters().reloaded();
                tracing::warn!(reason, "the broker begins its feed anew");
                shared.distrust();
            }
            Ok(Effect::Nothing) => {}
            Err(error) => {
                self.verifier.counters().reloaded();
                shared.distrust();
                return Err(error);
            }
        }
        Ok(false)
    }
}

fn report(ended: &Ended, wait: Duration) {
    let source = std::error::Error::source(ended);
    tracing::warn!(error = %ended, source, ?wait, "the revocation feed ended");
}

#[cfg(test)]
mod tests;
