//! What makes a row acceptable.

mod client_keys;
mod observe;

use std::time::Duration;

use taskpass_core::Timestamp;
use taskpass_core::access::{TokenAlg, TokenProfile};
use taskpass_core::registry::{
    Agent, LimitError, Operator, Registry, Role, Row, RowKey, State, Target,
};
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
        (Row::Target(target), Row::Target(present)) => Row::Target(Target {
            observe: observe::running(target.observe, present.observe.as_ref(), now),
            ..target
        }),
        (other, _) => other,
    }
}

/// What the entry of an update gives as its reason. Of a target that is observed from now on, or not
/// any more, it says so.
pub(super) fn why(registry: &Registry, row: &Row, reason: &str) -> String {
    let words = |otherwise: &str| if reason.is_empty() { otherwise } else { reason }.to_owned();
    let Row::Target(target) = row else {
        return words("updated");
    };
    let present = registry.target(&target.uri);
    let present = present.and_then(|row| row.value.observe.as_ref());
    match (&target.observe, present) {
        (Some(next), present) if present != Some(next) => {
            format!("observed until {}: {}", next.until, next.reason)
        }
        (None, Some(_)) => words("enforced"),
        _ => words("updated"),
    }
}

/// The row in another state.
pub(crate) fn with_state(mut row: Row, state: State) -> Row {
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

/// What is wrong with a row, if anything.
#[derive(Debug)]
pub(super) struct Wrong {
    /// The field.
    pub(super) field: &'static str,
    /// Which of its items, as text, where it has several.
    pub(super) item: Option<String>,
    /// What is wrong with it.
    pub(super) error: Error,
}

/// Collects what is wrong with a row.
#[derive(Default)]
struct Faults(Vec<Wrong>);

impl Faults {
    fn note(&mut self, field: &'static str, checked: Result<(), Error>) {
        if let Err(error) = checked {
            let item = None;
            self.0.push(Wrong { field, item, error });
        }
    }

    fn item(&mut self, field: &'static str, item: &impl ToString, error: Error) {
        let item = Some(item.to_string());
        self.0.push(Wrong { field, item, error });
    }
}

/// Whether `row` may be written.
pub(super) fn row(registry: &Registry, row: &Row, now: Timestamp) -> Result<(), Error> {
    let first = faults(registry, registry, row, now).into_iter().next();
    first.map_or(Ok(()), |wrong| Err(wrong.error))
}

/// Everything that keeps `row` from being written into what will then be `next`; `present` is what
/// stands.
pub(super) fn faults(next: &Registry, present: &Registry, row: &Row, now: Timestamp) -> Vec<Wrong> {
    let mut faults = Faults::default();
    match row {
        Row::Owner(owner) => {
            faults.note("contact", text("contact", &owner.contact));
            faults.note("limits", limits(owner.limits.check()));
        }
        Row::Agent(agent) => check_agent(next, agent, now, &mut faults),
        Row::Target(target) => check_target(next, present, target, now, &mut faults),
        Row::Operator(_) => faults.note("roles", keeps_an_admin(present, row)),
        Row::Verifier(verifier) => {
            for uri in &verifier.targets {
                if next.target(uri).is_none() {
                    let target = uri.to_string();
                    faults.item("targets", uri, Error::UnknownTarget { target });
                }
            }
        }
        Row::System(_) => {}
    }
    faults.0
}

fn check_agent(registry: &Registry, agent: &Agent, now: Timestamp, faults: &mut Faults) {
    faults.note("purpose", text("purpose", &agent.purpose));
    faults.note("owner", active_owner(registry, agent));
    if agent.valid_until <= now || agent.valid_until > now.plus(MAX_VALIDITY) {
        let error = Error::field("valid_until", "an instant in the next 400 days");
        faults.note("valid_until", Err(error));
    }
    if agent.scopes.len() > MAX_SCOPES {
        let message = format!("an agent has at most {MAX_SCOPES} scopes");
        faults.note("scopes", Err(Error::InvalidScope { message }));
    }
    for scope in &agent.scopes {
        match registry.target(&scope.target) {
            None => {
                let target = scope.target.to_string();
                faults.item("scopes", scope, Error::UnknownTarget { target });
            }
            Some(target) if !target.value.scopes.contains_key(&scope.scope) => {
                let unknown = scope.clone();
                faults.item("scopes", scope, Error::UnknownScope { scope: unknown });
            }
            Some(_) => {}
        }
    }
    faults.note("client_keys", client_keys::check(&agent.client_keys, now));
    faults.note("limits", limits(agent.limits.check()));
    let labels_are_good = agent.labels.len() <= MAX_LABELS
        && agent
            .labels
            .iter()
            .all(|(key, value)| (1..=63).contains(&key.len()) && value.len() <= MAX_TEXT);
    if !labels_are_good {
        let error = Error::field("labels", "at most 32 short labels");
        faults.note("labels", Err(error));
    }
}

fn active_owner(registry: &Registry, agent: &Agent) -> Result<(), Error> {
    let owner = registry.owner(&agent.owner);
    let owner = owner.ok_or_else(|| Error::EntryNotFound {
        key: RowKey::Owner(agent.owner.clone()),
    })?;
    if owner.value.state == State::Active {
        Ok(())
    } else {
        Err(Error::OwnerNotActive {
            owner: agent.owner.to_string(),
        })
    }
}

/// A scope that an agent's registration names cannot be taken away from its target unnoticed.
fn check_target(
    next: &Registry,
    present: &Registry,
    target: &Target,
    now: Timestamp,
    faults: &mut Faults,
) {
    let before = present.target(&target.uri);
    let before = before.and_then(|row| row.value.observe.as_ref());
    let observed = observe::check(target.observe.as_ref(), before, now);
    faults.note("observe", observed);
    if target.token_profile == TokenProfile::Cloud && target.token_alg != TokenAlg::Es256 {
        let rule = "ES256 for targets of the profile cloud: clouds take no EdDSA";
        faults.note("token_alg", Err(Error::field("token_alg", rule)));
    }
    faults.note("limits", limits(target.limits.check_for_target()));
    if target.scopes.len() > MAX_TARGET_SCOPES {
        let message = format!("a target has at most {MAX_TARGET_SCOPES} scopes");
        faults.note("scopes", Err(Error::InvalidScope { message }));
    }
    if target.max_ttl.is_some_and(|ttl| ttl > MAX_TOKEN_TTL) {
        let error = Error::field("max_ttl", format!("at most {MAX_TOKEN_TTL}"));
        faults.note("max_ttl", Err(error));
    }
    for agent in next
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
            faults.note("scopes", Err(Error::InvalidScope { message }));
        }
    }
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

fn limits(checked: Result<(), LimitError>) -> Result<(), Error> {
    checked.map_err(|error| Error::field("limits", error.to_string()))
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
