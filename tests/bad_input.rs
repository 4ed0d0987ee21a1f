//! Bad input: each is refused with the right reason, which is what standard error begins with, says
//! what is wrong and what would be right, ends with 1, and changes nothing.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

#[path = "bad_input/csr.rs"]
mod csr;
#[path = "bad_input/start.rs"]
mod start;
#[path = "bad_input/values.rs"]
mod values;
#[path = "bad_input/wire.rs"]
mod wire;

use serde_json::{Value, json};
use taskpass_testkit::Broker;

pub(crate) const BIN: &str = env!("CARGO_BIN_EXE_taskpass");
pub(crate) const LEDGER: &str = "https://ledger.example";
pub(crate) const READ: &str = "https://ledger.example#invoices:read";

/// Everything that a refused request must leave as it is.
pub(crate) fn state(broker: &Broker) -> Value {
    let list = |args: &[&str]| broker.cli("", args).json();
    let counted: Vec<String> = broker
        .ops("/metrics")
        .text()
        .lines()
        .filter(|line| {
            [
                "taskpass_issued_total",
                "taskpass_tasks_started",
                "taskpass_revocations_total",
            ]
            .iter()
            .any(|name| line.starts_with(name))
        })
        .map(str::to_owned)
        .collect();
    assert_eq!(counted.len(), 4, "{counted:?}");
    json!([
        list(&["owner", "list"]),
        list(&["agent", "list"]),
        list(&["target", "list"]),
        list(&["operator", "list"]),
        list(&["verifier", "list"]),
        list(&["task", "list"]),
        list(&["revocations"]),
        counted,
    ])
}

pub(crate) fn task(broker: &Broker) -> String {
    let args = ["task", "start", "--purpose", "x", "--scope", READ];
    broker.cli("invoice-bot", &args).text("task_id")
}

/// A command line, the reason of its refusal, and what else it says.
pub(crate) type Case<'a> = (&'a str, Vec<&'a str>, &'a str, &'a [&'a str]);

pub(crate) fn check(broker: &Broker, cases: &[Case<'_>]) {
    let before = state(broker);
    for (who, args, reason, parts) in cases {
        broker.cli(who, args).refused(reason, parts);
    }
    assert_eq!(state(broker), before);
}
