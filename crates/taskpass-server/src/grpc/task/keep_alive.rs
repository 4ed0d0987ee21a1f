//! The stream that keeps a task alive: a message at once and every few seconds, and one more when
//! the task is over.
//!
//! Every second the caller's standing and the task are looked at again; whoever lost the one or the
//! other is told, and holds nothing any more. The tie is let go of when this ends, however it ends: by
//! the reader leaving, by its connection breaking or no longer answering (the listener's keepalive
//! asks), or by ours stopping.

use std::pin::Pin;
use std::time::Duration;

use taskpass_api::v1;
use taskpass_broker::{Error, KeptAlive, Proved};
use taskpass_core::task::TaskState;
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval};
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;

use super::super::{Service, convert};
use crate::status;

/// The stream of one process.
pub(crate) type Stream =
    Pin<Box<dyn tokio_stream::Stream<Item = Result<v1::KeepAliveResponse, Status>> + Send>>;

/// How often standing and task are looked at.
const LOOK: Duration = Duration::from_secs(1);
/// Looks for each message, while nothing changes.
const LOOKS_A_MESSAGE: u32 = 5;
/// Messages that may wait for a slow reader; it misses none that matters.
const WAITING: usize = 2;

impl Service {
    pub(super) fn kept_alive(&self, kept: KeptAlive, proved: Proved) -> Stream {
        let (sender, receiver) = mpsc::channel(WAITING);
        let keeping = Keeping {
            service: self.clone(),
            sender,
            kept,
            proved,
        };
        tokio::spawn(keeping.run());
        Box::pin(ReceiverStream::new(receiver))
    }
}

struct Keeping {
    service: Service,
    sender: mpsc::Sender<Result<v1::KeepAliveResponse, Status>>,
    kept: KeptAlive,
    proved: Proved,
}

impl Keeping {
    async fn run(self) {
        let mut ticks = interval(LOOK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let mut looks = 0;
        loop {
            tokio::select! {
                () = self.service.stop.cancelled() => {
                    let ending = Status::unavailable("the broker is stopping; connect again");
                    return self.last(Err(ending)).await;
                }
                // The reader has gone: an ordinary end.
                () = self.sender.closed() => return,
                _ = ticks.tick() => {}
            }
            match self.look().await {
                Ok(TaskState::Active) => {
                    if looks % LOOKS_A_MESSAGE == 0 {
                        // One that does not read is not waited for: it is asked whether it lives
                        // on the level of the connection.
                        let _ = self.sender.try_send(Ok(self.message(TaskState::Active)));
                    }
                    looks = looks.wrapping_add(1);
                }
                Ok(over) => {
                    let message = self.message(over);
                    return self.last(Ok(message)).await;
                }
                Err(error) if may_pass(&error) => {}
                Err(error) => return self.last(Err(status::of(error))).await,
            }
        }
    }

    async fn look(&self) -> Result<TaskState, Error> {
        // The task first: of one that ended with its agent it is said how.
        let state = self.kept.state().await?;
        self.service.broker.standing(&self.proved, None).await?;
        Ok(state)
    }

    fn message(&self, state: TaskState) -> v1::KeepAliveResponse {
        v1::KeepAliveResponse {
            state: convert::task_state(state).into(),
            deadline_at: Some(convert::timestamp(self.kept.deadline_at())),
            lost_after: prost_types::Duration::try_from(self.kept.lost_after()).ok(),
        }
    }

    /// Says the last thing, unless nobody takes it within a moment.
    async fn last(self, message: Result<v1::KeepAliveResponse, Status>) {
        let _ = self.sender.send_timeout(message, LOOK).await;
    }
}

/// Whether it is our trouble, and says nothing about the caller or the task.
fn may_pass(error: &Error) -> bool {
    matches!(error, Error::StoreUnavailable(_))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_own_trouble_is_waited_out() {
        let stored = Error::StoreUnavailable(Box::new(std::io::Error::other("disk")));
        assert!(may_pass(&stored));
        for final_one in [
            Error::Unauthenticated { message: "x" },
            Error::KeepAliveStreams,
            Error::ClockUnsafe,
        ] {
            assert!(!may_pass(&final_one), "{final_one}");
        }
    }
}
