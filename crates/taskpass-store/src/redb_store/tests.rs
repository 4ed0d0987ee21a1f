//! Making and opening: what is refused, what is written, what is migrated.

use std::fs;
use std::path::{Path, PathBuf};

use prost::Message as _;
use redb::{
    ReadableDatabase as _, ReadableTable as _, ReadableTableMetadata as _, WriteTransaction,
};
use taskpass_core::TaskId;
use taskpass_core::access::Stage;
use taskpass_core::registry::{Agent, Limits, Row, State};
use taskpass_core::rng::SeededRng;
use taskpass_core::task::{EndReason, Ended, Task};

use super::error::During as _;
use super::migrate::{self, MigrateError, Step, migrate};
use super::{RedbBackend, create, marker_path, open, tables};
use crate::backend::Backend as _;
use crate::batched::Options;
use crate::commit::{Change, Commit, Counter};
use crate::error::{OpenError, StoreError};
use crate::record::{self, TaskRecord};
use crate::store::Store as _;
use crate::values::*;

struct Place {
    _directory: tempfile::TempDir,
    path: PathBuf,
}

fn place() -> Place {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store.redb");
    Place {
        _directory: directory,
        path,
    }
}

fn made() -> Place {
    let place = place();
    create(&place.path, &birth(), &SeededRng::new(1)).unwrap();
    place
}

fn refusal(path: &Path) -> OpenError {
    RedbBackend::open(path, &Options::default()).unwrap_err()
}

#[test]
fn a_store_is_made_once_and_knows_its_birth() {
    let place = made();
    let again = create(&place.path, &birth(), &SeededRng::new(2));
    assert!(matches!(again, Err(OpenError::Exists { .. })), "{again:?}");
    let backend = RedbBackend::open(&place.path, &Options::default()).unwrap();
    assert_eq!(backend.reader().birth(), &birth());
    assert_eq!(backend.reader().last_committed_at(), birth().born_at);
    assert!(backend.reader().file_bytes() > 0);
    drop(backend);
    // Not either if one of the two files is gone.
    fs::remove_file(&place.path).unwrap();
    let again = create(&place.path, &birth(), &SeededRng::new(2));
    assert!(matches!(again, Err(OpenError::Exists { .. })), "{again:?}");
    assert!(!place.path.exists());
}

#[cfg(unix)]
#[test]
fn only_the_owner_may_read_it() {
    use std::os::unix::fs::PermissionsExt as _;
    let place = made();
    for file in [&place.path, &marker_path(&place.path)] {
        assert_eq!(
            fs::metadata(file).unwrap().permissions().mode() & 0o777,
            0o600
        );
    }
}

#[test]
fn what_could_not_be_made_leaves_nothing() {
    let place = place();
    let inside = place.path.join("store.redb");
    let failed = create(&inside, &birth(), &SeededRng::new(1));
    assert!(
        matches!(failed, Err(OpenError::Failed { .. })),
        "{failed:?}"
    );
    assert!(!inside.exists() && !marker_path(&inside).exists());
}

#[test]
fn missing_and_gone_are_told_apart() {
    let nothing = place();
    assert!(matches!(refusal(&nothing.path), OpenError::Missing { .. }));
    let gone = made();
    fs::remove_file(&gone.path).unwrap();
    assert!(matches!(
        refusal(&gone.path),
        OpenError::UnexpectedlyEmpty { .. }
    ));
    assert!(!gone.path.exists(), "a refused open made a file");
}

#[test]
fn an_empty_file_is_not_a_fresh_store() {
    let zero = made();
    fs::write(&zero.path, []).unwrap();
    assert!(matches!(
        refusal(&zero.path),
        OpenError::UnexpectedlyEmpty { .. }
    ));
    let bare = made();
    fs::remove_file(&bare.path).unwrap();
    drop(redb::Database::create(&bare.path).unwrap());
    assert!(matches!(
        refusal(&bare.path),
        OpenError::UnexpectedlyEmpty { .. }
    ));
}

#[test]
fn a_damaged_file_is_refused() {
    let whole = {
        let place = made();
        let mut backend = RedbBackend::open(&place.path, &Options::default()).unwrap();
        backend.apply(&[start(&task(0, 0, at(9), &[]))]).unwrap();
        drop(backend);
        fs::read(&place.path).unwrap()
    };
    let len = whole.len();
    let mut cases: Vec<Vec<u8>> = [1, 100, 511, 4096, 8192, len / 2, len - 4096]
        .iter()
        .map(|keep| whole[..*keep].to_vec())
        .collect();
    cases.push(vec![0; len]);
    cases.push(b"not a database at all".repeat(500));
    cases.push([&[0; 4096], &whole[4096..]].concat());
    cases.push([&whole[..4096], vec![0xff; len - 4096].as_slice()].concat());
    cases.push([&whole[..4096], vec![0; len - 4096].as_slice()].concat());
    for (n, bytes) in cases.iter().enumerate() {
        let place = made();
        fs::write(&place.path, bytes).unwrap();
        let error = refusal(&place.path);
        let refused = matches!(
            error,
            OpenError::Damaged { .. } | OpenError::UnexpectedlyEmpty { .. }
        );
        assert!(refused, "case {n}: {error:?}");
    }
}

