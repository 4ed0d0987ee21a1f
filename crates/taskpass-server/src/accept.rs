//! Accepting connections within limits.
//!
//! Each listener has a cap on connections, on those from one address and on handshakes, a time limit on handshakes and on the
//! first bytes, and backs off when the process is out of file descriptors instead of spinning. What is idle for long is
//! closed. Finishing is orderly: when told to stop, a connection completes the requests it has and takes no more.

mod addresses;
mod handed;
mod idle;
mod known;
mod opening;

use std::convert::Infallible;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use rustls::server::ServerConfig;
use taskpass_broker::metrics::Count;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::{Service, ServiceExt as _};

use crate::settings::TransportLimits;
pub(crate) use idle::{Idle, InUse};
pub(crate) use known::{Known, while_known};

use addresses::{Addresses, Connected};
use handed::Handed;
use idle::Kept;
use opening::Opening;

/// How long accepting pauses after the process ran out of something.
const BACK_OFF: Duration = Duration::from_millis(100);
/// How long a peer may take to answer a ping.
const PONG: Duration = Duration::from_secs(10);
/// Streams that a connection may make us reset by its errors, as long as it lasts; beyond it the connection
/// is closed.
const RESET_FOR_ERRORS: usize = 1024;
/// What of messages may wait to be read where nobody knows who sends them, in bytes: by request, and by
/// connection.
const DOOR_WINDOW: u32 = 64 * 1024 - 1;
/// What of one answer may wait to be sent, in bytes.
const UNSENT: usize = 256 * 1024;
/// The largest head of a request of HTTP/1, in bytes, and the most fields in it.
const HTTP_1_HEAD: usize = 64 * 1024;
const HTTP_1_FIELDS: usize = 100;

/// The certificates that the peer of a connection presented and TLS verified; empty if none.
pub(crate) type PeerCertificates = Vec<rustls_pki_types::CertificateDer<'static>>;

/// Who is at the other end of a connection.
#[derive(Debug, Default)]
pub(crate) struct Peer {
    /// What it presented.
    pub(crate) certificates: PeerCertificates,
    /// To be set once it has proved itself by something else.
    pub(crate) known: Known,
}

/// Which HTTP a listener speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Speaks {
    /// HTTP/2 and nothing else: gRPC.
    Http2,
    /// What the peer begins with.
    Either,
}

/// A connection's service, and where it is served.
pub(crate) struct Placed<S> {
    pub(crate) service: S,
    pub(crate) at: Where,
}

impl<S> Placed<S> {
    /// Where it was accepted.
    pub(crate) const fn here(service: S) -> Self {
        let at = Where::Here;
        Self { service, at }
    }
}

/// Where a connection is served.
#[derive(Debug)]
pub(crate) enum Where {
    /// Where it was accepted.
    Here,
    /// By another runtime.
    On(Handle),
    /// Where it was accepted, with so many requests at one time, and not for long: nobody knows who it is.
    Door(u32),
}

/// One listener: what protects it, and how much it takes.
pub(crate) struct Acceptor {
    pub(crate) listener: TcpListener,
    pub(crate) speaks: Speaks,
    pub(crate) limits: TransportLimits,
    pub(crate) stop: CancellationToken,
    pub(crate) tracker: TaskTracker,
    /// Connections that were closed because their address had too many.
    pub(crate) refused: Arc<Count>,
}

