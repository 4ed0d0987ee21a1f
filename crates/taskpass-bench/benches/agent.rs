//! Revoking an agent with 1 000 000 live credentials, and twenty with 50 000, beside revoking one
//! credential; and how long until the published lists say so.
//!
//! `cargo bench -p taskpass-bench --bench agent`; the goals are that the commit takes as long as
//! that of one, and that all lists are right within 5 s. A real broker on a store in memory, and on
//! one in a file; the credentials are recorded by commits of 1 000, nine tokens to a certificate,
//! under 1 000 tasks, all ending within one hour. Behind the broker run the same loops as in the
//! server; lists are asked for over and over, as their readers do, and are right when every bit and
//! every serial number is there.

#![expect(
    clippy::unwrap_used,
    reason = "a bench that cannot be set up has no figure"
)]

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use taskpass_bench::pace::since;
use taskpass_bench::{Report, Spread, floor};
use taskpass_broker::{Broker, Deps, Limits, ListLane, Revoke, RevokeWhat, Standing};
use taskpass_core::access::{Access, Risk, Stage, TokenAlg, TokenProfile};
use taskpass_core::audit::Attestation;
use taskpass_core::caller::Caller;
use taskpass_core::credential::{Credential, CredentialBody, CredentialKind};
use taskpass_core::id::DecisionId;
use taskpass_core::key::KeyId;
use taskpass_core::listing::{LIST_LEN, ListId, ListPlace, list_hour};
use taskpass_core::registry::{Agent, Operator, Owner, Role, Row, State, Target};
use taskpass_core::revocation::Facts;
use taskpass_core::rng::{Rng, SystemRng};
use taskpass_core::secret::Sha256;
use taskpass_core::task::Task;
use taskpass_core::time::SystemClock;
use taskpass_core::{Clock, CredentialId, TaskId, Timestamp};
use taskpass_issuer::{AuthorityId, Hierarchy, KeyEncryptionKey};
use taskpass_policy::{Engine, PolicySet};
use taskpass_status::{Expect, StatusList};
use taskpass_store::{
    Batched, Birth, Change, Commit, Lane, MetaKey, Options, RedbBackend, Store, redb_store,
};
use tokio::task::JoinSet;
use x509_parser::prelude::{CertificateRevocationList, FromDer as _};

const LEDGER: &str = "https://ledger.example";
const TASKS: u64 = 1_000;
const EACH: u64 = 1_000;
const ALL: u64 = TASKS * EACH;
/// Every tenth is a certificate.
const CERTIFICATES: u64 = ALL / 10;
const TURNS: usize = 100;
/// Agents with fewer, so that there is more than one first time.
const MEDIUM: u64 = 20;
const MEDIUM_EACH: u64 = 50_000;
/// How long it is quiet before each of those.
const QUIET: Duration = Duration::from_secs(1);

fn agent(name: &str, now: Timestamp) -> Row {
    Row::Agent(Agent {
        name: name.parse().unwrap(),
        owner: "team".parse().unwrap(),
        purpose: "bench".into(),
        stage: Stage::ReadOnly,
        scopes: [format!("{LEDGER}#read").parse().unwrap()].into(),
        valid_until: now.plus(Duration::from_hours(24)),
        client_keys: Vec::new(),
        limits: taskpass_core::registry::Limits::NONE,
        max_ttl: None,
        labels: [].into(),
        state: State::Active,
        created_at: now,
    })
}

fn rows(now: Timestamp) -> Vec<Row> {
    let mut rows = vec![
        Row::Owner(Owner {
            name: "team".parse().unwrap(),
            contact: "team@example.org".into(),
            limits: taskpass_core::registry::Limits::NONE,
            state: State::Active,
        }),
        Row::Target(Target {
            uri: LEDGER.parse().unwrap(),
            scopes: [("read".parse().unwrap(), Access::Read)].into(),
            risk: Risk::Medium,
            token_alg: TokenAlg::Es256,
            token_profile: TokenProfile::OAuth,
            limits: taskpass_core::registry::Limits::NONE,
            observe: None,
            max_ttl: None,
            state: State::Active,
        }),
        Row::Operator(Operator {
            name: "ops".parse().unwrap(),
            roles: [Role::Admin].into(),
            state: State::Active,
        }),
    ];
    let medium = (0..MEDIUM).map(medium);
    let agents = ["large".to_owned(), "small".to_owned()]
        .into_iter()
        .chain(medium);
    rows.extend(agents.map(|name| agent(&name, now)));
    rows
}

fn medium(number: u64) -> String {
    format!("medium-{number}")
}

