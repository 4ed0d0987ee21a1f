//! The two hierarchies, and an authority of one of them with its key open.
//!
//! *Control* certifies who calls the broker, and the broker itself; *Task* certifies tasks. They
//! share no key and no name. Every issuing authority has a name of its own, with a part of its key
//! identifier in it: two of one name would have each other's CRLs tried on their certificates.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use data_encoding::HEXLOWER;
use rustls_pki_types::CertificateDer;
use taskpass_core::key::{KeyId, KeyPurpose, KeyRecord, KeyState};
use taskpass_core::time::Timestamp;
use x509_parser::prelude::{FromDer as _, ParsedExtension, X509Certificate};

use crate::keys::AuthorityKey;

/// Which of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Hierarchy {
    /// Callers of the broker, and the broker.
    Control,
    /// Tasks.
    Task,
}

impl Hierarchy {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Control, Self::Task];

    /// What its root key is for.
    pub const fn root(self) -> KeyPurpose {
        match self {
            Self::Control => KeyPurpose::ControlRoot,
            Self::Task => KeyPurpose::TaskRoot,
        }
    }

    /// What its issuing keys are for.
    pub const fn issuing(self) -> KeyPurpose {
        match self {
            Self::Control => KeyPurpose::ControlIssuing,
            Self::Task => KeyPurpose::TaskIssuing,
        }
    }

    /// The word in its authorities' names.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Control => "control",
            Self::Task => "task",
        }
    }
}

/// Names an authority in a URL: the first eight bytes of its key identifier, as 16 hex digits.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AuthorityId(Arc<str>);

/// A text is no [`AuthorityId`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an authority's id is 16 hex digits in lower case")]
pub struct ParseAuthorityIdError;

