//! Callers by the word of others, over real sockets: tokens of issuers on this machine, certificates of
//! another trust domain, and processes at a Unix socket. Each is let in by the right rule only.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

#[path = "attestation/issuer.rs"]
mod issuer;
#[path = "attestation/socket.rs"]
mod socket;
#[path = "attestation/svid.rs"]
mod svid;

use std::path::PathBuf;

use issuer::{Issuer, Mood, Signer, job, now, pod};
use serde_json::{Value, json};
use taskpass_api::v1;
use taskpass_client::agent::AgentError;
use taskpass_client::{Agent, Connection, Refused, Task};
use taskpass_testkit::{Broker, eventually, refused, within};

pub(crate) const BIN: &str = env!("CARGO_BIN_EXE_taskpass");
pub(crate) const LEDGER: &str = "https://ledger.example";
pub(crate) const READ: &str = "https://ledger.example#read";

/// What agents need: an owner, a target, and two agents that never enrolled.
pub(crate) async fn furnish(broker: &Broker) {
    broker.owner("payments-team").await;
    let scopes = [("read", v1::Access::Read)];
    broker.target(LEDGER, v1::TokenAlg::Es256, &scopes).await;
    for agent in ["invoice-bot", "release-bot"] {
        let stage = v1::Stage::Bounded;
        broker
            .register_agent(agent, "payments-team", stage, &[READ])
            .await;
    }
}

/// Starts a task, and takes a token under it.
pub(crate) async fn work(agent: &Agent) -> Result<Task, Refused> {
    let started = within(agent.start_task("attest", [READ], None)).await;
    let task = match started {
        Ok(task) => task,
        Err(AgentError::Refused(refused)) => return Err(refused),
        Err(other) => panic!("{other:?}"),
    };
    within(task.token(LEDGER, ["read"], None)).await.unwrap();
    Ok(task)
}

/// One caller with a file that its platform writes.
struct Workload {
    file: PathBuf,
    agent: Agent,
}

impl Workload {
    async fn new(broker: &Broker) -> Self {
        let file = broker.path("platform-token");
        std::fs::write(&file, "nothing.yet.here").unwrap();
        let anchors = broker.identity("admin").ca_pem().to_owned();
        let connecting = Agent::connect_presenting(broker.authority(), &file, &anchors);
        let agent = within(connecting).await.unwrap();
        Self { file, agent }
    }

    /// What comes of a token: whose task starts, or the refusal.
    async fn shows(&self, token: &str) -> Result<Task, Refused> {
        std::fs::write(&self.file, token).unwrap();
        work(&self.agent).await
    }

    async fn is_refused(&self, token: &str, reason: &str, says: &str) {
        let refused = self.shows(token).await.unwrap_err();
        assert_eq!(refused.reason, reason, "{refused}");
        assert!(refused.message.contains(says), "{refused}");
    }
}

/// Two issuers that answer, one that is down, one that says nothing.
fn sections(cluster: &Issuer, ci: &Issuer, silent: &Issuer) -> String {
    let issuer = |name: &str, algorithm: &str, url: &str, rules: &str| {
        format!(
            "[[federation.jwt]]\nname = \"{name}\"\nissuer = \"https://{name}.example\"\n\
             audience = \"taskpass\"\nalgorithms = [{algorithm}]\njwks_url = \"{url}\"\n{rules}"
        )
    };
    let rule = |agent: &str, claims: &str| {
        format!("[[federation.jwt.rule]]\nagent = \"{agent}\"\nclaims = {{ {claims} }}\n")
    };
    let pods = rule(
        "invoice-bot",
        "sub = \"system:serviceaccount:prod:invoice\", \
         \"/kubernetes.io/serviceaccount/uid\" = \"uid-1\"",
    ) + &rule(
        "nobody-registered-this",
        "sub = \"system:serviceaccount:prod:ghost\"",
    );
    let jobs = rule(
        "release-bot",
        "repository_id = \"123\", ref = \"refs/heads/main\", sub = { prefix = \"repo:acme/\" }",
    ) + &rule(
        "invoice-bot",
        "repository_id = \"123\", environment = \"both\"",
    );
    let any = rule("invoice-bot", "sub = \"anybody\"");
    [
        issuer("cluster", "\"RS256\"", &cluster.url(), &pods),
        issuer("ci", "\"ES256\", \"RS256\"", &ci.url(), &jobs),
        issuer("down", "\"RS256\"", "http://127.0.0.1:9/keys", &any),
        issuer("silent", "\"RS256\"", &silent.url(), &any),
    ]
    .concat()
}

