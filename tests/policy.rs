//! Policies as an operator meets them: checked and tested from files, asked of a broker that runs, and
//! changed beneath it.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use taskpass_api::v1;
use taskpass_testkit::{Broker, cli, until};

const BIN: &str = env!("CARGO_BIN_EXE_taskpass");
const LEDGER: &str = "https://ledger.example";
const READ: &str = "https://ledger.example#invoices:read";
const SEND: &str = "https://ledger.example#payments:send";
const CLOSED: &str = "@id(\"closed\") forbid (principal is Agent, action, resource);\n";

/// A copy of the shipped folder, cases and all.
fn policies() -> tempfile::TempDir {
    let shipped = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../config/policies");
    let folder = tempfile::tempdir().unwrap();
    for entry in std::fs::read_dir(shipped).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), folder.path().join(entry.file_name())).unwrap();
    }
    folder
}

fn offline(args: &[&str]) -> taskpass_testkit::Outcome {
    let args = [&["-o", "json"], args].concat();
    cli::run(Path::new(BIN), &[], &args, b"")
}

#[test]
fn a_set_is_checked_and_tested_without_a_broker() {
    let folder = policies();
    let dir = folder.path().display().to_string();
    let shipped = offline(&["policy", "validate"]);
    let copied = offline(&["policy", "validate", &dir]);
    assert_eq!(copied.text("policy_set"), shipped.text("policy_set"));
    assert_eq!(copied.json()["policies"].as_array().unwrap().len(), 14);
    assert_eq!(copied.json()["locked_out"], Value::Array(Vec::new()));
    let operators = folder.path().join("operators.cedar");
    let permits = std::fs::read(&operators).unwrap();
    std::fs::remove_file(&operators).unwrap();
    let locked = offline(&["policy", "validate", &dir]).json();
    assert_eq!(locked["locked_out"][0], "revoke");
    std::fs::write(&operators, permits).unwrap();

    let cases = folder.path().join("shipped.cases.toml");
    let cases = cases.display().to_string();
    for args in [&["policy", "test"][..], &["policy", "test", &cases]] {
        let tested = offline(args).json();
        assert!(tested["cases"].as_array().unwrap().len() >= 20);
        assert_eq!(tested["unexercised"], Value::Array(Vec::new()));
    }
    // The policies beside the cases are those that are tested.
    let stage = folder.path().join("stage.cedar");
    std::fs::remove_file(&stage).unwrap();
    let failed = offline(&["policy", "test", &cases]);
    assert_eq!(failed.reason(), "CASES_FAILED");
    let report: Value = serde_json::from_str(&failed.stdout).unwrap();
    let wrong: Vec<_> = report["cases"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|case| case["passed"] == false)
        .map(|case| case["expected"].as_str().unwrap())
        .collect();
    assert_eq!(wrong.len(), 2, "{report}");
    assert!(wrong.iter().all(|expected| expected.contains("stage-")));

    std::fs::write(
        &stage,
        "// a comment\n@id(\"x\")\nforbid (principal, action resource);",
    )
    .unwrap();
    for args in [
        &["policy", "validate", &dir][..],
        &["policy", "test", &cases],
    ] {
        offline(args).refused("INVALID_POLICY", &["stage.cedar:3:27: unexpected token"]);
    }
    std::fs::write(folder.path().join("mine.cases.toml"), "at = \"noon\"").unwrap();
    let mine = folder.path().join("mine.cases.toml").display().to_string();
    offline(&["policy", "test", &mine]).refused("INVALID_CASES", &["noon"]);
}

