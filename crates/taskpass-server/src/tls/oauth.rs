//! TLS of the OAuth front: as of gRPC, and task certificates are let in besides identities.
//!
//! A task certificate proves one thing there: that the token which is bound to it is shown by its
//! holder. It is never a caller. Which hierarchy certified a peer is asked again after the handshake,
//! with the anchors of Control alone, so that nothing depends on what a certificate says of itself.

use std::sync::Arc;

use rustls::server::ServerConfig;
use rustls::server::danger::ClientCertVerifier;
use rustls_pki_types::{CertificateDer, UnixTime};
use taskpass_broker::{Broker, Proved};
use taskpass_core::Clock;

use crate::peer;

/// The configuration of this moment.
pub(crate) struct OauthTls {
    pub(super) config: Arc<ServerConfig>,
    /// Knows the anchors of Control only.
    pub(super) control: Arc<dyn ClientCertVerifier>,
    pub(super) clock: Arc<dyn Clock>,
}

/// What the peer of a connection proved.
#[derive(Debug, Clone)]
pub(crate) enum Peer {
    /// Nothing: no certificate.
    Nobody,
    /// An identity.
    Caller(Proved),
    /// A certificate of a task, or one that is no caller's: in DER.
    Certificate(Vec<u8>),
}

impl OauthTls {
    pub(crate) fn config(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.config)
    }

    /// Reads a chain that the handshake has verified.
    pub(crate) fn peer(&self, chain: &[CertificateDer<'_>], broker: &Broker) -> Peer {
        let Some((leaf, above)) = chain.split_first() else {
            return Peer::Nobody;
        };
        let now = std::time::Duration::from_millis(self.clock.now().millis());
        let now = UnixTime::since_unix_epoch(now);
        let proved = self
            .control
            .verify_client_cert(leaf, above, now)
            .ok()
            .and_then(|_| peer::proved(leaf, broker.trust_domain(), &broker.issuer()));
        match proved {
            Some(proved) => Peer::Caller(proved),
            None => Peer::Certificate(leaf.to_vec()),
        }
    }
}
