//! The broker's own server certificate, with a fresh key each time.
//!
//! This is the one private key made here that leaves: to the TLS acceptor of the same process. It
//! is never stored; a restart makes another.

use std::fmt;
use std::net::IpAddr;

use rcgen::SanType;
use rustls_pki_types::DnsName;
use taskpass_core::access::TokenAlg;
use taskpass_core::spiffe::{SpiffeId, Subject};
use taskpass_core::time::Timestamp;
use taskpass_core::ttl::Ttl;
use zeroize::Zeroizing;

use crate::authority::Hierarchy;
use crate::identity::IdentityError;
use crate::init;
use crate::issuer::Issuer;
use crate::keys::{self, AuthorityKey};
use crate::pem;
use crate::profile::{self, Leaf, Role, Validity};

/// By which names clients reach the broker.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ServerNames {
    /// DNS names.
    pub dns: Vec<String>,
    /// Addresses.
    pub ips: Vec<IpAddr>,
}

/// A server certificate and its private key.
pub struct ServerCertificate {
    /// The certificate, then the issuing authority's, in DER.
    pub chain: Vec<Vec<u8>>,
    /// The same, in PEM.
    pub chain_pem: String,
    /// The private key, in PKCS#8.
    pub key_pkcs8: Zeroizing<Vec<u8>>,
    /// When a new one must be in place.
    pub expires_at: Timestamp,
}

impl fmt::Debug for ServerCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerCertificate")
            .field("expires_at", &self.expires_at)
            .finish_non_exhaustive()
    }
}

impl Issuer {
    /// Makes a server certificate for the broker under `names`.
    pub fn sign_server(
        &self,
        names: &ServerNames,
        now: Timestamp,
        ttl: Ttl,
    ) -> Result<ServerCertificate, IdentityError> {
        let until = now.plus(ttl.duration()).floor_to_second();
        self.may_certify(now, until)?;
        let (key_pkcs8, _) = keys::generate(TokenAlg::Es256)?;
        let key = AuthorityKey::from_private(&key_pkcs8)?;
        let authority = &self.branch(Hierarchy::Control).active;
        let trust_domain = self.config.trust_domain.clone();
        let params = profile::leaf(Leaf {
            serial: init::serial()?,
            validity: Validity { from: now, until },
            id: SpiffeId::new(trust_domain, Subject::Broker),
            more_names: alternative_names(names)?,
            role: Role::Server,
            extension: None,
            crl_url: None,
        })?;
        let der = params.signed_by(&key, &authority.signer)?.der().to_vec();
        Ok(ServerCertificate {
            chain_pem: pem::certificates(std::iter::once(&*der).chain(authority.path())),
            chain: std::iter::once(der.clone())
                .chain(authority.path().map(<[u8]>::to_vec))
                .collect(),
            key_pkcs8,
            expires_at: until,
        })
    }
}

fn alternative_names(names: &ServerNames) -> Result<Vec<SanType>, IdentityError> {
    let dns = names.dns.iter().map(|name| {
        DnsName::try_from(name.as_str()).map_err(|_| IdentityError::Name(name.clone()))?;
        Ok(SanType::DnsName(name.as_str().try_into()?))
    });
    let ips = names.ips.iter().map(|ip| Ok(SanType::IpAddress(*ip)));
    dns.chain(ips).collect()
}
