//! What cannot be evaluated is denied.

use super::*;
use crate::testing::{set, task};

/// Fails whenever it is evaluated, and passes validation: integers overflow at run time only.
const FAILS: &str = "context.time + 9223372036854775807 > 0";
const PERMIT: &str = "@id(\"broad\") permit (principal, action, resource);\n";

fn assert_errored(engine: &Engine, world: &World, ask: Ask, policies: &[&str]) {
    let denial = denied(engine, world, ask);
    assert!(denial.errored, "{denial:?}");
    assert!(denial.allowed.is_empty(), "{denial:?}");
    assert_eq!(denial.basis.policies, policies);
}

#[test]
fn a_forbid_that_fails_is_not_skipped() {
    let text =
        format!("{PERMIT}@id(\"broken\") forbid (principal, action, resource) when {{ {FAILS} }};");
    let engine = Engine::new(set(&text));
    let ask = scopes([ledger(Access::Read)]);
    assert_errored(&engine, &World::new(), ask, &["broken"]);
}

#[test]
fn a_permit_that_fails_beside_one_that_holds_denies() {
    let text =
        format!("{PERMIT}@id(\"broken\") permit (principal, action, resource) when {{ {FAILS} }};");
    let engine = Engine::new(set(&text));
    let ask = scopes([ledger(Access::Read)]);
    assert_errored(&engine, &World::new(), ask, &["broken"]);
}

#[test]
fn a_failure_on_one_scope_takes_all_with_it() {
    let text = format!(
        "{PERMIT}@id(\"broken\") forbid (principal, action == Action::\"write\", resource) \
         when {{ {FAILS} }};"
    );
    let engine = Engine::new(set(&text));
    assert!(decide(&engine, &World::new(), scopes([ledger(Access::Read)])).0);
    let ask = scopes([ledger(Access::Read), ledger(Access::Write)]);
    assert_errored(&engine, &World::new(), ask, &["broken"]);
}

#[test]
fn a_failure_beside_a_forbid_that_holds_names_both() {
    let text = format!(
        "{PERMIT}@id(\"broken\") forbid (principal, action, resource) when {{ {FAILS} }};
         @id(\"closed\") forbid (principal, action, resource);"
    );
    let engine = Engine::new(set(&text));
    let ask = scopes([ledger(Access::Read)]);
    assert_errored(&engine, &World::new(), ask, &["broken", "closed"]);
}

#[test]
fn looking_into_an_agent_that_is_not_loaded_fails() {
    let engine = Engine::new(set("@id(\"broad\") permit (principal, action, resource);
         @id(\"peek\") forbid (principal, action == Action::\"delegate\", resource)
         unless { resource.agent.active };"));
    let mut world = World::new();
    world.task = Some(task());
    world.delegating_from = Some("planner".parse().unwrap());
    let ask = scopes([ledger(Access::Read)]);
    assert_errored(&engine, &world, ask, &["peek"]);
}

/// Under a set that permits everything, so that only the engine can be what denies.
#[test]
fn what_cannot_be_put_to_the_policies_is_denied() {
    type Change = fn(&mut World);
    let cases: [(&str, Change, Ask); 8] = [
        (
            "no owner",
            |w| w.owner = None,
            scopes([ledger(Access::Read)]),
        ),
        (
            "no owner, certificate",
            |w| {
                w.owner = None;
                w.task = Some(task());
            },
            Ask::Certificate,
        ),
        (
            "another's owner",
            |w| w.owner.as_mut().unwrap().value.name = "sales".parse().unwrap(),
            scopes([ledger(Access::Read)]),
        ),
        (
            "unknown target",
            |_| (),
            scopes(["https://other.example#read".parse().unwrap()]),
        ),
        (
            "unknown scope",
            |_| (),
            scopes(["https://ledger.example#admin".parse().unwrap()]),
        ),
        (
            "unknown scope beside a known one",
            |w| {
                w.mail
                    .value
                    .scopes
                    .retain(|name, _| name.as_str() != "read");
            },
            scopes([ledger(Access::Read), mail(Access::Read)]),
        ),
        ("certificate for no task", |_| (), Ask::Certificate),
        (
            "delegation from no task",
            |w| w.delegating_from = Some("invoice-bot".parse().unwrap()),
            scopes([ledger(Access::Read)]),
        ),
    ];
    let engine = Engine::new(set(PERMIT));
    assert!(decide(&engine, &World::new(), scopes([ledger(Access::Read)])).0);
    for (what, change, ask) in cases {
        let mut world = World::new();
        change(&mut world);
        let denial = denied(&engine, &world, ask.clone());
        assert!(denial.errored, "{what}");
        assert_eq!(denial.basis.policies, [DEFAULT_DENY], "{what}");
        assert!(denial.allowed.is_empty(), "{what}");
        assert!(denial.asked.iter().eq(ask.scopes()), "{what}");
    }
}

/// Ids are data: nothing in a name can become a part of an entity's type or of a policy.
#[test]
fn labels_are_data() {
    let engine = Engine::new(set(
        "@id(\"labelled\") permit (principal, action, resource) \
         when { principal.hasTag(\"a\\\" || true || \\\"\") };",
    ));
    let mut world = World::new();
    let ask = || scopes([ledger(Access::Read)]);
    assert!(!decide(&engine, &world, ask()).0);
    let label = ("a\" || true || \"".to_owned(), "\"} x {\"".to_owned());
    world.agent.value.labels.extend([label]);
    assert!(decide(&engine, &world, ask()).0);
}
