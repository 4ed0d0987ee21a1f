//! A stage rises on a readiness report that passes and rests on the broker's own log, by force with a
//! reason, and, where it is configured so, not without a second operator.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::fs;

use serde_json::{Value, json};
use taskpass_api::v1::{self, entry::Entry as Kind};
use taskpass_client::Refused;
use taskpass_core::secret::Sha256;
use taskpass_testkit::people::from_now;
use taskpass_testkit::{Broker, policies, until, within};

const BIN: &str = env!("CARGO_BIN_EXE_taskpass");
const LEDGER: &str = "https://ledger.example";
const READ: &str = "https://ledger.example#invoices:read";

/// What an agent can meet here: nobody drills, and nobody reports use.
const ENOUGH: &str = "[all]\nnot_asked = [\"drill\"]\nused_min_percent = 0\nbound_min_percent = 0\n\
                      review_within = \"400d\"\n";

/// Every requirement is left out.
const NOTHING: &str = "[all]\nnot_asked = [\"owner_active\", \"attestation\", \"least_privilege\", \"ttl\", \
                       \"bound_tokens\", \"denials\", \"would_deny\", \"drill\", \"log_verified\", \
                       \"review_date\"]\n";

/// SHA-256 of what a report asked for a stage, as it stands there.
fn requirements_in(report: &[u8], stage: &str) -> Sha256 {
    let text = std::str::from_utf8(report).unwrap();
    let (_, after) = text.split_once("\"requirements\":{").unwrap();
    let (_, after) = after.split_once(&format!("\"{stage}\":")).unwrap();
    let (asked, _) = after.split_once('}').unwrap();
    Sha256::of(format!("{asked}}}").as_bytes())
}

/// A task and a token, and both in the log.
async fn work(broker: &Broker) {
    let agent = broker.services("invoice-bot").await.agent();
    let task = agent.start_task("report", [READ], None).await.unwrap();
    let token = task.token(LEDGER, ["invoices:read"], None).await.unwrap();
    logged(broker, |entry| {
        entry["credential"]["id"] == json!(token.id().to_string())
    });
}

/// The first entry like that, once it is in the log.
fn logged(broker: &Broker, like: impl Fn(&Value) -> bool) -> Value {
    until("it is in the log", || {
        let log = broker.audit();
        let mut entries = log.into_iter().map(|mut line| line["entry"].take());
        entries.find(|entry| like(entry))
    })
}

fn stage(broker: &Broker) -> String {
    broker
        .cli("", &["agent", "show", "invoice-bot"])
        .text("stage")
}

fn enough(broker: &Broker) -> String {
    let file = broker.arg("requirements.toml");
    fs::write(&file, ENOUGH).unwrap();
    file
}

