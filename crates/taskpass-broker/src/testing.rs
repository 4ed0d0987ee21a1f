//! A whole broker in memory, with a clock that tests move.

pub(crate) mod faulty;
pub(crate) mod log;

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use taskpass_core::access::{Access, CertificateProfile, Risk, Stage, TokenAlg, TokenProfile};
use taskpass_core::audit::Attestation;
use taskpass_core::caller::Caller;
use taskpass_core::registry::{Agent, Operator, Owner, Role, Row, State, Target, Verifier};
use taskpass_core::rng::{Rng, SeededRng};
use taskpass_core::secret::Sha256;
use taskpass_core::time::ManualClock;
use taskpass_core::{ScopeRef, TaskId, Timestamp, Ttl};
use taskpass_issuer::KeyEncryptionKey;
use taskpass_policy::{Engine, PolicySet};
use taskpass_store::{Batched, Birth, Options, RedbBackend, Store, redb_store};

use crate::{
    Broker, CertificateRequest, ChangeRules, Deps, Error, Grounds, IssuedCertificate, IssuedToken,
    Limits, OpenError, Presented, PromotionRule, Revoke, RevokeWhat, Revoked, Standing,
    StartRequest, TokenRequest, Update, Updated, Written,
};

pub(crate) const LEDGER: &str = "https://ledger.example";
pub(crate) const MAIL: &str = "https://mail.example";
/// Seals the signing keys. Unlike anything else, so that it is found wherever it leaks.
pub(crate) const KEK: [u8; 32] = *b"kek-canary-6fT0qWz9Jr2YxV8mB4nLs";

pub(crate) struct TestBroker {
    pub(crate) broker: Arc<Broker>,
    pub(crate) store: Arc<Batched<RedbBackend>>,
    pub(crate) clock: ManualClock,
    pub(crate) rng: Arc<dyn Rng>,
}

/// How many random cases a model runs: more, or fewer, by `TASKPASS_TEST_CASES`.
#[expect(clippy::disallowed_methods, reason = "a test's own knob")]
pub(crate) fn cases(usually: u32) -> u32 {
    std::env::var("TASKPASS_TEST_CASES")
        .ok()
        .and_then(|cases| cases.parse().ok())
        .unwrap_or(usually)
}

fn scopes(target: &str, names: &[&str]) -> BTreeSet<ScopeRef> {
    names
        .iter()
        .map(|name| format!("{target}#{name}").parse().unwrap())
        .collect()
}

fn target(uri: &str, token_alg: TokenAlg) -> Row {
    Row::Target(Target {
        uri: uri.parse().unwrap(),
        scopes: [
            ("read", Access::Read),
            ("write", Access::Write),
            ("send", Access::Actuate),
        ]
        .into_iter()
        .map(|(name, access)| (name.parse().unwrap(), access))
        .collect(),
        risk: Risk::Medium,
        token_alg,
        token_profile: TokenProfile::OAuth,
        limits: taskpass_core::registry::Limits::NONE,
        observe: None,
        max_ttl: None,
        state: State::Active,
    })
}

fn agent(name: &str, owner: &str, stage: Stage, now: Timestamp) -> Row {
    let mut all = scopes(LEDGER, &["read", "write", "send"]);
    all.extend(scopes(MAIL, &["read"]));
    Row::Agent(Agent {
        name: name.parse().unwrap(),
        owner: owner.parse().unwrap(),
        purpose: "tests".into(),
        stage,
        scopes: all,
        valid_until: now.plus(Duration::from_hours(24 * 30)),
        max_ttl: None,
        labels: [].into(),
        state: State::Active,
        created_at: now,
        client_keys: Vec::new(),
        limits: taskpass_core::registry::Limits::NONE,
    })
}

impl TestBroker {
    pub(crate) async fn new() -> Self {
        Self::seeded(1).await
    }

    pub(crate) async fn seeded(seed: u64) -> Self {
        Self::on(seed, |birth, _| {
            redb_store::in_memory(birth, Options::default()).unwrap()
        })
        .await
    }

    /// With room for this many entries that the log does not have yet.
    pub(crate) async fn with_outbox(outbox_limit: u64) -> Self {
        let options = Options {
            outbox_limit,
            outbox_reserve: 0,
            ..Options::default()
        };
        Self::on(1, |birth, _| redb_store::in_memory(birth, options).unwrap()).await
    }

    /// In a file, for a test that looks at its bytes.
    pub(crate) async fn in_file(path: &Path) -> Self {
        Self::on(1, |birth, rng| {
            redb_store::create(path, &birth, rng).unwrap();
            redb_store::open(path, Options::default()).unwrap()
        })
        .await
    }

