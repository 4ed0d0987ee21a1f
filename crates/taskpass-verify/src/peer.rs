//! The certificate of a connection's peer, as an extension of each request that comes over it.
//!
//! It is what the peer proved to have the key of in the handshake, and says nothing yet: whether it is
//! a task's, and good now, is judged for each request.

use std::sync::{Arc, OnceLock};

use http::Extensions;
use rustls_pki_types::CertificateDer;

use crate::certificate::VerifiedCertificate;
use crate::refusal::Refusal;
use crate::verifier::Verifier;

/// What a connection's peer presented: its certificate and those above it, or none.
///
/// Whoever does the handshake puts it into the extensions of each request. With axum,
/// `into_make_service_with_connect_info::<PeerCertificate>()` does; with tonic its own information on
/// connections is read as well. It must come from the TLS stack and from nowhere else: never from a
/// header, which anybody can write.
#[derive(Debug, Clone, Default)]
pub struct PeerCertificate {
    chain: Arc<[CertificateDer<'static>]>,
    /// Found good by some verifier before; looked at again with each request.
    known: Arc<OnceLock<VerifiedCertificate>>,
}

impl PeerCertificate {
    /// Of what the peer presented, its own certificate first.
    pub fn new(chain: impl IntoIterator<Item = CertificateDer<'static>>) -> Self {
        Self {
            chain: chain.into_iter().collect(),
            known: Arc::default(),
        }
    }

    /// Of a connection whose handshake is done.
    #[cfg(feature = "rustls")]
    pub fn of(connection: &rustls::ServerConnection) -> Self {
        let chain = connection.peer_certificates().unwrap_or_default();
        Self::new(chain.iter().map(|der| der.clone().into_owned()))
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.chain.is_empty()
    }

    /// The peer's certificate as `verifier` sees it now; `None` if there is none.
    ///
    /// The path is built and checked once; what can change (time, anchors, revocations) each time.
    pub fn verified(&self, verifier: &Verifier) -> Result<Option<VerifiedCertificate>, Refusal> {
        let Some((leaf, above)) = self.chain.split_first() else {
            return Ok(None);
        };
        // By revocation lists a certificate is only ever judged whole.
        if let Some(known) = self
            .known
            .get()
            .filter(|_| verifier.rechecks_certificates())
        {
            verifier.recheck_certificate(known)?;
            return Ok(Some(known.clone()));
        }
        let above: Vec<&[u8]> = above.iter().map(AsRef::as_ref).collect();
        let certificate = verifier.verify_certificate(leaf, &above)?;
        Ok(Some(self.known.get_or_init(|| certificate).clone()))
    }

    /// What is known of the peer of a request.
    pub(crate) fn find(extensions: &Extensions) -> Self {
        if let Some(own) = extensions.get::<Self>() {
            return own.clone();
        }
        #[cfg(feature = "axum")]
        if let Some(axum::extract::ConnectInfo(own)) = extensions.get() {
            return Self::clone(own);
        }
        #[cfg(feature = "tonic")]
        if let Some(peer) = crate::grpc::peer(extensions) {
            return peer;
        }
        Self::default()
    }
}

#[cfg(feature = "axum")]
impl axum::extract::connect_info::Connected<axum::serve::IncomingStream<'_, crate::tls::Incoming>>
    for PeerCertificate
{
    fn connect_info(stream: axum::serve::IncomingStream<'_, crate::tls::Incoming>) -> Self {
        Self::of(stream.io().get_ref().1)
    }
}
