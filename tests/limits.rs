//! Limits over real sockets: what one caller takes too much of, the others keep.

#![expect(clippy::expect_used, reason = "a test fails by panicking")]

use std::time::Duration;

use serde_json::Value;
use taskpass_api::v1;
use taskpass_client::{Agent, Refused};
use taskpass_testkit::{Broker, eventually, refused, within};
use tokio::task::JoinSet;
use tonic::{Code, Status};

const BIN: &str = env!("CARGO_BIN_EXE_taskpass");
const LEDGER: &str = "https://ledger.example";
const READ: &str = "https://ledger.example#invoices:read";

/// A broker under `sections`, with two agents of one owner.
async fn broker(sections: &str) -> Broker {
    let broker = Broker::builder(BIN).serve(sections).start();
    broker.owner("payments-team").await;
    let scopes = [("invoices:read", v1::Access::Read)];
    broker.target(LEDGER, v1::TokenAlg::Es256, &scopes).await;
    for name in ["greedy", "polite"] {
        broker
            .agent(name, "payments-team", v1::Stage::ReadOnly, &[READ])
            .await;
    }
    broker
}

async fn agent(broker: &Broker, who: &str) -> Agent {
    broker.services(who).await.agent()
}

async fn task(broker: &Broker, who: &str) -> String {
    let agent = agent(broker, who).await;
    let task = within(agent.start_task("work", [READ], None)).await;
    task.expect("a task").id().to_string()
}

fn wanted(task: &str) -> v1::IssueTokenRequest {
    v1::IssueTokenRequest {
        task_id: task.to_owned(),
        target: LEDGER.to_owned(),
        scopes: vec!["invoices:read".to_owned()],
        ..v1::IssueTokenRequest::default()
    }
}

