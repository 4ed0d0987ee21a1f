//! Who is to unseal a restored broker.

use taskpass_core::OperatorName;
use taskpass_core::registry::{Registry, Role, State};

use super::RestoreError;

/// Who is to unseal the broker: an active administrator, by what is known now.
pub(super) fn who(
    registry: &Registry,
    named: Option<&OperatorName>,
) -> Result<OperatorName, RestoreError> {
    let admins: Vec<&OperatorName> = registry
        .operators()
        .filter(|row| row.value.state == State::Active && row.value.roles.contains(&Role::Admin))
        .map(|row| &row.value.name)
        .collect();
    let list = || {
        let all: Vec<&str> = admins.iter().map(|admin| admin.as_str()).collect();
        all.join(", ")
    };
    match (named, admins.as_slice()) {
        (_, []) => Err(RestoreError::Operator(
            "no administrator is active in the backup and by the log since; take a newer backup"
                .to_owned(),
        )),
        (Some(name), _) if admins.contains(&name) => Ok(name.clone()),
        (Some(name), _) => Err(RestoreError::Operator(format!(
            "`{name}` is no active administrator; these are: {}",
            list()
        ))),
        (None, [only]) => Ok((*only).clone()),
        (None, _) => Err(RestoreError::Operator(format!(
            "who is to unseal the broker? Name one of {}",
            list()
        ))),
    }
}

#[cfg(test)]
mod tests {
    use taskpass_core::registry::{Operator, Row, Versioned};

    use super::*;

    fn registry(operators: &[(&str, Role, State)]) -> Registry {
        Registry::from_rows(operators.iter().map(|(name, role, state)| Versioned {
            value: Row::Operator(Operator {
                name: name.parse().unwrap(),
                roles: [*role].into(),
                state: *state,
            }),
            version: 1,
        }))
    }

    #[test]
    fn it_is_an_active_administrator_and_named_where_there_are_several() {
        let (admin, active) = (Role::Admin, State::Active);
        let one = &[("a", admin, active)][..];
        let two = &[("a", admin, active), ("b", admin, active)][..];
        let others = &[
            ("a", admin, State::Retired),
            ("b", Role::Responder, active),
            ("c", admin, State::Suspended),
        ][..];
        for (operators, named, expected) in [
            (one, None, Some("a")),
            (one, Some("a"), Some("a")),
            (one, Some("b"), None),
            (two, None, None),
            (two, Some("b"), Some("b")),
            (others, None, None),
            (others, Some("a"), None),
            (others, Some("b"), None),
        ] {
            let named: Option<OperatorName> = named.map(|name| name.parse().unwrap());
            let found = who(&registry(operators), named.as_ref()).ok();
            let found = found.as_ref().map(OperatorName::as_str);
            assert_eq!(found, expected, "{operators:?} {named:?}");
        }
    }
}
