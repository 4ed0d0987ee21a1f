//! A simulated month from outside: every figure of its reports counted once more from the raw log, and
//! the suggested registration applied to a broker.
//!
//! The counting uses nothing of the reports' own code: JSON of the log's tiles and the registry file,
//! read anew. A small month by default; `TASKPASS_TEST_MONTH=full` plays the one that is documented.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

#[path = "month/evidence.rs"]
mod evidence;
#[path = "month/exposure.rs"]
mod exposure;
#[path = "month/figures.rs"]
mod figures;
#[path = "month/happened.rs"]
mod happened;
#[path = "month/inventory.rs"]
mod inventory;
#[path = "month/least_privilege.rs"]
mod least_privilege;
#[path = "month/lives.rs"]
mod lives;
#[path = "month/raw.rs"]
mod raw;
#[path = "month/readiness.rs"]
mod readiness;
#[path = "month/replay.rs"]
mod replay;
#[path = "month/uses.rs"]
mod uses;

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use raw::Raw;

pub(crate) const BIN: &str = env!("CARGO_BIN_EXE_taskpass");

/// A month that was played into a folder.
struct Month {
    folder: tempfile::TempDir,
    said: Value,
}

impl Month {
    fn play(size: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("month").display().to_string();
        let line = [&["-o", "json", "demo", "--month", "--out", &out], size].concat();
        let said = taskpass(&line);
        Self { folder, said }
    }

    fn path(&self, name: &str) -> String {
        let path = self.folder.path().join("month").join(name);
        path.display().to_string()
    }

    fn report(&self, name: &str) -> Value {
        let text = std::fs::read(self.path(&format!("reports/{name}.json"))).unwrap();
        serde_json::from_slice(&text).unwrap()
    }

    /// A report on the copies, by the command line.
    fn asked(&self, line: &[&str]) -> Value {
        let (log, registry) = (self.path("log"), self.path("registry.toml"));
        let keys = self.path("broker.vkey");
        let source = ["--log", &log, "--registry", &registry, "--key", &keys];
        taskpass(&[&["-o", "json", "report"], line, &source].concat())
    }

    /// What the log and the registry say, for whoever makes a report.
    fn raw(&self, about: &Value) -> Raw {
        Raw::read(
            Path::new(&self.path("log")),
            Path::new(&self.path("registry.toml")),
            about,
        )
    }
}

/// Runs the binary to its end, however long that takes.
fn taskpass(line: &[&str]) -> Value {
    let output = Command::new(BIN)
        .args(line)
        .env_clear()
        .output()
        .expect("the binary can be run");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{line:?}: {errors}");
    serde_json::from_slice(&output.stdout).expect("one JSON object")
}

/// Counts everything once more, over all of the log and over its last days.
fn recount(month: &Month) {
    let least = month.report("least-privilege");
    let raw = month.raw(&least["about"]);
    raw.check_about(&least["about"]);
    inventory::check(&raw, &month.report("inventory"));
    least_privilege::check(&raw, &least);
    exposure::check(&raw, &month.report("exposure"));
    let shared = inventory::sharing(&raw);
    readiness::check(&raw, &shared, &least, &month.report("readiness"));
    // Some of the month alone; what is true now is still read from the whole log.
    let narrower = month.path("of-a-part.toml");
    let inventory = month.asked(&["inventory", "--since", "3d"]);
    inventory::check(&month.raw(&inventory["about"]), &inventory);
    let least = month.asked(&["least-privilege", "--since", "3d", "--suggest", &narrower]);
    least_privilege::check(&month.raw(&least["about"]), &least);
    let exposure = month.asked(&["exposure", "--since", "3d"]);
    exposure::check(&month.raw(&exposure["about"]), &exposure);
    let part: Vec<_> = [&inventory, &least, &exposure]
        .map(|report| report["about"]["since"].clone())
        .into();
    assert!(part.iter().all(Value::is_string), "{part:?}");
    recount_evidence(month);
}

/// The same of evidence: as it was made with the month, and over its last days.
fn recount_evidence(month: &Month) {
    let of_month = evidence::FRAMEWORKS.map(|framework| {
        let name = format!("evidence-{framework}");
        let page = std::fs::read_to_string(month.path(&format!("reports/{name}.html")));
        (month.report(&name), Some(page.unwrap()))
    });
    let about = &month.report("inventory")["about"];
    assert!(of_month.iter().all(|(report, _)| report["about"] == *about));
    evidence::check(&month.raw(about), &of_month);
    // Each is made at its own moment, by which something more may have ended.
    for framework in evidence::FRAMEWORKS {
        let line = ["evidence", "--framework", framework, "--since", "3d"];
        let report = month.asked(&line);
        evidence::check_part(&month.raw(&report["about"]), &report);
    }
}

