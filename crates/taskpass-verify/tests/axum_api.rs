//! The axum example over real TLS: who gets in, who does not, and what they are told.

#![expect(clippy::unwrap_used, reason = "a step of a test that fails ends it")]

#[path = "../examples/axum_api.rs"]
#[expect(dead_code, reason = "the program's beginning is not run here")]
mod axum_api;
#[path = "support/api.rs"]
mod support;

use std::time::Duration;

use taskpass_core::revocation::Selector;
use taskpass_verify::testing::{ISSUER, key, task_id};
use taskpass_verify::{Guard, Reason};

use support::{Api, bearer};

const METADATA: &str = "https://ledger.example/.well-known/oauth-protected-resource";

async fn start() -> Api {
    Api::start(|guard: &Guard, listener, tls| {
        let router = axum_api::router(guard).unwrap();
        tokio::spawn(async move {
            axum_api::serve(listener, tls, router).await.unwrap();
        })
    })
    .await
}

/// A token with these scopes, bound to a certificate if there is one.
fn token(api: &Api, scopes: &[&str], certificate: Option<&[u8]>) -> String {
    let mut claims = api.world.claims();
    claims.scopes = scopes.iter().map(|s| s.parse().unwrap()).collect();
    claims.bound_to = certificate.map(taskpass_core::secret::Sha256::of);
    api.world.sign(&claims)
}