#[tokio::test]
async fn an_agent_rises_when_its_report_passes_and_the_log_says_on_which() {
    let broker = Broker::start(BIN);
    work(&broker).await;
    let promote = ["agent", "promote", "invoice-bot", "--to", "bounded"];
    broker.cli("", &promote).refused(
        "NOT_READY",
        &[
            "drill: unknown",
            "taskpass drill revoke",
            "least_privilege: unknown",
            "nothing was changed",
        ],
    );
    assert_eq!(stage(&broker), "read-only");
    let asked = ["report", "readiness", "invoice-bot", "--stage", "bounded"];
    let refused = broker.cli("", &asked);
    assert_eq!(refused.code, 3, "{refused}");
    let report: Value = serde_json::from_str(&refused.stdout).unwrap();
    assert_eq!(report["ready"], json!(0));
    assert_eq!(report["rows"][0]["ground"]["by"], json!("registration"));

    let (requirements, out) = (enough(&broker), broker.arg("readiness.json"));
    let more = ["--requirements", requirements.as_str()];
    let passing = broker.cli("", &[&asked[..], &more].concat());
    assert_eq!(passing.json()["ready"], json!(1));
    let keep = ["--report-out", out.as_str()];
    let promoted = broker.cli("", &[&promote[..], &more, &keep].concat());
    assert_eq!(promoted.text("stage"), "bounded");

    // What is recorded pins down the report that was kept, and a state of the log.
    let entry = logged(&broker, |entry| entry["promotion"].is_object());
    let kept = fs::read(&out).unwrap();
    let report: Value = serde_json::from_slice(&kept).unwrap();
    let promotion = &entry["promotion"];
    assert_eq!(entry["subject"], json!("agent invoice-bot"));
    assert_eq!(
        entry["reason"],
        json!("readiness: 9 of 9 requirements pass")
    );
    assert_eq!(
        (&promotion["from"], &promotion["to"], &promotion["by"]),
        (&json!("read-only"), &json!("bounded"), &json!("evidence"))
    );
    let readiness = &promotion["readiness"];
    assert_eq!(readiness["report"], json!(Sha256::of(&kept).to_string()));
    assert_eq!(
        (&readiness["agent"], &readiness["to"]),
        (&json!("invoice-bot"), &json!("bounded"))
    );
    let asked = &readiness["requirements"];
    assert_eq!(
        (&asked["asked"], &asked["not_asked"]),
        (&json!(9), &json!(1))
    );
    assert_eq!(
        asked["sha256"],
        json!(requirements_in(&kept, "bounded").to_string())
    );
    let head = &report["about"]["log_head"];
    assert_eq!(readiness["log"], head["origin"]);
    assert_eq!(readiness["size"], head["size"]);
    assert_eq!(readiness["root"], head["root"]);
    assert_eq!(report["rows"][0]["for_stage"], json!("bounded"));

    // A report that asks for nothing is no evidence.
    let nothing = broker.arg("nothing.toml");
    fs::write(&nothing, NOTHING).unwrap();
    let promote_on = ["agent", "promote", "invoice-bot", "--requirements"];
    broker
        .cli("", &[&promote_on[..], &[nothing.as_str()]].concat())
        .refused("NOT_READY", &["nothing is asked", "not_asked"]);

    // From now on reports say by what it came there; also from copies.
    let (copy, registry) = (broker.arg("copy"), broker.arg("registry.toml"));
    let export = ["registry", "export", "--out", registry.as_str()];
    broker.cli("", &export).ok();
    let from = ["--log", copy.as_str(), "--registry", registry.as_str()];
    let offline = ["-o", "json", "report", "readiness", "invoice-bot"];
    let offline = [&offline[..], &more, &from].concat();
    // What lies on the disk is handed out a moment later.
    let ground = until("the copy has it", || {
        broker.cli("", &["audit", "export", "--out", &copy]).ok();
        let ground = broker.cli_raw("", &offline, b"").json()["rows"][0]["ground"].take();
        (ground["by"] == json!("evidence")).then_some(ground)
    });
    assert_eq!(ground["report"], readiness["report"]);

    // It does not rise twice.
    let again = broker.cli("", &promote);
    assert_eq!(again.reason(), "NOT_A_PROMOTION");
}

