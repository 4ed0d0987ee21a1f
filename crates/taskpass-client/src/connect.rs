//! Channels to the broker, with mutual TLS.
//!
//! The broker is trusted by the Control anchors that came with the identity (or with an enrolment
//! token) and by nothing else: not by the system's roots. The name that its certificate must carry
//! is the host of the address. Without an identity a channel can do no more than enrol, or present a
//! token of the platform with each call. At `unix:/path` there is no TLS: whoever may write there is on
//! this machine, and the kernel says who it is.

use std::path::Path;
use std::time::Duration;

use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint};

use crate::connection::Connection;
use crate::identity::Identity;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const CALL_TIMEOUT: Duration = Duration::from_secs(30);
const KEEPALIVE: Duration = Duration::from_secs(20);
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(5);
/// A snapshot of the feed is sent at one go; it must not wait for window updates.
const FEED_WINDOW: u32 = 8 * 1024 * 1024;

/// No connection to the broker.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// Not `host:port`.
    #[error(
        "`{addr}` is not an address; write it like `broker.example:7443` or `unix:/run/taskpass/agent.sock`"
    )]
    Address {
        /// What was given.
        addr: String,
    },
    /// An identity where none can be shown.
    #[error("at a Unix socket the kernel says who calls; leave the identity out")]
    IdentityAtSocket,
    /// The anchors are not PEM certificates.
    #[error("the anchors hold no certificate in PEM")]
    Anchors,
    /// The TLS settings were refused: a certificate or key that cannot be read.
    #[error("the identity or the anchors cannot be used for TLS")]
    Tls(#[source] tonic::transport::Error),
    /// Nobody answered, or TLS failed.
    #[error("could not connect to the broker at {addr}")]
    Unreachable {
        /// Where.
        addr: String,
        /// Why.
        #[source]
        source: tonic::transport::Error,
    },
}

/// Connects for calls, to `host:port`, or to `unix:/path` without an identity. Each ends after 30 s at the latest; the channel connects again by itself.
pub async fn connect(
    addr: &str,
    identity: Option<&Identity>,
    anchors_pem: &str,
) -> Result<Channel, ConnectError> {
    let endpoint = for_calls(addr, identity, anchors_pem)?;
    endpoint
        .connect()
        .await
        .map_err(|source| ConnectError::Unreachable {
            addr: addr.to_owned(),
            source,
        })
}

/// Connects for calls that present the token in `token_file`, which is read again for each: for a
/// workload that has a token of its platform and no identity here.
pub async fn connect_presenting(
    addr: &str,
    token_file: &Path,
    anchors_pem: &str,
) -> Result<Connection, ConnectError> {
    let channel = connect(addr, None, anchors_pem).await?;
    Ok(Connection::presenting(channel, token_file))
}

/// A channel for the revocation feed: a stream on it is never cut by a timeout, and the broker need
/// not be up yet. Connects when it is first used.
pub fn connect_feed(addr: &str, identity: &Identity) -> Result<Channel, ConnectError> {
    Ok(for_feed(addr, identity)?.connect_lazy())
}

pub(crate) fn for_calls(
    addr: &str,
    identity: Option<&Identity>,
    anchors_pem: &str,
) -> Result<Endpoint, ConnectError> {
    Ok(endpoint(addr, identity, anchors_pem)?.timeout(CALL_TIMEOUT))
}

pub(crate) fn for_feed(addr: &str, identity: &Identity) -> Result<Endpoint, ConnectError> {
    Ok(endpoint(addr, Some(identity), identity.ca_pem())?
        .initial_stream_window_size(FEED_WINDOW)
        .initial_connection_window_size(FEED_WINDOW)
        .keep_alive_while_idle(true))
}

fn endpoint(
    addr: &str,
    identity: Option<&Identity>,
    anchors_pem: &str,
) -> Result<Endpoint, ConnectError> {
    let bad = || ConnectError::Address {
        addr: addr.to_owned(),
    };
    if let Some(path) = addr.strip_prefix("unix:") {
        if identity.is_some() {
            return Err(ConnectError::IdentityAtSocket);
        }
        if !Path::new(path).is_absolute() {
            return Err(bad());
        }
        return Endpoint::from_shared(addr.to_owned()).map_err(|_| bad());
    }
    let host = host_of(addr).ok_or_else(bad)?;
    let mut tls = ClientTlsConfig::new()
        .domain_name(host)
        .ca_certificate(anchors(anchors_pem)?)
        .timeout(CONNECT_TIMEOUT);
    if let Some(identity) = identity {
        tls = tls.identity(tonic::transport::Identity::from_pem(
            identity.cert_pem(),
            identity.key_pem().as_bytes(),
        ));
    }
    let endpoint = Endpoint::from_shared(format!("https://{addr}")).map_err(|_| bad())?;
    Ok(endpoint
        .tls_config(tls)
        .map_err(ConnectError::Tls)?
        .connect_timeout(CONNECT_TIMEOUT)
        .tcp_nodelay(true)
        .http2_keep_alive_interval(KEEPALIVE)
        .keep_alive_timeout(KEEPALIVE_TIMEOUT))
}

/// The host of `host:port`, an IPv6 address without its brackets.
fn host_of(addr: &str) -> Option<&str> {
    let (host, port) = addr.rsplit_once(':')?;
    port.parse::<u16>().ok().filter(|port| *port != 0)?;
    let bare = match host.strip_prefix('[') {
        Some(rest) => rest
            .strip_suffix(']')
            .filter(|inner| inner.parse::<std::net::Ipv6Addr>().is_ok())?,
        None => host,
    };
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_');
    let good = !bare.is_empty() && (bare != host || host.bytes().all(plain));
    good.then_some(bare)
}

fn anchors(pem: &str) -> Result<Certificate, ConnectError> {
    let ders: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.as_bytes()).collect();
    match ders {
        Ok(ders) if !ders.is_empty() => Ok(Certificate::from_pem(pem)),
        _ => Err(ConnectError::Anchors),
    }
}

#[cfg(test)]
mod tests;
