//! A broker without edges, for the benches of its parts: nothing but its own work is measured.
//!
//! It is a whole one, on a store in memory or in a file, with the shipped policies and without limits
//! that could be reached. Nothing is archived, so there is room for any number of entries.

use std::path::Path;
use std::sync::Arc;

use taskpass_broker::{Broker, Deps, LimitDefaults, Limits, first_keys, first_rows};
use taskpass_core::registry::Row;
use taskpass_core::rng::{Rng, SystemRng};
use taskpass_core::time::SystemClock;
use taskpass_core::{Clock, Timestamp};
use taskpass_issuer::KeyEncryptionKey;
use taskpass_policy::{Engine, PolicySet};
use taskpass_store::{Batched, Birth, Options, RedbBackend, Store, redb_store};

/// The broker, and what it was made with.
pub(crate) struct Bare {
    pub(crate) store: Arc<Batched<RedbBackend>>,
    pub(crate) broker: Arc<Broker>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) rng: Arc<dyn Rng>,
}

impl Bare {
    /// Opens one on `file`, or in memory, with these registered.
    pub(crate) async fn open(
        file: Option<&Path>,
        rows: impl FnOnce(Timestamp) -> Vec<Row>,
    ) -> Self {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let rng: Arc<dyn Rng> = Arc::new(SystemRng::new());
        let now = clock.now();
        let store = Arc::new(store(file, now, &*rng));
        let kek = KeyEncryptionKey::from_bytes([7; 32]);
        let domain = store.birth().trust_domain.clone();
        let first = first_keys(&*store, &domain, &kek, &*rng, now);
        first.await.unwrap();
        first_rows(&*store, rows(now), &*rng, now).await.unwrap();
        let broker = Broker::open(Deps {
            store: Arc::clone(&store) as Arc<dyn Store>,
            policy: Engine::new(PolicySet::shipped().unwrap()),
            kek,
            clock: Arc::clone(&clock),
            rng: Arc::clone(&rng),
            limits: Limits {
                amounts: LimitDefaults::CEILINGS,
                ..Limits::default()
            },
        });
        Self {
            broker: broker.await.unwrap(),
            store,
            clock,
            rng,
        }
    }
}

fn store(file: Option<&Path>, now: Timestamp, rng: &dyn Rng) -> Batched<RedbBackend> {
    let birth = Birth {
        trust_domain: "bench.example".parse().unwrap(),
        public_url: "https://broker.example".into(),
        crl_url: "http://broker.example".into(),
        dev: true,
        born_at: now,
        epoch: 1,
    };
    let options = Options {
        outbox_limit: u64::MAX / 2,
        ..Options::default()
    };
    match file {
        Some(path) => {
            redb_store::create(path, &birth, rng).unwrap();
            redb_store::open(path, options).unwrap()
        }
        None => redb_store::in_memory(birth, options).unwrap(),
    }
}
