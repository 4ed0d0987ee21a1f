//! Deciding beside everything else that one token takes, in processor time.
//!
//! `cargo bench -p taskpass-bench --bench decision`; the goal is that with the shipped policies the
//! decision takes at most a third of the processor time of one `IssueToken`. The whole is a real
//! broker on a store in memory, without the network, so that the decision's part is the largest that
//! it can be; the part is the engine, asked what the broker asks it: anew, so that everything is
//! evaluated, and again, so that the engine finds its answer. What is compared is the time of this
//! process on all its threads, measured in turns, so that the machine's changing speed is in both.
//! Criterion's figures beside it are processor time, too.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a bench that cannot be set up has no figure, and one that has prints it"
)]

#[path = "shared/bare.rs"]
mod bare;
#[path = "shared/rows.rs"]
mod rows;
#[path = "shared/standing.rs"]
mod standing;

use std::collections::BTreeSet;
use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use criterion::measurement::{Measurement, ValueFormatter, WallTime};
use criterion::{Criterion, criterion_group, criterion_main};
use rustix::time::{ClockId, clock_gettime};
use taskpass_broker::{Broker, Standing, StartRequest, TokenRequest};
use taskpass_core::access::{Access, Stage, TokenAlg};
use taskpass_core::caller::Caller;
use taskpass_core::grant::Ask;
use taskpass_core::registry::{Agent, Owner, Row, Target, Versioned};
use taskpass_core::{Clock, DecisionId, ScopeRef, TaskId, Timestamp, Ttl};
use taskpass_policy::{Engine, PolicySet, Request};
use tokio::runtime::Runtime;
use tokio::task::JoinSet;

use bare::Bare;
use rows::LEDGER;

const MAIL: &str = "https://mail.example";
/// Tasks of one purpose, and tasks of as many: many more than there are answers kept.
const TASKS: usize = 4096;
/// Tokens that are asked for at once.
const MANY: usize = 64;
const TURNS: usize = 40;
/// Decisions, and tokens, in one turn.
const IN_TURN: usize = 512;

/// Whether the engine has an answer.
#[derive(Clone, Copy, Debug)]
enum Asked {
    /// It has none: every task has another purpose.
    Anew,
    /// All tasks have the same.
    Again,
}

/// The time that this process had on the CPUs, on all its threads.
struct ProcessorTime;

fn processor_time() -> Duration {
    clock_gettime(ClockId::ProcessCPUTime).try_into().unwrap()
}

impl Measurement for ProcessorTime {
    type Intermediate = Duration;
    type Value = Duration;

    fn start(&self) -> Duration {
        processor_time()
    }
    fn end(&self, began: Duration) -> Duration {
        processor_time().saturating_sub(began)
    }
    fn add(&self, one: &Duration, other: &Duration) -> Duration {
        one.saturating_add(*other)
    }
    fn zero(&self) -> Duration {
        Duration::ZERO
    }
    fn to_f64(&self, value: &Duration) -> f64 {
        WallTime.to_f64(value)
    }
    fn formatter(&self) -> &dyn ValueFormatter {
        WallTime.formatter()
    }
}

fn agent(now: Timestamp) -> Agent {
    Agent {
        labels: [("env".into(), "bench".into())].into(),
        ..rows::agent("worker", Stage::Autonomous, scopes([LEDGER, MAIL]), now)
    }
}

fn target(uri: &str, token_alg: TokenAlg) -> Target {
    rows::target(uri, token_alg, Access::ALL)
}

fn scopes<const N: usize>(targets: [&str; N]) -> BTreeSet<ScopeRef> {
    let all = targets
        .iter()
        .flat_map(|target| Access::ALL.iter().map(move |access| (target, access)));
    all.map(|(target, access)| format!("{target}#{access}").parse().unwrap())
        .collect()
}

fn versioned<T>(value: T) -> Versioned<T> {
    Versioned { value, version: 1 }
}

struct Bench {
    broker: Arc<Broker>,
    caller: Standing,
    /// Of the same purpose, and each of its own.
    tasks: [Vec<(TaskId, String)>; 2],
    engine: Engine,
    agent: Versioned<Agent>,
    owner: Versioned<Owner>,
    target: Versioned<Target>,
    id: DecisionId,
    clock: Arc<dyn Clock>,
    count: AtomicUsize,
}

impl Bench {
    async fn new() -> Self {
        let registered = |now| {
            vec![
                Row::Owner(rows::owner()),
                Row::Target(target(LEDGER, TokenAlg::Es256)),
                Row::Target(target(MAIL, TokenAlg::EdDsa)),
                Row::Agent(agent(now)),
            ]
        };
        let Bare {
            store,
            broker,
            clock,
            rng,
        } = Bare::open(None, registered).await;
        // The broker holds it.
        drop(store);
        let now = clock.now();
        let caller = standing::standing(Caller::Agent("worker".parse().unwrap()), now);
        let mut tasks = [Vec::new(), Vec::new()];
        for number in 0..TASKS {
            let purposes = ["pay invoice 0".to_owned(), format!("pay invoice {number}")];
            for (tasks, purpose) in tasks.iter_mut().zip(purposes) {
                let task = start(&broker, &caller, &purpose).await;
                tasks.push((task, purpose));
            }
        }
        Self {
            broker,
            caller,
            tasks,
            engine: Engine::new(PolicySet::shipped().unwrap()),
            agent: versioned(agent(now)),
            owner: versioned(rows::owner()),
            target: versioned(target(LEDGER, TokenAlg::Es256)),
            id: DecisionId::generate(now, &*rng),
            clock,
            count: AtomicUsize::new(0),
        }
    }

