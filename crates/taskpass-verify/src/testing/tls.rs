//! TLS between a test and the API that it tests, by the world's clock.

use std::sync::Arc;
use std::time::Duration;

use rcgen::{CertificateParams, KeyPair};
use rustls::server::danger::ClientCertVerifier;
use rustls::time_provider::TimeProvider;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, UnixTime};
use taskpass_core::time::{Clock as _, ManualClock};

use super::World;

/// The API's name.
pub const HOST: &str = "localhost";

#[derive(Debug)]
struct Time(ManualClock);

impl TimeProvider for Time {
    fn current_time(&self) -> Option<UnixTime> {
        let since_epoch = Duration::from_secs(self.0.now().secs());
        Some(UnixTime::since_unix_epoch(since_epoch))
    }
}

impl World {
    /// The API's side, and the certificate by which it is known.
    pub fn server_tls(
        &self,
        callers: Arc<dyn ClientCertVerifier>,
    ) -> (ServerConfig, CertificateDer<'static>) {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let pair = super::key();
        let own = CertificateParams::new([HOST.to_owned()]).unwrap();
        let own = own.self_signed(&pair).unwrap().der().clone();
        let config =
            ServerConfig::builder_with_details(provider, Arc::new(Time(self.clock.clone())))
                .with_safe_default_protocol_versions()
                .unwrap()
                .with_client_cert_verifier(callers)
                .with_single_cert(vec![own.clone()], private(&pair))
                .unwrap();
        (config, own)
    }

    /// A caller's side, which presents `own` (in DER, with its key), or nothing.
    pub fn client_tls(
        &self,
        server: &CertificateDer<'static>,
        own: Option<(Vec<u8>, &KeyPair)>,
    ) -> ClientConfig {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut roots = RootCertStore::empty();
        roots.add(server.clone()).unwrap();
        let config =
            ClientConfig::builder_with_details(provider, Arc::new(Time(self.clock.clone())))
                .with_safe_default_protocol_versions()
                .unwrap()
                .with_root_certificates(roots);
        match own {
            None => config.with_no_client_auth(),
            Some((leaf, key)) => config
                .with_client_auth_cert(vec![leaf.into()], private(key))
                .unwrap(),
        }
    }
}

fn private(pair: &KeyPair) -> PrivateKeyDer<'static> {
    PrivatePkcs8KeyDer::from(pair.serialize_der()).into()
}