#[tokio::test]
async fn tokens_of_other_issuers() {
    let (cluster, ci) = (Issuer::start().await, Issuer::start().await);
    let silent = Issuer::start().await;
    silent.be(Mood::Silent);
    let config = sections(&cluster, &ci, &silent);
    let broker = Broker::builder(BIN).serve(&config).start();
    furnish(&broker).await;
    let workload = Workload::new(&broker).await;
    assert_eq!(
        (cluster.asked(), ci.asked()),
        (0, 0),
        "not before it is needed"
    );

    // Each by its own rule, and the decision says how.
    let (rsa, ec) = (Signer::Rsa, Signer::Ec);
    let first = workload.shows(&rsa.signed(&pod())).await.unwrap();
    let second = workload.shows(&ec.signed(&job())).await.unwrap();
    workload.shows(&rsa.signed(&job())).await.unwrap();
    assert_eq!((cluster.asked(), ci.asked()), (1, 1), "and kept");
    for (task, agent, issuer, key) in [
        (first, "invoice-bot", "cluster", "rsa"),
        (second, "release-bot", "ci", "ec"),
    ] {
        let entry = started(&broker, &task.id().to_string()).await;
        assert_eq!(entry["agent"], agent);
        assert_eq!(entry["attestation"]["method"], "federated_jwt");
        assert_eq!(entry["attestation"]["issuer"], issuer);
        assert_eq!(entry["attestation"]["key"], key);
        assert!(entry.get("generation").is_none(), "{entry}");
    }

    let at = |claims: &Value, name: &str, value: Value| rsa.signed(&with(claims, name, value));
    let no = "UNAUTHENTICATED";
    for (token, says) in [
        (at(&pod(), "aud", json!("ledger")), "`aud`"),
        (at(&pod(), "aud", json!(["taskpass", "ledger"])), "`aud`"),
        (at(&pod(), "iss", json!("https://evil.example")), "`iss`"),
        (
            at(&pod(), "iss", json!("https://cluster.example/")),
            "`iss`",
        ),
        (at(&pod(), "exp", json!(now() - 1)), "expired"),
        (at(&pod(), "iat", json!(now() - 700)), "too long ago"),
        (at(&pod(), "iat", json!(now() + 60)), "future"),
        (
            at(&pod(), "sub", json!("system:serviceaccount:prod:other")),
            "no rule",
        ),
        (at(&pod(), "kubernetes.io", json!({})), "no rule"),
        (at(&job(), "repository_id", json!("124")), "no rule"),
        (at(&job(), "sub", json!("repo:acme-evil/x:ref")), "no rule"),
        (
            at(&job(), "environment", json!("both")),
            "more than one agent",
        ),
        // ES256 is pinned for the other issuer only, whose key it even is.
        (ec.signed(&pod()), "algorithm"),
        (Signer::Secret.signed(&pod()), "algorithm"),
        (Signer::Unsigned.signed(&pod()), "algorithm"),
        (Signer::Stranger.signed(&pod()), "signature"),
        (Signer::UnknownKey.signed(&pod()), "publishes no key"),
        (format!("{}.", rsa.signed(&pod())), "not a JWT"),
        (
            at(&pod(), "sub", json!("system:serviceaccount:prod:ghost")),
            "",
        ),
    ] {
        workload.is_refused(&token, no, says).await;
    }
    // Of invented keys one fetch at most, for some time.
    for _ in 0..5 {
        workload
            .is_refused(&Signer::UnknownKey.signed(&pod()), no, "publishes no key")
            .await;
    }
    assert!(cluster.asked() <= 2, "{}", cluster.asked());

    // Nothing is wrong with these; nobody can tell.
    let unavailable = "ATTESTATION_UNAVAILABLE";
    for issuer in ["down", "silent"] {
        let mut claims = pod();
        claims["iss"] = json!(format!("https://{issuer}.example"));
        claims["sub"] = json!("anybody");
        workload
            .is_refused(&rsa.signed(&claims), unavailable, issuer)
            .await;
    }
    strangers_are_counted_and_not_recorded(&broker);
}

