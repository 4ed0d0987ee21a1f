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

use std::collections::BTreeSet;
use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use criterion::measurement::{Measurement, ValueFormatter, WallTime};
use criterion::{Criterion, criterion_group, criterion_main};
use rustix::time::{ClockId, clock_gettime};
use taskpass_broker::{
    Broker, Deps, LimitDefaults, Limits, Standing, StartRequest, TokenRequest, first_keys,
    first_rows,
};
use taskpass_core::access::{Access, Risk, Stage, TokenAlg, TokenProfile};
use taskpass_core::audit::Attestation;
use taskpass_core::caller::Caller;
use taskpass_core::grant::Ask;
use taskpass_core::registry::{self, Agent, Owner, Row, State, Target, Versioned};
use taskpass_core::revocation::Facts;
use taskpass_core::rng::{Rng, SystemRng};
use taskpass_core::secret::Sha256;
use taskpass_core::time::SystemClock;
use taskpass_core::{Clock, DecisionId, ScopeRef, TaskId, Timestamp, Ttl};
use taskpass_issuer::KeyEncryptionKey;
use taskpass_policy::{Engine, PolicySet, Request};
use taskpass_store::{Birth, Options, Store, redb_store};
use tokio::runtime::Runtime;
use tokio::task::JoinSet;

const LEDGER: &str = "https://ledger.example";
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

fn owner() -> Owner {
    Owner {
        name: "team".parse().unwrap(),
        contact: "team@example.org".into(),
        limits: registry::Limits::NONE,
        state: State::Active,
    }
}

fn target(uri: &str, token_alg: TokenAlg) -> Target {
    Target {
        uri: uri.parse().unwrap(),
        scopes: Access::ALL
            .iter()
            .map(|access| (access.as_str().parse().unwrap(), *access))
            .collect(),
        risk: Risk::Medium,
        token_alg,
        token_profile: TokenProfile::OAuth,
        limits: registry::Limits::NONE,
        observe: None,
        max_ttl: None,
        state: State::Active,
    }
}

fn agent(now: Timestamp) -> Agent {
    Agent {
        name: "worker".parse().unwrap(),
        owner: "team".parse().unwrap(),
        purpose: "bench".into(),
        stage: Stage::Autonomous,
        scopes: scopes([LEDGER, MAIL]),
        valid_until: now.plus(Duration::from_hours(24)),
        client_keys: Vec::new(),
        limits: registry::Limits::NONE,
        max_ttl: None,
        labels: [("env".into(), "bench".into())].into(),
        state: State::Active,
        created_at: now,
    }
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
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let rng: Arc<dyn Rng> = Arc::new(SystemRng::new());
        let now = clock.now();
        let birth = Birth {
            trust_domain: "bench.example".parse().unwrap(),
            public_url: "https://broker.example".into(),
            crl_url: "http://broker.example".into(),
            dev: true,
            born_at: now,
            epoch: 1,
        };
        let domain = birth.trust_domain.clone();
        let options = Options {
            // Nothing is archived here.
            outbox_limit: u64::MAX / 2,
            ..Options::default()
        };
        let store: Arc<dyn Store> = Arc::new(redb_store::in_memory(birth, options).unwrap());
        let kek = KeyEncryptionKey::from_bytes([7; 32]);
        let first = first_keys(&*store, &domain, &kek, &*rng, now);
        first.await.unwrap();
        let rows = vec![
            Row::Owner(owner()),
            Row::Target(target(LEDGER, TokenAlg::Es256)),
            Row::Target(target(MAIL, TokenAlg::EdDsa)),
            Row::Agent(agent(now)),
        ];
        first_rows(&*store, rows, &*rng, now).await.unwrap();
        let deps = Deps {
            store,
            policy: Engine::new(PolicySet::shipped().unwrap()),
            kek,
            clock: Arc::clone(&clock),
            rng: Arc::clone(&rng),
            limits: Limits {
                amounts: LimitDefaults::CEILINGS,
                ..Limits::default()
            },
        };
        let broker = Broker::open(deps).await.unwrap();
        let caller = standing(now);
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
            owner: versioned(owner()),
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

fn standing(now: Timestamp) -> Standing {
    let caller = Caller::Agent("worker".parse().unwrap());
    Standing {
        decision: None,
        facts: Facts::of_identity(&caller.principal(), None, now),
        caller,
        generation: 1,
        trace_id: None,
        attestation: Attestation::Mtls {
            key: Sha256::of(b"key"),
        },
    }
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
