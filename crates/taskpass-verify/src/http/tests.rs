use std::sync::Mutex;

use rcgen::{CertificateParams, CertifiedKey};
use rustls::ServerConfig;
use rustls_pki_types::PrivatePkcs8KeyDer;
use taskpass_token::JwkSet;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::*;
use crate::keys::FetchKeys as _;
use crate::testing::{World, jwk};

/// Answers every request on every connection with the same bytes, and notes what was asked.
struct Site {
    address: std::net::SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Site {
    async fn start(
        tls: Option<TlsAcceptor>,
        answer: impl Fn(&str) -> Vec<u8> + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (noted, answer) = (Arc::clone(&asked), Arc::new(answer));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (noted, answer, tls) = (Arc::clone(&noted), Arc::clone(&answer), tls.clone());
                tokio::spawn(async move {
                    match tls {
                        None => reply(stream, &noted, &*answer).await,
                        Some(tls) => {
                            if let Ok(stream) = tls.accept(stream).await {
                                reply(stream, &noted, &*answer).await;
                            }
                        }
                    }
                });
            }
        });
        Self { address, asked }
    }

    fn url(&self, scheme: &str) -> String {
        format!("{scheme}://localhost:{}", self.address.port())
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

async fn reply(
    mut stream: impl tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
    noted: &Mutex<Vec<String>>,
    answer: &(impl Fn(&str) -> Vec<u8> + ?Sized),
) {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => request.push(byte),
            Err(_) => return,
        }
    }
    let text = String::from_utf8(request).unwrap();
    let path = text.split(' ').nth(1).unwrap().to_owned();
    noted.lock().unwrap().push(path.clone());
    let _ = stream.write_all(&answer(&path)).await;
    let _ = stream.shutdown().await;
}

