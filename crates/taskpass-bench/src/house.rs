//! A whole broker for one measurement: store, broker and edges in this process, on real sockets of
//! the loopback, with TLS; and the connections that load comes over.
//!
//! Server and clients share the machine's CPUs, as they would as two processes; so does every floor
//! that a figure is divided by. The store is marked as one for development: no broker serves it.

mod people;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use taskpass_broker::{Broker, Deps, LimitDefaults, Limits, first_keys, first_rows};
use taskpass_client::Identity;
use taskpass_core::Clock;
use taskpass_core::rng::Rng;
use taskpass_issuer::KeyEncryptionKey;
use taskpass_policy::{Engine, PolicySet};
use taskpass_server::{
    CallerLimits, CheckpointExport, HttpTls, Listeners, Running, Settings, TransportLimits,
    start_with_floors,
};
use taskpass_store::{Batched, Birth, Options, RedbBackend, Store as _, redb_store};
use tokio::net::TcpListener;
use tokio::runtime::Handle;

use crate::error::BenchError;
use crate::load::Load;
use crate::service;
use crate::sign::Signers;
use crate::station::{Station, Work};

pub(crate) use people::{EDDSA_TARGET, ES256_TARGET, SCOPE};

/// How many connections load comes over.
pub(crate) const CONNECTIONS: usize = 8;
/// What never comes while something is measured.
const NEVER: Duration = Duration::from_hours(24 * 365);

/// What every house is made with.
#[derive(Clone)]
pub(crate) struct Surroundings {
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) rng: Arc<dyn Rng>,
    pub(crate) signers: Arc<Signers>,
    /// Where the clients run.
    pub(crate) clients: Handle,
    /// An empty folder.
    pub(crate) data: PathBuf,
}

/// How a house differs from another one.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Form {
    /// The store's file, or memory.
    pub(crate) in_file: bool,
    /// Whether entries move to the log, or stay where they were committed.
    pub(crate) archived: bool,
    /// Whether what has expired is removed by itself.
    pub(crate) reaped: bool,
    /// How many connections each agent has, each with a task of its own.
    pub(crate) lines: usize,
    /// How many connections there is room for beside the usual ones, which nobody asks whether they live.
    pub(crate) crowd: usize,
}

impl Form {
    /// As a broker runs, but that nothing is reaped while something is measured.
    pub(crate) const DURABLE: Self = Self {
        in_file: true,
        archived: true,
        reaped: false,
        lines: 1,
        crowd: 0,
    };
}

impl Surroundings {
    /// Calls of one kind over these connections.
    pub(crate) fn load(&self, stations: &Arc<[Station]>, work: Work, in_flight: usize) -> Load {
        Load {
            stations: Arc::clone(stations),
            work,
            in_flight,
            clients: self.clients.clone(),
            clock: Arc::clone(&self.clock),
        }
    }
}

/// A broker that runs, and its callers.
pub(crate) struct House {
    pub(crate) broker: Arc<Broker>,
    pub(crate) store: Arc<Batched<RedbBackend>>,
    /// Agents, each with a connection and a task of its own.
    pub(crate) agents: Arc<[Station]>,
    /// The connections of a verifier.
    pub(crate) verifiers: Arc<[Station]>,
    /// The verifier.
    pub(crate) verifier: Arc<Identity>,
    /// Who may revoke.
    pub(crate) operator: Arc<Identity>,
    running: Running,
    folder: PathBuf,
}

impl House {
    /// Opens one; its files are under `name`.
    pub(crate) async fn open(
        around: &Surroundings,
        name: &str,
        form: Form,
    ) -> Result<Self, BenchError> {
        let folder = around.data.join(name);
        std::fs::create_dir(&folder).map_err(BenchError::setup("make a folder"))?;
        let kek = KeyEncryptionKey::from_bytes(around.rng.bytes32());
        let store = Arc::new(store(around, &folder, form)?);
        prepare(around, &store, &kek).await?;
        let broker = broker(around, Arc::clone(&store), kek).await?;
        let running = serve(around, &broker, &folder, form).await?;
        let callers = people::callers(around, &broker, &store, running.grpc, form.lines).await?;
        Ok(Self {
            broker,
            store,
            agents: callers.agents,
            verifiers: callers.verifiers,
            verifier: callers.verifier,
            operator: callers.operator,
            running,
            folder,
        })
    }

    /// Where gRPC is.
    pub(crate) const fn grpc(&self) -> SocketAddr {
        self.running.grpc
    }

    /// Where health is.
    pub(crate) const fn ops(&self) -> SocketAddr {
        self.running.ops
    }

