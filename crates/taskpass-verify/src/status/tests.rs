use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use ed25519_dalek::{Signer as _, SigningKey};
use taskpass_core::Timestamp;
use taskpass_core::access::TokenAlg;
use taskpass_core::rng::SeededRng;
use taskpass_core::time::Clock as _;
use taskpass_status::{Bits, ListClaims, Packed};
use taskpass_token::claims::StatusRef;
use taskpass_token::{JwkSet, jws};
use tokio::sync::Semaphore;

use super::*;
use crate::keys::{FetchKeys, Schedule};
use crate::refusal::Reason;
use crate::settings::{DEFAULT_STALENESS, Settings, Staleness};
use crate::testing::{ISSUER, World, jwk, ledger};

const URI: &str = "https://broker.example/status/1-0";
const LIFE: Duration = Duration::from_mins(5);
const TTL: Duration = Duration::from_secs(30);

/// A broker's lists, as a test wants them.
#[derive(Debug)]
struct Site {
    documents: Mutex<HashMap<String, String>>,
    fetches: AtomicUsize,
    answers: Semaphore,
}

impl FetchLists for Site {
    fn fetch<'a>(&'a self, uri: &'a str) -> Fetching<'a> {
        self.fetches.fetch_add(1, Ordering::SeqCst);
        Box::pin(async move {
            self.answers.acquire().await.unwrap().forget();
            let documents = self.documents.lock().unwrap();
            documents.get(uri).cloned().ok_or("out of reach".into())
        })
    }
}

/// Publishes one set of keys.
#[derive(Debug)]
struct Published(JwkSet);

impl FetchKeys for Published {
    fn fetch(&self) -> crate::keys::Fetching<'_> {
        Box::pin(async { Ok(self.0.clone()) })
    }
}

struct Scene {
    world: World,
    site: Arc<Site>,
    lists: StatusLists,
}

/// What a list says of itself.
struct Draft {
    uri: &'static str,
    issued_at: Timestamp,
    ttl: u64,
    packed: Packed,
}

impl Scene {
    fn new(staleness: Staleness) -> Self {
        let world = World::new();
        let settings = Settings {
            staleness,
            ..world.settings()
        };
        let clock = Arc::new(world.clock.clone());
        let verifier = Verifier::by_lists(settings, None, clock).unwrap();
        let keys = [jwk(&world.token_key), jwk(&later_key())];
        let keys = Keys::new(
            verifier,
            Arc::new(Published(JwkSet::from_keys(keys).unwrap())),
            Schedule::default(),
            Arc::new(SeededRng::new(1)),
        );
        let site = Arc::new(Site {
            documents: Mutex::default(),
            fetches: AtomicUsize::new(0),
            answers: Semaphore::new(Semaphore::MAX_PERMITS),
        });
        let source: Arc<dyn FetchLists> = site.clone();
        Self {
            lists: StatusLists::new(keys, source).unwrap(),
            world,
            site,
        }
    }

    /// A list as of now, on which these are revoked.
    fn draft(&self, revoked: &[u64]) -> Draft {
        let mut packed = Packed::all_valid(Bits::One, 128);
        for place in revoked {
            packed.set(*place, 1).unwrap();
        }
        Draft {
            uri: URI,
            issued_at: self.world.clock.now(),
            ttl: TTL.as_secs(),
            packed,
        }
    }

    fn sign(draft: &Draft, key: &SigningKey) -> String {
        let claims = ListClaims {
            uri: draft.uri,
            issued_at: draft.issued_at.secs(),
            expires_at: draft.issued_at.plus(LIFE).secs(),
            ttl: draft.ttl,
            aggregation_uri: None,
        };
        let kid = jwk(key).id().clone();
        let alg = TokenAlg::EdDsa;
        let input = taskpass_status::signing_input(&claims, &draft.packed, alg, &kid);
        jws::assemble(&input, &key.sign(input.as_bytes()).to_bytes())
    }

    fn publish(&self, revoked: &[u64]) {
        self.put(&Self::sign(&self.draft(revoked), &self.world.token_key));
    }

    fn put(&self, document: &str) {
        let mut documents = self.site.documents.lock().unwrap();
        documents.insert(URI.to_owned(), document.to_owned());
    }

    fn withdraw(&self) {
        self.site.documents.lock().unwrap().clear();
    }