#[tokio::test]
async fn the_broker_itself_refuses_what_its_log_does_not_bear_out() {
    let broker = Broker::start(BIN);
    work(&broker).await;
    let requirements = enough(&broker);
    let asked = [
        "report",
        "readiness",
        "invoice-bot",
        "--requirements",
        requirements.as_str(),
    ];
    let head = broker.cli("", &asked).json()["about"]["log_head"].take();
    let root = data_of(head["root"].as_str().unwrap());
    let good = v1::Readiness {
        passed: true,
        report_sha256: vec![7; 32].into(),
        log_origin: head["origin"].as_str().unwrap().to_owned(),
        log_size: head["size"].as_u64().unwrap(),
        log_root: root.into(),
        made_at: Some(from_now(std::time::Duration::ZERO)),
        agent: "invoice-bot".to_owned(),
        stage: v1::Stage::Bounded.into(),
        requirements_sha256: vec![8; 32].into(),
        requirements_asked: 9,
        requirements_not_asked: 1,
    };
    let mut registry = broker.services("").await.registry();
    let get = v1::GetRequest {
        kind: v1::Kind::Agent.into(),
        name: "invoice-bot".to_owned(),
    };
    let mut entry = within(registry.get(get))
        .await
        .unwrap()
        .into_inner()
        .entry
        .unwrap();
    if let Some(Kind::Agent(agent)) = &mut entry.entry {
        agent.stage = v1::Stage::Bounded.into();
    }
    let update = |readiness: Option<v1::Readiness>| v1::UpdateRequest {
        expected_version: entry.version,
        entry: Some(entry.clone()),
        reason: "drill".to_owned(),
        readiness,
        force: false,
    };
    let change = |change: fn(&mut v1::Readiness)| {
        let mut changed = good.clone();
        change(&mut changed);
        Some(changed)
    };
    let hour_ago = |r: &mut v1::Readiness| {
        if let Some(at) = &mut r.made_at {
            at.seconds -= 3700;
        }
    };
    for (what, readiness) in [
        ("none", None),
        ("that failed", change(|r| r.passed = false)),
        (
            "of another root",
            change(|r| r.log_root = vec![0; 32].into()),
        ),
        ("of another size", change(|r| r.log_size -= 1)),
        ("beyond the log", change(|r| r.log_size += 1_000_000)),
        (
            "of another broker",
            change(|r| r.log_origin = "other.example/log/2026-11".into()),
        ),
        ("of long ago", change(hour_ago)),
        (
            "of another agent",
            change(|r| r.agent = "other-bot".to_owned()),
        ),
        (
            "for another stage",
            change(|r| r.stage = v1::Stage::Autonomous.into()),
        ),
        ("of nothing", change(|r| r.requirements_asked = 0)),
    ] {
        let refused = within(registry.update(update(readiness)))
            .await
            .unwrap_err();
        let refused = Refused::from(refused);
        assert_eq!(refused.reason, "NOT_READY", "{what}: {refused:?}");
    }
    assert_eq!(stage(&broker), "read-only");
    let reply = within(registry.update(update(Some(good)))).await.unwrap();
    assert!(reply.into_inner().entry.is_some());
    assert_eq!(stage(&broker), "bounded");
}

fn data_of(hex: &str) -> Vec<u8> {
    (0..hex.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(hex.get(at..at + 2).unwrap(), 16).unwrap())
        .collect()
}

/// The dev agents are not there: what is needed is registered.
async fn with_second(words: &str) -> Broker {
    let sections = format!("[registry]\nsecond_operator = [{words}]\n");
    let broker = Broker::builder(BIN).serve(&sections).start();
    broker.owner("payments-team").await;
    let scopes = [("invoices:read", v1::Access::Read)];
    broker.target(LEDGER, v1::TokenAlg::Es256, &scopes).await;
    broker
        .register_agent("invoice-bot", "payments-team", v1::Stage::ReadOnly, &[READ])
        .await;
    broker.operator("deputy", &[v1::Role::Admin]).await;
    broker
}

const FORCE: [&str; 6] = [
    "agent",
    "promote",
    "invoice-bot",
    "--force",
    "--reason",
    "incident 42",
];

#[tokio::test]
async fn a_second_operator_approves_and_the_log_names_both() {
    let broker = with_second("\"force\"").await;
    let waits = broker.cli("", &FORCE).json();
    let id = waits["proposal"]["id"].as_str().unwrap().to_owned();
    assert_eq!(waits["proposal"]["to"], json!("bounded"));
    assert_eq!(stage(&broker), "read-only");
    let listed = broker.cli("deputy", &["approval", "list"]).json();
    assert_eq!(listed["proposals"][0]["id"], json!(id));
    assert_eq!(
        listed["proposals"][0]["proposed_by"],
        json!(broker.operator_name())
    );
    let said = broker.cli_raw("deputy", &["approval", "list"], b"");
    assert!(said.stdout.contains("incident 42"), "{said}");

    let approve = ["approval", "approve", id.as_str()];
    broker
        .cli("", &approve)
        .refused("SECOND_OPERATOR_REQUIRED", &["another operator"]);
    assert_eq!(stage(&broker), "read-only");
    assert_eq!(broker.cli("deputy", &approve).text("stage"), "bounded");
    let entry = logged(&broker, |entry| {
        entry["kind"] == json!("registry") && entry["promotion"].is_object()
    });
    assert_eq!(entry["actor"], json!("operator/deputy"));
    assert_eq!(entry["promotion"]["by"], json!("force"));
    let proposer = format!("operator/{}", broker.operator_name());
    assert_eq!(entry["promotion"]["proposal"]["by"], json!(proposer));
    assert_eq!(entry["promotion"]["proposal"]["id"], json!(id));
    broker
        .cli("deputy", &approve)
        .refused("PROPOSAL_NOT_FOUND", &["approval list"]);
    let listed = broker.cli("", &["approval", "list"]).json();
    assert_eq!(listed["proposals"], json!([]));
    let ground = until("a report has it", || {
        let report = broker.cli("", &["report", "readiness", "invoice-bot"]);
        assert_eq!(report.code, 3);
        let report: Value = serde_json::from_str(&report.stdout).unwrap();
        let ground = report["rows"][0]["ground"].clone();
        (ground["by"] == json!("force")).then_some(ground)
    });
    assert_eq!(ground["operators"], json!([proposer, "operator/deputy"]));
}

