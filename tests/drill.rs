//! Drills of the kill switch, over real connections: two verifiers that confirm, and one that does not.

use serde_json::Value;
use taskpass_api::v1;
use taskpass_testkit::{Broker, eventually, refused, within};

const BIN: &str = env!("CARGO_BIN_EXE_taskpass");
const LEDGER: &str = "https://ledger.example";
const MAIL: &str = "https://mail.example";

fn setup(broker: &Broker) {
    let out = broker.arg("canary");
    let args = [
        "drill",
        "setup",
        "--out",
        &out,
        "--target",
        LEDGER,
        "--scope",
        "invoices:read",
    ];
    assert_eq!(broker.cli("", &args).text("name"), "canary");
}

/// Holds a drill; how it ended, with the result if there is one.
fn drill(broker: &Broker, who: &str, more: &[&str]) -> (i32, Option<Value>, String) {
    let canary = broker.arg("canary");
    let args = [&["drill", "revoke", "--canary", &canary], more].concat();
    let outcome = broker.cli(who, &args);
    let result = serde_json::from_str(&outcome.stdout).ok();
    (outcome.code, result, outcome.stderr)
}

/// The entries of a kind, once there is one.
async fn entries(broker: &Broker, kind: &str) -> Vec<Value> {
    let found = || -> Vec<Value> {
        let lines = broker.audit().into_iter();
        let all = lines.filter_map(|line| line.get("entry").cloned());
        all.filter(|entry| entry.get("kind").is_some_and(|found| found == kind))
            .collect()
    };
    eventually("the entry is logged", async || {
        Some(found()).filter(|found| !found.is_empty())
    })
    .await
}

