//! A disk that refuses a write while the broker runs: nothing more is acknowledged, the process ends by itself
//! and says so, and what was acknowledged is there when it is started again.
//!
//! The real binary gets a real error of the kernel: no file of the process may grow beyond a limit, set
//! while it runs. What that sends instead of an error, by default, is ignored by the shell that starts it.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::os::unix::fs::PermissionsExt as _;

use rustix::process::{Pid, Resource, Rlimit, prlimit};
use serde_json::json;
use taskpass_testkit::{Broker, Outcome};

const BIN: &str = env!("CARGO_BIN_EXE_taskpass");
const LEDGER: &str = "https://ledger.example";
/// Less than the store has from the start, more than anything else of the broker writes here.
const LIMIT: u64 = 96 * 1024;
/// More commits than there are free pages below the limit.
const MANY: usize = 400;

/// From now on no file of the broker may be written beyond the limit.
fn break_disk(broker: &Broker) {
    let pid = broker.pid().and_then(|pid| i32::try_from(pid).ok());
    let limit = Rlimit {
        current: Some(LIMIT),
        maximum: Some(LIMIT),
    };
    prlimit(pid.and_then(Pid::from_raw), Resource::Fsize, limit).unwrap();
}

fn issue(broker: &Broker, task: &str) -> Outcome {
    let args = ["issue", "token", "--task", task, "--target", LEDGER];
    broker.cli(
        "invoice-bot",
        &[&args[..], &["--scope", "invoices:read"]].concat(),
    )
}

fn is_active(broker: &Broker, token: &str) -> bool {
    let ask = ["introspect", "--token-file", "-"];
    let asked = broker.cli_with("ledger", &ask, token.as_bytes());
    asked.json().get("active") == Some(&json!(true))
}

#[test]
fn a_write_that_fails_ends_the_process_and_loses_nothing_that_was_acknowledged() {
    let folder = tempfile::tempdir().unwrap();
    let starts = folder.path().join("taskpass");
    let script = format!("#!/bin/sh\ntrap '' XFSZ\nexec '{BIN}' \"$@\"\n");
    std::fs::write(&starts, script).unwrap();
    std::fs::set_permissions(&starts, std::fs::Permissions::from_mode(0o755)).unwrap();
    let mut broker = Broker::start(&starts.display().to_string());
    let scope = format!("{LEDGER}#invoices:read");
    let start = ["task", "start", "--purpose", "p", "--scope", &scope];
    let task = broker.cli("invoice-bot", &start).text("task_id");
    let doomed = issue(&broker, &task);
    let revoke = |id: &str| broker.cli("", &["revoke", "--credential", id, "--reason", "drill"]);
    revoke(&doomed.text("credential_id")).ok();

    let mut held: Vec<String> = (0..3)
        .map(|_| issue(&broker, &task).text("token"))
        .collect();
    break_disk(&broker);
    let failed = (0..MANY).find_map(|_| {
        let issued = issue(&broker, &task);
        if issued.code == 0 {
            held.push(issued.text("token"));
            return None;
        }
        Some(issued)
    });
    let failed = failed.unwrap();
    assert!(failed.stdout.is_empty(), "{failed}");
    // It was told that the store is gone, or found nobody any more; so is everybody after it.
    let after = issue(&broker, &task);
    assert_ne!(after.code, 0, "{after}");
    assert_ne!(revoke(&doomed.text("credential_id")).code, 0);

    assert_eq!(broker.ended(), 1, "{}", broker.log());
    let log = broker.log();
    assert!(
        log.contains("STORE_FAILED") && log.contains("nothing more is acknowledged"),
        "{log}"
    );

    broker.restart();
    for token in &held {
        assert!(
            is_active(&broker, token),
            "an acknowledged token is unknown"
        );
    }
    assert!(!is_active(&broker, &doomed.text("token")));
    assert_eq!(issue(&broker, &task).code, 0);
    assert_eq!(broker.stop(), 0);
    // The log has each of them, and verifies.
    let root = broker.path("audit").display().to_string();
    broker.cli("", &["audit", "verify", &root]).ok();
    let entries = broker.audit();
    let issued = |entry: &&serde_json::Value| {
        let entry = &entry["entry"];
        entry["kind"] == "credential.token" && entry["outcome"] == "allow"
    };
    assert!(entries.iter().filter(issued).count() > held.len());
}
