//! The same on the command line.

use crate::*;

#[tokio::test]
async fn handing_on_and_looking_at_the_tree() {
    let world = World::new().await;
    let broker = &world.broker;
    let start = |who: &str, more: &[&str]| {
        let base = ["task", "start", "--purpose", "p", "--scope", READ];
        broker.cli(who, &[&base[..], more].concat())
    };
    let plan = start("planner", &[]).text("task_id");
    let refused = start("planner", &["--parent", &plan, "--agent", "helper"]);
    refused.refused("POLICY_DENIED", &["default-deny"]);
    start("planner", &["--parent", &plan, "--agent", "No-Name"]).refused("INVALID_NAME", &[]);
    let work = start("planner", &["--parent", &plan, "--agent", "worker"]).text("task_id");
    let help = start("worker", &["--parent", &work, "--agent", "helper"]).text("task_id");
    let listed = broker.cli("helper", &["task", "list"]).json();
    assert_eq!(listed["tasks"][0]["task_id"], *help);
    assert_eq!(listed["tasks"][0]["ancestors"][0]["agent"], "worker");

    let issue = [
        "issue",
        "token",
        "--target",
        LEDGER,
        "--scope",
        "invoices:read",
        "--task",
    ];
    broker.cli("helper", &[&issue[..], &[&help]].concat()).ok();
    let denied = broker.cli("worker", &[&issue[..], &[&help]].concat());
    denied.refused("TASK_NOT_FOUND", &[]);

    for who in ["planner", ""] {
        let forest = broker.cli(who, &["task", "tree", &plan]).json();
        assert_eq!(forest["truncated"], false);
        let top = &forest["tasks"][0];
        assert_eq!(
            (&top["task_id"], &top["agent"]),
            (&plan.as_str().into(), &"planner".into())
        );
        let middle = &top["children"][0];
        assert_eq!(
            (&middle["agent"], &middle["credentials"]),
            (&"worker".into(), &0.into())
        );
        let last = &middle["children"][0];
        assert_eq!(
            (&last["agent"], &last["credentials"]),
            (&"helper".into(), &1.into())
        );
        assert_eq!(
            (&last["exact"], &last["state"]),
            (&true.into(), &"active".into())
        );
        assert!(last["children"].as_array().unwrap().is_empty());
    }
    let drawn = broker.cli_raw("planner", &["task", "tree", &plan], b"");
    drawn.ok();
    let drawn = drawn.stdout;
    let lines: Vec<&str> = drawn.lines().collect();
    assert!(
        lines[1].starts_with("└─ ") && lines[1].contains("  worker  active  "),
        "{drawn}"
    );
    assert!(
        lines[2].starts_with("   └─ ") && lines[2].contains("  1 live  "),
        "{drawn}"
    );
    // From where one stands downwards, never upwards.
    let own = broker.cli("helper", &["task", "tree", &help]).json();
    assert_eq!(own["tasks"][0]["task_id"], *help);
    let above = broker.cli("helper", &["task", "tree", &work]);
    above.refused("TASK_NOT_FOUND", &[]);
    let stranger = broker.cli("downstream", &["task", "tree", &plan]);
    stranger.refused("METHOD_NOT_ALLOWED", &[]);

    let ended = broker.cli("planner", &["task", "complete", &work]).json();
    assert_eq!(
        (&ended["credentials"], &ended["agent"]),
        (&1.into(), &"worker".into())
    );
    let forest = broker.cli("planner", &["task", "tree", &plan]).json();
    let last = &forest["tasks"][0]["children"][0]["children"][0];
    assert_ne!(last["state"], "active");
    assert_eq!(last["credentials"], 0);
}

/// What is malformed is said by the command line itself.
#[tokio::test]
async fn an_agent_needs_a_parent() {
    let world = World::new().await;
    let line = [
        "task",
        "start",
        "--purpose",
        "p",
        "--scope",
        READ,
        "--agent",
        "worker",
    ];
    let outcome = world.broker.cli("planner", &line);
    assert_eq!(outcome.code, 2, "{outcome:?}");
}
