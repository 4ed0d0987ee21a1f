//! What makes a row acceptable.

mod client_keys;

use std::time::Duration;

use taskpass_core::Timestamp;
use taskpass_core::access::{TokenAlg, TokenProfile};
use taskpass_core::registry::{Agent, Operator, Registry, Role, Row, RowKey, State, Target};
use taskpass_core::task::MAX_SCOPES;
use taskpass_core::ttl::MAX_TOKEN_TTL;

use crate::error::Error;

/// An agent's registration ends within this time, and has to be extended by a recorded act.
const MAX_VALIDITY: Duration = Duration::from_hours(400 * 24);
/// The longest free text of a registration.
const MAX_TEXT: usize = 256;
/// The most labels of an agent.
const MAX_LABELS: usize = 32;
/// The most scopes of a target.
const MAX_TARGET_SCOPES: usize = 256;

/// A new row begins active and now, whatever the request said.
pub(super) fn fresh(row: Row, now: Timestamp) -> Row {
    match with_state(row, State::Active) {
        Row::Agent(agent) => Row::Agent(Agent {
            created_at: now,
            client_keys: client_keys::dated(agent.client_keys, &[], now),
            ..agent
        }),
        other => other,
    }
}

/// An update keeps what only other verbs change: the state, and when it and its keys were registered.
pub(super) fn keeping(row: Row, present: &Row, now: Timestamp) -> Row {
    match (with_state(row, super::state(present)), present) {
        (Row::Agent(agent), Row::Agent(present)) => Row::Agent(Agent {
            created_at: present.created_at,
            client_keys: client_keys::dated(agent.client_keys, &present.client_keys, now),
            ..agent
        }),
        (other, _) => other,
    }
}

/// The row in another state.
pub(super) fn with_state(mut row: Row, state: State) -> Row {
    match &mut row {
        Row::Owner(owner) => owner.state = state,
        Row::Agent(agent) => agent.state = state,
        Row::Target(target) => target.state = state,
        Row::Operator(operator) => operator.state = state,
        Row::Verifier(verifier) => verifier.state = state,
        Row::System(system) => system.state = state,
    }
    row
}

/// Whether `row` may be written.
pub(super) fn row(registry: &Registry, row: &Row, now: Timestamp) -> Result<(), Error> {
    match row {
        Row::Owner(owner) => text("contact", &owner.contact),
        Row::Agent(agent) => check_agent(registry, agent, now),
        Row::Target(target) => check_target(registry, target),
        Row::Operator(_) => keeps_an_admin(registry, row),
        Row::Verifier(verifier) => match verifier
            .targets
            .iter()
            .find(|uri| registry.target(uri).is_none())
        {
            Some(uri) => Err(Error::UnknownTarget {
                target: uri.to_string(),
            }),
            None => Ok(()),
        },
        Row::System(_) => Ok(()),
    }
}

fn check_agent(registry: &Registry, agent: &Agent, now: Timestamp) -> Result<(), Error> {
    text("purpose", &agent.purpose)?;
    let owner = registry.owner(&agent.owner);
    let owner = owner.ok_or_else(|| Error::EntryNotFound {
        key: RowKey::Owner(agent.owner.clone()),
    })?;
    if owner.value.state != State::Active {
        return Err(Error::OwnerNotActive {
            owner: agent.owner.to_string(),
        });
    }
    if agent.valid_until <= now || agent.valid_until > now.plus(MAX_VALIDITY) {
        return Err(Error::field(
            "valid_until",
            "an instant in the next 400 days",
        ));
    }
    if agent.scopes.len() > MAX_SCOPES {
        let message = format!("an agent has at most {MAX_SCOPES} scopes");
        return Err(Error::InvalidScope { message });
    }
    for scope in &agent.scopes {
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
    }
    client_keys::check(&agent.client_keys, now)?;
    let labels_are_good = agent.labels.len() <= MAX_LABELS
        && agent
            .labels
            .iter()
            .all(|(key, value)| (1..=63).contains(&key.len()) && value.len() <= MAX_TEXT);
    if labels_are_good {
        Ok(())
    } else {
        Err(Error::field("labels", "at most 32 short labels"))
    }
}

/// A scope that an agent's registration names cannot be taken away from its target unnoticed.
fn check_target(registry: &Registry, target: &Target) -> Result<(), Error> {
    if target.token_profile == TokenProfile::Cloud && target.token_alg != TokenAlg::Es256 {
        let rule = "ES256 for targets of the profile cloud: clouds take no EdDSA";
        return Err(Error::field("token_alg", rule));
    }
    if target.scopes.len() > MAX_TARGET_SCOPES {
        let message = format!("a target has at most {MAX_TARGET_SCOPES} scopes");
        return Err(Error::InvalidScope { message });
    }
    if target.max_ttl.is_some_and(|ttl| ttl > MAX_TOKEN_TTL) {
        return Err(Error::field("max_ttl", format!("at most {MAX_TOKEN_TTL}")));
    }
    for agent in registry
        .agents()
        .filter(|row| row.value.state != State::Retired)
    {
        let lost =
            agent.value.scopes.iter().find(|scope| {
                scope.target == target.uri && !target.scopes.contains_key(&scope.scope)
            });
        if let Some(scope) = lost {
            let message = format!(
                "agent `{}` is registered for `{scope}`; narrow its registration first",
                agent.value.name
            );
            return Err(Error::InvalidScope { message });
        }
    }
    Ok(())
}

/// Whether an active administrator remains once `row` is written.
pub(super) fn keeps_an_admin(registry: &Registry, row: &Row) -> Result<(), Error> {
    let Row::Operator(next) = row else {
        return Ok(());
    };
    let present = registry.operator(&next.name).map(|row| &row.value);
    let is_admin = |operator: &Operator| {
        operator.state == State::Active && operator.roles.contains(&Role::Admin)
    };
    let takes_one_away = present.is_some_and(is_admin) && !is_admin(next);
    let another = registry
        .operators()
        .any(|row| row.value.name != next.name && is_admin(&row.value));
    if takes_one_away && !another {
        return Err(Error::LastAdmin {
            name: next.name.to_string(),
        });
    }
    Ok(())
}

fn text(field: &'static str, value: &str) -> Result<(), Error> {
    let length = value.chars().count();
    if (1..=MAX_TEXT).contains(&length) && !value.chars().any(char::is_control) {
        Ok(())
    } else {
        Err(Error::field(
            field,
            format!("1 to {MAX_TEXT} characters without line breaks"),
        ))
    }
}
