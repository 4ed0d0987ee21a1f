//! TLS of the sample API and of whoever calls it: version 1.3, by the program's clock.

use std::sync::Arc;

use rcgen::{CertificateParams, KeyPair};
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use taskpass_client::Certificate;
use taskpass_core::Clock;
use zeroize::Zeroize as _;

use crate::errors::CliError;
use crate::http::TlsTime;

/// The name in the API's certificate.
pub(super) const HOST: &str = "localhost";

/// The API's side, and the certificate by which it is known.
pub(super) struct ServerSide {
    pub(super) config: Arc<ServerConfig>,
    pub(super) certificate: CertificateDer<'static>,
}

/// Asks every caller for a certificate that leads to `anchors_pem`. The API's own is made here.
pub(super) fn server(anchors_pem: &str, clock: Arc<dyn Clock>) -> Result<ServerSide, CliError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let anchors = Arc::new(roots(certificates(anchors_pem)?)?);
    let callers = WebPkiClientVerifier::builder_with_provider(anchors, Arc::clone(&provider))
        .build()
        .map_err(failed)?;
    let (certificate, key) = self_made()?;
    let mut config = ServerConfig::builder_with_details(provider, Arc::new(TlsTime(clock)))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(failed)?
        .with_client_cert_verifier(callers)
        .with_single_cert(vec![certificate.clone()], key)
        .map_err(failed)?;
    // A resumed session would pass by the check of the certificate.
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(ServerSide {
        config: Arc::new(config),
        certificate,
    })
}

/// The caller's side, which presents `own`, or nothing.
pub(super) fn client(
    server: &CertificateDer<'static>,
    own: Option<&Certificate>,
    clock: Arc<dyn Clock>,
) -> Result<Arc<ClientConfig>, CliError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_details(provider, Arc::new(TlsTime(clock)))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(failed)?
        .with_root_certificates(roots(vec![server.clone()])?);
    let config = match own {
        None => config.with_no_client_auth(),
        Some(own) => {
            let key = PrivateKeyDer::from_pem_slice(own.key_pem().as_bytes()).map_err(failed)?;
            config
                .with_client_auth_cert(certificates(own.cert_pem())?, key)
                .map_err(failed)?
        }
    };
    Ok(Arc::new(config))
}

fn self_made() -> Result<(CertificateDer<'static>, PrivateKeyDer<'static>), CliError> {
    let mut pair = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).map_err(failed)?;
    let certificate = CertificateParams::new([HOST.to_owned()])
        .and_then(|params| params.self_signed(&pair))
        .map_err(failed)?;
    let key = PrivatePkcs8KeyDer::from(pair.serialize_der());
    pair.zeroize();
    Ok((certificate.der().clone(), key.into()))
}

fn certificates(pem: &str) -> Result<Vec<CertificateDer<'static>>, CliError> {
    CertificateDer::pem_slice_iter(pem.as_bytes())
        .collect::<Result<_, _>>()
        .map_err(failed)
}

fn roots(certificates: Vec<CertificateDer<'static>>) -> Result<RootCertStore, CliError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates {
        roots.add(certificate).map_err(failed)?;
    }
    Ok(roots)
}

fn failed(error: impl std::error::Error + Send + Sync + 'static) -> CliError {
    CliError::caused("INTERNAL", "could not set up TLS", error)
}
