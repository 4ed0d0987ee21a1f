//! The suggestion, applied: a broker with the month's registry and policies is asked for everything that
//! was allowed in the month, and denies for want of registration exactly what the report said.
//!
//! Dates are moved into the future and observations left out, so that nothing but registrations differs
//! from the month; what else a broker denies then (a narrower permit that is in force by now, a stage that
//! was lowered) is not the suggestion's doing, and says so by its policy.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::{Value, json};
use taskpass_api::v1::{self, principal};
use taskpass_client::Refused;
use taskpass_testkit::calls::Services;
use taskpass_testkit::people::from_now;
use taskpass_testkit::{Broker, within};

use crate::BIN;
use crate::raw::{Raw, text, texts};

const NOT_REGISTERED: &str = "scope-not-registered";

/// One way of asking, as the report tells them apart, and beneath whom.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Ask {
    agent: String,
    is_token: bool,
    scopes: Vec<String>,
    above: Vec<String>,
}

fn asks(raw: &Raw) -> BTreeSet<Ask> {
    let allowed = raw
        .entries
        .iter()
        .filter(|e| e["outcome"] == json!("allow"));
    let asked = allowed.filter(|e| ["task.start", "credential.token"].contains(&text(e, "kind")));
    let ask = |entry: &Value| Ask {
        agent: text(entry, "agent").to_owned(),
        is_token: text(entry, "kind") == "credential.token",
        scopes: texts(&entry["granted"]["scopes"])
            .into_iter()
            .map(str::to_owned)
            .collect(),
        above: entry["ancestors"]
            .as_array()
            .map_or_else(Vec::new, |above| {
                above
                    .iter()
                    .map(|task| text(task, "agent").to_owned())
                    .collect()
            }),
    };
    asked.map(ask).collect()
}

