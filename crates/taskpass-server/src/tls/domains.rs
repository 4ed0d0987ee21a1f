//! Which authorities a client certificate is held against: those of the trust domain that it claims.
//!
//! The choice is made before any path is built, from the end-entity certificate alone. Whoever claims a
//! domain that is federated is held against that domain's bundle and no other; everybody else against
//! ours. So the authority of another domain cannot certify one of our identities, nor one of a third
//! domain, whatever it signs.

use std::collections::BTreeMap;
use std::sync::Arc;

use rustls::client::danger::HandshakeSignatureValid;
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{DigitallySignedStruct, DistinguishedName, Error, SignatureScheme};
use rustls_pki_types::{CertificateDer, UnixTime};
use taskpass_core::spiffe::TrustDomain;

use super::{TlsError, config_error};
use crate::federation::{Bundles, claimed};

/// Ours, and those of other domains.
#[derive(Debug)]
pub(super) struct ByDomain {
    ours: Arc<dyn ClientCertVerifier>,
    others: BTreeMap<TrustDomain, Arc<dyn ClientCertVerifier>>,
}

impl ByDomain {
    pub(super) fn new(
        ours: Arc<dyn ClientCertVerifier>,
        bundles: &Bundles,
    ) -> Result<Self, TlsError> {
        let mut others = BTreeMap::new();
        for (domain, roots) in bundles {
            let provider = Arc::new(rustls::crypto::ring::default_provider());
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::clone(roots), provider)
                .build()
                .map_err(config_error)?;
            others.insert(domain.clone(), verifier);
        }
        Ok(Self { ours, others })
    }
}

impl ClientCertVerifier for ByDomain {
    fn client_auth_mandatory(&self) -> bool {
        self.ours.client_auth_mandatory()
    }

    /// None: they would tell everybody whom we federate with, and some clients send nothing if they
    /// do not find their own.
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let other = claimed(end_entity).and_then(|id| self.others.get(id.trust_domain()));
        other
            .unwrap_or(&self.ours)
            .verify_client_cert(end_entity, intermediates, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.ours.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.ours.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.ours.supported_verify_schemes()
    }
}
