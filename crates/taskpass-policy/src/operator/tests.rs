use super::*;
use crate::testing::{NOW, World, decision, set};

use taskpass_core::registry::State;

fn operator(name: &str, roles: &[Role]) -> Operator {
    Operator {
        name: name.parse().unwrap(),
        roles: roles.iter().copied().collect(),
        state: State::Active,
    }
}

fn act<'a>(who: &'a Operator, verb: Verb, things: Vec<Thing<'a>>) -> Act<'a> {
    Act {
        operator: &who.name,
        roles: &who.roles,
        verb,
        things,
        reason: "why",
        now: NOW,
    }
}

fn allowed(set: &PolicySet, who: &Operator, verb: Verb, things: Vec<Thing<'_>>) -> bool {
    let decided = set.authorize(decision(), &act(who, verb, things));
    if let Err(denial) = &decided {
        assert!(!denial.errored, "{denial:?}");
    }
    decided.is_ok()
}

/// What the shipped set lets each role do is what the table of methods lets it do.
#[test]
fn the_shipped_set_permits_by_role() {
    let world = World::new();
    let agent = || Thing::Agent(&world.agent.value, None);
    let shipped = PolicySet::shipped().unwrap();
    for verb in Verb::ALL {
        let thing = match verb {
            Verb::TaintKey => Thing::Key("k"),
            Verb::Register
            | Verb::Update
            | Verb::Suspend
            | Verb::Retire
            | Verb::CreateEnrolmentToken => agent(),
            _ => Thing::Broker,
        };
        let looks = matches!(
            verb,
            Verb::ReadRegistry
                | Verb::ReadTasks
                | Verb::ReadRevocations
                | Verb::Introspect
                | Verb::ReadKeys
                | Verb::ExplainPolicy
                | Verb::ReadAudit
                | Verb::ExportAudit
        );
        let responds = matches!(verb, Verb::Revoke | Verb::Suspend);
        for (roles, expected) in [
            (&[Role::Admin][..], true),
            (&[Role::Responder], looks || responds),
            (&[Role::Auditor], looks),
            (&[], false),
        ] {
            let who = operator("ann", roles);
            let found = allowed(&shipped, &who, *verb, vec![thing.clone()]);
            assert_eq!(found, expected, "{verb} {roles:?}");
        }
    }
}

#[test]
fn a_forbid_narrows_and_is_named() {
    let shipped = crate::Sources::read(
        &std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../config/policies"),
    )
    .unwrap();
    let mut files: Vec<_> = shipped.files().clone().into_iter().collect();
    files.push((
        "ours.cedar".into(),
        "@id(\"only-alice\") forbid (principal, action == Action::\"revoke\", resource is Broker)
         unless { principal == Operator::\"alice\" };"
            .into(),
    ));
    let set = PolicySet::from_sources(shipped.schema(), &files).unwrap();
    let world = World::new();
    let (alice, bob) = (
        operator("alice", &[Role::Responder]),
        operator("bob", &[Role::Admin]),
    );
    assert!(allowed(&set, &alice, Verb::Revoke, vec![Thing::Broker]));
    let agent = Thing::Agent(&world.agent.value, None);
    assert!(allowed(&set, &bob, Verb::Revoke, vec![agent.clone()]));
    // One thing of several that is forbidden forbids the act.
    for things in [vec![Thing::Broker], vec![agent, Thing::Broker]] {
        let denial = set
            .authorize(decision(), &act(&bob, Verb::Revoke, things))
            .unwrap_err();
        assert_eq!(denial.basis.policies, ["only-alice"]);
        assert_eq!(denial.basis.policy_set, set.hash());
    }
}

#[test]
fn what_fails_or_is_about_nothing_is_denied() {
    let ann = operator("ann", &[Role::Admin]);
    let broad = "@id(\"broad\") permit (principal, action, resource);\n";
    let denial = set(broad)
        .authorize(decision(), &act(&ann, Verb::Revoke, Vec::new()))
        .unwrap_err();
    assert_eq!(denial.basis.policies, ["default-deny"]);
    // A thing that the verb has nothing to do with does not fit the schema.
    let wrong = act(&ann, Verb::ReadAudit, vec![Thing::Key("k")]);
    assert!(
        set(broad)
            .authorize(decision(), &wrong)
            .unwrap_err()
            .errored
    );
    let fails = "@id(\"broken\") forbid (principal is Operator, action, resource)
        when { context.time + 9223372036854775807 > 0 };";
    let denial = set(&format!("{broad}{fails}"))
        .authorize(decision(), &act(&ann, Verb::Revoke, vec![Thing::Broker]))
        .unwrap_err();
    assert!(denial.errored);
    assert_eq!(denial.basis.policies, ["broken"]);
}

/// Of an operator that is changed by itself, policies see the roles that it would have.
#[test]
fn who_acts_upon_itself_is_judged_by_what_it_becomes() {
    let set = set("@id(\"broad\") permit (principal, action, resource);
        @id(\"no-admins\") forbid (principal, action, resource is Operator)
        when { resource.roles.contains(Role::\"admin\") };");
    let (now, then) = (
        operator("ann", &[Role::Auditor]),
        operator("ann", &[Role::Admin]),
    );
    let both = vec![Thing::Operator(&now), Thing::Operator(&then)];
    assert!(!allowed(&set, &now, Verb::Update, both));
    let same = vec![Thing::Operator(&now), Thing::Operator(&now)];
    assert!(allowed(&set, &now, Verb::Update, same));
}

#[test]
fn a_set_that_locks_everybody_out_says_so() {
    let all = [Verb::Revoke, Verb::Suspend, Verb::Resume, Verb::ReadAudit];
    let agents = "@id(\"agents\") permit (principal is Agent, action, resource);\n";
    for (text, expected) in [
        ("", &all[..]),
        (
            "@id(\"p\") permit (principal is Operator, action, resource);",
            &[],
        ),
        // It may be one of a name.
        (
            "@id(\"p\") permit (principal == Operator::\"alice\", action, resource);",
            &[],
        ),
        (
            "@id(\"p\") permit (principal, action in Action::\"inspect\", resource);",
            &all[..3],
        ),
        (
            "@id(\"p\") permit (principal, action, resource);
             @id(\"f\") forbid (principal, action == Action::\"revoke\", resource is Broker);",
            &all[..1],
        ),
    ] {
        assert_eq!(
            set(&format!("{agents}{text}")).locked_out(),
            expected,
            "{text}"
        );
    }
    assert_eq!(PolicySet::shipped().unwrap().locked_out(), []);
}

/// The parts of a set are about whom their heads say, and all others are in both.
#[test]
fn rules_about_others_are_left_out() {
    let set = set(
        "@id(\"agents\") permit (principal is Agent, action, resource);
        @id(\"one-agent\") forbid (principal == Agent::\"a\", action, resource);
        @id(\"team\") permit (principal in Owner::\"o\", action, resource);
        @id(\"operators\") permit (principal is Operator, action, resource);
        @id(\"alice\") permit (principal == Operator::\"alice\", action, resource);
        @id(\"both\") permit (principal, action, resource);",
    );
    let ids = |policies: &cedar_policy::PolicySet| {
        let mut ids: Vec<_> = policies.policies().map(|p| p.id().to_string()).collect();
        ids.sort();
        ids
    };
    assert_eq!(
        ids(set.for_agents()),
        ["agents", "both", "one-agent", "team"]
    );
    assert_eq!(
        ids(set.for_operators()),
        ["alice", "both", "operators", "team"]
    );
    assert_eq!(set.policy_ids().len(), 6);
}
