mod model;
mod observe;
mod traps;

use taskpass_core::access::{Access, Risk, Stage};
use taskpass_core::grant::{Ask, Denial};
use taskpass_core::registry::{RowKey, State};

use super::*;
use crate::testing::{NOW, World, decision, ledger, mail, scopes, task};

fn shipped() -> Engine {
    Engine::new(PolicySet::shipped().unwrap())
}

/// What determined the decision on `ask`, and whether it was a grant.
fn decide(engine: &Engine, world: &World, ask: Ask) -> (bool, Vec<String>) {
    match engine.decide(decision(), &world.request(ask)) {
        Ok(grant) => (true, grant.basis().policies.clone()),
        Err(denial) => {
            assert!(!denial.errored, "{denial:?}");
            (false, denial.basis.policies)
        }
    }
}

fn denied(engine: &Engine, world: &World, ask: Ask) -> Denial {
    engine.decide(decision(), &world.request(ask)).unwrap_err()
}

#[test]
fn a_stage_bounds_what_scopes_do() {
    let engine = shipped();
    let registered = "permit-registered-scopes";
    for (stage, determining) in [
        (
            Stage::ReadOnly,
            [registered, "stage-read-only", "stage-read-only"],
        ),
        (Stage::Bounded, [registered, registered, "stage-bounded"]),
        (Stage::Autonomous, [registered; 3]),
    ] {
        for (access, policy) in Access::ALL.iter().zip(determining) {
            let mut world = World::new();
            world.agent.value.stage = stage;
            let ask = scopes([ledger(*access)]);
            let expected = (stage.admits(*access), vec![policy.to_owned()]);
            assert_eq!(decide(&engine, &world, ask), expected, "{stage} {access}");
        }
    }
}

#[test]
fn every_state_that_is_not_in_order_names_its_rule() {
    type Change = fn(&mut World);
    let cases: [(&str, Change); 12] = [
        ("agent-not-active", |w| {
            w.agent.value.state = State::Suspended;
        }),
        ("agent-not-active", |w| w.agent.value.state = State::Retired),
        ("agent-not-active", |w| w.agent.value.valid_until = NOW),
        ("owner-not-active", |w| {
            w.owner.as_mut().unwrap().value.state = State::Suspended;
        }),
        ("owner-not-active", |w| {
            w.owner.as_mut().unwrap().value.state = State::Retired;
        }),
        ("target-not-active", |w| {
            w.ledger.value.state = State::Suspended;
        }),
        ("target-not-active", |w| {
            w.ledger.value.state = State::Retired;
        }),
        ("scope-not-registered", |w| w.agent.value.scopes.clear()),
        ("scope-not-registered", |w| {
            // The same word at another target is another scope.
            w.agent.value.scopes = [mail(Access::Read)].into();
        }),
        ("high-risk-needs-purpose", |w| {
            w.ledger.value.risk = Risk::High;
            w.purpose.clear();
        }),
        ("high-risk-needs-purpose", |w| {
            w.ledger.value.risk = Risk::High;
            w.purpose = " \n".into();
        }),
        ("stage-read-only", |w| {
            w.agent.value.stage = Stage::ReadOnly;
            w.ledger
                .value
                .scopes
                .insert("read".parse().unwrap(), Access::Write);
        }),
    ];
    let engine = shipped();
    for (index, (policy, change)) in cases.into_iter().enumerate() {
        let mut world = World::new();
        change(&mut world);
        let ask = scopes([ledger(Access::Read)]);
        let expected = (false, vec![policy.to_owned()]);
        assert_eq!(decide(&engine, &world, ask), expected, "case {index}");
    }
}