#[tokio::test]
async fn what_waits_outlives_the_process_and_goes_stale() {
    let mut broker = with_second("\"promote\"").await;
    let id = broker.cli("", &FORCE).json()["proposal"]["id"].take();
    let id = id.as_str().unwrap().to_owned();
    broker.restart();
    let listed = broker.cli("", &["approval", "list"]).json();
    assert_eq!(listed["proposals"][0]["id"], json!(id));
    let again = broker.cli("", &FORCE);
    again.refused("ALREADY_PROPOSED", &[&id]);
    let update = ["agent", "update", "invoice-bot", "--purpose", "another"];
    broker.cli("", &update).ok();
    let approve = ["approval", "approve", id.as_str()];
    broker
        .cli("deputy", &approve)
        .refused("VERSION_CHANGED", &["agent invoice-bot"]);
    assert_eq!(stage(&broker), "read-only");
    let reject = ["approval", "reject", id.as_str(), "--reason", "- stale"];
    let rejected = broker.cli("deputy", &reject).json();
    assert_eq!(rejected["rejected"]["id"], json!(id));
    logged(&broker, |entry| {
        entry["kind"] == json!("approval") && entry["state"] == json!("rejected")
    });
    // Nobody but an administrator decides.
    broker.operator("responder", &[v1::Role::Responder]).await;
    broker
        .cli("responder", &approve)
        .refused("METHOD_NOT_ALLOWED", &[]);
    broker.cli("responder", &["approval", "list"]).ok();
    let nonsense = ["approval", "approve", "nonsense"];
    broker
        .cli("deputy", &nonsense)
        .refused("INVALID_FIELD", &["id"]);
}

#[tokio::test]
async fn other_policies_wait_for_two_operators() {
    let folder = policies("");
    let sections = format!(
        "[policy]\ndir = {:?}\n[registry]\nsecond_operator = [\"policy\"]\n",
        folder.path()
    );
    let broker = Broker::builder(BIN).serve(&sections).start();
    broker.operator("deputy", &[v1::Role::Admin]).await;
    let forbids = "@id(\"closed\") forbid (principal is Agent, action, resource);";
    fs::write(folder.path().join("extra.cedar"), forbids).unwrap();
    let dir = folder.path().display().to_string();
    let set = broker
        .cli("", &["policy", "validate", &dir])
        .text("policy_set");
    until("the broker has seen it", || {
        broker.log().contains("wait for the approval").then_some(())
    });
    let approve = ["policy", "approve", set.as_str(), "--reason", "review"];
    let first = broker.cli("", &approve).json();
    assert_eq!(first["missing"], json!(1));
    broker
        .cli("", &approve)
        .refused("SECOND_OPERATOR_REQUIRED", &["another operator"]);
    let came = |entry: &Value| entry["kind"] == json!("policy") && entry["subject"] == json!(set);
    assert!(!broker.audit().iter().any(|line| came(&line["entry"])));
    let second = broker.cli("deputy", &approve).json();
    assert_eq!(second["missing"], json!(0));
    assert_eq!(
        second["approved_by"],
        json!([broker.operator_name(), "deputy"])
    );
    logged(&broker, came);
    let nonsense = ["policy", "approve", "nonsense", "--reason", "review"];
    broker
        .cli("", &nonsense)
        .refused("INVALID_FIELD", &["policy_set"]);
}
