//! Keeping a task alive, in the background, for as long as the handle lives.
//!
//! When the connection breaks it is made again, soon and then less often: the task goes on within the
//! broker's grace, and a broker that restarts gives one of its own. Only an answer ends this: that the
//! task is over, or that the caller may not. Dropping the handle (or the process) ends the task.

use std::sync::Arc;
use std::time::Duration;

use taskpass_api::v1::task_service_client::TaskServiceClient;
use taskpass_api::v1::{KeepAliveRequest, KeepAliveResponse, TaskState};
use taskpass_core::rng::{Rng, SystemRng};
use tokio::sync::watch;
use tokio::task::AbortHandle;
use tonic::{Code, Streaming};

use super::{AgentError, Task, once_more};
use crate::error::Refused;
use crate::wire;

/// The first wait before connecting again, and the longest.
const SOON: Duration = Duration::from_millis(200);
const SELDOM: Duration = Duration::from_secs(2);
/// How long an answer that the caller is not known is not believed: an identity may be renewed in
/// that time. The broker's own words replace it.
const LOST_AFTER: Duration = Duration::from_secs(30);

/// What is known of a task that is kept alive.
#[derive(Debug, Clone)]
pub enum Liveness {
    /// The broker hears us.
    Held,
    /// The broker does not hear us at the moment: the task ends unless that changes soon.
    Away(Arc<Refused>),
    /// It is over: `completed`, `revoked`, `lost` or `expired`.
    Over(&'static str),
    /// The broker will not have it kept alive by us.
    Refused(Arc<Refused>),
}

impl Liveness {
    /// Whether nothing more will come.
    pub fn is_final(&self) -> bool {
        matches!(self, Self::Over(_) | Self::Refused(_))
    }
}

/// Keeps a task alive until it is dropped.
#[derive(Debug)]
pub struct KeepAlive {
    newest: watch::Receiver<Liveness>,
    keeping: AbortHandle,
}

impl Drop for KeepAlive {
    fn drop(&mut self) {
        self.keeping.abort();
    }
}

impl KeepAlive {
    /// What is known now.
    pub fn liveness(&self) -> Liveness {
        self.newest.borrow().clone()
    }

    /// Tells of every change.
    pub fn subscribe(&self) -> watch::Receiver<Liveness> {
        self.newest.clone()
    }

    /// Waits for the end; returns why.
    pub async fn over(&mut self) -> Liveness {
        // It never stops without a last word, unless it is aborted with this.
        let _ = self.newest.wait_for(Liveness::is_final).await;
        self.liveness()
    }
}

impl Task {
    /// Ties the task to this process: it ends, as lost, with everything under it, soon after the
    /// returned handle or the process is gone. Returns once the broker has said so. Needs a tokio runtime.
    pub async fn keep_alive(&self) -> Result<KeepAlive, AgentError> {
        let mut stream = self.open_keep_alive().await?;
        let first = match stream.message().await {
            Ok(Some(first)) => first,
            Ok(None) => return Err(AgentError::Answer { field: "message" }),
            Err(status) => return Err(Refused::from(status).into()),
        };
        let (sender, newest) = watch::channel(Liveness::Held);
        let keeping = Keeping {
            task: self.clone(),
            lost_after: LOST_AFTER,
            rng: Box::new(SystemRng::new()),
            sender,
        };
        let keeping = tokio::spawn(keeping.run(stream, first));
        Ok(KeepAlive {
            newest,
            keeping: keeping.abort_handle(),
        })
    }

    async fn open_keep_alive(&self) -> Result<Streaming<KeepAliveResponse>, Refused> {
        let request = KeepAliveRequest {
            task_id: self.id.to_string(),
        };
        let client = TaskServiceClient::new(self.agent.channel.clone());
        let reply = once_more(|| {
            let (mut client, request) = (client.clone(), request.clone());
            async move { client.keep_alive(request).await }
        })
        .await?;
        Ok(reply.into_inner())
    }
}

struct Keeping {
    task: Task,
    lost_after: Duration,
    rng: Box<dyn Rng>,
    sender: watch::Sender<Liveness>,
}

impl Keeping {
    async fn run(mut self, mut stream: Streaming<KeepAliveResponse>, first: KeepAliveResponse) {
        let mut end = self.heard(&first);
        loop {
            if end.is_none() {
                end = self.listen(&mut stream).await;
            }
            if let Some(end) = end {
                self.sender.send_replace(end);
                return;
            }
            match self.again().await {
                Ok(opened) => stream = opened,
                Err(refused) => {
                    let refused = Liveness::Refused(Arc::new(refused));
                    self.sender.send_replace(refused);
                    return;
                }
            }
        }
    }

