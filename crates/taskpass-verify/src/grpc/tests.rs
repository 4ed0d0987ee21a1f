use std::sync::Arc;
use std::time::Duration;

use ed25519_dalek::SigningKey;
use rustls_pki_types::CertificateDer;
use taskpass_core::rng::SeededRng;
use taskpass_token::JwkSet;

use super::*;
use crate::keys::{FetchKeys, Fetching, Keys, Schedule};
use crate::testing::{World, jwk, ledger, task_id};

fn interceptor(guard: &Guard) -> ScopeInterceptor {
    guard.interceptor("invoices:read".parse().unwrap())
}

fn call(token: &str) -> Request<()> {
    let mut request = Request::new(());
    let value = format!("Bearer {token}").parse().unwrap();
    request.metadata_mut().insert("authorization", value);
    request
}

#[test]
fn an_interceptor_lets_in_who_may_and_tells_the_others_little() {
    let world = World::new();
    let guard = Guard::new(world.verifier(), ledger()).unwrap();
    let mut door = interceptor(&guard);
    let admitted = door.call(call(&world.token())).unwrap();
    let who = admitted.extensions().get::<Admitted>().unwrap();
    assert_eq!(who.token().task(), task_id(1));
    let headers = admitted.metadata().clone().into_headers();
    assert!(headers["authorization"].is_sensitive());

    let own = world.certificate();
    let bound = world.bound_token(&own, task_id(1));
    let mut with_peer = call(&bound);
    let peer = PeerCertificate::new([CertificateDer::from(own)]);
    with_peer.extensions_mut().insert(peer);
    assert!(door.call(with_peer).is_ok());

    let mut claims = world.claims();
    claims.scopes = vec!["other".parse().unwrap()];
    let invalid = Some(r#"Bearer error="invalid_token", scope="invoices:read""#);
    let few = Some(r#"Bearer error="insufficient_scope", scope="invoices:read""#);
    let malformed = Some(r#"Bearer error="invalid_request", scope="invoices:read""#);
    let nothing = Some(r#"Bearer scope="invoices:read""#);
    for (request, code, told) in [
        (Request::new(()), Code::Unauthenticated, nothing),
        (call("x"), Code::Unauthenticated, invalid),
        (call(&bound), Code::Unauthenticated, invalid),
        (call("a b"), Code::InvalidArgument, malformed),
        (call(&world.sign(&claims)), Code::PermissionDenied, few),
    ] {
        let status = door.call(request).unwrap_err();
        let field = status.metadata().get("www-authenticate");
        assert_eq!(status.code(), code);
        assert_eq!(field.map(|value| value.to_str().unwrap()), told);
    }
    world.clock.advance(Duration::from_secs(31));
    let status = door.call(call(&world.token())).unwrap_err();
    assert_eq!(
        (status.code(), status.metadata().len()),
        (Code::Unavailable, 0)
    );
}

#[derive(Debug)]
struct Published(JwkSet);

impl FetchKeys for Published {
    fn fetch(&self) -> Fetching<'_> {
        Box::pin(async { Ok(self.0.clone()) })
    }
}

#[tokio::test]
async fn a_new_key_is_refused_once_while_it_is_looked_for() {
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
    let guard = Guard::new(verifier, ledger())
        .unwrap()
        .with_keys(keys)
        .unwrap();
    let mut door = interceptor(&guard);
    world.token_key = fresh;
    let token = world.token();
    assert!(door.call(call(&token)).is_err());
    while !guard.verifier().knows_key(jwk(&world.token_key).id()) {
        tokio::task::yield_now().await;
    }
    assert!(door.call(call(&token)).is_ok());
}

#[test]
fn grpc_is_known_by_its_content_type() {
    for (kind, expected) in [
        (Some("application/grpc"), true),
        (Some("application/grpc+proto"), true),
        (Some("application/json"), false),
        (None, false),
    ] {
        let fields = kind.map(|kind| (CONTENT_TYPE, HeaderValue::from_static(kind)));
        assert_eq!(is_grpc(&HeaderMap::from_iter(fields)), expected);
    }
}
