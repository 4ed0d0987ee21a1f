use std::convert::Infallible;
use std::time::Duration;

use tower::{ServiceExt as _, service_fn};

use super::*;
use crate::testing::{World, ledger};

/// Says what it saw.
async fn handler(request: Request<String>) -> Result<Response<String>, Infallible> {
    let seen = match request.extensions().get::<Admitted>() {
        Some(who) => format!("{} {}", who.token().agent(), request.body()),
        None => "nobody".to_owned(),
    };
    let hidden = request.headers()[AUTHORIZATION].is_sensitive();
    assert!(hidden, "the token can be printed");
    Ok(Response::new(seen))
}

fn guard(world: &World) -> Guard {
    Guard::new(world.verifier(), ledger()).unwrap()
}

fn ask(path: &str, token: Option<&str>) -> Request<String> {
    let mut request = Request::get(path);
    if let Some(token) = token {
        request = request.header(AUTHORIZATION, format!("Bearer {token}"));
    }
    request.body("body".to_owned()).unwrap()
}

async fn send(layer: &RequireScope, request: Request<String>) -> Response<String> {
    let service = layer.layer(service_fn(handler));
    service.oneshot(request).await.unwrap()
}

#[tokio::test]
async fn the_handler_sees_who_was_let_in() {
    let world = World::new();
    let layer = guard(&world).require("invoices:read".parse().unwrap());
    let reply = send(&layer, ask("/", Some(&world.token()))).await;
    assert_eq!(
        (reply.status(), reply.body().as_str()),
        (StatusCode::OK, "invoice-bot body")
    );
    let reply = send(&layer, ask("/", None)).await;
    assert_eq!((reply.status().as_u16(), reply.body().as_str()), (401, ""));
    let told = &reply.headers()[WWW_AUTHENTICATE];
    assert_eq!(told, r#"Bearer scope="invoices:read""#);
}

#[tokio::test]
async fn a_path_that_is_not_listed_is_refused() {
    let world = World::new();
    let layer = RequireScope::by_path(
        guard(&world),
        [
            ("/read", "invoices:read".parse().unwrap()),
            ("/write", "invoices:write".parse().unwrap()),
        ],
    );
    let token = world.token();
    for (path, status) in [
        ("/read", 200),
        ("/write", 403),
        ("/", 403),
        ("/read/", 403),
        ("/READ", 403),
    ] {
        let reply = send(&layer, ask(path, Some(&token))).await;
        assert_eq!(reply.status().as_u16(), status, "{path}");
        let challenged = reply.headers().contains_key(WWW_AUTHENTICATE);
        assert_eq!(challenged, path == "/write", "{path}");
    }
}

#[tokio::test]
async fn when_it_cannot_say_it_asks_to_come_back() {
    let world = World::new();
    let layer = guard(&world).require("invoices:read".parse().unwrap());
    world.clock.advance(Duration::from_secs(31));
    let reply = send(&layer, ask("/", Some(&world.token()))).await;
    assert_eq!(reply.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(reply.headers()[RETRY_AFTER], "1");
    assert!(!reply.headers().contains_key(WWW_AUTHENTICATE));
}