#[test]
fn what_is_just_still_in_order_is_granted() {
    type Change = fn(&mut World);
    let cases: [Change; 4] = [
        |w| w.agent.value.valid_until = taskpass_core::Timestamp::from_millis(NOW.millis() + 1),
        |w| w.mail.value.state = State::Retired,
        |w| w.ledger.value.risk = Risk::High,
        |w| {
            w.ledger.value.risk = Risk::Medium;
            w.purpose.clear();
        },
    ];
    for (index, change) in cases.into_iter().enumerate() {
        let mut world = World::new();
        change(&mut world);
        let (granted, policies) = decide(&shipped(), &world, scopes([ledger(Access::Actuate)]));
        assert!(granted, "case {index}: {policies:?}");
    }
}

#[test]
fn several_rules_are_all_named() {
    let mut world = World::new();
    world.agent.value.state = State::Suspended;
    world.agent.value.stage = Stage::Bounded;
    world.agent.value.scopes.clear();
    let (granted, policies) = decide(&shipped(), &world, scopes([ledger(Access::Actuate)]));
    assert!(!granted);
    assert_eq!(
        policies,
        ["agent-not-active", "scope-not-registered", "stage-bounded"]
    );
}

#[test]
fn one_denied_scope_denies_all_and_the_others_are_reported() {
    let mut world = World::new();
    world.agent.value.stage = Stage::Bounded;
    let ask = scopes([
        mail(Access::Write),
        ledger(Access::Actuate),
        ledger(Access::Read),
    ]);
    let denial = denied(&shipped(), &world, ask);
    assert_eq!(denial.basis.policies, ["stage-bounded"]);
    assert_eq!(denial.asked.len(), 3);
    assert_eq!(denial.allowed, [ledger(Access::Read), mail(Access::Write)]);
    assert!(!denial.errored);
}

#[test]
fn a_grant_says_what_was_read_and_by_which_set() {
    let engine = shipped();
    let world = World::new();
    let ask = scopes([ledger(Access::Read)]);
    let grant = engine
        .decide(decision(), &world.request(ask.clone()))
        .unwrap();
    assert_eq!(grant.ask(), &ask);
    assert_eq!(grant.agent(), &world.agent.value.name);
    assert_eq!(grant.basis().id, decision());
    assert_eq!(grant.basis().policy_set, engine.current().hash());
    assert_eq!(
        grant.read(),
        [
            (RowKey::Agent("invoice-bot".parse().unwrap()), 7),
            (RowKey::Owner("payments".parse().unwrap()), 3),
            (RowKey::Target("https://ledger.example".parse().unwrap()), 5),
            (RowKey::Target("https://mail.example".parse().unwrap()), 5),
        ]
    );
}

#[test]
fn nothing_asked_for_is_denied() {
    let engine = shipped();
    let mut world = World::new();
    for from in [None, Some("invoice-bot".parse().unwrap())] {
        world.delegating_from = from;
        world.task = Some(task());
        let expected = (false, vec![DEFAULT_DENY.to_owned()]);
        assert_eq!(decide(&engine, &world, scopes([])), expected);
    }
}

#[test]
fn certificates() {
    let engine = shipped();
    let mut world = World::new();
    world.task = Some(task());
    let permitted = (true, vec!["permit-task-certificate".to_owned()]);
    assert_eq!(decide(&engine, &world, Ask::Certificate), permitted);
    world.agent.value.state = State::Suspended;
    let refused = (false, vec!["agent-not-active".to_owned()]);
    assert_eq!(decide(&engine, &world, Ask::Certificate), refused);
}

#[test]
fn an_svid_needs_its_label_and_whatever_a_certificate_needs() {
    let engine = shipped();
    let mut world = World::new();
    world.task = Some(task());
    let denied = (false, vec![DEFAULT_DENY.to_owned()]);
    for label in [None, Some("yes"), Some("")] {
        let labels = &mut world.agent.value.labels;
        labels.clear();
        labels.extend(label.map(|label| ("svid".to_owned(), label.to_owned())));
        assert_eq!(decide(&engine, &world, Ask::Svid), denied, "{label:?}");
    }
    let label = ("svid".to_owned(), "allowed".to_owned());
    world.agent.value.labels.extend([label]);
    let both = ["permit-task-certificate", "permit-task-svid"];
    let permitted = (true, both.map(str::to_owned).to_vec());
    assert_eq!(decide(&engine, &world, Ask::Svid), permitted);
    world.agent.value.state = State::Suspended;
    let refused = (false, vec!["agent-not-active".to_owned()]);
    assert_eq!(decide(&engine, &world, Ask::Svid), refused);
}

