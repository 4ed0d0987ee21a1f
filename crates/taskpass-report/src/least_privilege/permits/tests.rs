//! What the policies say is what is permitted, beneath what no policy can lift.

use crate::facts::KeysFrom;
use crate::least_privilege::{
    Answer, LeastPrivilege, Permits, PermittedBy, Ratio, Scope, least_privilege,
};
use crate::registry::Registry;
use crate::testing::{agent, at, facts, registry, scope};

const SET: &str = "5e7";

fn denied(policies: &[&str]) -> Answer {
    Answer {
        refused: Some("POLICY_DENIED".to_owned()),
        policies: policies.iter().map(|id| (*id).to_owned()).collect(),
        would_deny: false,
    }
}

fn allowed(would_deny: bool) -> Answer {
    Answer {
        refused: None,
        policies: vec!["permit-all".to_owned()],
        would_deny,
    }
}

fn made(registry: &Registry) -> LeastPrivilege {
    let facts = facts(None, at(100), &[]);
    let about = facts.about(KeysFrom::Given, Some(7));
    least_privilege(&facts, registry, about, &Scope::default()).unwrap()
}

fn asked(answers: &[(&str, Answer)], registered: &[&str]) -> Registry {
    let mut permits = Permits::new(SET);
    for (name, answer) in answers {
        permits.add("a", &scope(name), answer.clone());
    }
    Registry {
        permits: Some(permits),
        ..registry(vec![agent("a", registered)])
    }
}

#[test]
fn a_policy_that_denies_is_named() {
    for (answer, blocked_by) in [
        (allowed(false), None),
        (denied(&["no-writes"]), Some("policy no-writes")),
        (denied(&["b", "c"]), Some("policies b, c")),
        (denied(&["default-deny"]), Some("policy default-deny")),
        (
            Answer {
                refused: Some("BROKER_HALTED".to_owned()),
                ..Answer::default()
            },
            Some("refused before the policies: BROKER_HALTED"),
        ),
    ] {
        let report = made(&asked(&[("write", answer.clone())], &["write"]));
        assert_eq!(report.permitted_by, PermittedBy::Policy);
        assert_eq!(report.policy_set.as_deref(), Some(SET));
        let [row] = report.rows.as_slice() else {
            panic!("{report:?}")
        };
        assert_eq!(row.blocked_by.as_deref(), blocked_by);
        assert_eq!(row.permitted, blocked_by.is_none());
        assert_eq!(row.policies, answer.policies);
        assert_eq!(report.total.permitted, u64::from(blocked_by.is_none()));
    }
}

#[test]
fn policies_decide_on_stage_and_registration_where_they_were_asked() {
    // By the stage `pay` is out of reach, and `read` is in no registration.
    let answers = [("pay", allowed(false)), ("read", allowed(true))];
    let report = made(&asked(&answers, &["pay"]));
    let rows: Vec<_> = report
        .rows
        .iter()
        .map(|row| (row.scope.clone(), row.permitted, row.would_deny))
        .collect();
    assert_eq!(
        rows,
        [(scope("pay"), true, false), (scope("read"), true, true)]
    );
    let total = Ratio {
        permitted: 2,
        granted: 0,
        ..Ratio::default()
    };
    assert_eq!(report.total, total);
}

#[test]
fn what_no_policy_lifts_stays_and_what_was_not_asked_is_not_permitted() {
    let mut suspended = asked(&[("read", allowed(true))], &["read", "write"]);
    let report = made(&suspended);
    assert_eq!(
        report.rows[1].blocked_by.as_deref(),
        Some("the policies were not asked about it")
    );
    suspended.agents[0].state = Some("suspended".to_owned());
    let report = made(&suspended);
    let first = &report.rows[0];
    assert_eq!(first.blocked_by.as_deref(), Some("the agent is not active"));
    assert!(!first.permitted && !first.would_deny);
}

#[test]
fn without_answers_the_report_says_that_policies_can_forbid_more() {
    let report = made(&registry(vec![agent("a", &["read"])]));
    assert_eq!(report.permitted_by, PermittedBy::Registration);
    assert_eq!(report.policy_set, None);
    assert!(report.permitted_says.contains("not asked"));
    assert!(report.rows[0].policies.is_empty() && report.rows[0].permitted);
    let json = serde_json::to_value(&report).unwrap();
    assert_eq!(json["permitted_by"], "registration");
}
