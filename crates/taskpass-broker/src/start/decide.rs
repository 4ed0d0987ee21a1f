//! Whether a task may start: asked of the agent that is to run it, and, where it is handed on, of
//! every agent above.

use std::collections::BTreeSet;

use taskpass_core::ScopeRef;
use taskpass_core::grant::{Ask, Grant};
use taskpass_core::registry::{Agent, Registry, Target, Versioned};
use taskpass_core::task::{Ancestor, Task};
use taskpass_core::{AgentName, Timestamp, Ttl};
use taskpass_policy::Request;

use super::{Attempt, StartRequest};
use crate::broker::Broker;
use crate::chain::{Asked, Chain};
use crate::error::Error;
use crate::issue::{targets_of, unknown_agent};
use crate::standing::{Standing, check_agent};

/// What a start is decided on.
pub(super) struct Starting<'a, 'r> {
    pub(super) registry: &'r Registry,
    /// Who asks.
    pub(super) starter: &'a AgentName,
    /// Who is to run it.
    pub(super) agent: &'r Versioned<Agent>,
    pub(super) parent: Option<&'a Task>,
    /// What stands above it: the parent first.
    pub(super) ancestors: &'a [Ancestor],
    pub(super) ttl: Ttl,
    pub(super) now: Timestamp,
}

/// The agent that is to run a task: whoever asks, unless it hands the task on.
///
/// Of another agent it is not told why it takes part in nothing, nor whether there is one.
pub(super) fn runner<'a>(
    registry: &'a Registry,
    starter: &AgentName,
    named: Option<&AgentName>,
    now: Timestamp,
) -> Result<&'a Versioned<Agent>, Error> {
    let Some(other) = named.filter(|named| *named != starter) else {
        let own = registry.agent(starter).map(AsRef::as_ref);
        let own = own.ok_or_else(|| unknown_agent(starter))?;
        check_agent(registry, &own.value, now)?;
        return Ok(own);
    };
    let row = registry.agent(other).map(AsRef::as_ref);
    row.filter(|row| check_agent(registry, &row.value, now).is_ok())
        .ok_or_else(|| Error::AgentSuspended {
            agent: other.to_string(),
            why: "it is not registered, or cannot take part at present; its owner knows why",
        })
}

impl Broker {
    /// Asks the policies. The grant is of the agent that is to run the task.
    pub(super) fn decide_start<'r>(
        &self,
        caller: &Standing,
        request: &StartRequest,
        starting: &Starting<'_, 'r>,
    ) -> Result<(Grant, Chain<'r>), Attempt> {
        let depth = starting.ancestors.len();
        let registry = starting.registry;
        let runner = &starting.agent.value.name;
        let max = self
            .limits
            .amounts
            .depth(registry, runner, starting.ancestors);
        if depth > max {
            return Err(Error::TaskTooDeep { max }.into());
        }
        let targets = targets_of(registry, &request.scopes)?;
        let agent = starting.agent;
        let id = self.decision_id(starting.now);
        let grant = self
            .policy
            .decide(
                id,
                &Request {
                    agent,
                    owner: registry.owner(&agent.value.owner).map(AsRef::as_ref),
                    targets: targets.clone(),
                    ask: Ask::Scopes(request.scopes.clone()),
                    delegating_from: starting.parent.map(|_| starting.starter),
                    task: starting.parent.map(|task| task.id),
                    purpose: &request.purpose,
                    depth,
                    ttl: starting.ttl,
                    attestation: caller.method(),
                    now: starting.now,
                },
            )
            .map_err(|denial| Error::PolicyDenied(Box::new(denial)))?;
        let chain = self.ask_above_start(caller, request, starting, &targets, &grant)?;
        within_parent(starting.parent, &request.scopes)?;
        Ok((grant, chain))
    }

    /// Nobody hands on what it could not get itself.
    fn ask_above_start<'r>(
        &self,
        caller: &Standing,
        request: &StartRequest,
        starting: &Starting<'_, 'r>,
        targets: &[&Versioned<Target>],
        grant: &Grant,
    ) -> Result<Chain<'r>, Attempt> {
        let asked = Asked {
            id: grant.basis().id,
            ask: grant.ask(),
            targets,
            purpose: &request.purpose,
            ttl: starting.ttl,
            attestation: caller.method(),
            now: starting.now,
        };
        self.check_chain(
            starting.registry,
            &starting.agent.value.name,
            starting.ancestors,
            &asked,
            grant.basis().policy_set,
        )
    }
}

fn within_parent(parent: Option<&Task>, scopes: &BTreeSet<ScopeRef>) -> Result<(), Error> {
    let beyond = parent.and_then(|parent| scopes.difference(&parent.scopes).next());
    match beyond {
        Some(scope) => Err(Error::ScopeExceedsTask {
            scope: scope.clone(),
        }),
        None => Ok(()),
    }
}
