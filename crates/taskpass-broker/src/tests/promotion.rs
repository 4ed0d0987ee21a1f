//! On what a stage rises: evidence that this broker's own log bears out, or force; and what waits for a
//! second operator.

mod approval;

use std::sync::Arc;

use serde_json::{Value, json};
use taskpass_core::access::Stage;
use taskpass_core::promotion::{ReadinessFacts, RequirementsFacts};
use taskpass_core::registry::{Agent, Row, Versioned};
use taskpass_core::secret::Sha256;
use taskpass_log::Checkpoint;
use taskpass_store::Store;

use crate::testing::{TestBroker, ops};
use crate::{
    Apply, Archiver, AuditLog, ChangeRules, Error, Grounds, LogSettings, Proposed, Statement,
    Update, Updated,
};

const WHY: &str = "six quiet weeks";

struct World {
    t: TestBroker,
    _folder: tempfile::TempDir,
    archiver: Archiver,
    audit: Arc<AuditLog>,
}

impl World {
    async fn new(changes: ChangeRules) -> Self {
        let mut t = TestBroker::new().await;
        t.reopen_with(changes).await;
        let folder = tempfile::tempdir().unwrap();
        let settings = LogSettings {
            folder: folder.path().to_owned(),
            keep_months: None,
        };
        let mut archiver = Archiver::open(Arc::clone(&t.broker), settings)
            .await
            .unwrap();
        archiver.drain().await.unwrap();
        let audit = archiver.log();
        Self {
            t,
            _folder: folder,
            archiver,
            audit,
        }
    }

    /// What a report says that rests on the log as it is, and is made now.
    async fn statement(&self) -> Statement {
        let signed = self.audit.checkpoint(None).await.unwrap();
        let checkpoint = Checkpoint::parse_unverified(signed.checkpoint.as_bytes()).unwrap();
        Statement {
            passed: true,
            facts: ReadinessFacts {
                report: Sha256::of(b"report"),
                log: checkpoint.origin.to_string(),
                size: checkpoint.size,
                root: Sha256::from_bytes(*checkpoint.root.as_bytes()),
                made_at: self.t.now(),
                agent: "reader".parse().unwrap(),
                to: Stage::Bounded,
                requirements: Some(RequirementsFacts {
                    sha256: Sha256::of(b"requirements"),
                    asked: 9,
                    not_asked: 1,
                }),
            },
        }
    }

    async fn vouched(&self) -> Grounds {
        let statement = self.statement().await;
        Grounds::Readiness(self.audit.vouch("agent reader", statement).await.unwrap())
    }

    fn reader(&self) -> Versioned<Agent> {
        let name = "reader".parse().unwrap();
        Versioned::clone(self.t.broker.registry().agent(&name).unwrap())
    }

    /// Raises the reader, or says why not.
    async fn raise(&self, grounds: Grounds, reason: &str) -> Result<Updated, Error> {
        self.t
            .broker
            .replace(&ops(), &self.update(grounds, reason))
            .await
    }

    fn update(&self, grounds: Grounds, reason: &str) -> Update {
        let mut agent = self.reader();
        agent.value.stage = Stage::Bounded;
        Update {
            row: Row::Agent(agent.value),
            expected: agent.version,
            reason: reason.to_owned(),
            grounds,
        }
    }

    fn apply(&self, force: bool, reason: &str) -> Apply {
        Apply {
            entries: vec![Proposed {
                entry: 0,
                row: self.update(Grounds::Nothing, "").row,
                keeps_validity: false,
            }],
            faults: Vec::new(),
            expected_version: None,
            dry_run: false,
            reason: reason.to_owned(),
            prune: false,
            force,
        }
    }

    /// The entries that wait for the log.
    async fn entries(&self) -> Vec<Value> {
        let waiting = self.t.store.outbox(usize::MAX).await.unwrap();
        let each = waiting.iter();
        each.map(|entry| serde_json::from_slice(&entry.json).unwrap())
            .collect()
    }

