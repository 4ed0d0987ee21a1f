//! The OAuth front, as clients meet it: over real TLS, each grant, and each way to be refused.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

#[path = "oauth/assertion.rs"]
mod assertion;
#[path = "oauth/http.rs"]
mod http;
#[path = "oauth/key.rs"]
mod key;
#[path = "oauth/refused.rs"]
mod refused;

use std::collections::BTreeSet;

use assertion::Key;
use http::{encode, identity, post};
use serde_json::{Value, json};
use taskpass_testkit::Broker;

pub(crate) const BIN: &str = env!("CARGO_BIN_EXE_taskpass");
pub(crate) const LEDGER: &str = "https://ledger.example";
pub(crate) const MAIL: &str = "https://mail.example";
pub(crate) const TOKEN: &str = "/oauth2/token";
pub(crate) const INTROSPECT: &str = "/oauth2/introspect";
pub(crate) const REVOKE: &str = "/oauth2/revoke";
pub(crate) const EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
pub(crate) const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";
pub(crate) const JWT_BEARER: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
pub(crate) const DETAILS: &str =
    r#"[{"type":"urn:taskpass:task","purpose":"reconcile","ttl":600}]"#;

pub(crate) type Parameters<'a> = Vec<(&'a str, &'a str)>;

pub(crate) fn credentials(scope: &str) -> Parameters<'_> {
    vec![
        ("grant_type", "client_credentials"),
        ("resource", LEDGER),
        ("scope", scope),
        ("authorization_details", DETAILS),
    ]
}

pub(crate) fn exchange<'a>(subject: &'a str, more: &[(&'a str, &'a str)]) -> Parameters<'a> {
    let mut all = vec![
        ("grant_type", EXCHANGE),
        ("subject_token", subject),
        ("subject_token_type", ACCESS_TOKEN),
    ];
    all.extend(more);
    all
}

pub(crate) fn by<'a>(assertion: &'a str, mut parameters: Parameters<'a>) -> Parameters<'a> {
    parameters.extend([
        ("client_assertion_type", JWT_BEARER),
        ("client_assertion", assertion),
    ]);
    parameters
}

/// A value without one of its members, or with another one.
pub(crate) fn with(mut value: Value, member: &str, other: Value) -> Value {
    value[member] = other;
    value
}

pub(crate) fn claims(token: &str) -> Value {
    let parsed = taskpass_token::jws::parse(token).expect("a token");
    serde_json::from_slice(&parsed.payload).expect("claims")
}

pub(crate) fn introspected(broker: &Broker, who: &str, token: &str) -> Value {
    let answer = post(
        broker,
        Some(&identity(broker, who)),
        INTROSPECT,
        &[("token", token)],
    );
    answer.ok().clone()
}

