//! Accepting connections within limits.
//!
//! Each listener has a cap on connections, on those from one address and on handshakes, a time limit on handshakes and on the
//! first bytes, and backs off when the process is out of file descriptors instead of spinning. Finishing is orderly: when
//! told to stop, a connection completes the requests it has and takes no more.

mod addresses;
mod known;
mod opening;

use std::convert::Infallible;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use rustls::server::ServerConfig;
use taskpass_broker::metrics::Count;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::Service;

use crate::settings::TransportLimits;
pub(crate) use known::{Known, while_known};

use addresses::{Addresses, Connected};
use opening::Opening;

/// How long accepting pauses after the process ran out of something.
const BACK_OFF: Duration = Duration::from_millis(100);

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
        F: Fn(Peer) -> S + Clone + Send + 'static,
        S: Service<http::Request<Incoming>, Response = http::Response<B>, Error = Infallible>
            + Clone
            + Send
            + 'static,
        S::Future: Send + 'static,
        B: http_body::Body<Data = bytes::Bytes> + Send + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let connections = Arc::new(Semaphore::new(self.limits.connections));
        let handshakes = Arc::new(Semaphore::new(self.limits.handshakes));
        let (each, all) = (self.limits.connections_per_address, self.limits.connections);
        let addresses = Arc::new(Addresses::new(each, all));
        loop {
            let Some((stream, permit)) = self.next(&connections, &addresses).await else {
                return;
            };
            let tls = tls();
            let speaks = self.speaks;
            let limits = self.limits.clone();
            let stop = self.stop.clone();
            let service = service.clone();
            let handshakes = Arc::clone(&handshakes);
            self.tracker.spawn(async move {
                let _permit = permit;
                match tls {
                    None => serve(stream, service(Peer::default()), speaks, &limits, stop).await,
                    Some(config) => {
                        let accepted = handshake(stream, config, &handshakes, &limits).await;
                        if let Some((stream, certificates)) = accepted {
                            let unknown = speaks == Speaks::Http2 && certificates.is_empty();
                            let known = Known::default();
                            let peer = Peer {
                                certificates,
                                known: known.clone(),
                            };
                            let stop = stop.child_token();
                            let served =
                                serve(stream, service(peer), speaks, &limits, stop.clone());
                            if unknown {
                                while_known(served, &known, &stop).await;
                            } else {
                                served.await;
                            }
                        }
                    }
                }
            });
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

async fn handshake(
    stream: TcpStream,
    config: Arc<ServerConfig>,
    handshakes: &Semaphore,
    limits: &TransportLimits,
) -> Option<(tokio_rustls::server::TlsStream<TcpStream>, PeerCertificates)> {
    let accept = async {
        // Whoever says nothing takes no place of those who do.
        stream.peek(&mut [0]).await.ok()?;
        let _permit = handshakes.acquire().await.ok()?;
        match TlsAcceptor::from(config).accept(stream).await {
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

pub(crate) async fn serve<IO, S, B>(
    io: IO,
    service: S,
    speaks: Speaks,
    limits: &TransportLimits,
    stop: CancellationToken,
) where
    IO: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    S: Service<http::Request<Incoming>, Response = http::Response<B>, Error = Infallible>
        + Clone
        + Send
        + 'static,
    S::Future: Send + 'static,
    B: http_body::Body<Data = bytes::Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let mut builder = auto::Builder::new(TokioExecutor::new());
    if speaks == Speaks::Http2 {
        builder = builder.http2_only();
    }
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(limits.streams)
        .max_header_list_size(limits.header_bytes)
        .max_pending_accept_reset_streams(20)
        .keep_alive_interval(limits.keepalive)
        .keep_alive_timeout(Duration::from_secs(10));
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.handshake_timeout)
        .max_buf_size(64 * 1024);
    let io = TokioIo::new(Opening::new(io, limits.handshake_timeout));
    let connection = builder.serve_connection(io, TowerToHyperService::new(service));
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
