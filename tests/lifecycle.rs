//! Offboarding, and applying a registry file, as an operator does it: by the command line, against a
//! real broker.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "a test fails by panicking"
)]

use std::path::Path;

use serde_json::Value;
use taskpass_testkit::{Broker, Outcome, until};

const BIN: &str = env!("CARGO_BIN_EXE_taskpass");
const LEDGER: &str = "https://ledger.example";

fn export(broker: &Broker) -> String {
    broker.cli("", &["registry", "export"]).text("file")
}

fn version(broker: &Broker) -> u64 {
    let shown = broker.cli("", &["registry", "version"]).json();
    shown["version"].as_u64().unwrap()
}

fn apply(broker: &Broker, text: &str, more: &[&str]) -> Outcome {
    let path = broker.path("registry.toml");
    std::fs::write(&path, text).unwrap();
    apply_file(broker, &path, more)
}

fn apply_file(broker: &Broker, path: &Path, more: &[&str]) -> Outcome {
    let mut args = vec!["apply", path.to_str().unwrap()];
    args.extend(more);
    broker.cli("", &args)
}

fn names(changes: &Value) -> Vec<String> {
    let changes = changes["changes"].as_array().unwrap();
    let text = |change: &Value, field: &str| change[field].as_str().unwrap().to_owned();
    let name = |change: &Value| {
        let parts = ["action", "kind", "name"].map(|field| text(change, field));
        parts.join(" ")
    };
    changes.iter().map(name).collect()
}

fn start(broker: &Broker, who: &str) -> Outcome {
    let scope = format!("{LEDGER}#invoices:read");
    let args = ["task", "start", "--purpose", "lifecycle", "--scope", &scope];
    broker.cli(who, &args)
}

fn token(broker: &Broker, who: &str) -> (String, String) {
    let task = start(broker, who).text("task_id");
    let args = ["issue", "token", "--task", &task, "--target", LEDGER];
    let scope = ["--scope", "invoices:read"];
    let issued = broker.cli(who, &[&args[..], &scope[..]].concat());
    (task, issued.text("token"))
}

fn is_active(broker: &Broker, token: &str) -> bool {
    let args = ["introspect", "--token-file", "-"];
    let shown = broker.cli_with("ledger", &args, token.as_bytes()).json();
    shown["active"].as_bool().unwrap()
}