    /// A token with a place on a list.
    fn token(&self, uri: &str, index: u64) -> String {
        let uri = uri.to_owned();
        let payload = self
            .world
            .claims()
            .to_json_listed(Some(&StatusRef { index, uri }));
        let key = &self.world.token_key;
        let kid = jwk(key).id().clone();
        let header = jws::header_json(TokenAlg::EdDsa, &kid, jws::TOKEN_TYPE);
        let input = jws::signing_input(&header, &payload);
        jws::assemble(&input, &key.sign(input.as_bytes()).to_bytes())
    }

    async fn ask(&self, token: &str) -> Result<VerifiedToken, Refusal> {
        self.lists.verify_token(token, &ledger()).await
    }

    async fn word(&self, token: &str) -> &'static str {
        match self.ask(token).await {
            Ok(_) => "good",
            Err(Refusal::Listed) => "listed",
            Err(Refusal::ListStale) => "over",
            Err(Refusal::Stale { .. }) => "stale",
            Err(Refusal::NotReady) => "not ready",
            Err(Refusal::Status(PlaceError::Absent)) => "absent",
            Err(Refusal::Status(PlaceError::Elsewhere)) => "elsewhere",
            Err(Refusal::Status(PlaceError::NoPlace(_))) => "no place",
            Err(other) => panic!("{other:?}"),
        }
    }

    fn advance(&self, by: Duration) {
        self.world.clock.advance(by);
    }

    fn fetches(&self) -> usize {
        self.site.fetches.load(Ordering::SeqCst)
    }
}

fn later_key() -> SigningKey {
    SigningKey::from_bytes(&[9; 32])
}

fn strict() -> Scene {
    Scene::new(Staleness::default())
}

#[tokio::test]
async fn a_set_bit_revokes_and_nothing_else_does() {
    let scene = strict();
    scene.publish(&[7]);
    let (good, bad) = (scene.token(URI, 6), scene.token(URI, 7));
    assert_eq!(scene.word(&good).await, "good");
    assert_eq!(scene.word(&bad).await, "listed");
    assert_eq!(scene.ask(&bad).await.unwrap_err().reason(), Reason::Revoked);
    assert_eq!(scene.fetches(), 1, "both are on one list");
    // From the next list on, and also for who asks again about a token that was good.
    let token = scene.ask(&good).await.unwrap();
    scene.publish(&[6, 7]);
    scene.advance(TTL);
    assert!(matches!(
        scene.lists.recheck_token(&token).await,
        Err(Refusal::Listed)
    ));
    assert_eq!(scene.word(&good).await, "listed");
    let metrics = scene.lists.verifier().metrics();
    assert_eq!(
        (metrics.lists, metrics.list_fetches, metrics.list_failures),
        (1, 2, 0)
    );
}

#[tokio::test]
async fn every_width_and_status_is_understood() {
    for bits in [Bits::Two, Bits::Four, Bits::Eight] {
        let scene = strict();
        let mut packed = Packed::all_valid(bits, 64);
        for (place, status) in [(1, 1), (2, 2), (3, 3)] {
            packed.set(place, status).unwrap();
        }
        let draft = Draft {
            packed,
            ..scene.draft(&[])
        };
        scene.put(&Scene::sign(&draft, &scene.world.token_key));
        for (place, word) in [(0, "good"), (1, "listed"), (2, "listed"), (3, "listed")] {
            assert_eq!(scene.word(&scene.token(URI, place)).await, word);
        }
    }
}

#[tokio::test]
async fn a_place_that_cannot_be_looked_at_is_refused_without_asking_anybody() {
    let scene = strict();
    scene.publish(&[]);
    let elsewhere = [
        "https://evil.example/status/1-0",
        "https://broker.example.evil/status/1-0",
        "https://broker.example@evil.example/1-0",
        "http://broker.example/status/1-0",
        ISSUER,
    ];
    for uri in elsewhere {
        assert_eq!(scene.word(&scene.token(uri, 1)).await, "elsewhere", "{uri}");
    }
    assert_eq!(scene.word(&scene.world.token()).await, "absent");
    assert_eq!(scene.fetches(), 0);
    assert_eq!(scene.word(&scene.token(URI, 1024)).await, "no place");
    assert_eq!(scene.word(&scene.token(URI, u64::MAX)).await, "no place");
}

