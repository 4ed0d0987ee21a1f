//! The gRPC listener's TLS: our own server certificate, client certificates of the Control hierarchy and,
//! where that is configured, of other trust domains, each by its own authorities.
//! The public listener's, from an operator's files, is in `files`.
//!
//! A client certificate is optional in the handshake, because enrolling needs none; one that is
//! presented must verify. Resumption is off, so that every connection proves its key and its chain
//! anew. The whole configuration is replaced when certificates change, connections keep theirs.

mod domains;
mod files;
mod oauth;

use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::RootCertStore;
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{NoServerSessionStorage, ServerConfig, WebPkiClientVerifier};
use rustls::time_provider::TimeProvider;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, UnixTime};
use taskpass_broker::Broker;
use taskpass_core::{Clock, Timestamp, Ttl};
use taskpass_issuer::{Hierarchy, Issuer, ServerCertificate, ServerNames};

use crate::federation::{Bundles, Federation};
use domains::ByDomain;

pub(crate) use files::FileTls;
pub(crate) use oauth::{OauthTls, Peer};

/// The server certificate's life; it is renewed at two thirds of it.
pub(crate) const SERVER_CERTIFICATE_TTL: Ttl = Ttl::from_hours(24 * 7);

/// TLS could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The server's own certificate could not be made.
    #[error("the server's certificate could not be issued")]
    Issue(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// A file cannot be read.
    #[error("could not read {}", path.display())]
    File {
        /// Which.
        path: std::path::PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The parts do not fit together.
    #[error("the TLS configuration is not valid")]
    Config(#[source] Box<dyn std::error::Error + Send + Sync>),
}

fn config_error(error: impl std::error::Error + Send + Sync + 'static) -> TlsError {
    TlsError::Config(Box::new(error))
}

/// Gives rustls the broker's clock, so that both agree on what has expired.
#[derive(Debug)]
pub(crate) struct TlsClock(pub(crate) Arc<dyn Clock>);

impl TimeProvider for TlsClock {
    fn current_time(&self) -> Option<UnixTime> {
        Some(UnixTime::since_unix_epoch(
            std::time::Duration::from_millis(self.0.now().millis()),
        ))
    }
}

/// The configuration of this moment.
pub(crate) struct ControlTls {
    current: ArcSwap<ServerConfig>,
    oauth: ArcSwap<OauthTls>,
    expires_at: std::sync::atomic::AtomicU64,
    clock: Arc<dyn Clock>,
    names: ServerNames,
    federation: Arc<Federation>,
}

impl ControlTls {
    pub(crate) fn new(
        broker: &Broker,
        clock: Arc<dyn Clock>,
        names: ServerNames,
        federation: Arc<Federation>,
    ) -> Result<Self, TlsError> {
        let bundles = federation.domains.bundles();
        let (config, oauth, expires_at) = build(broker, &clock, &names, &bundles)?;
        Ok(Self {
            current: ArcSwap::from_pointee(config),
            oauth: ArcSwap::from_pointee(oauth),
            expires_at: expires_at.millis().into(),
            clock,
            names,
            federation,
        })
    }

    pub(crate) fn current(&self) -> Arc<ServerConfig> {
        self.current.load_full()
    }

    /// The configuration of the OAuth front.
    pub(crate) fn oauth(&self) -> Arc<OauthTls> {
        self.oauth.load_full()
    }

    /// Issues a new server certificate and takes today's anchors.
    pub(crate) fn renew(&self, broker: &Broker) -> Result<(), TlsError> {
        let bundles = self.federation.domains.bundles();
        let (config, oauth, expires_at) = build(broker, &self.clock, &self.names, &bundles)?;
        self.current.store(Arc::new(config));
        self.oauth.store(Arc::new(oauth));
        self.expires_at
            .store(expires_at.millis(), std::sync::atomic::Ordering::Relaxed);
        Ok(())
    }

    /// Whether two thirds of the certificate's life are over.
    pub(crate) fn is_due(&self) -> bool {
        let expires_at =
            Timestamp::from_millis(self.expires_at.load(std::sync::atomic::Ordering::Relaxed));
        expires_at.since(self.clock.now()) < SERVER_CERTIFICATE_TTL.duration() / 3
    }
}

fn build(
    broker: &Broker,
    clock: &Arc<dyn Clock>,
    names: &ServerNames,
    bundles: &Bundles,
) -> Result<(ServerConfig, OauthTls, Timestamp), TlsError> {
    let issuer = broker.issuer();
    let now = clock.now();
    let own = issuer
        .sign_server(names, now, SERVER_CERTIFICATE_TTL)
        .map_err(|error| TlsError::Issue(Box::new(error)))?;
    let control = verifier(&issuer, &[Hierarchy::Control], now)?;
    let either = verifier(&issuer, &[Hierarchy::Control, Hierarchy::Task], now)?;
    let callers: Arc<dyn ClientCertVerifier> = if bundles.is_empty() {
        Arc::clone(&control)
    } else {
        Arc::new(ByDomain::new(Arc::clone(&control), bundles)?)
    };
    let config = server(&own, clock, callers, &[b"h2"])?;
    let oauth = OauthTls {
        config: Arc::new(server(&own, clock, either, &[b"h2", b"http/1.1"])?),
        control,
        clock: Arc::clone(clock),
    };
    Ok((config, oauth, own.expires_at))
}

/// Callers are certified by our issuing authorities. A root is none of them: one that is made
/// elsewhere, or stands above ours, may certify whom it likes, and that is no caller.
fn verifier(
    issuer: &Issuer,
    hierarchies: &[Hierarchy],
    now: Timestamp,
) -> Result<Arc<dyn ClientCertVerifier>, TlsError> {
    let mut roots = RootCertStore::empty();
    for hierarchy in hierarchies {
        for authority in issuer.authorities(*hierarchy, now) {
            roots
                .add(CertificateDer::from(authority.der))
                .map_err(config_error)?;
        }
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
        .allow_unauthenticated()
        .build()
        .map_err(config_error)
}

fn server(
    own: &ServerCertificate,
    clock: &Arc<dyn Clock>,
    verifier: Arc<dyn ClientCertVerifier>,
    alpn: &[&[u8]],
) -> Result<ServerConfig, TlsError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let chain = own
        .chain
        .iter()
        .cloned()
        .map(CertificateDer::from)
        .collect();
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(own.key_pkcs8.to_vec()));
    let mut config =
        ServerConfig::builder_with_details(provider, Arc::new(TlsClock(Arc::clone(clock))))
            .with_protocol_versions(&[&rustls::version::TLS13])
            .map_err(config_error)?
            .with_client_cert_verifier(verifier)
            .with_single_cert(chain, key)
            .map_err(config_error)?;
    config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(config)
}
