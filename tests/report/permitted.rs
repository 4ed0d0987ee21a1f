//! What is permitted is what the policies say: the broker's own, those of a folder; and of copies without
//! either, what registration and stage let an agent have, which the report says.

use std::fmt::Write as _;
use std::fs;
use std::time::SystemTime;

use serde_json::{Value, json};
use taskpass_core::Timestamp;
use taskpass_testkit::{Broker, policies};

use super::{BIN, LEDGER, READ, work};

/// Whether each agent may have each scope, and what blocks it.
fn permitted(report: &Value) -> Vec<(String, String, bool, Value)> {
    let rows = report["rows"].as_array().unwrap();
    let text = |row: &Value, field: &str| row[field].as_str().unwrap().to_owned();
    rows.iter()
        .map(|row| {
            let permitted = row["permitted"].as_bool().unwrap();
            let (agent, scope) = (text(row, "agent"), text(row, "scope"));
            (agent, scope, permitted, row["blocked_by"].clone())
        })
        .collect()
}

/// Holds a report to what the service says of each agent, which is what happens.
fn agrees(broker: &Broker, report: &Value) {
    assert_eq!(report["permitted_by"], json!("policy"));
    assert_eq!(report["policy_set"].as_str().map(str::len), Some(64));
    for (agent, scope, permitted, blocked_by) in permitted(report) {
        let line = ["policy", "what-can", &agent, "--refused"];
        let said = broker.cli("", &line).json();
        assert_eq!(said["policy_set"], report["policy_set"]);
        let reaches = said["reaches"].as_array().unwrap();
        let reach = reaches.iter().find(|r| r["scope"] == json!(scope)).unwrap();
        assert_eq!(permitted, reach["refused"].is_null(), "{agent} {scope}");
        let policy = reach["policies"][0].as_str().unwrap();
        let expected = (!permitted).then(|| format!("policy {policy}"));
        assert_eq!(blocked_by, json!(expected), "{agent} {scope}");
    }
}

/// So many agents more, and a target with so many scopes.
fn crowd(broker: &Broker, agents: usize, scopes: usize) {
    let mut file = String::new();
    for n in 0..agents {
        let stage = ["read-only", "autonomous"][n % 2];
        write!(
            file,
            "[[agent]]\nname = \"crowd-{n}\"\nowner = \"payments-team\"\npurpose = \"x\"\n\
             stage = \"{stage}\"\nscopes = [\"{READ}\", \"{LEDGER}#payments:send\"]\n\
             valid_until = \"{UNTIL}\"\n"
        )
        .unwrap();
    }
    if scopes > 0 {
        let scopes: Vec<String> = (0..scopes).map(|n| format!("s{n} = \"read\"")).collect();
        let scopes = scopes.join(", ");
        file += "[[target]]\nuri = \"https://wide.example\"\nrisk = \"low\"\n";
        writeln!(file, "scopes = {{ {scopes} }}").unwrap();
    }
    let path = broker.path(&format!("crowd-{agents}-{scopes}.toml"));
    fs::write(&path, file.replace(UNTIL, &in_a_month())).unwrap();
    let path = path.display().to_string();
    let line = ["apply", &path, "--reason", "a crowd"];
    broker.cli("", &line).ok();
}

const UNTIL: &str = "UNTIL";

#[expect(
    clippy::disallowed_methods,
    reason = "the broker of the test runs by the real clock"
)]
fn in_a_month() -> String {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    Timestamp::from_secs(now.unwrap().as_secs() + 30 * 86_400).to_string()
}

#[tokio::test]
async fn what_is_permitted_is_what_the_policies_say() {
    let broker = Broker::start(BIN);
    work(&broker).await;
    let asked = ["report", "least-privilege"];
    let report = broker.cli("", &asked).json();
    agrees(&broker, &report);
    let blocked = permitted(&report);
    let write = format!("{LEDGER}#invoices:write");
    let stage = json!("policy stage-read-only");
    assert!(blocked.contains(&("invoice-bot".into(), write, false, stage)));
    // With more agents than scopes it is asked the other way round, scope by scope.
    crowd(&broker, 4, 0);
    let more = broker.cli("", &asked).json();
    agrees(&broker, &more);
    assert_eq!(permitted(&more).len(), blocked.len() + 8);
    assert!(blocked.iter().all(|row| permitted(&more).contains(row)));
    let some = [
        &asked[..],
        &["--target", LEDGER, "--owner", "payments-team"],
    ]
    .concat();
    assert_eq!(permitted(&broker.cli("", &some).json()), permitted(&more));
}

