//! Reading the log: pages, the tail, proofs and exports, over several months.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use taskpass_core::{CredentialId, Timestamp};
use taskpass_log::find::Filter;
use taskpass_log::{Checkpoint, Hash, LogName, NoteKey, proof, verify_folder};

use crate::testing::log::lines;
use crate::testing::{TestBroker, ops};
use crate::{
    Archiver, AuditLog, EntryPage, EntryQuery, Error, Export, LogSettings, Signed, WhichEntry,
};

struct World {
    t: TestBroker,
    folder: tempfile::TempDir,
    archiver: Archiver,
    audit: Arc<AuditLog>,
    issued: CredentialId,
}

impl World {
    /// Three months, with several bundles in the first two.
    async fn new() -> Self {
        let t = TestBroker::new().await;
        let folder = tempfile::tempdir().unwrap();
        let settings = LogSettings {
            folder: folder.path().to_owned(),
            keep_months: None,
        };
        let mut archiver = Archiver::open(Arc::clone(&t.broker), settings)
            .await
            .unwrap();
        let task = t.start("reader", &["read"]).await.unwrap();
        let issued = t.token("reader", task).await.unwrap().credential.id;
        for month in ["2023-11-20", "2023-12-20", "2024-01-20"] {
            let at = format!("{month}T00:00:00Z");
            t.clock.jump_to(Timestamp::parse_rfc3339(&at).unwrap());
            for n in 0..700_u64 {
                t.broker.list_keys(&ops()).await.unwrap();
                if n.is_multiple_of(97) {
                    let _ = t.start("reader", &["write"]).await;
                    archiver.drain().await.unwrap();
                }
            }
            archiver.drain().await.unwrap();
        }
        let audit = archiver.log();
        Self {
            t,
            folder,
            archiver,
            audit,
            issued,
        }
    }

    fn root(&self) -> &Path {
        self.folder.path()
    }

    /// The places of everything that matches, page by page.
    async fn all(&self, query: &EntryQuery) -> Vec<(LogName, u64)> {
        let mut query = query.clone();
        let mut found = Vec::new();
        loop {
            // Recorded reads would move the end; the broker's own questions are not.
            let EntryPage { entries, next } = self.audit.find(query.clone()).await.unwrap();
            assert!(entries.len() <= query.limit);
            found.extend(entries.iter().map(|entry| (entry.log, entry.index)));
            match next {
                Some(next) => query.after = Some(next.to_string().parse().unwrap()),
                None => return found,
            }
        }
    }
}

fn denied() -> Filter {
    Filter {
        agent: Some("reader".into()),
        outcome: Some("deny".into()),
        ..Filter::default()
    }
}

#[tokio::test]
async fn pages_over_all_months_are_what_a_full_scan_finds() {
    let world = World::new().await;
    let mut scan: Vec<_> = lines(world.root());
    scan.reverse();
    let at = |text: &str| Timestamp::parse_rfc3339(text);
    let december = Filter {
        from: at("2023-12-01T00:00:00Z"),
        until: at("2024-01-01T00:00:00Z"),
        ..Filter::default()
    };
    for indexed in [false, true] {
        if indexed {
            world.audit.index().await.unwrap();
        }
        for filter in [denied(), december.clone(), Filter::default()] {
            for limit in [1, 7, 1000] {
                if limit == 1 && filter != denied() {
                    continue;
                }
                let expected: Vec<_> = scan
                    .iter()
                    .filter(|line| filter.admits(line.entry.to_string().as_bytes()))
                    .map(|line| (line.log, line.index))
                    .collect();
                assert!(!expected.is_empty());
                let query = EntryQuery {
                    filter: filter.clone(),
                    limit,
                    ..EntryQuery::default()
                };
                assert_eq!(world.all(&query).await, expected, "{filter:?}, {limit}");
            }
        }
    }
    let only = EntryQuery {
        log: Some("2023-12".parse().unwrap()),
        limit: 1000,
        ..EntryQuery::default()
    };
    let logs: BTreeSet<_> = world
        .all(&only)
        .await
        .into_iter()
        .map(|(log, _)| log)
        .collect();
    assert_eq!(logs, [only.log.unwrap()].into());
}

