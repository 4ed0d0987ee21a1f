//! A store that an old version wrote, under the broker of today.
//!
//! The fixture and what is in it: `tests/fixtures/schema-1/README.md`.

use std::io::Read as _;
use std::path::Path;
use std::sync::Arc;

use data_encoding::BASE64;
use flate2::read::GzDecoder;
use taskpass_core::Timestamp;
use taskpass_core::caller::Caller;
use taskpass_core::registry::State;
use taskpass_core::rng::{Rng, SeededRng};
use taskpass_core::task::TaskState;
use taskpass_core::time::ManualClock;
use taskpass_issuer::KeyEncryptionKey;
use taskpass_policy::{Engine, PolicySet};
use taskpass_store::{Options, RedbBackend, Store as _, redb_store};

use crate::testing::log::lines;
use crate::testing::{LEDGER, as_agent};
use crate::{
    Archiver, Broker, Deps, Limits, ListLane, LogSettings, Presented, Standing, StartRequest,
    TokenRequest,
};

const STORE: &[u8] = include_bytes!("../../../../tests/fixtures/schema-1/store.redb.gz");
const MARKER: &[u8] = include_bytes!("../../../../tests/fixtures/schema-1/store.birth");
const KEK: &str = include_str!("../../../../tests/fixtures/schema-1/kek");
const ISSUED: &str = include_str!("../../../../tests/fixtures/schema-1/issued.json");
/// A minute after the last thing that was done with it.
const THEN: Timestamp = Timestamp::from_secs(1_795_397_990);

fn unpack(folder: &Path) {
    let mut store = Vec::new();
    GzDecoder::new(STORE).read_to_end(&mut store).unwrap();
    std::fs::write(folder.join("store.redb"), store).unwrap();
    std::fs::write(folder.join("store.birth"), MARKER).unwrap();
}

fn kek() -> KeyEncryptionKey {
    let bytes = BASE64.decode(KEK.trim().as_bytes()).unwrap();
    KeyEncryptionKey::from_bytes(bytes.try_into().unwrap())
}

async fn open(path: &Path) -> (Arc<taskpass_store::Batched<RedbBackend>>, Arc<Broker>) {
    let store = Arc::new(redb_store::open(path, Options::default()).unwrap());
    let rng: Arc<dyn Rng> = Arc::new(SeededRng::new(57));
    let broker = Broker::open(Deps {
        store: Arc::clone(&store) as Arc<dyn taskpass_store::Store>,
        policy: Engine::new(PolicySet::shipped().unwrap()),
        kek: kek(),
        clock: Arc::new(ManualClock::new(THEN)),
        rng,
        limits: Limits::default(),
    });
    (store, broker.await.unwrap())
}

fn verifier() -> Standing {
    let targets = [LEDGER.parse().unwrap()].into();
    Standing {
        caller: Caller::Verifier("ledger".parse().unwrap(), targets),
        ..as_agent("invoice-bot")
    }
}

#[tokio::test]
async fn a_store_of_schema_1_is_opened_served_and_archived() {
    let folder = tempfile::tempdir().unwrap();
    unpack(folder.path());
    let issued: serde_json::Value = serde_json::from_str(ISSUED).unwrap();
    let text = |name: &str| issued[name].as_str().unwrap().to_owned();
    let (store, broker) = open(&folder.path().join("store.redb")).await;

    // What it held means what it meant.
    assert_eq!(broker.trust_domain().as_str(), "dev.taskpass.test");
    assert_eq!(broker.rules_in_force(), (2, 2));
    let active = async |token: String| {
        let presented = Presented::Token(&token);
        broker.introspect(&verifier(), &presented).await.unwrap()
    };
    assert!(active(text("live")).await.is_some());
    assert!(active(text("revoked")).await.is_none());
    let task = text("task").parse().unwrap();
    let record = store.task(task).await.unwrap().unwrap();
    assert_eq!(record.state(THEN), TaskState::Active);
    assert_eq!(record.purpose, "reconcile march");
    let rows = store.registry().await.unwrap();
    let suspended = rows.iter().filter(|row| match &row.value {
        taskpass_core::registry::Row::Agent(agent) => agent.state == State::Suspended,
        _ => false,
    });
    assert_eq!(suspended.count(), 1);

    // It is served: what followed from its rules is worked out, and its task gets a token with a
    // place on a list, which there was none of then.
    broker.settle().await.unwrap();
    let ended = store.task(text("ended_task").parse().unwrap());
    let ended = ended.await.unwrap().unwrap();
    assert_ne!(ended.state(THEN), TaskState::Active);
    for lane in ListLane::ALL {
        broker.list_revoked(lane).await.unwrap();
    }
    let request = TokenRequest {
        task,
        target: LEDGER.parse().unwrap(),
        scopes: ["invoices:read".parse().unwrap()].into(),
        ttl: None,
        bind: None,
    };
    let agent = as_agent("invoice-bot");
    let token = broker.issue_token(&agent, &request).await.unwrap();
    assert!(active(token.token.expose().to_owned()).await.is_some());
    let start = StartRequest {
        purpose: "april".into(),
        scopes: [format!("{LEDGER}#invoices:read").parse().unwrap()].into(),
        ttl: None,
        parent: None,
        agent: None,
        idempotency_key: None,
    };
    broker.start_task(&agent, start).await.unwrap();

    // What waited for a log of plain lines goes into one of today, once, before everything new.
    let log = folder.path().join("audit");
    let settings = LogSettings {
        folder: log.clone(),
        keep_months: None,
    };
    let mut archiver = Archiver::open(Arc::clone(&broker), settings).await.unwrap();
    archiver.drain().await.unwrap();
    let kinds: Vec<_> = lines(&log)
        .into_iter()
        .map(|line| line.entry["kind"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(kinds[0], "log");
    let place = |kind: &str| kinds.iter().position(|found| found == kind);
    let of_before = place("revocation").expect("the revocation that waited");
    let of_today = place("broker").expect("the start of today's broker");
    assert!(of_before < of_today, "{kinds:?}");
    assert_eq!(store.outbox(10).await.unwrap(), []);

    // And it stays what it became.
    store.close().await;
    drop((archiver, broker, store));
    let (store, _) = open(&folder.path().join("store.redb")).await;
    assert_eq!(store.rules().newest_seq(), 2);
}
