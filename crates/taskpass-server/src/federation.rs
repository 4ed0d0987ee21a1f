//! Callers by the word of others: checking what they bring, before anything else is looked at.
//!
//! A bearer token is checked here, with its issuer's keys, and becomes what the transport proved of this one
//! request; a certificate of another trust domain, and a process at the Unix socket, of a connection.
//! Which agent that is, the broker's rules say. Whoever's key must be asked for waits in a small room of
//! its issuer's; whoever's key is held waits for nobody, however many others invent names of keys.

mod counts;
mod fetch;
mod keys;
mod settings;
mod svid;

use std::sync::Arc;

use http::{HeaderMap, header};
use rustls_pki_types::CertificateDer;
use taskpass_broker::federation::{AttestationRefusal, JwtTrust};
use taskpass_broker::{Broker, Error, Proved};
use taskpass_core::Clock;
use taskpass_token::foreign::ForeignToken;

pub(crate) use counts::{Counts, Outcome};
use keys::{IssuerKeys, Lookup};
pub use settings::{Federation as FederationSettings, JwtIssuer, KeySource, SvidDomain};
pub(crate) use svid::{Bundles, Domains, claimed};

/// Federation could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum FederationError {
    /// A file cannot be read.
    #[error("could not read {}", path.display())]
    File {
        /// Which.
        path: std::path::PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A file of keys holds none that can be used.
    #[error("{} holds no usable keys", path.display())]
    Keys {
        /// Which.
        path: std::path::PathBuf,
        /// Why.
        #[source]
        source: taskpass_token::foreign::KeySetError,
    },
    /// A file holds no authorities.
    #[error("{} holds no certificate of an authority: {expected}", path.display())]
    Bundle {
        /// Which.
        path: std::path::PathBuf,
        /// What would be right.
        expected: &'static str,
    },
    /// Something is wrong with where to fetch from, or with TLS there.
    #[error("`{url}` cannot be fetched from: {expected}")]
    Url {
        /// Where.
        url: String,
        /// What would be right.
        expected: &'static str,
    },
    /// Two have one name, issuer or trust domain.
    #[error("`{name}` is configured twice")]
    Twice {
        /// Which.
        name: String,
    },
    /// The broker itself.
    #[error("`{name}` is this broker's own: it is never federated with")]
    Own {
        /// Its issuer or trust domain.
        name: String,
    },
}

/// What is believed, and with which keys.
pub(crate) struct Federation {
    issuers: Vec<(JwtTrust, Arc<IssuerKeys>)>,
    pub(crate) domains: Domains,
    clock: Arc<dyn Clock>,
    pub(crate) counts: Arc<Counts>,
}

impl Federation {
    /// Opens the files that are configured; what is fetched is fetched when it is needed first.
    pub(crate) fn open(
        settings: &FederationSettings,
        broker: &Broker,
        clock: &Arc<dyn Clock>,
    ) -> Result<Self, FederationError> {
        settings.check()?;
        settings.check_own(broker.birth())?;
        let keys = |issuer: &JwtIssuer| {
            let keys = IssuerKeys::open(&issuer.keys, Arc::clone(clock))?;
            Ok((issuer.trust.clone(), Arc::new(keys)))
        };
        Ok(Self {
            issuers: settings.jwt.iter().map(keys).collect::<Result<_, _>>()?,
            domains: Domains::open(&settings.svid)?,
            clock: Arc::clone(clock),
            counts: Arc::default(),
        })
    }

    /// Whether tokens of other issuers are believed at all.
    pub(crate) const fn believes_tokens(&self) -> bool {
        !self.issuers.is_empty()
    }

    /// Whether a request brings what may be such a token.
    pub(crate) fn is_brought(&self, headers: &HeaderMap) -> bool {
        self.believes_tokens() && headers.contains_key(header::AUTHORIZATION)
    }

    /// What a request's metadata proves, if it brings a bearer token and there are issuers to believe.
    /// `has_certificate`: whether its connection proved something already.
    pub(crate) async fn bearer(
        &self,
        headers: &HeaderMap,
        has_certificate: bool,
    ) -> Result<Option<Proved>, Error> {
        if !self.is_brought(headers) {
            return Ok(None);
        }
        if has_certificate {
            return Err(AttestationRefusal::TwoWays.into());
        }
        let proved = self.token(headers).await;
        let outcome = match &proved {
            Ok(_) => Outcome::Accepted,
            Err(Error::AttestationRefused(_)) => Outcome::Refused,
            Err(_) => Outcome::Unavailable,
        };
        self.counts.federated_jwt.count(outcome);
        proved.map(Some)
    }

    /// What a certificate proves that the handshake held against another domain's authorities; nothing
    /// if it is not of one that is believed.
    pub(crate) fn certificate(
        &self,
        leaf: &CertificateDer<'_>,
    ) -> Option<Result<Proved, AttestationRefusal>> {
        let proved = self.domains.proved(leaf)?;
        let outcome = match &proved {
            Ok(_) => Outcome::Accepted,
            Err(_) => Outcome::Refused,
        };
        self.counts.foreign_svid.count(outcome);
        Some(proved)
    }

    async fn token(&self, headers: &HeaderMap) -> Result<Proved, Error> {
        let text = bearer_token(headers).ok_or(AttestationRefusal::Header)?;
        let token = ForeignToken::read(text).map_err(AttestationRefusal::Token)?;
        let issuer = token.claimed_issuer();
        let (trust, keys) = self
            .issuers
            .iter()
            .find(|(trust, _)| issuer == Some(trust.issuer()))
            .ok_or(AttestationRefusal::UnknownIssuer)?;
        token
            .pinned(trust.believes().algorithms)
            .map_err(AttestationRefusal::Token)?;
        let key = match keys.find(token.kid()).await {
            Lookup::Found(key) => key,
            Lookup::Unknown => return Err(AttestationRefusal::UnknownKey.into()),
            Lookup::Busy => return Err(Error::QueueFull),
            Lookup::Unavailable => {
                return Err(Error::AttestationUnavailable {
                    issuer: trust.name().to_owned(),
                });
            }
        };
        let believed = token
            .believe(&key, &trust.believes(), self.clock.now())
            .map_err(AttestationRefusal::Token)?;
        Ok(trust.proved(believed)?)
    }

    /// Reads files again that may have changed; what was fetched is fetched when it is due.
    pub(crate) async fn refresh(&self) {
        for (_, keys) in &self.issuers {
            keys.refresh_if_due().await;
        }
    }
}

/// The token of exactly one `authorization: Bearer`.
fn bearer_token(headers: &HeaderMap) -> Option<&str> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let (value, more) = (values.next()?, values.next());
    let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
    (more.is_none() && scheme.eq_ignore_ascii_case("Bearer") && !token.is_empty()).then_some(token)
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    #[test]
    fn one_bearer_token_and_nothing_else() {
        let with = |values: &[&'static str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(header::AUTHORIZATION, HeaderValue::from_static(value));
            }
            bearer_token(&headers).map(str::to_owned)
        };
        assert_eq!(with(&["Bearer a.b.c"]).as_deref(), Some("a.b.c"));
        assert_eq!(with(&["bearer a.b.c"]).as_deref(), Some("a.b.c"));
        for bad in [
            &[][..],
            &["Bearer"],
            &["Bearer "],
            &["Basic a.b.c"],
            &["a.b.c"],
            &["Bearer a", "Bearer b"],
        ] {
            assert_eq!(with(bad), None, "{bad:?}");
        }
    }
}
