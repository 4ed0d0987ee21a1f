//! Looking up what a request names; what is not there is refused before policy is asked.

use std::collections::BTreeSet;

use taskpass_core::grant::{Ask, Grant};
use taskpass_core::registry::{Registry, RowKey, State, Target, Versioned};
use taskpass_core::task::Task;
use taskpass_core::{AgentName, OwnerName, ScopeRef};
use taskpass_store::Guard;

use super::TokenRequest;
use crate::error::Error;
use crate::policy::current::decided_by;

/// Whether anything may be issued at all.
pub(crate) fn check_system(registry: &Registry) -> Result<(), Error> {
    let system = registry.system();
    if system.sealed_at.is_some() {
        Err(Error::BrokerSealed)
    } else if system.state == State::Active {
        Ok(())
    } else {
        Err(Error::BrokerHalted)
    }
}

/// The guards that check again what a decision read, and by which policies it was made.
pub(crate) fn unchanged(grant: &Grant, registry: &Registry) -> impl Iterator<Item = Guard> {
    let system = (RowKey::System, registry.version(&RowKey::System));
    grant
        .read()
        .iter()
        .cloned()
        .chain(std::iter::once(system))
        .map(|(key, version)| Guard::Unchanged { key, version })
        .chain(std::iter::once(decided_by(grant.basis())))
        .collect::<Vec<_>>()
        .into_iter()
}

/// The registered targets of these scopes; an unknown target or scope is the caller's mistake, and
/// said before policy is asked.
pub(crate) fn targets_of<'a>(
    registry: &'a Registry,
    scopes: &BTreeSet<ScopeRef>,
) -> Result<Vec<&'a Versioned<Target>>, Error> {
    let mut targets: Vec<&Versioned<Target>> = Vec::new();
    for scope in scopes {
        let target = registry
            .target(&scope.target)
            .ok_or_else(|| Error::UnknownTarget {
                target: scope.target.to_string(),
            })?;
        if !target.value.scopes.contains_key(&scope.scope) {
            return Err(Error::UnknownScope {
                scope: scope.clone(),
            });
        }
        if !targets
            .iter()
            .any(|other| other.value.uri == target.value.uri)
        {
            targets.push(target);
        }
    }
    Ok(targets)
}

/// The target of a token, which must be active, and have the scopes.
pub(super) fn token_target<'a>(
    registry: &'a Registry,
    request: &TokenRequest,
) -> Result<&'a Versioned<Target>, Error> {
    let target = registry
        .target(&request.target)
        .ok_or_else(|| Error::UnknownTarget {
            target: request.target.to_string(),
        })?;
    for scope in &request.scopes {
        if !target.value.scopes.contains_key(scope) {
            let scope = ScopeRef {
                target: request.target.clone(),
                scope: scope.clone(),
            };
            return Err(Error::UnknownScope { scope });
        }
    }
    if target.value.state != State::Active {
        return Err(Error::TargetNotActive {
            target: request.target.clone(),
        });
    }
    Ok(target)
}

/// Whether the task was started with every scope that is asked for.
pub(super) fn within_ceiling(task: &Task, ask: &Ask) -> Result<(), Error> {
    match ask.scopes().find(|scope| !task.scopes.contains(*scope)) {
        Some(scope) => Err(Error::ScopeExceedsTask {
            scope: scope.clone(),
        }),
        None => Ok(()),
    }
}

/// Who answers for an agent.
pub(crate) fn owner_of(registry: &Registry, agent: &AgentName) -> Result<OwnerName, Error> {
    let row = registry.agent(agent).ok_or_else(|| unknown_agent(agent))?;
    Ok(row.value.owner.clone())
}

/// An agent that is not registered is refused like one that is suspended.
pub(crate) fn unknown_agent(agent: &AgentName) -> Error {
    Error::AgentSuspended {
        agent: agent.to_string(),
        why: "it is not registered",
    }
}
