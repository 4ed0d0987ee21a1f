//! Securing a store that came out of a backup: what the log tells of the time after it is done again as far as
//! it takes something away, and a log that does not go on from the backup tells nothing.

use std::io::Cursor;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use taskpass_core::audit::Attestation;
use taskpass_core::identity::Principal;
use taskpass_core::key::{KeyPurpose, KeyState};
use taskpass_core::registry::{Row, RowKey, State};
use taskpass_issuer::KeyEncryptionKey;
use taskpass_log::LogName;
use taskpass_store::redb_store::Restored;
use taskpass_store::{Batched, MetaKey, Options, RedbBackend, Store, redb_store};

use crate::testing::{KEK, LEDGER, MAIL, TestBroker, csr, open_on, ops};
use crate::{
    Archiver, LogSettings, Presented, Proved, Replayed, RestoreError, Restoring, Resume,
    RevokeWhat, Secured, secure,
};

struct World {
    t: TestBroker,
    folder: tempfile::TempDir,
    archiver: Archiver,
}

fn key(text: &str) -> RowKey {
    match text.split_once(' ').unwrap() {
        ("agent", name) => RowKey::Agent(name.parse().unwrap()),
        ("owner", name) => RowKey::Owner(name.parse().unwrap()),
        (_, uri) => RowKey::Target(uri.parse().unwrap()),
    }
}

fn reader() -> Principal {
    Principal::from_parts("agent", "reader").unwrap()
}

impl World {
    async fn new() -> Self {
        Self::seeded(1).await
    }

    async fn seeded(seed: u64) -> Self {
        let t = TestBroker::seeded(seed).await;
        let folder = tempfile::tempdir().unwrap();
        let settings = LogSettings {
            folder: folder.path().join("log"),
            keep_months: None,
        };
        let archiver = Archiver::open(Arc::clone(&t.broker), settings)
            .await
            .unwrap();
        Self {
            t,
            folder,
            archiver,
        }
    }

    fn log(&self) -> PathBuf {
        self.folder.path().join("log")
    }

    async fn drain(&mut self) {
        self.archiver.drain().await.unwrap();
    }

    async fn backup(&self) -> Vec<u8> {
        let (out, mut pieces) = tokio::sync::mpsc::channel::<bytes::Bytes>(4);
        let collect = async {
            let mut all = Vec::new();
            while let Some(piece) = pieces.recv().await {
                all.extend_from_slice(&piece);
            }
            all
        };
        let (made, all) = tokio::join!(self.t.store.backup(self.t.now(), out), collect);
        made.unwrap();
        all
    }

    async fn enrol(&self) -> Proved {
        let token = self
            .t
            .broker
            .create_enrolment_token(&ops(), &reader())
            .await;
        let token = token.unwrap();
        let enrolled = self.t.broker.enrol(token.token.expose(), &csr()).await;
        enrolled.unwrap();
        let line = self.t.store.identity(&reader()).await.unwrap().unwrap();
        Proved {
            principal: reader(),
            attestation: Attestation::Mtls {
                key: line.current.key,
            },
            issued_at: line.current.issued_at,
            expires_at: line.current.expires_at,
            issued_by: None,
        }
    }

    async fn suspend(&self, entry: &str) {
        let done = self.t.broker.suspend(&ops(), key(entry), "drill").await;
        done.unwrap();
    }

    async fn resume(&self, entry: &str) {
        let what = Resume::Entry(key(entry));
        self.t.broker.resume(&ops(), what, "drill").await.unwrap();
    }

    /// What comes out of a backup.
    fn restored(&self, name: &str, backup: &[u8]) -> Out {
        let path = self.folder.path().join(name);
        let (now, rng) = (self.t.now(), &*self.t.rng);
        let restored = redb_store::restore(&path, &mut Cursor::new(backup), 8, now, rng);
        let store = redb_store::open(&path, Options::default()).unwrap();
        Out {
            store: Arc::new(store),
            restored: restored.unwrap(),
        }
    }

    async fn secure(&self, out: &Out, mirror: Option<&Path>) -> Result<Secured, RestoreError> {
        secure(&Restoring {
            store: &*out.store,
            kek: &KeyEncryptionKey::from_bytes(KEK),
            rng: &*self.t.rng,
            now: self.t.now(),
            header: &out.restored.header,
            mirror,
            operator: None,
        })
        .await
    }
}

struct Out {
    store: Arc<Batched<RedbBackend>>,
    restored: Restored,
}

impl Out {
    async fn state(&self, entry: &str) -> State {
        let rows = self.store.registry().await.unwrap();
        let row = rows.iter().find(|row| row.value.key() == key(entry));
        crate::registry::state(&row.unwrap().value)
    }

    async fn number(&self, key: MetaKey) -> u64 {
        let bytes = self.store.meta(key).await.unwrap();
        bytes.map_or(0, |bytes| u64::from_be_bytes(bytes.try_into().unwrap()))
    }
}