#[test]
fn a_broker_says_why_who_and_what() {
    let broker = Broker::start(BIN);
    let start = ["task", "start", "--purpose", "x", "--scope"];
    let refused = broker.cli("invoice-bot", &[&start[..], &[SEND]].concat());
    refused.refused("POLICY_DENIED", &["stage-read-only"]);
    let decision = refused
        .stderr
        .lines()
        .find_map(|line| line.trim().strip_prefix("decision:"));
    let decision = decision.unwrap().trim().to_owned();
    let explained = until("the denial is logged", || {
        let explained = broker.cli("", &["policy", "explain", &decision]);
        (explained.code == 0).then(|| explained.json())
    });
    assert_eq!(explained["entry"]["id"], decision.as_str());
    assert_eq!(explained["entry"]["agent"], "invoice-bot");
    assert_eq!(explained["today"]["allowed"], false);
    assert_eq!(explained["today"]["policies"][0], "stage-read-only");
    assert_eq!(explained["today"]["asked"][0], SEND);

    let supposed = ["policy", "explain", "--agent", "invoice-bot", "--scope"];
    let both = [&supposed[..], &[READ, "--scope", SEND]].concat();
    let both = broker.cli("", &both).json();
    assert_eq!(both["entry"], Value::Null);
    assert_eq!(both["today"]["allowed_scopes"][0], READ);
    assert_eq!(both["today"]["questions"].as_array().unwrap().len(), 2);
    let handed = [&supposed[..], &[READ, "--from", "payout-bot"]].concat();
    let handed = broker.cli("", &handed).json();
    assert_eq!(handed["today"]["policies"][0], "default-deny");
    let svid = [
        "policy",
        "explain",
        "--agent",
        "invoice-bot",
        "--certificate",
        "spiffe-svid",
    ];
    assert_eq!(broker.cli("", &svid).json()["today"]["allowed"], false);

    let agents = |args: &[&str]| -> Vec<(String, bool)> {
        let answer = broker.cli("", args).json();
        let reaches = answer["reaches"].as_array().unwrap().iter();
        reaches
            .map(|reach| {
                (
                    reach["agent"].as_str().unwrap().to_owned(),
                    reach["refused"].is_null(),
                )
            })
            .collect()
    };
    assert_eq!(
        agents(&["policy", "who-can", SEND]),
        [("payout-bot".to_owned(), true)]
    );
    assert_eq!(
        agents(&["policy", "who-can", SEND, "--refused"]),
        [
            ("invoice-bot".to_owned(), false),
            ("payout-bot".to_owned(), true)
        ]
    );
    let what = broker
        .cli("", &["policy", "what-can", "invoice-bot"])
        .json();
    assert_eq!(what["reaches"].as_array().unwrap().len(), 1);
    assert_eq!(what["reaches"][0]["scope"], READ);
    assert_eq!(
        (&what["certificate"], &what["svid"]),
        (&true.into(), &false.into())
    );

    // For people, too; and for nobody but operators.
    let text = broker.cli_raw("", &["policy", "what-can", "invoice-bot", "--refused"], b"");
    assert!(text.stdout.contains("POLICY_DENIED"), "{text}");
    let text = broker.cli_raw("", &["policy", "explain", &decision], b"");
    assert!(text.stdout.contains("The same request today"), "{text}");
    let agent = broker.cli("invoice-bot", &["policy", "what-can", "invoice-bot"]);
    agent.refused("METHOD_NOT_ALLOWED", &[]);
    broker
        .cli("", &["policy", "who-can", "https://ledger.example#nothing"])
        .refused("UNKNOWN_SCOPE", &[]);
    broker
        .cli("", &["policy", "what-can", "nobody"])
        .refused("AGENT_NOT_FOUND", &[]);
}

#[tokio::test]
async fn a_changed_set_comes_into_force_or_is_refused() {
    let folder = policies();
    let extra = folder.path().join("extra.cedar");
    let section = format!("[policy]\ndir = {:?}\n", folder.path());
    let broker = Broker::builder(BIN).serve(&section).start();
    broker.owner("payments-team").await;
    let scopes = [("invoices:read", v1::Access::Read)];
    broker.target(LEDGER, v1::TokenAlg::Es256, &scopes).await;
    broker
        .agent("invoice-bot", "payments-team", v1::Stage::ReadOnly, &[READ])
        .await;
    let start = || {
        broker.cli(
            "invoice-bot",
            &["task", "start", "--purpose", "x", "--scope", READ],
        )
    };
    let hangup = || {
        let pid = broker.pid().unwrap().to_string();
        assert!(
            Command::new("kill")
                .args(["-HUP", &pid])
                .status()
                .unwrap()
                .success()
        );
    };
    let metric = |outcome: &str| {
        let line = format!("taskpass_policy_reloads_total{{outcome=\"{outcome}\"}} ");
        let page = broker.ops("/metrics").text();
        let value = page
            .lines()
            .find_map(|found| found.strip_prefix(line.as_str()).map(str::to_owned));
        value.unwrap()
    };
    start().ok();

    // Refused: said where, and the old set stays.
    std::fs::write(&extra, "@id(\"x\")\nforbid (principal, action resource);").unwrap();
    hangup();
    until("the broken set is reported", || {
        broker.log().contains("extra.cedar:2:27").then_some(())
    });
    assert_eq!(
        (metric("refused"), metric("in_force")),
        ("1".into(), "0".into())
    );
    start().ok();

    // In force at once when told.
    std::fs::write(&extra, CLOSED).unwrap();
    hangup();
    until("the set is in force", || {
        (metric("in_force") == "1").then_some(())
    });
    start().refused("POLICY_DENIED", &["closed"]);

    // And by itself, soon after the files have settled.
    std::fs::remove_file(&extra).unwrap();
    until("the change is found", || {
        (metric("in_force") == "2").then_some(())
    });
    start().ok();
    let hash = offline(&["policy", "validate", &folder.path().display().to_string()]);
    let hash = hash.text("policy_set");
    until("the log says so", || {
        let found = broker.cli("", &["audit", "query", "--kind", "policy"]);
        let last = found.stdout.contains(&hash) && found.stdout.matches("\"policy\"").count() >= 3;
        last.then_some(())
    });
}

/// Sends the broker a HUP, and waits for the sets that came into force to be so many.
fn reload(broker: &Broker, sets: u32) {
    let pid = broker.pid().unwrap().to_string();
    let hangup = Command::new("kill").args(["-HUP", &pid]).status();
    assert!(hangup.unwrap().success());
    let line = format!("taskpass_policy_reloads_total{{outcome=\"in_force\"}} {sets}");
    until("the set is in force", || {
        broker.ops("/metrics").text().contains(&line).then_some(())
    });
}