/// The evidence has the drill, as it was measured.
#[expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]
fn evidence(broker: &Broker, found: &Value) {
    let args = ["report", "evidence", "--framework", "nist-ai-rmf"];
    let report = broker.cli("", &args).json();
    let rows = report["rows"].as_array().unwrap();
    let row = rows
        .iter()
        .find(|row| row["control"] == "MANAGE 2.4")
        .unwrap();
    let figure = |name: &str| {
        let figures = row["figures"].as_array().unwrap();
        figures
            .iter()
            .find(|one| one["figure"] == name)
            .unwrap()
            .clone()
    };
    assert_eq!(
        figure("drill_last_refusal")["value"],
        found["drill"]["last_us"]
    );
    assert_eq!(figure("drill_confirmed")["value"], 2);
    assert_eq!(figure("drill_silent")["alarm"], false);
    for framework in ["owasp-nhi", "owasp-asi", "maestro"] {
        let report = broker
            .cli("", &["report", "evidence", "--framework", framework])
            .json();
        assert_eq!(report["framework"], framework);
        let mut rows = report["rows"].as_array().unwrap().iter();
        assert!(rows.all(|row| !row["figures"].as_array().unwrap().is_empty()));
    }
    let printed = |form: &str| {
        let args = ["report", "evidence", "--framework", "maestro", form, "-"];
        broker.cli_raw("", &args, b"").stdout
    };
    let csv = printed("--csv");
    assert!(
        csv.starts_with("control,title,figure,value,means,look"),
        "{csv}"
    );
    assert!(csv.contains("\nL6,"), "{csv}");
    let html = printed("--html");
    assert!(
        html.starts_with("<!") && html.contains("CSA MAESTRO"),
        "{html}"
    );
    let unknown = broker.cli("", &["report", "evidence", "--framework", "iso-42001"]);
    unknown.refused(
        "UNKNOWN_FRAMEWORK",
        &["owasp-nhi", "owasp-asi", "maestro", "nist-ai-rmf"],
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn every_connected_verifier_refuses_and_says_so() {
    let broker = Broker::start(BIN);
    let read = [("read", v1::Access::Read)];
    broker.target(MAIL, v1::TokenAlg::Es256, &read).await;
    broker.verifier("elsewhere", &[MAIL]).await;
    broker.operator("responder", &[v1::Role::Responder]).await;
    setup(&broker);
    let one = broker.watch("ledger", &[LEDGER]).await;
    let two = broker.watch("ledger", &[LEDGER]).await;
    // Of another target, and an operator's: the rule does not concern the one, the other verifies nothing.
    let _elsewhere = broker.watch("elsewhere", &[MAIL]).await;
    let _watching = broker.watch("", &[LEDGER]).await;

    let (code, result, stderr) = drill(&broker, "responder", &["--timeout", "15s"]);
    assert_eq!(code, 0, "{stderr}");
    let result = result.unwrap();
    for (field, expected) in [("connected", 2), ("confirmed", 2), ("silent", 0)] {
        assert_eq!(result[field], expected, "{result}");
    }
    assert_eq!(result["timed_out"], false);
    assert_eq!(result["all_refused"], true);
    assert_eq!(result["agent"], "canary");
    let us = |field: &str| result[field].as_u64().unwrap();
    assert!(us("commit_us") > 0 && us("introspect_us") >= us("commit_us"));
    assert!(us("first_us") > 0 && us("first_us") <= us("p50_us"));
    assert!(us("p50_us") <= us("last_us") && us("last_us") < 15_000_000);
    let verifiers = result["verifiers"].as_array().unwrap();
    assert_eq!(verifiers.len(), 2);
    assert!(verifiers.iter().all(|one| one["verifier"] == "ledger"));
    for watcher in [&one, &two] {
        watcher.reaches(result["seq"].as_u64().unwrap()).await;
    }
    // The rule is one like any other, and the canary's task is over.
    let rules = broker.cli("", &["revocations"]).json();
    let rules = rules["revocations"].as_array().unwrap();
    assert_eq!(rules.len(), 1);
    let credential = rules[0]["selector"]["credential_id"].as_str().unwrap();
    assert!(credential.len() == 26, "{rules:?}");
    let tasks = broker.cli("", &["task", "list", "--active"]).json();
    assert_eq!(tasks["tasks"].as_array().unwrap().len(), 0);
    let found = entries(&broker, "drill").await;
    assert_eq!(found.len(), 1);
    assert_eq!(found[0]["id"], result["entry_id"]);
    assert_eq!(found[0]["actor"], "operator/responder");
    assert_eq!(found[0]["credential"]["id"], credential);
    assert_eq!(found[0]["drill"]["last_us"], result["last_us"]);
    let metrics = broker.ops("/metrics").text();
    assert!(metrics.contains("\ntaskpass_drills_total 1\n"), "{metrics}");
    let micros = format!(
        "\ntaskpass_drill_microseconds {}\n",
        us("last_us").max(us("introspect_us"))
    );
    assert!(metrics.contains(&micros), "{micros}{metrics}");

    // One a minute, and the refused one ends nothing.
    let (code, result, stderr) = drill(&broker, "", &[]);
    assert_eq!((code, result), (1, None));
    assert!(stderr.starts_with("DRILL_NOT_NOW: "), "{stderr}");
    assert_eq!(entries(&broker, "revocation").await.len(), 1);

    evidence(&broker, &found[0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_connected_and_silent_fails_the_drill() {
    let broker = Broker::start(BIN);
    setup(&broker);
    let one = broker.watch("ledger", &[LEDGER]).await;
    // A reader of the feed that knows nothing of drills.
    let silent = broker.services("ledger").await;
    let request = v1::WatchRevocationsRequest::default();
    let mut stream = within(silent.revocations().watch_revocations(request))
        .await
        .unwrap()
        .into_inner();
    within(stream.message()).await.unwrap();
    let (code, result, stderr) = drill(&broker, "", &["--timeout", "1s"]);
    assert_eq!(code, 1);
    assert!(
        stderr.starts_with("DRILL_FAILED: 1 of 2 connected"),
        "{stderr}"
    );
    let result = result.unwrap();
    for (field, expected) in [("connected", 2), ("confirmed", 1), ("silent", 1)] {
        assert_eq!(result[field], expected, "{result}");
    }
    assert_eq!(
        (&result["timed_out"], &result["all_refused"]),
        (&true.into(), &false.into())
    );
    assert!(result["last_us"].as_u64().unwrap() < 1_000_000);
    assert!(result["verifiers"][1]["refused_us"].is_null());
    // It was revoked all the same.
    let seq = result["seq"].as_u64().unwrap();
    one.reaches(seq).await;
    let found = entries(&broker, "drill").await;
    assert_eq!(found[0]["drill"]["silent"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_canaries_are_drilled_and_only_verifiers_confirm() {
    let broker = Broker::start(BIN);
    broker.operator("auditor", &[v1::Role::Auditor]).await;
    // An agent of the work: no mistyped folder or id ends what it does.
    let bot = broker.identity_folder("invoice-bot").display().to_string();
    let outcome = broker.cli("", &["drill", "revoke", "--canary", &bot]);
    outcome.refused("NOT_DRILLABLE", &["drill=canary", "drill setup"]);
    let bot = broker.services("invoice-bot").await;
    let request = v1::StartRequest {
        purpose: "work".into(),
        scopes: vec![format!("{LEDGER}#invoices:read")],
        ..v1::StartRequest::default()
    };
    let started = within(bot.tasks().start(request)).await.unwrap();
    let request = v1::IssueTokenRequest {
        task_id: started.into_inner().task_id,
        target: LEDGER.into(),
        scopes: vec!["invoices:read".into()],
        ..v1::IssueTokenRequest::default()
    };
    let issued = within(bot.credentials().issue_token(request))
        .await
        .unwrap();
    let request = v1::DrillRequest {
        credential_id: issued.into_inner().credential_id,
        reason: "a mistyped id".into(),
        timeout: None,
    };
    let mut operator = broker.services("").await.revocations();
    assert_eq!(
        refused(within(operator.drill(request)).await).reason,
        "NOT_DRILLABLE"
    );
    assert_eq!(
        broker.cli("", &["revocations"]).json()["revocations"],
        Value::Array(Vec::new())
    );
    let nowhere = broker.cli("", &["drill", "revoke", "--canary", "/nowhere"]);
    assert_eq!(nowhere.code, 1);
    assert!(nowhere.stderr.contains("drill setup"), "{nowhere}");
    setup(&broker);
    let (code, _, stderr) = drill(&broker, "auditor", &[]);
    assert_eq!(code, 1);
    assert!(stderr.starts_with("METHOD_NOT_ALLOWED: "), "{stderr}");
    let (code, _, stderr) = drill(&broker, "", &["--timeout", "1m"]);
    assert_eq!(code, 1);
    assert!(stderr.starts_with("INVALID_FIELD: "), "{stderr}");
    let confirm = |drill: Vec<u8>| v1::ConfirmRequest {
        drill: drill.into(),
        credential_id: "00000000000000000000000000".into(),
        seq: 1,
    };
    for who in ["", "invoice-bot"] {
        let mut revocations = broker.services(who).await.revocations();
        let answer = within(revocations.confirm(confirm(vec![0; 16]))).await;
        assert_eq!(refused(answer).reason, "METHOD_NOT_ALLOWED");
    }
    let mut revocations = broker.services("ledger").await.revocations();
    let answer = within(revocations.confirm(confirm(vec![0; 15]))).await;
    assert_eq!(refused(answer).reason, "INVALID_FIELD");
    let answer = within(revocations.confirm(confirm(vec![0; 16]))).await;
    assert!(
        !answer.unwrap().into_inner().counted,
        "no drill waits for it"
    );
}
