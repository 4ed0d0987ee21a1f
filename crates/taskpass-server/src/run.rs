//! Starting and stopping the edges.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use taskpass_broker::{Archiver, AuditLog, Broker, LogSettings};
use taskpass_core::Clock;
use taskpass_issuer::ServerNames;
use tokio::net::TcpListener;
use tokio::sync::{Notify, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic::service::Routes;

use crate::accept::{Acceptor, PeerCertificates, Speaks};
use crate::gate::{ANONYMOUS_ROOM, Gate, Shared};
use crate::ops::Health;
use crate::settings::{HttpTls, Settings};
use crate::tls::{ControlTls, FileTls, TlsError};
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
}

/// Why the edges did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// TLS could not be set up.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The audit log could not be opened.
    #[error("the audit log could not be opened")]
    Log(#[source] taskpass_broker::Error),
    /// A socket does not know its address.
    #[error("a listener has no address")]
    Address(#[source] std::io::Error),
    /// Reflection could not be set up.
    #[error("reflection could not be set up")]
    Reflection(#[source] Box<dyn std::error::Error + Send + Sync>),
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
    grace: Duration,
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
    let addresses = [&listeners.grpc, &listeners.http, &listeners.ops]
        .map(TcpListener::local_addr)
        .map(|address| address.map_err(StartError::Address));
    let [grpc_at, http_at, ops_at] = addresses;
    let (grpc_at, http_at, ops_at) = (grpc_at?, http_at?, ops_at?);
    let oauth_at = oauth_address(&listeners)?;

    // Before anything is signed: a broker that was away for long may have keys that are past their time.
    if let Err(error) = broker.rotate_due().await {
        tracing::warn!(
            error = &error as &dyn std::error::Error,
            "the keys could not be rotated"
        );
    }
    let control = Arc::new(ControlTls::new(&broker, clock, server_names(&settings))?);
    let http_tls = http_tls(&settings)?;
    let log_settings = LogSettings {
        folder: settings.log_folder.clone(),
        keep_months: settings.keep_months,
    };
    let archiver = Archiver::open(Arc::clone(&broker), log_settings)
        .await
        .map_err(StartError::Log)?;
    let log = archiver.log();
    let health = Arc::new(Health {
        broker: Arc::clone(&broker),
        stopping: AtomicBool::new(false),
        log_failing: AtomicBool::new(false),
        oauth: Arc::default(),
        export: Arc::default(),
    });
    let (stop, background_stop) = (CancellationToken::new(), CancellationToken::new());
    let (connections, background) = (TaskTracker::new(), TaskTracker::new());

    let acceptor = |listener, speaks| Acceptor {
        listener,
        speaks,
        limits: settings.limits.clone(),
        stop: stop.clone(),
        tracker: connections.clone(),
    };
    let shared = Arc::new(Shared {
        routes: routes(&broker, &log, &settings, &stop).await?,
        reflection: settings.reflection,
        room: Arc::new(Semaphore::new(settings.limits.in_flight)),
        anonymous_room: Arc::new(Semaphore::new(ANONYMOUS_ROOM)),
        message_bytes: settings.limits.message_bytes,
        tracker: connections.clone(),
        broker: Arc::clone(&broker),
    });
    if let Some(listener) = listeners.oauth {
        let room = Arc::clone(&shared.room);
        let front = oauth_shared(&health, room, &connections);
        let acceptor = acceptor(listener, Speaks::Either);
        connections.spawn(serve_oauth(acceptor, Arc::clone(&control), front));
    }
    connections.spawn(serve_grpc(
        acceptor(listeners.grpc, Speaks::Http2),
        Arc::clone(&control),
        shared,
    ));
    let public = http::router(Arc::clone(&broker), log, oauth_url(&settings, oauth_at));
    let public_acceptor = acceptor(listeners.http, Speaks::Either);
    let reread = Arc::new(Notify::new());
    if let Some(files) = &http_tls {
        background.spawn(background::reread(
            Arc::clone(files),
            Arc::clone(&reread),
            background_stop.clone(),
        ));
    }
    let reread_policies =
        background::watch_policies(&broker, &settings, &background_stop, &background);
    let public_tls = move || http_tls.as_ref().map(|files| files.current());
    connections.spawn(public_acceptor.run(public_tls, move |_| public.clone()));
    let private = ops::router(Arc::clone(&health));
    let private_acceptor = acceptor(listeners.ops, Speaks::Either);
    connections.spawn(private_acceptor.run(|| None, move |_| private.clone()));
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
        grace: settings.limits.grace,
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
    }

    /// Resolves when the server is told to stop.
    pub fn stopped(&self) -> impl Future<Output = ()> + use<> {
        let stop = self.stop.clone();
        async move { stop.cancelled().await }
    }
}

async fn serve_grpc(acceptor: Acceptor, control: Arc<ControlTls>, shared: Arc<Shared>) {
    let service = move |peer: PeerCertificates| {
        let broker = &shared.broker;
        let proved = peer
            .first()
            .and_then(|leaf| peer::proved(leaf, broker.trust_domain(), &broker.issuer()));
        Gate::new(Arc::clone(&shared), proved)
    };
    acceptor.run(move || Some(control.current()), service).await;
}

fn oauth_address(listeners: &Listeners) -> Result<Option<SocketAddr>, StartError> {
    let at = listeners.oauth.as_ref().map(TcpListener::local_addr);
    at.transpose().map_err(StartError::Address)
}

fn oauth_shared(
    health: &Health,
    room: Arc<Semaphore>,
    tracker: &TaskTracker,
) -> Arc<oauth::Shared> {
    Arc::new(oauth::Shared {
        broker: Arc::clone(&health.broker),
        room,
        anonymous_room: Arc::new(Semaphore::new(ANONYMOUS_ROOM)),
        tracker: tracker.clone(),
        counts: Arc::clone(&health.oauth),
    })
}

async fn serve_oauth(acceptor: Acceptor, control: Arc<ControlTls>, shared: Arc<oauth::Shared>) {
    let router = oauth::router();
    let tls = Arc::clone(&control);
    let service = move |chain: PeerCertificates| {
        let peer = tls.oauth().peer(&chain, &shared.broker);
        router.clone().with_state(oauth::Front {
            shared: Arc::clone(&shared),
            peer,
        })
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