fn challenge(error: &str, scope: &str) -> String {
    let error = if error.is_empty() {
        String::new()
    } else {
        format!("error=\"{error}\", ")
    };
    format!(r#"Bearer {error}scope="{scope}", resource_metadata="{METADATA}""#)
}

#[tokio::test]
async fn a_token_opens_what_it_permits_and_nothing_else() {
    let api = start().await;
    let mut caller = api.caller(None).await;
    let reader = token(&api, &["invoices:read"], None);

    let reply = caller.get("/invoices/17", Some(&bearer(&reader))).await;
    assert_eq!(reply.status, 200);
    assert_eq!(reply.json()["invoice"], 17);
    assert_eq!(reply.json()["for_task"], task_id(1).to_string());
    assert_eq!(reply.challenge(), None);

    // Nothing presented: no error, but where to go.
    let reply = caller.get("/invoices/17", None).await;
    assert_eq!(reply.status, 401);
    assert_eq!(reply.challenge(), Some(challenge("", "invoices:read")));
    let reply = caller.get("/invoices/17", Some("Basic YTpi")).await;
    assert_eq!(reply.challenge(), Some(challenge("", "invoices:read")));

    // A good one that permits something else.
    let other = token(&api, &["invoices:write"], None);
    let reply = caller.get("/invoices/17", Some(&bearer(&other))).await;
    assert_eq!(reply.status, 403);
    let told = challenge("insufficient_scope", "invoices:read");
    assert_eq!(reply.challenge(), Some(told));

    // Not a request of RFC 6750.
    let reply = caller.get("/invoices/17", Some("Bearer a b")).await;
    assert_eq!(reply.status, 400);
    let told = challenge("invalid_request", "invoices:read");
    assert_eq!(reply.challenge(), Some(told));

    // The metadata are for everybody.
    let reply = caller
        .get("/.well-known/oauth-protected-resource", None)
        .await;
    assert_eq!(reply.status, 200);
    assert_eq!(reply.json()["resource"], "https://ledger.example");
    assert_eq!(reply.json()["authorization_servers"][0], ISSUER);
}

/// Whatever is wrong with a token, its sender learns that it is not good and no more.
#[tokio::test]
async fn every_bad_token_gets_the_same_answer() {
    let api = start().await;
    let mut caller = api.caller(None).await;
    let old = token(&api, &["invoices:read"], None);
    api.world.clock.advance(Duration::from_mins(5));
    let claims = api.world.claims();
    api.world
        .revoke(&api.verifier, Selector::Credential(claims.id));
    let revoked = api.world.sign(&claims);
    let mut elsewhere = api.world.claims();
    elsewhere.audience = "https://b.example".parse().unwrap();
    let mut early = api.world.claims();
    early.not_before += 61;
    let good = token(&api, &["invoices:read"], None);
    let (body, signature) = good.rsplit_once('.').unwrap();
    let other = if signature.starts_with('A') { "B" } else { "A" };
    let forged = format!("{body}.{other}{}", signature.split_at(1).1);
    let certificate = api.world.certificate();
    let mut told = Vec::new();
    for bad in [
        "x",
        "a.b.c",
        &forged,
        &old,
        &revoked,
        &api.world.sign(&elsewhere),
        &api.world.sign(&early),
        &token(&api, &["invoices:read"], Some(&certificate)),
    ] {
        let reply = caller.get("/invoices/17", Some(&bearer(bad))).await;
        assert!(reply.body.is_empty());
        told.push((reply.status, reply.challenge()));
    }
    assert_eq!(
        caller
            .get("/invoices/17", Some(&bearer(&good)))
            .await
            .status,
        200
    );
    told.dedup();
    let expected = challenge("invalid_token", "invoices:read");
    assert_eq!(told, [(401, Some(expected))]);
}

#[tokio::test]
async fn a_revocation_is_felt_on_a_connection_that_is_open() {
    let api = start().await;
    let own = key();
    let certificate = api.world.issue_for(&api.world.leaf(), &own);
    let mut caller = api.caller(Some((certificate.clone(), &own))).await;
    let reader = bearer(&token(&api, &["invoices:read"], Some(&certificate)));
    for _ in 0..3 {
        assert_eq!(caller.get("/invoices/1", Some(&reader)).await.status, 200);
    }
    api.world.revoke(
        &api.verifier,
        Selector::Agent("invoice-bot".parse().unwrap()),
    );
    // The same connection, the same token.
    let reply = caller.get("/invoices/1", Some(&reader)).await;
    assert_eq!(reply.status, 401);
    let told = challenge("invalid_token", "invoices:read");
    assert_eq!(reply.challenge(), Some(told));
    // And no new one with that certificate.
    assert!(api.try_caller(Some((certificate, &own))).await.is_err());
}

#[tokio::test]
async fn a_bound_token_is_worth_nothing_without_its_certificate() {
    let api = start().await;
    let (own, other) = (key(), key());
    let certificate = api.world.issue_for(&api.world.leaf(), &own);
    let others = api.world.issue_for(&api.world.leaf(), &other);
    let scopes = ["invoices:read", "invoices:pay"];
    let bound = bearer(&token(&api, &scopes, Some(&certificate)));
    let unbound = bearer(&token(&api, &scopes, None));

    let mut holder = api.caller(Some((certificate, &own))).await;
    let mut thief = api.caller(None).await;
    let mut other = api.caller(Some((others, &other))).await;

    let path = "/invoices/1/payment";
    assert_eq!(holder.post(path, Some(&bound)).await.status, 200);
    for reply in [
        thief.post(path, Some(&bound)).await,
        other.post(path, Some(&bound)).await,
        // Paying takes a bound one, whoever sends it.
        thief.post(path, Some(&unbound)).await,
    ] {
        assert_eq!(reply.status, 401);
        let told = challenge("invalid_token", "invoices:pay");
        assert_eq!(reply.challenge(), Some(told));
    }
    assert_eq!(thief.get("/invoices/1", Some(&bound)).await.status, 401);
    assert_eq!(thief.get("/invoices/1", Some(&unbound)).await.status, 200);
    let counted = api.verifier.metrics().refused_for(Reason::Binding);
    assert_eq!(counted, 3);
}

#[tokio::test]
async fn with_a_stale_feed_nobody_gets_in_and_nobody_is_to_blame() {
    let api = start().await;
    let mut caller = api.caller(None).await;
    let reader = bearer(&token(&api, &["invoices:read"], None));
    api.world.clock.advance(Duration::from_secs(31));
    let reply = caller.get("/invoices/1", Some(&reader)).await;
    assert_eq!(reply.status, 503);
    assert_eq!(reply.challenge(), None);
    assert_eq!(reply.header("retry-after").as_deref(), Some("1"));
    // Handshakes with a certificate fail too.
    let own = key();
    let certificate = api.world.issue_for(&api.world.leaf(), &own);
    let shown = Some((certificate, &own));
    assert!(api.try_caller(shown.clone()).await.is_err());
    let metrics = api.verifier.metrics();
    assert_eq!(metrics.refused_for(Reason::Stale), 2);
    assert_eq!(metrics.staleness, Some(Duration::from_secs(31)));
    assert_eq!(metrics.staleness_bound, Some(Duration::from_secs(30)));
    // The feed is back.
    api.world.confirm(&api.verifier, 0);
    assert_eq!(caller.get("/invoices/1", Some(&reader)).await.status, 200);
    assert!(api.try_caller(shown).await.is_ok());
}
