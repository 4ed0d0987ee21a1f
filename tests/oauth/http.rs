//! A client of the OAuth front: one request a connection, TLS by rustls, forms and JSON.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use serde_json::Value;
use taskpass_testkit::Broker;
use taskpass_testkit::wait::PATIENCE;

/// A certificate chain and its key, in PEM.
#[derive(Clone)]
pub(crate) struct Shown {
    pub(crate) chain: String,
    pub(crate) key: String,
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: Value,
}

impl Answer {
    /// The error's code; what is no error fails the test.
    pub(crate) fn error(&self) -> &str {
        assert!(self.status >= 400, "{self:?}");
        assert!(self.body["error_description"].is_string(), "{self:?}");
        self.body["error"].as_str().expect("a code")
    }

    /// What was answered; an error fails the test.
    pub(crate) fn ok(&self) -> &Value {
        assert_eq!(self.status, 200, "{self:?}");
        &self.body
    }

    /// The token of an answer.
    pub(crate) fn token(&self) -> String {
        self.ok()["access_token"]
            .as_str()
            .expect("a token")
            .to_owned()
    }
}

/// Somebody's identity, as it is shown in a handshake.
pub(crate) fn identity(broker: &Broker, who: &str) -> Shown {
    let identity = broker.identity(who);
    Shown {
        chain: identity.cert_pem().to_owned(),
        key: identity.key_pem().to_string(),
    }
}

fn config(broker: &Broker, shown: Option<&Shown>) -> ClientConfig {
    let anchors = broker.identity(broker.operator_name()).ca_pem().to_owned();
    let mut roots = RootCertStore::empty();
    for anchor in CertificateDer::pem_slice_iter(anchors.as_bytes()) {
        roots.add(anchor.expect("PEM")).expect("an anchor");
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots);
    match shown {
        None => builder.with_no_client_auth(),
        Some(shown) => {
            let chain = CertificateDer::pem_slice_iter(shown.chain.as_bytes());
            let chain = chain.collect::<Result<_, _>>().expect("PEM");
            let key = PrivateKeyDer::from_pem_slice(shown.key.as_bytes()).expect("a key");
            builder.with_client_auth_cert(chain, key).expect("a pair")
        }
    }
}

/// Sends raw bytes; nothing if the connection was turned away.
pub(crate) fn send(broker: &Broker, shown: Option<&Shown>, request: &[u8]) -> Option<Answer> {
    let authority = broker
        .addresses()
        .oauth
        .strip_prefix("https://")
        .expect("a front");
    let tcp = TcpStream::connect(authority).expect("it listens");
    tcp.set_read_timeout(Some(PATIENCE)).expect("a socket");
    let name = ServerName::try_from("127.0.0.1").expect("a name");
    let config = Arc::new(config(broker, shown));
    let connection = ClientConnection::new(config, name).expect("a connection");
    let mut stream = StreamOwned::new(connection, tcp);
    let mut bytes = Vec::new();
    stream.write_all(request).ok()?;
    // The front closes without ceremony: what came is whole if its length says so.
    let _ = stream.read_to_end(&mut bytes);
    if bytes.is_empty() {
        return None;
    }
    let text = String::from_utf8(bytes).expect("text");
    let (head, body) = text.split_once("\r\n\r\n").expect("an answer");
    let status = head.split(' ').nth(1).and_then(|code| code.parse().ok());
    Some(Answer {
        status: status.expect("a status"),
        head: head.to_ascii_lowercase(),
        body: serde_json::from_str(body).unwrap_or(Value::Null),
    })
}

/// A request with a body that is sent as it is.
pub(crate) fn raw(
    broker: &Broker,
    shown: Option<&Shown>,
    path: &str,
    headers: &str,
    body: &str,
) -> Answer {
    let request = format!(
        "POST {path} HTTP/1.1\r\nHost: broker\r\nConnection: close\r\nContent-Length: {}\r\n{headers}\r\n{body}",
        body.len()
    );
    send(broker, shown, request.as_bytes()).expect("an answer")
}

const FORM: &str = "Content-Type: application/x-www-form-urlencoded\r\n";

/// A request with these parameters.
pub(crate) fn post(
    broker: &Broker,
    shown: Option<&Shown>,
    path: &str,
    parameters: &[(&str, &str)],
) -> Answer {
    let pairs: Vec<_> = parameters
        .iter()
        .map(|(name, value)| format!("{name}={}", encode(value)))
        .collect();
    let answer = raw(broker, shown, path, FORM, &pairs.join("&"));
    assert!(
        answer.head.contains("cache-control: no-store"),
        "{}",
        answer.head
    );
    assert!(!answer.head.contains("access-control"), "{}", answer.head);
    answer
}

/// Percent-encodes everything but letters and digits.
pub(crate) fn encode(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => char::from(byte).to_string(),
            other => format!("%{other:02X}"),
        })
        .collect()
}
