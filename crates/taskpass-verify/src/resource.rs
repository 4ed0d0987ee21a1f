//! Protected resource metadata (RFC 9728): what an API says of itself, so that a client that was
//! refused finds out where tokens come from.
//!
//! The document is served by the API, at `/.well-known/oauth-protected-resource` followed by the path
//! of the resource's own identifier, and refusals point to it
//! ([`Guard::with_resource_metadata`](crate::Guard::with_resource_metadata)).

use serde::Serialize;
use taskpass_core::{ScopeName, TargetUri};

const WELL_KNOWN: &str = "/.well-known/oauth-protected-resource";

/// The metadata cannot be published for this.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ResourceError {
    /// RFC 9728 §1.2 asks for an `https` URL; a target with another scheme has no well-known place.
    #[error("`{0}` is not an https URL, and has no metadata")]
    Target(TargetUri),
    /// The issuer is not one.
    #[error("`{0}` is not the https URL of an issuer")]
    Issuer(String),
}

/// What an API says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ResourceMetadata {
    resource: TargetUri,
    authorization_servers: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    scopes_supported: Vec<ScopeName>,
    bearer_methods_supported: [&'static str; 1],
    #[serde(skip_serializing_if = "Option::is_none")]
    resource_name: Option<String>,
    tls_client_certificate_bound_access_tokens: bool,
}

impl ResourceMetadata {
    /// Of the API that is called `target`, whose tokens the broker `issuer` issues.
    pub fn new(target: TargetUri, issuer: impl Into<String>) -> Result<Self, ResourceError> {
        let issuer = issuer.into();
        if !is_plain_url(target.as_str()) {
            return Err(ResourceError::Target(target));
        }
        if !is_plain_url(&issuer) {
            return Err(ResourceError::Issuer(issuer));
        }
        Ok(Self {
            resource: target,
            authorization_servers: vec![issuer],
            scopes_supported: Vec::new(),
            bearer_methods_supported: ["header"],
            resource_name: None,
            tls_client_certificate_bound_access_tokens: false,
        })
    }

    /// The scopes that there are.
    #[must_use]
    pub fn with_scopes(mut self, scopes: impl IntoIterator<Item = ScopeName>) -> Self {
        self.scopes_supported = scopes.into_iter().collect();
        self
    }

    /// What people call it.
    #[must_use]
    pub fn with_name(mut self, name: impl Into<String>) -> Self {
        self.resource_name = Some(name.into());
        self
    }

    /// Tokens must be bound to the client's certificate (RFC 8705); see
    /// [`Guard::only_bound`](crate::Guard::only_bound).
    #[must_use]
    pub fn only_bound(mut self) -> Self {
        self.tls_client_certificate_bound_access_tokens = true;
        self
    }

    /// Where on the API's own host the document belongs: the well-known path is put between host and
    /// path of the identifier (RFC 9728 §3.1).
    pub fn path(&self) -> String {
        let (_, path) = split(self.resource.as_str());
        format!("{WELL_KNOWN}{}", path.trim_end_matches('/'))
    }

    /// The document's URL.
    pub fn url(&self) -> String {
        let (origin, _) = split(self.resource.as_str());
        format!("{origin}{}", self.path())
    }

    /// The document.
    pub fn to_json(&self) -> String {
        // Strings, lists of them and a flag: there is nothing that JSON could not say.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// A router that serves the document, to be merged into the API's own.
    #[cfg(feature = "axum")]
    pub fn router<S: Clone + Send + Sync + 'static>(&self) -> axum::Router<S> {
        use http::header::{CACHE_CONTROL, CONTENT_TYPE};
        let headers = [
            (CONTENT_TYPE, "application/json"),
            (CACHE_CONTROL, "public, max-age=300"),
        ];
        let json = self.to_json();
        let answer = move || std::future::ready((headers, json.clone()));
        axum::Router::new().route(&self.path(), axum::routing::get(answer))
    }
}

/// Origin and path of an `https` URL.
fn split(url: &str) -> (&str, &str) {
    let authority = url.find("://").map_or(0, |at| at + 3);
    let path = url
        .get(authority..)
        .and_then(|rest| rest.find('/'))
        .map_or(url.len(), |at| authority + at);
    url.split_at_checked(path).unwrap_or((url, ""))
}

/// An `https` URL with a host, or an `http` one of this machine, without query or fragment, and with
/// nothing that would end a quoted string.
pub(crate) fn is_plain_url(url: &str) -> bool {
    let Ok(uri) = url.parse::<http::Uri>() else {
        return false;
    };
    let Some(host) = uri.host() else {
        return false;
    };
    let loopback = matches!(host, "localhost" | "127.0.0.1" | "[::1]");
    let scheme_is_good = match uri.scheme_str() {
        Some("https") => true,
        Some("http") => loopback,
        _ => false,
    };
    scheme_is_good && uri.query().is_none() && !url.contains(['"', '\\', '#', '@', ' '])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(target: &str) -> Result<ResourceMetadata, ResourceError> {
        ResourceMetadata::new(target.parse().unwrap(), "https://broker.example")
    }

    #[test]
    fn the_document_and_its_place() {
        for (target, path, url) in [
            (
                "https://ledger.example",
                "/.well-known/oauth-protected-resource",
                "https://ledger.example/.well-known/oauth-protected-resource",
            ),
            (
                "https://ledger.example/",
                "/.well-known/oauth-protected-resource",
                "https://ledger.example/.well-known/oauth-protected-resource",
            ),
            (
                "https://a.example:8443/v1/ledger",
                "/.well-known/oauth-protected-resource/v1/ledger",
                "https://a.example:8443/.well-known/oauth-protected-resource/v1/ledger",
            ),
        ] {
            let metadata = of(target).unwrap();
            assert_eq!(
                (metadata.path().as_str(), metadata.url().as_str()),
                (path, url)
            );
        }
        let metadata = of("https://ledger.example")
            .unwrap()
            .with_scopes(["invoices:read".parse().unwrap()])
            .with_name("The \"ledger\"")
            .only_bound();
        let json: serde_json::Value = serde_json::from_str(&metadata.to_json()).unwrap();
        let expected = serde_json::json!({
            "resource": "https://ledger.example",
            "authorization_servers": ["https://broker.example"],
            "scopes_supported": ["invoices:read"],
            "bearer_methods_supported": ["header"],
            "resource_name": "The \"ledger\"",
            "tls_client_certificate_bound_access_tokens": true,
        });
        assert_eq!(json, expected);
    }

    #[test]
    fn what_has_no_place_has_no_document() {
        for target in ["urn:tool:search", "api://x", "http://ledger.example"] {
            assert!(
                matches!(of(target), Err(ResourceError::Target(_))),
                "{target}"
            );
        }
        assert!(of("http://localhost:1").is_ok());
        let here: TargetUri = "https://ledger.example".parse().unwrap();
        for issuer in [
            "",
            "broker",
            "https://",
            "https://a\"b",
            "https://a?b",
            "http://a",
        ] {
            let refused = ResourceMetadata::new(here.clone(), issuer);
            assert!(matches!(refused, Err(ResourceError::Issuer(_))), "{issuer}");
        }
    }
}