#[test]
fn the_marker_must_name_this_store() {
    let (one, other) = (made(), place());
    create(&other.path, &birth(), &SeededRng::new(9)).unwrap();
    fs::copy(&other.path, &one.path).unwrap();
    assert!(matches!(refusal(&one.path), OpenError::Damaged { .. }));
    fs::remove_file(marker_path(&other.path)).unwrap();
    assert!(matches!(refusal(&other.path), OpenError::Damaged { .. }));
}

#[tokio::test]
async fn one_process_at_a_time_until_it_is_closed() {
    let place = made();
    let store = open(&place.path, Options::default()).unwrap();
    assert!(matches!(refusal(&place.path), OpenError::InUse { .. }));
    store.close().await;
    // The first one still exists, and answers that it is over.
    let task = task(0, 0, at(9), &[]);
    assert!(matches!(
        store.task(task.id).await,
        Err(StoreError::Stopped)
    ));
    assert!(store.commit(start(&task)).await.is_err());
    let second = open(&place.path, Options::default()).unwrap();
    second.commit(start(&task)).await.unwrap();
}

#[test]
fn a_newer_schema_is_refused_and_left_alone() {
    let place = made();
    let database = redb::Database::open(&place.path).unwrap();
    let transaction = database.begin_write().unwrap();
    migrate::write_version(&transaction, 7).unwrap();
    transaction.commit().unwrap();
    drop(database);
    match refusal(&place.path) {
        OpenError::Newer { found: 7, known } if known == migrate::known(migrate::STEPS) => {}
        other => panic!("{other:?}"),
    }
}

#[test]
fn migrations_run_once_each_and_in_order() {
    fn append(transaction: &WriteTransaction, byte: u8) -> Result<(), StoreError> {
        let mut meta = transaction.open_table(tables::META).during("opened")?;
        let before = super::read::meta(&meta, "trail")?;
        let trail = [before.unwrap_or_default(), vec![byte]].concat();
        meta.insert("trail", trail.as_slice()).during("wrote")?;
        Ok(())
    }
    fn fail(transaction: &WriteTransaction) -> Result<(), StoreError> {
        append(transaction, 9)?;
        Err(StoreError::Corrupt { table: "meta" })
    }
    let two: &[Step] = &[|t| append(t, 1), |t| append(t, 2)];
    let three: &[Step] = &[|t| append(t, 1), |t| append(t, 2), |t| append(t, 3)];
    let failing: &[Step] = &[|t| append(t, 1), |t| append(t, 2), fail];
    let place = made();
    let database = redb::Database::open(&place.path).unwrap();
    let transaction = database.begin_write().unwrap();
    migrate::write_version(&transaction, 1).unwrap();
    transaction.commit().unwrap();
    let trail = || {
        let meta = database
            .begin_read()
            .unwrap()
            .open_table(tables::META)
            .unwrap();
        super::read::meta(&meta, "trail").unwrap()
    };
    migrate(&database, two).unwrap();
    migrate(&database, two).unwrap();
    assert_eq!(trail(), Some(vec![1, 2]));
    assert!(matches!(
        migrate(&database, failing),
        Err(MigrateError::Failed(_))
    ));
    assert_eq!(
        (trail(), migrate::version(&database).unwrap()),
        (Some(vec![1, 2]), 3)
    );
    migrate(&database, three).unwrap();
    assert_eq!(
        (trail(), migrate::version(&database).unwrap()),
        (Some(vec![1, 2, 3]), 4)
    );
    assert!(matches!(
        migrate(&database, two),
        Err(MigrateError::Newer { found: 4, known: 3 })
    ));
}

#[test]
fn a_store_of_the_first_schema_is_opened_and_gets_its_new_table() {
    let place = made();
    let database = redb::Database::open(&place.path).unwrap();
    let transaction = database.begin_write().unwrap();
    assert!(transaction.delete_table(tables::LIST_PLACE).unwrap());
    assert!(transaction.delete_table(tables::TIED_TASK).unwrap());
    migrate::write_version(&transaction, 1).unwrap();
    transaction.commit().unwrap();
    drop(database);
    let backend = RedbBackend::open(&place.path, &Options::default()).unwrap();
    assert_eq!(backend.reader().leased_places().unwrap(), []);
    assert_eq!(backend.reader().ties(None, 9).unwrap().items, []);
    let known = migrate::known(migrate::STEPS);
    assert_eq!(migrate::version(&backend.database).unwrap(), known);
}