impl Acceptor {
    /// Accepts until told to stop. `tls` is asked for each connection; `None` is plain text.
    /// `service` makes the service of a connection from what its peer presented.
    pub(crate) async fn run<T, F, S, B>(self, tls: T, service: F)
    where
        T: Fn() -> Option<Arc<ServerConfig>>,
        F: Fn(Peer) -> Placed<S> + Clone + Send + 'static,
        S: Service<http::Request<Incoming>, Response = http::Response<B>, Error = Infallible>
            + Clone
            + Send
            + 'static,
        S::Future: Send + 'static,
        B: http_body::Body<Data = bytes::Bytes> + Send + Unpin + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let connections = Arc::new(Semaphore::new(self.limits.connections));
        let handshakes = Arc::new(Semaphore::new(self.limits.handshakes));
        let (each, all) = (self.limits.connections_per_address, self.limits.connections);
        let addresses = Arc::new(Addresses::new(each, all));
        let idle = Idle::new(self.limits.idle_timeout, all);
        let looking = Arc::clone(&idle).watch(self.stop.clone());
        self.tracker.spawn(looking);
        loop {
            let Some((stream, permit)) = self.next(&connections, &addresses).await else {
                return;
            };
            let tls = tls();
            let service = service.clone();
            let handshakes = Arc::clone(&handshakes);
            let tracker = self.tracker.clone();
            let line = self.line(&idle, permit);
            self.tracker.spawn(async move {
                let Some(config) = tls else {
                    let Placed { service, .. } = service(Peer::default());
                    return line.serve(stream, service, None).await;
                };
                let accepted = handshake(stream, config, &handshakes, &line.limits).await;
                let Some((mut stream, certificates)) = accepted else {
                    return;
                };
                let known = Known::default();
                let Placed { service, at } = service(Peer {
                    certificates,
                    known: known.clone(),
                });
                let stop = line.stop.clone();
                match at {
                    Where::Here => line.serve(stream, service, None).await,
                    Where::On(runtime) => {
                        if let Err(error) = stream.get_mut().0.over_to(&runtime) {
                            tracing::warn!(%error, "a connection could not be handed over");
                            return;
                        }
                        tracker.spawn_on(line.serve(stream, service, None), &runtime);
                    }
                    Where::Door(streams) => {
                        let served = line.serve(stream, service, Some(streams));
                        while_known(served, &known, &stop).await;
                    }
                }
            });
        }
    }

    /// What goes with a connection from here on.
    fn line(&self, idle: &Arc<Idle>, permit: (OwnedSemaphorePermit, Connected)) -> Line {
        let stop = self.stop.child_token();
        Line {
            _permit: permit,
            in_use: idle.enter(&stop),
            speaks: self.speaks,
            limits: self.limits.clone(),
            stop,
        }
    }

    async fn next(
        &self,
        connections: &Arc<Semaphore>,
        addresses: &Arc<Addresses>,
    ) -> Option<(TcpStream, (OwnedSemaphorePermit, Connected))> {
        loop {
            let permit = tokio::select! {
                () = self.stop.cancelled() => return None,
                permit = Arc::clone(connections).acquire_owned() => permit.ok()?,
            };
            let accepted = tokio::select! {
                () = self.stop.cancelled() => return None,
                accepted = self.listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, from)) => {
                    // Closed at once: what it would be told costs more than it is owed.
                    let Some(connected) = addresses.connect(from.ip()) else {
                        self.refused.one();
                        continue;
                    };
                    if let Err(error) = stream.set_nodelay(true) {
                        tracing::debug!(%error, "could not set TCP_NODELAY");
                    }
                    return Some((stream, (permit, connected)));
                }
                Err(error) => {
                    tracing::warn!(%error, "could not accept a connection");
                    tokio::time::sleep(BACK_OFF).await;
                }
            }
        }
    }
}

/// A connection's places, and how it is served.
struct Line {
    _permit: (OwnedSemaphorePermit, Connected),
    in_use: InUse,
    speaks: Speaks,
    limits: TransportLimits,
    stop: CancellationToken,
}

impl Line {
    async fn serve<IO, S, B>(self, io: IO, service: S, door: Option<u32>)
    where
        IO: AsyncRead + AsyncWrite + Unpin + Send + 'static,
        S: Service<http::Request<Incoming>, Response = http::Response<B>, Error = Infallible>
            + Clone
            + Send
            + 'static,
        S::Future: Send + 'static,
        B: http_body::Body<Data = bytes::Bytes> + Send + Unpin + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let Self {
            _permit,
            in_use,
            speaks,
            limits,
            stop,
        } = self;
        serve(io, service, speaks, &limits, door, stop, in_use).await;
    }
}

