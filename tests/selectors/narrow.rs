//! What names one thing, or one party: a credential, a task, an agent, an owner.

use std::collections::BTreeSet;

use taskpass_api::v1::revocation_selector::Selector;
use taskpass_api::v1::{self, principal};
use taskpass_core::secret::Secret;
use taskpass_verify::Reason;

use crate::world::*;

#[tokio::test]
async fn a_credential() {
    let world = World::new().await;
    let Held::Token(stolen, _) = &world.held["token"] else {
        panic!()
    };
    world
        .check(Row {
            selector: Selector::CredentialId(stolen.id().to_string()),
            no_suspend: false,
            dead: &["token"],
            ended: &[],
            suspended: &[],
            exact: true,
        })
        .await;
    // The task may issue again, at once.
    let issued = token(&world.tasks["task"], LEDGER).await.unwrap();
    assert_eq!(world.watcher.token(issued.expose(), LEDGER), None);
}

#[tokio::test]
async fn a_certificate() {
    let world = World::new().await;
    let Held::Certificate(stolen) = &world.held["certificate"] else {
        panic!()
    };
    world
        .check(Row {
            selector: Selector::CredentialId(stolen.id().to_string()),
            no_suspend: false,
            dead: &["certificate"],
            ended: &[],
            suspended: &[],
            exact: true,
        })
        .await;
    // What is revoked binds nothing any more.
    let bound = world.tasks["task"]
        .bound_token(LEDGER, ["invoices:read"], None, stolen)
        .await;
    assert_eq!(why(bound), "INVALID_BINDING");
}

#[tokio::test]
async fn a_token_ends_with_the_certificate_that_it_is_bound_to() {
    let world = World::new().await;
    let Held::Certificate(certificate) = &world.held["certificate"] else {
        panic!()
    };
    let task = &world.tasks["task"];
    let bound = task
        .bound_token(LEDGER, ["invoices:read"], None, certificate)
        .await
        .unwrap();
    let chain = certificate.cert_pem();
    assert_eq!(
        world.watcher.bound_token(bound.expose(), LEDGER, chain),
        None
    );
    assert_eq!(
        world.watcher.token(bound.expose(), LEDGER),
        Some(Reason::Binding)
    );
    let selector = Selector::CredentialId(certificate.id().to_string());
    let reply = world.revoke(&selector).await;
    world.watcher.reaches(reply.seq).await;
    let refused = world.watcher.bound_token(bound.expose(), LEDGER, chain);
    assert_eq!(refused, Some(Reason::Revoked));
}

#[tokio::test]
async fn a_task() {
    let world = World::new().await;
    world
        .check(Row {
            selector: Selector::TaskId(world.tasks["task"].id().to_string()),
            no_suspend: false,
            dead: OF_TASK,
            ended: &["task", "child", "handed on"],
            suspended: &[],
            exact: true,
        })
        .await;
    for name in ["task", "child", "handed on"] {
        let task = &world.tasks[name];
        assert_eq!(why(token(task, LEDGER).await), "TASK_NOT_ACTIVE", "{name}");
        assert_eq!(
            why(task.certificate(None).await),
            "TASK_NOT_ACTIVE",
            "{name}"
        );
        assert_eq!(
            why(task.start_child("x", SCOPES, None).await),
            "TASK_NOT_ACTIVE",
            "{name}"
        );
    }
    // The agent goes on: in its other task, and in a new one.
    token(&world.tasks["other task"], BANK).await.unwrap();
    let next = world
        .agent("worker")
        .await
        .start_task("next", SCOPES, None)
        .await
        .unwrap();
    fresh(&world, &next, LEDGER).await;
}

#[tokio::test]
async fn a_child_task() {
    let world = World::new().await;
    world
        .check(Row {
            selector: Selector::TaskId(world.tasks["child"].id().to_string()),
            no_suspend: false,
            dead: &["child's token", "child's certificate"],
            ended: &["child"],
            suspended: &[],
            exact: true,
        })
        .await;
    assert_eq!(
        why(token(&world.tasks["child"], LEDGER).await),
        "TASK_NOT_ACTIVE"
    );
    token(&world.tasks["task"], LEDGER).await.unwrap();
}

/// Whoever handed work on, and what else it does, goes on.
#[tokio::test]
async fn a_task_that_was_handed_on() {
    let world = World::new().await;
    world
        .check(Row {
            selector: Selector::TaskId(world.tasks["handed on"].id().to_string()),
            no_suspend: false,
            dead: &["handed on token", "handed on certificate"],
            ended: &["handed on"],
            suspended: &[],
            exact: true,
        })
        .await;
    token(&world.tasks["stranger's"], BANK).await.unwrap();
    token(&world.tasks["task"], BANK).await.unwrap();
}

