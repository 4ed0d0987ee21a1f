//! The archiver: whatever fails between its steps, each effect has one entry in the log, and the
//! log verifies.

use std::path::Path;
use std::sync::Arc;

use proptest::prelude::*;
use taskpass_core::Timestamp;
use taskpass_log::LogName;
use taskpass_store::Store;

use crate::testing::faulty::{Fault, Faulty};
use crate::testing::log::{ids, lines};
use crate::testing::{TestBroker, cases, open_on, ops};
use crate::{Archiver, LogSettings, RevokeWhat};

struct World {
    t: TestBroker,
    store: Arc<Faulty>,
    folder: tempfile::TempDir,
    archiver: Option<Archiver>,
    keep_months: Option<u32>,
}

impl World {
    async fn new() -> Self {
        let mut t = TestBroker::new().await;
        let store = Faulty::over(Arc::clone(&t.store) as Arc<dyn Store>).await;
        t.broker = open_on(store.clone(), &t.clock, &t.rng).await;
        Self {
            t,
            store,
            folder: tempfile::tempdir().unwrap(),
            archiver: None,
            keep_months: None,
        }
    }

    fn root(&self) -> &Path {
        self.folder.path()
    }

    /// The folder of the log that is written to.
    fn current(&self) -> std::path::PathBuf {
        let logs = LogName::list(self.root()).unwrap();
        logs.last().map_or_else(
            || self.root().join("2023-11"),
            |log| log.folder(self.root()),
        )
    }

    async fn archiver(&mut self) -> Result<&mut Archiver, crate::Error> {
        if self.archiver.is_none() {
            let settings = LogSettings {
                folder: self.root().to_owned(),
                keep_months: self.keep_months,
            };
            self.archiver = Some(Archiver::open(Arc::clone(&self.t.broker), settings).await?);
        }
        Ok(self.archiver.as_mut().unwrap())
    }

    async fn drain(&mut self) -> Result<usize, crate::Error> {
        self.archiver().await?.drain().await
    }

    /// Drains while the file that is named cannot be written.
    async fn drain_with_blocked(&mut self, name: &str) {
        let blocked = self.current().join(".writing").join(name);
        let _ = std::fs::remove_file(&blocked);
        std::fs::create_dir_all(&blocked).unwrap();
        let _ = self.drain().await;
        // The writer may have cleared its folder when it opened it.
        let _ = std::fs::remove_dir(&blocked);
    }

    async fn kill(&mut self) {
        self.archiver = None;
        self.t.broker = open_on(self.store.clone(), &self.t.clock, &self.t.rng).await;
    }

    /// After everything was drained: as many entries as were recorded, each once.
    async fn settle(&mut self) {
        self.drain().await.unwrap();
        let mut logged = ids(self.root());
        logged.sort();
        assert_eq!(logged, self.store.recorded());
        assert!(self.t.store.outbox(1).await.unwrap().is_empty());
    }
}

#[derive(Debug, Clone)]
enum Step {
    Start,
    Denied,
    Many(usize),
    Revoke,
    Reap,
    Drain,
    NotDone,
    DoneUnheard,
    AppendFails,
    PublishFails,
    Kill,
    NextMonth,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => Just(Step::Start),
        2 => Just(Step::Denied),
        1 => (100_usize..400).prop_map(Step::Many),
        1 => Just(Step::Revoke),
        1 => Just(Step::Reap),
        4 => Just(Step::Drain),
        2 => Just(Step::NotDone),
        2 => Just(Step::DoneUnheard),
        2 => Just(Step::AppendFails),
        2 => Just(Step::PublishFails),
        2 => Just(Step::Kill),
        2 => Just(Step::NextMonth),
    ]
}