/// As a program of before left it: no task holds a place, and none is counted.
fn uncount(place: &Place) {
    let database = redb::Database::open(&place.path).unwrap();
    let transaction = database.begin_write().unwrap();
    {
        let mut tasks = transaction.open_table(tables::TASK).unwrap();
        let all: Vec<_> = tasks
            .iter()
            .unwrap()
            .map(|row| {
                let (id, value) = row.unwrap();
                (*id.value(), value.value().to_vec())
            })
            .collect();
        for (id, value) in all {
            let parts = |record: TaskRecord| record.into_parts(TaskId::from_bytes(id).unwrap());
            let (task, key) = record::read("task", &value, parts).unwrap();
            let old = TaskRecord::new(&task, key).encode_to_vec();
            tasks.insert(&id, old.as_slice()).unwrap();
        }
        let mut counters = transaction.open_table(tables::COUNTER).unwrap();
        counters
            .retain(|key, _| !matches!(key.get(8), Some(4 | 5)))
            .unwrap();
    }
    migrate::write_version(&transaction, 3).unwrap();
    transaction.commit().unwrap();
}

#[test]
fn tasks_of_an_older_store_get_their_places() {
    let place = made();
    let (root, child, over) = {
        let root = task(1, 0, at(9000), &[]);
        let child = task(2, 1, at(9000), &[&root]);
        (root, child, task(3, 0, at(9000), &[]))
    };
    let mut backend = RedbBackend::open(&place.path, &Options::default()).unwrap();
    let mut rows = Commit::new(at(0));
    for n in 0..2 {
        rows = rows.change(Change::PutRow(agent_row(n)));
    }
    let ended = Ended {
        at: at(1),
        reason: EndReason::Completed,
    };
    let end = |task: &Task| Commit::new(at(1)).change(Change::EndTask { id: task.id, ended });
    let group = [rows, start(&root), start(&child), start(&over), end(&over)];
    assert!(backend.apply(&group).unwrap().iter().all(Result::is_ok));
    let live = |backend: &RedbBackend| {
        let reader = backend.reader();
        let counters = [
            Counter::AgentTasks(agent(0)),
            Counter::AgentTasks(agent(1)),
            Counter::OwnerTasks(owner(0)),
        ];
        counters.map(|counter| reader.live(&counter, at(1)))
    };
    assert_eq!(live(&backend), [2, 1, 2]);
    drop(backend);
    uncount(&place);
    let mut backend = RedbBackend::open(&place.path, &Options::default()).unwrap();
    assert_eq!(live(&backend), [2, 1, 2]);
    let ends = [end(&child), end(&over), end(&root)];
    assert!(backend.apply(&ends).unwrap().iter().all(Result::is_ok));
    assert_eq!(live(&backend), [0, 0, 0]);
    drop(backend);
    let backend = RedbBackend::open(&place.path, &Options::default()).unwrap();
    assert_eq!(live(&backend), [0, 0, 0]);
}

fn agent_row(n: u8) -> Row {
    Row::Agent(Agent {
        name: agent(n),
        owner: owner(0),
        purpose: "books".to_owned(),
        stage: Stage::Bounded,
        scopes: [].into(),
        valid_until: at(9000),
        max_ttl: None,
        labels: [].into(),
        state: State::Active,
        created_at: at(1),
        client_keys: Vec::new(),
        limits: Limits::NONE,
    })
}

#[test]
fn an_issue_writes_three_rows_beside_counters_and_clock() {
    let mut backend = RedbBackend::in_memory(birth(), &Options::default()).unwrap();
    let task = task(0, 0, at(9000), &[]);
    backend.apply(&[start(&task)]).unwrap();
    let rows = |backend: &RedbBackend| {
        let transaction = backend.database.begin_read().unwrap();
        let names: Vec<_> = transaction.list_tables().unwrap().collect();
        let count = |name| transaction.open_untyped_table(name).unwrap().len().unwrap();
        names.into_iter().map(count).sum::<u64>()
    };
    let before = rows(&backend);
    // One minute, so three counters: agent, owner, target.
    let issues: Vec<_> = (0..10)
        .map(|n| issue(n, &token(n, &task, at(1), at(60))))
        .collect();
    assert!(backend.apply(&issues).unwrap().iter().all(Result::is_ok));
    assert_eq!(rows(&backend) - before, 10 * 3 + 3);
}
