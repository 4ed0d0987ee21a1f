//! Each fault, by what makes it.

use serde_json::json;

use super::*;
use crate::facts::KeysFrom;
use crate::testing::{agent, at, credential, entry, facts, id, registry, revoked, started, token};

fn report(agents: Vec<Agent>, entries: &[serde_json::Value]) -> Inventory {
    let facts = facts(None, at(100), entries);
    let about = facts.about(KeysFrom::Given, Some(7));
    inventory(&facts, &registry(agents), about)
}

/// The faults of agent `a`, which works as it should but for what is changed.
fn faults_of(change: impl FnOnce(&mut Agent)) -> Vec<Fault> {
    let mut a = agent("a", &["read"]);
    change(&mut a);
    let others = [agent("b", &[])];
    let agents = [a].into_iter().chain(others).collect();
    let report = report(agents, &[started(at(0), "a", &id(at(600), 1), &["read"])]);
    let row = report.rows.into_iter().find(|row| row.agent == "a");
    row.unwrap().faults
}

#[test]
fn each_fault_is_found() {
    assert_eq!(faults_of(|_| {}), []);
    let no_owner = |owner: &str, state: Option<&str>| Fault::NoOwner {
        owner: owner.to_owned(),
        state: state.map(str::to_owned),
    };
    assert_eq!(
        faults_of(|a| a.owner = "gone".into()),
        [no_owner("gone", None)]
    );
    let overdue = |valid_until| [Fault::Overdue { valid_until }];
    assert_eq!(
        faults_of(|a| a.valid_until = Some(at(100))),
        overdue(at(100))
    );
    assert_eq!(
        faults_of(|a| a.valid_until = None),
        overdue(Timestamp::ZERO)
    );
    assert_eq!(faults_of(|a| a.valid_until = Some(at(101))), []);
    let retired = |a: &mut Agent| {
        a.valid_until = None;
        a.state = Some("retired".into());
    };
    assert_eq!(faults_of(retired), [], "nothing is wrong with what is over");
    let report = report(vec![agent("a", &[])], &[]);
    assert_eq!(report.rows[0].faults, [Fault::NeverUsed]);
}

#[test]
fn an_owner_that_is_not_active_is_none() {
    let mut registry = registry(vec![agent("a", &[])]);
    let mut entries = vec![started(at(0), "a", &id(at(600), 1), &["read"])];
    let fault = |registry: &Registry, entries: &[serde_json::Value]| {
        let facts = facts(None, at(100), entries);
        let about = facts.about(KeysFrom::Given, None);
        inventory(&facts, registry, about).rows[0].faults.clone()
    };
    registry.owners[0].state = Some("suspended".into());
    assert_eq!(
        fault(&registry, &entries)[0].text(),
        "no owner: team is suspended"
    );
    // A file does not say the state; the log does.
    registry.owners[0].state = None;
    assert_eq!(
        fault(&registry, &entries)[0].text(),
        "no owner: team is in a state that is not known"
    );
    let changed = json!({"subject": "owner team", "state": "active", "version": 1});
    entries.push(entry(at(1), "registry", "done", changed));
    assert_eq!(fault(&registry, &entries), []);
}

#[test]
fn one_key_on_two_agents_is_found_wherever_it_shows() {
    let key = |a: &mut Agent| a.keys = vec!["thumbprint".into()];
    let (mut a, mut b) = (agent("a", &[]), agent("b", &[]));
    let task = |n| id(at(600), n);
    let used = [
        started(at(0), "a", &task(1), &[]),
        started(at(1), "b", &task(2), &[]),
    ];
    assert_eq!(report(vec![a.clone(), b.clone()], &used).faulty, 0);
    // Proved in the log.
    let mut same = used.clone();
    same[1]["attestation"]["key"] = json!("key of a");
    let found = report(vec![a.clone(), b.clone()], &same);
    assert_eq!(found.rows[0].faults[0].text(), "one key with b");
    assert_eq!(found.rows[1].faults[0].text(), "one key with a");
    // The key of an issuer vouches for many.
    for entry in &mut same {
        entry["attestation"]["method"] = json!("federated_jwt");
    }
    assert_eq!(report(vec![a.clone(), b.clone()], &same).faulty, 0);
    // Registered.
    key(&mut a);
    key(&mut b);
    assert_eq!(report(vec![a, b], &used).faulty, 2);
}

#[test]
fn rows_count_and_the_faulty_come_first() {
    let task = id(at(600), 1);
    let (dead, live) = (credential(at(310), 1), credential(at(320), 2));
    let entries = [
        started(at(0), "z", &task, &["read"]),
        token(at(10), "z", &task, &dead, &["read"]),
        token(at(20), "z", &task, &live, &["read"]),
        revoked(at(30), "credential", &dead),
        started(at(40), "a", &id(at(600), 2), &["read"]),
    ];
    let mut z = agent("z", &["read"]);
    z.owner = "gone".into();
    let report = report(vec![agent("a", &[]), z], &entries);
    let row = &report.rows[0];
    assert_eq!(
        (report.agents, report.faulty, row.agent.as_str()),
        (2, 1, "z")
    );
    assert_eq!(
        (row.tasks, row.credentials, row.live_credentials),
        (1, 2, 1)
    );
    assert_eq!(
        (row.last_task_at, row.attestation.join(",")),
        (Some(at(0)), "mtls".into())
    );
}
