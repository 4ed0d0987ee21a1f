//! A protected API: what an owner of one writes to be safe behind the broker.
//!
//! The task is the peer certificate's, the scope is the token's, and the token must be bound to that
//! very certificate. Both are checked for each request, so that a revocation is felt on connections
//! that are open.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{AUTHORIZATION, CONTENT_TYPE};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use rustls_pki_types::CertificateDer;
use taskpass_core::{Clock, ScopeName, TargetUri, TaskId};
use taskpass_verify::{Reason, Refusal, Verifier};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::TlsAcceptor;

use super::tls;
use crate::errors::CliError;

/// The API while it runs.
#[derive(Debug)]
pub(super) struct SampleApi {
    /// Where it listens.
    pub(super) address: SocketAddr,
    /// By what it is known.
    pub(super) certificate: CertificateDer<'static>,
    accepting: JoinHandle<()>,
}

impl Drop for SampleApi {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// What the API demands.
#[derive(Debug)]
pub(super) struct Door {
    pub(super) verifier: Verifier,
    pub(super) audience: TargetUri,
    pub(super) scope: ScopeName,
}

/// Why a request was refused.
#[derive(Debug, thiserror::Error)]
enum Denied {
    #[error("no certificate was presented")]
    NoCertificate,
    #[error("no bearer token was sent")]
    NoToken,
    #[error("the token is bound to no certificate, and this API demands that")]
    Unbound,
    #[error(transparent)]
    Refused(#[from] Refusal),
}

impl Door {
    /// The task that calls, if it may.
    fn judge(
        &self,
        peer: &[CertificateDer<'_>],
        authorization: Option<&str>,
    ) -> Result<TaskId, Denied> {
        let (leaf, above) = peer.split_first().ok_or(Denied::NoCertificate)?;
        let above: Vec<&[u8]> = above.iter().map(AsRef::as_ref).collect();
        let certificate = self.verifier.verify_certificate(leaf, &above)?;
        let token = authorization
            .and_then(|value| value.strip_prefix("Bearer "))
            .ok_or(Denied::NoToken)?;
        let token = self
            .verifier
            .verify_token_with(token, &self.audience, &certificate)?;
        if !token.is_bound() {
            return Err(Denied::Unbound);
        }
        token.require_scope(&self.scope)?;
        Ok(certificate.task())
    }
}

impl Denied {
    fn word(&self) -> &'static str {
        match self {
            Self::NoCertificate | Self::NoToken => "missing",
            Self::Unbound => Reason::Binding.as_str(),
            Self::Refused(refusal) => refusal.reason().as_str(),
        }
    }

    fn status(&self) -> StatusCode {
        match self {
            Self::Refused(refusal) if refusal.is_ours() => StatusCode::SERVICE_UNAVAILABLE,
            Self::Refused(Refusal::Scope { .. }) => StatusCode::FORBIDDEN,
            Self::NoCertificate | Self::NoToken | Self::Unbound | Self::Refused(_) => {
                StatusCode::UNAUTHORIZED
            }
        }
    }
}

impl SampleApi {
    /// Listens on any free port.
    pub(super) async fn start(
        door: Door,
        anchors_pem: &str,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, CliError> {
        let side = tls::server(anchors_pem, clock)?;
        let listener = crate::host::bind("the sample API", ([127, 0, 0, 1], 0).into()).await?;
        let address = listener
            .local_addr()
            .map_err(|error| CliError::caused("INTERNAL", "a listener has no address", error))?;
        let acceptor = TlsAcceptor::from(side.config);
        Ok(Self {
            address,
            certificate: side.certificate,
            accepting: tokio::spawn(accept(listener, acceptor, Arc::new(door))),
        })
    }
}

async fn accept(listener: TcpListener, acceptor: TlsAcceptor, door: Arc<Door>) {
    // Its connections end with it.
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let (acceptor, door) = (acceptor.clone(), Arc::clone(&door));
        connections.spawn(async move {
            if let Err(error) = serve(stream, acceptor, door).await {
                tracing::info!(%error, "a connection to the sample API ended");
            }
        });
        while connections.try_join_next().is_some() {}
    }
}

async fn serve(
    stream: TcpStream,
    acceptor: TlsAcceptor,
    door: Arc<Door>,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    stream.set_nodelay(true)?;
    let stream = acceptor.accept(stream).await?;
    let peer: Arc<[CertificateDer<'static>]> = stream
        .get_ref()
        .1
        .peer_certificates()
        .map(|peer| peer.iter().map(|der| der.clone().into_owned()).collect())
        .unwrap_or_default();
    let service = service_fn(move |request| {
        let reply = answer(&door, &peer, &request);
        async move { Ok::<_, Infallible>(reply) }
    });
    hyper::server::conn::http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .await?;
    Ok(())
}

fn answer(
    door: &Door,
    peer: &[CertificateDer<'static>],
    request: &Request<Incoming>,
) -> Response<Full<Bytes>> {
    let authorization = request
        .headers()
        .get(AUTHORIZATION)
        .and_then(|value| value.to_str().ok());
    let (status, body) = match door.judge(peer, authorization) {
        Ok(task) => (
            StatusCode::OK,
            serde_json::json!({"task": task, "scope": door.scope, "refused": null}),
        ),
        Err(denied) => (
            denied.status(),
            serde_json::json!({"task": null, "scope": null, "refused": denied.word()}),
        ),
    };
    let mut reply = Response::new(Full::from(body.to_string()));
    *reply.status_mut() = status;
    let json = hyper::header::HeaderValue::from_static("application/json");
    reply.headers_mut().insert(CONTENT_TYPE, json);
    reply
}
