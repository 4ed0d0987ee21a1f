//! Deciding: policy is asked of the task's agent, and of every agent above it.

use taskpass_core::Timestamp;
use taskpass_core::grant::Grant;
use taskpass_core::registry::{Agent, Registry, Target, Versioned};
use taskpass_core::task::Task;
use taskpass_core::ttl::Ttl;
use taskpass_policy::Request;

use super::wanted::Wanted;
use crate::broker::Broker;
use crate::chain::{Asked, Chain, handed_on_by};
use crate::error::Error;
use crate::standing::Standing;
use crate::start::Attempt;

/// What was looked up.
pub(super) struct Found<'a> {
    pub(super) registry: &'a Registry,
    pub(super) task: &'a Task,
    pub(super) agent: &'a Versioned<Agent>,
    pub(super) target: Option<&'a Versioned<Target>>,
    pub(super) ttl: Ttl,
    pub(super) now: Timestamp,
}

impl Broker {
    /// Asks the policies. The grant is of the task's own agent; of a task that was handed on, the
    /// hand-over is asked again with it.
    pub(super) fn decide_issue<'a>(
        &self,
        caller: &Standing,
        wanted: &Wanted<'_>,
        found: &Found<'a>,
    ) -> Result<(Grant, Chain<'a>), Attempt> {
        let Found {
            registry,
            task,
            agent,
            target,
            ttl,
            now,
        } = *found;
        let handed_on = match wanted {
            Wanted::Token(_) => handed_on_by(&task.agent, task.ancestors.first()),
            Wanted::Certificate(_) => None,
        };
        let id = self.decision_id(now);
        let grant = self
            .policy
            .decide(
                id,
                &Request {
                    agent,
                    owner: registry.owner(&agent.value.owner).map(AsRef::as_ref),
                    targets: target.into_iter().collect(),
                    ask: wanted.ask(),
                    delegating_from: handed_on.map(|(agent, _)| agent),
                    task: Some(handed_on.map_or(task.id, |(_, parent)| parent)),
                    purpose: &task.purpose,
                    depth: task.ancestors.len(),
                    ttl,
                    attestation: caller.method(),
                    now,
                },
            )
            .map_err(|denial| Error::PolicyDenied(Box::new(denial)))?;
        let asked = Asked {
            id,
            ask: grant.ask(),
            targets: target.as_slice(),
            purpose: &task.purpose,
            ttl,
            attestation: caller.method(),
            now,
        };
        let set = grant.basis().policy_set;
        let chain = self.check_chain(registry, &task.agent, &task.ancestors, &asked, set)?;
        Ok((grant, chain))
    }
}
