//! Work that agents hand to each other, as they, those above them and downstream APIs see it.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

#[path = "delegation/command_line.rs"]
mod command_line;
#[path = "delegation/front.rs"]
mod front;
#[path = "delegation/story.rs"]
mod story;

use serde_json::Value;
use taskpass_api::v1;
use taskpass_client::{Agent, AgentError, Refused, Task};
use taskpass_testkit::{Broker, Watcher, pair, policies};
use taskpass_verify::VerifiedToken;

pub(crate) const BIN: &str = env!("CARGO_BIN_EXE_taskpass");
pub(crate) const LEDGER: &str = "https://ledger.example";
pub(crate) const READ: &str = "https://ledger.example#invoices:read";
pub(crate) const WRITE: &str = "https://ledger.example#invoices:write";

/// `planner` of one owner hands on to `worker` of another, which hands on to `helper`; nobody else to
/// anybody.
pub(crate) struct World {
    pub(crate) broker: Broker,
    pub(crate) watcher: Watcher,
    policies: tempfile::TempDir,
}

impl World {
    pub(crate) async fn new() -> Self {
        let pairs = pair("planner", "worker") + &pair("worker", "helper");
        let policies = policies(&pairs);
        let folder = policies.path().display().to_string();
        let broker = Broker::builder(BIN).option("--policies").option(&folder);
        let broker = broker.start();
        broker.owner("office").await;
        broker.owner("works").await;
        let bounded = v1::Stage::Bounded;
        broker
            .agent("planner", "office", bounded, &[READ, WRITE])
            .await;
        broker
            .agent("worker", "works", bounded, &[READ, WRITE])
            .await;
        broker.agent("helper", "works", bounded, &[READ]).await;
        broker.verifier("downstream", &[LEDGER]).await;
        let watcher = broker.watch("downstream", &[LEDGER]).await;
        Self {
            broker,
            watcher,
            policies,
        }
    }

    pub(crate) async fn agent(&self, name: &str) -> Agent {
        self.broker.services(name).await.agent()
    }

    /// A task of the planner, and the parts of it that the worker and the helper run.
    pub(crate) async fn chain(&self) -> [Task; 3] {
        let planner = self.agent("planner").await;
        let plan = planner
            .start_task("plan", [READ, WRITE], None)
            .await
            .unwrap();
        let work = self.hand_on(&plan, "worker", &[READ, WRITE]).await.unwrap();
        let help = self.hand_on(&work, "helper", &[READ]).await.unwrap();
        [plan, work, help]
    }

    /// Hands on a part of `task`, and takes it up as the other agent.
    pub(crate) async fn hand_on(
        &self,
        task: &Task,
        to: &str,
        scopes: &[&str],
    ) -> Result<Task, AgentError> {
        let given = task
            .delegate(&to.parse().unwrap(), "a part of it", scopes, None)
            .await?;
        self.agent(to).await.take_up(given.id()).await
    }

    pub(crate) fn verified(&self, token: &str) -> VerifiedToken {
        let target = LEDGER.parse().unwrap();
        self.watcher.verifier.verify_token(token, &target).unwrap()
    }

    /// Replaces what is permitted beside the shipped policies.
    pub(crate) fn permit(&self, text: &str) {
        std::fs::write(self.policies.path().join("extra.cedar"), text).unwrap();
    }
}

pub(crate) async fn token(task: &Task) -> Result<taskpass_client::Token, AgentError> {
    task.token(LEDGER, ["invoices:read"], None).await
}

pub(crate) fn refusal<T: std::fmt::Debug>(outcome: Result<T, AgentError>) -> Refused {
    match outcome {
        Err(AgentError::Refused(refused)) => refused,
        other => panic!("{other:?}"),
    }
}

pub(crate) fn claims(token: &str) -> Value {
    let parsed = taskpass_token::jws::parse(token).unwrap();
    serde_json::from_slice(&parsed.payload).unwrap()
}