impl AuthorityId {
    pub(crate) fn of(key_identifier: &[u8]) -> Self {
        let start: Vec<u8> = key_identifier.iter().copied().take(8).collect();
        Self(HEXLOWER.encode(&start).into())
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for AuthorityId {
    type Err = ParseAuthorityIdError;

    fn from_str(text: &str) -> Result<Self, ParseAuthorityIdError> {
        match HEXLOWER.decode(text.as_bytes()) {
            Ok(bytes) if bytes.len() == 8 => Ok(Self(text.into())),
            _ => Err(ParseAuthorityIdError),
        }
    }
}

impl fmt::Display for AuthorityId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for AuthorityId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// An authority that can sign.
pub(crate) struct Authority {
    pub(crate) id: AuthorityId,
    pub(crate) key: KeyId,
    pub(crate) state: KeyState,
    pub(crate) key_identifier: Vec<u8>,
    /// The key identifier of the root above it; empty if that is not known.
    pub(crate) root_key: Vec<u8>,
    pub(crate) not_after: Timestamp,
    pub(crate) der: CertificateDer<'static>,
    /// What is presented behind its certificate: those between it and the root, and, where somebody
    /// else certified the root, those between the root and theirs.
    pub(crate) above: Vec<CertificateDer<'static>>,
    pub(crate) signer: rcgen::Issuer<'static, AuthorityKey>,
}

/// A root, with its key open if that is here.
pub(crate) struct Root {
    pub(crate) record: KeyRecord,
    pub(crate) key_identifier: Vec<u8>,
    pub(crate) der: CertificateDer<'static>,
    pub(crate) not_after: Timestamp,
    pub(crate) signer: Option<Authority>,
}

/// A recorded certificate is not one of an authority of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the recorded certificate is not that of an authority with this key")]
pub struct BadAuthority;

impl Authority {
    /// Joins a record's certificate with its opened key.
    pub(crate) fn new(record: &KeyRecord, key: AuthorityKey) -> Result<Self, BadAuthority> {
        let der = record.certificate.clone().ok_or(BadAuthority)?;
        let facts = CaFacts::read(&der)?;
        if facts.spki != record.public {
            return Err(BadAuthority);
        }
        let der = CertificateDer::from(der);
        let signer = rcgen::Issuer::from_ca_cert_der(&der, key).map_err(|_| BadAuthority)?;
        Ok(Self {
            id: AuthorityId::of(&facts.key_identifier),
            key: record.id.clone(),
            state: record.state,
            key_identifier: facts.key_identifier,
            root_key: Vec::new(),
            not_after: facts.until,
            der,
            above: Vec::new(),
            signer,
        })
    }

    /// The certificates that are presented with one of its own: its own, and those above it.
    pub(crate) fn path(&self) -> impl Iterator<Item = &[u8]> {
        std::iter::once(&*self.der).chain(self.above.iter().map(|der| &**der))
    }
}

impl Root {
    /// Joins a record's certificate with its opened key, if that is here.
    pub(crate) fn new(record: &KeyRecord, signer: Option<Authority>) -> Result<Self, BadAuthority> {
        let der = record.certificate.clone().ok_or(BadAuthority)?;
        let facts = CaFacts::read(&der)?;
        if facts.spki != record.public {
            return Err(BadAuthority);
        }
        Ok(Self {
            der: CertificateDer::from(der),
            key_identifier: facts.key_identifier,
            not_after: facts.until,
            signer,
            record: record.clone(),
        })
    }
}

/// Whether `root` certified the authority, or the topmost of those above it.
pub(crate) fn is_beneath(authority: &KeyRecord, root: &KeyRecord) -> bool {
    let topmost = authority.chain.last().or(authority.certificate.as_ref());
    let (Some(topmost), Some(root)) = (topmost, &root.certificate) else {
        return false;
    };
    let (Ok(below), Ok(above)) = (CaFacts::read(topmost), CaFacts::read(root)) else {
        return false;
    };
    let same_key = below
        .authority_key
        .is_none_or(|key| key == above.key_identifier);
    below.issuer == above.subject && same_key
}

/// What is read off an authority's certificate.
pub(crate) struct CaFacts {
    pub(crate) spki: Vec<u8>,
    pub(crate) key_identifier: Vec<u8>,
    /// The key identifier of whoever certified it, if it says so.
    pub(crate) authority_key: Option<Vec<u8>>,
    pub(crate) subject: Vec<u8>,
    pub(crate) issuer: Vec<u8>,
    pub(crate) until: Timestamp,
    pub(crate) serial: Vec<u8>,
}

impl CaFacts {
    pub(crate) fn read(der: &[u8]) -> Result<Self, BadAuthority> {
        let (rest, certificate) = X509Certificate::from_der(der).map_err(|_| BadAuthority)?;
        let key_identifier = certificate
            .extensions()
            .iter()
            .find_map(|extension| match extension.parsed_extension() {
                ParsedExtension::SubjectKeyIdentifier(id) => Some(id.0.to_vec()),
                _ => None,
            });
        let authority_key = certificate.extensions().iter().find_map(|extension| {
            match extension.parsed_extension() {
                ParsedExtension::AuthorityKeyIdentifier(id) => {
                    id.key_identifier.as_ref().map(|id| id.0.to_vec())
                }
                _ => None,
            }
        });
        let last = certificate.validity().not_after.timestamp();
        let last = u64::try_from(last).map_err(|_| BadAuthority)?;
        if !(rest.is_empty() && certificate.is_ca()) {
            return Err(BadAuthority);
        }
        Ok(Self {
            spki: certificate.public_key().raw.to_vec(),
            key_identifier: key_identifier.ok_or(BadAuthority)?,
            authority_key,
            subject: certificate.subject().as_raw().to_vec(),
            issuer: certificate.issuer().as_raw().to_vec(),
            until: Timestamp::from_secs(last.saturating_add(1)),
            serial: certificate.raw_serial().to_vec(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_sixteen_hex_digits() {
        let id = AuthorityId::of(&[0xab; 20]);
        assert_eq!(id.as_str(), "abababababababab");
        assert_eq!(id.as_str().parse(), Ok(id));
        for bad in [
            "",
            "ABABABABABABABAB",
            "ab",
            "../../etc/passwd0",
            "abababababababag",
        ] {
            assert!(bad.parse::<AuthorityId>().is_err(), "{bad}");
        }
    }
}
