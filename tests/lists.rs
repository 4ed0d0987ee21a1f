//! Published lists over HTTP, as somebody downstream gets them: status lists of tokens, CRLs, and
//! the SPIFFE trust bundle.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::time::Duration;

use serde_json::{Value, json};
use taskpass_api::v1;
use taskpass_core::Clock as _;
use taskpass_core::time::SystemClock;
use taskpass_status::{Expect, StatusList};
use taskpass_testkit::{Broker, until, within};
use taskpass_token::JwkSet;

const BIN: &str = env!("CARGO_BIN_EXE_taskpass");
const LEDGER: &str = "https://ledger.example";
const CLOUD: &str = "https://sts.example";
const READ: &str = "https://ledger.example#invoices:read";
const ASSUME: &str = "https://sts.example#assume";

/// The claims of a token, its signature unchecked.
fn claims(token: &str) -> Value {
    let parsed = taskpass_token::jws::parse(token).expect("a token");
    serde_json::from_slice(&parsed.payload).expect("claims")
}

/// The path of one of the broker's own URLs.
fn path<'a>(broker: &Broker, url: &'a str) -> &'a str {
    let base = &broker.addresses().http;
    url.strip_prefix(base.as_str())
        .unwrap_or_else(|| panic!("{url} is not at {base}"))
}

/// What its status list says of a token, by the keys that discovery leads to.
fn is_revoked(broker: &Broker, token: &str) -> bool {
    let claims = claims(token);
    let named = &claims["status"]["status_list"];
    let (uri, index) = (named["uri"].as_str(), named["idx"].as_u64());
    let (uri, index) = (uri.expect("a list"), index.expect("a place"));
    let reply = broker.get(path(broker, uri));
    assert_eq!(reply.status, 200, "{}", reply.text());
    let keys = broker.get("/.well-known/jwks.json").text();
    let keys = JwkSet::from_json(keys.as_bytes()).expect("keys");
    let expect = Expect {
        uri,
        now: SystemClock::new().now(),
        leeway: Duration::from_secs(5),
    };
    let list = StatusList::verify(&reply.text(), &keys, &expect).expect("a status list");
    !list.status(index).expect("its place").is_valid()
}

async fn people(broker: &Broker) {
    broker.owner("payments-team").await;
    let scopes = [("invoices:read", v1::Access::Read)];
    broker.target(LEDGER, v1::TokenAlg::Es256, &scopes).await;
    let register = [
        "target",
        "register",
        CLOUD,
        "--risk",
        "medium",
        "--scope",
        "assume=read",
        "--token-profile",
        "cloud",
    ];
    broker.cli("", &register).ok();
    broker
        .agent(
            "invoice-bot",
            "payments-team",
            v1::Stage::ReadOnly,
            &[READ, ASSUME],
        )
        .await;
}

/// A revocation shows on the list within moments, and only there; also after a kill -9.
#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_token_is_on_its_list() {
    let mut broker = Broker::builder(BIN).serve("").start();
    people(&broker).await;
    let agent = Box::pin(broker.services("invoice-bot")).await.agent();
    let task = within(agent.start_task("lists", [READ, ASSUME], None))
        .await
        .expect("a task");
    let token = async || {
        let token = within(task.token(LEDGER, ["invoices:read"], None)).await;
        token.expect("a token").expose().to_owned()
    };
    let (one, other) = (token().await, token().await);
    assert!(!is_revoked(&broker, &one));
    let id = claims(&one)["jti"].as_str().expect("an id").to_owned();
    let revoke = ["revoke", "--credential", &id, "--reason", "drill"];
    broker.cli("", &revoke).ok();
    until("the list says so", || {
        is_revoked(&broker, &one).then_some(())
    });
    assert!(!is_revoked(&broker, &other));

    let uri = claims(&one)["status"]["status_list"]["uri"].clone();
    let uri = uri.as_str().expect("a list").to_owned();
    let reply = broker.get(path(&broker, &uri));
    for (name, value) in [
        ("content-type", "application/statuslist+jwt"),
        ("cache-control", "public, max-age=5"),
        ("access-control-allow-origin", "*"),
    ] {
        assert_eq!(reply.header(name), Some(value));
    }
    assert!(reply.header("etag").is_some());
    let metadata = broker.get("/.well-known/oauth-authorization-server").json();
    let all = metadata["status_list_aggregation_endpoint"].as_str();
    let all = broker
        .get(path(&broker, all.expect("where all are")))
        .json();
    assert_eq!(all, json!({ "status_lists": [uri] }));
    for (asked, status) in [
        (format!("{uri}?time=1700000000"), 501),
        (format!("{uri}?times=1"), 200),
        (uri.replace("-0", "-7"), 404),
        (uri.replace("-0", "-00"), 404),
        (format!("{}/status/1-0", broker.addresses().http), 404),
        (format!("{}/status/nonsense", broker.addresses().http), 404),
    ] {
        assert_eq!(broker.get(path(&broker, &asked)).status, status, "{asked}");
    }

    broker.kill9();
    broker.restart();
    until("lists are served again", || {
        (broker.get(path(&broker, &uri)).status == 200).then_some(())
    });
    assert!(is_revoked(&broker, &one));
    assert!(!is_revoked(&broker, &other));
    let metrics = broker.ops("/metrics").text();
    assert!(metrics.contains("taskpass_lists_signed_total{kind=\"status\"}"));
    broker.stop();
}

