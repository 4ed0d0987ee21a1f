use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::rng::SeededRng;

fn task_id(n: u8) -> TaskId {
    TaskId::generate(Timestamp::from_secs(10_000), &SeededRng::new(u64::from(n)))
}

fn agent(n: u8) -> AgentName {
    format!("agent-{n}").parse().unwrap()
}

fn target(n: u8) -> TargetUri {
    format!("https://t{n}.example").parse().unwrap()
}

fn credential(n: u8) -> CredentialId {
    CredentialId::generate(Timestamp::from_secs(5_000), &SeededRng::new(u64::from(n)))
}

fn key(n: u8) -> KeyId {
    KeyId::from_thumbprint(crate::secret::Sha256::of(&[n]))
}

fn draft(selector: Selector) -> RuleDraft {
    RuleDraft {
        selector,
        only_target: None,
        reason: "drill".into(),
        actor: Principal::from_parts("operator", "ops").unwrap(),
        owner: None,
        key: None,
        live_until: None,
    }
}

fn selector() -> impl Strategy<Value = Selector> {
    prop_oneof![
        (0_u8..4).prop_map(|n| Selector::Credential(credential(n))),
        (0_u8..4).prop_map(|n| Selector::Task(task_id(n))),
        (0_u8..4).prop_map(|n| Selector::Agent(agent(n))),
        (0_u8..4).prop_map(|n| Selector::Target(target(n))),
        (0_u8..4).prop_map(|n| Selector::Key(key(n))),
        Just(Selector::Everything),
    ]
}

fn facts() -> impl Strategy<Value = Facts> {
    (
        proptest::option::of(0_u8..4),
        proptest::option::of(0_u8..4),
        proptest::option::of(0_u8..4),
        proptest::collection::vec((0_u8..4, 0_u8..4), 0..3),
        proptest::option::of(0_u8..4),
        proptest::option::of(0_u8..4),
        90_u64..110,
    )
        .prop_map(|(c, a, t, above, aud, k, issued_at)| Facts {
            credential: c.map(credential),
            agent: a.map(agent),
            task: t.map(task_id),
            ancestors: above
                .into_iter()
                .map(|(t, a)| Ancestor {
                    task: task_id(t),
                    agent: agent(a),
                })
                .collect(),
            target: aud.map(target),
            key: k.map(key),
            issued_at,
        })
}

proptest! {
    #[test]
    fn the_index_agrees_with_the_one_function(
        rules in proptest::collection::vec((selector(), 90_u64..110), 0..12),
        facts in facts(),
        pruned_at in 0_u64..700_000,
    ) {
        let mut set = RuleSet::default();
        let mut all = Vec::new();
        for (n, (selector, at)) in rules.into_iter().enumerate() {
            let rule = draft(selector).commit(n as u64 + 1, Timestamp::from_secs(at), 0);
            set.insert(rule.clone());
            set.insert(rule.clone());
            all.push(rule);
        }
        let now = Timestamp::from_secs(pruned_at);
        set.prune(now);
        all.retain(|rule| !rule.is_prunable(now));
        prop_assert_eq!(set.len(), all.len());
        prop_assert_eq!(
            set.matching(&facts).is_some(),
            all.iter().any(|rule| rule.matches(&facts))
        );
    }

    #[test]
    fn both_sides_compute_one_digest(order in Just((1_u64..20).collect::<Vec<_>>()).prop_shuffle(), at in 0_u64..20_000) {
        let rule = |seq: u64| {
            draft(Selector::Task(task_id(u8::try_from(seq).unwrap())))
                .commit(seq, Timestamp::from_secs(100), 0)
        };
        let mut straight = DigestView::default();
        (1..20).for_each(|seq| straight.add(&rule(seq)));
        let mut shuffled = DigestView::default();
        for seq in order {
            shuffled.add(&rule(seq));
            shuffled.add(&rule(seq));
        }
        let now = Timestamp::from_secs(at);
        prop_assert_eq!(straight.at(now), shuffled.at(now));
        let mut missing = DigestView::default();
        (1..19).for_each(|seq| missing.add(&rule(seq)));
        let alive = !rule(19).is_prunable(now);
        prop_assert_eq!(missing.at(now) != straight.at(now), alive);
    }

    /// Whatever a rule matches has expired, by the code's maxima, before the rule is forgotten.
    #[test]
    fn nothing_outlives_its_rule(at in 1_000_u64..9_000, newest in 0_u64..10_000) {
        let issued = at.max(newest);
        let now = Timestamp::from_secs(at);
        let skew = ttl::CLOCK_SKEW + ttl::MAX_FEED_STALENESS;
        for (selector, longest) in [
            (Selector::Agent(agent(1)), ttl::MAX_IDENTITY_TTL),
            (Selector::Target(target(1)), ttl::MAX_TOKEN_TTL),
            (Selector::Everything, ttl::MAX_CERTIFICATE_TTL),
        ] {
            let rule = draft(selector).commit(1, now, newest);
            let end = Timestamp::from_secs(issued).plus(longest.duration()).plus(skew);
            prop_assert!(rule.prune_at >= end);
        }
    }
}

