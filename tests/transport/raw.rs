//! Connections below the client library: TCP, TLS and HTTP/2 as any stranger can make them.

use std::future::Future;
use std::io::Cursor;
use std::sync::Arc;
use std::time::Duration;

use h2::client::{Builder, SendRequest};
use rustls::client::Resumption;
use rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use taskpass_testkit::{Broker, within};
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// What is sent in a stream's data.
pub(crate) type Bytes = Cursor<Vec<u8>>;
pub(crate) type Streams = SendRequest<Bytes>;

/// How somebody speaks TLS. `who` is whose identity is shown; nobody's if empty.
pub(crate) fn tls_of(
    broker: &Broker,
    who: &str,
    versions: &[&'static SupportedProtocolVersion],
    alpn: &[&[u8]],
) -> Arc<ClientConfig> {
    let anybody = broker.identity(if who.is_empty() { "ledger" } else { who });
    let mut roots = RootCertStore::empty();
    for anchor in CertificateDer::pem_slice_iter(anybody.ca_pem().as_bytes()) {
        roots.add(anchor.expect("PEM")).expect("an anchor");
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)
        .expect("versions that there are")
        .with_root_certificates(roots);
    let mut config = if who.is_empty() {
        builder.with_no_client_auth()
    } else {
        let chain = CertificateDer::pem_slice_iter(anybody.cert_pem().as_bytes());
        let chain = chain.map(|der| der.expect("PEM")).collect();
        let key = PrivateKeyDer::from_pem_slice(anybody.key_pem().as_bytes()).expect("PEM");
        builder
            .with_client_auth_cert(chain, key)
            .expect("a key of that certificate")
    };
    config.resumption = Resumption::in_memory_sessions(16);
    config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
    Arc::new(config)
}

/// TLS 1.3 and HTTP/2, as every caller should.
pub(crate) fn modern(broker: &Broker, who: &str) -> Arc<ClientConfig> {
    tls_of(broker, who, &[&rustls::version::TLS13], &[b"h2"])
}

pub(crate) async fn tcp(authority: &str) -> TcpStream {
    within(TcpStream::connect(authority))
        .await
        .expect("somebody listens")
}

/// A TLS connection to the gRPC port.
pub(crate) async fn tls(
    broker: &Broker,
    config: &Arc<ClientConfig>,
) -> std::io::Result<TlsStream<TcpStream>> {
    tls_at(broker.authority(), config).await
}

/// The same, for who has only the address.
pub(crate) async fn tls_at(
    authority: &str,
    config: &Arc<ClientConfig>,
) -> std::io::Result<TlsStream<TcpStream>> {
    let stream = tcp(authority).await;
    let name = ServerName::try_from("127.0.0.1").expect("an address");
    within(TlsConnector::from(Arc::clone(config)).connect(name, stream)).await
}

/// An HTTP/2 connection to the gRPC port, whose streams may each send us `window` bytes unread. The
/// connection goes when the returned guard is dropped.
pub(crate) async fn h2(broker: &Broker, who: &str, window: u32) -> (Streams, Guard) {
    let stream = tls(broker, &modern(broker, who)).await.expect("TLS");
    let handshake = Builder::new()
        .initial_window_size(window)
        .handshake::<_, Bytes>(stream);
    let (streams, connection) = within(handshake).await.expect("HTTP/2");
    let driving = tokio::spawn(async move {
        let _ = connection.await;
    });
    (streams, Guard(driving))
}

/// Ends a task when dropped.
pub(crate) struct Guard(tokio::task::JoinHandle<()>);

impl Guard {
    /// Whether the connection has ended.
    pub(crate) fn is_over(&self) -> bool {
        self.0.is_finished()
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// The head of a gRPC call.
pub(crate) fn head(broker: &Broker, method: &str) -> http::Request<()> {
    http::Request::post(format!("{}/{method}", broker.addresses().addr))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(())
        .expect("a request")
}

/// A message with its prefix of five bytes.
pub(crate) fn message(bytes: &[u8]) -> Bytes {
    let length = u32::try_from(bytes.len()).expect("a small message");
    let mut framed = vec![0];
    framed.extend(length.to_be_bytes());
    framed.extend(bytes);
    Cursor::new(framed)
}

/// What the peer says until it closes; panics if it does not within `bound`.
pub(crate) async fn until_closed(
    what: &str,
    stream: &mut (impl AsyncRead + Unpin),
    bound: Duration,
) -> Vec<u8> {
    let mut said = Vec::new();
    let mut buffer = [0; 4096];
    let reading = async {
        loop {
            match stream.read(&mut buffer).await {
                Ok(0) | Err(_) => return,
                Ok(count) => said.extend(&buffer[..count]),
            }
        }
    };
    let closed = tokio::time::timeout(bound, reading).await;
    assert!(closed.is_ok(), "{what} is still open after {bound:?}");
    said
}

/// Bounds something, and says how long it took.
pub(crate) async fn timed<T>(
    clock: &dyn taskpass_core::Clock,
    what: impl Future<Output = T>,
) -> (T, Duration) {
    let before = clock.monotonic();
    let done = within(what).await;
    (done, clock.monotonic().saturating_sub(before))
}

/// The memory that the broker has, in KiB.
pub(crate) fn resident(broker: &Broker) -> u64 {
    let pid = broker.pid().expect("it runs");
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("its status");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let number = line.and_then(|line| line.split_whitespace().next());
    number
        .and_then(|number| number.parse().ok())
        .expect("a number")
}

/// How many files the broker has open: each connection is one.
pub(crate) fn files(broker: &Broker) -> usize {
    let pid = broker.pid().expect("it runs");
    let open = std::fs::read_dir(format!("/proc/{pid}/fd"));
    open.expect("its files").count()
}

/// The processor time that the broker has used, in clock ticks (hundredths of a second on Linux).
pub(crate) fn ticks(broker: &Broker) -> u64 {
    let pid = broker.pid().expect("it runs");
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("its figures");
    let (_, rest) = stat.rsplit_once(") ").expect("its figures");
    let mut fields = rest.split(' ').skip(11).map(str::parse::<u64>);
    let mut next = || fields.next().and_then(Result::ok).expect("a number");
    next() + next()
}
