//! What a broker publishes, over HTTP: its metadata, its keys, its anchors.
//!
//! HTTPS, or plain HTTP to this machine; anything else only if it is asked for in so many words. One
//! answer for one question: no redirects, no compression, nothing but `200 OK`, at most 256 KiB,
//! within ten seconds from beginning to end. Certificates are judged by the program's clock.

#[cfg(feature = "status")]
mod lists;
mod published;

use std::fmt;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use http::header::{ACCEPT, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Request, StatusCode, Uri};
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::body::Bytes;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use rustls::pki_types::UnixTime;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use taskpass_core::Clock;

#[cfg(feature = "status")]
pub use lists::HttpLists;
pub use published::{HttpAnchors, HttpKeys, Published, PublishedError};

/// The largest answer.
pub const MAX_BODY: usize = 256 * 1024;
/// How long an answer may take, from connecting to its last byte.
pub const TIMEOUT: Duration = Duration::from_secs(10);

/// Where systems keep the authorities that they trust.
const SYSTEM_ANCHORS: &[&str] = &[
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// Whose certificates the broker's HTTPS may have.
#[derive(Debug, Clone)]
pub enum WebAnchors {
    /// Those that the operating system trusts.
    System,
    /// These authorities, in PEM, and no others.
    Pem(String),
}

/// Why a document could not be fetched.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// Not a URL that can be fetched from.
    #[error("`{0}` is not an http or https URL without a query")]
    Url(String),
    /// Plain HTTP to another machine.
    #[error("`{0}` is not encrypted; plain http is for this machine only")]
    Insecure(String),
    /// No authority to trust.
    #[error("no authority in PEM to trust for https")]
    Anchors,
    /// TLS could not be set up.
    #[error("tls could not be set up")]
    Tls(#[source] rustls::Error),
    /// No connection, or it broke.
    #[error("could not reach {url}")]
    Reach {
        /// What was asked for.
        url: String,
        /// Why.
        #[source]
        source: hyper_util::client::legacy::Error,
    },
    /// Another answer than `200 OK`.
    #[error("{url} answered {status}")]
    Status {
        /// What was asked for.
        url: String,
        /// The answer.
        status: StatusCode,
    },
    /// The answer broke off, or is too large.
    #[error("could not read the answer of {url}, or it is over {MAX_BODY} bytes")]
    Body {
        /// What was asked for.
        url: String,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A document of another type.
    #[error("{url} is no {expected}")]
    Type {
        /// What was asked for.
        url: String,
        /// The type that was asked for.
        expected: &'static str,
    },
    /// No whole answer in time.
    #[error("no whole answer from {url} within {}s", TIMEOUT.as_secs())]
    Timeout {
        /// What was asked for.
        url: String,
    },
}

/// Fetches small public documents. Cloning it shares its connections.
#[derive(Clone)]
pub struct HttpClient {
    client: Client<HttpsConnector<HttpConnector>, Empty<Bytes>>,
    plain_anywhere: bool,
}

impl fmt::Debug for HttpClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpClient")
            .field("plain_anywhere", &self.plain_anywhere)
            .finish_non_exhaustive()
    }
}

impl HttpClient {
    /// A client that trusts `anchors` for HTTPS.
    pub fn new(anchors: &WebAnchors, clock: Arc<dyn Clock>) -> Result<Self, HttpError> {
        let roots = trusted(anchors)?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_details(provider, Arc::new(TlsTime(clock)))
            .with_safe_default_protocol_versions()
            .map_err(HttpError::Tls)?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(config)
            .https_or_http()
            .enable_http1()
            .build();
        Ok(Self {
            client: Client::builder(TokioExecutor::new()).build(connector),
            plain_anywhere: false,
        })
    }

    /// Accepts plain HTTP to other machines too: whoever can change what is on the way decides which
    /// tokens are good. For a service mesh that encrypts beneath.
    #[must_use]
    pub fn allowing_plain_http(mut self) -> Self {
        self.plain_anywhere = true;
        self
    }

    /// Fetches a document.
    pub async fn get(&self, url: &str) -> Result<Bytes, HttpError> {
        self.get_as(url, None).await
    }

