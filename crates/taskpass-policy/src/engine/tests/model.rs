//! The shipped set against the same rules written in Rust.

use std::collections::BTreeSet;

use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use taskpass_core::{ScopeRef, Timestamp};

use super::*;
use crate::testing::scope;

/// What the shipped set says on one scope: the forbids that hold.
fn forbids(world: &World, scope: &ScopeRef) -> BTreeSet<String> {
    let agent = &world.agent.value;
    let target = [&world.ledger.value, &world.mail.value]
        .into_iter()
        .find(|target| target.uri == scope.target)
        .unwrap();
    let access = target.scopes[&scope.scope];
    let owner = &world.owner.as_ref().unwrap().value;
    let rules = [
        (
            "agent-not-active",
            agent.state != State::Active || NOW >= agent.valid_until,
        ),
        ("owner-not-active", owner.state != State::Active),
        ("target-not-active", target.state != State::Active),
        ("scope-not-registered", !agent.scopes.contains(scope)),
        (
            "stage-read-only",
            agent.stage == Stage::ReadOnly && access != Access::Read,
        ),
        (
            "stage-bounded",
            agent.stage == Stage::Bounded && access == Access::Actuate,
        ),
        (
            "high-risk-needs-purpose",
            target.risk == Risk::High && world.purpose.trim().is_empty(),
        ),
    ];
    let holding = rules.into_iter().filter(|(_, holds)| *holds);
    holding.map(|(name, _)| name.to_owned()).collect()
}

fn all_scopes() -> Vec<ScopeRef> {
    ["https://ledger.example", "https://mail.example"]
        .into_iter()
        .flat_map(|target| Access::ALL.iter().map(move |access| scope(target, *access)))
        .collect()
}

/// Active more often than not, or hardly anything would be granted.
fn state() -> impl Strategy<Value = State> {
    prop_oneof![8 => Just(State::Active), 1 => Just(State::Suspended), 1 => Just(State::Retired)]
}

prop_compose! {
    fn world()(
        stage in select(Stage::ALL),
        registered in subsequence(all_scopes(), 0..=6),
        everything in any::<bool>(),
        states in [state(), state(), state(), state()],
        risks in [select(Risk::ALL), select(Risk::ALL)],
        purpose in select(vec!["", " ", "pay", "pay the bill"]),
        valid_for in prop_oneof![1 => Just(0_u64), 1 => Just(1), 8 => 2_u64..100_000],
    ) -> World {
        let mut world = World::new();
        world.agent.value.stage = stage;
        if !everything {
            world.agent.value.scopes = registered.into_iter().collect();
        }
        world.agent.value.state = states[0];
        world.owner.as_mut().unwrap().value.state = states[1];
        world.ledger.value.state = states[2];
        world.mail.value.state = states[3];
        world.ledger.value.risk = risks[0];
        world.mail.value.risk = risks[1];
        world.purpose = purpose.to_owned();
        world.agent.value.valid_until = Timestamp::from_millis(NOW.millis() + valid_for - 1);
        world
    }
}

proptest! {
    #[test]
    fn the_shipped_set_decides_as_the_rules_in_rust(
        world in world(),
        asked in subsequence(all_scopes(), 1..=6),
    ) {
        let engine = shipped();
        let ask = Ask::Scopes(asked.iter().cloned().collect());
        let holding: Vec<_> = asked.iter().map(|scope| (scope, forbids(&world, scope))).collect();
        match engine.decide(decision(), &world.request(ask)) {
            Ok(grant) => {
                prop_assert!(holding.iter().all(|(_, forbids)| forbids.is_empty()), "{holding:?}");
                prop_assert_eq!(&grant.basis().policies, &["permit-registered-scopes"]);
            }
            Err(denial) => {
                let expected: BTreeSet<_> = holding.iter().flat_map(|(_, f)| f.clone()).collect();
                prop_assert!(!expected.is_empty(), "denied for nothing: {denial:?}");
                prop_assert_eq!(denial.basis.policies, Vec::from_iter(expected));
                let allowed: BTreeSet<_> = holding
                    .iter()
                    .filter(|(_, forbids)| forbids.is_empty())
                    .map(|(scope, _)| (*scope).clone())
                    .collect();
                prop_assert_eq!(BTreeSet::from_iter(denial.allowed), allowed);
                prop_assert!(!denial.errored);
            }
        }
    }
}
