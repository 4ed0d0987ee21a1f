//! A broker on a store that can die, its log, and the time that passes.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use taskpass_core::Timestamp;
use taskpass_core::access::Stage;
use taskpass_core::registry::{Agent, Limits as Amounts, Row};
use taskpass_issuer::KeyEncryptionKey;
use taskpass_policy::{Engine, PolicySet};
use taskpass_store::{Change, Commit, Store};

use super::op::Op;
use super::picture::{
    AGENTS, FAN_OUT, GRACE, LIVE_CREDENTIALS, LIVE_TASKS, Line, Model, OWNER_OF, OWNERS, Tie,
    scopes,
};
use crate::testing::faulty::Faulty;
use crate::testing::log::ids;
use crate::testing::{KEK, TestBroker};
use crate::{Archiver, Broker, Deps, KeptAlive, LimitDefaults, Limits, LogSettings};

/// Permits every pair.
const ANY_PAIR: &str =
    r#"@id("any-pair") permit (principal, action == Action::"delegate", resource);"#;
const DAY: u64 = 24 * 3600;
/// Registrations end after a year.
const MOST_MONTHS: u32 = 10;

pub(super) struct Run {
    /// Its broker is the present one.
    pub(super) t: TestBroker,
    pub(super) store: Arc<Faulty>,
    pub(super) model: Model,
    /// The processes that keep tasks alive.
    pub(super) holds: BTreeMap<usize, Vec<KeptAlive>>,
    folder: tempfile::TempDir,
    archiver: Option<Archiver>,
    months: u32,
}

impl Run {
    pub(super) async fn new(seed: u64) -> Self {
        let t = TestBroker::seeded(seed).await;
        for (place, name) in AGENTS.iter().enumerate() {
            let commit = Commit::new(t.now()).change(Change::PutRow(agent(&t, place, name)));
            t.store.commit(commit).await.unwrap();
        }
        let folder = tempfile::tempdir().unwrap();
        write_policies(&folder.path().join("policies"));
        let store = Faulty::over(Arc::clone(&t.store) as Arc<dyn Store>).await;
        let mut run = Self {
            t,
            store,
            model: Model::new(),
            holds: BTreeMap::new(),
            folder,
            archiver: None,
            months: 0,
        };
        run.restart().await;
        run
    }

    fn log(&self) -> PathBuf {
        self.folder.path().join("log")
    }

    /// The process ends, wherever it is, and another one opens the store.
    pub(super) async fn restart(&mut self) {
        self.store.revive();
        self.archiver = None;
        self.holds.clear();
        for task in &mut self.model.tasks {
            task.tie = task.tie.map(|_| Tie::Away(None));
        }
        let policies = self.folder.path().join("policies");
        let broker = Broker::open(Deps {
            store: Arc::clone(&self.store) as Arc<dyn Store>,
            policy: Engine::new(PolicySet::from_dir(&policies).unwrap()),
            kek: KeyEncryptionKey::from_bytes(KEK),
            clock: Arc::new(self.t.clock.clone()),
            rng: Arc::clone(&self.t.rng),
            limits: limits(),
        });
        self.t.broker = broker.await.unwrap();
    }

    /// Does one thing.
    pub(super) async fn step(&mut self, op: &Op) {
        if let Op::Die(commits, fault, op) = op {
            self.store.die_after(*commits, *fault);
            self.act(op).await;
            self.restart().await;
        } else {
            self.act(op).await;
        }
    }

    async fn act(&mut self, op: &Op) {
        match *op {
            Op::Start(agent, scopes, life) => self.start(None, (agent, scopes, life)).await,
            Op::HandOn(parent, agent, scopes, life) => {
                self.start(Some(parent), (agent, scopes, life)).await;
            }
            Op::Token(task, scope) => self.issue(task, Some(scope)).await,
            Op::Certificate(task) => self.issue(task, None).await,
            Op::Complete(task, up) => self.complete(task, up).await,
            Op::Hold(task) => self.hold(task).await,
            Op::Leave(task) => self.leave(task),
            Op::RevokeCredential(credential) => self.revoke_credential(credential).await,
            Op::RevokeTask(task) => self.revoke_task(task).await,
            Op::RevokeAgent(agent, suspend) => self.revoke_agent(agent, suspend).await,
            Op::RevokeOwner(owner, suspend) => self.revoke_owner(owner, suspend).await,
            Op::RevokeTarget(target, suspend) => self.revoke_target(target, suspend).await,
            Op::Taint(credential) => self.taint(credential).await,
            Op::RevokeEverything => self.revoke_everything().await,
            Op::Suspend(row) => self.suspend(row).await,
            Op::Resume(row) => self.resume(row).await,
            Op::Enrol(agent) => self.enrol(agent).await,
            Op::Renew(agent, back) => self.renew(agent, back).await,
            Op::Rotate(key, now) => self.rotate(key, now).await,
            Op::RotateDue => {
                let rotated = self.t.broker.rotate_due().await;
                self.succeeds(rotated);
            }
            Op::Advance(secs) => self.pass(secs).await,
            Op::NextMonth => self.next_month(),
            Op::Drain => {
                let drained = self.drain().await;
                self.succeeds(drained);
            }
            Op::Reap => {
                let reaped = self.t.broker.reap().await;
                self.succeeds(reaped);
            }
            Op::Settle => {
                let settled = self.t.broker.settle().await;
                self.succeeds(settled);
            }
            // One death at a time.
            Op::Restart | Op::Die(..) => self.restart().await,
        }
    }

