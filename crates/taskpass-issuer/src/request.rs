//! Requests for certificates that somebody else signs: of an issuing authority whose key waits here,
//! or of a root that is to stand beneath another one.
//!
//! A request says the name, and what the certificate must allow; whoever signs decides what it says.

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, IsCa, KeyUsagePurpose,
};
use taskpass_core::key::{KeyPurpose, KeyRecord};
use taskpass_core::time::Timestamp;
use x509_parser::prelude::{FromDer as _, X509Certificate};

use crate::authority::Hierarchy;
use crate::init::{InitError, Maker, common_name};
use crate::issuer::{Issuer, OpenError, open};
use crate::pem;
use crate::profile::MAX_NAME;
use crate::rotation;
use crate::seal::KeyEncryptionKey;

/// A request could not be made.
#[derive(Debug, thiserror::Error)]
pub enum RequestError {
    /// Keys of this purpose have no certificates.
    #[error("a {0} key has no certificate")]
    NoAuthority(KeyPurpose),
    /// The key is not here.
    #[error("the private half of the {0} key is not here: make the request where it is")]
    Elsewhere(KeyPurpose),
    /// The key does not open.
    #[error("the key cannot be opened")]
    Open(#[from] OpenError),
    /// The request could not be put together or signed.
    #[error("the request could not be made")]
    Make(#[from] rcgen::Error),
}

impl Issuer {
    /// A key for an issuing authority, which waits for a certificate made elsewhere.
    pub fn make_waiting(
        &self,
        purpose: KeyPurpose,
        now: Timestamp,
        kek: &KeyEncryptionKey,
    ) -> Result<KeyRecord, InitError> {
        let maker = Maker {
            trust_domain: &self.config.trust_domain,
            now,
            kek,
        };
        maker.waiting(purpose)
    }

    /// The request for the certificate of an authority, in PEM, signed with its key.
    pub fn request(
        &self,
        record: &KeyRecord,
        kek: &KeyEncryptionKey,
    ) -> Result<String, RequestError> {
        let purpose = record.purpose;
        let below = match purpose {
            KeyPurpose::ControlRoot | KeyPurpose::TaskRoot => 1,
            _ if rotation::hierarchy(purpose).is_some() => 0,
            _ => return Err(RequestError::NoAuthority(purpose)),
        };
        if !record.has_private() {
            return Err(RequestError::Elsewhere(purpose));
        }
        let key = open::open_key(record, kek)?;
        let mut params = CertificateParams::default();
        params.distinguished_name = self.name(record);
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(below));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let request = params.serialize_request(&key)?;
        Ok(pem::encode("CERTIFICATE REQUEST", request.der()))
    }

    /// As it is in a root's own certificate: the certificates beneath it name it so.
    fn name(&self, record: &KeyRecord) -> DistinguishedName {
        let short = |text: &str| text.chars().take(MAX_NAME).collect::<String>();
        let mut name = DistinguishedName::new();
        let organisation = self.config.trust_domain.as_str();
        name.push(DnType::OrganizationName, short(organisation));
        name.push(
            DnType::CommonName,
            short(&common_name(record.purpose, &record.id)),
        );
        name
    }
}

/// The hierarchy that an authority's purpose belongs to, and whether it is the root of it.
pub fn place(purpose: KeyPurpose) -> Option<(Hierarchy, bool)> {
    Hierarchy::ALL.into_iter().find_map(|hierarchy| {
        let root = purpose == hierarchy.root();
        (root || purpose == hierarchy.issuing()).then_some((hierarchy, root))
    })
}

/// The subject of a certificate as people read it.
pub(crate) fn subject_of(der: &[u8]) -> String {
    X509Certificate::from_der(der)
        .map(|(_, certificate)| certificate.subject().to_string())
        .unwrap_or_default()
}
