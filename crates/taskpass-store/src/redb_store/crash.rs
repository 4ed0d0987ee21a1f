//! Crashes at every sync and anywhere between two: what was acknowledged is there, half a group never is,
//! and a crash in the middle of coming back changes nothing of that.

use taskpass_core::revocation::Selector;
use taskpass_core::rng::{Rng, SeededRng};
use taskpass_core::task::Task;

use super::RedbBackend;
use super::disk::Disk;
use crate::backend::Backend as _;
use crate::batched::Options;
use crate::commit::{Commit, Counter};
use crate::values::*;
use crate::{Birth, MetaKey, Swept};

const GROUPS: u16 = 14;
/// Crashes at random moments, beside those at each sync.
const CRASHES: u64 = 24;
/// Crashes just before each sync, when most is uncertain.
const AT_EACH_SYNC: usize = 3;
/// How often a broker that comes back dies again.
const AGAIN: usize = 2;

fn options() -> Options {
    Options {
        cache_bytes: 1024 * 1024,
        ..Options::default()
    }
}

/// Opens what a crash left. A store that lost its birth would be made anew, with this epoch.
fn open(disk: Disk) -> RedbBackend {
    let fresh = Birth {
        epoch: 99,
        ..birth()
    };
    let backend = RedbBackend::with_storage(disk, fresh, &options()).unwrap();
    assert_eq!(backend.shared.birth, birth(), "the store was replaced");
    backend
}

fn the_task() -> Task {
    task(0, 0, at(3000), &[])
}

/// Group `n`: some credentials with their entries, a rule, and a value that counts the groups.
fn group(n: u16) -> Vec<Commit> {
    let size = 1 + n % 4;
    let token = |i: u16| token(n * 10 + i, &the_task(), at(1), at(60 + u64::from(n) * 10));
    let mut commits: Vec<_> = (0..size).map(|i| issue(n * 10 + i, &token(i))).collect();
    if n.is_multiple_of(3) {
        let elsewhere = Selector::Credential(credential_id(9999, at(5000)));
        commits.push(revoke(elsewhere, at(1)));
    }
    commits.push(Commit::new(at(1)).change(crate::Change::PutMeta {
        key: MetaKey::SettledSeq,
        value: n.to_be_bytes().to_vec(),
    }));
    commits
}

/// Asserts that exactly the first `n` groups are there; `None` if that is not so.
fn holds_exactly(backend: &RedbBackend, n: u16) -> Option<()> {
    let reader = backend.reader();
    let last = reader.meta(MetaKey::SettledSeq).unwrap();
    if last != n.checked_sub(1).map(|last| last.to_be_bytes().to_vec()) {
        return None;
    }
    let issued: Vec<u16> = (0..n).map(|n| 1 + n % 4).collect();
    let total: u16 = issued.iter().sum();
    let credentials = reader.credentials(the_task().id, None, 1000).unwrap().items;
    assert_eq!(credentials.len(), usize::from(total));
    assert_eq!(reader.outbox(1000).unwrap().len(), usize::from(total));
    assert_eq!(reader.outbox_len(), u64::from(total));
    assert_eq!(
        reader.live(&Counter::Agent(agent(0)), at(1)),
        u64::from(total)
    );
    let rules = u64::from(n.div_ceil(3));
    assert_eq!(reader.rules().newest_seq(), rules);
    assert_eq!(reader.rules().len() as u64, rules);
    Some(())
}

/// Runs all groups; returns after how many operations each was acknowledged.
fn run(disk: &Disk) -> Vec<usize> {
    let mut backend = RedbBackend::with_storage(disk.clone(), birth(), &options()).unwrap();
    let started = backend.apply(&[start(&the_task())]).unwrap();
    assert!(started[0].is_ok());
    let mut acknowledged = vec![disk.events()];
    for n in 0..GROUPS {
        let outcomes = backend.apply(&group(n)).unwrap();
        assert!(outcomes.iter().all(Result::is_ok));
        acknowledged.push(disk.events());
    }
    acknowledged
}

/// How many groups are there: those acknowledged, and perhaps the one after them.
fn survived(backend: &RedbBackend, acknowledged: u16) -> u16 {
    let next = acknowledged + 1;
    let found = [acknowledged, next]
        .into_iter()
        .find(|n| *n <= GROUPS && holds_exactly(backend, *n).is_some());
    found.expect("a group was lost, or half of one is there")
}

/// Reopens what a crash left, with further crashes while that is recovered from; how many groups there are,
/// and the disk.
fn come_back(image: Vec<u8>, acknowledged: u16, rng: &dyn Rng) -> (u16, Disk) {
    let mut disk = Disk::holding(image);
    let found = survived(&open(disk.clone()), acknowledged);
    for _ in 0..AGAIN {
        let any = usize::try_from(rng.below(disk.events() as u64 + 1)).unwrap();
        let syncs = disk.syncs();
        let again = match syncs.len() {
            0 => any,
            some if rng.below(2) == 0 => syncs[usize::try_from(rng.below(some as u64)).unwrap()],
            _ => any,
        };
        disk = Disk::holding(disk.image(again, rng));
        assert_eq!(survived(&open(disk.clone()), found), found, "at {again}");
    }
    (found, disk)
}