    /// Listens until the stream breaks, or the task is over.
    async fn listen(&mut self, stream: &mut Streaming<KeepAliveResponse>) -> Option<Liveness> {
        let why = loop {
            match stream.message().await {
                Ok(Some(message)) => {
                    if let Some(end) = self.heard(&message) {
                        return Some(end);
                    }
                }
                Ok(None) => {
                    break Refused::from(tonic::Status::unavailable("the stream has ended"));
                }
                Err(status) => break Refused::from(status),
            }
        };
        if is_final(&why) && why.code != Code::Unauthenticated {
            return Some(Liveness::Refused(Arc::new(why)));
        }
        self.sender.send_replace(Liveness::Away(Arc::new(why)));
        None
    }

    /// Connects again, until that works or is refused for good.
    async fn again(&self) -> Result<Streaming<KeepAliveResponse>, Refused> {
        let (mut wait, mut unknown_for) = (SOON, Duration::ZERO);
        loop {
            tokio::time::sleep(spread(wait, &*self.rng)).await;
            let refused = match self.task.open_keep_alive().await {
                Ok(stream) => return Ok(stream),
                Err(refused) => refused,
            };
            if refused.code == Code::Unauthenticated {
                unknown_for += wait;
            }
            let believed = refused.code != Code::Unauthenticated || unknown_for >= self.lost_after;
            if is_final(&refused) && believed {
                return Err(refused);
            }
            self.sender.send_replace(Liveness::Away(Arc::new(refused)));
            wait = (wait * 2).min(SELDOM);
        }
    }

    /// Takes a message in; the end, if it says so.
    fn heard(&mut self, message: &KeepAliveResponse) -> Option<Liveness> {
        if let Some(lost_after) = wire::positive(message.lost_after) {
            self.lost_after = lost_after;
        }
        let over = match message.state() {
            TaskState::Completed => "completed",
            TaskState::Revoked => "revoked",
            TaskState::Lost => "lost",
            TaskState::Expired => "expired",
            // What a newer broker says and we do not know is no end.
            TaskState::Active | TaskState::Unspecified => {
                self.sender.send_if_modified(|newest| {
                    let back = !matches!(newest, Liveness::Held);
                    *newest = Liveness::Held;
                    back
                });
                return None;
            }
        };
        Some(Liveness::Over(over))
    }
}

/// About `wait`, give or take half of it: those whom one restart of the broker cut off do not come back
/// all at once, and again and again.
fn spread(wait: Duration, rng: &dyn Rng) -> Duration {
    let thousandths = 500 + u32::try_from(rng.below(1001)).unwrap_or(500);
    wait * thousandths / 1000
}

/// Whether the broker has judged, and connecting again will not help.
fn is_final(refused: &Refused) -> bool {
    matches!(
        refused.code,
        Code::InvalidArgument
            | Code::NotFound
            | Code::PermissionDenied
            | Code::FailedPrecondition
            | Code::Unauthenticated
            | Code::Unimplemented
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::Agent;
    use crate::testing::{Broker, LEDGER, READ};

    #[tokio::test]
    async fn a_broken_stream_is_opened_again_and_the_end_is_said() {
        let broker = Broker::start().await;
        let agent = Agent::connect(&broker.addr, &broker.identity())
            .await
            .unwrap();
        let scope = format!("{LEDGER}#{READ}");
        let task = agent.start_task("x", [scope], None).await.unwrap();
        let mut kept = task.keep_alive().await.unwrap();
        let mut heard = kept.subscribe();
        let away = heard.wait_for(|newest| matches!(newest, Liveness::Away(_)));
        away.await.unwrap();
        assert!(matches!(kept.over().await, Liveness::Over("lost")));
        assert!(kept.liveness().is_final());
        let AgentError::Refused(refused) = task.keep_alive().await.unwrap_err() else {
            panic!("another error");
        };
        assert_eq!(refused.code, Code::FailedPrecondition);
    }

    #[test]
    fn many_that_were_cut_off_at_once_come_back_one_after_another() {
        let rng = taskpass_core::rng::SeededRng::new(5);
        let waits: std::collections::BTreeSet<_> =
            (0..100).map(|_| spread(SELDOM, &rng).as_millis()).collect();
        assert!(waits.len() > 90, "{waits:?}");
        assert!(waits.first() >= Some(&1000) && waits.last() <= Some(&3000));
    }

    #[test]
    fn only_a_judgement_is_final() {
        for (code, expected) in [
            (Code::Unavailable, false),
            (Code::ResourceExhausted, false),
            (Code::Unknown, false),
            (Code::Internal, false),
            (Code::Cancelled, false),
            (Code::NotFound, true),
            (Code::PermissionDenied, true),
            (Code::FailedPrecondition, true),
            (Code::Unauthenticated, true),
        ] {
            let refused = Refused::from(tonic::Status::new(code, "x"));
            assert_eq!(is_final(&refused), expected, "{code:?}");
        }
    }
}