#[test]
fn a_child_task_of_its_own_agent_needs_both_answers() {
    let engine = shipped();
    let mut world = World::new();
    world.task = Some(task());
    world.delegating_from = Some("invoice-bot".parse().unwrap());
    let both = ["permit-own-subtask", "permit-registered-scopes"].map(str::to_owned);
    let ask = scopes([ledger(Access::Read)]);
    assert_eq!(decide(&engine, &world, ask.clone()), (true, both.to_vec()));
    world.agent.value.scopes.clear();
    let expected = (false, vec!["scope-not-registered".to_owned()]);
    assert_eq!(decide(&engine, &world, ask), expected);
}

#[test]
fn another_agent_is_delegated_to_only_by_a_policy_for_the_pair() {
    let engine = shipped();
    let mut world = World::new();
    world.task = Some(task());
    world.delegating_from = Some("planner".parse().unwrap());
    let ask = scopes([ledger(Access::Read)]);
    let denial = denied(&engine, &world, ask.clone());
    assert_eq!(denial.basis.policies, [DEFAULT_DENY]);
    assert!(denial.allowed.is_empty(), "no narrower ask would do");
    assert!(!denial.errored);

    let pair = r#"
        @id("broad") permit (principal, action == Action::"read", resource);
        @id("planner-to-invoice-bot")
        permit (principal == Agent::"invoice-bot", action == Action::"delegate", resource)
        when { resource.agent == Agent::"planner" };"#;
    engine.replace(crate::testing::set(pair));
    assert!(decide(&engine, &world, ask.clone()).0);
    world.delegating_from = Some("other".parse().unwrap());
    assert!(!decide(&engine, &world, ask).0);
}

#[test]
fn the_set_in_force_can_be_replaced() {
    let engine = shipped();
    let world = World::new();
    let ask = || scopes([ledger(Access::Read)]);
    assert!(decide(&engine, &world, ask()).0);
    let closed = crate::testing::set("@id(\"closed\") forbid (principal, action, resource);");
    let hash = closed.hash();
    engine.replace(closed);
    let denial = denied(&engine, &world, ask());
    assert_eq!(denial.basis.policies, ["closed"]);
    assert_eq!(denial.basis.policy_set, hash);
}

#[test]
fn labels_groups_and_context_reach_the_policies() {
    for condition in [
        r#"principal.hasTag("env") && principal.getTag("env") == "prod""#,
        r#"principal in Owner::"payments""#,
        r#"resource in Target::"https://ledger.example""#,
        r#"resource.name like "re*""#,
        r#"resource.target.risk == Risk::"medium""#,
        r#"context.stage == Stage::"autonomous" && context.risk == Risk::"medium""#,
        "context.ttl_seconds == 300",
        "context.depth == 1",
        r#"context.attestation == "mtls""#,
        r#"context.purpose == "invoice 4711""#,
        "context.time == 28333333",
    ] {
        let ask = || scopes([ledger(Access::Read)]);
        for (holds, keyword) in [(true, "when"), (false, "unless")] {
            let text = format!(
                "@id(\"p\") permit (principal, action == Action::\"read\", resource) \
                 {keyword} {{ {condition} }};"
            );
            let engine = Engine::new(crate::testing::set(&text));
            let granted = decide(&engine, &World::new(), ask()).0;
            assert_eq!(granted, holds, "{keyword} {condition}");
        }
    }
}
