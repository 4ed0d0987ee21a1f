//! The life of registrations: who gets nothing, what needs a reason, versions, and files.

mod apply;
mod offboard;

use std::time::Duration;

use taskpass_core::audit::Attestation;
use taskpass_core::identity::Principal;
use taskpass_core::registry::{Agent, Operator, Role, Row, RowKey, State, Versioned};
use taskpass_core::{AgentName, TaskId};
use taskpass_store::{Change, Commit, Store};

use crate::testing::{TestBroker, csr, ops};
use crate::{Error, IssuedToken, Proved, Resume};

const WHY: &str = "review";

fn key(name: &str) -> RowKey {
    RowKey::Agent(name.parse().unwrap())
}

fn owner(name: &str) -> RowKey {
    RowKey::Owner(name.parse().unwrap())
}

fn agent_of(t: &TestBroker, name: &str) -> Versioned<Agent> {
    let name: AgentName = name.parse().unwrap();
    Versioned::clone(t.broker.registry().agent(&name).unwrap())
}

async fn change(
    t: &TestBroker,
    reason: &str,
    change: impl FnOnce(&mut Agent),
) -> Result<(), Error> {
    let mut agent = agent_of(t, "payer");
    change(&mut agent.value);
    let row = Row::Agent(agent.value);
    let written = t.broker.update(&ops(), row, agent.version, reason).await;
    written.map(drop)
}

/// What an agent has before something happens to it.
struct Before {
    task: TaskId,
    token: IssuedToken,
    pending: String,
    proved: Proved,
    /// As it was admitted then.
    caller: crate::Standing,
}

async fn enrolment(t: &TestBroker) -> String {
    let principal = Principal::from_parts("agent", "payer").unwrap();
    let fresh = t.broker.create_enrolment_token(&ops(), &principal).await;
    fresh.unwrap().token.expose().to_owned()
}

async fn before(t: &TestBroker) -> Before {
    let principal = Principal::from_parts("agent", "payer").unwrap();
    t.broker.enrol(&enrolment(t).await, &csr()).await.unwrap();
    let line = t.store.identity(&principal).await.unwrap().unwrap();
    let task = t.start("payer", &["read"]).await.unwrap();
    let proved = Proved {
        principal,
        attestation: Attestation::Mtls {
            key: line.current.key,
        },
        issued_at: line.current.issued_at,
        expires_at: line.current.expires_at,
        issued_by: None,
    };
    Before {
        task,
        token: t.token("payer", task).await.unwrap(),
        pending: enrolment(t).await,
        caller: t.broker.standing(&proved, None).await.unwrap(),
        proved,
    }
}

/// What each path answers, by its name: `Ok` is that something was got.
async fn paths(t: &TestBroker, before: &Before) -> Vec<(&'static str, Result<(), Error>)> {
    let Before {
        task,
        pending,
        proved,
        caller,
        token: _,
    } = before;
    vec![
        ("call", t.broker.standing(proved, None).await.map(drop)),
        ("start", t.start("payer", &["read"]).await.map(drop)),
        (
            "start beneath",
            t.start_under("payer", &["read"], Some(*task))
                .await
                .map(drop),
        ),
        ("token", t.token("payer", *task).await.map(drop)),
        ("certificate", t.certificate("payer", *task).await.map(drop)),
        (
            "renewal",
            t.broker.renew_identity(caller, &csr()).await.map(drop),
        ),
        ("enrolment", t.broker.enrol(pending, &csr()).await.map(drop)),
    ]
}