impl World {
    async fn run(&mut self, step: &Step) {
        match step {
            Step::Start => drop(self.t.start("reader", &["read"]).await),
            Step::Denied => drop(self.t.start("reader", &["write"]).await),
            Step::Many(count) => {
                for _ in 0..*count {
                    self.t.broker.list_keys(&ops()).await.unwrap();
                }
            }
            Step::Revoke => drop(self.t.revoke(RevokeWhat::Everything).await),
            Step::Reap => drop(self.t.broker.reap().await),
            Step::Drain => drop(self.drain().await),
            Step::NotDone => self.fail(Fault::NotDone).await,
            Step::DoneUnheard => self.fail(Fault::DoneUnheard).await,
            Step::AppendFails => self.drain_with_blocked("0").await,
            Step::PublishFails => self.drain_with_blocked("checkpoint").await,
            Step::Kill => self.kill().await,
            Step::NextMonth => self.t.advance(31 * 24 * 3600),
        }
    }

    async fn fail(&mut self, fault: Fault) {
        self.store.fail_next(Some(fault));
        drop(self.drain().await);
        self.store.fail_next(None);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(24), max_shrink_iters: 100, ..ProptestConfig::default() })]

    #[test]
    fn whatever_fails_each_effect_is_logged_once(steps in proptest::collection::vec(step(), 1..30)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut world = World::new().await;
            for step in &steps {
                world.run(step).await;
            }
            world.kill().await;
            world.settle().await;
        });
    }
}

#[tokio::test]
async fn a_commit_that_fails_leaves_no_trace_and_one_that_is_unheard_is_not_repeated() {
    for (fault, left) in [(Fault::NotDone, true), (Fault::DoneUnheard, false)] {
        let mut world = World::new().await;
        world.store.fail_next(Some(fault));
        world.drain().await.unwrap_err();
        assert_eq!(world.t.broker.metrics().log_failures.get(), 1);
        assert!(
            world
                .archiver()
                .await
                .unwrap()
                .log()
                .watch()
                .borrow()
                .is_none()
        );
        let waiting = world.t.store.outbox(1).await.unwrap();
        assert_eq!(waiting.is_empty(), !left);
        world.settle().await;
    }
}

#[tokio::test]
async fn what_was_committed_and_not_published_is_published_at_the_start() {
    let mut world = World::new().await;
    world.drain().await.unwrap();
    let published = lines(world.root()).len();
    world.t.start("reader", &["read"]).await.unwrap();
    world.drain_with_blocked("checkpoint").await;
    assert_eq!(
        lines(world.root()).len(),
        published,
        "no checkpoint covers it"
    );
    assert!(
        world.t.store.outbox(1).await.unwrap().is_empty(),
        "it was committed"
    );
    world.archiver = None;
    let log = world.archiver().await.unwrap().log();
    assert_eq!(lines(world.root()).len(), published + 1);
    let signed = log.checkpoint(None).await.unwrap();
    assert_eq!(signed.size, published as u64 + 1);
}

#[tokio::test]
async fn a_month_begins_with_the_last_checkpoint_of_the_one_before() {
    let mut world = World::new().await;
    world.drain().await.unwrap();
    let before = world
        .archiver()
        .await
        .unwrap()
        .log()
        .checkpoint(None)
        .await
        .unwrap();
    world
        .t
        .clock
        .jump_to(Timestamp::parse_rfc3339("2023-12-01T00:00:00Z").unwrap());
    world.t.broker.list_keys(&ops()).await.unwrap();
    world.drain().await.unwrap();
    let all = lines(world.root());
    let first = all
        .iter()
        .find(|line| line.log.to_string() == "2023-12")
        .unwrap();
    assert_eq!(first.index, 0);
    assert_eq!(first.entry["log"]["previous"], before.checkpoint);
    assert_eq!(first.entry["log"]["origin"], "broker.example/log/2023-12");
    assert_eq!(all.last().unwrap().entry["kind"], "read");
    world.settle().await;
}

#[tokio::test]
async fn a_clock_that_went_back_over_the_month_stays_in_the_newer_log() {
    let mut world = World::new().await;
    world
        .t
        .clock
        .jump_to(Timestamp::parse_rfc3339("2023-12-01T00:00:01Z").unwrap());
    world.drain().await.unwrap();
    world
        .t
        .clock
        .jump_to(Timestamp::parse_rfc3339("2023-11-30T23:59:59Z").unwrap());
    world.kill().await;
    world.drain().await.unwrap();
    assert_eq!(LogName::list(world.root()).unwrap().len(), 1);
    world.settle().await;
}

