//! What both examples do before they serve: find out what the broker publishes, follow its feed, tell it
//! what its credentials are used for, and read their own server certificate.

use std::error::Error;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use taskpass_client::{Identity, connect_feed};
use taskpass_core::TargetUri;
use taskpass_core::rng::SystemRng;
use taskpass_core::time::SystemClock;
use taskpass_verify::http::{HttpClient, HttpKeys, Published, WebAnchors};
use taskpass_verify::keys::Schedule;
use taskpass_verify::tls::{TaskClientVerifier, without_resumption};
use taskpass_verify::{Feed, Guard, Keys, Staleness, UseReports, UseSettings, Uses, Verifier};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// What a program of this kind is told when it is started.
const USAGE: &str = "usage: PROGRAM ISSUER_URL FEED_HOST:PORT VERIFIER_IDENTITY_FOLDER TARGET_URI \
                     LISTEN_ADDRESS SERVER_CERT_PEM SERVER_KEY_PEM";

pub(crate) struct Api {
    pub(crate) guard: Guard,
    pub(crate) listener: TcpListener,
    pub(crate) tls: ServerConfig,
    /// Ends once the last uses are reported, after the process was asked to end.
    pub(crate) reporting: JoinHandle<()>,
}

/// Waits until somebody wants the process to end.
async fn ended() {
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// Reads the command line, and returns once the revocations are known.
pub(crate) async fn start() -> Result<Api, Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [issuer, feed, identity, target, listen, cert, key] = args.as_slice() else {
        return Err(USAGE.into());
    };
    let (clock, rng) = (Arc::new(SystemClock::new()), Arc::new(SystemRng::new()));
    let identity = Identity::load(Path::new(identity))?;
    let target: TargetUri = target.parse()?;

    let web = HttpClient::new(&WebAnchors::System, clock.clone())?;
    let published = Published::fetch(&web, issuer).await?;
    let source = HttpKeys::new(web, &published.jwks_uri);
    let trust_domain = identity.name().trust_domain.clone();
    let settings = published.settings(trust_domain, [target.clone()], Staleness::default());
    let verifier = Verifier::new(settings, clock)?;

    let keys = Keys::new(
        verifier.clone(),
        Arc::new(source),
        Schedule::default(),
        rng.clone(),
    );
    let renewing = keys.clone();
    tokio::spawn(async move { renewing.run(std::future::pending()).await });
    let channel = connect_feed(feed, &identity)?;
    let feed = Feed::new(verifier.clone(), channel.clone(), rng.clone());
    tokio::spawn(feed.run(std::future::pending()));
    verifier.wait_until_ready().await;

    // So that reports can say which scopes agents use, and which they were only granted.
    let uses = Uses::new(verifier.clone(), UseSettings::default());
    let reports = UseReports::new(uses.clone(), channel, rng);
    let reporting = tokio::spawn(reports.run(ended()));

    let tls = server_tls(&verifier, &std::fs::read(cert)?, &std::fs::read(key)?)?;
    Ok(Api {
        guard: Guard::new(verifier, target)?
            .with_keys(keys)?
            .reporting(uses)?,
        reporting,
        listener: TcpListener::bind(listen.parse::<SocketAddr>()?).await?,
        tls,
    })
}

/// TLS with the API's own certificate, for callers with a task's certificate or none.
fn server_tls(
    verifier: &Verifier,
    cert: &[u8],
    key: &[u8],
) -> Result<ServerConfig, Box<dyn Error>> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let callers = TaskClientVerifier::new(verifier.clone()).optional();
    let chain = CertificateDer::pem_slice_iter(cert).collect::<Result<_, _>>()?;
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_client_cert_verifier(Arc::new(callers))
        .with_single_cert(chain, PrivateKeyDer::from_pem_slice(key)?)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    without_resumption(&mut config);
    Ok(config)
}