/// Who proved nothing is counted, and in no record.
fn strangers_are_counted_and_not_recorded(broker: &Broker) {
    let page = broker.ops("/metrics").text();
    let count = |outcome: &str| -> u64 {
        let name = format!(
            "taskpass_attestations_total{{method=\"federated_jwt\",outcome=\"{outcome}\"}} "
        );
        let line = page.lines().find_map(|line| line.strip_prefix(&name));
        line.unwrap().parse().unwrap()
    };
    assert!(count("refused") >= 18 && count("accepted") >= 6, "{page}");
    assert_eq!(count("unavailable"), 2);
    let calls = entries(broker, "call");
    assert_eq!(
        calls.len(),
        1,
        "only the agent that is proved and unknown: {calls:?}"
    );
    assert_eq!(calls.first().unwrap()["agent"], "nobody-registered-this");
}

fn entries(broker: &Broker, kind: &str) -> Vec<Value> {
    let entries = broker.audit();
    let entries = entries.iter().map(|line| line["entry"].clone());
    entries.filter(|entry| entry["kind"] == kind).collect()
}

/// The entry of a task's start.
pub(crate) async fn started(broker: &Broker, task: &str) -> Value {
    eventually("the start is in the log", async || {
        let starts = entries(broker, "task.start");
        starts.into_iter().find(|entry| entry["task"] == task)
    })
    .await
}

/// Claims of which one is another.
fn with(claims: &Value, name: &str, value: Value) -> Value {
    let mut claims = claims.as_object().unwrap().clone();
    claims.insert(name.to_owned(), value);
    claims.into()
}

/// A token that counts as made after whatever happened up to now: it counts as five seconds older than it
/// says, because its issuer's clock may be ahead by as much.
async fn made_afterwards() -> String {
    let from = now() + 1;
    eventually("this second and the next are over", async || {
        (now() > from).then_some(())
    })
    .await;
    Signer::Rsa.signed(&with(&pod(), "iat", json!(now() + 4)))
}

#[tokio::test]
async fn what_ends_an_agent_ends_its_tokens_too() {
    let (cluster, ci) = (Issuer::start().await, Issuer::start().await);
    let config = sections(&cluster, &ci, &ci);
    let broker = Broker::builder(BIN).serve(&config).start();
    furnish(&broker).await;
    let workload = Workload::new(&broker).await;
    let old = Signer::Rsa.signed(&pod());
    let task = workload.shows(&old).await.unwrap();
    let revoke = ["revoke", "--agent", "invoice-bot", "--reason", "drill"];
    let goes_on = [&revoke[..], &["--no-suspend"]].concat();
    broker.cli("", &goes_on).ok();
    workload.is_refused(&old, "UNAUTHENTICATED", "").await;
    let over = within(task.token(LEDGER, ["read"], None)).await;
    assert!(over.is_err(), "its task ended with it");
    // One that was made afterwards is as good as before.
    workload.shows(&made_afterwards().await).await.unwrap();

    // Suspended, it is refused whatever it shows; and that is recorded, because it is proved.
    broker.cli("", &revoke).ok();
    let fresh = made_afterwards().await;
    workload
        .is_refused(&fresh, "AGENT_SUSPENDED", "invoice-bot")
        .await;
    let recorded = eventually("the refusal is in the log", async || {
        let calls = entries(&broker, "call");
        calls
            .into_iter()
            .find(|entry| entry["reason"] == "AGENT_SUSPENDED")
    })
    .await;
    assert_eq!(recorded["attestation"]["method"], "federated_jwt");

    // Agents by the word of others get no identity by it; and one way is enough.
    let jobs = Signer::Ec.signed(&job());
    std::fs::write(&workload.file, jobs).unwrap();
    let channel = Connection::presenting(broker.anonymous().await, &workload.file);
    let mut enrolment = v1::enrolment_service_client::EnrolmentServiceClient::new(channel.clone());
    let answer = within(enrolment.renew_identity(v1::RenewIdentityRequest::default())).await;
    assert!(answer.is_err());
    let mut registry = v1::registry_service_client::RegistryServiceClient::new(channel);
    let request = v1::GetRequest::default();
    let answer = refused(within(registry.get(request.clone())).await);
    assert_eq!(
        answer.reason, "METHOD_NOT_ALLOWED",
        "an agent is no operator"
    );
    let both = Connection::presenting(broker.channel("").await, &workload.file);
    let mut registry = v1::registry_service_client::RegistryServiceClient::new(both);
    let answer = refused(within(registry.get(request)).await);
    assert_eq!(answer.reason, "UNAUTHENTICATED");
    assert!(answer.message.contains("one way"), "{answer}");
}