    /// Nothing refuses it; only the process may die.
    fn succeeds<T>(&self, outcome: Result<T, crate::Error>) {
        if let Err(error) = outcome {
            assert!(self.store.is_dead(), "{error:?}");
        }
    }

    /// Lets time pass, second by second, as the background does.
    pub(super) async fn pass(&mut self, secs: u64) {
        for _ in 0..secs {
            self.t.advance(1);
            self.model.second += 1;
            self.end_lost().await;
            if self.store.is_dead() {
                return;
            }
        }
    }

    async fn end_lost(&mut self) {
        let now = self.t.now();
        let lost = self.model.lost(now);
        let ended = self.t.broker.end_lost().await;
        if !self.store.is_dead() {
            // A task that ended with one above it does not count.
            assert_eq!(ended.unwrap() > 0, !lost.is_empty(), "{lost:?}");
        }
        for root in lost {
            if !self.store.is_dead() || self.has_ended(root).await {
                self.model.end(|model, task| model.is_beneath(task, root));
            }
        }
    }

    /// Whether the record of a task says that it is over.
    pub(super) async fn has_ended(&self, task: usize) -> bool {
        let task = self.t.store.task(self.model.tasks[task].id).await.unwrap();
        task.is_none_or(|task| task.ended.is_some())
    }

    fn next_month(&mut self) {
        if self.months == MOST_MONTHS {
            return;
        }
        self.months += 1;
        let secs = 31 * DAY;
        self.t.advance(secs);
        self.model.second += secs;
    }

    async fn drain(&mut self) -> Result<usize, crate::Error> {
        if self.archiver.is_none() {
            let settings = LogSettings {
                folder: self.log(),
                keep_months: None,
            };
            self.archiver = Some(Archiver::open(Arc::clone(&self.t.broker), settings).await?);
        }
        self.archiver.as_mut().unwrap().drain().await
    }

    /// Every effect has its one entry in a log that verifies, from month to month.
    pub(super) async fn finish(mut self) {
        self.restart().await;
        self.drain().await.unwrap();
        let mut logged = ids(&self.log());
        logged.sort();
        assert_eq!(logged, self.store.recorded());
        assert!(self.t.store.outbox(1).await.unwrap().is_empty());
    }

    pub(super) fn now(&self) -> Timestamp {
        self.t.now()
    }

    /// Forgets the identities of an agent: what became of the newest is not known.
    pub(super) fn lose_line(&mut self, agent: usize) {
        self.model.lines[agent] = Line::default();
    }
}

fn agent(t: &TestBroker, place: usize, name: &str) -> Row {
    let now = t.now();
    Row::Agent(Agent {
        name: name.parse().unwrap(),
        owner: OWNERS[OWNER_OF[place]].parse().unwrap(),
        purpose: "random".into(),
        stage: Stage::Bounded,
        scopes: scopes(7),
        valid_until: now.plus(Duration::from_secs(365 * DAY)),
        max_ttl: None,
        labels: [].into(),
        state: taskpass_core::registry::State::Active,
        created_at: now,
        client_keys: Vec::new(),
        limits: Amounts::NONE,
    })
}

/// The shipped policies, and one that permits every pair.
fn write_policies(folder: &Path) {
    std::fs::create_dir(folder).unwrap();
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../config/policies");
    for entry in std::fs::read_dir(shipped).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), folder.join(entry.file_name())).unwrap();
    }
    std::fs::write(folder.join("pairs.cedar"), ANY_PAIR).unwrap();
}

fn limits() -> Limits {
    let agent = Amounts {
        live_credentials: Some(LIVE_CREDENTIALS),
        live_tasks: Some(LIVE_TASKS),
        fan_out: Some(FAN_OUT),
        ..Amounts::NONE
    };
    Limits {
        amounts: LimitDefaults {
            agent,
            ..LimitDefaults::CEILINGS
        },
        lost_after: Duration::from_secs(GRACE),
        ..Limits::default()
    }
}