#[tokio::test]
async fn months_that_are_not_kept_are_removed_once_and_the_removal_is_recorded() {
    let mut world = World::new().await;
    world.keep_months = Some(2);
    let mut kept = Vec::new();
    for _ in 0..4 {
        world.t.broker.list_keys(&ops()).await.unwrap();
        world.drain().await.unwrap();
        world.kill().await;
        world.drain().await.unwrap();
        kept.push(LogName::list(world.root()).unwrap().len());
        world.t.advance(31 * 24 * 3600);
    }
    assert_eq!(kept, [1, 2, 2, 2]);
    let logs: Vec<_> = lines(world.root()).iter().map(|line| line.log).collect();
    let removals: Vec<_> = lines(world.root())
        .into_iter()
        .filter(|line| line.entry["reason"] == "RETENTION")
        .map(|line| line.entry["subject"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(removals, ["logs before 2023-12", "logs before 2024-01"]);
    assert_eq!(logs.first().unwrap().to_string(), "2024-01");
    let files = std::fs::read_dir(world.root()).unwrap();
    let names: Vec<_> = files.map(|file| file.unwrap().file_name()).collect();
    assert_eq!(names.len(), 4, "two folders and two keys: {names:?}");
}

#[tokio::test]
async fn a_log_whose_removal_was_cut_off_is_gone_for_readers() {
    let mut world = World::new().await;
    world.keep_months = Some(2);
    world.drain().await.unwrap();
    // Its key cannot be removed.
    let vkey = LogName::list(world.root()).unwrap()[0].vkey(world.root());
    std::fs::remove_file(&vkey).unwrap();
    std::fs::create_dir(&vkey).unwrap();
    for _ in 0..2 {
        world.t.advance(31 * 24 * 3600);
        world.t.broker.list_keys(&ops()).await.unwrap();
        world.drain().await.unwrap();
    }
    let log = world.archiver().await.unwrap().log();
    let kept = log.logs(&ops()).await.unwrap();
    let kept: Vec<_> = kept.iter().map(|kept| kept.log.to_string()).collect();
    assert_eq!(kept, ["2023-12", "2024-01"]);
    log.index().await.unwrap();
    std::fs::remove_dir(&vkey).unwrap();
    world.kill().await;
    world.drain().await.unwrap();
    assert_eq!(LogName::list(world.root()).unwrap().len(), 2);
}

#[tokio::test]
async fn a_clock_that_leapt_ahead_removes_no_log() {
    let mut world = World::new().await;
    world.keep_months = Some(2);
    world.drain().await.unwrap();
    let right = world.t.now();
    world
        .t
        .clock
        .jump_to(Timestamp::parse_rfc3339("2031-01-01T00:00:00Z").unwrap());
    world.t.broker.list_keys(&ops()).await.unwrap();
    world.drain().await.unwrap();
    world.drain().await.unwrap();
    let logs = |world: &World| LogName::list(world.root()).unwrap().len();
    assert_eq!(logs(&world), 2);
    // As much time has passed as it leapt: then it was no leap, and the old log goes.
    let leap = world.t.now().since(right);
    world.t.clock.advance(leap);
    world.drain().await.unwrap();
    assert_eq!(logs(&world), 1);
}

#[tokio::test]
async fn the_log_of_another_store_is_not_continued() {
    let mut world = World::new().await;
    world.drain().await.unwrap();
    let mut other = World::new().await;
    other.t = TestBroker::seeded(2).await;
    other.store = Faulty::over(Arc::clone(&other.t.store) as Arc<dyn Store>).await;
    other.kill().await;
    other.folder = world.folder;
    let error = other.drain().await.unwrap_err();
    let source = std::error::Error::source(&error).unwrap().to_string();
    assert!(source.contains("the store does not know of it"), "{source}");
    // Nor if it was begun in the same month.
    std::fs::remove_file(other.current().join("checkpoint")).unwrap();
    other.settle().await;
}
