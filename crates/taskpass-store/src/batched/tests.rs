//! The queue: who goes first, who is refused, who waits, and what the reaper yields to.
//!
//! The backend of these tests stands still before each step until it is let through, so that what
//! waits behind it is known exactly.

use std::future::poll_fn;
use std::sync::{Arc, Mutex, mpsc};
use std::task::Poll;

use taskpass_core::Timestamp;
use taskpass_core::time::ManualClock;
use tokio::sync::mpsc as asynchronous;

use super::*;
use crate::commit::{ArchiveCursor, Change, MetaKey, Refusal};
use crate::model::Model;
use crate::store::Store as _;
use crate::values::*;

/// A model that asks before each step, and notes what each step was.
struct Gated {
    model: Model,
    /// Told that a step has begun.
    begun: asynchronous::UnboundedSender<()>,
    /// One message lets one step through; once the sender is gone all pass.
    pass: mpsc::Receiver<()>,
    steps: Arc<Mutex<Vec<String>>>,
}

struct Gate {
    begun: asynchronous::UnboundedReceiver<()>,
    pass: mpsc::Sender<()>,
    steps: Arc<Mutex<Vec<String>>>,
}

fn gated(options: Options) -> (Arc<Batched<Gated>>, Gate) {
    let (begun, has_begun) = asynchronous::unbounded_channel();
    let (pass, may_pass) = mpsc::channel();
    let steps = Arc::new(Mutex::new(Vec::new()));
    let backend = Gated {
        model: Model::new(birth()),
        begun,
        pass: may_pass,
        steps: Arc::clone(&steps),
    };
    let gate = Gate {
        begun: has_begun,
        pass,
        steps,
    };
    (Arc::new(Batched::new(backend, options)), gate)
}

impl Gated {
    fn step(&self, step: String) {
        self.steps.lock().unwrap().push(step);
        let _ = self.begun.send(());
        let _ = self.pass.recv();
    }
}

impl Backend for Gated {
    fn apply(&mut self, group: &[Commit]) -> Result<Vec<Result<Committed, Refusal>>, StoreError> {
        self.step(group.iter().map(name).collect());
        let deadly = group.iter().any(|commit| commit.changes.len() > 5);
        assert!(!deadly, "a commit that no backend survives");
        self.model.apply(group)
    }

    fn reap(&mut self, before: Timestamp, limit: usize) -> Result<Reaped, StoreError> {
        self.step(format!("reap {limit}"));
        self.model.reap(before, limit)
    }

    fn reader(&self) -> Arc<dyn Reader> {
        self.model.reader()
    }
}

/// The letter that a commit writes.
fn name(commit: &Commit) -> String {
    match commit.changes.first() {
        Some(Change::PutMeta { value, .. }) => String::from_utf8(value.clone()).unwrap(),
        _ => "-".to_owned(),
    }
}

fn letter(letter: &str, lane: Lane) -> Commit {
    Commit::new(at(1)).in_lane(lane).change(Change::PutMeta {
        key: MetaKey::Shutdown,
        value: letter.into(),
    })
}

type Waiting = tokio::task::JoinHandle<Result<Committed, CommitError>>;

/// Queues a commit: when this returns, it is in its lane or was refused.
async fn queue<B: Backend>(store: &Arc<Batched<B>>, commit: Commit) -> Waiting {
    let store = Arc::clone(store);
    let mut answer = Box::pin(async move { store.commit(commit).await });
    // The first poll of a commit that finds a place queues it.
    match poll_fn(|context| Poll::Ready(answer.as_mut().poll(context))).await {
        Poll::Ready(outcome) => tokio::spawn(async move { outcome }),
        Poll::Pending => tokio::spawn(answer),
    }
}

impl Gate {
    /// Waits until the writer stands before a step.
    async fn at_step(&mut self) {
        self.begun.recv().await.unwrap();
    }

    fn open(self) -> Arc<Mutex<Vec<String>>> {
        self.steps
    }
}

