//! Applying a list: all or nothing, of the version that was reviewed.

use std::sync::Arc;

use taskpass_core::access::{Access, Stage};
use taskpass_core::registry::{Agent, Owner, Row, RowKey, State, Target};

use super::{WHY, agent_of, before, key, owner};
use crate::testing::{LEDGER, TestBroker, open_on, ops};
use crate::{Action, Applied, Apply, Error, Proposed, Resume};

fn list(rows: impl IntoIterator<Item = Row>) -> Apply {
    let proposed = |(entry, row)| Proposed {
        entry,
        row,
        keeps_validity: false,
    };
    Apply {
        entries: rows.into_iter().enumerate().map(proposed).collect(),
        faults: Vec::new(),
        expected_version: None,
        dry_run: false,
        reason: String::new(),
        prune: false,
        force: false,
    }
}

/// What registers one owner.
pub(super) fn one_more_owner() -> Apply {
    list([new_owner("one-more")])
}

/// The owners, agents and targets that there are.
fn everything(t: &TestBroker) -> Vec<Row> {
    let registry = t.broker.registry();
    let owners = registry.owners().map(|row| Row::Owner(row.value.clone()));
    let targets = registry.targets().map(|row| Row::Target(row.value.clone()));
    let agents = registry.agents().map(|row| Row::Agent(row.value.clone()));
    owners.chain(targets).chain(agents).collect()
}

fn new_owner(name: &str) -> Row {
    Row::Owner(Owner {
        name: name.parse().unwrap(),
        contact: "new@example".into(),
        limits: taskpass_core::registry::Limits::NONE,
        state: State::Active,
    })
}

fn edit_agent(rows: &mut [Row], name: &str, edit: impl Fn(&mut Agent)) {
    for row in rows {
        if let Row::Agent(agent) = row
            && agent.name.as_str() == name
        {
            edit(agent);
        }
    }
}

fn edit_ledger(rows: &mut [Row], edit: impl Fn(&mut Target)) {
    for row in rows {
        if let Row::Target(target) = row
            && target.uri.as_str() == LEDGER
        {
            edit(target);
        }
    }
}

fn said(applied: &Applied) -> Vec<(Action, String, Vec<&'static str>)> {
    let said = |change: &crate::RowChange| {
        let fields = change.fields.iter().map(|field| field.field);
        (change.action, change.key.to_string(), fields.collect())
    };
    applied.changes.iter().map(said).collect()
}

