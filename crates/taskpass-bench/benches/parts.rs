//! The parts of issuing, without the network: where the time between a call and its floor goes.
//!
//! `cargo bench -p taskpass-bench --bench parts`. A real broker on a store in memory, so that nothing
//! waits for a disk; everything is decided, signed, guarded and recorded as it is in service.

#![expect(
    clippy::unwrap_used,
    reason = "a bench that cannot be set up has no figure"
)]

use std::sync::Arc;
use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use taskpass_broker::{
    Broker, CertificateRequest, Deps, LimitDefaults, Limits, Presented, Proved, Standing,
    StartRequest, TokenRequest, first_enrolment, first_keys, first_rows,
};
use taskpass_client::LocalKey;
use taskpass_core::access::{Access, CertificateProfile, Risk, Stage, TokenAlg, TokenProfile};
use taskpass_core::audit::Attestation;
use taskpass_core::identity::Principal;
use taskpass_core::registry::{self, Agent, Owner, Row, State, Target, Verifier};
use taskpass_core::rng::{Rng, SystemRng};
use taskpass_core::secret::Sha256;
use taskpass_core::time::SystemClock;
use taskpass_core::{Clock, TaskId, Timestamp, Ttl};
use taskpass_issuer::KeyEncryptionKey;
use taskpass_policy::{Engine, PolicySet};
use taskpass_store::{
    Batched, Birth, Change, Commit, MetaKey, Options, RedbBackend, Store, redb_store,
};
use tokio::runtime::Runtime;
use tokio::task::JoinSet;
use x509_parser::pem::parse_x509_pem;

const LEDGER: &str = "https://ledger.example";
/// Tokens that are asked for at once.
const MANY: u64 = 64;

fn rows(now: Timestamp) -> Vec<Row> {
    vec![
        Row::Owner(Owner {
            name: "team".parse().unwrap(),
            contact: "team@example.org".into(),
            limits: registry::Limits::NONE,
            state: State::Active,
        }),
        Row::Target(Target {
            uri: LEDGER.parse().unwrap(),
            scopes: [("read".parse().unwrap(), Access::Read)].into(),
            risk: Risk::Medium,
            token_alg: TokenAlg::Es256,
            token_profile: TokenProfile::OAuth,
            limits: registry::Limits::NONE,
            observe: None,
            max_ttl: None,
            state: State::Active,
        }),
        Row::Agent(Agent {
            name: "worker".parse().unwrap(),
            owner: "team".parse().unwrap(),
            purpose: "bench".into(),
            stage: Stage::ReadOnly,
            scopes: [format!("{LEDGER}#read").parse().unwrap()].into(),
            valid_until: now.plus(Duration::from_hours(24)),
            client_keys: Vec::new(),
            limits: registry::Limits::NONE,
            max_ttl: None,
            labels: [].into(),
            state: State::Active,
            created_at: now,
        }),
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
        let store = Arc::new(redb_store::in_memory(birth, options).unwrap());
        let kek = KeyEncryptionKey::from_bytes([7; 32]);
        first_keys(&*store, &domain, &kek, &*rng, now)
            .await
            .unwrap();
        first_rows(&*store, rows(now), &*rng, now).await.unwrap();
        let deps = Deps {
            store: Arc::clone(&store) as Arc<dyn Store>,
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
