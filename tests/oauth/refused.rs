//! What is beyond, malformed, or not for this caller.

use serde_json::json;
use taskpass_testkit::Broker;

use crate::http::{Shown, identity, post, raw, send};
use crate::*;

#[test]
fn what_is_beyond_is_refused() {
    let broker = Broker::start(BIN);
    let target = [
        "target",
        "register",
        MAIL,
        "--risk",
        "low",
        "--scope",
        "read=read",
    ];
    broker.cli("", &target).ok();
    let (payout, invoice) = (
        identity(&broker, "payout-bot"),
        identity(&broker, "invoice-bot"),
    );
    let token = post(&broker, Some(&payout), TOKEN, &credentials("invoices:read")).token();
    let refused = |shown: &Shown, parameters: Parameters<'_>, code: &str| {
        let answer = post(&broker, Some(shown), TOKEN, &parameters);
        assert_eq!(answer.error(), code, "{parameters:?}: {answer:?}");
    };
    // Beyond the ceiling, at another target, at none, of another agent.
    for (more, code) in [
        (vec![("scope", "invoices:write")], "invalid_scope"),
        (vec![("scope", "nothing:like:it")], "invalid_scope"),
        (vec![("scope", "a  b")], "invalid_scope"),
        (vec![("resource", MAIL), ("scope", "read")], "invalid_scope"),
        (vec![("resource", MAIL)], "invalid_scope"),
        (
            vec![("resource", "https://nowhere.example"), ("scope", "x")],
            "invalid_target",
        ),
        (vec![("resource", "no uri")], "invalid_target"),
        (
            vec![("resource", LEDGER), ("audience", MAIL)],
            "invalid_target",
        ),
        (
            vec![(
                "requested_token_type",
                "urn:ietf:params:oauth:token-type:saml2",
            )],
            "invalid_request",
        ),
        (vec![("actor_token", "x")], "invalid_request"),
        (
            vec![("authorization_details", DETAILS)],
            "invalid_authorization_details",
        ),
        (vec![("client_id", "invoice-bot")], "invalid_client"),
        (vec![("client_secret", "x")], "invalid_client"),
    ] {
        refused(&payout, exchange(&token, &more), code);
    }
    refused(&invoice, exchange(&token, &[]), "invalid_grant");
    refused(&payout, exchange("x", &[]), "invalid_grant");
    // Denied by policy; in need of a certificate; nothing that was begun stays.
    refused(&invoice, credentials("invoices:write"), "invalid_scope");
    refused(&payout, credentials("payments:send"), "invalid_scope");
    let active = broker
        .cli("payout-bot", &["task", "list", "--active"])
        .json();
    assert_eq!(
        active["tasks"].as_array().map(Vec::len),
        Some(1),
        "{active}"
    );
    // Malformed.
    for drop in ["grant_type", "resource", "scope", "authorization_details"] {
        let mut parameters = credentials("invoices:read");
        parameters.retain(|(name, _)| *name != drop);
        let answer = post(&broker, Some(&payout), TOKEN, &parameters);
        assert_eq!(answer.status, 400, "{drop}");
    }
    refused(
        &payout,
        vec![("grant_type", "password")],
        "unsupported_grant_type",
    );
    let twice = [
        credentials("invoices:read"),
        vec![("scope", "invoices:read")],
    ]
    .concat();
    refused(&payout, twice, "invalid_request");
    let two = [credentials("invoices:read"), vec![("resource", LEDGER)]].concat();
    refused(&payout, two, "invalid_target");
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_may_not_is_refused() {
    let broker = Broker::start(BIN);
    let target = [
        "target",
        "register",
        MAIL,
        "--risk",
        "low",
        "--scope",
        "read=read",
    ];
    broker.cli("", &target).ok();
    broker.verifier("mail", &[MAIL]).await;
    let payout = identity(&broker, "payout-bot");
    let token = post(&broker, Some(&payout), TOKEN, &credentials("invoices:read")).token();
    let refused = |shown: &Shown, parameters: Parameters<'_>, code: &str| {
        let answer = post(&broker, Some(shown), TOKEN, &parameters);
        assert_eq!(answer.error(), code, "{parameters:?}: {answer:?}");
    };
    // A verifier asks about its own targets; agents and operators ask nothing here.
    assert_eq!(
        introspected(&broker, "mail", &token),
        json!({"active": false})
    );
    assert_eq!(introspected(&broker, "ledger", &token)["active"], true);
    for who in ["payout-bot", "operator"] {
        let answer = post(
            &broker,
            Some(&identity(&broker, who)),
            INTROSPECT,
            &[("token", &token)],
        );
        assert_eq!(answer.error(), "unauthorized_client", "{who}");
    }
    for who in ["ledger", "operator"] {
        refused(
            &identity(&broker, who),
            credentials("invoices:read"),
            "unauthorized_client",
        );
    }
    // Revoked by an operator, and then the agent as a whole.
    let id = claims(&token)["jti"].as_str().expect("an id").to_owned();
    broker
        .cli("", &["revoke", "--credential", &id, "--reason", "drill"])
        .ok();
    refused(&payout, exchange(&token, &[]), "invalid_grant");
    broker
        .cli(
            "",
            &["revoke", "--agent", "payout-bot", "--reason", "drill"],
        )
        .ok();
    refused(&payout, credentials("invoices:read"), "invalid_client");
}

#[test]
fn a_request_has_one_form() {
    let broker = Broker::start(BIN);
    let payout = identity(&broker, "payout-bot");
    let form = "Content-Type: application/x-www-form-urlencoded\r\n";
    let body = "grant_type=client_credentials";
    for path in [TOKEN, INTROSPECT, REVOKE] {
        let get = format!("GET {path}?token=x HTTP/1.1\r\nHost: b\r\nConnection: close\r\n\r\n");
        let answer = send(&broker, Some(&payout), get.as_bytes()).expect("an answer");
        assert_eq!(answer.status, 405);
        assert!(answer.head.contains("allow: post"), "{}", answer.head);
        let ask = |path: &str, headers: &str, body: &str| {
            raw(&broker, Some(&payout), path, headers, body)
        };
        for answer in [
            ask(&format!("{path}?grant_type=x"), form, body),
            ask(path, "", body),
            ask(path, "Content-Type: application/json\r\n", "{}"),
            ask(path, &format!("{form}{form}"), body),
            ask(path, form, &format!("a={}", "x".repeat(33 * 1024))),
            ask(path, form, "a=%FF"),
            ask(path, form, "a=1&a=2"),
        ] {
            assert_eq!(answer.error(), "invalid_request", "{answer:?}");
            assert!(answer.head.contains("cache-control: no-store"));
        }
        let basic = ask(path, &format!("{form}Authorization: Basic eDp5\r\n"), body);
        assert_eq!((basic.status, basic.error()), (401, "invalid_client"));
        assert!(
            basic.head.contains("www-authenticate: basic"),
            "{}",
            basic.head
        );
        // Nobody: the same answer to everything.
        let nobody = raw(&broker, None, path, form, body);
        let other = raw(&broker, None, path, form, "token=x&client_id=payout-bot");
        assert_eq!((nobody.status, nobody.error()), (401, "invalid_client"));
        assert_eq!(nobody.body, other.body);
    }
    let answer = send(
        &broker,
        None,
        b"GET / HTTP/1.1\r\nHost: b\r\nConnection: close\r\n\r\n",
    );
    assert_eq!(answer.map(|answer| answer.status), Some(404));
}
