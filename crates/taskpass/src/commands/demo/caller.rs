//! The agent's side of a call to the sample API: one connection, many requests.

use std::sync::Arc;

use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::{AUTHORIZATION, HOST};
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use rustls::{AlertDescription, ClientConfig};
use rustls_pki_types::ServerName;
use serde::Deserialize;
use taskpass_client::Certificate;
use taskpass_core::Clock;
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::sample_api::SampleApi;
use super::tls;
use crate::errors::CliError;

/// More than any answer of the sample API.
const MAX_BODY: usize = 4096;

/// A connection that presents a certificate.
#[derive(Debug)]
pub(super) struct Caller {
    requests: SendRequest<Empty<Bytes>>,
    driving: JoinHandle<()>,
}

impl Drop for Caller {
    fn drop(&mut self) {
        self.driving.abort();
    }
}

/// What the API answered.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) body: Body,
}

/// The API's words.
#[derive(Debug, Deserialize)]
pub(super) struct Body {
    pub(super) task: Option<String>,
    pub(super) scope: Option<String>,
    /// Why it refused, in one word.
    pub(super) refused: Option<String>,
}

impl Answer {
    /// `200`, or `401 revoked`.
    pub(super) fn brief(&self) -> String {
        let word = self.body.refused.as_deref().unwrap_or_default();
        format!("{} {word}", self.status.as_u16())
            .trim_end()
            .to_owned()
    }
}

impl Caller {
    /// Connects.
    pub(super) async fn connect(
        api: &SampleApi,
        certificate: &Certificate,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, CliError> {
        let config = tls::client(&api.certificate, Some(certificate), clock)?;
        let stream = shake_hands(api, config).await.map_err(unreachable)?;
        let (requests, connection) = http1::handshake(TokioIo::new(stream))
            .await
            .map_err(unreachable)?;
        let driving = tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::info!(%error, "the connection to the sample API ended");
            }
        });
        Ok(Self { requests, driving })
    }

    /// One request with a token.
    pub(super) async fn call(&mut self, token: &str) -> Result<Answer, CliError> {
        let request = Request::get("/invoices")
            .header(HOST, tls::HOST)
            .header(AUTHORIZATION, format!("Bearer {token}"))
            .body(Empty::new())
            .map_err(unreachable)?;
        self.requests.ready().await.map_err(unreachable)?;
        let reply = self
            .requests
            .send_request(request)
            .await
            .map_err(unreachable)?;
        let status = reply.status();
        let body = Limited::new(reply.into_body(), MAX_BODY)
            .collect()
            .await
            .map_err(|error| CliError::caused("HTTP_ERROR", "the answer broke off", error))?;
        let body = serde_json::from_slice(&body.to_bytes())
            .map_err(|error| CliError::caused("HTTP_ERROR", "the answer is not JSON", error))?;
        Ok(Answer { status, body })
    }
}

/// Whether the API turned away a peer without a certificate, and for that reason.
pub(super) async fn turned_away_without_certificate(
    api: &SampleApi,
    clock: Arc<dyn Clock>,
) -> Result<bool, CliError> {
    let config = tls::client(&api.certificate, None, clock)?;
    // In TLS 1.3 the client has done its part before the server looks: the answer is read next.
    let outcome = match shake_hands(api, config).await {
        Ok(mut stream) => stream.read_u8().await.map(drop),
        Err(error) => Err(error),
    };
    let alert = outcome.err().and_then(|error| error.downcast().ok());
    Ok(matches!(
        alert,
        Some(rustls::Error::AlertReceived(
            AlertDescription::CertificateRequired
        ))
    ))
}

async fn shake_hands(
    api: &SampleApi,
    config: Arc<ClientConfig>,
) -> std::io::Result<TlsStream<TcpStream>> {
    let stream = TcpStream::connect(api.address).await?;
    stream.set_nodelay(true)?;
    let name = ServerName::try_from(tls::HOST).map_err(std::io::Error::other)?;
    TlsConnector::from(config).connect(name, stream).await
}

fn unreachable(error: impl std::error::Error + Send + Sync + 'static) -> CliError {
    CliError::caused("HTTP_ERROR", "the sample API could not be called", error)
}
