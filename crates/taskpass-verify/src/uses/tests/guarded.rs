//! What a guard notes of its requests.

use std::convert::Infallible;

use http::{Request, StatusCode};
use taskpass_core::revocation::Selector;
use tower::{Layer as _, ServiceExt as _, service_fn};

use super::*;
use crate::guard::{Admitted, Guard};
use crate::layer::RequireScope;

struct Door {
    world: World,
    uses: Uses,
    guard: Guard,
}

impl Door {
    fn new(settings: UseSettings) -> Self {
        let world = World::new();
        let verifier = world.verifier();
        let uses = Uses::new(verifier.clone(), settings);
        let guard = Guard::new(verifier, ledger()).unwrap();
        let guard = guard.reporting(uses.clone()).unwrap();
        Self { world, uses, guard }
    }

    /// Knocks with a token; the handler names so many things that it does.
    async fn knock(&self, door: &RequireScope, token: &str, names: &'static [&'static str]) -> u16 {
        let handler = service_fn(move |request: Request<String>| {
            let who = request.extensions().get::<Admitted>().unwrap();
            for name in names {
                who.clone().used(name, Some("invoice 17"));
            }
            std::future::ready(Ok::<_, Infallible>(http::Response::new(String::new())))
        });
        let request = Request::get("/pay").header("authorization", format!("Bearer {token}"));
        let request = request.body(String::new()).unwrap();
        let reply = door.layer(handler).oneshot(request).await.unwrap();
        StatusCode::as_u16(&reply.status())
    }

    /// Everything that was noted: scope, action, resource, whether it was let through, how often.
    fn noted(&self) -> Vec<(String, String, String, bool, u32)> {
        let text = |text: Option<Arc<str>>| text.map_or_else(String::new, |t| t.to_string());
        let slots = self.uses.inner.held.take().slots.into_iter();
        let mut noted: Vec<_> = slots
            .map(|(_, slot)| {
                let scope = slot
                    .scope
                    .map_or_else(String::new, |scope| scope.to_string());
                let allowed = slot.outcome == Outcome::Allowed;
                (
                    scope,
                    text(slot.action),
                    text(slot.resource),
                    allowed,
                    slot.count,
                )
            })
            .collect();
        noted.sort();
        noted
    }
}

const READ: &str = "invoices:read";

fn noted(
    action: &str,
    resource: &str,
    allowed: bool,
    count: u32,
) -> (String, String, String, bool, u32) {
    let own = str::to_owned;
    (own(READ), own(action), own(resource), allowed, count)
}

#[tokio::test]
async fn each_request_is_counted_once_by_the_name_that_its_handler_gives() {
    let door = Door::new(UseSettings::default());
    let layer = door.guard.require(READ.parse().unwrap());
    let token = door.world.token();
    for names in [
        &[][..],
        &["invoice.read"],
        &["invoice.read", "invoice.print"],
    ] {
        assert_eq!(door.knock(&layer, &token, names).await, 200);
    }
    // Without being asked for, no resource is kept.
    let expected = [
        noted("", "", true, 1),
        noted("invoice.print", "", true, 1),
        noted("invoice.read", "", true, 2),
    ];
    assert_eq!(door.noted(), expected);

    let named = layer.clone().named("read");
    door.knock(&named, &token, &[]).await;
    door.knock(&named, &token, &["bad\nname"]).await;
    door.knock(&named, &token, &["print"]).await;
    let expected = [
        noted("", "", true, 1),
        noted("print", "", true, 1),
        noted("read", "", true, 1),
    ];
    assert_eq!(door.noted(), expected);

    let paths = [("/pay", READ.parse().unwrap())];
    let by_path = RequireScope::by_path(door.guard.clone(), paths);
    door.knock(&by_path, &token, &[]).await;
    assert_eq!(door.noted(), [noted("/pay", "", true, 1)]);

    let with = UseSettings {
        resources: true,
        ..UseSettings::default()
    };
    let door = Door::new(with);
    let layer = door.guard.require(READ.parse().unwrap());
    door.knock(&layer, &door.world.token(), &["pay"]).await;
    assert_eq!(door.noted(), [noted("pay", "invoice 17", true, 1)]);
}

#[tokio::test]
async fn a_refusal_is_noted_if_the_token_is_the_brokers_and_the_reason_lies_with_it() {
    let door = Door::new(UseSettings::default());
    let layer = door.guard.require(READ.parse().unwrap());
    let refused = [noted("", "", false, 1)];
    let world = &door.world;

    let mut few = world.claims();
    few.scopes = vec!["other".parse().unwrap()];
    assert_eq!(door.knock(&layer, &world.sign(&few), &[]).await, 403);
    assert_eq!(door.noted(), refused);

    let bound = world.bound_token(&world.certificate(), crate::testing::task_id(1));
    assert_eq!(door.knock(&layer, &bound, &[]).await, 401);
    assert_eq!(door.noted(), refused);

    let bare = door
        .guard
        .clone()
        .only_bound()
        .require(READ.parse().unwrap());
    assert_eq!(door.knock(&bare, &world.token(), &[]).await, 401);
    assert_eq!(door.noted(), refused);

    let revoked = world.claims();
    world.revoke(door.guard.verifier(), Selector::Credential(revoked.id));
    assert_eq!(door.knock(&layer, &world.sign(&revoked), &[]).await, 401);
    assert_eq!(door.noted(), refused);

    // Anybody can invent an id.
    let token = world.token();
    let (body, signature) = token.rsplit_once('.').unwrap();
    let other = if signature.starts_with('A') { "B" } else { "A" };
    let forged = format!("{body}.{other}{}", signature.split_at(1).1);
    let mut elsewhere = world.claims();
    elsewhere.audience = "https://b.example".parse().unwrap();
    for token in ["x", &forged, &world.sign(&elsewhere)] {
        assert_eq!(door.knock(&layer, token, &[]).await, 401);
    }
    // Nor does it lie with a token that the view is old.
    world.clock.advance(Duration::from_secs(31));
    assert_eq!(door.knock(&layer, &world.token(), &[]).await, 503);
    assert_eq!(door.noted(), []);
}

#[test]
fn a_guard_reports_only_where_its_target_is_reported() {
    let world = World::new();
    let mut settings = world.settings();
    settings.audiences = ["https://c.example".parse().unwrap()].into();
    let elsewhere = Uses::new(world.blank(settings), UseSettings::default());
    let guard = Guard::new(world.verifier(), ledger()).unwrap();
    assert!(guard.reporting(elsewhere).is_err());
}
