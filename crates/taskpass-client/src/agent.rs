//! What an agent does: start a task, take tokens and certificates under it, end it.
//!
//! Scopes and targets are parsed here, so a misspelt one is an error before anything is sent.
//! Lifetimes are the broker's to decide; what it granted is in the reply. A call that is refused
//! because a revocation happened within the same second is made once more, after the wait that the
//! broker names: nothing was issued by the first one.

mod credential;
mod delegate;
mod keep_alive;
mod renewing;
mod retry;
mod used;

use std::collections::BTreeSet;
use std::time::Duration;

use taskpass_api::v1::task_service_client::TaskServiceClient;
use taskpass_api::v1::{self, StartRequest};
use taskpass_core::scope::ParseScopeError;
use taskpass_core::{AgentName, ScopeRef, TaskId, Timestamp};
use tonic::transport::Channel;

use crate::connect::{ConnectError, connect, connect_presenting};
use crate::connection::Connection;
use crate::error::Refused;
use crate::follow::{FollowError, follow};
use crate::identity::{Identity, IdentityError};
use crate::key::KeyError;
use crate::wire;

pub use credential::{Certificate, Token};
pub use delegate::Delegated;
pub use keep_alive::{KeepAlive, Liveness};
pub use renewing::{Credentials, Renewal, Renewed, Renewing, Wanted};
use retry::once_more;
pub use used::{Said, Use};

/// An agent's call did not succeed.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    /// No connection.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The broker refused.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// A scope or target is misspelt.
    #[error(transparent)]
    Scope(#[from] ParseScopeError),
    /// No key pair for a certificate.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The certificate that was issued is not of the key that was asked for.
    #[error("the broker's answer holds no usable certificate")]
    Certificate(#[source] IdentityError),
    /// The task has reached its deadline.
    #[error("the task has reached its deadline")]
    Deadline,
    /// The broker's answer lacks something, or holds something that it may not.
    #[error("the broker's answer has no usable {field}")]
    Answer {
        /// What is missing.
        field: &'static str,
    },
}

/// A connection to the broker as an agent. Cloning it shares the connection.
#[derive(Debug, Clone)]
pub struct Agent {
    channel: Connection,
}

/// What a task is to be.
#[derive(Debug, Clone, Default)]
struct Wish {
    parent: Option<TaskId>,
    agent: Option<AgentName>,
    idempotency_key: Option<String>,
}

impl Agent {
    /// Connects with an identity; the broker must be known by the identity's anchors.
    pub async fn connect(addr: &str, identity: &Identity) -> Result<Self, AgentError> {
        let channel = connect(addr, Some(identity), identity.ca_pem()).await?;
        Ok(Self::over(channel))
    }

    /// Connects with the identity in `folder`, and takes up the one that is there after each renewal:
    /// for an agent that runs longer than its identity lives. Needs a tokio runtime. Connects when it is
    /// first used.
    pub fn connect_in(addr: &str, folder: &std::path::Path) -> Result<Self, FollowError> {
        Ok(Self::over(follow(addr, folder)?))
    }

    /// Uses a channel that exists.
    pub fn over(channel: Channel) -> Self {
        Self::by(channel.into())
    }

    /// Uses a connection that exists.
    pub fn by(connection: Connection) -> Self {
        Self {
            channel: connection,
        }
    }

    /// Connects with the token in `token_file`, as a platform gives it to its workloads; it is read again
    /// for each call. The broker must be known by `anchors_pem`.
    pub async fn connect_presenting(
        addr: &str,
        token_file: &std::path::Path,
        anchors_pem: &str,
    ) -> Result<Self, AgentError> {
        let connection = connect_presenting(addr, token_file, anchors_pem).await?;
        Ok(Self::by(connection))
    }

    /// Connects to the Unix socket of a broker on this machine: `unix:/path`.
    pub async fn connect_unix(addr: &str) -> Result<Self, AgentError> {
        Ok(Self::over(connect(addr, None, "").await?))
    }

    /// Starts a task for `purpose` whose credentials may never exceed `scopes` (written
    /// `TARGET#SCOPE`); without a `ttl` the broker's default holds.
    pub async fn start_task<S: AsRef<str>>(
        &self,
        purpose: &str,
        scopes: impl IntoIterator<Item = S>,
        ttl: Option<Duration>,
    ) -> Result<Task, AgentError> {
        self.start(purpose, scopes, ttl, Wish::default()).await
    }

    /// As [`start_task`](Self::start_task); starting again with the same key and request gives the
    /// same task, however often the answer was lost.
    pub async fn start_task_once<S: AsRef<str>>(
        &self,
        idempotency_key: &str,
        purpose: &str,
        scopes: impl IntoIterator<Item = S>,
        ttl: Option<Duration>,
    ) -> Result<Task, AgentError> {
        let wish = Wish {
            idempotency_key: Some(idempotency_key.to_owned()),
            ..Wish::default()
        };
        self.start(purpose, scopes, ttl, wish).await
    }

    async fn start<S: AsRef<str>>(
        &self,
        purpose: &str,
        scopes: impl IntoIterator<Item = S>,
        ttl: Option<Duration>,
        wish: Wish,
    ) -> Result<Task, AgentError> {
        let scopes: BTreeSet<ScopeRef> = scopes
            .into_iter()
            .map(|text| text.as_ref().parse())
            .collect::<Result<_, _>>()?;
        let request = StartRequest {
            purpose: purpose.to_owned(),
            scopes: scopes.iter().map(ToString::to_string).collect(),
            ttl: ttl.map(wire::duration),
            parent_task_id: wish.parent.map(|id| id.to_string()).unwrap_or_default(),
            idempotency_key: wish.idempotency_key.unwrap_or_default(),
            agent: wish.agent.map(|name| name.to_string()).unwrap_or_default(),
        };
        let client = TaskServiceClient::new(self.channel.clone());
        let reply = once_more(|| {
            let (mut client, request) = (client.clone(), request.clone());
            async move { client.start(request).await }
        })
        .await?;
        Task::read(self.clone(), reply.into_inner())
    }
}

/// A task that runs. Dropping it does not end it: its deadline does, or [`Task::complete`].
#[derive(Debug, Clone)]
pub struct Task {
    agent: Agent,
    id: TaskId,
    deadline: Timestamp,
    scopes: BTreeSet<ScopeRef>,
    clamped_by: Vec<String>,
}

/// What the end of a task ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Completed {
    /// How many live credentials.
    pub credentials: u64,
}

