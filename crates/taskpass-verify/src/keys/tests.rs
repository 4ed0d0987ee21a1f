use std::sync::Mutex as SyncMutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use ed25519_dalek::SigningKey;
use proptest::prelude::*;
use taskpass_core::revocation::MAX_JWKS_AGE;
use taskpass_core::rng::SeededRng;
use tokio::sync::Semaphore;

use super::*;
use crate::refusal::Reason;
use crate::testing::{World, jwk, ledger};

/// An issuer that publishes what a test puts there, counts who asks, and answers when it is let.
#[derive(Debug)]
struct Issuer {
    published: SyncMutex<Option<JwkSet>>,
    fetches: AtomicUsize,
    answers: Semaphore,
}

impl Issuer {
    fn new(published: Option<JwkSet>) -> Arc<Self> {
        Arc::new(Self {
            published: SyncMutex::new(published),
            fetches: AtomicUsize::new(0),
            answers: Semaphore::new(Semaphore::MAX_PERMITS),
        })
    }

    /// One that answers only after `answers.add_permits`.
    fn slow(published: Option<JwkSet>) -> Arc<Self> {
        let issuer = Self::new(published);
        issuer.answers.forget_permits(Semaphore::MAX_PERMITS);
        issuer
    }

    fn publish(&self, published: Option<JwkSet>) {
        *self.published.lock().unwrap() = published;
    }

    fn fetches(&self) -> usize {
        self.fetches.load(Ordering::SeqCst)
    }
}

impl FetchKeys for Issuer {
    fn fetch(&self) -> Fetching<'_> {
        self.fetches.fetch_add(1, Ordering::SeqCst);
        Box::pin(async {
            self.answers.acquire().await.unwrap().forget();
            let published = self.published.lock().unwrap().clone();
            published.ok_or_else(|| "out of reach".into())
        })
    }
}

fn signing(seed: u8) -> SigningKey {
    SigningKey::from_bytes(&[seed; 32])
}

fn set(seeds: &[u8]) -> JwkSet {
    JwkSet::from_keys(seeds.iter().map(|seed| jwk(&signing(*seed)))).unwrap()
}

fn id(seed: u8) -> KeyId {
    jwk(&signing(seed)).id().clone()
}

fn keys(world: &World, issuer: &Arc<Issuer>) -> Keys {
    let source = Arc::clone(issuer);
    let rng = Arc::new(SeededRng::new(1));
    Keys::new(world.verifier(), source, Schedule::default(), rng)
}

#[tokio::test]
async fn an_unknown_key_is_looked_for_once() {
    let mut world = World::new();
    let issuer = Issuer::new(Some(set(&[1, 2])));
    let keys = keys(&world, &issuer);
    // The world signs with a key that was published a moment ago.
    world.token_key = signing(2);
    let token = world.token();
    assert_eq!(
        keys.verifier()
            .verify_token(&token, &ledger())
            .unwrap_err()
            .reason(),
        Reason::Untrusted
    );
    assert!(keys.verify_token(&token, &ledger()).await.is_ok());
    assert!(keys.verify_token(&token, &ledger()).await.is_ok());
    assert_eq!(issuer.fetches(), 1);
    let metrics = keys.verifier().metrics();
    assert_eq!(
        (metrics.jwks_fetches, metrics.jwks_failures, metrics.keys),
        (1, 0, 2)
    );
    // Only the first, direct one was refused.
    assert_eq!(metrics.refused_for(Reason::Untrusted), 1);
}

#[tokio::test]
async fn a_known_key_asks_nobody() {
    let world = World::new();
    let issuer = Issuer::new(None);
    let keys = keys(&world, &issuer);
    let token = world.token();
    for text in [token.as_str(), "", "a.b.c", "x"] {
        let _ = keys.verify_token(text, &ledger()).await;
    }
    assert_eq!(issuer.fetches(), 0);
}

#[tokio::test]
async fn a_flood_of_invented_keys_causes_one_fetch_for_each_interval() {
    let world = World::new();
    let issuer = Issuer::new(Some(set(&[1])));
    let keys = keys(&world, &issuer);
    for round in 1..=3_usize {
        for seed in 10..60 {
            let expected = if seed == 10 {
                Refreshed::Unknown
            } else {
                Refreshed::TooSoon
            };
            assert_eq!(keys.look_for(&id(seed)).await, expected);
        }
        assert_eq!(issuer.fetches(), round);
        world.clock.advance(Duration::from_secs(15));
    }
    assert_eq!(keys.verifier().metrics().jwks_suppressed, 3 * 49);
    // One that fails counts as well.
    issuer.publish(None);
    assert_eq!(keys.look_for(&id(9)).await, Refreshed::Failed);
    assert_eq!(keys.look_for(&id(9)).await, Refreshed::TooSoon);
    assert_eq!(keys.verifier().metrics().jwks_failures, 1);
    // The keys that were known are known still.
    assert_eq!(keys.look_for(&id(1)).await, Refreshed::Known);
}