/// What it runs for another is its own as well.
#[tokio::test]
async fn an_agent_that_works_for_another() {
    let world = World::new().await;
    world
        .check(Row {
            selector: Selector::Agent("stranger".into()),
            no_suspend: false,
            dead: &[
                "handed on token",
                "handed on certificate",
                "stranger's token",
                "stranger's bank token",
                "stranger's certificate",
            ],
            ended: &["handed on", "stranger's"],
            suspended: &["agent stranger"],
            exact: true,
        })
        .await;
    token(&world.tasks["task"], LEDGER).await.unwrap();
}

#[tokio::test]
async fn an_agent() {
    let world = World::new().await;
    let before = world.agent("worker").await;
    world
        .check(Row {
            selector: Selector::Agent("worker".into()),
            no_suspend: false,
            dead: OF_WORKER,
            ended: &["task", "child", "handed on", "other task"],
            suspended: &["agent worker"],
            exact: true,
        })
        .await;
    // The identity, also on a connection that was open; the enrolment that was pending.
    assert_eq!(
        why(before.start_task("x", SCOPES, None).await),
        "UNAUTHENTICATED"
    );
    assert_eq!(
        why(token(&world.tasks["task"], LEDGER).await),
        "UNAUTHENTICATED"
    );
    assert!(
        enrols(&world, &world.pending)
            .await
            .unwrap_err()
            .is("ENROLMENT_REFUSED")
    );
    // A fresh enrolment is possible only once it is resumed.
    let who = principal::Kind::Agent("worker".into());
    let early = Secret::new(world.broker.enrolment_token(who).await.token);
    assert!(
        enrols(&world, &early)
            .await
            .unwrap_err()
            .is("ENROLMENT_REFUSED")
    );

    resume(&world, named(v1::Kind::Agent, "worker")).await;
    assert!(
        enrols(&world, &world.pending)
            .await
            .unwrap_err()
            .is("ENROLMENT_REFUSED")
    );
    assert_eq!(
        why(before.start_task("x", SCOPES, None).await),
        "UNAUTHENTICATED"
    );
    enrol_anew(&world, "worker").await;
    let again = world.agent("worker").await;
    let next = again.start_task("next", SCOPES, None).await.unwrap();
    fresh(&world, &next, LEDGER).await;
    // What was started before stays over.
    let dead: BTreeSet<_> = OF_WORKER.iter().copied().collect();
    assert!(
        world
            .alive()
            .await
            .iter()
            .all(|alive| alive.is_disjoint(&dead))
    );
    let ended = world.ended_tasks().await;
    assert_eq!(
        ended,
        BTreeSet::from(["task", "child", "handed on", "other task"])
    );
}

#[tokio::test]
async fn an_agent_that_is_not_suspended() {
    let world = World::new().await;
    world
        .check(Row {
            selector: Selector::Agent("worker".into()),
            no_suspend: true,
            dead: OF_WORKER,
            ended: &["task", "child", "handed on", "other task"],
            suspended: &[],
            exact: true,
        })
        .await;
    let before = world.agent("worker").await;
    assert_eq!(
        why(before.start_task("x", SCOPES, None).await),
        "UNAUTHENTICATED"
    );
    assert!(
        enrols(&world, &world.pending)
            .await
            .unwrap_err()
            .is("ENROLMENT_REFUSED")
    );
    enrol_anew(&world, "worker").await;
    let next = world
        .agent("worker")
        .await
        .start_task("next", SCOPES, None)
        .await
        .unwrap();
    fresh(&world, &next, LEDGER).await;
}

#[tokio::test]
async fn an_owner() {
    let world = World::new().await;
    let reply = world
        .check(Row {
            selector: Selector::Owner("team-a".into()),
            no_suspend: false,
            dead: OF_OWNER,
            ended: &["task", "child", "handed on", "other task", "mate's"],
            suspended: &["owner team-a"],
            exact: true,
        })
        .await;
    assert_eq!(reply.seq, 2, "a rule for each agent");
    for name in ["worker", "mate"] {
        let agent = world.agent(name).await;
        assert_eq!(
            why(agent.start_task("x", SCOPES, None).await),
            "UNAUTHENTICATED",
            "{name}"
        );
    }
    assert!(
        enrols(&world, &world.pending)
            .await
            .unwrap_err()
            .is("ENROLMENT_REFUSED")
    );
    let who = principal::Kind::Agent("worker".into());
    let early = Secret::new(world.broker.enrolment_token(who).await.token);
    assert!(
        enrols(&world, &early)
            .await
            .unwrap_err()
            .is("ENROLMENT_REFUSED")
    );
    resume(&world, named(v1::Kind::Owner, "team-a")).await;
    enrol_anew(&world, "worker").await;
    let next = world
        .agent("worker")
        .await
        .start_task("next", SCOPES, None)
        .await
        .unwrap();
    fresh(&world, &next, LEDGER).await;
}
