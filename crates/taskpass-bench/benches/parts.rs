//! The parts of issuing, without the network: where the time between a call and its floor goes.
//!
//! `cargo bench -p taskpass-bench --bench parts`. A real broker on a store in memory, so that nothing
//! waits for a disk; everything is decided, signed, guarded and recorded as it is in service.

#![expect(
    clippy::unwrap_used,
    reason = "a bench that cannot be set up has no figure"
)]

#[path = "shared/bare.rs"]
mod bare;
#[path = "shared/rows.rs"]
mod rows;

use std::sync::Arc;
use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use taskpass_broker::{
    Broker, CertificateRequest, Presented, Proved, Standing, StartRequest, TokenRequest,
    first_enrolment,
};
use taskpass_client::LocalKey;
use taskpass_core::access::{Access, CertificateProfile, Stage, TokenAlg};
use taskpass_core::audit::Attestation;
use taskpass_core::identity::Principal;
use taskpass_core::registry::{Row, State, Verifier};
use taskpass_core::rng::Rng;
use taskpass_core::secret::Sha256;
use taskpass_core::{Clock, TaskId, Timestamp, Ttl};
use taskpass_store::{Batched, Change, Commit, MetaKey, RedbBackend, Store};
use tokio::runtime::Runtime;
use tokio::task::JoinSet;
use x509_parser::pem::parse_x509_pem;

use bare::Bare;
use rows::LEDGER;

/// Tokens that are asked for at once.
const MANY: u64 = 64;

fn registered(now: Timestamp) -> Vec<Row> {
    let read = [format!("{LEDGER}#read").parse().unwrap()].into();
    vec![
        Row::Owner(rows::owner()),
        Row::Target(rows::target(LEDGER, TokenAlg::Es256, &[Access::Read])),
        Row::Agent(rows::agent("worker", Stage::ReadOnly, read, now)),
        Row::Verifier(Verifier {
            name: "ledger".parse().unwrap(),
            targets: [LEDGER.parse().unwrap()].into(),
            state: State::Active,
        }),
    ]
}

struct Bench {
    store: Arc<Batched<RedbBackend>>,
    broker: Arc<Broker>,
    clock: Arc<dyn Clock>,
    agent: Proved,
    verifier: Standing,
    caller: Standing,
    task: TaskId,
    csr: Vec<u8>,
}

impl Bench {
    async fn new() -> Self {
        let Bare {
            store,
            broker,
            clock,
            rng,
        } = Bare::open(None, registered).await;
        let principal = Principal::Agent("worker".parse().unwrap());
        let agent = enrol(&broker, &store, principal, &*rng).await;
        let principal = Principal::Verifier("ledger".parse().unwrap());
        let verifier = enrol(&broker, &store, principal, &*rng).await;
        let verifier = broker.standing(&verifier, None).await.unwrap();
        let caller = broker.standing(&agent, None).await.unwrap();
        let start = StartRequest {
            purpose: "bench".into(),
            scopes: [format!("{LEDGER}#read").parse().unwrap()].into(),
            ttl: Some(Ttl::from_hours(20)),
            parent: None,
            agent: None,
            idempotency_key: None,
        };
        let task = broker.start_task(&caller, start).await.unwrap().task.id;
        Self {
            store,
            broker,
            clock,
            agent,
            verifier,
            caller,
            task,
            csr: LocalKey::generate().unwrap().csr_der().to_vec(),
        }
    }

    fn wanted(&self) -> TokenRequest {
        TokenRequest {
            task: self.task,
            target: LEDGER.parse().unwrap(),
            scopes: ["read".parse().unwrap()].into(),
            ttl: Some(Ttl::from_mins(5)),
            bind: None,
        }
    }

    async fn token(&self) -> String {
        let issued = self.broker.issue_token(&self.caller, &self.wanted()).await;
        issued.unwrap().token.expose().to_owned()
    }

    async fn certificate(&self) {
        let request = CertificateRequest {
            task: self.task,
            csr: self.csr.clone(),
            profile: CertificateProfile::Client,
            ttl: Some(Ttl::from_mins(5)),
        };
        let issued = self.broker.issue_certificate(&self.caller, &request);
        assert!(!issued.await.unwrap().chain_pem.is_empty());
    }

    /// The smallest commit, without entry and credential.
    async fn commit(&self) {
        let put = Change::PutMeta {
            key: MetaKey::SettledSeq,
            value: vec![0; 8],
        };
        let commit = Commit::new(self.clock.now()).change(put);
        self.store.commit(commit).await.unwrap();
    }
}

/// What a connection of this caller would have proved.
async fn enrol(
    broker: &Broker,
    store: &Batched<RedbBackend>,
    principal: Principal,
    rng: &dyn Rng,
) -> Proved {
    let token = first_enrolment(store, &principal, Duration::from_mins(1), rng, broker.now());
    let token = token.await.unwrap();
    let key = LocalKey::generate().unwrap();
    let enrolled = broker.enrol(token.expose(), key.csr_der()).await.unwrap();
    let (_, pem) = parse_x509_pem(enrolled.chain_pem.as_bytes()).unwrap();
    let certificate = pem.parse_x509().unwrap();
    Proved {
        principal,
        attestation: Attestation::Mtls {
            key: Sha256::of(certificate.public_key().raw),
        },
        issued_at: broker.now(),
        expires_at: broker.now().plus(Duration::from_hours(1)),
        issued_by: None,
    }
}

fn benches(criterion: &mut Criterion) {
    let runtime = Runtime::new().unwrap();
    let bench = Arc::new(runtime.block_on(Bench::new()));
    let shown = runtime.block_on(bench.token());
    let mut group = criterion.benchmark_group("parts of issuing");
    group.sample_size(30);
    group.bench_function("the smallest commit", |bencher| {
        bencher.iter(|| runtime.block_on(bench.commit()));
    });
    group.bench_function("whether the caller may call", |bencher| {
        bencher.iter(|| {
            runtime
                .block_on(bench.broker.standing(&bench.agent, None))
                .unwrap()
        });
    });
    group.bench_function("asking about a token", |bencher| {
        let presented = Presented::Token(&shown);
        let ask = || bench.broker.introspect(&bench.verifier, &presented);
        bencher.iter(|| assert!(runtime.block_on(ask()).unwrap().is_some()));
    });
    group.bench_function("one token", |bencher| {
        bencher.iter(|| runtime.block_on(bench.token()));
    });
    group.bench_function("one certificate", |bencher| {
        bencher.iter(|| runtime.block_on(bench.certificate()));
    });
    group.throughput(Throughput::Elements(MANY));
    group.bench_function("64 tokens at once", |bencher| {
        bencher.iter(|| {
            runtime.block_on(async {
                let mut all = JoinSet::new();
                for _ in 0..MANY {
                    let bench = Arc::clone(&bench);
                    all.spawn(async move { bench.token().await.len() });
                }
                assert!(all.join_all().await.iter().all(|len| *len > 0));
            });
        });
    });
    group.finish();
}

criterion_group!(parts, benches);
criterion_main!(parts);