async fn handshake(
    stream: TcpStream,
    config: Arc<ServerConfig>,
    handshakes: &Semaphore,
    limits: &TransportLimits,
) -> Option<(tokio_rustls::server::TlsStream<Handed>, PeerCertificates)> {
    let accept = async {
        // Whoever says nothing takes no place of those who do.
        stream.peek(&mut [0]).await.ok()?;
        let _permit = handshakes.acquire().await.ok()?;
        match TlsAcceptor::from(config).accept(Handed::new(stream)).await {
            Ok(stream) => Some(stream),
            Err(error) => {
                tracing::debug!(%error, "a TLS handshake failed");
                None
            }
        }
    };
    let stream = tokio::time::timeout(limits.handshake_timeout, accept)
        .await
        .ok()??;
    let peer = stream
        .get_ref()
        .1
        .peer_certificates()
        .map(|chain| chain.iter().map(|der| der.clone().into_owned()).collect())
        .unwrap_or_default();
    Some((stream, peer))
}

/// Serves a connection. `door`: how many requests at one time it may have, with little room for each, if
/// nobody knows who it is.
pub(crate) async fn serve<IO, S, B>(
    io: IO,
    service: S,
    speaks: Speaks,
    limits: &TransportLimits,
    door: Option<u32>,
    stop: CancellationToken,
    in_use: InUse,
) where
    IO: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    S: Service<http::Request<Incoming>, Response = http::Response<B>, Error = Infallible>
        + Clone
        + Send
        + 'static,
    S::Future: Send + 'static,
    B: http_body::Body<Data = bytes::Bytes> + Send + Unpin + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let mut builder = auto::Builder::new(TokioExecutor::new());
    if speaks == Speaks::Http2 {
        builder = builder.http2_only();
    }
    let streams = door.map_or(limits.streams, |most| most.min(limits.streams));
    let window = door.map(|_| DOOR_WINDOW);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(streams)
        .initial_stream_window_size(window)
        .initial_connection_window_size(window)
        .max_header_list_size(limits.header_bytes)
        // Taken back before they were looked at: as many as may be open. Callers whose time is over
        // take all back at once, just when there is too much to do to have looked.
        .max_pending_accept_reset_streams(limits.streams as usize)
        .max_local_error_reset_streams(RESET_FOR_ERRORS)
        .max_send_buf_size(UNSENT)
        .keep_alive_interval(limits.keepalive)
        .keep_alive_timeout(PONG);
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.handshake_timeout)
        .max_buf_size(HTTP_1_HEAD)
        .max_headers(HTTP_1_FIELDS);
    let io = TokioIo::new(Opening::new(io, limits.handshake_timeout));
    let service = hyper::service::service_fn(move |request| {
        let busy = in_use.begin();
        let answering = service.clone().oneshot(request);
        async move {
            let response = answering.await?;
            Ok::<_, Infallible>(response.map(|body| Kept::new(body, busy)))
        }
    });
    let connection = builder.serve_connection(io, service);
    finish(connection, stop).await;
}

/// Serves until the peer leaves, or until told to stop and done with what was begun.
async fn finish<C>(connection: C, stop: CancellationToken)
where
    C: Connection,
{
    let mut connection = std::pin::pin!(connection);
    let outcome = tokio::select! {
        outcome = connection.as_mut() => outcome,
        () = stop.cancelled() => {
            connection.as_mut().stop();
            connection.await
        }
    };
    if let Err(error) = outcome {
        tracing::debug!(error = %error, "a connection ended early");
    }
}

/// What `finish` needs of a connection.
trait Connection: Future<Output = Result<(), Box<dyn std::error::Error + Send + Sync>>> {
    fn stop(self: std::pin::Pin<&mut Self>);
}

impl<I, S, B> Connection for auto::Connection<'_, I, S, TokioExecutor>
where
    S: hyper::service::Service<http::Request<Incoming>, Response = http::Response<B>>,
    S::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    S::Future: Send + 'static,
    I: hyper::rt::Read + hyper::rt::Write + Unpin + Send + 'static,
    B: http_body::Body<Data = bytes::Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    fn stop(self: std::pin::Pin<&mut Self>) {
        self.graceful_shutdown();
    }
}