/// How many tokens have a place.
fn tokens() -> u64 {
    ALL - CERTIFICATES + TURNS as u64 + MEDIUM * MEDIUM_EACH + MEDIUM
}

fn operator() -> Standing {
    let name = "ops".parse().unwrap();
    let caller = Caller::Operator(name, [Role::Admin].into());
    Standing {
        decision: None,
        facts: Facts::of_identity(&caller.principal(), None, Timestamp::ZERO),
        caller,
        generation: 1,
        trace_id: None,
        attestation: Attestation::Mtls {
            key: Sha256::of(b"key"),
        },
    }
}

struct Bench {
    store: Arc<Batched<RedbBackend>>,
    broker: Arc<Broker>,
    clock: Arc<dyn Clock>,
    rng: Arc<dyn Rng>,
    token_key: KeyId,
    authority: (AuthorityId, KeyId),
    /// Between these everything ends; it is in one hour.
    ends: (Timestamp, Timestamp),
}

impl Bench {
    async fn on(file: Option<&Path>) -> Self {
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
        let store = match file {
            Some(path) => {
                redb_store::create(path, &birth, &*rng).unwrap();
                redb_store::open(path, Options::default()).unwrap()
            }
            None => redb_store::in_memory(birth, Options::default()).unwrap(),
        };
        let store = Arc::new(store);
        let kek = KeyEncryptionKey::from_bytes([7; 32]);
        let first = taskpass_broker::first_keys(&*store, &domain, &kek, &*rng, now);
        first.await.unwrap();
        let first = taskpass_broker::first_rows(&*store, rows(now), &*rng, now);
        first.await.unwrap();
        let deps = Deps {
            store: Arc::clone(&store) as Arc<dyn Store>,
            policy: Engine::new(PolicySet::shipped().unwrap()),
            kek,
            clock: Arc::clone(&clock),
            rng: Arc::clone(&rng),
            limits: Limits::default(),
        };
        let broker = Broker::open(deps).await.unwrap();
        let issuer = broker.issuer();
        let authority = issuer.authorities(Hierarchy::Task, now).remove(0);
        let token_key = issuer.jwks(now).iter().next().unwrap().id().clone();
        // Half an hour around forty minutes from now, as far as it lies in one hour.
        let hour = list_hour(now.plus(Duration::from_mins(40)));
        let ends = (
            now.plus(Duration::from_mins(25))
                .max(Timestamp::from_secs(hour * 3600)),
            now.plus(Duration::from_mins(55))
                .min(Timestamp::from_secs((hour + 1) * 3600 - 1)),
        );
        Self {
            store,
            broker,
            clock,
            rng,
            token_key,
            authority: (authority.id, authority.key),
            ends,
        }
    }

    fn task(&self, agent: &str) -> Task {
        let now = self.clock.now();
        Task {
            id: TaskId::generate(now.plus(Duration::from_hours(2)), &*self.rng),
            agent: agent.parse().unwrap(),
            purpose: "bench".into(),
            scopes: [format!("{LEDGER}#read").parse().unwrap()].into(),
            ancestors: Vec::new(),
            started_at: now,
            decision: DecisionId::generate(now, &*self.rng),
            ended: None,
        }
    }

    /// The `n`th credential: they end one after the other.
    fn credential(&self, task: &Task, n: u64) -> Credential {
        let now = self.clock.now();
        let (first, last) = (self.ends.0.millis(), self.ends.1.millis());
        let end = Timestamp::from_millis(first + (last - first) * n / ALL);
        let is_certificate = n.is_multiple_of(10);
        let place = if is_certificate {
            n / 10
        } else {
            n - n / 10 - 1
        };
        Credential {
            id: CredentialId::generate(end, &*self.rng),
            task: task.id,
            ancestors: Vec::new(),
            agent: task.agent.clone(),
            owner: "team".parse().unwrap(),
            issued_at: now,
            key: if is_certificate {
                self.authority.1.clone()
            } else {
                self.token_key.clone()
            },
            decision: DecisionId::generate(now, &*self.rng),
            digest: Sha256::of(&n.to_be_bytes()),
            listed: ListPlace::from_number(place),
            body: if is_certificate {
                CredentialBody::Certificate
            } else {
                CredentialBody::Token {
                    target: LEDGER.parse().unwrap(),
                    scopes: vec!["read".parse().unwrap()],
                    bound_to: None,
                }
            },
        }
    }

    async fn commit(&self, changes: Vec<Change>) -> Duration {
        let mut commit = Commit::new(self.clock.now()).in_lane(Lane::Normal);
        commit.changes = changes;
        let began = self.clock.monotonic();
        self.store.commit(commit).await.unwrap();
        since(began, &*self.clock)
    }