#[tokio::test]
async fn what_took_something_away_is_done_again_and_nothing_else() {
    let mut world = World::new().await;
    world.suspend("agent payer").await;
    let held = world.enrol().await;
    world.drain().await;
    let backup = world.backup().await;

    world.t.advance(1);
    world.suspend("agent reader").await;
    world.resume("agent payer").await;
    let task = world.t.start("payer", &["read"]).await.unwrap();
    world.t.revoke(RevokeWhat::Task(task)).await.unwrap();
    world.suspend(&format!("target {LEDGER}")).await;
    // There and back again: it stands as it stood.
    world.suspend(&format!("target {MAIL}")).await;
    world.resume(&format!("target {MAIL}")).await;
    let rogue = key("agent stranger");
    world.t.broker.retire(&ops(), rogue, "gone").await.unwrap();
    let mut late = world
        .t
        .broker
        .registry()
        .agent(&"payer".parse().unwrap())
        .unwrap()
        .value
        .clone();
    late.name = "late".parse().unwrap();
    world
        .t
        .broker
        .register(&ops(), Row::Agent(late))
        .await
        .unwrap();
    let payer = RevokeWhat::Agent("payer".parse().unwrap());
    world.t.revoke_with(payer, true).await.unwrap();
    // What was refused did not happen.
    let nobody = key("agent nobody");
    let refused = world.t.broker.suspend(&ops(), nobody, "drill").await;
    refused.unwrap_err();
    world.drain().await;

    let out = world.restored("new", &backup);
    let log = world.log();
    let secured = world.secure(&out, Some(&log)).await.unwrap();
    let told = secured.replayed.unwrap();
    assert!(told.entries >= 9, "{told:?}");
    let expected = Replayed {
        entries: told.entries,
        revocations: 1,
        suspended: vec!["agent reader".to_owned(), format!("target {LEDGER}")],
        retired: vec!["agent stranger".to_owned()],
        revoked: vec!["payer".to_owned(), "stranger".to_owned()],
        ended_identities: vec![],
        apply_again: vec!["agent late".to_owned(), format!("target {MAIL}")],
        resume_again: vec!["agent payer".to_owned()],
    };
    assert_eq!(told, expected);
    for (entry, state) in [
        ("agent reader", State::Suspended),
        ("agent payer", State::Suspended),
        ("agent stranger", State::Retired),
        ("owner team", State::Active),
    ] {
        assert_eq!(out.state(entry).await, state, "{entry}");
    }
    assert_eq!(
        out.state(&format!("target {LEDGER}")).await,
        State::Suspended
    );
    assert_eq!(out.state(&format!("target {MAIL}")).await, State::Active);
    // An identity from before the backup that nobody took away is one still, but for what is suspended.
    let store = Arc::clone(&out.store) as Arc<dyn Store>;
    let broker = open_on(store, &world.t.clock, &world.t.rng).await;
    let refused = broker.standing(&held, None).await.unwrap_err();
    assert_eq!(refused.reason(), "AGENT_SUSPENDED");
    assert!(broker.sealed_at().is_some());
}

#[tokio::test]
async fn identities_that_moved_since_end_and_owners_are_their_agents() {
    let mut world = World::new().await;
    let held = world.enrol().await;
    world.drain().await;
    let backup = world.backup().await;

    world.t.advance(1);
    let standing = world.t.broker.standing(&held, None).await.unwrap();
    let renewed = world.t.broker.renew_identity(&standing, &csr()).await;
    renewed.unwrap();
    let others = RevokeWhat::Owner("others".parse().unwrap());
    world.t.revoke(others).await.unwrap();
    world.drain().await;

    let out = world.restored("new", &backup);
    let log = world.log();
    let told = world
        .secure(&out, Some(&log))
        .await
        .unwrap()
        .replayed
        .unwrap();
    assert_eq!(told.ended_identities, ["agent/reader"]);
    assert_eq!(told.revoked, ["stranger"]);
    assert_eq!(told.suspended, ["owner others"]);
    let line = out.store.identity(&reader()).await.unwrap().unwrap();
    assert!(line.broken_at.is_some());
    let store = Arc::clone(&out.store) as Arc<dyn Store>;
    let broker = open_on(store, &world.t.clock, &world.t.rng).await;
    let refused = broker.standing(&held, None).await.unwrap_err();
    assert_eq!(refused.reason(), "UNAUTHENTICATED");
}