    /// The next task in turn, and what it is for.
    fn next(&self, asked: Asked) -> (TaskId, &str) {
        let [same, own] = &self.tasks;
        let tasks = match asked {
            Asked::Anew => own,
            Asked::Again => same,
        };
        let turn = self.count.fetch_add(1, Ordering::Relaxed) % TASKS;
        let (task, purpose) = tasks.get(turn).unwrap();
        (*task, purpose)
    }

    /// As the broker asks for one token.
    fn decide(&self, asked: Asked) {
        let (task, purpose) = self.next(asked);
        let request = Request {
            agent: &self.agent,
            owner: Some(&self.owner),
            targets: vec![&self.target],
            ask: Ask::Scopes([format!("{LEDGER}#read").parse().unwrap()].into()),
            delegating_from: None,
            task: Some(task),
            purpose,
            depth: 0,
            ttl: Ttl::from_mins(5),
            attestation: "mtls",
            now: self.clock.now(),
        };
        drop(black_box(self.engine.decide(self.id, &request).unwrap()));
    }

    async fn token(&self, target: &str, asked: Asked) -> usize {
        let wanted = TokenRequest {
            task: self.next(asked).0,
            target: target.parse().unwrap(),
            scopes: ["read".parse().unwrap()].into(),
            ttl: Some(Ttl::from_mins(5)),
            bind: None,
        };
        let issued = self.broker.issue_token(&self.caller, &wanted).await;
        issued.unwrap().token.expose().len()
    }
}

async fn start(broker: &Broker, caller: &Standing, purpose: &str) -> TaskId {
    let start = StartRequest {
        purpose: purpose.to_owned(),
        scopes: scopes([LEDGER, MAIL]),
        ttl: Some(Ttl::from_hours(20)),
        parent: None,
        agent: None,
        idempotency_key: None,
    };
    broker.start_task(caller, start).await.unwrap().task.id
}

async fn at_once(bench: &Arc<Bench>, target: &'static str, asked: Asked) {
    let mut all = JoinSet::new();
    for _ in 0..MANY {
        let bench = Arc::clone(bench);
        all.spawn(async move { bench.token(target, asked).await });
    }
    assert!(all.join_all().await.iter().all(|len| *len > 0));
}

/// The processor time of one of `IN_TURN`.
fn one_of(work: impl FnOnce()) -> f64 {
    let began = processor_time();
    work();
    let spent = processor_time().saturating_sub(began);
    spent.as_secs_f64() * 1e6 / f64::from(u32::try_from(IN_TURN).unwrap())
}

fn median(mut samples: Vec<f64>) -> f64 {
    samples.sort_by(f64::total_cmp);
    samples.get(samples.len() / 2).copied().unwrap()
}

/// The share, in turns: the decision, tokens one after the other, tokens at once.
fn share(runtime: &Runtime, bench: &Arc<Bench>) {
    let cases = [("ES256", LEDGER), ("EdDSA", MAIL)];
    let cases = cases.map(|case| [(case, Asked::Anew), (case, Asked::Again)]);
    for ((alg, target), asked) in cases.into_iter().flatten() {
        let (mut alone, mut turn, mut batch) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..TURNS {
            alone.push(one_of(|| (0..IN_TURN).for_each(|_| bench.decide(asked))));
            turn.push(one_of(|| {
                runtime.block_on(async {
                    for _ in 0..IN_TURN {
                        assert!(bench.token(target, asked).await > 0);
                    }
                });
            }));
            batch.push(one_of(|| {
                for _ in 0..IN_TURN / MANY {
                    runtime.block_on(at_once(bench, target, asked));
                }
            }));
        }
        let (alone, turn, batch) = (median(alone), median(turn), median(batch));
        println!(
            "{alg}, {asked:?}: decision {alone:.1} µs; of {turn:.1} µs one after the other: {:.3}; of {batch:.1} µs, \
             {MANY} at once: {:.3}",
            alone / turn,
            alone / batch,
        );
    }
}

fn benches(criterion: &mut Criterion<ProcessorTime>) {
    let runtime = Runtime::new().unwrap();
    let bench = Arc::new(runtime.block_on(Bench::new()));
    let mut group = criterion.benchmark_group("deciding");
    group.sample_size(30);
    for asked in [Asked::Anew, Asked::Again] {
        group.bench_function(format!("one decision/{asked:?}"), |bencher| {
            bencher.iter(|| bench.decide(asked));
        });
        group.bench_function(format!("one token/{asked:?}"), |bencher| {
            bencher.iter(|| runtime.block_on(bench.token(LEDGER, asked)));
        });
        group.bench_function(format!("64 tokens at once/{asked:?}"), |bencher| {
            bencher.iter(|| runtime.block_on(at_once(&bench, LEDGER, asked)));
        });
    }
    group.finish();
    share(&runtime, &bench);
}

criterion_group! {
    name = decision;
    config = Criterion::default().with_measurement(ProcessorTime);
    targets = benches
}
criterion_main!(decision);
