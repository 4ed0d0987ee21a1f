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
    /// How the caller proved itself: `mtls` or `private_key_jwt`.
    pub attestation: &'a str,
    /// The present.
    pub now: Timestamp,
}

impl Request<'_> {
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