#[tokio::test]
async fn those_who_come_meanwhile_wait_for_the_same_fetch() {
    let world = World::new();
    let issuer = Issuer::slow(Some(set(&[1, 2])));
    let keys = keys(&world, &issuer);
    let mut waiting = tokio::task::JoinSet::new();
    for n in 0..200 {
        let (keys, seed) = (keys.clone(), if n % 2 == 0 { 2 } else { 3 });
        waiting.spawn(async move { (seed, keys.look_for(&id(seed)).await) });
    }
    while issuer.fetches() == 0 {
        tokio::task::yield_now().await;
    }
    for _ in 0..1000 {
        tokio::task::yield_now().await;
    }
    assert_eq!(
        (issuer.fetches(), waiting.try_join_next().is_none()),
        (1, true)
    );
    issuer.answers.add_permits(1000);
    let mut outcomes = waiting.join_all().await;
    assert_eq!(issuer.fetches(), 1);
    outcomes.retain(|(seed, outcome)| match outcome {
        Refreshed::Known => *seed != 2,
        Refreshed::Unknown | Refreshed::TooSoon => *seed != 3,
        Refreshed::Failed => true,
    });
    assert_eq!(outcomes, []);
}

/// Who asks and hangs up must not keep a new key from everybody else.
#[tokio::test]
async fn a_fetch_outlives_the_request_that_caused_it() {
    let world = World::new();
    let issuer = Issuer::slow(Some(set(&[1, 2])));
    let keys = keys(&world, &issuer);
    let gone = tokio::spawn({
        let keys = keys.clone();
        async move { keys.look_for(&id(2)).await }
    });
    while issuer.fetches() == 0 {
        tokio::task::yield_now().await;
    }
    gone.abort();
    assert!(gone.await.unwrap_err().is_cancelled());
    issuer.answers.add_permits(1);
    assert_eq!(keys.look_for(&id(2)).await, Refreshed::Known);
    assert_eq!(issuer.fetches(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_source_that_never_answers_is_given_up() {
    let world = World::new();
    let issuer = Issuer::slow(Some(set(&[1, 2])));
    let keys = keys(&world, &issuer);
    assert_eq!(keys.look_for(&id(2)).await, Refreshed::Failed);
    assert_eq!(keys.verifier().metrics().jwks_failures, 1);
}

#[derive(Debug)]
struct Broken;

impl FetchKeys for Broken {
    fn fetch(&self) -> Fetching<'_> {
        Box::pin(async { panic!("a source that panics") })
    }
}

#[tokio::test]
async fn a_source_that_panics_is_one_that_fails() {
    let world = World::new();
    let rng = Arc::new(SeededRng::new(1));
    let keys = Keys::new(world.verifier(), Arc::new(Broken), Schedule::default(), rng);
    assert_eq!(keys.look_for(&id(2)).await, Refreshed::Failed);
    world.clock.advance(Duration::from_secs(15));
    assert_eq!(keys.look_for(&id(2)).await, Refreshed::Failed);
}

#[tokio::test]
async fn too_old_keys_are_refused_until_new_ones_come() {
    let world = World::new();
    let issuer = Issuer::new(None);
    let keys = keys(&world, &issuer);
    world.clock.advance(MAX_JWKS_AGE + Duration::from_millis(1));
    world.confirm(keys.verifier(), 0);
    let ask = || async {
        let outcome = keys.verify_token(&world.token(), &ledger()).await;
        outcome.err().map(|refusal| refusal.reason())
    };
    assert_eq!(ask().await, Some(Reason::KeysStale));
    assert_eq!(ask().await, Some(Reason::KeysStale));
    assert_eq!(issuer.fetches(), 1);
    issuer.publish(Some(set(&[1])));
    world.clock.advance(Duration::from_secs(15));
    assert_eq!(ask().await, None);
    assert_eq!(keys.verifier().jwks_age(), Duration::ZERO);
}

/// A key that is published no more is trusted no more, as soon as that is known.
#[tokio::test]
async fn what_was_withdrawn_is_gone() {
    let world = World::new();
    let issuer = Issuer::new(Some(set(&[2])));
    let keys = keys(&world, &issuer);
    assert!(keys.verify_token(&world.token(), &ledger()).await.is_ok());
    assert_eq!(keys.look_for(&id(2)).await, Refreshed::Known);
    let outcome = keys.verify_token(&world.token(), &ledger()).await;
    assert_eq!(outcome.unwrap_err().reason(), Reason::Untrusted);
}

#[test]
fn an_answer_that_was_overtaken_changes_nothing() {
    let world = World::new();
    let verifier = world.verifier();
    let (early, late) = (Duration::from_secs(1), Duration::from_secs(2));
    verifier.take_jwks(set(&[2]), late);
    verifier.take_jwks(set(&[1]), early);
    assert!(verifier.knows_key(&id(2)) && !verifier.knows_key(&id(1)));
}

/// Tokio's time and the clock pass together.
#[tokio::test(start_paused = true)]
async fn keys_are_renewed_on_schedule_and_sooner_after_a_failure() {
    let world = World::new();
    let issuer = Issuer::new(Some(set(&[1])));
    let keys = keys(&world, &issuer);
    let running = keys.clone();
    let run = tokio::spawn(async move { running.run(std::future::pending()).await });
    let pass = |secs: u64| {
        let clock = world.clock.clone();
        async move {
            for _ in 0..secs {
                clock.advance(Duration::from_secs(1));
                tokio::time::advance(Duration::from_secs(1)).await;
                for _ in 0..20 {
                    tokio::task::yield_now().await;
                }
            }
        }
    };
    pass(299).await;
    assert_eq!(issuer.fetches(), 0);
    pass(32).await;
    assert_eq!(issuer.fetches(), 1);
    issuer.publish(None);
    pass(331).await;
    let failing = issuer.fetches();
    assert!(failing >= 2, "{failing}");
    // Not faster than is permitted, while nothing comes of it.
    pass(60).await;
    let more = issuer.fetches() - failing;
    assert!((2..=4).contains(&more), "{more}");
    issuer.publish(Some(set(&[1])));
    pass(20).await;
    let recovered = issuer.fetches();
    pass(280).await;
    assert_eq!(issuer.fetches(), recovered);
    run.abort();
}

#[tokio::test(start_paused = true)]
async fn a_verifier_that_begins_without_keys_asks_at_once() {
    let world = World::new();
    let issuer = Issuer::new(Some(set(&[1])));
    let mut settings = world.settings();
    settings.jwks = JwkSet::default();
    let verifier = world.blank(settings);
    let rng = Arc::new(SeededRng::new(1));
    let keys = Keys::new(verifier.clone(), issuer.clone(), Schedule::default(), rng);
    keys.run(async {
        while !verifier.knows_key(&id(1)) {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert_eq!(issuer.fetches(), 1);
}

#[test]
fn a_schedule_stays_within_bounds() {
    for (every, at_least, expected) in [
        (300, 15, (300, 15)),
        (0, 0, (1, 1)),
        (86_400, 86_400, (3600, 3600)),
        (10, 60, (10, 10)),
    ] {
        let schedule = Schedule {
            every: Duration::from_secs(every),
            at_least: Duration::from_secs(at_least),
        };
        let Schedule { every, at_least } = schedule.bounded();
        assert_eq!((every.as_secs(), at_least.as_secs()), expected);
    }
}

#[derive(Debug, Clone)]
enum Step {
    Pass(u64),
    LookFor(u8),
    Publish(Option<Vec<u8>>),
}

fn step() -> impl Strategy<Value = Step> {
    let seeds = prop::collection::btree_set(1_u8..6, 0..4);
    prop_oneof![
        (0_u64..20_000).prop_map(Step::Pass),
        (1_u8..8).prop_map(Step::LookFor),
        prop::option::of(seeds.prop_map(|seeds| seeds.into_iter().collect()))
            .prop_map(Step::Publish),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    /// Whatever happens: never two fetches within an interval, never a key that was not in the newest
    /// set, never a fetch for one that is.
    #[test]
    fn fetches_are_far_apart(steps in prop::collection::vec(step(), 0..60)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let world = World::new();
            let issuer = Issuer::new(Some(set(&[1])));
            let keys = keys(&world, &issuer);
            let (mut held, mut published): (Vec<u8>, _) = (vec![1], Some(vec![1]));
            let (mut now, mut last): (u64, Option<u64>) = (0, None);
            for step in steps {
                let before = issuer.fetches();
                match step {
                    Step::Pass(millis) => {
                        now += millis;
                        world.clock.advance(Duration::from_millis(millis));
                    }
                    Step::Publish(seeds) => {
                        issuer.publish(seeds.as_deref().map(set));
                        published = seeds;
                    }
                    Step::LookFor(seed) => {
                        let may = last.is_none_or(|last| now - last >= 15_000);
                        let fetched = !held.contains(&seed) && may;
                        if fetched {
                            last = Some(now);
                            held = published.clone().unwrap_or(held);
                        }
                        let outcome = keys.look_for(&id(seed)).await;
                        prop_assert_eq!(issuer.fetches() - before, usize::from(fetched));
                        prop_assert_eq!(outcome == Refreshed::Known, held.contains(&seed));
                        prop_assert_eq!(keys.verifier().knows_key(&id(seed)), held.contains(&seed));
                    }
                }
            }
            Ok(())
        })?;
    }
}
