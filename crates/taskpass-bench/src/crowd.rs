//! Connections that say nothing: TLS with a client certificate, HTTP/2 begun, and no more.
//!
//! Of its own end a connection keeps only the socket, so that what this process grows by is the server's.

use std::net::SocketAddr;
use std::sync::Arc;

use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use taskpass_client::Identity;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::runtime::Handle;
use tokio::task::JoinSet;
use tokio_rustls::TlsConnector;

use crate::error::BenchError;

/// What failed, where it did.
const CONNECT: &str = "make an idle connection";
/// How many are made at one time.
const AT_ONCE: usize = 64;
/// RFC 9113 §3.4, and settings that change nothing.
const BEGINNING: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";

/// Makes `count` connections; dropping them closes them.
pub(crate) async fn connect(
    at: SocketAddr,
    identity: &Identity,
    count: usize,
    clients: &Handle,
) -> Result<Vec<TcpStream>, BenchError> {
    let connector = TlsConnector::from(Arc::new(config(identity)?));
    let mut making = JoinSet::new();
    let mut made = Vec::with_capacity(count);
    for _ in 0..count {
        if making.len() >= AT_ONCE
            && let Some(joined) = making.join_next().await
        {
            made.push(done(joined)?);
        }
        making.spawn_on(one(at, connector.clone()), clients);
    }
    while let Some(joined) = making.join_next().await {
        made.push(done(joined)?);
    }
    Ok(made)
}

fn done(
    joined: Result<std::io::Result<TcpStream>, tokio::task::JoinError>,
) -> Result<TcpStream, BenchError> {
    let stream = joined.map_err(BenchError::setup(CONNECT))?;
    stream.map_err(BenchError::setup(CONNECT))
}

async fn one(at: SocketAddr, connector: TlsConnector) -> std::io::Result<TcpStream> {
    let stream = TcpStream::connect(at).await?;
    let name = ServerName::from(at.ip());
    let mut stream = connector.connect(name, stream).await?;
    stream.write_all(BEGINNING).await?;
    stream.flush().await?;
    // The server's settings: it has accepted the certificate and serves the connection.
    stream.read_u8().await?;
    Ok(stream.into_inner().0)
}

fn config(identity: &Identity) -> Result<ClientConfig, BenchError> {
    let mut roots = RootCertStore::empty();
    for anchor in CertificateDer::pem_slice_iter(identity.ca_pem().as_bytes()) {
        let anchor = anchor.map_err(BenchError::setup(CONNECT))?;
        roots.add(anchor).map_err(BenchError::setup(CONNECT))?;
    }
    let chain: Result<Vec<_>, _> =
        CertificateDer::pem_slice_iter(identity.cert_pem().as_bytes()).collect();
    let chain = chain.map_err(BenchError::setup(CONNECT))?;
    let key = PrivateKeyDer::from_pem_slice(identity.key_pem().as_bytes())
        .map_err(BenchError::setup(CONNECT))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(BenchError::setup(CONNECT))?
        .with_root_certificates(roots)
        .with_client_auth_cert(chain, key)
        .map_err(BenchError::setup(CONNECT))?;
    config.alpn_protocols = vec![b"h2".to_vec()];
    Ok(config)
}