/// The registry's file with all ends in the future, and without observations.
fn revived(path: &str) -> String {
    let end = from_now(Duration::from_hours(24 * 30));
    let end = humantime::format_rfc3339_seconds(std::time::SystemTime::try_from(end).unwrap());
    let text = std::fs::read_to_string(path).unwrap();
    let lines = text.lines().filter(|line| !line.starts_with("observe = "));
    let lines = lines.map(|line| match line.strip_prefix("valid_until = ") {
        Some(_) => format!("valid_until = \"{end}\""),
        None => line.to_owned(),
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// A broker with that registry, and everybody's connection.
struct Stage {
    broker: Broker,
    agents: BTreeMap<String, Services>,
}

impl Stage {
    async fn new(policies: &str, registry: &str, raw: &Raw) -> Self {
        let broker = Broker::builder(BIN)
            .option("--policies")
            .option(policies)
            .start();
        let file = broker.arg("month.toml");
        std::fs::write(&file, revived(registry)).unwrap();
        broker
            .cli("", &["apply", &file, "--reason", "as in the month"])
            .ok();
        let mut agents = BTreeMap::new();
        for name in raw.agents.keys() {
            broker.enrol(principal::Kind::Agent(name.clone())).await;
            agents.insert(name.clone(), broker.services(name).await);
        }
        Self { broker, agents }
    }

    /// Starts a task of `agent`, beneath a task of `above` with the same ceiling if there is one.
    async fn start(&self, ask: &Ask, parent: Option<&str>) -> Result<String, Refused> {
        let asker = ask
            .above
            .first()
            .filter(|_| parent.is_some())
            .unwrap_or(&ask.agent);
        let request = v1::StartRequest {
            purpose: "once more".to_owned(),
            scopes: ask.scopes.clone(),
            parent_task_id: parent.unwrap_or_default().to_owned(),
            agent: parent.map(|_| ask.agent.clone()).unwrap_or_default(),
            ..v1::StartRequest::default()
        };
        let started = within(self.agents[asker].tasks().start(request)).await;
        Ok(started.map_err(Refused::from)?.into_inner().task_id)
    }

    /// The task above that a way of asking needs, started by the one who stood there.
    async fn parent(&self, ask: &Ask) -> Result<Option<String>, Refused> {
        assert!(ask.above.len() < 2, "{ask:?}");
        let Some(above) = ask.above.first() else {
            return Ok(None);
        };
        let whole = Ask {
            agent: above.clone(),
            above: Vec::new(),
            ..ask.clone()
        };
        self.start(&whole, None).await.map(Some)
    }

    async fn token(&self, ask: &Ask, task: &str) -> Result<(), Refused> {
        let named = ask
            .scopes
            .iter()
            .map(|scope| scope.split_once('#').unwrap());
        let request = v1::IssueTokenRequest {
            task_id: task.to_owned(),
            target: ask.scopes[0].split_once('#').unwrap().0.to_owned(),
            scopes: named.map(|(_, name)| name.to_owned()).collect(),
            ..v1::IssueTokenRequest::default()
        };
        let issued = within(self.agents[&ask.agent].credentials().issue_token(request)).await;
        issued.map(drop).map_err(Refused::from)
    }
}

/// Whether it was refused for want of registration. Of what is refused otherwise the reason is one that
/// the month can have.
fn is_unregistered<T>(answer: &Result<T, Refused>) -> bool {
    let Err(refused) = answer else {
        return false;
    };
    match refused.reason.as_str() {
        // Policy was asked, and had nothing against it.
        "BINDING_REQUIRED" => false,
        "POLICY_DENIED" => {
            let policies: Vec<&str> = refused.metadata["policies"]
                .split(',')
                .map(str::trim)
                .collect();
            let known = [NOT_REGISTERED, "default-deny", "stage-read-only"];
            assert!(
                policies.iter().all(|policy| known.contains(policy)),
                "{refused:?}"
            );
            policies.contains(&NOT_REGISTERED)
        }
        other => panic!("{other}: {refused:?}"),
    }
}

/// Applies it, and asks for everything again.
pub(crate) async fn check(raw: &Raw, month: &str, report: &Value) {
    let stage = Stage::new(
        &format!("{month}/policies"),
        &format!("{month}/registry.toml"),
        raw,
    )
    .await;
    // Who is retired is in no file, can ask for nothing and hand nothing on.
    let there = |ask: &Ask| {
        std::iter::once(&ask.agent)
            .chain(&ask.above)
            .all(|name| raw.agents.contains_key(name))
    };
    let (asks, nobodys): (Vec<Ask>, Vec<Ask>) = asks(raw).into_iter().partition(there);
    // What stands already when the suggestion comes: the task above, and the task of a token.
    let mut ready: Vec<(Ask, Result<Option<String>, Refused>)> = Vec::new();
    for ask in asks {
        let parent = stage.parent(&ask).await;
        let task = match parent {
            Ok(parent) if ask.is_token => stage.start(&ask, parent.as_deref()).await.map(Some),
            other => other,
        };
        ready.push((ask, task));
    }
    let file = stage.broker.arg("narrower.toml");
    std::fs::write(&file, revived(&format!("{month}/narrower.toml"))).unwrap();
    let line = ["apply", &file, "--reason", "least privilege"];
    stage.broker.cli("", &line).ok();
    let mut denied: BTreeSet<Ask> = nobodys.into_iter().collect();
    let mut allowed = 0;
    for (ask, task) in ready {
        let unregistered = match &task {
            Ok(Some(task)) if ask.is_token => is_unregistered(&stage.token(&ask, task).await),
            Ok(parent) => is_unregistered(&stage.start(&ask, parent.as_deref()).await),
            // It cannot even stand where it stood: the same is asked of each one there.
            Err(_) => {
                let mut refused = false;
                for agent in std::iter::once(&ask.agent).chain(&ask.above) {
                    let own = Ask {
                        agent: agent.clone(),
                        above: Vec::new(),
                        ..ask.clone()
                    };
                    refused |= is_unregistered(&stage.start(&own, None).await);
                }
                refused
            }
        };
        if unregistered {
            denied.insert(ask);
        } else {
            allowed += 1;
        }
    }
    let said = report["suggestion"]["would_have_denied"]
        .as_array()
        .unwrap();
    let mut told: BTreeMap<(String, bool, Vec<String>), u64> = BTreeMap::new();
    for one in said {
        let scopes = texts(&one["scopes"])
            .into_iter()
            .map(str::to_owned)
            .collect();
        let is_token = text(one, "kind") == "credential.token";
        *told
            .entry((text(one, "agent").to_owned(), is_token, scopes))
            .or_default() += 1;
    }
    let mut found: BTreeMap<(String, bool, Vec<String>), u64> = BTreeMap::new();
    for ask in &denied {
        let key = (ask.agent.clone(), ask.is_token, ask.scopes.clone());
        *found.entry(key).or_default() += 1;
    }
    assert_eq!(found, told);
    assert!(!denied.is_empty() && allowed > denied.len(), "{allowed}");
    assert!(denied.iter().any(|ask| ask.is_token), "no token is denied");
}
