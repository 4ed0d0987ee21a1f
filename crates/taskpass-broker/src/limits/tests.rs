//! Which number holds for whom, and what a commit is guarded by.

use taskpass_core::access::{Risk, Stage, TokenAlg, TokenProfile};
use taskpass_core::id::{DecisionId, TaskId};
use taskpass_core::registry::{Row, State};
use taskpass_core::rng::SeededRng;
use taskpass_core::{Timestamp, Ttl};

use super::*;

fn agent(name: &str, limits: Own) -> Row {
    Row::Agent(Agent {
        name: name.parse().unwrap(),
        owner: "team".parse().unwrap(),
        purpose: "tests".into(),
        stage: Stage::Bounded,
        scopes: [].into(),
        valid_until: Timestamp::from_secs(10_000),
        max_ttl: None::<Ttl>,
        labels: [].into(),
        state: State::Active,
        created_at: Timestamp::ZERO,
        client_keys: Vec::new(),
        limits,
    })
}

fn registry(agents: &[(&str, Own)], owner: Own) -> Registry {
    let owner = Row::Owner(Owner {
        name: "team".parse().unwrap(),
        contact: "team".into(),
        state: State::Active,
        limits: owner,
    });
    let target = Row::Target(Target {
        uri: "https://ledger.example".parse().unwrap(),
        scopes: [].into(),
        risk: Risk::Low,
        token_alg: TokenAlg::Es256,
        token_profile: TokenProfile::OAuth,
        max_ttl: None,
        state: State::Active,
        observe: None,
        limits: with(LimitName::LiveCredentials, 5),
    });
    let agents = agents.iter().map(|(name, limits)| agent(name, *limits));
    let rows = agents.chain([owner, target]);
    Registry::from_rows(rows.map(|value| Versioned { value, version: 3 }))
}

fn with(name: LimitName, value: u32) -> Own {
    Own::from_parts([(name, Some(value))]).unwrap()
}

/// A task of the first agent, beneath one of each of the others.
fn task(agents: &[&str]) -> Task {
    let rng = SeededRng::new(1);
    let mut names = agents.iter().map(|name| name.parse().unwrap());
    let id = || TaskId::generate(Timestamp::from_secs(5_000), &rng);
    Task {
        id: id(),
        agent: names.next().unwrap(),
        purpose: "p".into(),
        scopes: [].into(),
        ancestors: names.map(|agent| Ancestor { task: id(), agent }).collect(),
        started_at: Timestamp::ZERO,
        decision: DecisionId::generate(Timestamp::ZERO, &rng),
        ended: None,
    }
}

#[test]
fn its_own_wins_over_the_configuration_s_and_the_code_over_both() {
    let name = LimitName::LiveTasks;
    let ceiling = name.ceiling();
    let beyond = Own {
        live_tasks: Some(u32::MAX),
        ..Own::NONE
    };
    for (own, default, expected) in [
        (Own::NONE, Own::NONE, ceiling),
        (Own::NONE, with(name, 7), 7),
        (with(name, 9), with(name, 7), 9),
        (with(name, 0), with(name, 7), 0),
        (with(name, 9), Own::NONE, 9),
        (beyond, with(name, 7), ceiling),
        (Own::NONE, beyond, ceiling),
    ] {
        assert_eq!(
            effective(name, &own, &default),
            expected,
            "{own:?} {default:?}"
        );
    }
}

#[test]
fn the_form_of_a_tree_is_bounded_by_everybody_above() {
    let defaults = LimitDefaults::default();
    let depth = |agents: &[(&str, Own)], owner, of: &Task| {
        defaults.depth(&registry(agents, owner), &of.agent, &of.ancestors)
    };
    let (one, zero) = (with(LimitName::Depth, 1), with(LimitName::Depth, 0));
    let both = task(&["b", "a"]);
    assert_eq!(
        depth(&[("a", Own::NONE), ("b", Own::NONE)], Own::NONE, &both),
        3
    );
    assert_eq!(depth(&[("a", one), ("b", Own::NONE)], Own::NONE, &both), 1);
    assert_eq!(depth(&[("a", Own::NONE), ("b", zero)], Own::NONE, &both), 0);
    assert_eq!(depth(&[("a", Own::NONE), ("b", Own::NONE)], one, &both), 1);
    assert_eq!(
        depth(&[("b", Own::NONE)], Own::NONE, &both),
        0,
        "unknown is nothing"
    );

    let fan_out =
        |own, owner| defaults.fan_out(&registry(&[("a", own)], owner), &"a".parse().unwrap());
    let (five, nine) = (with(LimitName::FanOut, 5), with(LimitName::FanOut, 9));
    assert_eq!(fan_out(Own::NONE, Own::NONE), MAX_CHILDREN);
    assert_eq!((fan_out(five, nine), fan_out(nine, five)), (5, 5));
}

#[test]
fn a_credential_and_a_task_count_against_everybody_above_once() {
    let name = LimitName::LiveCredentials;
    let registry = registry(
        &[("a", with(name, 10)), ("b", with(name, 20))],
        with(name, 30),
    );
    let target = registry.target(&"https://ledger.example".parse().unwrap());
    let task = task(&["b", "b", "a", "a"]);
    let below = |guards: Vec<Guard>| -> Vec<(Counter, u64)> {
        let below = guards.into_iter().filter_map(|guard| match guard {
            Guard::Below { counter, limit } => Some((counter, limit)),
            _ => None,
        });
        below.collect()
    };
    let defaults = LimitDefaults::default();
    let guards = defaults.credential_guards(&registry, &task, target.map(AsRef::as_ref));
    assert!(guards.contains(&Guard::Unchanged {
        key: RowKey::Agent("a".parse().unwrap()),
        version: 3
    }));
    let (a, b): (AgentName, AgentName) = ("a".parse().unwrap(), "b".parse().unwrap());
    let team: OwnerName = "team".parse().unwrap();
    assert_eq!(
        below(guards),
        [
            (Counter::Agent(b.clone()), 20),
            (Counter::Agent(a.clone()), 10),
            (Counter::Owner(team.clone()), 30),
            (
                Counter::Target("https://ledger.example".parse().unwrap()),
                5
            ),
        ]
    );
    assert_eq!(
        below(defaults.task_guards(&registry, &task)),
        [
            (Counter::AgentTasks(b), 10_000),
            (Counter::AgentTasks(a), 10_000),
            (Counter::OwnerTasks(team), 100_000),
        ]
    );
}

#[test]
fn every_limit_has_a_name_of_its_own() {
    let names: std::collections::BTreeSet<_> = Limit::ALL.iter().map(|l| l.as_str()).collect();
    assert_eq!(names.len(), Limit::ALL.len());
    let documented = include_str!("../../../../docs/LIMITS.md");
    for name in names {
        assert!(documented.contains(&format!("`{name}`")), "{name}");
    }
}
