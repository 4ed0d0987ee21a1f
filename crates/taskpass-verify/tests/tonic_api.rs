//! The tonic example over real TLS: who gets in, who does not, and what ends a stream.

#![expect(clippy::unwrap_used, reason = "a step of a test that fails ends it")]

#[path = "support/api.rs"]
#[expect(dead_code, reason = "its callers speak http/1.1, these speak gRPC")]
mod support;
#[path = "../examples/tonic_api.rs"]
#[expect(dead_code, reason = "the program's beginning is not run here")]
mod tonic_api;

use std::time::Duration;

use hyper_util::rt::TokioIo;
use support::{Api, Shown, bearer};
use taskpass_core::revocation::Selector;
use taskpass_core::secret::Sha256;
use taskpass_verify::testing::{key, task_id};
use tokio::sync::watch;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status};
use tonic_api::ledger::ledger_client::LedgerClient;
use tonic_api::ledger::{ReadInvoiceRequest, WatchInvoicesRequest};

async fn start() -> (Api, watch::Sender<u32>) {
    let (newest, invoices) = watch::channel(1);
    let api = Api::start(|guard, listener, tls| {
        let guard = guard.clone();
        tokio::spawn(async move {
            let serving = tonic_api::serve(listener, tls, &guard, invoices);
            serving.await.map_err(|e| e.to_string()).unwrap();
        })
    })
    .await;
    (api, newest)
}

/// A client on one connection.
async fn client(api: &Api, shown: Shown<'_>) -> LedgerClient<Channel> {
    let stream = api.connect(shown, Some(b"h2")).await.unwrap();
    let mut stream = Some(TokioIo::new(stream));
    let once = tower::service_fn(move |_: http::Uri| {
        let stream = stream.take().ok_or("one connection only");
        async move { stream }
    });
    let endpoint = Endpoint::from_static("http://localhost");
    LedgerClient::new(endpoint.connect_with_connector(once).await.unwrap())
}

fn with<T>(token: Option<&str>, message: T) -> Request<T> {
    let mut request = Request::new(message);
    if let Some(token) = token {
        let value = bearer(token).parse().unwrap();
        request.metadata_mut().insert("authorization", value);
    }
    request
}

async fn read(client: &mut LedgerClient<Channel>, token: Option<&str>) -> Result<u32, Status> {
    let reply = client
        .read_invoice(with(token, ReadInvoiceRequest { number: 7 }))
        .await?;
    assert_eq!(reply.get_ref().for_task, task_id(1).to_string());
    Ok(reply.get_ref().number)
}

fn token(api: &Api, scopes: &[&str], certificate: Option<&[u8]>) -> String {
    let mut claims = api.world.claims();
    claims.scopes = scopes.iter().map(|s| s.parse().unwrap()).collect();
    claims.bound_to = certificate.map(Sha256::of);
    api.world.sign(&claims)
}

fn told(status: &Status) -> Option<&str> {
    let field = status.metadata().get("www-authenticate")?;
    Some(field.to_str().unwrap())
}

#[tokio::test]
async fn each_method_has_its_scope() {
    let (api, _newest) = start().await;
    let mut client = client(&api, None).await;
    let reader = token(&api, &["invoices:read"], None);
    assert_eq!(read(&mut client, Some(&reader)).await.unwrap(), 7);

    let status = read(&mut client, None).await.unwrap_err();
    assert_eq!(status.code(), Code::Unauthenticated);
    assert_eq!(told(&status), Some(r#"Bearer scope="invoices:read""#));

    let status = read(&mut client, Some("x")).await.unwrap_err();
    assert_eq!(status.code(), Code::Unauthenticated);
    let invalid = r#"Bearer error="invalid_token", scope="invoices:read""#;
    assert_eq!(told(&status), Some(invalid));

    let watching = with(Some(&reader), WatchInvoicesRequest { from: 1 });
    let status = client.watch_invoices(watching).await.unwrap_err();
    assert_eq!(status.code(), Code::PermissionDenied);
    let insufficient = r#"Bearer error="insufficient_scope", scope="invoices:watch""#;
    assert_eq!(told(&status), Some(insufficient));

    api.world.clock.advance(Duration::from_secs(31));
    let status = read(&mut client, Some(&reader)).await.unwrap_err();
    assert_eq!((status.code(), told(&status)), (Code::Unavailable, None));
}

#[tokio::test]
async fn a_method_that_nobody_listed_is_refused() {
    let (api, _newest) = start().await;
    let reader = token(&api, &["invoices:read"], None);
    let mut client = client(&api, None).await;
    assert!(read(&mut client, Some(&reader)).await.is_ok());
    let stream = api.connect(None, Some(b"h2")).await.unwrap();
    let (mut send, connection) = hyper::client::conn::http2::handshake(
        hyper_util::rt::TokioExecutor::new(),
        TokioIo::new(stream),
    )
    .await
    .unwrap();
    tokio::spawn(connection);
    let request = hyper::Request::post("https://localhost/ledger.v1.Ledger/DropAll")
        .header("content-type", "application/grpc")
        .header("authorization", bearer(&reader))
        .body(http_body_util::Empty::<hyper::body::Bytes>::new())
        .unwrap();
    let reply = send.send_request(request).await.unwrap();
    assert_eq!(reply.headers()["grpc-status"], "7");
}

#[tokio::test]
async fn a_bound_token_needs_its_certificate() {
    let (api, _newest) = start().await;
    let own = key();
    let certificate = api.world.issue_for(&api.world.leaf(), &own);
    let bound = token(&api, &["invoices:read"], Some(&certificate));
    let mut holder = client(&api, Some((certificate, &own))).await;
    let mut thief = client(&api, None).await;
    assert!(read(&mut holder, Some(&bound)).await.is_ok());
    let status = read(&mut thief, Some(&bound)).await.unwrap_err();
    assert_eq!(status.code(), Code::Unauthenticated);
}

#[tokio::test]
async fn a_revocation_ends_calls_and_streams_on_an_open_connection() {
    let (api, newest) = start().await;
    let own = key();
    let certificate = api.world.issue_for(&api.world.leaf(), &own);
    let scopes = ["invoices:read", "invoices:watch"];
    let bound = token(&api, &scopes, Some(&certificate));
    let mut client = client(&api, Some((certificate, &own))).await;
    let watching = with(Some(&bound), WatchInvoicesRequest { from: 1 });
    let mut stream = client.watch_invoices(watching).await.unwrap().into_inner();
    assert_eq!(stream.message().await.unwrap().unwrap().number, 1);
    newest.send_replace(2);
    assert_eq!(stream.message().await.unwrap().unwrap().number, 2);

    api.world.revoke(&api.verifier, Selector::Task(task_id(2)));
    newest.send_replace(3);
    let status = stream.message().await.unwrap_err();
    assert_eq!(status.code(), Code::Unauthenticated);
    assert!(stream.message().await.unwrap().is_none());
    let status = read(&mut client, Some(&bound)).await.unwrap_err();
    assert_eq!(status.code(), Code::Unauthenticated);
}
