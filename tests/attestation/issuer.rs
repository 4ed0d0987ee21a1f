//! An issuer on this machine: its keys over HTTP, and tokens by keys that everybody has.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use data_encoding::BASE64URL_NOPAD;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::{Value, json};
use tokio::net::TcpListener;

const JWKS: &str = include_str!("keys/jwks.json");

/// How it answers.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Mood {
    Good,
    Broken,
    Silent,
}

struct Inner {
    mood: Mutex<Mood>,
    asked: AtomicUsize,
}

pub(crate) struct Issuer {
    inner: Arc<Inner>,
    address: SocketAddr,
}

async fn answer(State(inner): State<Arc<Inner>>) -> (StatusCode, &'static str) {
    inner.asked.fetch_add(1, Ordering::SeqCst);
    let mood = *inner.mood.lock().unwrap();
    match mood {
        Mood::Good => (StatusCode::OK, JWKS),
        Mood::Broken => (StatusCode::BAD_GATEWAY, "down"),
        Mood::Silent => std::future::pending().await,
    }
}

impl Issuer {
    pub(crate) async fn start() -> Self {
        let inner = Arc::new(Inner {
            mood: Mutex::new(Mood::Good),
            asked: AtomicUsize::new(0),
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new().route("/keys", get(answer));
        let router = router.with_state(Arc::clone(&inner));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { inner, address }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/keys", self.address)
    }

    /// What says that it is believed about one repository's jobs.
    pub(crate) fn trusted(&self) -> String {
        format!(
            "[[federation.jwt]]\nname = \"ci\"\nissuer = \"https://ci.example\"\n\
             audience = \"taskpass\"\nalgorithms = [\"ES256\"]\njwks_url = \"{}\"\n\
             [[federation.jwt.rule]]\nagent = \"release-bot\"\n\
             claims = {{ repository_id = \"123\" }}\n",
            self.url()
        )
    }

    pub(crate) fn be(&self, mood: Mood) {
        *self.inner.mood.lock().unwrap() = mood;
    }

    pub(crate) fn asked(&self) -> usize {
        self.inner.asked.load(Ordering::SeqCst)
    }
}

/// Who signs, and how.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Signer {
    /// The issuer's RSA key, as clusters and GitHub sign.
    Rsa,
    /// The issuer's EC key.
    Ec,
    /// Somebody's RSA key, under the name of the issuer's.
    Stranger,
    /// The issuer's, under a name that it never published.
    UnknownKey,
    /// HMAC, with what everybody can read as the secret.
    Secret,
    /// `none`.
    Unsigned,
}

impl Signer {
    pub(crate) fn signed(self, claims: &Value) -> String {
        let rsa = || EncodingKey::from_rsa_der(include_bytes!("keys/rsa.der"));
        let other = || EncodingKey::from_rsa_der(include_bytes!("keys/other-rsa.der"));
        let ec = || EncodingKey::from_ec_der(include_bytes!("keys/ec.der"));
        let (alg, key, kid) = match self {
            Self::Rsa => (Algorithm::RS256, rsa(), "rsa"),
            Self::Ec => (Algorithm::ES256, ec(), "ec"),
            Self::Stranger => (Algorithm::RS256, other(), "rsa"),
            Self::UnknownKey => (Algorithm::RS256, rsa(), "never-published"),
            Self::Secret => {
                let secret = EncodingKey::from_secret(JWKS.as_bytes());
                (Algorithm::HS256, secret, "rsa")
            }
            Self::Unsigned => {
                let part = |value: &Value| BASE64URL_NOPAD.encode(value.to_string().as_bytes());
                let header = json!({ "alg": "none", "typ": "JWT", "kid": "rsa" });
                return format!("{}.{}.AA", part(&header), part(claims));
            }
        };
        let mut header = Header::new(alg);
        header.kid = Some(kid.to_owned());
        encode(&header, claims, &key).unwrap()
    }
}

/// The present, in seconds.
#[expect(
    clippy::disallowed_methods,
    reason = "the broker beneath test lives in real time"
)]
pub(crate) fn now() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.unwrap().as_secs()
}

/// What a projected token of a service account says.
pub(crate) fn pod() -> Value {
    json!({
        "iss": "https://cluster.example", "aud": ["taskpass"],
        "sub": "system:serviceaccount:prod:invoice",
        "iat": now() - 1, "nbf": now() - 1, "exp": now() + 600,
        "kubernetes.io": {
            "namespace": "prod",
            "serviceaccount": { "name": "invoice", "uid": "uid-1" },
            "pod": { "name": "invoice-7", "uid": "uid-2" },
        },
    })
}

/// What the token of a job says.
pub(crate) fn job() -> Value {
    json!({
        "iss": "https://ci.example", "aud": "taskpass", "jti": "one",
        "sub": "repo:acme/billing:ref:refs/heads/main",
        "iat": now() - 1, "nbf": now() - 301, "exp": now() + 300,
        "repository": "acme/billing", "repository_id": "123",
        "repository_owner": "acme", "repository_owner_id": "9",
        "ref": "refs/heads/main", "run_attempt": "1",
    })
}