fn http_answer(status: &str, body: &[u8]) -> Vec<u8> {
    let head = format!(
        "HTTP/1.1 {status}\r\ncontent-length: {}\r\nlocation: /elsewhere\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

fn own_certificate() -> (TlsAcceptor, String) {
    let pair = crate::testing::key();
    let params = CertificateParams::new(["localhost".to_owned()]).unwrap();
    let cert = params.self_signed(&pair).unwrap();
    let made = CertifiedKey {
        cert,
        signing_key: pair,
    };
    let key = PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key.into())
        .unwrap();
    (TlsAcceptor::from(Arc::new(config)), made.cert.pem())
}

fn client(pem: &str) -> HttpClient {
    let clock = Arc::new(World::new().clock);
    HttpClient::new(&WebAnchors::Pem(pem.into()), clock).unwrap()
}

#[test]
fn plain_http_is_for_this_machine_only() {
    for (url, plain_anywhere, expected) in [
        ("https://broker.example", false, "good"),
        ("https://broker.example:8443/tenant", false, "good"),
        ("http://127.0.0.1:8080", false, "good"),
        ("http://127.9.9.9:8080/", false, "good"),
        ("http://[::1]:8080", false, "good"),
        ("http://localhost:8080", false, "good"),
        ("http://broker.example", false, "insecure"),
        ("http://broker.example", true, "good"),
        ("http://localhost.example", false, "insecure"),
        ("http://127.0.0.1.example", false, "insecure"),
        ("http://10.0.0.1", false, "insecure"),
        ("ftp://127.0.0.1", true, "bad"),
        ("https://broker.example/?x=y", false, "bad"),
        ("https://user:secret@broker.example/", false, "bad"),
        ("http://127.0.0.1@evil.example/", false, "bad"),
        ("broker.example", false, "bad"),
        ("/path", false, "bad"),
        ("", false, "bad"),
    ] {
        let judged = match judge(url, plain_anywhere) {
            Ok(_) => "good",
            Err(HttpError::Insecure(_)) => "insecure",
            Err(HttpError::Url(_)) => "bad",
            Err(other) => panic!("{other}"),
        };
        assert_eq!(judged, expected, "{url}");
    }
}

#[test]
fn anchors_must_be_there_and_readable() {
    let clock = Arc::new(World::new().clock);
    let broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    for pem in ["", "nothing", broken] {
        let made = HttpClient::new(&WebAnchors::Pem(pem.into()), clock.clone());
        assert!(matches!(made, Err(HttpError::Anchors)), "{pem}");
    }
}

#[tokio::test]
async fn what_an_issuer_publishes_is_fetched_over_tls() {
    let world = World::new();
    let (tls, pem) = own_certificate();
    let keys = JwkSet::from_keys([jwk(&world.token_key)])
        .unwrap()
        .to_json();
    let anchors = world.anchors();
    let port = Arc::new(Mutex::new(0));
    let shown = Arc::clone(&port);
    let site = Site::start(Some(tls), move |path| {
        let base = format!("https://localhost:{}", shown.lock().unwrap());
        match path {
            "/.well-known/openid-configuration" => http_answer(
                "200 OK",
                format!(r#"{{"issuer":"{base}","jwks_uri":"{base}/jwks.json"}}"#).as_bytes(),
            ),
            "/jwks.json" => http_answer("200 OK", keys.as_bytes()),
            "/ca.pem" => http_answer("200 OK", anchors.as_bytes()),
            _ => http_answer("404 Not Found", b""),
        }
    })
    .await;
    *port.lock().unwrap() = site.address.port();
    let client = client(&pem);
    let published = Published::fetch(&client, &site.url("https")).await.unwrap();
    assert_eq!(published.jwks.len(), 1);
    let source = HttpKeys::new(client.clone(), &published.jwks_uri);
    assert_eq!(source.fetch().await.unwrap(), published.jwks);
    let settings = published.settings(
        "example.org".parse().unwrap(),
        [crate::testing::ledger()],
        crate::Staleness::default(),
    );
    assert!(crate::Verifier::new(settings, Arc::new(world.clock.clone())).is_ok());
    let missing = HttpKeys::new(client, format!("{}/other", site.url("https")));
    assert!(missing.fetch().await.is_err());
    // Somebody else's authority, and a name that the certificate does not have.
    let (_, other) = own_certificate();
    let strict = self::client(&other);
    let refused = strict.get(&site.url("https")).await;
    assert!(matches!(refused, Err(HttpError::Reach { .. })));
    let by_address = format!("https://127.0.0.1:{}/ca.pem", site.address.port());
    let refused = self::client(&pem).get(&by_address).await;
    assert!(matches!(refused, Err(HttpError::Reach { .. })));
}

#[tokio::test]
async fn one_question_one_answer_of_a_bounded_size() {
    let (_, pem) = own_certificate();
    let client = client(&pem);
    let site = Site::start(None, |path| match path {
        "/whole" => http_answer("200 OK", &vec![b'x'; MAX_BODY]),
        "/large" => http_answer("200 OK", &vec![b'x'; MAX_BODY + 1]),
        "/endless" => {
            let mut answer = b"HTTP/1.1 200 OK\r\n\r\n".to_vec();
            answer.resize(MAX_BODY + 1000, b'x');
            answer
        }
        "/cut" => b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nx".to_vec(),
        "/moved" => http_answer("302 Found", b""),
        "/nothing" => http_answer("204 No Content", b""),
        _ => b"no http".to_vec(),
    })
    .await;
    let url = |path: &str| format!("{}{path}", site.url("http"));
    assert_eq!(client.get(&url("/whole")).await.unwrap().len(), MAX_BODY);
    for path in ["/large", "/endless", "/cut"] {
        let refused = client.get(&url(path)).await;
        assert!(matches!(refused, Err(HttpError::Body { .. })), "{path}");
    }
    for (path, code) in [("/moved", 302), ("/nothing", 204)] {
        let refused = client.get(&url(path)).await;
        assert!(matches!(refused, Err(HttpError::Status { status, .. }) if status == code));
    }
    assert!(matches!(
        client.get(&url("/x")).await,
        Err(HttpError::Reach { .. })
    ));
    assert!(!site.asked().contains(&"/elsewhere".to_owned()));
}

#[tokio::test]
async fn an_answer_must_come_in_time() {
    let (_, pem) = own_certificate();
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    // Accepts and says nothing; time passes as soon as there is nothing else to do.
    let silent = tokio::spawn(async move {
        let held = listener.accept().await.unwrap();
        std::future::pending::<()>().await;
        drop(held);
    });
    tokio::time::pause();
    let refused = client(&pem).get(&url).await;
    assert!(matches!(refused, Err(HttpError::Timeout { .. })));
    silent.abort();
}

#[cfg(feature = "status")]
#[tokio::test]
async fn a_status_list_must_be_called_one() {
    use crate::status::FetchLists as _;

    let typed = |kind: &str| format!("HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\n\r\na.b.c");
    let site = Site::start(None, move |path| {
        match path {
            "/good" => typed("application/statuslist+jwt"),
            "/loud" => typed("Application/StatusList+JWT; charset=utf-8"),
            "/json" => typed("application/json"),
            "/longer" => typed("application/statuslist+jwts"),
            _ => "HTTP/1.1 200 OK\r\n\r\na.b.c".to_owned(),
        }
        .into_bytes()
    })
    .await;
    let (_, pem) = own_certificate();
    let lists = HttpLists::new(client(&pem));
    for (path, good) in [
        ("/good", true),
        ("/loud", true),
        ("/json", false),
        ("/longer", false),
        ("/none", false),
    ] {
        let uri = format!("{}{path}", site.url("http"));
        let fetched = lists.fetch(&uri).await;
        assert_eq!(fetched.is_ok(), good, "{path} {fetched:?}");
    }
    let elsewhere = lists.fetch("http://broker.example/status/1-0").await;
    let refused = elsewhere.unwrap_err();
    assert!(refused.to_string().contains("not encrypted"), "{refused}");
}

#[tokio::test]
async fn anchors_are_fetched_from_their_place() {
    use crate::anchors::FetchAnchors as _;

    let world = World::new();
    let anchors = world.anchors();
    let site = Site::start(None, move |_| http_answer("200 OK", anchors.as_bytes())).await;
    let (_, pem) = own_certificate();
    let source = HttpAnchors::new(client(&pem), &format!("{}/", site.url("http")));
    assert_eq!(source.fetch().await.unwrap(), world.anchors());
    assert_eq!(site.asked(), ["/ca.pem"]);
    let plain = HttpAnchors::new(client(&pem), "http://broker.example");
    assert!(plain.fetch().await.is_err(), "never in the clear");
}