#[tokio::test]
async fn the_urgent_go_first_and_the_background_is_not_forgotten() {
    let options = Options {
        group_limit: 4,
        ..Options::default()
    };
    let (store, mut gate) = gated(options);
    let mut all = vec![queue(&store, letter("0", Lane::Normal)).await];
    gate.at_step().await;
    for (text, lane) in [
        ("a", Lane::Background),
        ("b", Lane::Normal),
        ("c", Lane::Normal),
        ("d", Lane::Background),
        ("e", Lane::Normal),
        ("f", Lane::Urgent),
        ("g", Lane::Urgent),
        ("h", Lane::Normal),
    ] {
        all.push(queue(&store, letter(text, lane)).await);
    }
    assert_eq!(store.stats().queued, 8);
    let steps = gate.open();
    for waiting in all {
        waiting.await.unwrap().unwrap();
    }
    assert_eq!(*steps.lock().unwrap(), ["0", "fgba", "cehd"]);
    let stats = store.stats();
    assert_eq!(
        (stats.commits, stats.groups, stats.last_group, stats.queued),
        (9, 3, 4, 0)
    );
}

#[tokio::test]
async fn a_full_lane_refuses_at_once_and_the_urgent_have_their_own() {
    let options = Options {
        normal_queue: 2,
        urgent_queue: 1,
        ..Options::default()
    };
    let (store, mut gate) = gated(options);
    let mut all = vec![queue(&store, letter("0", Lane::Normal)).await];
    gate.at_step().await;
    for (text, lane, fits) in [
        ("a", Lane::Normal, true),
        ("b", Lane::Normal, true),
        ("c", Lane::Normal, false),
        ("d", Lane::Urgent, true),
        ("e", Lane::Urgent, false),
        ("f", Lane::Background, true),
    ] {
        let waiting = queue(&store, letter(text, lane)).await;
        if fits {
            all.push(waiting);
        } else {
            let refused = waiting.await.unwrap();
            assert!(
                matches!(refused, Err(CommitError::QueueFull)),
                "{refused:?}"
            );
        }
    }
    let steps = gate.open();
    for waiting in all {
        waiting.await.unwrap().unwrap();
    }
    assert_eq!(*steps.lock().unwrap(), ["0", "dabf"]);
}

