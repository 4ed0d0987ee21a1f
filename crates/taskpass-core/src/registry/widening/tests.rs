//! One line for each way in which a row can become wider, and for its opposite.

use super::*;
use crate::access::{Risk, Stage, TokenAlg, TokenProfile};
use crate::key::KeyId;
use crate::registry::{State, System};
use crate::secret::Sha256;
use crate::time::Timestamp;

fn an_agent() -> Agent {
    Agent {
        name: "bot".parse().unwrap(),
        owner: "team".parse().unwrap(),
        purpose: "tests".into(),
        stage: Stage::Bounded,
        scopes: ["https://a.example#x", "https://a.example#y"]
            .map(|scope| scope.parse().unwrap())
            .into(),
        valid_until: Timestamp::from_secs(1000),
        max_ttl: Some(Ttl::from_mins(5)),
        labels: [("env".to_owned(), "prod".to_owned())].into(),
        state: State::Active,
        created_at: Timestamp::ZERO,
        client_keys: vec![a_key(1, 500)],
        limits: Limits {
            live_tasks: Some(10),
            ..Limits::NONE
        },
    }
}

fn a_key(n: u8, until: u64) -> ClientKey {
    ClientKey {
        id: KeyId::from_thumbprint(Sha256::of(&[n])),
        jwk: String::new(),
        added_at: Timestamp::ZERO,
        until: Timestamp::from_secs(until),
    }
}

fn a_target() -> Target {
    let scope = |name: &str, access| (name.parse().unwrap(), access);
    Target {
        uri: "https://a.example".parse().unwrap(),
        scopes: [scope("x", Access::Write), scope("y", Access::Read)].into(),
        risk: Risk::Medium,
        token_alg: TokenAlg::Es256,
        token_profile: TokenProfile::OAuth,
        max_ttl: None,
        state: State::Active,
        limits: Limits::NONE,
        observe: None,
    }
}

fn of_agent(change: impl FnOnce(&mut Agent)) -> Vec<Widening> {
    let (old, mut new) = (an_agent(), an_agent());
    change(&mut new);
    widening(&Row::Agent(old), &Row::Agent(new))
}

fn of_target(change: impl FnOnce(&mut Target)) -> Vec<Widening> {
    let (old, mut new) = (a_target(), a_target());
    change(&mut new);
    widening(&Row::Target(old), &Row::Target(new))
}

#[test]
fn what_an_agent_gains() {
    use Widening as W;
    type Change = fn(&mut Agent);
    let table: &[(Change, &[Widening])] = &[
        (|_| (), &[]),
        (|a| a.owner = "others".parse().unwrap(), &[W::Owner]),
        (|a| a.stage = Stage::Autonomous, &[W::Stage]),
        (|a| a.stage = Stage::ReadOnly, &[]),
        (|a| drop(a.scopes.pop_first()), &[]),
        (
            |a| {
                a.scopes.pop_first();
                a.scopes.insert("https://a.example#z".parse().unwrap());
            },
            &[W::Scopes],
        ),
        (
            |a| a.valid_until = Timestamp::from_millis(1_000_001),
            &[W::ValidUntil],
        ),
        (|a| a.valid_until = Timestamp::from_secs(999), &[]),
        (|a| a.max_ttl = Some(Ttl::from_mins(6)), &[W::MaxTtl]),
        (|a| a.max_ttl = None, &[W::MaxTtl]),
        (|a| a.max_ttl = Some(Ttl::from_mins(4)), &[]),
        (|a| a.labels.clear(), &[W::Labels]),
        (
            |a| drop(a.labels.insert("env".into(), "dev".into())),
            &[W::Labels],
        ),
        (|a| a.client_keys.clear(), &[]),
        (|a| a.client_keys = vec![a_key(2, 400)], &[W::ClientKeys]),
        (|a| a.client_keys = vec![a_key(1, 501)], &[W::ClientKeys]),
        (|a| a.client_keys = vec![a_key(1, 499)], &[]),
        (|a| a.limits.live_tasks = Some(11), &[W::Limits]),
        (|a| a.limits.live_tasks = None, &[W::Limits]),
        (|a| a.limits.live_tasks = Some(9), &[]),
        (|a| a.limits.fan_out = Some(1), &[W::Limits]),
        (|a| a.limits.fan_out = Some(0), &[]),
        (|a| a.purpose = "others".into(), &[]),
        (|a| a.state = State::Suspended, &[]),
        (
            |a| {
                a.stage = Stage::Autonomous;
                a.valid_until = Timestamp::from_secs(2000);
            },
            &[W::Stage, W::ValidUntil],
        ),
    ];
    for (line, (change, expected)) in table.iter().enumerate() {
        assert_eq!(of_agent(change), *expected, "line {line}");
    }
}

