//! An API that runs, over real TLS, and callers that keep their connection.

use std::sync::Arc;

use http_body_util::{BodyExt as _, Empty};
use hyper::body::Bytes;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use rcgen::KeyPair;
use rustls::ServerConfig;
use rustls_pki_types::{CertificateDer, ServerName};
use taskpass_verify::testing::{HOST, World, ledger};
use taskpass_verify::tls::{TaskClientVerifier, without_resumption};
use taskpass_verify::{Guard, Verifier};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// A certificate with its key.
pub(crate) type Shown<'a> = Option<(Vec<u8>, &'a KeyPair)>;

pub(crate) struct Api {
    pub(crate) world: World,
    pub(crate) verifier: Verifier,
    address: std::net::SocketAddr,
    certificate: CertificateDer<'static>,
    serving: JoinHandle<()>,
}

impl Drop for Api {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Api {
    /// Runs what `serve` makes of a guard, a listener and its TLS.
    pub(crate) async fn start(
        serve: impl FnOnce(&Guard, TcpListener, ServerConfig) -> JoinHandle<()>,
    ) -> Self {
        let world = World::new();
        let verifier = world.verifier();
        let guard = Guard::new(verifier.clone(), ledger()).unwrap();
        let callers = TaskClientVerifier::new(verifier.clone()).optional();
        let (mut tls, certificate) = world.server_tls(Arc::new(callers));
        without_resumption(&mut tls);
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        Self {
            serving: serve(&guard, listener, tls),
            world,
            verifier,
            address,
            certificate,
        }
    }

    /// A connection whose handshake is done on both sides, as far as that shows.
    pub(crate) async fn connect(
        &self,
        shown: Shown<'_>,
        alpn: Option<&[u8]>,
    ) -> std::io::Result<TlsStream<TcpStream>> {
        let mut config = self.world.client_tls(&self.certificate, shown);
        config.alpn_protocols = alpn.map(<[u8]>::to_vec).into_iter().collect();
        let stream = TcpStream::connect(self.address).await?;
        let name = ServerName::try_from(HOST).unwrap();
        TlsConnector::from(Arc::new(config))
            .connect(name, stream)
            .await
    }

    pub(crate) async fn caller(&self, shown: Shown<'_>) -> Caller {
        self.try_caller(shown).await.unwrap()
    }

    /// A caller that got as far as an answer: TLS 1.3 tells a client only then that it is refused.
    pub(crate) async fn try_caller(&self, shown: Shown<'_>) -> Result<Caller, String> {
        let stream = self.connect(shown, None).await.map_err(|e| e.to_string())?;
        let (send, connection) = http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|e| e.to_string())?;
        let connection = tokio::spawn(async move {
            let _ = connection.await;
        });
        let mut caller = Caller { send, connection };
        caller.try_send("GET", "/nowhere", None).await?;
        Ok(caller)
    }
}

pub(crate) struct Caller {
    send: SendRequest<Empty<Bytes>>,
    connection: JoinHandle<()>,
}

impl Drop for Caller {
    fn drop(&mut self) {
        self.connection.abort();
    }
}

pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) body: Bytes,
    headers: hyper::HeaderMap,
}

impl Reply {
    pub(crate) fn header(&self, name: &str) -> Option<String> {
        let value = self.headers.get(name)?;
        Some(value.to_str().unwrap().to_owned())
    }

    pub(crate) fn challenge(&self) -> Option<String> {
        self.header("www-authenticate")
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

impl Caller {
    pub(crate) async fn get(&mut self, path: &str, authorization: Option<&str>) -> Reply {
        self.try_send("GET", path, authorization).await.unwrap()
    }

    pub(crate) async fn post(&mut self, path: &str, authorization: Option<&str>) -> Reply {
        self.try_send("POST", path, authorization).await.unwrap()
    }

    async fn try_send(
        &mut self,
        method: &str,
        path: &str,
        authorization: Option<&str>,
    ) -> Result<Reply, String> {
        let mut request = hyper::Request::builder()
            .method(method)
            .uri(path)
            .header("host", HOST);
        if let Some(authorization) = authorization {
            request = request.header("authorization", authorization);
        }
        let request = request.body(Empty::new()).unwrap();
        self.send.ready().await.map_err(|e| e.to_string())?;
        let reply = self.send.send_request(request).await;
        let (parts, body) = reply.map_err(|e| e.to_string())?.into_parts();
        Ok(Reply {
            status: parts.status.as_u16(),
            headers: parts.headers,
            body: body.collect().await.unwrap().to_bytes(),
        })
    }
}

pub(crate) fn bearer(token: &str) -> String {
    format!("Bearer {token}")
}
