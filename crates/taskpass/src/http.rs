//! Fetching small public documents: metadata, keys, anchors.
//!
//! HTTPS, or plain HTTP to this machine only; no redirects, a limit on size and time. The anchors
//! are a file's or the system's.

use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::StatusCode;
use hyper::body::Bytes;
use hyper::http::Uri;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use rustls::pki_types::UnixTime;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use taskpass_core::Clock;

use crate::errors::CliError;

/// More than any document that is fetched.
const MAX_BODY: usize = 1024 * 1024;
const TIMEOUT: Duration = Duration::from_secs(10);

/// Where systems keep the authorities that they trust.
const SYSTEM_ANCHORS: &[&str] = &[
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// A client for one base URL.
#[derive(Debug)]
pub(crate) struct HttpClient {
    base: String,
    client: Client<HttpsConnector<HttpConnector>, Empty<Bytes>>,
}

impl HttpClient {
    /// For what is beneath `base`. `anchors` replaces the system's authorities.
    pub(crate) fn new(
        base: &str,
        anchors: Option<&Path>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, CliError> {
        let roots = match judge(base)? {
            Transport::Tls => trusted(anchors)?,
            Transport::Loopback => RootCertStore::empty(),
        };
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_details(provider, Arc::new(TlsTime(clock)))
            .with_safe_default_protocol_versions()
            .map_err(|error| CliError::caused("INTERNAL", "could not set up TLS", error))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(config)
            .https_or_http()
            .enable_http1()
            .build();
        Ok(Self {
            base: base.trim_end_matches('/').to_owned(),
            client: Client::builder(TokioExecutor::new()).build(connector),
        })
    }

    /// Fetches `path`, which begins with a slash.
    pub(crate) async fn get(&self, path: &str) -> Result<Bytes, CliError> {
        let url = format!("{}{path}", self.base);
        tokio::time::timeout(TIMEOUT, self.fetch(&url))
            .await
            .unwrap_or_else(|_| {
                let message = format!("no answer from {url} within {}s", TIMEOUT.as_secs());
                Err(CliError::new("HTTP_ERROR", message))
            })
    }

    async fn fetch(&self, url: &str) -> Result<Bytes, CliError> {
        let failed = |what: &str| format!("could not {what} {url}");
        let uri: Uri = url
            .parse()
            .map_err(|error| CliError::caused("INVALID_URL", failed("read"), Box::new(error)))?;
        let reply = self
            .client
            .get(uri)
            .await
            .map_err(|error| CliError::caused("HTTP_ERROR", failed("reach"), error))?;
        if reply.status() != StatusCode::OK {
            let message = format!("{url} answered {}", reply.status());
            return Err(CliError::new("HTTP_ERROR", message));
        }
        let body = Limited::new(reply.into_body(), MAX_BODY);
        let body = body
            .collect()
            .await
            .map_err(|error| CliError::caused("HTTP_ERROR", failed("read"), error))?;
        Ok(body.to_bytes())
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Transport {
    Tls,
    Loopback,
}

/// Whether a base URL may be fetched from, and how.
fn judge(base: &str) -> Result<Transport, CliError> {
    let uri: Uri = base.parse().map_err(|error| {
        CliError::caused(
            "INVALID_URL",
            format!("`{base}` is not a URL"),
            Box::new(error),
        )
    })?;
    match (uri.scheme_str(), uri.host(), uri.query()) {
        (Some("https"), Some(_), None) => Ok(Transport::Tls),
        (Some("http"), Some(host), None) if is_loopback(host) => Ok(Transport::Loopback),
        (Some("http"), Some(_), None) => {
            let message = format!("`{base}` is not encrypted");
            Err(CliError::new("INSECURE_URL", message)
                .hint("plain http is for this machine only; use https"))
        }
        _ => Err(CliError::new(
            "INVALID_URL",
            format!("`{base}` is not a base URL"),
        )),
    }
}

fn is_loopback(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || bare.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

fn trusted(anchors: Option<&Path>) -> Result<RootCertStore, CliError> {
    let named = anchors.map(|path| (path, crate::files::read(path)));
    let (path, pem) = match named {
        Some((path, read)) => (path, read?.to_vec()),
        None => SYSTEM_ANCHORS
            .iter()
            .map(Path::new)
            .find_map(|path| std::fs::read(path).ok().map(|pem| (path, pem)))
            .ok_or_else(|| {
                CliError::new("INVALID_ANCHORS", "the system's authorities were not found")
                    .hint("name a PEM file with --http-ca, or set TASKPASS_HTTP_CA")
            })?,
    };
    let mut roots = RootCertStore::empty();
    // One authority that cannot be read, in a bundle of many, leaves the others.
    roots.add_parsable_certificates(CertificateDer::pem_slice_iter(&pem).flatten());
    if roots.is_empty() {
        let message = format!("{} holds no authority in PEM", path.display());
        return Err(CliError::new("INVALID_ANCHORS", message));
    }
    Ok(roots)
}

/// The program's clock, for the validity of certificates.
#[derive(Debug)]
pub(crate) struct TlsTime(pub(crate) Arc<dyn Clock>);

impl rustls::time_provider::TimeProvider for TlsTime {
    fn current_time(&self) -> Option<UnixTime> {
        let since_epoch = Duration::from_secs(self.0.now().secs());
        Some(UnixTime::since_unix_epoch(since_epoch))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_http_is_for_this_machine_only() {
        for (base, expected) in [
            ("https://broker.example", Ok(Transport::Tls)),
            ("https://broker.example:8443/tenant", Ok(Transport::Tls)),
            ("http://127.0.0.1:8080", Ok(Transport::Loopback)),
            ("http://127.9.9.9:8080/", Ok(Transport::Loopback)),
            ("http://[::1]:8080", Ok(Transport::Loopback)),
            ("http://localhost:8080", Ok(Transport::Loopback)),
            ("http://broker.example", Err("INSECURE_URL")),
            ("http://localhost.example", Err("INSECURE_URL")),
            ("http://127.0.0.1.example", Err("INSECURE_URL")),
            ("http://10.0.0.1", Err("INSECURE_URL")),
            ("ftp://127.0.0.1", Err("INVALID_URL")),
            ("https://broker.example/?x=y", Err("INVALID_URL")),
            ("broker.example", Err("INVALID_URL")),
            ("", Err("INVALID_URL")),
        ] {
            let judged = judge(base);
            assert_eq!(
                judged.as_ref().map_err(CliError::reason),
                expected.as_ref().map_err(|e| *e),
                "{base}"
            );
        }
    }

    #[test]
    fn anchors_must_be_there() {
        let dir = tempfile::TempDir::new().unwrap();
        let path = dir.path().join("ca.pem");
        std::fs::write(&path, "nothing").unwrap();
        assert_eq!(
            trusted(Some(&path)).unwrap_err().reason(),
            "INVALID_ANCHORS"
        );
        assert_eq!(
            trusted(Some(&dir.path().join("x"))).unwrap_err().reason(),
            "FILE_ERROR"
        );
    }
}
