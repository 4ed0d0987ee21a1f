//! Values that are judged: lifetimes, names, targets, scopes, ids, texts.

use taskpass_api::v1;
use taskpass_testkit::{Broker, refused, within};

use crate::*;

#[test]
fn lifetimes() {
    let broker = Broker::start(BIN);
    let id = task(&broker);
    let out = broker.arg("out");
    let token = [
        "issue",
        "token",
        "--task",
        &id,
        "--target",
        LEDGER,
        "--scope",
        "invoices:read",
    ];
    let cert = ["issue", "cert", "--task", &id, "--out", &out];
    let start = ["task", "start", "--purpose", "x", "--scope", READ];
    let mut cases: Vec<Case<'_>> = Vec::new();
    for (command, over) in [(&token[..], "1h1s"), (&cert, "25h"), (&start, "25h")] {
        for (ttl, parts) in [
            ("0s", &["at least 1s"][..]),
            ("500ms", &["at least 1s"]),
            ("-5m", &["`-5m`", "5m"]),
            ("5 parsecs", &["`5 parsecs`", "5m"]),
            ("5", &["`5`", "5m"]),
            ("", &["5m"]),
            ("999999999999999999999y", &["duration"]),
            (over, &["maximum"]),
        ] {
            cases.push((
                "invoice-bot",
                [command, &["--ttl", ttl]].concat(),
                "INVALID_TTL",
                parts,
            ));
        }
    }
    check(&broker, &cases);
    assert!(!broker.path("out").join("cert.pem").exists());
}