#[test]
fn a_rule_matches_what_its_selector_says() {
    let facts = Facts {
        credential: Some(credential(1)),
        agent: Some(agent(1)),
        task: Some(task_id(1)),
        ancestors: vec![Ancestor {
            task: task_id(2),
            agent: agent(2),
        }],
        target: Some(target(1)),
        key: Some(key(1)),
        issued_at: 100,
    };
    let at = |secs| Timestamp::from_secs(secs);
    for (selector, when, expected) in [
        (Selector::Credential(credential(1)), 50, true),
        (Selector::Credential(credential(2)), 500, false),
        (Selector::Task(task_id(1)), 100, true),
        (Selector::Task(task_id(1)), 99, false),
        (Selector::Task(task_id(2)), 100, true),
        (Selector::Task(task_id(3)), 100, false),
        (Selector::Agent(agent(1)), 100, true),
        (Selector::Agent(agent(1)), 99, false),
        (Selector::Agent(agent(2)), 100, true),
        (Selector::Agent(agent(3)), 100, false),
        (Selector::Target(target(1)), 100, true),
        (Selector::Target(target(1)), 99, false),
        (Selector::Target(target(2)), 100, false),
        (Selector::Key(key(1)), 1, true),
        (Selector::Key(key(2)), 500, false),
        (Selector::Everything, 100, true),
        (Selector::Everything, 99, false),
    ] {
        let rule = draft(selector.clone()).commit(1, at(when), 0);
        assert_eq!(rule.matches(&facts), expected, "{selector} at {when}");
    }
    let identity = Facts::of_identity(
        &Principal::from_parts("agent", "agent-1").unwrap(),
        None,
        at(100),
    );
    assert!(
        !draft(Selector::Everything)
            .commit(1, at(200), 0)
            .matches(&identity)
    );
    assert!(
        draft(Selector::Agent(agent(1)))
            .commit(1, at(200), 0)
            .matches(&identity)
    );
}

#[test]
fn the_newest_committed_second_is_covered() {
    let rule = draft(Selector::Everything).commit(1, Timestamp::from_millis(100_900), 105);
    assert_eq!(rule.issued_before, 105);
}

#[test]
fn a_verifier_gets_what_can_concern_it() {
    let own: BTreeSet<_> = [target(1)].into();
    let mut rule = draft(Selector::Everything).commit(1, Timestamp::ZERO, 0);
    assert!(rule.concerns(&own));
    rule.only_target = Some(target(2));
    assert!(!rule.concerns(&own));
    rule.only_target = Some(target(1));
    assert!(rule.concerns(&own));
}

#[test]
fn selectors_read_back() {
    for selector in [
        Selector::Credential(credential(1)),
        Selector::Task(task_id(1)),
        Selector::Agent(agent(1)),
        Selector::Target(target(1)),
        Selector::Key(key(1)),
        Selector::Everything,
    ] {
        assert_eq!(
            Selector::from_parts(selector.kind(), &selector.value()),
            Some(selector)
        );
    }
    assert_eq!(Selector::from_parts("all", "x"), None);
    assert_eq!(Selector::from_parts("owner", "x"), None);
}
