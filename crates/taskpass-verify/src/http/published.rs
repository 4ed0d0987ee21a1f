//! What an issuer publishes: who it is, its keys, the anchors of its task certificates.
//!
//! The metadata must name the very issuer that was asked, and keys of that issuer's own origin:
//! otherwise anybody who can publish a document could pass for another.

use std::collections::BTreeSet;

use serde::Deserialize;
use taskpass_core::TargetUri;
use taskpass_core::spiffe::TrustDomain;
use taskpass_token::JwkSet;
use taskpass_token::jwk::JwkError;

use super::{HttpClient, HttpError};
use crate::anchors::FetchAnchors;
use crate::keys::{FetchKeys, Fetching};
use crate::settings::{Settings, Staleness};

const METADATA: &str = "/.well-known/openid-configuration";
const ANCHORS: &str = "/ca.pem";

/// What was published cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PublishedError {
    /// It could not be fetched.
    #[error("what the issuer publishes could not be fetched")]
    Fetch(#[from] HttpError),
    /// The metadata are not JSON with the members that matter.
    #[error("the issuer's metadata cannot be read")]
    Metadata(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The metadata are of another issuer than the one that was asked.
    #[error("the metadata are of another issuer, {0}")]
    OtherIssuer(String),
    /// The keys are not at the issuer.
    #[error("the keys are not at the issuer but at {0}")]
    Elsewhere(String),
    /// The keys cannot be used.
    #[error("the issuer's keys cannot be used")]
    Keys(#[source] JwkError),
    /// The anchors are not text.
    #[error("the issuer's anchors are not pem")]
    Anchors,
}

/// The members that matter here; there are others.
#[derive(Debug, Deserialize)]
struct Metadata {
    issuer: String,
    jwks_uri: String,
}

/// What an issuer published at one moment.
#[derive(Debug, Clone)]
pub struct Published {
    /// `iss` of its tokens.
    pub issuer: String,
    /// Where its keys are.
    pub jwks_uri: String,
    /// The keys that sign its tokens.
    pub jwks: JwkSet,
    /// The anchors of its task certificates, in PEM.
    pub task_anchors_pem: String,
}

impl Published {
    /// Fetches what the issuer at `base` publishes. `base` is the broker's public URL, as in the
    /// tokens' `iss`.
    pub async fn fetch(client: &HttpClient, base: &str) -> Result<Self, PublishedError> {
        let base = base.trim_end_matches('/');
        let document = client.get(&format!("{base}{METADATA}")).await?;
        let metadata = judge(&document, base)?;
        let jwks = client.get(&metadata.jwks_uri).await?;
        let anchors = client.get(&format!("{base}{ANCHORS}")).await?;
        Ok(Self {
            issuer: metadata.issuer,
            jwks_uri: metadata.jwks_uri,
            jwks: JwkSet::from_json(&jwks).map_err(PublishedError::Keys)?,
            task_anchors_pem: String::from_utf8(anchors.to_vec())
                .map_err(|_| PublishedError::Anchors)?,
        })
    }

    /// Settings for a verifier of this issuer.
    pub fn settings(
        self,
        trust_domain: TrustDomain,
        audiences: impl IntoIterator<Item = TargetUri>,
        staleness: Staleness,
    ) -> Settings {
        Settings {
            issuer: self.issuer,
            trust_domain,
            audiences: audiences.into_iter().collect::<BTreeSet<_>>(),
            staleness,
            jwks: self.jwks,
            task_anchors_pem: self.task_anchors_pem,
        }
    }
}

fn judge(document: &[u8], base: &str) -> Result<Metadata, PublishedError> {
    let metadata: Metadata = serde_json::from_slice(document)
        .map_err(|error| PublishedError::Metadata(Box::new(error)))?;
    if metadata.issuer.trim_end_matches('/') != base {
        return Err(PublishedError::OtherIssuer(metadata.issuer));
    }
    let beneath = metadata.jwks_uri.strip_prefix(base);
    if !beneath.is_some_and(|path| path.starts_with('/')) {
        return Err(PublishedError::Elsewhere(metadata.jwks_uri));
    }
    Ok(metadata)
}

/// Keys at a URL, for [`Keys`](crate::Keys).
#[derive(Debug, Clone)]
pub struct HttpKeys {
    client: HttpClient,
    url: String,
}

impl HttpKeys {
    /// The keys at `url`, which is [`Published::jwks_uri`].
    pub fn new(client: HttpClient, url: impl Into<String>) -> Self {
        Self {
            client,
            url: url.into(),
        }
    }
}

impl FetchKeys for HttpKeys {
    fn fetch(&self) -> Fetching<'_> {
        Box::pin(async {
            let json = self.client.get(&self.url).await?;
            let keys = JwkSet::from_json(&json).map_err(PublishedError::Keys)?;
            Ok(keys)
        })
    }
}

/// The anchors of an issuer, for [`Anchors`](crate::Anchors).
#[derive(Debug, Clone)]
pub struct HttpAnchors {
    client: HttpClient,
    url: String,
}

impl HttpAnchors {
    /// The anchors that the issuer at `base` publishes; `base` is the broker's public URL.
    pub fn new(client: HttpClient, base: &str) -> Self {
        Self {
            client,
            url: format!("{}{ANCHORS}", base.trim_end_matches('/')),
        }
    }
}

impl FetchAnchors for HttpAnchors {
    fn fetch(&self) -> crate::anchors::Fetching<'_> {
        Box::pin(async {
            let pem = self.client.get(&self.url).await?;
            let pem = String::from_utf8(pem.to_vec()).map_err(|_| PublishedError::Anchors)?;
            Ok(pem)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_issuer_must_be_the_one_that_was_asked() {
        let document = |issuer: &str, keys: &str| {
            format!(r#"{{"issuer":"{issuer}","jwks_uri":"{keys}","other":[1]}}"#)
        };
        let base = "https://broker.example";
        for (issuer, keys, good) in [
            (base, "https://broker.example/k", true),
            ("https://broker.example/", "https://broker.example/k", true),
            ("https://evil.example", "https://broker.example/k", false),
            (base, "https://evil.example/k", false),
            (base, "https://broker.example.evil/k", false),
            (base, "https://broker.example@evil/k", false),
            (base, "https://broker.example", false),
            ("", "https://broker.example/k", false),
        ] {
            let judged = judge(document(issuer, keys).as_bytes(), base);
            assert_eq!(judged.is_ok(), good, "{issuer} {keys}");
        }
        for bad in ["nothing", "{}", r#"{"issuer":1,"jwks_uri":"x"}"#, "[]"] {
            let judged = judge(bad.as_bytes(), base);
            assert!(matches!(judged, Err(PublishedError::Metadata(_))), "{bad}");
        }
    }
}
