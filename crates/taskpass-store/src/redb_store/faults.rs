//! A disk that fails: the store stops, says so once and for all, and lost nothing it acknowledged.

use taskpass_core::rng::SeededRng;

use super::RedbBackend;
use super::disk::Disk;
use crate::backend::Backend as _;
use crate::batched::{Batched, Options};
use crate::error::{CommitError, StoreError};
use crate::store::Store as _;
use crate::values::*;

fn options() -> Options {
    Options {
        cache_bytes: 1024 * 1024,
        ..Options::default()
    }
}

fn open(disk: &Disk) -> RedbBackend {
    RedbBackend::with_storage(disk.clone(), birth(), &options()).unwrap()
}

#[test]
fn after_the_first_failed_write_nothing_is_tried_again() {
    let task = task(0, 0, at(3000), &[]);
    let token = |n: u16| token(n, &task, at(1), at(60 + u64::from(n)));
    let mut failed_writes = 0;
    for operations in 0..24 {
        let disk = Disk::default();
        let mut backend = open(&disk);
        assert!(backend.apply(&[start(&task)]).unwrap()[0].is_ok());
        disk.fail_after(operations);
        let failed = (0..100).find(|n| match backend.apply(&[issue(*n, &token(*n))]) {
            Ok(outcomes) => {
                assert!(outcomes[0].is_ok());
                false
            }
            Err(error) => {
                assert!(matches!(error, StoreError::Backend { .. }), "{error:?}");
                true
            }
        });
        let failed = failed.expect("the disk fails");
        failed_writes += 1;
        let events = disk.events();
        for _ in 0..2 {
            let again = backend.apply(&[issue(500, &token(500))]);
            assert!(matches!(again, Err(StoreError::Stopped)), "{again:?}");
            let reap = backend.reap(at(9000), 10);
            assert!(matches!(reap, Err(StoreError::Stopped)), "{reap:?}");
        }
        assert_eq!(disk.events(), events, "something was tried again");
        let image = disk.image(events, &SeededRng::new(operations as u64));
        let reopened = open(&Disk::holding(image));
        for n in 0..failed {
            let found = reopened.reader().credential(token(n).id).unwrap();
            assert_eq!(found, Some(token(n)));
        }
    }
    assert_eq!(failed_writes, 24);
}

#[tokio::test]
async fn everybody_learns_that_the_store_stopped() {
    let disk = Disk::default();
    let store = Batched::new(open(&disk), options());
    let task = task(0, 0, at(3000), &[]);
    store.commit(start(&task)).await.unwrap();
    let stopped = store.stopped();
    disk.fail_after(0);
    let first = store
        .commit(issue(1, &token(1, &task, at(1), at(60))))
        .await;
    match first {
        Err(CommitError::Failed(StoreError::Backend { .. })) => {}
        other => panic!("{other:?}"),
    }
    stopped.await;
    store.stopped().await;
    for lane in [
        crate::Lane::Urgent,
        crate::Lane::Normal,
        crate::Lane::Background,
    ] {
        let commit = crate::Commit::new(at(2)).in_lane(lane);
        let later = store.commit(commit).await;
        assert!(
            matches!(later, Err(CommitError::Failed(StoreError::Stopped))),
            "{later:?}"
        );
    }
    let reap = store.reap(at(1), 1).await;
    assert!(matches!(
        reap,
        Err(CommitError::Failed(StoreError::Stopped))
    ));
    assert!(matches!(
        store.task(task.id).await,
        Err(StoreError::Stopped)
    ));
    assert!(matches!(store.keys().await, Err(StoreError::Stopped)));
    store.close().await;
}
