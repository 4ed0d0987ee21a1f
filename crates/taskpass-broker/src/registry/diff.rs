//! The difference between two rows, field by field.
//!
//! A row is said as a list of fields, each a set of texts, so that one comparison serves all. The rows
//! are taken apart without a rest pattern: a new field is in the difference before it compiles.

use std::collections::BTreeSet;

use taskpass_core::registry::{
    Agent, LimitName, Limits, Observe, Operator, Owner, Row, System, Target, Verifier,
};

/// A field that is not the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldChange {
    /// Its name, as in the API.
    pub field: &'static str,
    /// What it said and says no more.
    pub removed: Vec<String>,
    /// What it says now and did not.
    pub added: Vec<String>,
}

type Facts = Vec<(&'static str, BTreeSet<String>)>;

/// What differs between `old` and `new`; of a new row, everything it says.
pub(super) fn difference(old: Option<&Row>, new: &Row) -> Vec<FieldChange> {
    let before = old.map(facts).unwrap_or_default();
    let said = |field: &str| before.iter().find(|(name, _)| *name == field);
    let changed = |(field, now): (&'static str, BTreeSet<String>)| {
        let empty = BTreeSet::new();
        let before = said(field).map_or(&empty, |(_, texts)| texts);
        let removed: Vec<_> = before.difference(&now).cloned().collect();
        let added: Vec<_> = now.difference(before).cloned().collect();
        (!removed.is_empty() || !added.is_empty()).then_some(FieldChange {
            field,
            removed,
            added,
        })
    };
    facts(new).into_iter().filter_map(changed).collect()
}

/// Everything that a row says, but for its name and the day it was registered.
fn facts(row: &Row) -> Facts {
    match row {
        Row::Owner(owner) => of_owner(owner),
        Row::Agent(agent) => of_agent(agent),
        Row::Target(target) => of_target(target),
        Row::Operator(operator) => of_operator(operator),
        Row::Verifier(verifier) => of_verifier(verifier),
        Row::System(System { state, sealed_at }) => {
            vec![one("state", state), maybe("sealed_at", sealed_at.as_ref())]
        }
    }
}

fn of_owner(owner: &Owner) -> Facts {
    let Owner {
        name: _,
        contact,
        state,
        limits,
    } = owner;
    vec![
        one("contact", contact),
        ("limits", of_limits(limits)),
        one("state", state),
    ]
}

fn of_agent(agent: &Agent) -> Facts {
    let Agent {
        name: _,
        owner,
        purpose,
        stage,
        scopes,
        valid_until,
        max_ttl,
        labels,
        state,
        created_at: _,
        client_keys,
        limits,
    } = agent;
    let labels = labels.iter().map(|(key, value)| format!("{key}={value}"));
    let keys = client_keys
        .iter()
        .map(|key| format!("{} until {}", key.id, key.until));
    vec![
        one("owner", owner),
        one("purpose", purpose),
        one("stage", stage),
        ("scopes", scopes.iter().map(ToString::to_string).collect()),
        one("valid_until", valid_until),
        maybe("max_ttl", max_ttl.as_ref()),
        ("labels", labels.collect()),
        ("client_keys", keys.collect()),
        ("limits", of_limits(limits)),
        one("state", state),
    ]
}

fn of_target(target: &Target) -> Facts {
    let Target {
        uri: _,
        scopes,
        risk,
        token_alg,
        token_profile,
        max_ttl,
        state,
        limits,
        observe,
    } = target;
    let scopes = scopes
        .iter()
        .map(|(scope, access)| format!("{scope}={access}"));
    let observe = observe
        .iter()
        .map(|Observe { until, reason }| format!("until {until}: {reason}"));
    vec![
        ("scopes", scopes.collect()),
        one("risk", risk),
        one("token_alg", token_alg),
        one("token_profile", token_profile),
        maybe("max_ttl", max_ttl.as_ref()),
        ("limits", of_limits(limits)),
        ("observe", observe.collect()),
        one("state", state),
    ]
}

fn of_operator(operator: &Operator) -> Facts {
    let Operator {
        name: _,
        roles,
        state,
    } = operator;
    vec![
        ("roles", roles.iter().map(ToString::to_string).collect()),
        one("state", state),
    ]
}

fn of_verifier(verifier: &Verifier) -> Facts {
    let Verifier {
        name: _,
        targets,
        state,
    } = verifier;
    vec![
        ("targets", targets.iter().map(ToString::to_string).collect()),
        one("state", state),
    ]
}

fn of_limits(limits: &Limits) -> BTreeSet<String> {
    let Limits {
        live_credentials: _,
        live_tasks: _,
        issues_per_second: _,
        depth: _,
        fan_out: _,
    } = limits;
    LimitName::ALL
        .iter()
        .filter_map(|name| Some(format!("{name}={}", limits.get(*name)?)))
        .collect()
}

fn one(field: &'static str, value: &impl ToString) -> (&'static str, BTreeSet<String>) {
    (field, BTreeSet::from([value.to_string()]))
}

fn maybe(field: &'static str, value: Option<&impl ToString>) -> (&'static str, BTreeSet<String>) {
    (field, value.iter().map(|value| value.to_string()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use taskpass_core::registry::State;

    fn owner(contact: &str) -> Row {
        Row::Owner(Owner {
            name: "team".parse().unwrap(),
            contact: contact.to_owned(),
            state: State::Active,
            limits: Limits::NONE,
        })
    }

    #[test]
    fn says_what_was_and_what_is() {
        assert_eq!(difference(Some(&owner("a")), &owner("a")), []);
        let changed = FieldChange {
            field: "contact",
            removed: vec!["a".to_owned()],
            added: vec!["b".to_owned()],
        };
        assert_eq!(difference(Some(&owner("a")), &owner("b")), [changed]);
        let fields = |changes: Vec<FieldChange>| {
            let fields = changes.into_iter().map(|change| change.field);
            fields.collect::<Vec<_>>()
        };
        // What a new row does not say is no difference.
        assert_eq!(fields(difference(None, &owner("a"))), ["contact", "state"]);
    }
}