#[test]
fn what_was_exported_changes_nothing_and_what_was_edited_is_applied_once() {
    let broker = Broker::start(BIN);
    let file = export(&broker);
    let before = version(&broker);
    let same = apply(&broker, &file, &["--prune"]).json();
    assert_eq!(names(&same), Vec::<String>::new());
    assert_eq!(same["version"], before);
    let text = broker.arg("registry.toml");
    let said = broker.cli_raw("", &["apply", &text], b"");
    assert!(said.stdout.starts_with("nothing to change"), "{said}");

    let wider = file.replacen("stage = \"read-only\"", "stage = \"bounded\"", 1);
    let wider = format!("{wider}\n[[owner]]\nname = \"audit\"\ncontact = \"audit@example.org\"\n");
    let dry = apply(&broker, &wider, &["--dry-run"]).json();
    let changes = ["add owner audit", "change agent invoice-bot"];
    assert_eq!(names(&dry), changes);
    assert_eq!(dry["changes"][1]["widened"], serde_json::json!(["stage"]));
    assert_eq!(
        (&dry["version"], &dry["dry_run"]),
        (&before.into(), &true.into())
    );
    let shown = broker.cli_raw("", &["apply", &text, "--dry-run"], b"");
    for line in [
        "+ owner audit",
        "~ agent invoice-bot",
        "- read-only  (widens)",
        "+ bounded",
        "dry run",
    ] {
        assert!(shown.stdout.contains(line), "{line}: {shown}");
    }
    let expected = before.to_string();
    apply(&broker, &wider, &[]).refused("INVALID_REASON", &["widens stage", "--reason"]);
    assert_eq!(version(&broker), before);
    let reason = ["--expect-version", &expected, "--reason", "review 2026-11"];
    // A reason alone raises no stage.
    apply(&broker, &wider, &reason).refused("NOT_READY", &["agent invoice-bot", "readiness"]);
    assert_eq!(version(&broker), before);
    let reason = [&reason[..], &["--force"]].concat();
    let applied = apply(&broker, &wider, &reason).json();
    assert_eq!(names(&applied), changes);
    assert_eq!(applied["version"], before + 1);
    // Reviewed against a registry that is no more.
    apply(&broker, &wider, &reason).refused("VERSION_CHANGED", &["version"]);
    assert_eq!(
        names(&apply(&broker, &wider, &[]).json()),
        Vec::<String>::new()
    );

    // In the trail, with the reason.
    let query = [
        "audit",
        "query",
        "--agent",
        "invoice-bot",
        "--kind",
        "registry",
    ];
    until("the change is logged", || {
        let found = broker.cli("", &query);
        (found.code == 0
            && found.stdout.contains(r#""widened":["stage"]"#)
            && found.stdout.contains("review 2026-11"))
        .then_some(())
    });
}

#[test]
fn every_fault_of_a_file_is_named_with_its_place_and_nothing_is_changed() {
    let broker = Broker::start(BIN);
    let before = version(&broker);
    let file = format!(
        r#"[[owner]]
name = "audit"
contact = "audit@example.org"

[[target]]
uri = "https://new.example"
risk = "low"
scopes = {{ "x" = "banana" }}

[[agent]]
name = "one"
owner = "nobody"
purpose = "p"
stage = "read-only"
scopes = ["{LEDGER}#invoices:read", "{LEDGER}#invoices:read", "https://new.example#x"]
valid_until = "2026-12-01"

[[agent]]
name = "Not/A/Segment"
owner = "audit"
purpose = "p"
stage = "read-only"

[[operator]]
name = "eve"
roles = ["admin"]
"#
    );
    let refused = apply(&broker, &file, &["--reason", "no"]);
    let faults = [
        "8:18  target https://new.example: scopes: `banana`",
        "12:9  agent one: owner: there is no owner nobody",
        "agent one: scopes: scope `https://ledger.example#invoices:read` is listed twice",
        "19:8  agent Not/A/Segment: name: a name is 1 to 63",
        "operator eve: entry: an owner, agent or target",
    ];
    refused.refused("INVALID_REGISTRY", &faults);
    assert!(refused.stderr.contains("5 faults in "), "{refused}");
    assert_eq!(version(&broker), before);

    // Also where this side finds nothing wrong: the broker's faults have their places.
    let file = file.replace("banana", "read");
    let refused = apply(&broker, &file, &[]);
    refused.refused("INVALID_REGISTRY", &faults[1..]);
    assert!(
        refused.stderr.contains("15:51  agent one: scopes"),
        "{refused}"
    );

    let unknown = apply(&broker, "[[agent]]\nname = \"a\"\nroot = true\n", &[]);
    unknown.refused("INVALID_REGISTRY", &["line 3, column 1", "root"]);
    let typed = broker.cli("", &["apply", "no-such-file.toml"]);
    assert_eq!(typed.reason(), "FILE_ERROR");
    apply(&broker, &export(&broker), &["--expect-version", "1"]).refused("VERSION_CHANGED", &[]);
    assert_eq!(version(&broker), before);
    // And only by an administrator.
    let path = broker.arg("registry.toml");
    let agent = broker.cli("invoice-bot", &["apply", &path]);
    assert_eq!(agent.reason(), "METHOD_NOT_ALLOWED");
}

#[test]
fn pruning_shows_what_it_ends_and_needs_a_reason() {
    let broker = Broker::start(BIN);
    let (_, held) = token(&broker, "payout-bot");
    let file = export(&broker);
    let agent = file.find("[[agent]]\nname = \"payout-bot\"").unwrap();
    let without = &file[..agent];
    let left_alone = apply(&broker, without, &[]).json();
    assert_eq!(names(&left_alone), Vec::<String>::new());
    let dry = apply(&broker, without, &["--prune", "--dry-run"]).json();
    assert_eq!(names(&dry), ["retire agent payout-bot"]);
    let change = &dry["changes"][0];
    assert_eq!(
        (&change["credentials"], &change["tasks"]),
        (&1.into(), &1.into())
    );
    assert!(is_active(&broker, &held));
    apply(&broker, without, &["--prune"]).refused("INVALID_REASON", &["retires"]);
    apply(&broker, without, &["--prune", "--reason", "not needed"]).ok();
    assert!(!is_active(&broker, &held));
    let refused = start(&broker, "payout-bot");
    assert_eq!(refused.code, 1, "{refused}");
}

#[test]
fn offboarding_ends_all_of_an_owners_agents_and_survives_a_crash() {
    let mut broker = Broker::start(BIN);
    let (task, one) = token(&broker, "invoice-bot");
    let (_, two) = token(&broker, "payout-bot");
    let pending = broker.arg("pending");
    broker
        .cli(
            "",
            &["agent", "enrol-token", "invoice-bot", "--out", &pending],
        )
        .ok();
    let offboard = ["owner", "offboard", "payments-team"];
    let dry = broker
        .cli("", &[&offboard[..], &["--dry-run"]].concat())
        .json();
    let counted = |shown: &Value| {
        let exact = shown["exact"].as_bool().unwrap() && shown["tasks_exact"].as_bool().unwrap();
        let count = |field: &str| shown[field].as_u64().unwrap();
        (count("agents"), count("tasks"), count("credentials"), exact)
    };
    assert_eq!(counted(&dry), (2, 2, 2, true));
    assert!(is_active(&broker, &one));
    // Without a reason it is malformed.
    assert_eq!(broker.cli("", &offboard).code, 2);

    let done = broker
        .cli("", &[&offboard[..], &["--reason", "left"]].concat())
        .json();
    assert_eq!(counted(&done), (2, 2, 2, true));
    assert_eq!(
        (&done["state"], &done["dry_run"]),
        (&"retired".into(), &false.into())
    );
    broker.restart();

    assert!(!is_active(&broker, &one) && !is_active(&broker, &two));
    let shown = broker.cli("", &["task", "show", &task]);
    assert_eq!(shown.text("state"), "revoked");
    for who in ["invoice-bot", "payout-bot"] {
        for args in [
            &["task", "list"][..],
            &["renew"],
            &["task", "complete", &task],
        ] {
            let refused = broker.cli(who, args);
            let reasons = ["UNAUTHENTICATED", "AGENT_SUSPENDED"];
            assert!(reasons.contains(&refused.reason()), "{refused}");
        }
    }
    let out = broker.arg("again");
    let enrol = ["enrol", "--token-file", &pending, "--out", &out];
    assert_eq!(broker.cli("", &enrol).reason(), "ENROLMENT_REFUSED");

    // Only a new owner, for a reason, and a new identity let an agent begin again.
    let given = ["agent", "update", "invoice-bot", "--owner", "billing"];
    broker
        .cli(
            "",
            &["owner", "register", "billing", "--contact", "b@example.org"],
        )
        .ok();
    broker
        .cli("", &given)
        .refused("INVALID_REASON", &["widens owner"]);
    broker
        .cli("", &[&given[..], &["--reason", "taken over"]].concat())
        .ok();
    assert_eq!(start(&broker, "invoice-bot").reason(), "UNAUTHENTICATED");
    let fresh = broker.arg("fresh");
    broker
        .cli(
            "",
            &["agent", "enrol-token", "invoice-bot", "--out", &fresh],
        )
        .ok();
    let folder = broker.identity_folder("renamed");
    let folder = folder.to_str().unwrap();
    // Within the second of the revocation one is told to wait; the token is not used up by that.
    let enrol = ["enrol", "--token-file", &fresh, "--out", folder];
    until("it has enrolled", || {
        let enrolled = broker.cli("", &enrol);
        let waits = enrolled.code != 0 && enrolled.reason() == "RETRY_AFTER_REVOCATION";
        assert!(waits || enrolled.code == 0, "{enrolled}");
        (enrolled.code == 0).then_some(())
    });
    start(&broker, "renamed").ok();
    assert!(!is_active(&broker, &one));
}

#[test]
fn extending_is_an_act_with_a_reason() {
    let broker = Broker::start(BIN);
    let update = ["agent", "update", "invoice-bot", "--valid-until", "399d"];
    broker
        .cli("", &update)
        .refused("INVALID_REASON", &["widens valid_until", "--reason"]);
    let extend = [
        "agent",
        "extend",
        "invoice-bot",
        "--until",
        "399d",
        "--reason",
        "review",
    ];
    let extended = broker.cli("", &extend).json();
    assert_eq!(extended["registry_version"], version(&broker));
    let less = [
        "agent",
        "extend",
        "invoice-bot",
        "--until",
        "1d",
        "--reason",
        "review",
    ];
    assert_eq!(broker.cli("", &less).reason(), "NOT_AN_EXTENSION");
    // Shorter needs none.
    let shorter = ["agent", "update", "invoice-bot", "--valid-until", "1d"];
    broker.cli("", &shorter).ok();
    let to = ["--to", "bounded"];
    let promote = [
        &[
            "agent",
            "promote",
            "invoice-bot",
            "--force",
            "--reason",
            "six weeks",
        ][..],
        &to,
    ];
    assert_eq!(broker.cli("", &promote.concat()).text("stage"), "bounded");
}