#[tokio::test]
async fn a_document_that_is_not_the_issuer_s_about_that_list_is_not_taken() {
    let scene = strict();
    let stranger = SigningKey::from_bytes(&[8; 32]);
    let token = scene.token(URI, 1);
    let good = Scene::sign(&scene.draft(&[]), &scene.world.token_key);
    let other_list = Draft {
        uri: "https://broker.example/status/1-1",
        ..scene.draft(&[])
    };
    let future = Draft {
        issued_at: scene.world.clock.now().plus(Duration::from_mins(2)),
        ..scene.draft(&[])
    };
    let past = Draft {
        issued_at: scene.world.clock.now().minus(LIFE),
        ..scene.draft(&[])
    };
    let never = Draft {
        ttl: 0,
        ..scene.draft(&[])
    };
    let own = &scene.world.token_key;
    let tampered = {
        let mut parts: Vec<&str> = good.split('.').collect();
        let other = Scene::sign(&scene.draft(&[3]), own);
        let payload = other.split('.').nth(1).unwrap().to_owned();
        parts[1] = &payload;
        parts.join(".")
    };
    for (what, document) in [
        ("nothing", String::new()),
        ("a token", scene.world.token()),
        ("by a stranger", Scene::sign(&scene.draft(&[]), &stranger)),
        ("about another list", Scene::sign(&other_list, own)),
        ("from the future", Scene::sign(&future, own)),
        ("over", Scene::sign(&past, own)),
        ("without a ttl", Scene::sign(&never, own)),
        ("tampered with", tampered),
    ] {
        scene.put(&document);
        scene.advance(Duration::from_secs(2));
        assert_eq!(scene.word(&token).await, "not ready", "{what}");
    }
    scene.put(&Scene::sign(&scene.draft(&[]), own));
    scene.advance(Duration::from_secs(2));
    assert_eq!(scene.word(&token).await, "good");
    assert_eq!(scene.lists.verifier().metrics().list_failures, 8);
}

#[tokio::test]
async fn a_list_by_a_new_key_is_taken_and_one_by_a_key_that_is_gone_is_not_believed() {
    let scene = strict();
    let token = scene.token(URI, 1);
    // The keys were never fetched: the list's own key is looked for.
    scene.put(&Scene::sign(&scene.draft(&[]), &later_key()));
    assert_eq!(scene.word(&token).await, "good");
    let without = JwkSet::from_keys([jwk(&scene.world.token_key)]).unwrap();
    scene.lists.verifier().replace_jwks(without);
    let refused = scene.lists.verifier().verify_token(&token, &ledger());
    assert!(matches!(refused, Err(Refusal::NotReady)), "{refused:?}");
}

#[tokio::test]
async fn a_strict_verifier_refuses_what_it_cannot_confirm_and_best_effort_goes_on() {
    for (staleness, later, counted) in [
        (Staleness::default(), "stale", 0),
        (Staleness::BestEffort, "good", 1),
    ] {
        let scene = Scene::new(staleness);
        let (good, bad) = (scene.token(URI, 1), scene.token(URI, 2));
        scene.publish(&[2]);
        assert_eq!(scene.word(&good).await, "good");
        scene.withdraw();
        scene.advance(DEFAULT_STALENESS);
        assert_eq!(scene.word(&good).await, "good");
        scene.advance(Duration::from_secs(1));
        assert_eq!(scene.word(&good).await, later);
        assert_eq!(scene.word(&bad).await, "listed", "however old");
        assert_eq!(scene.lists.verifier().metrics().unconfirmed, counted);
        // Nobody goes on beyond the list's own end; the tokens live as long, so ask about a new one.
        scene.advance(LIFE.saturating_sub(DEFAULT_STALENESS));
        let (good, bad) = (scene.token(URI, 1), scene.token(URI, 2));
        assert_eq!(scene.word(&good).await, "over");
        assert_eq!(scene.word(&bad).await, "listed");
    }
}

/// What a cache held back, or what the broker could not bring up to date, counts with its age.
#[tokio::test]
async fn a_list_that_was_old_when_it_came_is_no_younger_than_it_says() {
    let scene = strict();
    let token = scene.token(URI, 1);
    let skew_and_cache = ttl::CLOCK_SKEW + FRESH;
    for (old, word) in [
        (skew_and_cache, "good"),
        (skew_and_cache + DEFAULT_STALENESS, "good"),
        (
            skew_and_cache + DEFAULT_STALENESS + Duration::from_secs(1),
            "stale",
        ),
    ] {
        let scene = strict();
        let draft = Draft {
            issued_at: scene.world.clock.now().minus(old),
            ..scene.draft(&[])
        };
        scene.put(&Scene::sign(&draft, &scene.world.token_key));
        assert_eq!(scene.word(&token).await, word, "{old:?}");
    }
}