impl Task {
    fn read(agent: Agent, reply: v1::StartResponse) -> Result<Self, AgentError> {
        let scopes: Result<_, ParseScopeError> =
            reply.scopes.iter().map(|text| text.parse()).collect();
        Ok(Self {
            agent,
            id: reply
                .task_id
                .parse()
                .map_err(|_| AgentError::Answer { field: "task id" })?,
            deadline: wire::timestamp(reply.deadline_at)
                .ok_or(AgentError::Answer { field: "deadline" })?,
            scopes: scopes.map_err(|_| AgentError::Answer { field: "scopes" })?,
            clamped_by: reply.clamped_by,
        })
    }

    /// Its id.
    pub fn id(&self) -> TaskId {
        self.id
    }

    /// When it ends at the latest.
    pub fn deadline(&self) -> Timestamp {
        self.deadline
    }

    /// The ceiling that was granted.
    pub fn scopes(&self) -> &BTreeSet<ScopeRef> {
        &self.scopes
    }

    /// What shortened it; empty if nothing did.
    pub fn clamped_by(&self) -> &[String] {
        &self.clamped_by
    }

    /// Starts a task under this one, with at most its scopes and its deadline.
    pub async fn start_child<S: AsRef<str>>(
        &self,
        purpose: &str,
        scopes: impl IntoIterator<Item = S>,
        ttl: Option<Duration>,
    ) -> Result<Task, AgentError> {
        let wish = Wish {
            parent: Some(self.id),
            ..Wish::default()
        };
        self.agent.start(purpose, scopes, ttl, wish).await
    }

    /// Ends the task with everything under it; whatever it issued is revoked.
    pub async fn complete(self) -> Result<Completed, AgentError> {
        self.agent.end(self.id).await
    }
}

#[cfg(test)]
mod tests;
