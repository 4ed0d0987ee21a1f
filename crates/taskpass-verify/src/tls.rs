//! Client certificates in the TLS handshake: only a task's, and only one that is good now.
//!
//! A peer without an acceptable certificate does not get as far as sending a request. The handshake
//! decides once, and connections last: what is sent over one is judged again for each request, by
//! [`Guard`](crate::Guard) or by hand, with the certificate of [`PeerCertificate`](crate::PeerCertificate).
//!
//! [`Incoming`] does handshakes beside each other, with a limit on their number and time, so that one
//! peer that dawdles delays nobody.

mod incoming;

use std::sync::Arc;

use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::WebPkiSupportedAlgorithms;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{NoServerSessionStorage, ServerConfig};
use rustls::{
    CertificateError as TlsCertificateError, DigitallySignedStruct, DistinguishedName, Error,
    SignatureScheme,
};
use rustls_pki_types::{CertificateDer, UnixTime};

use crate::certificate::{CertificateError, CrlVerifier, VerifiedCertificate};
use crate::refusal::Refusal;
use crate::verifier::Verifier;

pub use incoming::{Handshakes, Incoming};

/// The two kinds of keys that task certificates have.
static ALGORITHMS: WebPkiSupportedAlgorithms = WebPkiSupportedAlgorithms {
    all: &[webpki::ring::ECDSA_P256_SHA256, webpki::ring::ED25519],
    mapping: &[
        (
            SignatureScheme::ECDSA_NISTP256_SHA256,
            &[webpki::ring::ECDSA_P256_SHA256],
        ),
        (SignatureScheme::ED25519, &[webpki::ring::ED25519]),
    ],
};

/// What judges certificates.
#[derive(Debug)]
enum Judge {
    Feed(Verifier),
    Lists(CrlVerifier),
}

/// Verifies client certificates for rustls: chain, exact shape, and revocation at that moment.
///
/// Time is the verifier's clock; what rustls offers is not asked.
#[derive(Debug)]
pub struct TaskClientVerifier {
    judge: Judge,
    mandatory: bool,
}

impl TaskClientVerifier {
    /// Revocations come from the verifier's feed. A certificate is required.
    pub fn new(verifier: Verifier) -> Self {
        Self {
            judge: Judge::Feed(verifier),
            mandatory: true,
        }
    }

    /// Revocations come from lists, which must be there and not be over. A certificate is required.
    pub fn with_lists(verifier: CrlVerifier) -> Self {
        Self {
            judge: Judge::Lists(verifier),
            mandatory: true,
        }
    }

    /// Lets peers in that present none; one that is presented must be good all the same. For APIs
    /// that also take tokens which are bound to nothing.
    #[must_use]
    pub fn optional(mut self) -> Self {
        self.mandatory = false;
        self
    }

    fn judge(
        &self,
        leaf: &CertificateDer<'_>,
        above: &[CertificateDer<'_>],
    ) -> Result<VerifiedCertificate, Refusal> {
        let above: Vec<&[u8]> = above.iter().map(AsRef::as_ref).collect();
        match &self.judge {
            Judge::Feed(verifier) => verifier.verify_certificate(leaf, &above),
            Judge::Lists(verifier) => verifier.verify_certificate(leaf, &above),
        }
    }
}

impl ClientCertVerifier for TaskClientVerifier {
    fn client_auth_mandatory(&self) -> bool {
        self.mandatory
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        // None: the anchors may change while this is in use, and whoever has one certificate needs
        // no hint.
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        match self.judge(end_entity, intermediates) {
            Ok(_) => Ok(ClientCertVerified::assertion()),
            Err(refusal) => {
                tracing::info!(reason = %refusal.reason(), %refusal, "a client certificate was refused");
                Err(of_refusal(&refusal).into())
            }
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        rustls::crypto::verify_tls12_signature(message, cert, dss, &ALGORITHMS)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        rustls::crypto::verify_tls13_signature(message, cert, dss, &ALGORITHMS)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        ALGORITHMS.supported_schemes()
    }
}

/// Turns session resumption off: a resumed session would pass by the check of the certificate.
pub fn without_resumption(config: &mut ServerConfig) {
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    config.max_early_data_size = 0;
}

/// As what rustls tells the peer. What is our own trouble is not told apart from a denial.
fn of_refusal(refusal: &Refusal) -> TlsCertificateError {
    use TlsCertificateError as Tls;
    match refusal {
        Refusal::Revoked { .. } | Refusal::Listed => Tls::Revoked,
        Refusal::Certificate(error) => match error {
            CertificateError::Malformed => Tls::BadEncoding,
            CertificateError::Untrusted
            | CertificateError::NotAnAuthority
            | CertificateError::Path => Tls::UnknownIssuer,
            CertificateError::Signature => Tls::BadSignature,
            CertificateError::Expired => Tls::Expired,
            CertificateError::NotYetValid => Tls::NotValidYet,
            CertificateError::Usage | CertificateError::IsAnAuthority => Tls::InvalidPurpose,
            CertificateError::Names(_)
            | CertificateError::NotATask
            | CertificateError::TrustDomain
            | CertificateError::Shape(_)
            | CertificateError::Lifetime(_) => Tls::ApplicationVerificationFailure,
        },
        Refusal::Token(_)
        | Refusal::NotOurAudience(_)
        | Refusal::CertificateMissing
        | Refusal::OtherCertificate
        | Refusal::OtherTask
        | Refusal::Scope { .. }
        | Refusal::NotListed
        | Refusal::ListStale
        | Refusal::NotReady
        | Refusal::Stale { .. }
        | Refusal::KeysStale { .. } => Tls::ApplicationVerificationFailure,
        #[cfg(feature = "status")]
        Refusal::Status(_) => Tls::ApplicationVerificationFailure,
    }
}

#[cfg(test)]
mod tests;