/// Also where a caller was admitted a moment before: each path asks for itself.
#[tokio::test]
async fn an_agent_that_may_not_take_part_gets_nothing_by_any_path() {
    for state in [
        "suspended",
        "retired",
        "out of time",
        "owner suspended",
        "owner retired",
    ] {
        let t = TestBroker::new().await;
        let held = before(&t).await;
        t.advance(2);
        match state {
            "suspended" => drop(t.broker.suspend(&ops(), key("payer"), WHY).await.unwrap()),
            "retired" => drop(t.broker.retire(&ops(), key("payer"), WHY).await.unwrap()),
            "owner suspended" => drop(t.broker.suspend(&ops(), owner("team"), WHY).await.unwrap()),
            "owner retired" => drop(t.broker.retire(&ops(), owner("team"), WHY).await.unwrap()),
            _ => {
                let end = t.now().plus(Duration::from_secs(2));
                change(&t, "", |agent| agent.valid_until = end)
                    .await
                    .unwrap();
            }
        }
        t.advance(2);
        for (path, outcome) in paths(&t, &held).await {
            let error = outcome.expect_err(&format!("{state}: {path}"));
            let refused = [
                "POLICY_DENIED",
                "AGENT_SUSPENDED",
                "UNAUTHENTICATED",
                "ENROLMENT_REFUSED",
                "TASK_NOT_ACTIVE",
                "RETRY_AFTER_REVOCATION",
            ];
            assert!(
                refused.contains(&error.reason()),
                "{state}: {path}: {error:?}"
            );
        }
        let fresh = enrolment_of(&t).await;
        if let Ok(token) = fresh {
            let refused = t.broker.enrol(&token, &csr()).await.unwrap_err();
            assert_eq!(refused.reason(), "ENROLMENT_REFUSED", "{state}");
        }
        let live = t.is_active(&held.token).await;
        assert_eq!(
            live,
            ["suspended", "owner suspended", "out of time"].contains(&state),
            "{state}"
        );
    }
}

async fn enrolment_of(t: &TestBroker) -> Result<String, Error> {
    let principal = Principal::from_parts("agent", "payer").unwrap();
    let fresh = t.broker.create_enrolment_token(&ops(), &principal).await?;
    Ok(fresh.token.expose().to_owned())
}

/// A rule that comes between the admission of a renewal and its commit wins.
#[tokio::test]
async fn a_renewal_does_not_outrun_a_revocation() {
    let t = TestBroker::new().await;
    let held = before(&t).await;
    let caller = t.broker.standing(&held.proved, None).await.unwrap();
    t.revoke_with(crate::RevokeWhat::Agent("payer".parse().unwrap()), true)
        .await
        .unwrap();
    t.advance(2);
    let outcome = t.broker.renew_identity(&caller, &csr()).await;
    assert_eq!(outcome.unwrap_err().reason(), "RETRY_AFTER_REVOCATION");
    assert!(t.broker.standing(&held.proved, None).await.is_err());
}

#[tokio::test]
async fn what_widens_needs_a_reason_and_is_named_in_the_trail() {
    let t = TestBroker::new().await;
    let later = agent_of(&t, "payer")
        .value
        .valid_until
        .plus(Duration::from_secs(1));
    let refused = change(&t, "", |agent| agent.valid_until = later).await;
    let refused = refused.unwrap_err();
    assert_eq!(refused.reason(), "INVALID_REASON");
    assert!(
        refused.to_string().contains("widens valid_until"),
        "{refused}"
    );
    let refused = change(&t, "", |agent| {
        agent.owner = "others".parse().unwrap();
        agent.labels.insert("env".into(), "prod".into());
    });
    let refused = refused.await.unwrap_err();
    assert!(
        refused.to_string().contains("widens owner, labels"),
        "{refused}"
    );
    assert_eq!(agent_of(&t, "payer").version, 1);

    // Narrower needs none.
    change(&t, "", |agent| drop(agent.scopes.pop_first()))
        .await
        .unwrap();
    change(&t, WHY, |agent| agent.valid_until = later)
        .await
        .unwrap();
    let outbox = t.store.outbox(1000).await.unwrap().into_iter();
    let entries: Vec<serde_json::Value> = outbox
        .map(|entry| serde_json::from_slice(&entry.json).unwrap())
        .collect();
    let of_version = |version: u64| {
        let found = entries.iter().find(|entry| {
            entry["kind"] == "registry" && entry["agent"] == "payer" && entry["version"] == version
        });
        let found = found.unwrap();
        (found["widened"].clone(), found["reason"].clone())
    };
    let none = serde_json::Value::Null;
    assert_eq!(of_version(2), (none, "updated".into()));
    let widened = serde_json::json!(["valid_until"]);
    assert_eq!(of_version(3), (widened, WHY.into()));
}

