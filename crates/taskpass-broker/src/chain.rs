//! The agents above a task that was handed on.
//!
//! A task never does for one agent what another agent above it could not do itself, today: each of
//! them is registered and active and has an active owner, and the policies allow each of them the
//! same scopes, and each hand-over. It is asked when such a task starts and again with everything that
//! is issued under it; what was read goes into the commit's guards. That the tasks above are live is
//! the commit's own check ([`Guard::TaskLive`]). A task that nobody handed on costs nothing here.
//!
//! A certificate carries no scope, so for one the policies are asked of its own agent only; those
//! above must be active.

use std::collections::BTreeSet;

use taskpass_core::grant::{Ask, Grant};
use taskpass_core::registry::{Agent, Owner, Registry, RowKey, Target, Versioned};
use taskpass_core::secret::Sha256;
use taskpass_core::task::Ancestor;
use taskpass_core::{AgentName, DecisionId, TaskId, Timestamp, Ttl};
use taskpass_policy::Request;
use taskpass_store::Guard;

use crate::broker::Broker;
use crate::error::Error;
use crate::issue::unknown_agent;
use crate::standing::check_agent;
use crate::start::Attempt;

/// What is asked for, of every agent of a chain alike.
pub(crate) struct Asked<'a> {
    /// The decision that all of it is one part of.
    pub(crate) id: DecisionId,
    /// What.
    pub(crate) ask: &'a Ask,
    /// The targets that it names.
    pub(crate) targets: &'a [&'a Versioned<Target>],
    /// What the task is for.
    pub(crate) purpose: &'a str,
    /// The lifetime.
    pub(crate) ttl: Ttl,
    /// How the caller proved itself.
    pub(crate) attestation: &'a str,
    /// The present.
    pub(crate) now: Timestamp,
}

/// What the agents above were found to allow.
#[derive(Default)]
pub(crate) struct Chain<'a> {
    /// Each of them once.
    pub(crate) agents: Vec<&'a Agent>,
    /// Whether something of it was allowed only because its target is observed.
    pub(crate) would_deny: bool,
    read: BTreeSet<(RowKey, u64)>,
}

impl Chain<'_> {
    /// The guards that check again what was read.
    pub(crate) fn guards(self) -> impl Iterator<Item = Guard> {
        let unchanged = |(key, version)| Guard::Unchanged { key, version };
        self.read.into_iter().map(unchanged)
    }
}

/// Who handed a task on to `agent`, where that was somebody else: the agent that runs the task above,
/// and that task.
pub(crate) fn handed_on_by<'a>(
    agent: &AgentName,
    above: Option<&'a Ancestor>,
) -> Option<(&'a AgentName, TaskId)> {
    let other = above.filter(|above| above.agent != *agent);
    other.map(|above| (&above.agent, above.task))
}

/// The agent that an error refuses, where it is another one than `agent`.
pub(crate) fn refused_above<'a>(error: &'a Error, agent: &AgentName) -> Option<&'a str> {
    let refused = match error {
        Error::AgentSuspended { agent, .. } => agent.as_str(),
        Error::AboveDenied { agent, .. } => agent.as_str(),
        _ => return None,
    };
    (refused != agent.as_str()).then_some(refused)
}

impl Broker {
    /// Asks every agent above one that runs a task as `agent`, beneath `ancestors` (the nearest first).
    /// `set` is the policy set that decided about `agent` itself.
    pub(crate) fn check_chain<'a>(
        &self,
        registry: &'a Registry,
        agent: &AgentName,
        ancestors: &[Ancestor],
        asked: &Asked<'_>,
        set: Sha256,
    ) -> Result<Chain<'a>, Attempt> {
        let mut chain = Chain::default();
        if ancestors.iter().all(|above| above.agent == *agent) {
            return Ok(chain);
        }
        let mut known: Vec<(&AgentName, Option<&AgentName>)> = vec![(agent, None)];
        for (at, above) in ancestors.iter().enumerate() {
            let from = handed_on_by(&above.agent, ancestors.get(at.saturating_add(1)));
            let link = (&above.agent, from.map(|(agent, _)| agent));
            // Who was handed this by somebody was asked all that it is asked without.
            let asked_before = known
                .iter()
                .any(|other| *other == link || (link.1.is_none() && other.0 == link.0));
            if asked_before {
                continue;
            }
            known.push(link);
            let row = registry
                .agent(&above.agent)
                .ok_or_else(|| unknown_agent(&above.agent))?;
            check_agent(registry, &row.value, asked.now)?;
            let owner = registry.owner(&row.value.owner).map(AsRef::as_ref);
            if !chain.agents.iter().any(|known| known.name == above.agent) {
                chain.agents.push(&row.value);
            }
            chain.read.extend(rows(row, owner));
            if matches!(asked.ask, Ask::Scopes(_)) {
                let depth = ancestors.len().saturating_sub(at.saturating_add(1));
                let grant = self.ask_above(row, owner, from, depth, asked)?;
                if grant.basis().policy_set != set {
                    // Another set came into force in between: one decision is by one set.
                    return Err(Attempt::Again);
                }
                chain.would_deny |= grant.basis().would_deny;
                chain.read.extend(grant.read().iter().cloned());
            }
        }
        Ok(chain)
    }

    fn ask_above(
        &self,
        agent: &Versioned<Agent>,
        owner: Option<&Versioned<Owner>>,
        from: Option<(&AgentName, TaskId)>,
        depth: usize,
        asked: &Asked<'_>,
    ) -> Result<Grant, Error> {
        let request = Request {
            agent,
            owner,
            targets: asked.targets.to_vec(),
            ask: asked.ask.clone(),
            delegating_from: from.map(|(agent, _)| agent),
            task: from.map(|(_, task)| task),
            purpose: asked.purpose,
            depth,
            ttl: asked.ttl,
            attestation: asked.attestation,
            now: asked.now,
        };
        self.policy
            .decide(asked.id, &request)
            .map_err(|denial| Error::AboveDenied {
                agent: agent.value.name.clone(),
                denial: Box::new(denial),
            })
    }
}

fn rows(agent: &Versioned<Agent>, owner: Option<&Versioned<Owner>>) -> Vec<(RowKey, u64)> {
    let own = (RowKey::Agent(agent.value.name.clone()), agent.version);
    let owner = owner.map(|owner| (RowKey::Owner(owner.value.name.clone()), owner.version));
    std::iter::once(own).chain(owner).collect()
}
