//! A target that is only observed: the absence of a permit is overridden, and nothing else.

use std::time::Duration;

use taskpass_core::registry::Observe;

use super::*;
use crate::testing::{set, task};

/// Permits reading, and says nothing of the rest.
const NARROW: &str =
    "@id(\"reads\") permit (principal is Agent, action == Action::\"read\", resource);\n";

/// Observed for as long as `ms` milliseconds.
fn observed(ms: u64) -> Observe {
    Observe {
        until: NOW.plus(Duration::from_millis(ms)),
        reason: "trial".into(),
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Expected {
    /// As a policy permits.
    Allowed,
    /// And marked.
    Overridden,
    Denied,
    Errored,
}

fn found(text: &str, world: &World, ask: Ask) -> Expected {
    match Engine::new(set(text)).decide(decision(), &world.request(ask)) {
        Ok(grant) if grant.basis().would_deny => {
            assert!(grant.basis().policies.contains(&DEFAULT_DENY.to_owned()));
            Expected::Overridden
        }
        Ok(_) => Expected::Allowed,
        Err(denial) => {
            assert!(!denial.basis.would_deny);
            if denial.errored {
                Expected::Errored
            } else {
                Expected::Denied
            }
        }
    }
}

#[test]
fn only_the_absence_of_a_permit_is_overridden() {
    use Expected::{Allowed, Denied, Errored, Overridden};
    type Change = fn(&mut World);
    let forbid = "@id(\"no\") forbid (principal is Agent, action, resource is Scope);\n";
    let fails = "@id(\"broken\") permit (principal is Agent, action, resource is Scope)
        when { context.time + 9223372036854775807 > 0 };\n";
    let forbid_fails = fails.replace("permit", "forbid");
    let (read, write) = (Access::Read, Access::Write);
    // The case, the policies beside NARROW, what is asked, what is changed, what is found if enforced,
    // and if observed.
    let cases: [(&str, &str, Access, Change, Expected, Expected); 13] = [
        ("a permit", "", read, |_| {}, Allowed, Allowed),
        ("no permit", "", write, |_| {}, Denied, Overridden),
        ("forbid", forbid, write, |_| {}, Denied, Denied),
        ("forbid over a permit", forbid, read, |_| {}, Denied, Denied),
        (
            "a permit that fails",
            fails,
            write,
            |_| {},
            Errored,
            Errored,
        ),
        (
            "a forbid that fails",
            &forbid_fails,
            write,
            |_| {},
            Errored,
            Errored,
        ),
        (
            "not registered, and no forbid says so",
            "",
            write,
            |w| w.agent.value.scopes = [mail(Access::Write)].into(),
            Denied,
            Denied,
        ),
        (
            "suspended agent, and no forbid says so",
            "",
            write,
            |w| w.agent.value.state = State::Suspended,
            Denied,
            Denied,
        ),
        (
            "the registration has ended",
            "",
            write,
            |w| w.agent.value.valid_until = NOW,
            Denied,
            Denied,
        ),
        (
            "retired owner",
            "",
            write,
            |w| w.owner.as_mut().unwrap().value.state = State::Retired,
            Denied,
            Denied,
        ),
        (
            "suspended target",
            "",
            write,
            |w| w.ledger.value.state = State::Suspended,
            Denied,
            Denied,
        ),
        ("no owner", "", write, |w| w.owner = None, Errored, Errored),
        (
            "a delegation that nothing permits",
            "",
            write,
            |w| {
                w.task = Some(task());
                w.delegating_from = Some(w.agent.value.name.clone());
            },
            Denied,
            Denied,
        ),
    ];
    for (what, more, access, change, enforced, if_observed) in cases {
        let text = format!("{NARROW}{more}");
        for (observe, expected) in [
            (None, enforced),
            (Some(observed(0)), enforced),
            (Some(observed(1)), if_observed),
        ] {
            let mut world = World::new();
            world.ledger.value.observe = observe.clone();
            change(&mut world);
            let ask = scopes([ledger(access)]);
            assert_eq!(found(&text, &world, ask), expected, "{what}, {observe:?}");
        }
    }
}

/// A certificate is about a task, and a task has no target that could be observed.
#[test]
fn certificates_are_never_overridden() {
    let mut world = World::new();
    world.task = Some(task());
    world.ledger.value.observe = Some(observed(1000));
    world.mail.value.observe = Some(observed(1000));
    for ask in [Ask::Certificate, Ask::Svid] {
        assert_eq!(found(NARROW, &world, ask), Expected::Denied);
    }
}

#[test]
fn each_target_answers_for_itself() {
    let mut world = World::new();
    world.ledger.value.observe = Some(observed(1000));
    let asked = || {
        scopes([
            ledger(Access::Write),
            mail(Access::Write),
            mail(Access::Read),
        ])
    };
    let engine = Engine::new(set(NARROW));
    let denial = denied(&engine, &world, asked());
    assert_eq!(denial.basis.policies, [DEFAULT_DENY]);
    assert_eq!(denial.allowed, [ledger(Access::Write), mail(Access::Read)]);
    world.mail.value.observe = Some(observed(1000));
    let grant = engine.decide(decision(), &world.request(asked())).unwrap();
    assert!(grant.basis().would_deny);
    assert_eq!(grant.basis().policies, [DEFAULT_DENY, "reads"]);
    let said = engine.current().explain(&world.request(asked()));
    assert!(said.allowed && said.would_deny);
    let marked: Vec<_> = said
        .answers
        .iter()
        .map(|answer| answer.would_deny)
        .collect();
    assert_eq!(marked, [true, false, true]);
    // What a policy permits is not marked, also where it is observed.
    let ask = scopes([ledger(Access::Read)]);
    assert_eq!(found(NARROW, &world, ask), Expected::Allowed);
}

/// With the shipped set there is nothing to override: it permits broadly, and forbids by name.
#[test]
fn under_the_shipped_set_nothing_changes() {
    for access in Access::ALL {
        for stage in Stage::ALL {
            let mut world = World::new();
            world.agent.value.stage = *stage;
            let ask = || scopes([ledger(*access)]);
            let enforced = decide(&shipped(), &world, ask());
            world.ledger.value.observe = Some(observed(1000));
            assert_eq!(decide(&shipped(), &world, ask()), enforced);
        }
    }
}