/// What a month must have, or its figures would not be worth counting.
fn is_eventful(month: &Month) {
    let inventory = month.report("inventory");
    let rows = inventory["rows"].as_array().unwrap();
    let faults: BTreeSet<&str> = rows
        .iter()
        .flat_map(|row| row["faults"].as_array().unwrap())
        .map(|fault| fault["fault"].as_str().unwrap())
        .collect();
    let all = ["never_used", "no_owner", "overdue", "shared_key"];
    assert_eq!(faults.into_iter().collect::<Vec<_>>(), all);
    let raw = month.raw(&inventory["about"]);
    let count = |what: &dyn Fn(&Value) -> bool| raw.entries.iter().filter(|e| what(e)).count();
    let kind = |kind: &'static str, outcome: &'static str| {
        count(&move |e| e["kind"] == json!(kind) && e["outcome"] == json!(outcome))
    };
    for (what, many) in [
        ("tokens", kind("credential.token", "allow")),
        ("certificates", kind("credential.certificate", "allow")),
        ("refused tokens", kind("credential.token", "deny")),
        ("refused tasks", kind("task.start", "deny")),
        ("completed tasks", kind("task.end", "done")),
        ("renewals", kind("identity.renew", "allow")),
        ("counted refusals", kind("denials", "deny")),
        (
            "tried out",
            count(&|e| e["decision"]["would_deny"] == json!(true)),
        ),
        ("bound", count(&|e| e["credential"]["bound_to"].is_string())),
        (
            "handed on",
            count(&|e| {
                let above = e["ancestors"].as_array();
                above.is_some_and(|above| above.iter().any(|a| a["agent"] != e["agent"]))
            }),
        ),
        (
            "revoked",
            count(&|e| {
                let selector = &e["revocation"]["selector"];
                ["agent", "owner", "target", "credential"]
                    .iter()
                    .any(|s| selector == s)
            }),
        ),
        ("widened", count(&|e| e["widened"].is_array())),
    ] {
        assert!(many > 0, "no {what}");
    }
    let exposure = month.report("exposure");
    for figure in ["live", "revoked", "credentials"] {
        assert!(exposure[figure].as_u64().unwrap() > 0, "{figure}");
    }
    let said = |name: &str| usize::try_from(month.said[name].as_u64().unwrap()).unwrap();
    assert_eq!(said("tokens"), kind("credential.token", "allow"));
    assert_eq!(
        said("certificates"),
        kind("credential.certificate", "allow")
    );
    assert_eq!(said("tasks"), kind("task.start", "allow"));
}

#[tokio::test]
async fn a_month_says_what_its_log_says_and_the_suggestion_denies_what_it_said() {
    #[expect(
        clippy::disallowed_methods,
        reason = "how large a test is is asked for outside"
    )]
    let full = std::env::var("TASKPASS_TEST_MONTH").is_ok_and(|size| size == "full");
    let small = [
        "--agents", "40", "--owners", "5", "--days", "10", "--seed", "7",
    ];
    let month = Month::play(if full { &[] } else { &small });
    let keys = month.path("broker.vkey");
    taskpass(&[
        "-o",
        "json",
        "audit",
        "verify",
        &month.path("log"),
        "--key",
        &keys,
    ]);
    is_eventful(&month);
    recount(&month);
    let least = month.report("least-privilege");
    let raw = month.raw(&least["about"]);
    replay::check(&raw, &month.path(""), &least).await;
}

#[test]
fn another_seed_plays_another_month() {
    let size = |seed| {
        [
            "--agents", "20", "--owners", "4", "--days", "3", "--seed", seed,
        ]
    };
    let counts = |seed| {
        let said = Month::play(&size(seed)).said;
        ["tasks", "tokens", "certificates", "refusals"].map(|name| said[name].clone())
    };
    assert_ne!(counts("1"), counts("2"));
    let said = Month::play(&size("3"));
    for report in said.said["reports"].as_array().unwrap() {
        let page = std::fs::read_to_string(report["html"].as_str().unwrap()).unwrap();
        assert!(page.starts_with("<!doctype html>") && !page.contains("<script"));
    }
    let out = said.path("");
    let again = ["demo", "--month", "--out", &out];
    let output = Command::new(BIN).args(again).env_clear().output().unwrap();
    assert!(String::from_utf8_lossy(&output.stderr).starts_with("FILE_EXISTS: "));
}