#[tokio::test]
async fn a_broker_is_not_asked_about_more_than_it_can_answer_beside_its_work() {
    let broker = Broker::start(BIN);
    work(&broker).await;
    // 452 agents, 253 scopes.
    crowd(&broker, 450, 250);
    let asked = ["report", "least-privilege"];
    let outcome = broker.cli("", &asked);
    assert!(outcome.stderr.contains("--policies"), "{outcome}");
    assert_eq!(outcome.json()["permitted_by"], json!("registration"));
    let one = [&asked[..], &["--agent", "crowd-1"]].concat();
    let outcome = broker.cli("", &one);
    assert!(outcome.stderr.is_empty(), "{outcome}");
    assert_eq!(outcome.json()["permitted_by"], json!("policy"));
}

#[tokio::test]
async fn copies_are_put_to_the_policies_of_a_folder_or_to_none() {
    let broker = Broker::start(BIN);
    work(&broker).await;
    let (log, registry) = (broker.arg("copy"), broker.arg("registry.toml"));
    broker.cli("", &["audit", "export", "--out", &log]).ok();
    let export = ["registry", "export", "--out", &registry];
    broker.cli("", &export).ok();
    let offline = |more: &[&str]| {
        let line = ["report", "least-privilege", "--log", &log];
        let line = [&line[..], &["--registry", &registry], more].concat();
        broker.cli("", &line).json()
    };
    let bare = offline(&[]);
    assert_eq!(bare["permitted_by"], json!("registration"));
    assert_eq!(bare["policy_set"], Value::Null);
    assert!(
        bare["permitted_says"]
            .as_str()
            .unwrap()
            .contains("not asked")
    );
    let blocked = json!("its stage does not admit it");
    assert!(permitted(&bare).iter().any(|row| row.3 == blocked));

    // The shipped ones say of the copies what the broker says of itself.
    let shipped = policies("");
    let shipped = shipped.path().display().to_string();
    let said = offline(&["--policies", &shipped]);
    let own = broker.cli("", &["report", "least-privilege"]).json();
    assert_eq!(permitted(&said), permitted(&own));
    assert_eq!(said["total"], own["total"]);

    // A rule more, and the report names it: of the copies, and of a broker that has it not.
    let strict = policies(
        "@id(\"nobody-reads-invoices\")\n\
         forbid (principal, action, resource == Scope::\"https://ledger.example#invoices:read\");\n",
    );
    let folder = strict.path().display().to_string();
    let strict = offline(&["--policies", &folder]);
    let read = |report: &Value| {
        let rows = permitted(report);
        let read = rows.into_iter().find(|row| row.1 == READ).unwrap();
        (read.2, read.3)
    };
    let blocked = (false, json!("policy nobody-reads-invoices"));
    assert_eq!(read(&said), (true, Value::Null));
    assert_eq!(read(&strict), blocked);
    assert_ne!(strict["policy_set"], said["policy_set"]);
    let line = ["report", "least-privilege", "--policies", &folder];
    assert_eq!(read(&broker.cli("", &line).json()), blocked);

    // What an agent is not registered for and a policy gives it all the same is in the report.
    let generous = policies("");
    let file = generous.path().join("registration.cedar");
    let text = fs::read_to_string(&file).unwrap();
    assert!(text.contains("scope-not-registered"));
    fs::remove_file(file).unwrap();
    let narrower = broker.arg("narrower.toml");
    let line = ["report", "least-privilege", "--suggest", &narrower];
    broker.cli("", &line).ok();
    broker
        .cli("", &["apply", &narrower, "--reason", "least privilege"])
        .ok();
    let folder = generous.path().display().to_string();
    let line = ["report", "least-privilege", "--policies", &folder];
    let report = broker.cli("", &line).json();
    let send = format!("{LEDGER}#payments:send");
    let payout = ("payout-bot".to_owned(), send, true, Value::Null);
    assert!(permitted(&report).contains(&payout), "{report:#}");
    let now = broker.cli("", &["report", "least-privilege"]).json();
    assert!(!permitted(&now).contains(&payout));
}