#[tokio::test]
async fn summaries_survive_a_restart_and_their_loss() {
    let world = World::new().await;
    world.audit.index().await.unwrap();
    let query = EntryQuery {
        filter: denied(),
        limit: 5,
        ..EntryQuery::default()
    };
    let expected = world.all(&query).await;
    for file in std::fs::read_dir(world.root().join(".find")).unwrap() {
        std::fs::write(file.unwrap().path(), b"spoilt").unwrap();
    }
    let settings = LogSettings {
        folder: world.root().to_owned(),
        keep_months: None,
    };
    let broker = Arc::clone(&world.t.broker);
    let again = Archiver::open(broker, settings).await.unwrap().log();
    again.index().await.unwrap();
    let world = World {
        audit: again,
        ..world
    };
    assert_eq!(world.all(&query).await, expected);
}

#[tokio::test]
async fn a_reading_is_recorded_once_and_can_be_found() {
    let mut world = World::new().await;
    let query = EntryQuery {
        filter: denied(),
        limit: 5,
        ..EntryQuery::default()
    };
    world.audit.query(&ops(), query).await.unwrap();
    world.audit.checkpoint(None).await.unwrap();
    assert_eq!(world.archiver.drain().await.unwrap(), 1);
    let last = lines(world.root()).pop().unwrap();
    assert_eq!(last.entry["kind"], "read");
    assert_eq!(
        last.entry["subject"],
        "audit entries agent=reader outcome=deny"
    );
}

#[tokio::test]
async fn a_filter_names_only_what_there_is() {
    let world = World::new().await;
    let future = world.t.now().plus(std::time::Duration::from_secs(1));
    let cases: [(Filter, &str, &str); 8] = [
        (
            Filter {
                agent: Some("nobody".into()),
                ..Filter::default()
            },
            "AGENT_NOT_FOUND",
            "nobody",
        ),
        (
            Filter {
                owner: Some("nobody".into()),
                ..Filter::default()
            },
            "OWNER_NOT_FOUND",
            "nobody",
        ),
        (
            Filter {
                target: Some("https://no.example".into()),
                ..Filter::default()
            },
            "TARGET_NOT_FOUND",
            "no.example",
        ),
        (
            Filter {
                agent: Some("No Name".into()),
                ..Filter::default()
            },
            "INVALID_AGENT",
            "lower-case",
        ),
        (
            Filter {
                kind: Some("tokens".into()),
                ..Filter::default()
            },
            "INVALID_FIELD",
            "credential.token",
        ),
        (
            Filter {
                outcome: Some("denied".into()),
                ..Filter::default()
            },
            "INVALID_FIELD",
            "deny",
        ),
        (
            Filter {
                from: Some(future),
                ..Filter::default()
            },
            "INVALID_PERIOD",
            "it is ",
        ),
        (
            Filter {
                from: Some(Timestamp::from_secs(9)),
                until: Some(Timestamp::from_secs(9)),
                ..Filter::default()
            },
            "INVALID_PERIOD",
            "later than",
        ),
    ];
    for (filter, reason, says) in cases {
        let query = EntryQuery {
            filter: filter.clone(),
            limit: 1,
            ..EntryQuery::default()
        };
        let error = world.audit.query(&ops(), query).await.unwrap_err();
        assert_eq!(error.reason(), reason);
        assert!(error.to_string().contains(says), "{error}");
        let error = world.audit.tail(&ops(), filter, None).await.unwrap_err();
        assert_eq!(error.reason(), reason);
    }
    let query = EntryQuery {
        log: Some("2023-10".parse().unwrap()),
        limit: 1,
        ..EntryQuery::default()
    };
    let error = world.audit.query(&ops(), query).await.unwrap_err();
    assert_eq!(error.reason(), "LOG_NOT_FOUND");
    assert!(
        error.to_string().contains("2023-11, 2023-12, 2024-01"),
        "{error}"
    );
    assert!("2023-11".parse::<crate::Place>().is_err());
}

#[tokio::test]
async fn the_tail_goes_on_into_the_next_months_and_waits_for_what_comes() {
    let mut world = World::new().await;
    let from = Some((Some("2023-11".parse().unwrap()), 3));
    let mut tail = world
        .audit
        .tail(&ops(), Filter::default(), from)
        .await
        .unwrap();
    world.archiver.drain().await.unwrap();
    let expected: Vec<_> = lines(world.root())
        .into_iter()
        .map(|line| (line.log, line.index))
        .skip(3)
        .collect();
    let mut seen = Vec::new();
    while seen.len() < expected.len() {
        let entries = tail.next().await.unwrap();
        assert!(!entries.is_empty());
        seen.extend(entries.iter().map(|entry| (entry.log, entry.index)));
    }
    assert_eq!(seen, expected);
    let waiting = tokio::time::timeout(std::time::Duration::ZERO, tail.next()).await;
    assert!(waiting.is_err(), "nothing more has come");
    let _ = world.t.start("reader", &["write"]).await;
    world.archiver.drain().await.unwrap();
    let entries = tail.next().await.unwrap();
    assert_eq!(entries.len(), 1);
    let error = world
        .audit
        .tail(&ops(), Filter::default(), Some((None, 1_000_000)))
        .await;
    assert_eq!(error.unwrap_err().reason(), "INVALID_FIELD");
}

