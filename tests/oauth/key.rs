//! Clients by a registered key: good once, until its end, and for bound tokens.

use serde_json::{Value, json};
use taskpass_testkit::{Broker, within};

use crate::assertion::{Key, now};
use crate::http::{Answer, Shown, identity, post};
use crate::*;

fn ask(broker: &Broker, assertion: &str) -> Answer {
    let parameters = by(assertion, credentials("invoices:read"));
    post(broker, None, TOKEN, &parameters)
}

#[test]
fn a_registered_key_proves_its_agent_once_and_until_its_end() {
    let mut broker = Broker::start(BIN);
    let (key, other) = (Key::new(), Key::new());
    key.register(&broker, "payout-bot");
    other.register(&broker, "invoice-bot");
    let assertion = key.assertion(&broker, "payout-bot");
    let token = ask(&broker, &assertion).token();
    assert_eq!(claims(&token)["client_id"], "payout-bot");
    // Once; for anything.
    assert_eq!(ask(&broker, &assertion).error(), "invalid_client");
    let again = by(&assertion, vec![("token", &token)]);
    assert_eq!(
        post(&broker, None, REVOKE, &again).error(),
        "invalid_client"
    );
    let fresh = key.assertion(&broker, "payout-bot");
    let less = by(&fresh, exchange(&token, &[]));
    assert_eq!(post(&broker, None, TOKEN, &less).status, 200);

    // A restart forgets which were used, and takes none from before it.
    let used = key.assertion(&broker, "payout-bot");
    assert_eq!(ask(&broker, &used).status, 200);
    broker.restart();
    assert_eq!(ask(&broker, &used).error(), "invalid_client");
    let agent = broker.cli("", &["agent", "show", "payout-bot"]).json();
    assert_eq!(agent["client_keys"][0]["key_id"], key.jwk.id().as_str());
    assert_eq!(
        ask(&broker, &key.assertion(&broker, "payout-bot")).status,
        200
    );

    // Removed, it proves nothing; and revoking the agent removes it, also if it goes on.
    let remove = [
        "agent",
        "update",
        "invoice-bot",
        "--remove-client-key",
        other.jwk.id().as_str(),
    ];
    broker.cli("", &remove).ok();
    assert_eq!(
        ask(&broker, &other.assertion(&broker, "invoice-bot")).error(),
        "invalid_client"
    );
    let revoke = [
        "revoke",
        "--agent",
        "payout-bot",
        "--no-suspend",
        "--reason",
        "drill",
    ];
    broker.cli("", &revoke).ok();
    assert_eq!(
        ask(&broker, &key.assertion(&broker, "payout-bot")).error(),
        "invalid_client"
    );
    let agent = broker.cli("", &["agent", "show", "payout-bot"]).json();
    assert_eq!(
        (&agent["client_keys"], &agent["state"]),
        (&json!([]), &json!("active"))
    );
}

/// Whatever is wrong with an assertion, it proves nothing.
#[test]
fn other_assertions_prove_nothing() {
    let broker = Broker::start(BIN);
    let (key, other) = (Key::new(), Key::new());
    key.register(&broker, "payout-bot");
    other.register(&broker, "invoice-bot");
    let token = ask(&broker, &key.assertion(&broker, "payout-bot")).token();
    let issuer = broker.addresses().http.clone();
    let good = || Key::claims(&broker, "payout-bot");
    let es256 = json!({"alg": "ES256"});
    let kid = |key: &Key| json!({"alg": "ES256", "kid": key.jwk.id().as_str()});
    let endpoint = format!("{}{TOKEN}", broker.addresses().oauth);
    let mut unsigned = key.sign(&json!({"alg": "none"}), &good());
    let end = unsigned.rfind('.').expect("three parts") + 1;
    for bad in [
        key.sign(&es256, &with(good(), "aud", json!(endpoint))),
        key.sign(&es256, &with(good(), "aud", json!([issuer]))),
        key.sign(
            &es256,
            &with(good(), "aud", json!([issuer, "https://x.example"])),
        ),
        key.sign(&es256, &with(good(), "aud", json!(format!("{issuer}/")))),
        key.sign(&es256, &with(good(), "aud", json!({}))),
        key.sign(&es256, &with(good(), "aud", Value::Null)),
        key.sign(&es256, &with(good(), "exp", json!(now()))),
        key.sign(&es256, &with(good(), "exp", json!(now() + 400))),
        key.sign(&es256, &with(good(), "iat", json!(now() + 60))),
        key.sign(&es256, &with(good(), "jti", json!(""))),
        key.sign(&es256, &with(good(), "iss", json!("invoice-bot"))),
        key.sign(
            &es256,
            &with(with(good(), "iss", json!("nobody")), "sub", json!("nobody")),
        ),
        key.sign(&json!({"alg": "ES256", "typ": "at+jwt"}), &good()),
        key.sign(&json!({"alg": "HS256"}), &good()),
        key.sign(&kid(&other), &good()),
        other.sign(&es256, &good()),
        other.sign(&kid(&other), &good()),
        Key::new().sign(&es256, &good()),
        unsigned.clone(),
        unsigned.drain(..end).collect(),
        token.clone(),
        "x".to_owned(),
    ] {
        let answer = ask(&broker, &bad);
        assert_eq!(
            (answer.status, answer.error()),
            (401, "invalid_client"),
            "{bad}"
        );
    }
    // In two ways, as somebody else, of another kind, where keys are not for.
    let (payout, fresh) = (identity(&broker, "payout-bot"), || {
        key.assertion(&broker, "payout-bot")
    });
    let assertion = fresh();
    let both = by(&assertion, credentials("invoices:read"));
    assert_eq!(
        post(&broker, Some(&payout), TOKEN, &both).error(),
        "invalid_request"
    );
    let named = [both.clone(), vec![("client_id", "invoice-bot")]].concat();
    assert_eq!(post(&broker, None, TOKEN, &named).error(), "invalid_client");
    let mut other_type = credentials("invoices:read");
    other_type.extend([
        ("client_assertion", assertion.as_str()),
        ("client_assertion_type", "saml"),
    ]);
    assert_eq!(
        post(&broker, None, TOKEN, &other_type).error(),
        "invalid_request"
    );
    let asks = by(&assertion, vec![("token", token.as_str())]);
    assert_eq!(
        post(&broker, None, INTROSPECT, &asks).error(),
        "unauthorized_client"
    );
}