    /// What the entry of the change of the reader says of it.
    async fn promotion(&self) -> Value {
        let entries = self.entries().await;
        let changed = |entry: &&Value| {
            entry["kind"] == json!("registry") && entry["subject"] == json!("agent reader")
        };
        let entry = entries.iter().rfind(changed).unwrap();
        super::schema::Schema::new().admits(entry).unwrap();
        entry["promotion"].clone()
    }
}

fn why(refused: &Error) -> String {
    assert_eq!(refused.reason(), "NOT_READY", "{refused}");
    refused.to_string()
}

#[tokio::test]
async fn a_stage_rises_on_evidence_or_by_force_and_not_without() {
    let world = World::new(ChangeRules::default()).await;
    let refused = world.raise(Grounds::Nothing, WHY).await.unwrap_err();
    assert!(why(&refused).contains("readiness report"), "{refused}");
    assert_eq!(world.reader().value.stage, Stage::ReadOnly);
    // With evidence, and all the same with a reason.
    let statement = world.statement().await;
    let grounds = world.vouched().await;
    let refused = world.raise(grounds.clone(), "").await.unwrap_err();
    assert_eq!(refused.reason(), "INVALID_REASON");
    let Updated::Written(written) = world.raise(grounds, WHY).await.unwrap() else {
        panic!("it waits");
    };
    assert_eq!(written.version, 2);
    assert_eq!(world.reader().value.stage, Stage::Bounded);
    let facts = &statement.facts;
    assert_eq!(
        world.promotion().await,
        json!({"from": "read-only", "to": "bounded", "by": "evidence",
               "readiness": {"report": facts.report.to_string(), "log": facts.log, "size": facts.size,
                             "root": facts.root.to_string(), "made_at": facts.made_at.to_string(),
                             "agent": "reader", "to": "bounded",
                             "requirements": {"sha256": Sha256::of(b"requirements").to_string(),
                                              "asked": 9, "not_asked": 1}}})
    );
    // What does not rise needs nothing.
    let mut agent = world.reader();
    agent.value.stage = Stage::ReadOnly;
    let row = Row::Agent(agent.value);
    let lowered = world.t.broker.update(&ops(), row, agent.version, "").await;
    lowered.unwrap();
    // And up again needs it again.
    assert!(world.raise(Grounds::Nothing, WHY).await.is_err());
    world.raise(Grounds::Force, WHY).await.unwrap();
    assert_eq!(
        world.promotion().await,
        json!({"from": "read-only", "to": "bounded", "by": "force"})
    );
}

#[tokio::test]
async fn a_list_raises_nobody_unnoticed() {
    let world = World::new(ChangeRules::default()).await;
    let broker = &world.t.broker;
    let apply = world.apply(false, WHY);
    let refused = broker.apply(&ops(), &apply).await.unwrap_err();
    why(&refused);
    assert_eq!(world.reader().version, 1);
    // To look at it is no change.
    let dry_run = Apply {
        dry_run: true,
        ..world.apply(false, WHY)
    };
    assert_eq!(
        broker.apply(&ops(), &dry_run).await.unwrap().changes.len(),
        1
    );
    broker.apply(&ops(), &world.apply(true, WHY)).await.unwrap();
    assert_eq!(world.promotion().await["by"], json!("force"));
}

