//! What reaches across agents: a target, a key, everything.

use taskpass_api::v1::revocation_selector::Selector;
use taskpass_api::v1::{self};
use taskpass_client::AgentError;
use taskpass_testkit::{eventually, within};
use taskpass_token::JwkSet;

use crate::world::*;

#[tokio::test]
async fn a_target() {
    let world = World::new().await;
    world
        .check(Row {
            selector: Selector::Target(LEDGER.into()),
            no_suspend: false,
            dead: &[
                "token",
                "twin",
                "child's token",
                "mate's token",
                "stranger's token",
            ],
            ended: &[],
            suspended: &["target https://ledger.example"],
            exact: false,
        })
        .await;
    let task = &world.tasks["task"];
    let refused = why(token(task, LEDGER).await);
    assert!(
        ["TARGET_NOT_ACTIVE", "POLICY_DENIED"].contains(&refused.as_str()),
        "{refused}"
    );
    token(task, BANK).await.unwrap();
    resume(&world, named(v1::Kind::Target, LEDGER)).await;
    fresh(&world, task, LEDGER).await;
}

#[tokio::test]
async fn a_target_that_is_not_suspended() {
    let world = World::new().await;
    world
        .check(Row {
            selector: Selector::Target(LEDGER.into()),
            no_suspend: true,
            dead: &[
                "token",
                "twin",
                "child's token",
                "mate's token",
                "stranger's token",
            ],
            ended: &[],
            suspended: &[],
            exact: false,
        })
        .await;
    fresh(&world, &world.tasks["task"], LEDGER).await;
}

#[tokio::test]
async fn a_key_that_signs_tokens() {
    let world = World::new().await;
    let key = world.key_of("token").await;
    world
        .check(Row {
            selector: Selector::KeyId(key.clone()),
            no_suspend: false,
            dead: &[
                "token",
                "twin",
                "child's token",
                "mate's token",
                "stranger's token",
            ],
            ended: &[],
            suspended: &[],
            exact: false,
        })
        .await;
    // It is tainted and published no more; another one signs from now on.
    let published = world.broker.get("/.well-known/jwks.json");
    assert!(!published.text().contains(&key), "{}", published.text());
    world
        .watcher
        .verifier
        .replace_jwks(JwkSet::from_json(&published.body).unwrap());
    fresh(&world, &world.tasks["task"], LEDGER).await;
    let mut keys = world.broker.services("").await.keys();
    let listed = within(keys.list(v1::ListKeysRequest {}))
        .await
        .unwrap()
        .into_inner()
        .keys;
    let tainted = listed.iter().find(|listed| listed.key_id == key).unwrap();
    assert_eq!(tainted.state(), v1::KeyState::Tainted);
}

#[tokio::test]
async fn a_key_that_signs_certificates() {
    let world = World::new().await;
    let key = world.key_of("certificate").await;
    world
        .check(Row {
            selector: Selector::KeyId(key),
            no_suspend: false,
            dead: &[
                "certificate",
                "child's certificate",
                "handed on certificate",
                "mate's certificate",
                "stranger's certificate",
            ],
            ended: &[],
            suspended: &[],
            exact: false,
        })
        .await;
    let anchors = world.broker.get("/ca.pem").text();
    world.watcher.verifier.replace_anchors(&anchors).unwrap();
    let next = world.tasks["task"].certificate(None).await.unwrap();
    world.watcher.reaches(next.revocation_seq()).await;
    assert_eq!(world.watcher.certificate(next.cert_pem()), None);
}

#[tokio::test]
async fn everything() {
    let world = World::new().await;
    let all: Vec<_> = world.held.keys().copied().collect();
    world
        .check(Row {
            selector: Selector::Everything(true),
            no_suspend: false,
            dead: all.leak(),
            ended: &[
                "task",
                "child",
                "handed on",
                "other task",
                "mate's",
                "stranger's",
            ],
            suspended: &["broker"],
            exact: false,
        })
        .await;
    // Identities live on: they are told why they get nothing.
    let worker = world.agent("worker").await;
    assert_eq!(
        why(worker.start_task("x", SCOPES, None).await),
        "BROKER_HALTED"
    );
    assert_eq!(
        why(token(&world.tasks["task"], LEDGER).await),
        "BROKER_HALTED"
    );
    resume(&world, v1::resume_request::Subject::Everything(true)).await;
    let next = eventually(
        "the second of the revocation is over",
        async || match worker.start_task("next", SCOPES, None).await {
            Ok(task) => Some(task),
            Err(AgentError::Refused(refused)) if refused.is("RETRY_AFTER_REVOCATION") => None,
            Err(error) => panic!("{error}"),
        },
    )
    .await;
    fresh(&world, &next, LEDGER).await;
    assert_eq!(
        why(token(&world.tasks["task"], LEDGER).await),
        "TASK_NOT_ACTIVE"
    );
}