fn faults(outcome: Result<Applied, Error>) -> Vec<String> {
    match outcome.unwrap_err() {
        Error::InvalidEntries { faults } => {
            let said = |fault: &crate::Fault| format!("{} {fault}", fault.entry);
            faults.iter().map(said).collect()
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn what_is_registered_already_is_no_change() {
    let t = TestBroker::new().await;
    t.broker.suspend(&ops(), key("reader"), WHY).await.unwrap();
    t.broker
        .suspend(&ops(), owner("others"), WHY)
        .await
        .unwrap();
    let before = t.broker.registry().version_of_all();
    for prune in [false, true] {
        let request = Apply {
            prune,
            ..list(everything(&t))
        };
        let applied = t.broker.apply(&ops(), &request).await.unwrap();
        assert_eq!(said(&applied), []);
        assert_eq!(applied.version, before);
    }
    assert_eq!(agent_of(&t, "reader").value.state, State::Suspended);
    // Nor is what is there and has come to its end meanwhile.
    t.advance(60 * 60 * 24 * 40);
    let applied = t.broker.apply(&ops(), &list(everything(&t))).await.unwrap();
    assert_eq!(said(&applied), []);
}

#[tokio::test]
async fn a_difference_is_shown_then_made_in_one_commit() {
    let t = TestBroker::new().await;
    let mut rows = everything(&t);
    rows.push(new_owner("audit"));
    // The agent's new owner comes with it, and its new scope with its target.
    edit_agent(&mut rows, "reader", |agent| {
        agent.owner = "audit".parse().unwrap();
        agent
            .scopes
            .insert(format!("{LEDGER}#close").parse().unwrap());
        agent.stage = Stage::Bounded;
    });
    edit_ledger(&mut rows, |target| {
        target
            .scopes
            .insert("close".parse().unwrap(), Access::Write);
    });
    let version = t.broker.registry().version_of_all();
    let mut request = Apply {
        dry_run: true,
        ..list(rows)
    };
    let dry = t.broker.apply(&ops(), &request).await.unwrap();
    let expected = [
        (Action::Change, format!("target {LEDGER}"), vec!["scopes"]),
        (
            Action::Change,
            "agent reader".to_owned(),
            vec!["owner", "stage", "scopes"],
        ),
        (
            Action::Add,
            "owner audit".to_owned(),
            vec!["contact", "state"],
        ),
    ];
    assert_eq!(said(&dry), expected);
    assert_eq!((dry.version, dry.changes[1].version), (version, 0));
    assert_eq!(t.broker.registry().version_of_all(), version);

    request.dry_run = false;
    let unexplained = t.broker.apply(&ops(), &request).await.unwrap_err();
    assert_eq!(unexplained.reason(), "INVALID_REASON");
    assert!(
        unexplained.to_string().contains("owner, stage, scopes"),
        "{unexplained}"
    );
    assert_eq!(t.broker.registry().version_of_all(), version);

    request.reason = WHY.to_owned();
    request.expected_version = Some(version);
    let commits = t.broker.store_stats().commits;
    let applied = t.broker.apply(&ops(), &request).await.unwrap();
    assert_eq!(t.broker.store_stats().commits, commits + 1);
    assert_eq!(said(&applied), expected);
    assert_eq!(applied.version, version + 1, "one change");
    assert_eq!(applied.changes[1].version, agent_of(&t, "reader").version);
    assert_eq!(agent_of(&t, "reader").value.owner.as_str(), "audit");
    // The same once more is another version, and no change.
    let again = t.broker.apply(&ops(), &request).await.unwrap_err();
    assert_eq!(again.reason(), "VERSION_CHANGED");
    request.expected_version = None;
    assert_eq!(said(&t.broker.apply(&ops(), &request).await.unwrap()), []);
}

#[tokio::test]
async fn every_fault_is_named_and_nothing_is_changed() {
    let t = TestBroker::new().await;
    t.broker.retire(&ops(), key("stranger"), WHY).await.unwrap();
    let version = t.broker.registry().version_of_all();
    let mut rows = everything(&t);
    rows.retain(|row| !matches!(row, Row::Owner(owner) if owner.name.as_str() == "others"));
    edit_agent(&mut rows, "reader", |agent| {
        agent.owner = "nobody".parse().unwrap();
        agent
            .scopes
            .insert("https://nowhere.example#x".parse().unwrap());
        agent
            .scopes
            .insert(format!("{LEDGER}#nothing").parse().unwrap());
        agent.purpose.clear();
    });
    edit_ledger(&mut rows, |target| {
        target.scopes.remove("send");
    });
    rows.push(new_owner("fine"));
    rows.push(new_owner("fine"));
    let found = faults(t.broker.apply(&ops(), &list(rows.clone())).await);
    for expected in [
        "agent reader: purpose:",
        "agent reader: owner: there is no owner nobody",
        "agent reader: scopes: there is no target `https://nowhere.example`",
        "agent reader: scopes: there is no scope `nothing`",
        "agent stranger: name: agent stranger is retired",
        "target https://ledger.example: scopes: agent `payer` is registered",
        "owner fine: name: each once",
    ] {
        assert!(
            found.iter().any(|fault| fault.contains(expected)),
            "{expected}: {found:#?}"
        );
    }
    assert!(
        found.is_sorted_by_key(|fault| fault.split(' ').next().unwrap().parse::<usize>().unwrap())
    );
    let dry = Apply {
        dry_run: true,
        ..list(rows)
    };
    assert_eq!(
        faults(t.broker.apply(&ops(), &dry).await).len(),
        found.len()
    );
    assert_eq!(t.broker.registry().version_of_all(), version);
}

#[tokio::test]
async fn pruning_ends_what_is_missing_and_says_what_that_is() {
    let t = TestBroker::new().await;
    let held = before(&t).await;
    let mut rows = everything(&t);
    rows.retain(|row| {
        let key = row.key();
        key != owner("team") && key != super::key("payer") && key != super::key("reader")
    });
    let mut request = Apply {
        prune: true,
        dry_run: true,
        ..list(rows)
    };
    let dry = t.broker.apply(&ops(), &request).await.unwrap();
    let expected = [
        (Action::Retire, "agent payer".to_owned(), vec!["state"]),
        (Action::Retire, "agent reader".to_owned(), vec!["state"]),
        (Action::Retire, "owner team".to_owned(), vec!["state"]),
    ];
    assert_eq!(said(&dry), expected);
    let ended = dry.changes[0].ended;
    assert_eq!((ended.tasks.count, ended.live.credentials), (1, 1));
    assert!(t.is_active(&held.token).await);

    request.dry_run = false;
    let unexplained = t.broker.apply(&ops(), &request).await.unwrap_err();
    assert_eq!(unexplained.reason(), "INVALID_REASON");
    request.reason = WHY.to_owned();
    let applied = t.broker.apply(&ops(), &request).await.unwrap();
    assert_eq!(said(&applied), expected);
    assert!(!t.is_active(&held.token).await);
    let refused = t.broker.standing(&held.proved, None).await;
    assert_eq!(refused.unwrap_err().reason(), "UNAUTHENTICATED");
    let pending = t.broker.enrol(&held.pending, &crate::testing::csr()).await;
    assert_eq!(pending.unwrap_err().reason(), "ENROLMENT_REFUSED");
    t.broker.settle().await.unwrap();
    assert_eq!(said(&t.broker.apply(&ops(), &request).await.unwrap()), []);
}

#[tokio::test]
async fn pruning_does_not_pull_the_ground_from_what_is_named() {
    let t = TestBroker::new().await;
    let mut rows = everything(&t);
    rows.retain(|row| {
        !matches!(row, Row::Owner(_)) && row.key() != RowKey::Target(LEDGER.parse().unwrap())
    });
    let request = Apply {
        prune: true,
        reason: WHY.to_owned(),
        ..list(rows)
    };
    let found = faults(t.broker.apply(&ops(), &request).await);
    let says = |text: &str| found.iter().filter(|fault| fault.contains(text)).count();
    assert_eq!(says("an owner in the list"), 3, "{found:#?}");
    assert_eq!(says("pruning would suspend it"), 9, "{found:#?}");
    // A target that nobody needs is only suspended: its name can be used again.
    let mut rows = everything(&t);
    rows.retain(|row| row.key() != RowKey::Target(crate::testing::MAIL.parse().unwrap()));
    for name in ["reader", "payer", "stranger"] {
        edit_agent(&mut rows, name, |agent| {
            agent.scopes.retain(|scope| scope.target.as_str() == LEDGER);
        });
    }
    let request = Apply {
        prune: true,
        reason: WHY.to_owned(),
        ..list(rows)
    };
    let applied = t.broker.apply(&ops(), &request).await.unwrap();
    let last = said(&applied).pop().unwrap();
    assert_eq!((last.0, last.2), (Action::Suspend, vec!["state"]));
}

/// Of two that were reviewed against the same version, one is applied.
#[tokio::test]
async fn one_of_two_that_expect_the_same_version_is_applied() {
    let t = TestBroker::new().await;
    let other = open_on(Arc::clone(&t.store) as _, &t.clock, &t.rng).await;
    let version = t.broker.registry().version_of_all();
    let request = |name: &str| Apply {
        expected_version: Some(version),
        ..list([new_owner(name)])
    };
    let (one, two) = (request("one"), request("two"));
    let caller = ops();
    let outcomes = tokio::join!(t.broker.apply(&caller, &one), other.apply(&caller, &two));
    let outcomes = [outcomes.0, outcomes.1];
    let made: Vec<_> = outcomes.iter().flatten().map(|made| made.version).collect();
    assert_eq!(made, [version + 1], "{outcomes:?}");
    let refused = outcomes.into_iter().find_map(Result::err).unwrap();
    assert_eq!(refused.reason(), "VERSION_CHANGED");

    // Without an expectation each works from what the other made, although memory lags behind.
    for (broker, name) in [(&t.broker, "three"), (&other, "four"), (&t.broker, "five")] {
        let applied = broker
            .apply(&caller, &list([new_owner(name)]))
            .await
            .unwrap();
        assert_eq!(said(&applied).len(), 1);
    }
    let rows = taskpass_store::Store::registry(&*t.store).await.unwrap();
    let owners = rows.iter().filter(|row| matches!(row.value, Row::Owner(_)));
    assert_eq!(owners.count(), 2 + 4);
}

/// What a file need not say stays: also keys, which a revocation removes for good.
#[tokio::test]
async fn what_is_not_said_stays() {
    let t = TestBroker::new().await;
    let mut rows = everything(&t);
    rows.retain(|row| row.key() == key("payer"));
    edit_agent(&mut rows, "payer", |agent| {
        agent.purpose = "said".into();
        agent.valid_until = taskpass_core::Timestamp::ZERO;
    });
    let until = agent_of(&t, "payer").value.valid_until;
    let mut request = list(rows);
    request.entries[0].keeps_validity = true;
    let applied = t.broker.apply(&ops(), &request).await.unwrap();
    assert_eq!(said(&applied)[0].2, ["purpose"]);
    assert_eq!(agent_of(&t, "payer").value.valid_until, until);

    // Of an agent that is new there is nothing to keep.
    edit_agent_name(&mut request, "fresh");
    let found = faults(t.broker.apply(&ops(), &request).await);
    assert_eq!(found.len(), 1);
    assert!(found[0].contains("valid_until: required"), "{found:?}");
}

fn edit_agent_name(request: &mut Apply, name: &str) {
    if let Row::Agent(agent) = &mut request.entries[0].row {
        agent.name = name.parse().unwrap();
    }
}

#[tokio::test]
async fn a_list_is_bounded() {
    let t = TestBroker::new().await;
    let rows = |count: usize| (0..count).map(|n| new_owner(&format!("o{n}")));
    let refused = t.broker.apply(&ops(), &list(rows(1001))).await.unwrap_err();
    assert_eq!(refused.reason(), "TOO_MANY_ITEMS");
    let applied = t.broker.apply(&ops(), &list(rows(1000))).await.unwrap();
    assert_eq!(applied.changes.len(), 1000);
    // Ending them all would be too much for one change, together with what else it ends.
    let request = Apply {
        prune: true,
        reason: WHY.to_owned(),
        ..list(everything(&t).into_iter().take(1))
    };
    let refused = t.broker.apply(&ops(), &request).await.unwrap_err();
    assert_eq!(refused.reason(), "TOO_MANY_ITEMS");
    let caller = ops();
    let resumed = t
        .broker
        .resume(&caller, Resume::Entry(key("payer")), WHY)
        .await;
    assert!(resumed.is_ok());
}