    /// Fetches a document that must be of this media type, if one is given.
    async fn get_as(
        &self,
        url: &str,
        media_type: Option<&'static str>,
    ) -> Result<Bytes, HttpError> {
        let uri = judge(url, self.plain_anywhere)?;
        tokio::time::timeout(TIMEOUT, self.fetch(uri, url, media_type))
            .await
            .unwrap_or_else(|_| {
                Err(HttpError::Timeout {
                    url: url.to_owned(),
                })
            })
    }

    async fn fetch(
        &self,
        uri: Uri,
        url: &str,
        media_type: Option<&'static str>,
    ) -> Result<Bytes, HttpError> {
        let url = || url.to_owned();
        let reply = self
            .client
            .request(request(uri, media_type))
            .await
            .map_err(|source| HttpError::Reach { url: url(), source })?;
        let status = reply.status();
        if status != StatusCode::OK {
            return Err(HttpError::Status { url: url(), status });
        }
        if let Some(expected) = media_type
            && !is_of(reply.headers(), expected)
        {
            return Err(HttpError::Type {
                url: url(),
                expected,
            });
        }
        let body = Limited::new(reply.into_body(), MAX_BODY);
        let body = body
            .collect()
            .await
            .map_err(|source| HttpError::Body { url: url(), source })?;
        Ok(body.to_bytes())
    }
}

fn request(uri: Uri, media_type: Option<&'static str>) -> Request<Empty<Bytes>> {
    let mut request = Request::new(Empty::new());
    *request.uri_mut() = uri;
    if let Some(media_type) = media_type {
        let value = HeaderValue::from_static(media_type);
        request.headers_mut().insert(ACCEPT, value);
    }
    request
}

/// Whether a document is of that type, whatever parameters stand behind it.
fn is_of(headers: &HeaderMap, expected: &str) -> bool {
    let given = headers.get(CONTENT_TYPE).and_then(|v| v.to_str().ok());
    let essence = given.and_then(|given| given.split(';').next());
    essence.is_some_and(|essence| essence.trim().eq_ignore_ascii_case(expected))
}

/// Whether something may be fetched from there.
fn judge(url: &str, plain_anywhere: bool) -> Result<Uri, HttpError> {
    let bad = || HttpError::Url(url.to_owned());
    let uri: Uri = url.parse().map_err(|_| bad())?;
    let Some(authority) = uri.authority().filter(|_| uri.query().is_none()) else {
        return Err(bad());
    };
    // A name before an `@` would be sent along, and shown in messages.
    if authority.as_str().contains('@') {
        return Err(bad());
    }
    match uri.scheme_str() {
        Some("https") => Ok(uri),
        Some("http") if plain_anywhere || is_loopback(authority.host()) => Ok(uri),
        Some("http") => Err(HttpError::Insecure(url.to_owned())),
        _ => Err(bad()),
    }
}

fn is_loopback(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || bare.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

fn trusted(anchors: &WebAnchors) -> Result<RootCertStore, HttpError> {
    let mut roots = RootCertStore::empty();
    match anchors {
        // Named by somebody: each must be readable.
        WebAnchors::Pem(pem) => {
            for der in CertificateDer::pem_slice_iter(pem.as_bytes()) {
                let der = der.map_err(|_| HttpError::Anchors)?;
                roots.add(der).map_err(|_| HttpError::Anchors)?;
            }
        }
        // One that cannot be read, in a bundle of many, leaves the others.
        WebAnchors::System => {
            let read = |path: &&str| std::fs::read(Path::new(path)).ok();
            let pem = SYSTEM_ANCHORS.iter().find_map(read).unwrap_or_default();
            roots.add_parsable_certificates(CertificateDer::pem_slice_iter(&pem).flatten());
        }
    }
    if roots.is_empty() {
        return Err(HttpError::Anchors);
    }
    Ok(roots)
}

/// The program's clock, for the validity of certificates.
#[derive(Debug)]
struct TlsTime(Arc<dyn Clock>);

impl rustls::time_provider::TimeProvider for TlsTime {
    fn current_time(&self) -> Option<UnixTime> {
        let since_epoch = Duration::from_secs(self.0.now().secs());
        Some(UnixTime::since_unix_epoch(since_epoch))
    }
}

#[cfg(test)]
mod tests;