    async fn on(seed: u64, make: impl FnOnce(Birth, &dyn Rng) -> Batched<RedbBackend>) -> Self {
        let now = Timestamp::from_secs(1_700_000_000);
        let clock = ManualClock::new(now);
        let rng: Arc<dyn Rng> = Arc::new(SeededRng::new(seed));
        let birth = Birth {
            trust_domain: "test.example".parse().unwrap(),
            public_url: "https://broker.example".into(),
            crl_url: "http://broker.example".into(),
            dev: false,
            born_at: now,
            epoch: 7,
        };
        let store = Arc::new(make(birth, &*rng));
        let kek = KeyEncryptionKey::from_bytes(KEK);
        let domain = "test.example".parse().unwrap();
        crate::first_keys(&*store, &domain, &kek, &*rng, now)
            .await
            .unwrap();
        let rows = vec![
            Row::Owner(Owner {
                name: "team".parse().unwrap(),
                contact: "team@example".into(),
                limits: taskpass_core::registry::Limits::NONE,
                state: State::Active,
            }),
            Row::Owner(Owner {
                name: "others".parse().unwrap(),
                contact: "others@example".into(),
                limits: taskpass_core::registry::Limits::NONE,
                state: State::Active,
            }),
            target(LEDGER, TokenAlg::Es256),
            target(MAIL, TokenAlg::EdDsa),
            agent("reader", "team", Stage::ReadOnly, now),
            agent("payer", "team", Stage::Autonomous, now),
            agent("stranger", "others", Stage::Autonomous, now),
            Row::Operator(Operator {
                name: "ops".parse().unwrap(),
                roles: [Role::Admin].into(),
                state: State::Active,
            }),
            Row::Verifier(Verifier {
                name: "ledger".parse().unwrap(),
                targets: [LEDGER.parse().unwrap()].into(),
                state: State::Active,
            }),
        ];
        crate::first_rows(&*store, rows, &*rng, now).await.unwrap();
        let broker = open(&store, &clock, &rng).await;
        Self {
            broker,
            store,
            clock,
            rng,
        }
    }

    /// The same store under a new broker, as after a restart.
    pub(crate) async fn reopen(&mut self) {
        self.broker = open(&self.store, &self.clock, &self.rng).await;
    }

    /// The same store under a broker that asks for this before the registry changes.
    pub(crate) async fn reopen_with(&mut self, changes: ChangeRules) {
        let store = Arc::clone(&self.store) as Arc<dyn Store>;
        self.broker = open_with(store, &self.clock, &self.rng, changes).await;
    }

    /// A broker on the same store, by other policies; or why there is none.
    pub(crate) async fn open_under(
        &self,
        policies: PolicySet,
        changes: ChangeRules,
    ) -> Result<Arc<Broker>, OpenError> {
        let store = Arc::clone(&self.store) as Arc<dyn Store>;
        let mut deps = deps(store, &self.clock, &self.rng, changes);
        deps.policy = Engine::new(policies);
        Broker::open(deps).await
    }

    /// Moves the clock second by second, as the background looks for tasks whose process is gone;
    /// how many ended.
    pub(crate) async fn sweep_for(&self, seconds: u64) -> usize {
        let mut ended = self.broker.end_lost().await.unwrap();
        for _ in 0..seconds {
            self.advance(1);
            ended += self.broker.end_lost().await.unwrap();
        }
        ended
    }

    pub(crate) fn advance(&self, secs: u64) {
        self.clock.advance(Duration::from_secs(secs));
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.broker.now()
    }

    pub(crate) async fn start(&self, who: &str, names: &[&str]) -> Result<TaskId, Error> {
        self.start_under(who, names, None).await
    }

    pub(crate) async fn start_under(
        &self,
        who: &str,
        names: &[&str],
        parent: Option<TaskId>,
    ) -> Result<TaskId, Error> {
        let request = StartRequest {
            purpose: "test".into(),
            scopes: scopes(LEDGER, names),
            ttl: Some(Ttl::from_mins(30)),
            parent,
            agent: None,
            idempotency_key: None,
        };
        self.broker
            .start_task(&as_agent(who), request)
            .await
            .map(|started| started.task.id)
    }

    pub(crate) async fn token(&self, who: &str, task: TaskId) -> Result<IssuedToken, Error> {
        self.token_with(who, task, &["read"], None, 5).await
    }

    pub(crate) async fn token_with(
        &self,
        who: &str,
        task: TaskId,
        names: &[&str],
        bind: Option<Vec<u8>>,
        mins: u64,
    ) -> Result<IssuedToken, Error> {
        let request = TokenRequest {
            task,
            target: LEDGER.parse().unwrap(),
            scopes: names.iter().map(|name| name.parse().unwrap()).collect(),
            ttl: Some(Ttl::from_mins(mins)),
            bind,
        };
        self.broker.issue_token(&as_agent(who), &request).await
    }

