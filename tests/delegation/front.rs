//! Delegated tokens at the OAuth front: exchange, introspection, and what stays refused.

#[path = "../oauth/http.rs"]
mod http;

use http::{identity, post};

use crate::*;

const EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";

#[tokio::test]
async fn an_exchange_beneath_a_delegation_says_who_acts() {
    let world = World::new().await;
    let broker = &world.broker;
    let [plan, _, help] = world.chain().await;
    let subject = token(&help).await.unwrap();
    let exchange = |who: &str, subject: &str, more: &[(&str, &str)]| {
        let mut form = vec![
            ("grant_type", EXCHANGE),
            ("subject_token", subject),
            ("subject_token_type", ACCESS_TOKEN),
        ];
        form.extend(more);
        post(broker, Some(&identity(broker, who)), "/oauth2/token", &form)
    };
    let fresh = exchange("helper", subject.expose(), &[]).token();
    assert_eq!(claims(&fresh)["act"], claims(subject.expose())["act"]);
    assert_eq!(world.verified(&fresh).actors().len(), 3);
    // Another agent's token is rubbish, also to those above; and nobody brings an actor.
    for who in ["worker", "planner"] {
        assert_eq!(
            exchange(who, subject.expose(), &[]).error(),
            "invalid_grant",
            "{who}"
        );
    }
    let own = token(&plan).await.unwrap();
    let actor = [
        ("actor_token", own.expose()),
        ("actor_token_type", ACCESS_TOKEN),
    ];
    let refused = exchange("helper", subject.expose(), &actor);
    assert_eq!(refused.error(), "invalid_request");

    let introspected = |token: &str| {
        let who = identity(broker, "downstream");
        let answer = post(
            broker,
            Some(&who),
            "/oauth2/introspect",
            &[("token", token)],
        );
        answer.ok().clone()
    };
    let said = introspected(&fresh);
    assert_eq!(said["active"], true);
    assert_eq!(said["act"], claims(&fresh)["act"]);
    assert_eq!(introspected(own.expose())["act"], Value::Null);
}
