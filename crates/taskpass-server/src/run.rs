//! Starting and stopping the edges.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use taskpass_broker::federation::ProcessTrust;
use taskpass_broker::{Archiver, AuditLog, Broker, LogSettings};
use taskpass_core::Clock;
use taskpass_issuer::ServerNames;
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::{Notify, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic::service::Routes;

use crate::accept::{Acceptor, Peer, Placed, Speaks};
use crate::access::Access;
use crate::callers::Callers;
use crate::federation::{Federation, FederationError};
use crate::floors::Floors;
use crate::gate::{ANONYMOUS_ROOM, Gate, Room, Shared, Stranger};
use crate::lanes::{self, Lanes};
use crate::ops::Health;
use crate::settings::{HttpTls, Settings};
use crate::tls::{ControlTls, FileTls, TlsError};
use crate::unix::UnixFront;
use crate::{background, grpc, http, oauth, ops, peer};

/// The sockets, already bound: whoever binds them knows the ports before anything is decided.
#[derive(Debug)]
pub struct Listeners {
    /// gRPC over mTLS.
    pub grpc: TcpListener,
    /// Public HTTP.
    pub http: TcpListener,
    /// Health and metrics.
    pub ops: TcpListener,
    /// The OAuth front, if there is to be one.
    pub oauth: Option<TcpListener>,
    /// The Unix socket, if there is to be one, and whom it knows.
    pub unix: Option<(UnixListener, ProcessTrust)>,
}

/// Why the edges did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// TLS could not be set up.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// Those whom the broker is to believe could not be set up.
    #[error("federation could not be set up")]
    Federation(#[from] FederationError),
    /// The audit log could not be opened.
    #[error("the audit log could not be opened")]
    Log(#[source] taskpass_broker::Error),
    /// A socket does not know its address.
    #[error("a listener has no address")]
    Address(#[source] std::io::Error),
    /// The threads that are kept free of load could not be started.
    #[error("the threads for revocation and health could not be started")]
    Threads(#[source] std::io::Error),
    /// Reflection could not be set up.
    #[error("reflection could not be set up")]
    Reflection(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// Methods of a bench, and a store that is not for development.
    #[error("the floors of a bench are for development stores only")]
    FloorsInService,
}

/// A server that runs.
#[derive(Debug)]
pub struct Running {
    /// Where gRPC is.
    pub grpc: SocketAddr,
    /// Where public HTTP is.
    pub http: SocketAddr,
    /// Where health and metrics are.
    pub ops: SocketAddr,
    /// Where the OAuth front is, if there is one.
    pub oauth: Option<SocketAddr>,
    stop: CancellationToken,
    background_stop: CancellationToken,
    connections: TaskTracker,
    background: TaskTracker,
    health: HealthHandle,
    reread: Arc<Notify>,
    reread_policies: Arc<Notify>,
    reread_federation: Arc<Notify>,
    grace: Duration,
    /// They end with it.
    _lanes: Lanes,
}

struct HealthHandle(Arc<Health>);

impl std::fmt::Debug for HealthHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Health")
    }
}

/// Starts all listeners and everything in the background.
pub async fn start(
    broker: Arc<Broker>,
    clock: Arc<dyn Clock>,
    listeners: Listeners,
    settings: Settings,
) -> Result<Running, StartError> {
    start_all(broker, clock, listeners, settings, None).await
}

/// The same with the methods of a bench, which only a store made for development gets.
pub async fn start_with_floors(
    broker: Arc<Broker>,
    clock: Arc<dyn Clock>,
    listeners: Listeners,
    settings: Settings,
    floors: Floors,
) -> Result<Running, StartError> {
    if !broker.birth().dev {
        return Err(StartError::FloorsInService);
    }
    start_all(broker, clock, listeners, settings, Some(floors)).await
}

async fn start_all(
    broker: Arc<Broker>,
    clock: Arc<dyn Clock>,
    listeners: Listeners,
    settings: Settings,
    floors: Option<Floors>,
) -> Result<Running, StartError> {
    let (grpc_at, http_at, ops_at) = addresses(&listeners)?;
    let oauth_at = oauth_address(&listeners)?;
    let lanes = Lanes::start().map_err(StartError::Threads)?;
    let moved = |listener, to| lanes::moved(listener, to).map_err(StartError::Threads);
    let grpc_listener = moved(listeners.grpc, lanes.door())?;
    let ops_listener = moved(listeners.ops, lanes.ops())?;

    rotate(&broker).await;
    let (federation, control) = trusted(&broker, &clock, &settings)?;
    let http_tls = http_tls(&settings)?;
    let archiver = archiver(&broker, &settings).await?;
    let log = archiver.log();
    let health = health(&broker, &federation);
    let (stop, background_stop) = (CancellationToken::new(), CancellationToken::new());
    let (connections, background) = (TaskTracker::new(), TaskTracker::new());

    let acceptor = |listener, speaks| Acceptor {
        listener,
        speaks,
        limits: settings.limits.clone(),
        stop: stop.clone(),
        tracker: connections.clone(),
        refused: Arc::clone(&health.refused_connections),
    };
    let (routes, floor_rows) = with_floors(routes(&broker, &log, &settings, &stop).await?, floors);
    let room = Arc::new(Semaphore::new(settings.limits.in_flight));
    let callers = callers(&settings, &clock, &room);
    let shared = Arc::new(Shared {
        routes,
        floors: floor_rows,
        reflection: settings.reflection,
        federation: Arc::clone(&federation),
        callers: Arc::clone(&callers),
        anonymous_room: Arc::new(Semaphore::new(ANONYMOUS_ROOM)),
        message_bytes: settings.limits.message_bytes,
        bodies: Room::of_callers(),
        strangers_bodies: Room::of_strangers(),
        tracker: connections.clone(),
        broker: Arc::clone(&broker),
        work: lanes.work().clone(),
        operators: lanes.operators().clone(),
        refused: Arc::clone(&health.refused_requests),
    });
    if let Some(listener) = listeners.oauth {
        let front = oauth_shared(&health, callers, room, &connections);
        let acceptor = acceptor(listener, Speaks::Either);
        connections.spawn(serve_oauth(acceptor, Arc::clone(&control), front));
    }
    if let Some(unix) = listeners.unix {
        let limits = settings.limits.clone();
        connections
            .spawn(UnixFront::new(unix, clock, Arc::clone(&shared), limits).run(stop.clone()));
    }
    let serving = serve_grpc(
        acceptor(grpc_listener, Speaks::Http2),
        Arc::clone(&control),
        shared,
    );
    connections.spawn_on(serving, lanes.door());
    let public = http::router(Arc::clone(&broker), log, oauth_url(&settings, oauth_at));
    let reread = reread(http_tls.as_ref(), &background_stop, &background);
    let reread_federation =
        background::watch_federation(federation, &control, &broker, &background_stop, &background);
    let reread_policies =
        background::watch_policies(&broker, &settings, &background_stop, &background);
    let public_tls = move || http_tls.as_ref().map(|files| files.current());
    let public_acceptor = acceptor(listeners.http, Speaks::Either);
    let public = public_acceptor.run(public_tls, move |_| Placed::here(public.clone()));
    connections.spawn(public);
    let private = ops::router(Arc::clone(&health));
    let private_acceptor = acceptor(ops_listener, Speaks::Either);
    let private = private_acceptor.run(|| None, move |_| Placed::here(private.clone()));
    connections.spawn_on(private, lanes.ops());
    background::spawn(
        &health,
        control,
        archiver,
        &settings,
        &background_stop,
        &background,
    );

    Ok(Running {
        grpc: grpc_at,
        http: http_at,
        ops: ops_at,
        oauth: oauth_at,
        stop,
        background_stop,
        connections,
        background,
        health: HealthHandle(health),
        reread,
        reread_policies,
        reread_federation,
        grace: settings.limits.grace,
        _lanes: lanes,
    })
}

impl Running {
    /// Stops accepting, lets what was begun finish within the grace, stops the background, and
    /// writes the rest of the log. Returns whether everything finished in time.
    pub async fn stop(self) -> bool {
        self.health.0.stopping.store(true, Ordering::Relaxed);
        self.stop.cancel();
        self.connections.close();
        let in_time = tokio::time::timeout(self.grace, self.connections.wait())
            .await
            .is_ok();
        self.background_stop.cancel();
        self.background.close();
        let settled = tokio::time::timeout(self.grace, self.background.wait())
            .await
            .is_ok();
        in_time && settled
    }

    /// Reads the public listener's certificate files and the policies again now, not only at their
    /// next turn.
    pub fn reread(&self) {
        self.reread.notify_one();
        self.reread_policies.notify_one();
        self.reread_federation.notify_one();
    }

    /// Resolves when the server is told to stop.
    pub fn stopped(&self) -> impl Future<Output = ()> + use<> {
        let stop = self.stop.clone();
        async move { stop.cancelled().await }
    }
}

/// Before anything is signed: a broker that was away for long may have keys that are past their time.
async fn rotate(broker: &Broker) {
    if let Err(error) = broker.rotate_due().await {
        tracing::warn!(
            error = &error as &dyn std::error::Error,
            "the keys could not be rotated"
        );
    }
}

fn with_floors(routes: Routes, floors: Option<Floors>) -> (Routes, &'static [Access]) {
    match floors {
        None => (routes, &[]),
        Some(floors) => {
            let rows = floors.rows;
            (floors.add_to(routes), rows)
        }
    }
}

/// Reads the public listener's files again as they change, and when told.
fn reread(
    files: Option<&Arc<FileTls>>,
    stop: &CancellationToken,
    background: &TaskTracker,
) -> Arc<Notify> {
    let told = Arc::new(Notify::new());
    if let Some(files) = files {
        let (files, told) = (Arc::clone(files), Arc::clone(&told));
        background.spawn(background::reread(files, told, stop.clone()));
    }
    told
}

/// Whom the broker believes, and the TLS by which callers are known.
fn trusted(
    broker: &Broker,
    clock: &Arc<dyn Clock>,
    settings: &Settings,
) -> Result<(Arc<Federation>, Arc<ControlTls>), StartError> {
    let federation = Arc::new(Federation::open(&settings.federation, broker, clock)?);
    let names = server_names(settings);
    let control = ControlTls::new(broker, Arc::clone(clock), names, Arc::clone(&federation))?;
    Ok((federation, Arc::new(control)))
}

async fn archiver(broker: &Arc<Broker>, settings: &Settings) -> Result<Archiver, StartError> {
    let log_settings = LogSettings {
        folder: settings.log_folder.clone(),
        keep_months: settings.keep_months,
    };
    Archiver::open(Arc::clone(broker), log_settings)
        .await
        .map_err(StartError::Log)
}

fn health(broker: &Arc<Broker>, federation: &Federation) -> Arc<Health> {
    Arc::new(Health {
        broker: Arc::clone(broker),
        stopping: AtomicBool::new(false),
        log_failing: AtomicBool::new(false),
        oauth: Arc::default(),
        refused_connections: Arc::default(),
        refused_requests: Arc::default(),
        attestations: Arc::clone(&federation.counts),
        export: Arc::default(),
    })
}

async fn serve_grpc(acceptor: Acceptor, control: Arc<ControlTls>, shared: Arc<Shared>) {
    let service = move |peer: Peer| {
        let broker = &shared.broker;
        let proved = match peer.certificates.first() {
            None => Err(Stranger::Nobody),
            Some(leaf) => match shared.federation.certificate(leaf) {
                Some(proved) => proved.map_err(Stranger::Refused),
                None => peer::proved(leaf, broker.trust_domain(), &broker.issuer())
                    .ok_or(Stranger::Nobody),
            },
        };
        let gate = Gate::new(Arc::clone(&shared), proved).telling(peer.known);
        let at = gate.place();
        Placed { service: gate, at }
    };
    acceptor.run(move || Some(control.current()), service).await;
}

fn callers(settings: &Settings, clock: &Arc<dyn Clock>, room: &Arc<Semaphore>) -> Arc<Callers> {
    let (clock, room) = (Arc::clone(clock), Arc::clone(room));
    Arc::new(Callers::new(settings.limits.caller, clock, room))
}

/// Where gRPC, public HTTP and operations are.
fn addresses(listeners: &Listeners) -> Result<(SocketAddr, SocketAddr, SocketAddr), StartError> {
    let at = |listener: &TcpListener| listener.local_addr().map_err(StartError::Address);
    Ok((
        at(&listeners.grpc)?,
        at(&listeners.http)?,
        at(&listeners.ops)?,
    ))
}

fn oauth_address(listeners: &Listeners) -> Result<Option<SocketAddr>, StartError> {
    let at = listeners.oauth.as_ref().map(TcpListener::local_addr);
    at.transpose().map_err(StartError::Address)
}

fn oauth_shared(
    health: &Health,
    callers: Arc<Callers>,
    room: Arc<Semaphore>,
    tracker: &TaskTracker,
) -> Arc<oauth::Shared> {
    Arc::new(oauth::Shared {
        broker: Arc::clone(&health.broker),
        callers,
        room,
        anonymous_room: Arc::new(Semaphore::new(ANONYMOUS_ROOM)),
        tracker: tracker.clone(),
        counts: Arc::clone(&health.oauth),
    })
}

async fn serve_oauth(acceptor: Acceptor, control: Arc<ControlTls>, shared: Arc<oauth::Shared>) {
    let router = oauth::router();
    let tls = Arc::clone(&control);
    let service = move |peer: Peer| {
        let peer = tls.oauth().peer(&peer.certificates, &shared.broker);
        Placed::here(router.clone().with_state(oauth::Front {
            shared: Arc::clone(&shared),
            peer,
        }))
    };
    acceptor
        .run(move || Some(control.oauth().config()), service)
        .await;
}

/// Where clients find the OAuth front.
fn oauth_url(settings: &Settings, at: Option<SocketAddr>) -> http::OauthUrl {
    http::OauthUrl(at.map(|at| match &settings.oauth_url {
        Some(url) => url.trim_end_matches('/').into(),
        None => format!("https://{at}").into(),
    }))
}

async fn routes(
    broker: &Arc<Broker>,
    log: &Arc<AuditLog>,
    settings: &Settings,
    stop: &CancellationToken,
) -> Result<Routes, StartError> {
    let (reporter, health) = tonic_health::server::health_reporter();
    reporter
        .set_service_status("", tonic_health::ServingStatus::Serving)
        .await;
    let stopping = stop.clone();
    tokio::spawn(async move {
        stopping.cancelled().await;
        reporter
            .set_service_status("", tonic_health::ServingStatus::NotServing)
            .await;
    });
    let mut routes = Routes::new(health);
    if settings.reflection {
        let reflection = tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(taskpass_api::DESCRIPTORS)
            .build_v1()
            .map_err(|error| StartError::Reflection(Box::new(error)))?;
        routes = routes.add_service(reflection);
    }
    Ok(grpc::routes(
        broker,
        log,
        settings.limits.message_bytes,
        stop,
        routes,
    ))
}

fn server_names(settings: &Settings) -> ServerNames {
    let mut dns = vec!["localhost".to_owned()];
    dns.extend(settings.dns_names.iter().cloned());
    let mut ips = vec![
        std::net::IpAddr::from(std::net::Ipv4Addr::LOCALHOST),
        std::net::IpAddr::from(std::net::Ipv6Addr::LOCALHOST),
    ];
    ips.extend(settings.ip_addresses.iter().copied());
    dns.dedup();
    ips.dedup();
    ServerNames { dns, ips }
}

fn http_tls(settings: &Settings) -> Result<Option<Arc<FileTls>>, TlsError> {
    match &settings.http_tls {
        HttpTls::Plain => Ok(None),
        HttpTls::Files { cert, key } => FileTls::open(cert, key).map(Arc::new).map(Some),
    }
}