#[tokio::test]
async fn keys_that_rotate_are_taken_and_those_that_are_gone_are_not() {
    let cluster = Issuer::start().await;
    let config = sections(&cluster, &cluster, &cluster);
    let broker = Broker::builder(BIN).serve(&config).start();
    furnish(&broker).await;
    let workload = Workload::new(&broker).await;
    // An outage at the very first: an answer of its own, and none of the token's fault.
    cluster.be(Mood::Broken);
    let token = Signer::Rsa.signed(&pod());
    let down = "ATTESTATION_UNAVAILABLE";
    workload.is_refused(&token, down, "cluster").await;
    cluster.be(Mood::Good);
    eventually("the issuer is asked again", async || {
        workload.shows(&token).await.ok()
    })
    .await;
}

/// The command line of a workload: its platform's token, and the broker's anchors.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_command_line_presents_a_token() {
    let cluster = Issuer::start().await;
    let config = sections(&cluster, &cluster, &cluster);
    let broker = Broker::builder(BIN).serve(&config).start();
    furnish(&broker).await;
    let token = broker.path("t");
    std::fs::write(&token, Signer::Rsa.signed(&pod())).unwrap();
    let (token, ca) = (
        token.display().to_string(),
        broker.identity_folder("admin").join("ca.pem"),
    );
    let ca = ca.display().to_string();
    let start = [
        "-o",
        "json",
        "task",
        "start",
        "--purpose",
        "p",
        "--scope",
        READ,
    ];
    let run = |more: &[(&str, &str)]| {
        let mut environment = vec![("TASKPASS_ADDR", broker.addresses().addr.as_str())];
        environment.extend_from_slice(more);
        taskpass_testkit::run(broker.bin(), &environment, &start, b"")
    };
    let outcome = run(&[
        ("TASKPASS_ATTESTATION_TOKEN_FILE", &token),
        ("TASKPASS_CA", &ca),
    ]);
    assert!(!outcome.text("task_id").is_empty());
    run(&[("TASKPASS_ATTESTATION_TOKEN_FILE", &token)]).refused("NO_ANCHORS", &["--ca"]);
    run(&[]).refused("NO_IDENTITY", &[]);
}

/// What the broker is itself, nobody else is for it.
#[tokio::test]
async fn its_own_issuer_and_domain_are_never_federated() {
    let mut broker = Broker::builder(BIN).serve("").start();
    broker.stop();
    let path = broker.path("taskpass.toml");
    let config = std::fs::read_to_string(&path).unwrap();
    let keys = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../tests/attestation/keys/jwks.json"
    );
    let own = broker.addresses().http.clone();
    let bundle = broker.path("bundle.pem");
    std::fs::write(&bundle, broker.identity("admin").ca_pem()).unwrap();
    let issuer = format!(
        "[[federation.jwt]]\nname = \"own\"\nissuer = \"{own}/\"\naudience = \"a\"\n\
         algorithms = [\"ES256\"]\njwks_file = \"{keys}\"\n[[federation.jwt.rule]]\n\
         agent = \"bot\"\nclaims = {{ sub = \"x\" }}\n"
    );
    let domain = "[[federation.spiffe]]\ntrust_domain = \"test.taskpass\"\n\
                  bundle_file = \"bundle.pem\"\n[[federation.spiffe.rule]]\nagent = \"bot\"\n\
                  spiffe_id = \"spiffe://test.taskpass/agent/bot\"\n";
    for more in [&issuer, domain] {
        std::fs::write(&path, format!("{config}\n{more}")).unwrap();
        let log = broker.try_launch().unwrap_err();
        assert!(log.contains("this broker's own"), "{log}");
    }
    std::fs::write(&path, config).unwrap();
    broker.restart();
}