    /// Ends it and removes its files.
    pub(crate) async fn close(self) {
        drop((self.agents, self.verifiers));
        if !self.running.stop().await {
            tracing::warn!("a broker of the bench did not stop in time");
        }
        drop(self.broker);
        self.store.close().await;
        // What stays behind is in a folder that the caller removes, too.
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

async fn broker(
    around: &Surroundings,
    store: Arc<Batched<RedbBackend>>,
    kek: KeyEncryptionKey,
) -> Result<Arc<Broker>, BenchError> {
    let policy = PolicySet::shipped().map_err(BenchError::setup("load the policies"))?;
    let deps = Deps {
        store,
        policy: Engine::new(policy),
        kek,
        clock: Arc::clone(&around.clock),
        rng: Arc::clone(&around.rng),
        limits: limits(),
    };
    Broker::open(deps)
        .await
        .map_err(BenchError::setup("open a broker"))
}

async fn serve(
    around: &Surroundings,
    broker: &Arc<Broker>,
    folder: &Path,
    form: Form,
) -> Result<Running, BenchError> {
    let listeners = Listeners {
        grpc: listener().await?,
        http: listener().await?,
        ops: listener().await?,
        oauth: None,
        unix: None,
    };
    let floors = service::floors(broker, Arc::clone(&around.signers), Arc::clone(&around.rng));
    let (broker, clock) = (Arc::clone(broker), Arc::clone(&around.clock));
    start_with_floors(broker, clock, listeners, settings(folder, form), floors)
        .await
        .map_err(BenchError::setup("start the listeners"))
}

async fn listener() -> Result<TcpListener, BenchError> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .await
        .map_err(BenchError::setup("listen on the loopback"))
}

/// No limit of an agent's is in the way of the load.
fn limits() -> Limits {
    Limits {
        amounts: LimitDefaults::CEILINGS,
        task_max_ttl: taskpass_core::ttl::MAX_TASK_TTL,
        skew: Duration::from_secs(1),
        retention: Duration::ZERO,
        ..Limits::default()
    }
}

fn birth(around: &Surroundings) -> Result<Birth, BenchError> {
    Ok(Birth {
        trust_domain: "bench.taskpass.test"
            .parse()
            .map_err(BenchError::setup("name a trust domain"))?,
        public_url: "https://broker.bench.test".to_owned(),
        crl_url: "http://broker.bench.test".to_owned(),
        dev: true,
        born_at: around.clock.now(),
        epoch: 1,
    })
}

fn store(
    around: &Surroundings,
    folder: &Path,
    form: Form,
) -> Result<Batched<RedbBackend>, BenchError> {
    let birth = birth(around)?;
    let mut options = Options {
        clock: Some(Arc::clone(&around.clock)),
        ..Options::default()
    };
    if !form.archived {
        options.outbox_limit = u64::MAX / 2;
    }
    if !form.in_file {
        return redb_store::in_memory(birth, options).map_err(BenchError::setup("make a store"));
    }
    let path = folder.join("store.redb");
    redb_store::create(&path, &birth, &*around.rng).map_err(BenchError::setup("make a store"))?;
    redb_store::open(&path, options).map_err(BenchError::setup("open a store"))
}

async fn prepare(
    around: &Surroundings,
    store: &Batched<RedbBackend>,
    kek: &KeyEncryptionKey,
) -> Result<(), BenchError> {
    let now = around.clock.now();
    let domain = store.birth().trust_domain.clone();
    first_keys(store, &domain, kek, &*around.rng, now)
        .await
        .map_err(BenchError::setup("make the keys"))?;
    first_rows(store, people::rows(now)?, &*around.rng, now)
        .await
        .map_err(BenchError::setup("register the callers"))
}

fn settings(folder: &Path, form: Form) -> Settings {
    let every = |is: bool, period| if is { period } else { NEVER };
    let default = TransportLimits::default();
    Settings {
        dns_names: Vec::new(),
        ip_addresses: Vec::new(),
        http_tls: HttpTls::Plain,
        oauth_url: None,
        reflection: false,
        policies: None,
        log_folder: folder.join("audit"),
        keep_months: None,
        checkpoint_export: CheckpointExport::default(),
        federation: taskpass_server::FederationSettings::default(),
        reap_interval: every(form.reaped, Duration::from_secs(1)),
        archive_interval: every(form.archived, Duration::from_millis(250)),
        limits: TransportLimits {
            caller: CallerLimits {
                requests_per_second: u32::MAX,
                in_flight: usize::MAX,
                streams: usize::MAX,
                all_per_second: u32::MAX,
            },
            // From one address all but one in sixty-four.
            connections: default.connections + form.crowd + form.crowd / 32,
            keepalive: every(form.crowd == 0, default.keepalive),
            idle_timeout: NEVER,
            ..default
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use taskpass_core::rng::SystemRng;
    use taskpass_core::time::SystemClock;
    use taskpass_server::StartError;

    #[tokio::test]
    async fn a_broker_in_service_gets_no_floors() {
        let folder = tempfile::tempdir().unwrap();
        let around = Surroundings {
            clock: Arc::new(SystemClock::new()),
            rng: Arc::new(SystemRng::new()),
            signers: Arc::new(Signers::new(&SystemRng::new()).unwrap()),
            clients: Handle::current(),
            data: folder.path().to_owned(),
        };
        for dev in [true, false] {
            let birth = Birth {
                dev,
                ..birth(&around).unwrap()
            };
            let store = redb_store::in_memory(birth, Options::default()).unwrap();
            let kek = KeyEncryptionKey::from_bytes([7; 32]);
            prepare(&around, &store, &kek).await.unwrap();
            let broker = broker(&around, Arc::new(store), kek).await.unwrap();
            let started = serve(&around, &broker, folder.path(), Form::DURABLE).await;
            match started {
                Ok(running) => {
                    assert!(dev);
                    running.stop().await;
                }
                Err(BenchError::Setup { source, .. }) => {
                    assert!(!dev);
                    let why = source.downcast_ref::<StartError>().unwrap();
                    assert!(matches!(why, StartError::FloorsInService), "{why}");
                }
                Err(other) => panic!("{other}"),
            }
        }
    }
}
