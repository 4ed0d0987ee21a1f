//! What is configured about those whom the broker believes, before any of it is opened.

use std::collections::BTreeSet;
use std::path::PathBuf;

use taskpass_broker::federation::{JwtTrust, SvidTrust};
use taskpass_core::spiffe::TrustDomain;
use taskpass_store::Birth;

use super::FederationError;
use super::fetch::Fetcher;
use super::keys::read_keys;
use super::svid::read_bundle;

/// Where the keys of an issuer come from.
#[derive(Debug, Clone)]
pub enum KeySource {
    /// A file with its JWK set, read again as it changes.
    File(PathBuf),
    /// Where its JWK set is published: https, or http on this machine.
    Url {
        /// Where.
        url: String,
        /// Authorities (PEM) to trust there, and no others; the system's if absent.
        ca_file: Option<PathBuf>,
    },
}

/// An issuer of tokens.
#[derive(Debug, Clone)]
pub struct JwtIssuer {
    /// What is believed of it.
    pub trust: JwtTrust,
    /// Where its keys come from.
    pub keys: KeySource,
}

/// Another trust domain.
#[derive(Debug, Clone)]
pub struct SvidDomain {
    /// What is believed of it.
    pub trust: SvidTrust,
    /// Its authorities: PEM, or a SPIFFE bundle in JSON. Read again as it changes.
    pub bundle: PathBuf,
}

/// All of them.
#[derive(Debug, Clone, Default)]
pub struct Federation {
    /// Issuers of tokens.
    pub jwt: Vec<JwtIssuer>,
    /// Other trust domains.
    pub svid: Vec<SvidDomain>,
}

impl Federation {
    /// Checks what can be checked without the broker, and without asking anybody: names, and files.
    pub fn check(&self) -> Result<(), FederationError> {
        let mut seen = BTreeSet::new();
        let names = self.jwt.iter().map(|issuer| issuer.trust.name());
        let issuers = self.jwt.iter().map(|issuer| issuer.trust.issuer());
        let domains = self
            .svid
            .iter()
            .map(|domain| domain.trust.trust_domain().as_str());
        // A name, an issuer and a domain may be spelt alike.
        let kinds = names
            .map(|name| (0, name))
            .chain(issuers.map(|name| (1, name)))
            .chain(domains.map(|name| (2, name)));
        for (kind, name) in kinds {
            if !seen.insert((kind, name)) {
                return Err(FederationError::Twice {
                    name: name.to_owned(),
                });
            }
        }
        for issuer in &self.jwt {
            match &issuer.keys {
                KeySource::File(path) => read_keys(path).map(drop)?,
                KeySource::Url { url, ca_file } => {
                    Fetcher::check(url, ca_file.as_deref())?;
                }
            }
        }
        for domain in &self.svid {
            read_bundle(&domain.bundle)?;
        }
        Ok(())
    }

    /// Refuses the broker's own issuer and trust domain: its tokens prove tasks, not callers, and its
    /// identities are checked in another way.
    pub fn check_own(&self, birth: &Birth) -> Result<(), FederationError> {
        let bare = |url: &str| url.trim_end_matches('/').to_ascii_lowercase();
        let own_issuer = self
            .jwt
            .iter()
            .map(|issuer| issuer.trust.issuer())
            .find(|issuer| bare(issuer) == bare(&birth.public_url));
        let own_domain = self
            .svid
            .iter()
            .map(|domain| domain.trust.trust_domain())
            .find(|domain| **domain == birth.trust_domain)
            .map(TrustDomain::as_str);
        match own_issuer.or(own_domain) {
            Some(name) => Err(FederationError::Own {
                name: name.to_owned(),
            }),
            None => Ok(()),
        }
    }
}