/// Tokens for a cloud say `JWT`; an X.509-SVID needs its label; the bundle says who signs both.
#[tokio::test(flavor = "multi_thread")]
async fn profiles_and_the_bundle() {
    let broker = Broker::builder(BIN).serve("").start();
    people(&broker).await;
    let agent = Box::pin(broker.services("invoice-bot")).await.agent();
    let task = within(agent.start_task("profiles", [READ, ASSUME], None))
        .await
        .expect("a task");
    let token = within(task.token(CLOUD, ["assume"], None))
        .await
        .expect("a token");
    let header = taskpass_token::jws::parse(token.expose())
        .expect("a token")
        .header;
    assert_eq!(
        (header.typ.as_deref(), &*header.alg),
        (Some("JWT"), "ES256")
    );
    let claims = claims(token.expose());
    assert_eq!(claims["aud"], json!(CLOUD));
    assert!(claims["exp"].is_u64() && claims["iat"].is_u64());

    let id = task.id().to_string();
    let folder = broker.arg("svid");
    let cert = [
        "issue",
        "cert",
        "--task",
        &id,
        "--out",
        &folder,
        "--profile",
        "spiffe-svid",
    ];
    broker
        .cli("invoice-bot", &cert)
        .refused("POLICY_DENIED", &[]);
    let label = [
        "agent",
        "update",
        "invoice-bot",
        "--label",
        "svid=allowed",
        "--reason",
        "SVIDs",
    ];
    broker.cli("", &label).ok();
    broker.cli("invoice-bot", &cert).ok();

    let bundle = broker.get("/spiffe/bundle");
    assert_eq!(bundle.status, 200);
    let bundle = bundle.json();
    assert_eq!(bundle["spiffe_refresh_hint"], json!(300));
    assert!(bundle["spiffe_sequence"].as_u64() > Some(0));
    let keys = bundle["keys"].as_array().expect("keys");
    let used = |wanted| keys.iter().filter(|key| key["use"] == wanted).count();
    assert_eq!((used("x509-svid"), used("jwt-svid")), (1, 2));
    for key in keys.iter().filter(|key| key["use"] == "x509-svid") {
        assert_eq!(key["x5c"].as_array().map(Vec::len), Some(1));
        assert!(key.get("kid").is_none());
    }

    // Each certificate's list is among all of them, and so are those of the hours to come.
    let all = broker.get("/crl").json();
    let all = all["crls"].as_array().expect("lists").len();
    assert!((27..=55).contains(&all), "{all}");
    for named in broker.get("/crl").json()["crls"].as_array().expect("lists") {
        let named = path(&broker, named.as_str().expect("a URL")).to_owned();
        let first = broker.get(&named);
        assert_eq!(first.status, 200, "{named}");
        assert_eq!(first.header("etag"), broker.get(&named).header("etag"));
    }
}