#[test]
fn every_acknowledged_group_survives_and_no_half_of_one() {
    for seed in 0..seeds() {
        let rng: &dyn Rng = &SeededRng::new(seed);
        let disk = Disk::default();
        let acknowledged = run(&disk);
        let (first, all) = (acknowledged[0], disk.events());
        let random = (0..CRASHES).map(|_| {
            let after = rng.below((all - first + 1) as u64);
            first + usize::try_from(after).unwrap()
        });
        let syncs = disk.syncs().into_iter().filter(|sync| *sync >= first);
        let at_syncs = syncs.flat_map(|sync| [sync; AT_EACH_SYNC]);
        for moment in at_syncs.chain(random) {
            let known = acknowledged.iter().filter(|ack| **ack <= moment).count() - 1;
            let known = u16::try_from(known).unwrap();
            let (found, disk) = come_back(disk.image(moment, rng), known, rng);

            // It goes on from there.
            if found < GROUPS {
                let mut backend = open(disk);
                let outcomes = backend.apply(&group(found)).unwrap();
                assert!(outcomes.iter().all(Result::is_ok));
                let next = found + 1;
                assert_eq!(holds_exactly(&backend, next), Some(()), "{seed} {moment}");
            }
        }
    }
}

/// More by `TASKPASS_TEST_CASES`: one for each eight of those.
#[expect(clippy::disallowed_methods, reason = "a test's own knob")]
fn seeds() -> u64 {
    let asked = std::env::var("TASKPASS_TEST_CASES").ok();
    let cases = asked.and_then(|cases| cases.parse::<u64>().ok());
    cases.map_or(3, |cases| cases.div_ceil(8))
}

/// The suite above can fail: a disk that forgets a sync loses an acknowledged group.
#[test]
fn a_disk_that_lies_is_noticed() {
    let disk = Disk::default();
    let acknowledged = run(&disk);
    let rng: &dyn Rng = &SeededRng::new(1);
    let before_last = *acknowledged.iter().rev().nth(1).unwrap();
    let old = Disk::holding(disk.image(before_last, rng));
    assert_eq!(holds_exactly(&open(old), GROUPS), None);
}

/// Every removed credential is in the sum that is kept, or in the one that an entry took: wherever
/// the crash falls, none is in neither and none is in both.
#[test]
fn what_was_removed_is_told_once_whatever_crashes() {
    const CREDENTIALS: u16 = 24;
    let rng: &dyn Rng = &SeededRng::new(9);
    let disk = Disk::default();
    let task = the_task();
    let mut backend = RedbBackend::with_storage(disk.clone(), birth(), &options()).unwrap();
    assert!(backend.apply(&[start(&task)]).unwrap()[0].is_ok());
    let each = |n: u16| token(n, &task, at(1), at(60 + u64::from(n)));
    let all: Vec<_> = (0..CREDENTIALS).map(|n| issue(n, &each(n))).collect();
    assert!(backend.apply(&all).unwrap().iter().all(Result::is_ok));
    let first = disk.events();
    for turn in 0..6 {
        assert_eq!(backend.reap(at(2000), 3).unwrap().credentials, 3);
        if turn % 2 == 1 {
            assert!(backend.apply(&[tell(&backend)]).unwrap()[0].is_ok());
        }
    }
    let (mut untold, mut told) = (0, 0);
    for moment in first..=disk.events() {
        let opened = open(Disk::holding(disk.image(moment, rng)));
        let reader = opened.reader();
        let left = reader.credentials(task.id, None, 1000).unwrap().items.len() as u64;
        let kept = Swept::from_kept(reader.meta(MetaKey::Swept).unwrap().as_deref());
        let kept = kept.unwrap().credentials;
        let entries = reader.meta(MetaKey::CrlNumber).unwrap();
        let taken = entries.map_or(0, |bytes| u64::from_be_bytes(bytes.try_into().unwrap()));
        assert_eq!(left + kept + taken, u64::from(CREDENTIALS), "at {moment}");
        untold = untold.max(kept);
        told = told.max(taken);
    }
    assert_eq!((untold, told), (6, 18), "the crashes fell everywhere");
}

/// Takes the sum, and keeps beside it what all entries together told.
fn tell(backend: &RedbBackend) -> Commit {
    let reader = backend.reader();
    let raw = reader.meta(MetaKey::Swept).unwrap();
    let before = reader.meta(MetaKey::CrlNumber).unwrap();
    let before = before.map_or(0, |bytes| u64::from_be_bytes(bytes.try_into().unwrap()));
    let sum = before + Swept::from_kept(raw.as_deref()).unwrap().credentials;
    Commit::new(at(2))
        .guard(crate::Guard::MetaIs {
            key: MetaKey::Swept,
            value: raw,
        })
        .change(crate::Change::PutMeta {
            key: MetaKey::Swept,
            value: Swept::NONE.to_kept(),
        })
        .change(crate::Change::PutMeta {
            key: MetaKey::CrlNumber,
            value: sum.to_be_bytes().to_vec(),
        })
}