    async fn start(&self, task: &Task) {
        let start = Change::StartTask {
            task: task.clone(),
            idempotency: None,
            owner: "team".parse().unwrap(),
        };
        self.commit(vec![start]).await;
    }

    /// Places for all, then the credentials.
    async fn fill(&self) {
        let kinds = [
            (CredentialKind::Token, tokens()),
            (CredentialKind::Certificate, CERTIFICATES),
        ];
        for (kind, next) in kinds {
            let hour = list_hour(self.ends.0);
            self.commit(vec![Change::LeasePlaces { kind, hour, next }])
                .await;
        }
        for number in 0..TASKS {
            let task = self.task("large");
            self.start(&task).await;
            let own = number * EACH..(number + 1) * EACH;
            let record = own.map(|n| Change::RecordCredential(self.credential(&task, n)));
            self.commit(record.collect()).await;
        }
    }

    /// Tokens only, for each of the medium agents, under fifty tasks.
    async fn fill_medium(&self) {
        for number in 0..MEDIUM {
            for part in 0..MEDIUM_EACH / EACH {
                let task = self.task(&medium(number));
                self.start(&task).await;
                let first = ALL - CERTIFICATES + TURNS as u64;
                let first = first + number * MEDIUM_EACH + part * EACH;
                let record = (0..EACH).map(|n| {
                    let mut credential = self.credential(&task, part * EACH + n / 9 * 10 + 1);
                    credential.listed = ListPlace::from_number(first + n);
                    Change::RecordCredential(credential)
                });
                self.commit(record.collect()).await;
            }
        }
    }

    /// The medium agents, each for the first time and after a pause, while the lists are kept; and as
    /// often one credential, so that both are as cold.
    async fn firsts(&self) -> (Spread, Spread) {
        let task = self.task("small");
        self.start(&task).await;
        let (mut one, mut first) = (Vec::new(), Vec::new());
        for number in 0..MEDIUM {
            let mut credential = self.credential(&task, 1);
            credential.listed = ListPlace::from_number(tokens() - MEDIUM + number);
            let id = credential.id;
            self.commit(vec![Change::RecordCredential(credential)])
                .await;
            tokio::time::sleep(QUIET).await;
            one.push(self.revoke(RevokeWhat::Credential(id)).await);
            tokio::time::sleep(QUIET).await;
            let agent = RevokeWhat::Agent(medium(number).parse().unwrap());
            first.push(self.revoke(agent).await);
        }
        (Spread::millis(one), Spread::millis(first))
    }

    /// Small commits that record nothing: the floor of everything below.
    async fn commits(&self) -> Spread {
        let mut times = Vec::new();
        for turn in 0..TURNS {
            let put = Change::PutMeta {
                key: MetaKey::SettledSeq,
                value: (turn as u64 % 2).to_be_bytes().to_vec(),
            };
            times.push(self.commit(vec![put]).await);
        }
        Spread::millis(times)
    }

    async fn revoke(&self, what: RevokeWhat) -> Duration {
        let request = Revoke {
            what,
            reason: "bench".into(),
            dry_run: false,
            no_suspend: true,
        };
        let began = self.clock.monotonic();
        self.broker.revoke(&operator(), &request).await.unwrap();
        since(began, &*self.clock)
    }

    /// Many credentials of another agent, revoked one by one, and that agent as often.
    async fn small(&self) -> (Spread, Spread) {
        let task = self.task("small");
        self.start(&task).await;
        let (mut one, mut agent) = (Vec::new(), Vec::new());
        for turn in 0..TURNS {
            let mut credential = self.credential(&task, 1);
            let place = ALL - CERTIFICATES + turn as u64;
            credential.listed = ListPlace::from_number(place);
            let id = credential.id;
            self.commit(vec![Change::RecordCredential(credential)])
                .await;
            one.push(self.revoke(RevokeWhat::Credential(id)).await);
            agent.push(
                self.revoke(RevokeWhat::Agent("small".parse().unwrap()))
                    .await,
            );
        }
        (Spread::millis(one), Spread::millis(agent))
    }