#[tokio::test]
async fn a_full_background_lane_makes_its_callers_wait() {
    let options = Options {
        background_queue: 1,
        ..Options::default()
    };
    let (store, mut gate) = gated(options);
    let first = queue(&store, letter("0", Lane::Normal)).await;
    gate.at_step().await;
    let second = queue(&store, letter("a", Lane::Background)).await;
    let third = queue(&store, letter("b", Lane::Background)).await;
    assert_eq!(store.stats().queued, 1);
    assert!(!third.is_finished());
    gate.pass.send(()).unwrap();
    gate.at_step().await;
    // The writer has taken the second, so its place went to the third.
    gate.open();
    for waiting in [first, second, third] {
        waiting.await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn the_reaper_yields_between_its_chunks() {
    let options = Options {
        reap_chunk: 2,
        ..Options::default()
    };
    let (store, mut gate) = gated(options);
    let enrolments = (0..5).fold(Commit::new(at(1)), |commit, n| {
        commit.change(Change::PutEnrolment {
            hash: digest(n),
            enrolment: enrolment(n, at(2)),
        })
    });
    let first = queue(&store, enrolments).await;
    gate.at_step().await;
    let reaping = tokio::spawn({
        let store = Arc::clone(&store);
        async move { store.reap(at(10), 100).await }
    });
    gate.pass.send(()).unwrap();
    // The first chunk stands still; meanwhile a commit comes in.
    gate.at_step().await;
    let between = queue(&store, letter("a", Lane::Normal)).await;
    let steps = gate.open();
    let reaped = reaping.await.unwrap().unwrap();
    assert_eq!((reaped.others, reaped.more), (5, false));
    for waiting in [first, between] {
        waiting.await.unwrap().unwrap();
    }
    assert_eq!(
        *steps.lock().unwrap(),
        ["-", "reap 2", "a", "reap 2", "reap 2"]
    );
}

#[tokio::test]
async fn the_reaper_stops_at_its_limit() {
    let store = Batched::new(
        Model::new(birth()),
        Options {
            reap_chunk: 2,
            ..Options::default()
        },
    );
    for n in 0..5 {
        let commit = Commit::new(at(1)).change(Change::PutEnrolment {
            hash: digest(n),
            enrolment: enrolment(n, at(2)),
        });
        store.commit(commit).await.unwrap();
    }
    let reaped = store.reap(at(10), 3).await.unwrap();
    assert_eq!((reaped.others, reaped.more), (3, true));
    let reaped = store.reap(at(10), 3).await.unwrap();
    assert_eq!((reaped.others, reaped.more), (2, false));
}

#[tokio::test]
async fn a_full_outbox_refuses_requests_but_not_revocations() {
    let options = Options {
        outbox_limit: 3,
        outbox_reserve: 2,
        ..Options::default()
    };
    let store = Batched::new(Model::new(birth()), options);
    let put = |n, lane| {
        Commit::new(at(1))
            .in_lane(lane)
            .change(Change::Outbox(entry(n)))
    };
    for n in 0..3 {
        store.commit(put(n, Lane::Normal)).await.unwrap();
    }
    let full = |result: Result<Committed, CommitError>| {
        assert!(matches!(result, Err(CommitError::OutboxFull)), "{result:?}");
    };
    full(store.commit(put(3, Lane::Normal)).await);
    assert_eq!(store.stats().outbox, 3);
    // What adds no entry goes on.
    store.commit(letter("a", Lane::Normal)).await.unwrap();
    store.commit(put(4, Lane::Background)).await.unwrap();
    full(store.commit(put(5, Lane::Background)).await);
    store.commit(put(5, Lane::Urgent)).await.unwrap();
    full(store.commit(put(6, Lane::Urgent)).await);
    let archived = Commit::new(at(1))
        .in_lane(Lane::Background)
        .change(Change::Archived {
            ids: (0..6).map(|n| entry(n).id).collect(),
            cursor: ArchiveCursor::default(),
        });
    store.commit(archived).await.unwrap();
    store.commit(put(7, Lane::Normal)).await.unwrap();
}

#[tokio::test]
async fn closing_finishes_what_is_queued_and_takes_nothing_more() {
    let (store, mut gate) = gated(Options::default());
    let first = queue(&store, letter("0", Lane::Normal)).await;
    gate.at_step().await;
    let second = queue(&store, letter("a", Lane::Background)).await;
    store.queue.close();
    let third = store.commit(letter("b", Lane::Urgent)).await;
    assert!(
        matches!(third, Err(CommitError::Failed(StoreError::Stopped))),
        "{third:?}"
    );
    gate.open();
    store.close().await;
    for waiting in [first, second] {
        waiting.await.unwrap().unwrap();
    }
    // Closed is not failed.
    assert!(!store.figures.is_stopped());
}

#[tokio::test]
async fn a_panic_of_the_backend_stops_the_store() {
    let (store, gate) = gated(Options::default());
    gate.open();
    let deadly = (0..6).fold(Commit::new(at(1)), |commit, n| {
        commit.change(Change::Outbox(entry(n)))
    });
    let lost = store.commit(deadly).await;
    assert!(
        matches!(lost, Err(CommitError::Failed(StoreError::Stopped))),
        "{lost:?}"
    );
    store.stopped().await;
    assert!(matches!(store.keys().await, Err(StoreError::Stopped)));
    store.close().await;
}

#[tokio::test]
async fn groups_are_timed_by_the_clock_that_was_given() {
    let clock = ManualClock::new(at(0));
    let (store, mut gate) = gated(Options {
        clock: Some(Arc::new(clock.clone())),
        ..Options::default()
    });
    let waiting = queue(&store, letter("a", Lane::Normal)).await;
    gate.at_step().await;
    clock.advance(std::time::Duration::from_millis(3));
    gate.open();
    waiting.await.unwrap().unwrap();
    let stats = store.stats();
    assert_eq!(
        (stats.last_group_micros, stats.total_group_micros),
        (3000, 3000)
    );
}

#[tokio::test]
async fn whoever_waits_for_rules_is_told_of_each_group() {
    let store = Batched::new(Model::new(birth()), Options::default());
    let mut newest = store.rules().subscribe();
    for seq in 1..=3 {
        let everything = taskpass_core::revocation::Selector::Everything;
        let made = store.commit(revoke(everything, at(1))).await.unwrap();
        assert_eq!(made.rules[0].seq, seq);
        assert_eq!(store.rules().newest_seq(), seq, "it holds with the answer");
        newest.changed().await.unwrap();
        assert_eq!(*newest.borrow_and_update(), seq);
    }
}
