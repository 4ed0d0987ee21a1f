//! The authority of another trust domain, and certificates of it.

use rcgen::{
    BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SanType,
};
use taskpass_testkit::{Broker, within};
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};

pub(crate) struct Authority {
    pub(crate) pem: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let pem = params.self_signed(&key).unwrap().pem();
        let issuer = Issuer::new(params, key);
        Self { pem, issuer }
    }

    /// A connection that shows a certificate of this name.
    pub(crate) async fn connect(&self, broker: &Broker, id: &str) -> Channel {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.subject_alt_names = vec![SanType::URI(id.try_into().unwrap())];
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        let now = i64::try_from(crate::issuer::now()).unwrap();
        (params.not_before, params.not_after) = (time_of(now - 60), time_of(now + 3600));
        let leaf = params.signed_by(&key, &self.issuer).unwrap().pem();
        let anchors = broker.identity(broker.operator_name()).ca_pem().to_owned();
        let tls = ClientTlsConfig::new()
            .domain_name("127.0.0.1")
            .ca_certificate(Certificate::from_pem(anchors))
            .identity(Identity::from_pem(leaf, key.serialize_pem()));
        let endpoint = Endpoint::from_shared(broker.addresses().addr.clone()).unwrap();
        within(endpoint.tls_config(tls).unwrap().connect())
            .await
            .unwrap()
    }
}

/// An instant in the certificate library's own type, which it takes no other way.
fn time_of<T: From<std::time::SystemTime>>(secs: i64) -> T {
    let since = std::time::Duration::from_secs(u64::try_from(secs).unwrap());
    T::from(std::time::UNIX_EPOCH + since)
}
