//! Connections whose handshake is done.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use rustls::ServerConfig;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_stream::Stream;

/// How long to wait when the system gives no more sockets.
const BREATHER: Duration = Duration::from_millis(100);

/// What handshakes may cost.
#[derive(Debug, Clone, Copy)]
pub struct Handshakes {
    /// How many at once; further connections wait unaccepted.
    pub at_once: usize,
    /// How long one may take.
    pub within: Duration,
}

impl Default for Handshakes {
    fn default() -> Self {
        Self {
            at_once: 256,
            within: Duration::from_secs(10),
        }
    }
}

/// A listener that hands over connections when their handshake is done: for `axum::serve`, and as a
/// stream for tonic's `serve_with_incoming`. Dropping it ends the listening.
#[derive(Debug)]
pub struct Incoming {
    ready: mpsc::Receiver<(TlsStream<TcpStream>, SocketAddr)>,
    address: SocketAddr,
    accepting: JoinHandle<()>,
}

impl Drop for Incoming {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl Incoming {
    /// Listens on. Must be called within a tokio runtime.
    pub fn new(
        listener: TcpListener,
        config: ServerConfig,
        limits: Handshakes,
    ) -> io::Result<Self> {
        let address = listener.local_addr()?;
        let (send, ready) = mpsc::channel(limits.at_once.max(1));
        let acceptor = TlsAcceptor::from(Arc::new(config));
        Ok(Self {
            ready,
            address,
            accepting: tokio::spawn(accept(listener, acceptor, limits, send)),
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The next connection; `None` once listening has ended.
    pub async fn next(&mut self) -> Option<(TlsStream<TcpStream>, SocketAddr)> {
        self.ready.recv().await
    }
}

async fn accept(
    listener: TcpListener,
    acceptor: TlsAcceptor,
    limits: Handshakes,
    send: mpsc::Sender<(TlsStream<TcpStream>, SocketAddr)>,
) {
    let places = Arc::new(Semaphore::new(limits.at_once.max(1)));
    // Handshakes under way end with the listening.
    let mut handshakes = JoinSet::new();
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else {
            return;
        };
        while handshakes.try_join_next().is_some() {}
        let (stream, peer) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(BREATHER).await;
                continue;
            }
        };
        let (acceptor, send) = (acceptor.clone(), send.clone());
        handshakes.spawn(async move {
            let _place = place;
            // A socket that cannot do without delay does with it.
            let _ = stream.set_nodelay(true);
            match tokio::time::timeout(limits.within, acceptor.accept(stream)).await {
                Ok(Ok(stream)) => {
                    // Whoever listened may be gone; then the connection goes too.
                    let _ = send.send((stream, peer)).await;
                }
                Ok(Err(error)) => tracing::info!(%peer, %error, "a handshake failed"),
                Err(_) => tracing::info!(%peer, "a handshake took too long"),
            }
        });
    }
}

impl Stream for Incoming {
    type Item = io::Result<TlsStream<TcpStream>>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let ready = self.ready.poll_recv(cx);
        ready.map(|next| next.map(|(stream, _)| Ok(stream)))
    }
}

#[cfg(feature = "axum")]
impl axum::serve::Listener for Incoming {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        match self.next().await {
            Some(next) => next,
            // Listening has ended: there is nothing more to come.
            None => std::future::pending().await,
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.address)
    }
}
