//! Fetching an issuer's keys: one small document, from the one place that is configured.
//!
//! HTTPS, or plain HTTP to this machine. No redirects, no compression, nothing but `200 OK`, no more than
//! a key set may have, within five seconds from beginning to end. Where to fetch from is never taken from
//! a token.

use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use http::{StatusCode, Uri};
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::body::Bytes;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use taskpass_core::Clock;
use taskpass_token::foreign::{ForeignKeySet, MAX_KEY_SET_LEN};

use super::FederationError;
use crate::tls::TlsClock;

/// How long an answer may take.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Where systems keep the authorities that they trust.
const SYSTEM_ANCHORS: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// Why keys did not come.
pub(super) type FetchError = Box<dyn std::error::Error + Send + Sync>;

/// Fetches from one place.
pub(super) struct Fetcher {
    client: Client<HttpsConnector<HttpConnector>, Empty<Bytes>>,
    uri: Uri,
}

impl Fetcher {
    pub(super) fn new(
        url: &str,
        ca_file: Option<&Path>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, FederationError> {
        let (uri, roots) = Self::check(url, ca_file)?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_details(provider, Arc::new(TlsClock(clock)))
            .with_safe_default_protocol_versions()
            .map_err(|_| wrong(url, "TLS could not be set up"))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(config)
            .https_or_http()
            .enable_http1()
            .build();
        let mut builder = Client::builder(TokioExecutor::new());
        // Minutes pass between two fetches.
        builder.pool_max_idle_per_host(0);
        Ok(Self {
            client: builder.build(connector),
            uri,
        })
    }

    /// Whether something may be fetched from there, and whom to trust there.
    pub(super) fn check(
        url: &str,
        ca_file: Option<&Path>,
    ) -> Result<(Uri, RootCertStore), FederationError> {
        let uri: Uri = url
            .parse()
            .map_err(|_| wrong(url, "not a URL like https://issuer.example/keys"))?;
        // A name before an `@` would be sent along, and shown in messages.
        let host = uri
            .authority()
            .filter(|authority| !authority.as_str().contains('@'))
            .map(http::uri::Authority::host);
        match (uri.scheme_str(), host) {
            (Some("https"), Some(_)) => {
                let roots = roots(ca_file)?;
                if roots.is_empty() {
                    return Err(wrong(
                        url,
                        "no authority to trust for https; name a `ca_file`",
                    ));
                }
                Ok((uri, roots))
            }
            (Some("http"), Some(host)) if is_loopback(host) => Ok((uri, RootCertStore::empty())),
            (Some("http"), Some(_)) => Err(wrong(
                url,
                "plain http is for this machine only: whoever is on the way could choose the keys",
            )),
            _ => Err(wrong(url, "not a URL like https://issuer.example/keys")),
        }
    }

    /// Asks for the keys of this moment.
    pub(super) async fn fetch(&self) -> Result<ForeignKeySet, FetchError> {
        tokio::time::timeout(TIMEOUT, self.get())
            .await
            .unwrap_or_else(
                |_| Err(format!("no whole answer within {}s", TIMEOUT.as_secs()).into()),
            )
    }

    async fn get(&self) -> Result<ForeignKeySet, FetchError> {
        let reply = self.client.get(self.uri.clone()).await?;
        if reply.status() != StatusCode::OK {
            return Err(format!("the answer was {}", reply.status()).into());
        }
        let body = Limited::new(reply.into_body(), MAX_KEY_SET_LEN).collect();
        Ok(ForeignKeySet::from_json(&body.await?.to_bytes())?)
    }
}

fn wrong(url: &str, expected: &'static str) -> FederationError {
    FederationError::Url {
        url: url.to_owned(),
        expected,
    }
}

fn is_loopback(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || bare.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

fn roots(ca_file: Option<&Path>) -> Result<RootCertStore, FederationError> {
    let mut roots = RootCertStore::empty();
    let Some(path) = ca_file else {
        // One that cannot be read, in a bundle of many, leaves the others.
        let read = |path: &&str| std::fs::read(path).ok();
        let pem = SYSTEM_ANCHORS.iter().find_map(read).unwrap_or_default();
        roots.add_parsable_certificates(CertificateDer::pem_slice_iter(&pem).flatten());
        return Ok(roots);
    };
    // Named by somebody: each must be readable.
    let pem = super::keys::read_file(path)?;
    let bundle = || FederationError::Bundle {
        path: path.to_owned(),
        expected: "certificates in PEM",
    };
    for der in CertificateDer::pem_slice_iter(&pem) {
        roots
            .add(der.map_err(|_| bundle())?)
            .map_err(|_| bundle())?;
    }
    if roots.is_empty() {
        return Err(bundle());
    }
    Ok(roots)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_keys_may_come_from() {
        for good in [
            "http://127.0.0.1:8080/keys",
            "http://localhost/keys",
            "http://[::1]:1/",
        ] {
            assert!(Fetcher::check(good, None).is_ok(), "{good}");
        }
        for bad in [
            "http://issuer.example/keys",
            "http://127.0.0.1.evil.example/keys",
            "https://user@issuer.example/keys",
            "ftp://127.0.0.1/keys",
            "/keys",
            "",
        ] {
            assert!(Fetcher::check(bad, None).is_err(), "{bad}");
        }
    }
}