#[tokio::test]
async fn lifetimes_on_the_wire() {
    let broker = Broker::start(BIN);
    let task_id = task(&broker);
    let before = state(&broker);
    let services = broker.services("invoice-bot").await;
    for (seconds, nanos) in [
        (0, 0),
        (-1, 0),
        (0, -1),
        (3601, 0),
        (i64::MAX, 0),
        (i64::MIN, 0),
    ] {
        let ttl = Some(prost_types::Duration { seconds, nanos });
        let request = v1::IssueTokenRequest {
            task_id: task_id.clone(),
            target: LEDGER.into(),
            scopes: vec!["invoices:read".into()],
            ttl,
            ..v1::IssueTokenRequest::default()
        };
        let answer = refused(within(services.credentials().issue_token(request)).await);
        assert_eq!(
            (answer.reason.as_str(), answer.code),
            ("INVALID_TTL", tonic::Code::InvalidArgument)
        );
    }
    for seconds in [0, -1, 86_401] {
        let ttl = Some(prost_types::Duration { seconds, nanos: 0 });
        let (purpose, scopes) = ("x".into(), vec![READ.into()]);
        let request = v1::StartRequest {
            purpose,
            scopes,
            ttl,
            ..v1::StartRequest::default()
        };
        let answer = refused(within(services.tasks().start(request)).await);
        assert_eq!(answer.reason, "INVALID_TTL");
    }
    assert_eq!(state(&broker), before);
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn names_targets_and_scopes() {
    let broker = Broker::start(BIN);
    let id = task(&broker);
    let bot = "invoice-bot";
    let nowhere = "https://nowhere.example";
    let token = |target, scope| {
        vec![
            "issue",
            "token",
            "--task",
            id.as_str(),
            "--target",
            target,
            "--scope",
            scope,
        ]
    };
    let start = |scope| vec!["task", "start", "--purpose", "x", "--scope", scope];
    let agent = |more: &[&'static str]| {
        let first = ["agent", "register", "x", "--purpose", "p"];
        [&first[..], more].concat()
    };
    let team = ["--owner", "payments-team"];
    let mine = |more: &[&'static str]| agent(&[&team[..], more].concat());
    check(
        &broker,
        &[
            (bot, token(nowhere, "x"), "UNKNOWN_TARGET", &[nowhere]),
            (
                bot,
                token("not a uri", "x"),
                "INVALID_TARGET",
                &["`not a uri`", LEDGER],
            ),
            (
                bot,
                token(LEDGER, "nope"),
                "UNKNOWN_SCOPE",
                &["`nope`", LEDGER],
            ),
            (
                bot,
                token(LEDGER, "UPPER CASE"),
                "INVALID_SCOPE",
                &["`UPPER CASE`", "a-z"],
            ),
            (
                bot,
                token(LEDGER, "https://other.example#x"),
                "INVALID_SCOPE",
                &["https://other.example", LEDGER],
            ),
            (
                bot,
                start("https://nowhere.example#x"),
                "UNKNOWN_TARGET",
                &[nowhere],
            ),
            (
                bot,
                start("https://ledger.example#nope"),
                "UNKNOWN_SCOPE",
                &["`nope`", LEDGER],
            ),
            (
                bot,
                start("invoices:read"),
                "INVALID_SCOPE",
                &["TARGET#SCOPE"],
            ),
            (
                bot,
                token(LEDGER, "invoices:write"),
                "POLICY_DENIED",
                &["stage-read-only"],
            ),
            ("payout-bot", start(""), "INVALID_SCOPE", &[]),
            (
                "",
                vec!["agent", "show", "nobody"],
                "AGENT_NOT_FOUND",
                &["nobody"],
            ),
            (
                "",
                vec!["agent", "enrol-token", "nobody"],
                "AGENT_NOT_FOUND",
                &["nobody"],
            ),
            (
                "",
                vec!["task", "list", "--agent", "Not A Name"],
                "INVALID_NAME",
                &["a-z"],
            ),
            (
                "",
                vec!["revoke", "--agent", "nobody", "--reason", "x"],
                "AGENT_NOT_FOUND",
                &[],
            ),
            (
                "",
                agent(&["--owner", "nobody"]),
                "OWNER_NOT_FOUND",
                &["nobody"],
            ),
            (
                "",
                mine(&["--stage", "godlike"]),
                "INVALID_FIELD",
                &["stage", "autonomous"],
            ),
            (
                "",
                mine(&["--valid-until", "401d"]),
                "INVALID_VALID_UNTIL",
                &["400 days"],
            ),
            (
                "",
                mine(&["--valid-until", "-1d"]),
                "INVALID_VALID_UNTIL",
                &[],
            ),
            (
                "",
                mine(&["--scope", "https://ledger.example#nope"]),
                "UNKNOWN_SCOPE",
                &["nope"],
            ),
            (
                "",
                mine(&["--scope", "https://nowhere.example#x"]),
                "UNKNOWN_TARGET",
                &[nowhere],
            ),
            (
                "",
                mine(&["--max-ttl", "0s"]),
                "INVALID_TTL",
                &["at least 1s"],
            ),
            (
                "",
                mine(&["--label", "novalue"]),
                "INVALID_FIELD",
                &["label"],
            ),
            (
                "",
                vec![
                    "agent",
                    "register",
                    "Bad!",
                    "--purpose",
                    "p",
                    "--owner",
                    "payments-team",
                ],
                "INVALID_NAME",
                &["`Bad!`", "a-z"],
            ),
            (
                "",
                vec![
                    "agent",
                    "register",
                    bot,
                    "--purpose",
                    "p",
                    "--owner",
                    "payments-team",
                ],
                "ALREADY_REGISTERED",
                &[bot],
            ),
            (
                "",
                vec!["target", "register", "ledger", "--risk", "low"],
                "INVALID_TARGET",
                &["`ledger`", LEDGER],
            ),
            (
                "",
                vec!["target", "register", "https://x.example", "--risk", "huge"],
                "INVALID_FIELD",
                &["risk", "medium"],
            ),
            (
                "",
                vec!["operator", "register", "x", "--role", "king"],
                "INVALID_FIELD",
                &["role", "auditor"],
            ),
            (
                "",
                vec!["verifier", "register", "x", "--target", nowhere],
                "UNKNOWN_TARGET",
                &[nowhere],
            ),
        ],
    );
}

#[test]
fn ids_purposes_and_reasons() {
    let broker = Broker::start(BIN);
    let id = task(&broker);
    let bot = "invoice-bot";
    let long = "x".repeat(257);
    let key = "k".repeat(129);
    let start = |purpose| vec!["task", "start", "--scope", READ, "--purpose", purpose];
    check(
        &broker,
        &[
            (
                bot,
                vec!["task", "show", "nonsense"],
                "INVALID_FIELD",
                &["`task_id`", "26"],
            ),
            // Neither O nor lower case is in the alphabet of an id.
            (
                bot,
                vec!["task", "show", "O1M82KCWXTNCWEX6FM9A5BRB8Q"],
                "INVALID_FIELD",
                &["`task_id`"],
            ),
            (
                bot,
                vec!["task", "show", "01M82KCWXTNCWEX6FM9A5BRB8Q"],
                "TASK_NOT_FOUND",
                &[],
            ),
            (bot, start(""), "INVALID_PURPOSE", &["`purpose`", "256"]),
            (bot, start(&long), "INVALID_PURPOSE", &["`purpose`", "256"]),
            (
                bot,
                start("a\nb"),
                "INVALID_PURPOSE",
                &["`purpose`", "line breaks"],
            ),
            (
                bot,
                [start("x"), vec!["--idempotency-key", &key]].concat(),
                "INVALID_IDEMPOTENCY_KEY",
                &["`idempotency_key`", "128"],
            ),
            (
                "",
                vec!["revoke", "--task", &id, "--reason", ""],
                "INVALID_REASON",
                &["`reason`"],
            ),
            (
                "",
                vec!["revoke", "--task", &id, "--reason", &long],
                "INVALID_REASON",
                &["256"],
            ),
            (
                "",
                vec!["revoke", "--task", "x", "--reason", "x"],
                "INVALID_SELECTOR",
                &["`selector`", "task id"],
            ),
            (
                "",
                vec!["revoke", "--credential", "x", "--reason", "x"],
                "INVALID_SELECTOR",
                &["`selector`", "credential id"],
            ),
            (
                "",
                vec!["task", "list", "--page-token", "%%"],
                "INVALID_FIELD",
                &["`page_token`"],
            ),
        ],
    );
    // The shape of the command line is another matter: exit code 2.
    for args in [
        &["revoke", "--reason", "x"][..],
        &["revoke", "--task", &id, "--agent", bot, "--reason", "x"],
        &["revoke", "--task", &id],
        &["task", "start", "--nonsense"],
        &["nonsense"],
    ] {
        let outcome = broker.cli("", args);
        assert_eq!(
            (outcome.code, outcome.stdout.as_str()),
            (2, ""),
            "{outcome}"
        );
        assert!(outcome.stderr.starts_with("error:"), "{outcome}");
    }
}