#[tokio::test]
async fn an_older_list_never_replaces_a_newer_one() {
    let scene = strict();
    let old = Scene::sign(&scene.draft(&[]), &scene.world.token_key);
    scene.advance(Duration::from_secs(5));
    scene.publish(&[1]);
    let token = scene.token(URI, 1);
    assert_eq!(scene.word(&token).await, "listed");
    scene.put(&old);
    scene.advance(TTL);
    assert_eq!(scene.word(&token).await, "listed");
    assert_eq!(scene.fetches(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn however_many_ask_one_fetches_and_who_goes_away_ends_it_for_nobody() {
    let scene = strict();
    scene.publish(&[]);
    scene.site.answers.forget_permits(Semaphore::MAX_PERMITS);
    let token = Arc::new(scene.token(URI, 1));
    let mut waiting = Vec::new();
    for _ in 0..20 {
        let (lists, token) = (scene.lists.clone(), Arc::clone(&token));
        let asked = tokio::spawn(async move { lists.verify_token(&token, &ledger()).await });
        waiting.push(asked);
    }
    while scene.fetches() == 0 {
        tokio::task::yield_now().await;
    }
    waiting.swap_remove(0).abort();
    scene.site.answers.add_permits(1);
    for asked in waiting {
        asked.await.unwrap().unwrap();
    }
    assert_eq!(scene.fetches(), 1);
}

#[tokio::test]
async fn a_list_out_of_reach_is_not_asked_for_with_every_token() {
    let scene = strict();
    let token = scene.token(URI, 1);
    for _ in 0..10 {
        assert_eq!(scene.word(&token).await, "not ready");
    }
    assert_eq!(scene.fetches(), 1);
    scene.advance(Duration::from_secs(1));
    assert_eq!(scene.word(&token).await, "not ready");
    assert_eq!(scene.fetches(), 2);
    // A forged token causes none at all.
    let mut forged = scene.token("https://broker.example/status/2-0", 1);
    let last = forged.pop().unwrap();
    forged.push(if last == 'A' { 'Q' } else { 'A' });
    scene.ask(&forged).await.unwrap_err();
    assert_eq!(scene.fetches(), 2);
}

#[tokio::test]
async fn no_more_lists_are_held_than_there_is_room_for() {
    let scene = strict();
    scene.publish(&[]);
    let here = scene.token(URI, 1);
    for n in 0..200 {
        scene.advance(Duration::from_millis(1));
        assert_eq!(scene.word(&here).await, "good");
        let other = format!("https://broker.example/status/3-{n}");
        assert_eq!(scene.word(&scene.token(&other, 1)).await, "not ready");
    }
    // The one that was wanted all the time is the one that stayed.
    assert_eq!(scene.lists.verifier().metrics().lists, 1);
    assert_eq!(scene.fetches(), 201);
}

#[tokio::test]
async fn certificates_are_for_revocation_lists_and_a_feed_s_verifier_takes_no_lists() {
    let scene = strict();
    scene.publish(&[]);
    let certificate = scene.world.certificate();
    let verifier = scene.lists.verifier();
    let refused = verifier.verify_certificate(&certificate, &[]);
    assert!(matches!(refused, Err(Refusal::NotReady)), "{refused:?}");
    let by_feed = scene.world.verifier();
    let known = by_feed.verify_certificate(&certificate, &[]).unwrap();
    assert!(verifier.recheck_certificate(&known).is_err());
    let token = scene.token(URI, 1);
    let refused = scene
        .lists
        .verify_token_with(&token, &ledger(), &known)
        .await;
    assert!(matches!(refused, Err(Refusal::NotReady)), "{refused:?}");

    let keys = Keys::new(
        by_feed,
        Arc::new(Published(scene.world.settings().jwks)),
        Schedule::default(),
        Arc::new(SeededRng::new(1)),
    );
    let source: Arc<dyn FetchLists> = scene.site.clone();
    assert_eq!(StatusLists::new(keys, source).unwrap_err(), ByFeed);
}