/// What `broker` counts under `limit` in its metrics.
fn limited(broker: &Broker, limit: &str) -> u64 {
    let line = format!("taskpass_limited_total{{limit=\"{limit}\"}} ");
    let page = broker.ops("/metrics").text();
    let found = page.lines().find_map(|text| text.strip_prefix(&line));
    found.and_then(|count| count.parse().ok()).expect("a count")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_asks_too_much_does_not_starve_the_other() {
    let broker = broker("[limits.caller]\nrequests_per_second = 40\nin_flight = 4\n").await;
    let greedy_task = task(&broker, "greedy").await;
    let polite_task = task(&broker, "polite").await;
    let mut flood = JoinSet::new();
    for _ in 0..4 {
        // Each connection of its own: the share is the caller's, not the connection's.
        let services = broker.services("greedy").await;
        let wanted = wanted(&greedy_task);
        flood.spawn(async move {
            let mut reasons = Vec::new();
            for _ in 0..100 {
                let mut credentials = services.credentials();
                if let Err(status) = within(credentials.issue_token(wanted.clone())).await {
                    reasons.push(Refused::from(status));
                }
            }
            reasons
        });
    }
    let polite = broker.services("polite").await;
    for _ in 0..10 {
        let reply = within(polite.credentials().issue_token(wanted(&polite_task))).await;
        reply.expect("who asks for little is served");
    }
    let refused: Vec<Refused> = flood.join_all().await.into_iter().flatten().collect();
    assert!(!refused.is_empty(), "the flood was let through");
    for refused in &refused {
        assert_eq!(refused.code, Code::ResourceExhausted, "{refused:?}");
        let known = ["REQUESTS_PER_CALLER", "IN_FLIGHT_PER_CALLER"];
        assert!(known.contains(&refused.reason.as_str()), "{refused:?}");
        assert_eq!(refused.metadata["whose"], "agent/greedy");
        let wait = refused.retry_after.expect("RetryInfo");
        assert!(wait <= Duration::from_secs(1), "{wait:?}");
    }
    let counted =
        limited(&broker, "REQUESTS_PER_CALLER") + limited(&broker, "IN_FLIGHT_PER_CALLER");
    assert_eq!(counted, refused.len() as u64);
}

/// What an operator calls to revoke is bounded by none of it; what it only reads is.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_revokes_is_never_too_fast() {
    let broker = broker("[limits.caller]\nrequests_per_second = 20\n").await;
    let operator = broker.services("").await;
    let mut reads = JoinSet::new();
    for _ in 0..200 {
        let mut registry = operator.registry();
        let request = v1::ListRequest {
            kind: v1::Kind::Agent.into(),
            page: None,
        };
        reads.spawn(async move { within(registry.list(request)).await.is_ok() });
    }
    let served = reads.join_all().await;
    assert!(served.contains(&false), "200 at once are not 20 a second");
    for _ in 0..10 {
        let request = v1::RevokeRequest {
            selector: Some(v1::RevocationSelector {
                selector: Some(v1::revocation_selector::Selector::Agent(
                    "greedy".to_owned(),
                )),
            }),
            reason: "flood".to_owned(),
            ..v1::RevokeRequest::default()
        };
        let reply = within(operator.revocations().revoke(request)).await;
        reply.expect("a revocation");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_is_what_it_asks_for() {
    let broker = broker("[limits.caller]\nrequests_per_second = 100\n").await;
    let task = task(&broker, "greedy").await;
    let services = broker.services("greedy").await;
    let batch = v1::IssueTokensRequest {
        items: vec![wanted(&task); 80],
    };
    let issue = async || within(services.credentials().issue_tokens(batch.clone())).await;
    let results = issue()
        .await
        .expect("a second's worth")
        .into_inner()
        .results;
    assert_eq!(results.len(), 80);
    let refused = refused(issue().await);
    assert_eq!(refused.reason, "REQUESTS_PER_CALLER");
    assert_eq!(refused.metadata["limit"], "100");
    let wait = refused.retry_after.expect("RetryInfo");
    assert!(wait > Duration::from_millis(100), "{wait:?}");
    // What the broker said was true.
    tokio::time::sleep(wait).await;
    issue().await.expect("it waited");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_client_waits_where_the_broker_says_so() {
    let broker = broker("").await;
    broker
        .cli(
            "",
            &[
                "agent",
                "update",
                "greedy",
                "--limit",
                "issues_per_second=2",
                "--reason",
                "small",
            ],
        )
        .ok();
    let agent = agent(&broker, "greedy").await;
    let task = within(agent.start_task("work", [READ], None))
        .await
        .expect("a task");
    for _ in 0..4 {
        let token = within(task.token(LEDGER, ["invoices:read"], None)).await;
        token.expect("it waited half a second, and was served");
    }
    assert!(limited(&broker, "ISSUES_PER_SECOND_PER_AGENT") >= 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_of_one_verifier_leave_room_for_others() {
    let broker = broker("[limits.caller]\nstreams = 2\n").await;
    for name in ["ledger", "mail"] {
        broker.verifier(name, &[LEDGER]).await;
    }
    let watch = async |who: &str| -> Result<_, Status> {
        let services = broker.services(who).await;
        let request = v1::WatchRevocationsRequest::default();
        let reply = within(services.revocations().watch_revocations(request)).await;
        Ok((services, reply?.into_inner()))
    };
    let first = watch("ledger").await.expect("one");
    let _second = watch("ledger").await.expect("two");
    let third: Refused = match watch("ledger").await {
        Ok(_) => panic!("a third stream"),
        Err(status) => status.into(),
    };
    assert_eq!(
        (third.code, third.reason.as_str()),
        (Code::ResourceExhausted, "STREAMS_PER_CALLER")
    );
    assert_eq!(third.retry_after, None, "nobody knows when one is closed");
    let _other = watch("mail").await.expect("another verifier has its own");
    drop(first);
    eventually("the place is given back", async || {
        watch("ledger").await.ok()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn registered_limits_are_shown_and_hold() {
    let broker = broker("[limits.owner]\nlive_tasks = 3\n").await;
    let shown = |args: &[&str]| -> Value { broker.cli("", args).json() };
    let agent = shown(&["agent", "show", "greedy", "-o", "json"]);
    assert_eq!(agent["limits"]["live_credentials"], Value::Null);
    let updated = shown(&[
        "agent",
        "update",
        "greedy",
        "--limit",
        "live_credentials=1,live_tasks=2",
        "--reason",
        "small",
        "-o",
        "json",
    ]);
    assert_eq!(updated["limits"]["live_credentials"], 1);
    assert_eq!(updated["limits"]["depth"], Value::Null);

    let first = task(&broker, "greedy").await;
    task(&broker, "greedy").await;
    let services = broker.services("greedy").await;
    let start = async || {
        let request = v1::StartRequest {
            purpose: "more".to_owned(),
            scopes: vec![READ.to_owned()],
            ..v1::StartRequest::default()
        };
        within(services.tasks().start(request)).await
    };
    let full = refused(start().await);
    assert_eq!(full.reason, "LIVE_TASKS_PER_AGENT");
    assert_eq!(
        (
            full.metadata["used"].as_str(),
            full.metadata["limit"].as_str()
        ),
        ("2", "2")
    );
    // The owner's third goes to the other agent, and there is no fourth.
    task(&broker, "polite").await;
    let refused_cli = broker.cli(
        "polite",
        &["task", "start", "--purpose", "more", "--scope", READ],
    );
    refused_cli.refused("LIVE_TASKS_PER_OWNER", &["3"]);
    let issue = async || within(services.credentials().issue_token(wanted(&first))).await;
    issue().await.expect("one");
    let full = refused(issue().await);
    assert_eq!(full.reason, "LIVE_CREDENTIALS_PER_AGENT");
    let wait = full.retry_after.expect("RetryInfo");
    assert!(
        wait > Duration::from_secs(200) && wait <= Duration::from_mins(6),
        "{wait:?}"
    );
    // An end gives its place back; the default holds again where the limit is taken away.
    broker.cli("greedy", &["task", "complete", &first]).ok();
    start().await.expect("there is room");
    let updated = shown(&[
        "agent",
        "update",
        "greedy",
        "--limit",
        "live_credentials=default",
        "--reason",
        "back",
        "-o",
        "json",
    ]);
    assert_eq!(updated["limits"]["live_credentials"], Value::Null);
    assert_eq!(updated["limits"]["live_tasks"], 2);
    broker
        .cli(
            "",
            &[
                "target", "update", LEDGER, "--limit", "depth=1", "--reason", "x",
            ],
        )
        .refused("INVALID_FIELD", &["depth"]);
}