#[test]
fn what_a_target_gives() {
    use Widening as W;
    let minutes = |minutes| Some(Ttl::from_mins(minutes));
    assert_eq!(of_target(|t| t.risk = Risk::Low), [W::Risk]);
    assert_eq!(of_target(|t| t.risk = Risk::High), []);
    let cloud = of_target(|t| t.token_profile = TokenProfile::Cloud);
    assert_eq!(cloud, [W::TokenProfile]);
    assert_eq!(of_target(|t| t.max_ttl = minutes(5)), []);
    let observe = |secs| {
        Some(Observe {
            until: Timestamp::from_secs(secs),
            reason: "trial".into(),
        })
    };
    assert_eq!(of_target(|t| t.observe = observe(5)), [W::Observe]);
    let observed = |secs| {
        Row::Target(Target {
            observe: observe(secs),
            ..a_target()
        })
    };
    assert_eq!(widening(&observed(5), &observed(6)), [W::Observe]);
    assert_eq!(widening(&observed(6), &observed(5)), []);
    assert_eq!(widening(&observed(6), &Row::Target(a_target())), []);
    let scope = |t: &mut Target, name: &str, access| {
        t.scopes.insert(name.parse().unwrap(), access);
    };
    assert_eq!(of_target(|t| scope(t, "x", Access::Read)), [W::Scopes]);
    assert_eq!(of_target(|t| scope(t, "x", Access::Actuate)), []);
    // Nobody has a new scope until an agent's registration names it.
    assert_eq!(of_target(|t| scope(t, "z", Access::Read)), []);
    let capped = Target {
        max_ttl: minutes(5),
        ..a_target()
    };
    let raised = Row::Target(a_target());
    assert_eq!(widening(&Row::Target(capped), &raised), [W::MaxTtl]);
}

#[test]
fn what_operators_and_verifiers_may_do() {
    let operator = |roles: &[Role]| {
        Row::Operator(Operator {
            name: "op".parse().unwrap(),
            roles: roles.iter().copied().collect(),
            state: State::Active,
        })
    };
    for (old, new, wider) in [
        (&[Role::Admin][..], &[Role::Auditor][..], false),
        (&[Role::Admin], &[Role::Responder, Role::Auditor], false),
        (&[Role::Responder], &[Role::Auditor], false),
        (&[Role::Auditor], &[Role::Responder], true),
        (&[Role::Responder], &[Role::Admin], true),
        (&[], &[Role::Auditor], true),
        (&[Role::Admin], &[], false),
    ] {
        let found = widening(&operator(old), &operator(new));
        assert_eq!(found == [Widening::Roles], wider, "{old:?} {new:?}");
    }
    let verifier = |targets: &[&str]| {
        Row::Verifier(Verifier {
            name: "v".parse().unwrap(),
            targets: targets.iter().map(|uri| uri.parse().unwrap()).collect(),
            state: State::Active,
        })
    };
    let (one, two) = (
        verifier(&["https://a.example"]),
        verifier(&["https://a.example", "https://b.example"]),
    );
    assert_eq!(widening(&one, &two), [Widening::Targets]);
    assert_eq!(widening(&two, &one), []);
    assert_eq!(widening(&Row::System(System::default()), &one), []);
}