/// Whatever operators do is asked about; and nothing is asked of whoever repairs the files.
#[tokio::test]
async fn operators_are_bound_by_policies_and_never_locked_out() {
    let folder = policies();
    let extra = folder.path().join("extra.cedar");
    let section = format!("[policy]\ndir = {:?}\n", folder.path());
    let broker = Broker::builder(BIN).serve(&section).start();
    broker.owner("payments-team").await;
    let scopes = [("invoices:read", v1::Access::Read)];
    broker.target(LEDGER, v1::TokenAlg::Es256, &scopes).await;
    broker
        .agent("invoice-bot", "payments-team", v1::Stage::ReadOnly, &[READ])
        .await;
    let out = folder.path().with_extension("enrol").display().to_string();
    let acts: [&[&str]; 12] = [
        &["owner", "list"],
        &["keys", "list"],
        &["keys", "rotate", "token-es256"],
        &["audit", "query"],
        &["policy", "what-can", "invoice-bot"],
        &["task", "list"],
        &["agent", "suspend", "invoice-bot", "--reason", "drill"],
        &["agent", "enrol-token", "invoice-bot", "--out", &out],
        &["owner", "register", "others", "--contact", "x"],
        &["revoke", "--all", "--reason", "drill"],
        &[
            "revoke",
            "--agent",
            "invoice-bot",
            "--reason",
            "drill",
            "--dry-run",
        ],
        &[
            "target", "observe", LEDGER, "--until", "1h", "--reason", "trial",
        ],
    ];
    let closed = "@id(\"closed\") forbid (principal is Operator, action, resource);\n";
    std::fs::write(&extra, closed).unwrap();
    reload(&broker, 1);
    for act in acts {
        broker.cli("", act).refused("POLICY_DENIED", &["closed"]);
    }
    assert!(broker.log().contains("no operator can do this"));
    // Agents are not operators, and nothing was revoked.
    let start = ["task", "start", "--purpose", "x", "--scope", READ];
    broker.cli("invoice-bot", &start).ok();
    std::fs::remove_file(&extra).unwrap();
    reload(&broker, 2);
    let refused = until("the refusals are logged", || {
        let found = broker.cli(
            "",
            &["audit", "query", "--kind", "call", "--outcome", "deny"],
        );
        let count = found.stdout.matches("\"closed\"").count();
        (count >= acts.len()).then_some(found.stdout)
    });
    assert!(
        refused.contains("revoke all") && refused.contains("KeyService/List"),
        "{refused}"
    );
}

#[tokio::test]
async fn a_target_is_observed_and_enforced_again() {
    let folder = policies();
    let section = format!("[policy]\ndir = {:?}\n", folder.path());
    let broker = Broker::builder(BIN).serve(&section).start();
    broker.owner("payments-team").await;
    let scopes = [("invoices:read", v1::Access::Read)];
    broker.target(LEDGER, v1::TokenAlg::Es256, &scopes).await;
    broker
        .agent("invoice-bot", "payments-team", v1::Stage::ReadOnly, &[READ])
        .await;
    // Narrower than anybody thought: no scope is permitted.
    let permits = folder.path().join("permit.cedar");
    let narrow = "@id(\"certificates\") permit (principal is Agent, action == Action::\"issue_certificate\", resource);";
    std::fs::write(permits, narrow).unwrap();
    reload(&broker, 1);
    let start = ["task", "start", "--purpose", "x", "--scope", READ];
    broker
        .cli("invoice-bot", &start)
        .refused("POLICY_DENIED", &["default-deny"]);
    let observe = ["target", "observe", LEDGER, "--reason", "trial", "--until"];
    let too_long = broker.cli("", &[&observe[..], &["31d"]].concat());
    too_long.refused("INVALID_FIELD", &["observe_until", "30 days"]);
    let past = broker.cli("", &[&observe[..], &["-1h"]].concat());
    past.refused("INVALID_OBSERVE_UNTIL", &[]);
    let observed = broker.cli("", &[&observe[..], &["14d"]].concat()).json();
    assert_eq!(observed["observe"]["reason"], "trial");
    let started = broker.cli("invoice-bot", &start).json();
    assert_eq!(started["would_deny"], true);
    let task = started["task_id"].as_str().unwrap().to_owned();
    let issue = [
        "issue",
        "token",
        "--task",
        &task,
        "--target",
        LEDGER,
        "--scope",
        "invoices:read",
    ];
    assert_eq!(broker.cli("invoice-bot", &issue).json()["would_deny"], true);
    let page = broker.ops("/metrics").text();
    assert!(page.contains("\ntaskpass_would_deny_total 2\n"), "{page}");
    let can = broker.cli("", &["policy", "who-can", READ]).json();
    assert_eq!(can["reaches"][0]["would_deny"], true);
    let enforced = broker.cli("", &["target", "enforce", LEDGER]).json();
    assert_eq!(enforced["observe"], Value::Null);
    broker
        .cli("invoice-bot", &issue)
        .refused("POLICY_DENIED", &["default-deny"]);
}