#[tokio::test]
async fn evidence_is_of_one_agent_and_one_stage() {
    let world = World::new(ChangeRules::default()).await;
    let good = world.statement().await;
    let vouched = |change: fn(&mut ReadinessFacts)| {
        let mut other = good.clone();
        change(&mut other.facts);
        world.audit.vouch("agent reader", other)
    };
    let other = |agent: &mut ReadinessFacts| agent.agent = "stranger".parse().unwrap();
    for (vouched, part) in [
        (vouched(other).await, "another agent"),
        (
            vouched(|facts| facts.to = Stage::Autonomous).await,
            "another stage",
        ),
    ] {
        let grounds = Grounds::Readiness(vouched.unwrap());
        let refused = world.raise(grounds, WHY).await.unwrap_err();
        assert!(why(&refused).contains(part), "{refused}");
    }
    assert_eq!(world.reader().value.stage, Stage::ReadOnly);
    // A report that asks for nothing passes, and is none.
    let nothing = |facts: &mut ReadinessFacts| {
        facts.requirements = facts.requirements.map(|asked| RequirementsFacts {
            asked: 0,
            not_asked: 10,
            ..asked
        });
    };
    for vouched in [
        vouched(nothing).await,
        vouched(|facts| facts.requirements = None).await,
    ] {
        assert!(why(&vouched.unwrap_err()).contains("asked for nothing"));
    }
}

#[tokio::test]
async fn evidence_is_what_the_own_log_had_within_the_hour() {
    let mut world = World::new(ChangeRules::default()).await;
    world.t.broker.list_keys(&ops()).await.unwrap();
    world.archiver.drain().await.unwrap();
    let good = world.statement().await;
    let refused = |change: fn(&mut Statement)| {
        let mut bad = good.clone();
        change(&mut bad);
        let audit = Arc::clone(&world.audit);
        async move {
            match audit.vouch("agent reader", bad).await {
                Err(error) => why(&error),
                Ok(vouched) => panic!("{vouched:?}"),
            }
        }
    };
    let says = |text: String, part: &str| assert!(text.contains(part), "{text}");
    says(refused(|s| s.passed = false).await, "did not pass");
    says(
        refused(|s| s.facts.root = Sha256::of(b"another")).await,
        "never had",
    );
    says(refused(|s| s.facts.size += 1).await, "never had");
    says(refused(|s| s.facts.size -= 1).await, "never had");
    says(refused(|s| s.facts.size = 0).await, "never had");
    says(
        refused(|s| s.facts.log = "elsewhere.example/log/2023-11".into()).await,
        "another log",
    );
    says(
        refused(|s| s.facts.made_at = s.facts.made_at.plus(std::time::Duration::from_hours(1)))
            .await,
        "future",
    );
    world
        .audit
        .vouch("agent reader", good.clone())
        .await
        .unwrap();
    // An earlier state of the log is one all the same, as long as it leaves out nothing old.
    world.t.broker.list_keys(&ops()).await.unwrap();
    world.archiver.drain().await.unwrap();
    world
        .audit
        .vouch("agent reader", good.clone())
        .await
        .unwrap();
    world.t.advance(3599);
    world
        .audit
        .vouch("agent reader", good.clone())
        .await
        .unwrap();
    world.t.advance(2);
    says(
        why(&world
            .audit
            .vouch("agent reader", good.clone())
            .await
            .unwrap_err()),
        "more than an hour ago",
    );
    // What it left out tells how old it is, whatever the caller says.
    let mut pretended = good.clone();
    pretended.facts.made_at = world.t.now();
    let error = world.audit.vouch("agent reader", pretended).await;
    says(why(&error.unwrap_err()), "more than an hour old");
}

#[tokio::test]
async fn evidence_that_was_vouched_for_ages_too() {
    let world = World::new(ChangeRules::default()).await;
    let grounds = world.vouched().await;
    world.t.advance(3601);
    let refused = world.raise(grounds, WHY).await.unwrap_err();
    assert!(why(&refused).contains("more than an hour ago"), "{refused}");
}

#[tokio::test]
async fn where_nothing_is_asked_the_entry_says_so() {
    let mut world = World::new(ChangeRules::default()).await;
    world.t.reopen().await;
    world.raise(Grounds::Nothing, WHY).await.unwrap();
    assert_eq!(
        world.promotion().await,
        json!({"from": "read-only", "to": "bounded", "by": "open"})
    );
}