    pub(crate) async fn certificate(
        &self,
        who: &str,
        task: TaskId,
    ) -> Result<IssuedCertificate, Error> {
        let request = CertificateRequest {
            task,
            csr: csr(),
            profile: CertificateProfile::Client,
            ttl: Some(Ttl::from_mins(10)),
        };
        self.broker
            .issue_certificate(&as_agent(who), &request)
            .await
    }

    pub(crate) async fn revoke(&self, what: RevokeWhat) -> Result<Revoked, Error> {
        self.revoke_with(what, false).await
    }

    pub(crate) async fn revoke_with(
        &self,
        what: RevokeWhat,
        no_suspend: bool,
    ) -> Result<Revoked, Error> {
        let request = Revoke {
            what,
            reason: "drill".into(),
            dry_run: false,
            no_suspend,
        };
        self.broker.revoke(&ops(), &request).await
    }

    pub(crate) async fn is_active(&self, token: &IssuedToken) -> bool {
        let presented = Presented::Token(token.token.expose());
        self.broker
            .introspect(&verifier(), &presented)
            .await
            .unwrap()
            .is_some()
    }

    pub(crate) async fn certificate_is_active(&self, certificate: &IssuedCertificate) -> bool {
        let der = leaf(certificate);
        let presented = Presented::Certificate(&der);
        self.broker
            .introspect(&verifier(), &presented)
            .await
            .unwrap()
            .is_some()
    }
}

async fn open(
    store: &Arc<Batched<RedbBackend>>,
    clock: &ManualClock,
    rng: &Arc<dyn Rng>,
) -> Arc<Broker> {
    open_on(Arc::clone(store) as Arc<dyn Store>, clock, rng).await
}

/// A broker on any store, where stages rise without grounds: what is tested is mostly something else.
pub(crate) async fn open_on(
    store: Arc<dyn Store>,
    clock: &ManualClock,
    rng: &Arc<dyn Rng>,
) -> Arc<Broker> {
    let changes = ChangeRules {
        promotion: PromotionRule::Open,
        ..ChangeRules::default()
    };
    open_with(store, clock, rng, changes).await
}

async fn open_with(
    store: Arc<dyn Store>,
    clock: &ManualClock,
    rng: &Arc<dyn Rng>,
    changes: ChangeRules,
) -> Arc<Broker> {
    Broker::open(deps(store, clock, rng, changes))
        .await
        .unwrap()
}

fn deps(
    store: Arc<dyn Store>,
    clock: &ManualClock,
    rng: &Arc<dyn Rng>,
    changes: ChangeRules,
) -> Deps {
    Deps {
        store,
        policy: Engine::new(PolicySet::shipped().unwrap()),
        kek: KeyEncryptionKey::from_bytes(KEK),
        clock: Arc::new(clock.clone()),
        rng: Arc::clone(rng),
        limits: Limits {
            changes,
            ..Limits::default()
        },
    }
}

impl Broker {
    /// Replaces an entry without saying on what a stage should rise.
    pub(crate) async fn update(
        &self,
        caller: &Standing,
        row: Row,
        expected: u64,
        reason: &str,
    ) -> Result<Written, Error> {
        let update = Update {
            row,
            expected,
            reason: reason.to_owned(),
            grounds: Grounds::Nothing,
        };
        match self.replace(caller, &update).await? {
            Updated::Written(written) => Ok(*written),
            Updated::Waits(proposal) => panic!("it waits: {proposal:?}"),
        }
    }
}

fn standing(caller: Caller) -> Standing {
    Standing {
        decision: None,
        facts: taskpass_core::revocation::Facts::of_identity(
            // Issued long ago to nobody: no rule matches it.
            &taskpass_core::identity::Principal::Operator("nobody".parse().unwrap()),
            None,
            Timestamp::ZERO,
        ),
        caller,
        generation: 1,
        trace_id: None,
        attestation: Attestation::Mtls {
            key: Sha256::of(b"key"),
        },
    }
}

pub(crate) fn as_agent(name: &str) -> Standing {
    standing(Caller::Agent(name.parse().unwrap()))
}

pub(crate) fn ops() -> Standing {
    standing(Caller::Operator(
        "ops".parse().unwrap(),
        [Role::Admin].into(),
    ))
}

pub(crate) fn verifier() -> Standing {
    standing(Caller::Verifier(
        "ledger".parse().unwrap(),
        [LEDGER.parse().unwrap()].into(),
    ))
}

/// A request for a fresh P-256 key.
pub(crate) fn csr() -> Vec<u8> {
    let key = rcgen::KeyPair::generate().unwrap();
    let mut params = rcgen::CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.serialize_request(&key).unwrap().der().to_vec()
}

/// The end-entity certificate of an answer, in DER.
pub(crate) fn leaf(certificate: &IssuedCertificate) -> Vec<u8> {
    let pem = certificate.chain_pem.split("-----END").next().unwrap();
    let text: String = pem.lines().skip(1).collect();
    data_encoding::BASE64.decode(text.as_bytes()).unwrap()
}
