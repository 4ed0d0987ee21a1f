//! One issuer over real HTTP on this machine, and a clock of ours.

use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::extract::State;
use axum::routing::get;
use http::StatusCode;
use taskpass_core::Timestamp;
use taskpass_core::time::ManualClock;
use tokio::net::TcpListener;

use super::*;

const JWKS: &str = include_str!("../../../../../tests/attestation/keys/jwks.json");

/// What the issuer answers: its keys, an error, or nothing for ever.
#[derive(Clone, Copy, PartialEq)]
enum Mood {
    Good,
    Broken,
    Silent,
}

struct Issuer {
    mood: std::sync::Mutex<Mood>,
    asked: AtomicUsize,
}

impl Issuer {
    fn be(&self, mood: Mood) {
        *self.mood.lock().unwrap() = mood;
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

async fn answer(State(issuer): State<Arc<Issuer>>) -> (StatusCode, &'static str) {
    issuer.asked.fetch_add(1, Ordering::SeqCst);
    let mood = *issuer.mood.lock().unwrap();
    match mood {
        Mood::Good => (StatusCode::OK, JWKS),
        Mood::Broken => (StatusCode::INTERNAL_SERVER_ERROR, JWKS),
        Mood::Silent => std::future::pending().await,
    }
}

async fn issuer() -> (Arc<Issuer>, IssuerKeys, ManualClock) {
    let issuer = Arc::new(Issuer {
        mood: std::sync::Mutex::new(Mood::Good),
        asked: AtomicUsize::new(0),
    });
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/keys", listener.local_addr().unwrap());
    let router = Router::new()
        .route("/keys", get(answer))
        .with_state(Arc::clone(&issuer));
    tokio::spawn(async move { axum::serve(listener, router).await });
    let clock = ManualClock::new(Timestamp::from_secs(1_790_000_000));
    let source = KeySource::Url { url, ca_file: None };
    let keys = IssuerKeys::open(&source, Arc::new(clock.clone())).unwrap();
    (issuer, keys, clock)
}

fn is_found(lookup: &Lookup) -> bool {
    matches!(lookup, Lookup::Found(_))
}

#[tokio::test]
async fn a_flood_of_invented_ids_is_one_fetch() {
    let (issuer, keys, clock) = issuer().await;
    assert_eq!(issuer.asked(), 0, "nobody needed a key yet");
    let keys = Arc::new(keys);
    let flood: Vec<_> = (0..50)
        .map(|n| {
            let keys = Arc::clone(&keys);
            tokio::spawn(async move { keys.find(&format!("invented-{n}")).await })
        })
        .collect();
    for one in flood {
        assert_eq!(one.await.unwrap(), Lookup::Unknown);
    }
    assert_eq!(issuer.asked(), 1);
    assert!(is_found(&keys.find("rsa").await));
    assert_eq!(issuer.asked(), 1, "it is there");
    clock.advance(AFTER_SUCCESS);
    assert_eq!(keys.find("invented").await, Lookup::Unknown);
    assert_eq!(issuer.asked(), 2);
}

#[tokio::test]
async fn an_issuer_that_is_down_says_nothing_about_tokens() {
    let (issuer, keys, clock) = issuer().await;
    issuer.be(Mood::Broken);
    assert_eq!(keys.find("rsa").await, Lookup::Unavailable);
    assert_eq!(keys.find("rsa").await, Lookup::Unavailable);
    assert_eq!(issuer.asked(), 1, "not again so soon");
    issuer.be(Mood::Good);
    clock.advance(AFTER_FAILURE);
    assert!(is_found(&keys.find("rsa").await));
    // Held keys are used on while it is down again; an unknown one may be new there.
    issuer.be(Mood::Broken);
    clock.advance(RENEW_AFTER);
    assert!(is_found(&keys.find("rsa").await));
    assert_eq!(keys.find("new").await, Lookup::Unavailable);
    clock.advance(KEPT_FOR);
    assert_eq!(keys.find("rsa").await, Lookup::Unavailable, "too old");
}

#[tokio::test(start_paused = true)]
async fn a_silent_issuer_is_given_up() {
    let (issuer, keys, _) = issuer().await;
    issuer.be(Mood::Silent);
    let asked = tokio::time::timeout(Duration::from_secs(30), keys.find("rsa"));
    assert_eq!(asked.await.unwrap(), Lookup::Unavailable);
}

#[tokio::test]
async fn a_file_is_read_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("jwks.json");
    assert!(IssuerKeys::open(&KeySource::File(path.clone()), clock()).is_err());
    std::fs::write(&path, "{\"keys\":[]}").unwrap();
    assert!(IssuerKeys::open(&KeySource::File(path.clone()), clock()).is_err());
    std::fs::write(&path, JWKS).unwrap();
    let keys = IssuerKeys::open(&KeySource::File(path.clone()), clock()).unwrap();
    assert!(is_found(&keys.find("ec").await));
    let renamed = JWKS.replace("\"ec\"", "\"new\"");
    std::fs::write(&path, renamed).unwrap();
    assert!(is_found(&keys.find("new").await), "asked for, and there");
    assert_eq!(
        keys.find("ec").await,
        Lookup::Unknown,
        "and the old one gone"
    );
}

fn clock() -> Arc<dyn Clock> {
    Arc::new(ManualClock::new(Timestamp::from_secs(1_790_000_000)))
}

/// A token that names a key, and that no key signed.
fn naming(kid: &str) -> http::HeaderMap {
    use data_encoding::BASE64URL_NOPAD;
    let part = |json: String| BASE64URL_NOPAD.encode(json.as_bytes());
    let header = part(format!(r#"{{"alg":"RS256","kid":"{kid}"}}"#));
    let claims = part(r#"{"iss":"https://issuer.example"}"#.to_owned());
    let value = format!("Bearer {header}.{claims}.AAAA");
    http::HeaderMap::from_iter([(http::header::AUTHORIZATION, value.parse().unwrap())])
}

#[tokio::test]
async fn whoever_waits_for_an_issuer_is_in_nobodys_way() {
    use taskpass_broker::Error;
    use taskpass_broker::federation::{
        AttestationRefusal, ClaimRule, DEFAULT_MAX_AGE, JwtTrust, Pattern,
    };
    use taskpass_token::foreign::{ForeignAlg, ForeignTokenError};

    let (issuer, keys, clock) = issuer().await;
    assert!(is_found(&keys.find("rsa").await));
    issuer.be(Mood::Silent);
    clock.advance(AFTER_SUCCESS);
    let claims = [("sub".parse().unwrap(), Pattern::exact("sub", "x").unwrap())];
    let rule = ClaimRule::new("a".parse().unwrap(), claims.into()).unwrap();
    let trust = JwtTrust::new(
        "ci",
        "https://issuer.example",
        "taskpass",
        vec![ForeignAlg::Rs256],
        DEFAULT_MAX_AGE,
        vec![rule],
    );
    let federation = Arc::new(super::super::Federation {
        issuers: vec![(trust.unwrap(), Arc::new(keys))],
        domains: super::super::Domains::open(&[]).unwrap(),
        clock: Arc::new(clock),
        counts: Arc::default(),
    });
    let mut flood = tokio::task::JoinSet::new();
    for n in 0..=WAITING {
        let federation = Arc::clone(&federation);
        let headers = naming(&format!("invented-{n}"));
        flood.spawn(async move { federation.bearer(&headers, false).await });
    }
    // All the others wait for an answer that does not come.
    let one = flood.join_next().await.unwrap().unwrap();
    assert!(matches!(one, Err(Error::QueueFull)), "{one:?}");
    assert_eq!(flood.len(), WAITING);
    let known = federation.bearer(&naming("rsa"), false).await;
    let judged = AttestationRefusal::Token(ForeignTokenError::Signature);
    assert!(
        matches!(known, Err(Error::AttestationRefused(why)) if why == judged),
        "{known:?}"
    );
}
