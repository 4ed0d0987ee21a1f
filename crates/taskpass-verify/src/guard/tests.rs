use std::sync::Arc;
use std::time::Duration;

use ed25519_dalek::SigningKey;
use http::Request;
use rustls_pki_types::CertificateDer;
use taskpass_core::revocation::Selector;
use taskpass_core::rng::SeededRng;
use taskpass_token::JwkSet;

use super::*;
use crate::keys::{FetchKeys, Fetching, Schedule};
use crate::refusal::Reason;
use crate::testing::{World, jwk, ledger, task_id};

fn read() -> ScopeName {
    "invoices:read".parse().unwrap()
}

fn request(token: &str, peer: Option<&PeerCertificate>) -> Parts {
    let mut request = Request::get("/").header("authorization", format!("Bearer {token}"));
    if let Some(peer) = peer {
        request = request.extension(peer.clone());
    }
    request.body(()).unwrap().into_parts().0
}

fn peer(der: Vec<u8>) -> PeerCertificate {
    PeerCertificate::new([CertificateDer::from(der)])
}

async fn reason(guard: &Guard, token: &str, peer: Option<&PeerCertificate>) -> &'static str {
    match guard.admit(&request(token, peer), &read()).await {
        Ok(_) => "good",
        Err(denied) => denied.reason(),
    }
}

#[tokio::test]
async fn bound_tokens_need_their_certificate_and_each_request_is_judged() {
    let world = World::new();
    let verifier = world.verifier();
    let guard = Guard::new(verifier.clone(), ledger()).unwrap();
    let own = world.certificate();
    let (bound, unbound) = (world.bound_token(&own, task_id(1)), world.token());
    let (own, other) = (peer(own), peer(world.certificate()));
    let nobody = PeerCertificate::default();
    for (token, peer, plain, strict) in [
        (&bound, Some(&own), "good", "good"),
        (&bound, Some(&other), "binding", "binding"),
        (&bound, None, "binding", "binding"),
        (&bound, Some(&nobody), "binding", "binding"),
        (&unbound, None, "good", "binding"),
        (&unbound, Some(&other), "good", "binding"),
    ] {
        assert_eq!(reason(&guard, token, peer).await, plain);
        let strict_guard = guard.clone().only_bound();
        assert_eq!(reason(&strict_guard, token, peer).await, strict);
    }
    let admitted = guard
        .admit(&request(&bound, Some(&own)), &read())
        .await
        .unwrap();
    assert!(admitted.recheck().is_ok());
    assert_eq!(admitted.certificate().unwrap().task(), task_id(1));
    let shown = format!("{admitted:?}");
    assert!(shown.contains("invoice-bot") && !shown.contains(&bound));
    // The certificate alone is revoked; the connection, and what it remembers, is the same.
    let id = admitted.certificate().unwrap().credential_id();
    world.revoke(&verifier, Selector::Credential(id));
    assert_eq!(reason(&guard, &bound, Some(&own)).await, "revoked");
    assert_eq!(reason(&guard, &unbound, Some(&own)).await, "revoked");
    assert_eq!(reason(&guard, &unbound, None).await, "good");
    assert_eq!(admitted.recheck().unwrap_err().reason(), Reason::Revoked);
}

#[tokio::test]
async fn what_a_connection_remembers_is_no_other_verifiers_word() {
    let (world, other) = (World::new(), World::new());
    let peer = peer(world.certificate());
    assert!(peer.verified(&world.verifier()).unwrap().is_some());
    // Of another hierarchy.
    let refused = peer.verified(&other.verifier()).unwrap_err();
    assert_eq!(refused.reason(), Reason::Untrusted);
    // Of the same, with another trust domain.
    let mut settings = world.settings();
    settings.trust_domain = "other.example".parse().unwrap();
    let verifier = world.blank(settings);
    world.confirm(&verifier, 0);
    let refused = peer.verified(&verifier).unwrap_err();
    assert_eq!(refused.reason(), Reason::Issuer);
    // And time goes on.
    let verifier = world.verifier();
    assert!(peer.verified(&verifier).is_ok());
    world.clock.advance(Duration::from_mins(15));
    world.confirm(&verifier, 0);
    let refused = peer.verified(&verifier).unwrap_err();
    assert_eq!(refused.reason(), Reason::Expired);
}

#[tokio::test]
async fn a_scope_that_is_missing_is_counted() {
    let world = World::new();
    let verifier = world.verifier();
    let guard = Guard::new(verifier.clone(), ledger()).unwrap();
    let scope = "invoices:write".parse().unwrap();
    let denied = guard.admit(&request(&world.token(), None), &scope).await;
    assert_eq!(denied.unwrap_err().reason(), "scope");
    assert_eq!(verifier.metrics().refused_for(Reason::Scope), 1);
}

#[derive(Debug)]
struct Published(JwkSet);

impl FetchKeys for Published {
    fn fetch(&self) -> Fetching<'_> {
        Box::pin(async { Ok(self.0.clone()) })
    }
}

#[tokio::test]
async fn a_new_key_is_looked_for() {
    let mut world = World::new();
    let verifier = world.verifier();
    let fresh = SigningKey::from_bytes(&[9; 32]);
    let published = Published(JwkSet::from_keys([jwk(&fresh)]).unwrap());
    let rng = Arc::new(SeededRng::new(1));
    let keys = Keys::new(
        verifier.clone(),
        Arc::new(published),
        Schedule::default(),
        rng,
    );
    let without = Guard::new(verifier, ledger()).unwrap();
    let with = without.clone().with_keys(keys).unwrap();
    world.token_key = fresh;
    assert_eq!(reason(&without, &world.token(), None).await, "untrusted");
    assert_eq!(reason(&with, &world.token(), None).await, "good");
}

#[test]
fn a_guard_that_would_refuse_everything_or_say_nonsense_is_not_made() {
    let world = World::new();
    let verifier = world.verifier();
    let elsewhere: TargetUri = "https://c.example".parse().unwrap();
    let made = Guard::new(verifier.clone(), elsewhere.clone());
    assert_eq!(made.unwrap_err(), GuardError::NotOurAudience(elsewhere));
    let guard = Guard::new(verifier, ledger()).unwrap();
    for url in [
        "",
        "x",
        "http://a.example/m",
        "https://a\"b",
        "https://a/m?x",
    ] {
        let made = guard.clone().with_resource_metadata(url);
        assert!(matches!(made, Err(GuardError::MetadataUrl(_))), "{url}");
    }
    assert!(guard.with_resource_metadata("https://a.example/m").is_ok());
}