#[tokio::test]
async fn every_change_raises_the_version_of_the_registry_by_one() {
    let mut t = TestBroker::new().await;
    let first = t.broker.registry().version_of_all();
    // Each row of the beginning came in a commit of its own.
    assert_eq!(first, 9);
    let suspended = t.broker.suspend(&ops(), key("payer"), WHY).await.unwrap();
    assert_eq!(suspended.registry_version, first + 1);
    let resumed = t
        .broker
        .resume(&ops(), Resume::Entry(key("payer")), WHY)
        .await;
    assert_eq!(resumed.unwrap().registry_version, first + 2);
    t.revoke(crate::RevokeWhat::Agent("payer".parse().unwrap()))
        .await
        .unwrap();
    assert_eq!(t.broker.registry().version_of_all(), first + 3);
    let dry = t
        .broker
        .what_retiring_ends(&ops(), &owner("team"))
        .await
        .unwrap();
    assert_eq!(dry.registry_version, first + 3);
    let retired = t.broker.retire(&ops(), owner("team"), WHY).await.unwrap();
    assert_eq!(retired.registry_version, first + 4);
    // What changes nothing of the registry leaves it.
    t.start("stranger", &["read"]).await.unwrap();
    assert_eq!(t.broker.registry().version_of_all(), first + 4);
    t.reopen().await;
    assert_eq!(t.broker.registry().version_of_all(), first + 4);
}

/// What an operator was let begin a moment before it was suspended or lost its role comes to nothing, and
/// least of all gives that back.
#[tokio::test]
async fn an_operator_that_is_refused_meanwhile_ends_nothing_that_it_began() {
    type Ending = fn(&mut Operator);
    let cases: [(Ending, &str); 2] = [
        (|row| row.state = State::Suspended, "CALLER_SUSPENDED"),
        (
            |row| row.roles = [Role::Auditor].into(),
            "METHOD_NOT_ALLOWED",
        ),
    ];
    for (ending, reason) in cases {
        for act in 0..6 {
            let t = TestBroker::new().await;
            let boss = Operator {
                name: "boss".parse().unwrap(),
                roles: [Role::Admin].into(),
                state: State::Active,
            };
            let boss = t.broker.register(&ops(), Row::Operator(boss)).await;
            boss.unwrap();
            let own = RowKey::Operator("ops".parse().unwrap());
            let name = "ops".parse().unwrap();
            let registry = t.broker.registry();
            let mut row = registry.operator(&name).unwrap().value.clone();
            ending(&mut row);
            // By another process: this one finds out in the commit.
            let commit = Commit::new(t.now()).change(Change::PutRow(Row::Operator(row.clone())));
            t.store.commit(commit).await.unwrap();
            let outcome = match act {
                0 => {
                    let itself = Resume::Entry(own.clone());
                    t.broker.resume(&ops(), itself, WHY).await.map(drop)
                }
                1 => {
                    let key = key("payer");
                    t.broker.suspend(&ops(), key, WHY).await.map(drop)
                }
                2 => t.revoke(crate::RevokeWhat::Everything).await.map(drop),
                3 => {
                    let key = owner("team");
                    t.broker.retire(&ops(), key, WHY).await.map(drop)
                }
                4 => {
                    let request = apply::one_more_owner();
                    t.broker.apply(&ops(), &request).await.map(drop)
                }
                _ => {
                    let fresh = enrolment_of(&t).await.map(drop);
                    // Not tried again by itself; the caller is told to.
                    assert_eq!(fresh.unwrap_err().reason(), "QUEUE_FULL");
                    t.broker.reload_registry().await.unwrap();
                    enrolment_of(&t).await.map(drop)
                }
            };
            assert_eq!(outcome.unwrap_err().reason(), reason, "act {act}");
            t.broker.reload_registry().await.unwrap();
            let found = t.broker.registry();
            assert_eq!(found.operator(&name).unwrap().value, row, "act {act}");
            assert!(t.start("payer", &["read"]).await.is_ok(), "act {act}");
        }
    }
}