/// A bound token is exchanged only over a connection that proves its certificate, and stays bound.
#[tokio::test(flavor = "multi_thread")]
async fn a_bound_token_needs_its_certificate() {
    let broker = Broker::start(BIN);
    let key = Key::new();
    key.register(&broker, "payout-bot");
    let agent = Box::pin(broker.services("payout-bot")).await.agent();
    let scopes = [
        "https://ledger.example#payments:send",
        "https://ledger.example#invoices:read",
    ];
    let task = within(agent.start_task("pay", scopes, None))
        .await
        .expect("a task");
    let other = within(agent.start_task("other", scopes, None))
        .await
        .expect("a task");
    let certificate = within(task.certificate(None)).await.expect("a certificate");
    let foreign = within(other.certificate(None))
        .await
        .expect("a certificate");
    let bound = within(task.bound_token(LEDGER, ["payments:send"], None, &certificate)).await;
    let bound = bound.expect("a token").expose().to_owned();
    let plain = within(task.token(LEDGER, ["invoices:read"], None)).await;
    let plain = plain.expect("a token").expose().to_owned();
    let shown = |certificate: &taskpass_client::Certificate| Shown {
        chain: certificate.cert_pem().to_owned(),
        key: certificate.key_pem().to_string(),
    };
    let (own, foreign) = (shown(&certificate), shown(&foreign));
    let ask = |connection: Option<&Shown>, subject: &str, more: &[(&str, &str)]| {
        let assertion = key.assertion(&broker, "payout-bot");
        post(
            &broker,
            connection,
            TOKEN,
            &by(&assertion, exchange(subject, more)),
        )
    };
    let digest = claims(&bound)["cnf"]["x5t#S256"].clone();
    for (subject, scope) in [
        (&bound, "payments:send"),
        (&bound, "invoices:read"),
        (&plain, "payments:send"),
    ] {
        let answer = ask(Some(&own), subject, &[("scope", scope)]);
        assert_eq!(
            claims(&answer.token())["cnf"]["x5t#S256"],
            digest,
            "{scope}"
        );
        let active = introspected(&broker, "ledger", &answer.token());
        assert_eq!(active["cnf"]["x5t#S256"], digest);
    }
    assert_eq!(ask(None, &bound, &[]).error(), "invalid_grant");
    assert_eq!(ask(Some(&foreign), &bound, &[]).error(), "invalid_grant");
    assert_eq!(ask(Some(&foreign), &plain, &[]).error(), "invalid_grant");
    assert_eq!(
        ask(None, &plain, &[("scope", "payments:send")]).error(),
        "invalid_scope"
    );
    let identity = identity(&broker, "payout-bot");
    let answer = post(&broker, Some(&identity), TOKEN, &exchange(&bound, &[]));
    assert_eq!(answer.error(), "invalid_grant");
    // The certificate is no caller, and of no use for another task.
    let answer = post(&broker, Some(&own), TOKEN, &exchange(&bound, &[]));
    assert_eq!((answer.status, answer.error()), (401, "invalid_client"));
    let assertion = key.assertion(&broker, "payout-bot");
    let begin = by(&assertion, credentials("invoices:read"));
    assert_eq!(
        post(&broker, Some(&own), TOKEN, &begin).error(),
        "invalid_request"
    );
    // Revoked, the certificate binds nothing more; the bound token is over with its task.
    let id = certificate.id().to_string();
    broker
        .cli("", &["revoke", "--credential", &id, "--reason", "drill"])
        .ok();
    assert_eq!(ask(Some(&own), &plain, &[]).error(), "invalid_grant");
}
