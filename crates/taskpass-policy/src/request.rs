//! What is asked of the policies.

use taskpass_core::grant::Ask;
use taskpass_core::registry::{Agent, Owner, RowKey, Target, Versioned};
use taskpass_core::{AgentName, TaskId, Timestamp, Ttl};

/// One request: who asks, what for, and everything that the policies may know about it.
///
/// The rows are the registry's as they were read; their versions go into the grant, so that the
/// commit that follows can check them again.
#[derive(Debug)]
pub struct Request<'a> {
    /// The agent that is to be granted something; for a child task, the child's.
    pub agent: &'a Versioned<Agent>,
    /// Its owner. Without one the request is denied.
    pub owner: Option<&'a Versioned<Owner>>,
    /// Every target that the ask names. A scope whose target is not here is denied.
    pub targets: Vec<&'a Versioned<Target>>,
    /// What is asked for.
    pub ask: Ask,
    /// When a child task starts: the agent that runs its parent.
    pub delegating_from: Option<&'a AgentName>,
    /// The task that a certificate is to prove; when a child task starts, the parent.
    pub task: Option<TaskId>,
    /// What the task is for, in the agent's words.
    pub purpose: &'a str,
    /// How many tasks are above this one.
    pub depth: usize,
    /// The lifetime asked for.
    pub ttl: Ttl,
    /// How the caller proved itself: `mtls`, `private_key_jwt`, `federated_jwt`, `foreign_svid` or
    /// `unix`.
    pub attestation: &'a str,
    /// The present.
    pub now: Timestamp,
}

impl Request<'_> {
    /// What the task is for, as policies see it.
    pub(crate) fn stated_purpose(&self) -> &str {
        self.purpose.trim()
    }

    /// The lifetime as policies see it: rounded up.
    pub(crate) fn ttl_seconds(&self) -> u64 {
        let ttl = self.ttl.duration();
        // A lifetime is far below what could overflow here.
        ttl.as_secs()
            .saturating_add(u64::from(ttl.subsec_nanos() > 0))
    }

    /// Whether a task is asked about: scopes are the same for every task, unless somebody hands it on.
    pub(crate) fn is_about_a_task(&self) -> bool {
        self.delegating_from.is_some() || !matches!(self.ask, Ask::Scopes(_))
    }

    /// The task, where one is asked about.
    pub(crate) fn task_asked_about(&self) -> Option<TaskId> {
        self.task.filter(|_| self.is_about_a_task())
    }

    /// The rows of the registry that a decision on this reads.
    pub(crate) fn read(&self) -> Vec<(RowKey, u64)> {
        let agent = (
            RowKey::Agent(self.agent.value.name.clone()),
            self.agent.version,
        );
        let owner = self
            .owner
            .map(|owner| (RowKey::Owner(owner.value.name.clone()), owner.version));
        let targets = self
            .targets
            .iter()
            .map(|target| (RowKey::Target(target.value.uri.clone()), target.version));
        std::iter::once(agent).chain(owner).chain(targets).collect()
    }
}