#[tokio::test]
async fn nothing_that_was_out_is_believed_with_a_log_or_without() {
    let mut world = World::new().await;
    let task = world.t.start("reader", &["read"]).await.unwrap();
    let token = world.t.token("reader", task).await.unwrap();
    let certificate = world.t.certificate("reader", task).await.unwrap();
    world.drain().await;
    let backup = world.backup().await;
    // Also what was issued later than the backup, by the same keys.
    world.t.advance(1);
    let later = world.t.token("reader", task).await.unwrap();
    world.drain().await;
    let log = world.log();
    for mirror in [None, Some(log.as_path())] {
        let name = format!("new-{}", mirror.is_some());
        let out = world.restored(&name, &backup);
        let before = out
            .number(MetaKey::CrlNumber)
            .await
            .max(world.t.now().millis());
        let secured = world.secure(&out, mirror).await.unwrap();
        assert!(out.number(MetaKey::CrlNumber).await >= before + 24 * 3600 * 1000);
        assert_eq!(secured.replayed.is_some(), mirror.is_some());
        assert_eq!(secured.operator.as_str(), "ops");
        assert_eq!(secured.kept, [""; 0]);
        let keys = out.store.keys().await.unwrap();
        for signed in [&token.credential.key, &certificate.credential.key] {
            let record = keys.iter().find(|record| record.id == *signed).unwrap();
            assert_eq!(record.state, KeyState::Tainted);
            let shown = format!("{} {signed}", record.purpose);
            assert!(secured.tainted.contains(&shown), "{secured:?}");
        }
        for purpose in [KeyPurpose::TokenEs256, KeyPurpose::TaskIssuing] {
            let active = |record: &&taskpass_core::key::KeyRecord| {
                record.purpose == purpose && record.state == KeyState::Active
            };
            assert_eq!(keys.iter().filter(active).count(), 1, "{purpose}");
        }
        let store = Arc::clone(&out.store) as Arc<dyn Store>;
        let broker = open_on(store, &world.t.clock, &world.t.rng).await;
        for shown in [&token, &later] {
            let presented = Presented::Token(shown.token.expose());
            let found = broker.introspect(&ops(), &presented).await.unwrap();
            assert!(found.is_none());
        }
        assert_ne!(out.store.birth().epoch, world.t.store.birth().epoch);
    }
}

#[tokio::test]
async fn what_waited_for_the_log_at_the_moment_of_the_backup_is_no_news() {
    let mut world = World::new().await;
    world.drain().await;
    world.suspend("agent reader").await;
    let backup = world.backup().await;
    let out = world.restored("new", &backup);
    let waiting = out.store.outbox(1000).await.unwrap();
    assert!(!waiting.is_empty(), "the suspension waits for the log");
    // It gets there, and nothing else happens.
    world.drain().await;
    let log = world.log();
    let told = world
        .secure(&out, Some(&log))
        .await
        .unwrap()
        .replayed
        .unwrap();
    assert_eq!(told, Replayed::default());
    // And is not logged a second time.
    let ids: Vec<_> = waiting.iter().map(|entry| entry.id).collect();
    let left = out.store.outbox(1000).await.unwrap();
    assert!(left.iter().all(|entry| !ids.contains(&entry.id)));
    assert_eq!(out.state("agent reader").await, State::Suspended);
}

#[tokio::test]
async fn a_log_is_read_over_the_end_of_a_month() {
    let mut world = World::new().await;
    world.drain().await;
    let backup = world.backup().await;
    world.suspend("agent payer").await;
    world.drain().await;
    world.t.advance(25 * 24 * 3600);
    world.suspend("agent reader").await;
    world.drain().await;
    let log = world.log();
    assert_eq!(LogName::list(&log).unwrap().len(), 2);
    let out = world.restored("new", &backup);
    let secured = world.secure(&out, Some(&log)).await.unwrap();
    let told = secured.replayed.unwrap();
    assert_eq!(told.suspended, ["agent payer", "agent reader"]);
    let previous = secured.previous.unwrap();
    assert!(previous.contains("/log/2023-12"), "{previous}");
}

/// Nothing is done then: the store is as it came out of the backup.
#[tokio::test]
async fn a_log_that_does_not_go_on_from_the_backup_tells_nothing() {
    let mut world = World::new().await;
    world.drain().await;
    let older = world.folder.path().join("older");
    copy(&world.log(), &older);
    world.suspend("agent reader").await;
    world.drain().await;
    let backup = world.backup().await;
    world.suspend("agent payer").await;
    world.drain().await;
    let altered = world.folder.path().join("altered");
    copy(&world.log(), &altered);
    alter(&altered);
    let mut another = World::seeded(2).await;
    another.drain().await;
    let nothing = world.folder.path().join("nothing");
    std::fs::create_dir(&nothing).unwrap();
    for (what, mirror) in [
        ("shorter than the backup", older),
        ("altered", altered),
        ("of another broker", another.log()),
        ("empty", nothing),
    ] {
        let out = world.restored(&format!("{what}.redb"), &backup);
        let before = out.store.rules().newest_seq();
        let refused = world.secure(&out, Some(&mirror)).await.unwrap_err();
        assert!(
            matches!(refused, RestoreError::Mirror(_) | RestoreError::Read(_)),
            "{what}: {refused:?}"
        );
        assert_eq!(out.store.rules().newest_seq(), before, "{what}");
        assert_eq!(out.state("agent payer").await, State::Active, "{what}");
    }
}

/// Changes a byte of an entry.
fn alter(root: &Path) {
    let log = LogName::list(root).unwrap().pop().unwrap();
    let mut waiting = vec![log.folder(root).join("tile/entries")];
    while let Some(path) = waiting.pop() {
        if path.is_dir() {
            let inside = std::fs::read_dir(&path).unwrap();
            waiting.extend(inside.map(|entry| entry.unwrap().path()));
            continue;
        }
        let mut bytes = std::fs::read(&path).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        std::fs::write(&path, bytes).unwrap();
    }
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}