fn open(signed: &Signed) -> Checkpoint {
    let key = NoteKey::parse(&signed.vkey).unwrap();
    Checkpoint::open(signed.checkpoint.as_bytes(), &[key]).unwrap()
}

fn hashes(all: &[[u8; 32]]) -> Vec<Hash> {
    all.iter().map(|bytes| Hash::from_bytes(*bytes)).collect()
}

#[tokio::test]
async fn proofs_hold_with_the_public_key_alone() {
    let world = World::new().await;
    let which = WhichEntry::Credential(world.issued);
    let proved = world.audit.inclusion(&ops(), which).await.unwrap();
    let entry: serde_json::Value = serde_json::from_slice(&proved.entry.json).unwrap();
    assert_eq!(entry["credential"]["id"], world.issued.to_string());
    assert_eq!(
        (entry["kind"].as_str(), entry["outcome"].as_str()),
        (Some("credential.token"), Some("allow"))
    );
    let checkpoint = open(&proved.signed);
    let leaf = Hash::leaf(&proved.entry.json);
    let index = proved.entry.index;
    let path = hashes(&proved.hashes);
    proof::verify_inclusion(leaf, index, checkpoint.size, &path, &checkpoint.root).unwrap();

    let log = "2023-12".parse().unwrap();
    for old_size in [1, 255, 256, 257, 600] {
        let old_root = world.audit.root_at(log, old_size).await.unwrap();
        let grown = world
            .audit
            .consistency(&ops(), Some(log), old_size)
            .await
            .unwrap();
        let new = open(&grown.signed);
        let path = hashes(&grown.hashes);
        proof::verify_consistency((old_size, &old_root), (new.size, &new.root), &path).unwrap();
    }
    for (error, reason) in [
        (
            world
                .audit
                .inclusion(
                    &ops(),
                    WhichEntry::Index {
                        log: None,
                        index: 9_999,
                    },
                )
                .await
                .err(),
            "ENTRY_NOT_FOUND",
        ),
        (
            world
                .audit
                .inclusion(
                    &ops(),
                    WhichEntry::Credential(CredentialId::first_at(world.t.now())),
                )
                .await
                .err(),
            "ENTRY_NOT_FOUND",
        ),
        (
            world.audit.consistency(&ops(), None, 0).await.err(),
            "INVALID_FIELD",
        ),
        (
            world.audit.consistency(&ops(), None, 9_999).await.err(),
            "INVALID_FIELD",
        ),
        (world.audit.root_at(log, 9_999).await.err(), "INVALID_FIELD"),
    ] {
        let error: Error = error.unwrap();
        assert_eq!(error.reason(), reason, "{error}");
    }
}

async fn write(mut export: Export, folder: &Path) -> usize {
    let mut files = 0;
    while let Some(file) = export.next().await.unwrap() {
        let path = folder.join(&file.path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, file.data).unwrap();
        files += 1;
    }
    files
}

#[tokio::test]
async fn an_export_verifies_and_goes_on_where_it_ended() {
    let mut world = World::new().await;
    let mirror = tempfile::tempdir().unwrap();
    let export = world.audit.export(&ops(), None, 0).await.unwrap();
    let key = NoteKey::parse(export.vkey()).unwrap();
    let size = export.size();
    // The log goes on, and partial files of the export's size are removed, while it runs.
    for _ in 0..600 {
        world.t.broker.list_keys(&ops()).await.unwrap();
    }
    world.archiver.drain().await.unwrap();
    let all = write(export, mirror.path()).await;
    let report = verify_folder(mirror.path(), std::slice::from_ref(&key), None).unwrap();
    assert_eq!((report.checkpoint.size, report.unsigned_files), (size, 0));
    let export = world.audit.export(&ops(), None, size).await.unwrap();
    let larger = export.size();
    assert!(larger > size);
    let more = write(export, mirror.path()).await;
    let report = verify_folder(mirror.path(), &[key], None).unwrap();
    assert_eq!(report.checkpoint.size, larger);
    assert!(more < all + 6, "{more} files after {all}");
    let error = world
        .audit
        .export(&ops(), None, 1_000_000)
        .await
        .unwrap_err();
    assert_eq!(error.reason(), "INVALID_FIELD");
}