    /// Whether every status list and CRL says what it must of `revoked` in all.
    async fn lists_are_right(&self) -> bool {
        let hour = list_hour(self.ends.0);
        let issuer = self.broker.issuer();
        let tokens = tokens();
        let keys = issuer.jwks(self.clock.now());
        for list in 0..tokens.div_ceil(LIST_LEN.into()) {
            let id = ListId {
                hour,
                list: u32::try_from(list).unwrap(),
            };
            let Ok(document) = self.broker.status_list(id).await else {
                return false;
            };
            let expect = Expect {
                uri: &issuer.status_location(id),
                now: self.clock.now(),
                leeway: Duration::from_secs(1),
            };
            let text = std::str::from_utf8(&document.body).unwrap();
            let read = StatusList::verify(text, &keys, &expect).unwrap();
            let set: u64 = read
                .packed()
                .bytes()
                .iter()
                .map(|byte| u64::from(byte.count_ones()))
                .sum();
            if set < u64::from(LIST_LEN).min(tokens - list * u64::from(LIST_LEN)) {
                return false;
            }
        }
        let id = ListId { hour, list: 0 };
        let Ok(document) = self.broker.crl(&self.authority.0, id).await else {
            return false;
        };
        let (_, crl) = CertificateRevocationList::from_der(&document.body).unwrap();
        crl.iter_revoked_certificates().count() as u64 == CERTIFICATES
    }

    /// How long the lists need to be right, from now on.
    async fn until_right(&self) -> Duration {
        let began = self.clock.monotonic();
        while !self.lists_are_right().await {
            let spent = since(began, &*self.clock);
            assert!(spent < Duration::from_mins(2), "the lists are never right");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        since(began, &*self.clock)
    }
}

/// One lane of the lists, as the server runs it.
async fn derive(broker: Arc<Broker>, lane: ListLane) {
    let mut newest = broker.watch_rules();
    let mut ticks = tokio::time::interval(Duration::from_secs(1));
    loop {
        newest.mark_unchanged();
        broker.list_revoked(lane).await.unwrap();
        tokio::select! {
            _ = newest.changed() => {}
            _ = ticks.tick() => {}
        }
    }
}

async fn run(name: &str, folder: Option<&Path>, report: Report) {
    let file = folder.map(|folder| folder.join("store.redb"));
    let bench = Bench::on(file.as_deref()).await;
    let began = bench.clock.monotonic();
    bench.fill().await;
    bench.fill_medium().await;
    let filled = since(began, &*bench.clock).as_secs_f64();
    report.line(
        &format!("{name}: {ALL} credentials recorded"),
        &[("seconds", json!(filled))],
    );
    let sync = folder.map(|folder| floor::sync(folder, &*bench.clock).unwrap());
    let before = bench.commits().await;
    let (one, small) = bench.small().await;
    let mut lanes = JoinSet::new();
    for lane in ListLane::ALL {
        lanes.spawn(derive(Arc::clone(&bench.broker), lane));
    }
    // What came before is worked through: the first pass is not the figure.
    while bench.broker.lists_behind() > Duration::ZERO {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let (cold, firsts) = bench.firsts().await;
    tokio::time::sleep(QUIET).await;
    let large = || RevokeWhat::Agent("large".parse().unwrap());
    let first = Spread::millis([bench.revoke(large()).await]);
    let right = bench.until_right().await;
    lanes.shutdown().await;
    let mut again = Vec::new();
    for _ in 0..TURNS {
        again.push(bench.revoke(large()).await);
    }
    let again = Spread::millis(again);
    let after = bench.commits().await;
    let moved = floor::moved(&before, &after);
    let spread = |what: &str, spread: &Spread| {
        let figures = [
            ("p50_ms", json!(spread.p50())),
            ("p99_ms", json!(spread.p99())),
            ("n", json!(spread.len())),
        ];
        report.line(&format!("{name}: {what}"), &figures);
    };
    if let Some(sync) = sync {
        spread("floor: sync of 4 KiB", &sync);
    }
    spread("floor: small commit, before", &before);
    spread("floor: small commit, after", &after);
    spread("revoking one credential", &one);
    spread("revoking an agent with few credentials", &small);
    spread("after a pause: one credential", &cold);
    spread(
        "after a pause: an agent with 50 000, the first time",
        &firsts,
    );
    spread("after a pause: the large agent, the first time", &first);
    spread("revoking the large agent, again", &again);
    report.line(
        &format!("{name}: large agent over one credential"),
        &[
            ("first_ratio", json!(first.p50() / cold.p50())),
            ("first_of_50000_ratio", json!(firsts.p50() / cold.p50())),
            ("ratio", json!(again.p50() / one.p50())),
            ("floor_moved", json!(moved)),
            ("steady", json!(floor::is_steady(moved))),
        ],
    );
    report.line(
        &format!("{name}: all lists right after"),
        &[("seconds", json!(right.as_secs_f64()))],
    );
}

#[tokio::main]
async fn main() {
    let report = Report::from_args(std::env::args());
    run("in memory", None, report).await;
    let folder = tempfile::tempdir().unwrap();
    run("on disk", Some(folder.path()), report).await;
}