#[test]
fn an_identity_certificate_gets_exchanges_and_gives_up_tokens() {
    let broker = Broker::start(BIN);
    let payout = identity(&broker, "payout-bot");
    let scope = "invoices:read invoices:write";
    let answer = post(&broker, Some(&payout), TOKEN, &credentials(scope));
    let body = answer.ok();
    assert_eq!(body["token_type"], "Bearer");
    assert_eq!(body["scope"], scope);
    let left = body["expires_in"].as_u64().expect("a number");
    assert!((290..=300).contains(&left), "{left}");
    let token = answer.token();
    let said = claims(&token);
    let task = &said["authorization_details"][0]["task_id"];
    assert_eq!(
        (&said["aud"], &said["client_id"]),
        (&json!(LEDGER), &json!("payout-bot"))
    );
    assert_eq!(&body["authorization_details"][0]["task_id"], task);
    assert_eq!(said["authorization_details"][0]["purpose"], "reconcile");

    // The task is one like any other.
    let task = task.as_str().expect("an id");
    let shown = broker.cli("payout-bot", &["task", "show", task]).json();
    assert_eq!(
        (&shown["purpose"], &shown["state"]),
        (&json!("reconcile"), &json!("active"))
    );

    // Down to less, in the same task.
    let less = exchange(&token, &[("scope", "invoices:read"), ("audience", LEDGER)]);
    let answer = post(&broker, Some(&payout), TOKEN, &less);
    assert_eq!(answer.ok()["issued_token_type"], ACCESS_TOKEN);
    let narrow = answer.token();
    assert_eq!(claims(&narrow)["scope"], "invoices:read");
    assert_eq!(claims(&narrow)["authorization_details"][0]["task_id"], task);
    assert!(claims(&narrow)["act"].is_null(), "nobody acts for anybody");
    let details = format!(r#"[{{"type":"urn:taskpass:task","task_id":"{task}"}}]"#);
    let same = exchange(
        &token,
        &[
            ("authorization_details", &details),
            ("client_id", "payout-bot"),
        ],
    );
    let same = post(&broker, Some(&payout), TOKEN, &same);
    assert_eq!(claims(&same.token())["scope"], scope);

    // What verifiers hear, before and after it is given up; the others live on.
    let active = introspected(&broker, "ledger", &narrow);
    for (member, value) in [
        ("active", json!(true)),
        ("aud", json!(LEDGER)),
        ("client_id", json!("payout-bot")),
        ("scope", json!("invoices:read")),
        ("iss", json!(broker.addresses().http)),
        ("exp", claims(&narrow)["exp"].clone()),
        ("jti", claims(&narrow)["jti"].clone()),
        ("sub", claims(&narrow)["sub"].clone()),
    ] {
        assert_eq!(active[member], value, "{member}");
    }
    let stranger = identity(&broker, "invoice-bot");
    for who in [&stranger, &payout, &payout] {
        let answer = post(&broker, Some(who), REVOKE, &[("token", &narrow)]);
        assert_eq!(answer.status, 200);
        let still = introspected(&broker, "ledger", &narrow)["active"] == true;
        assert_eq!(still, std::ptr::eq(who, &raw const stranger));
    }
    assert_eq!(
        introspected(&broker, "ledger", &narrow),
        json!({"active": false})
    );
    assert_eq!(introspected(&broker, "ledger", &token)["active"], true);
    for unknown in ["x", "a.b.c", &format!("{token}x")] {
        let answer = post(&broker, Some(&payout), REVOKE, &[("token", unknown)]);
        assert_eq!(answer.status, 200);
        assert_eq!(
            introspected(&broker, "ledger", unknown),
            json!({"active": false})
        );
    }
    // A given-up token gets no other.
    let answer = post(&broker, Some(&payout), TOKEN, &exchange(&narrow, &[]));
    assert_eq!(answer.error(), "invalid_grant");
    let metrics = broker.ops("/metrics").text();
    assert!(
        metrics.contains("taskpass_oauth_requests_total{endpoint=\"revoke\",outcome=\"ok\"} 6"),
        "{metrics}"
    );
}

#[test]
fn the_metadata_is_what_is_served() {
    let broker = Broker::start(BIN);
    let base = broker.addresses().oauth.clone();
    let server = broker.get("/.well-known/oauth-authorization-server").json();
    assert_eq!(
        server,
        broker.get("/.well-known/openid-configuration").json()
    );
    let key = Key::new();
    key.register(&broker, "payout-bot");
    let payout = identity(&broker, "payout-bot");
    for (member, path) in [
        ("token_endpoint", TOKEN),
        ("introspection_endpoint", INTROSPECT),
        ("revocation_endpoint", REVOKE),
    ] {
        assert_eq!(server[member], format!("{base}{path}"));
        assert_eq!(server["mtls_endpoint_aliases"][member], server[member]);
        let answer = post(&broker, Some(&payout), path, &[]);
        assert!(
            (400..404).contains(&answer.status),
            "{path}: {}",
            answer.status
        );
    }
    let named: BTreeSet<_> = server
        .as_object()
        .expect("an object")
        .keys()
        .filter(|name| name.ends_with("_endpoint") && *name != "status_list_aggregation_endpoint")
        .cloned()
        .collect();
    let endpoints = [
        "introspection_endpoint",
        "revocation_endpoint",
        "token_endpoint",
    ];
    assert_eq!(named, endpoints.map(str::to_owned).into());
    // Each grant is known, each method authenticates, and no other.
    for grant in server["grant_types_supported"].as_array().expect("a list") {
        let grant = grant.as_str().expect("a word");
        let answer = post(&broker, Some(&payout), TOKEN, &[("grant_type", grant)]);
        assert_ne!(answer.error(), "unsupported_grant_type", "{grant}");
    }
    assert_eq!(
        server["token_endpoint_auth_methods_supported"],
        json!(["tls_client_auth", "private_key_jwt"])
    );
    assert_eq!(
        server["introspection_endpoint_auth_methods_supported"],
        json!(["tls_client_auth"])
    );
    assert_eq!(
        server["authorization_details_types_supported"],
        json!(["urn:taskpass:task"])
    );
    let assertion = key.assertion(&broker, "payout-bot");
    let by_key = by(&assertion, credentials("invoices:read"));
    assert_eq!(post(&broker, None, TOKEN, &by_key).status, 200);

    // Where it is not configured there is none, and the metadata names none.
    let off = Broker::builder(BIN).serve("").start();
    let server = off.get("/.well-known/oauth-authorization-server").json();
    assert!(server["token_endpoint"].is_null() && server["mtls_endpoint_aliases"].is_null());
    assert_eq!(server["grant_types_supported"], json!([]));
    assert_eq!(encode("a b"), "a%20b");
    let on = "[oauth]\nlisten = \"127.0.0.1:0\"\nurl = \"https://broker.example:7444/\"";
    let on = Broker::builder(BIN).serve(on).start();
    let server = on.get("/.well-known/oauth-authorization-server").json();
    let expected = "https://broker.example:7444/oauth2/token";
    assert_eq!(server["token_endpoint"], expected);
}
