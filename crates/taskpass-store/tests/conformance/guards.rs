//! Guards: each by itself, and what they see of other commits.

use taskpass_core::credential::CredentialKind;
use taskpass_core::registry::RowKey;
use taskpass_core::revocation::Selector;
use taskpass_store::{
    Change, Commit, Counter, Guard, MetaKey, Refusal, registry_version, registry_version_value,
};

use crate::subject::Subject;
use crate::values::*;
use crate::view::view;

fn meta(value: u8) -> Change {
    Change::PutMeta {
        key: MetaKey::CrlNumber,
        value: vec![value],
    }
}

fn report(batches: u8) -> Change {
    Change::PutReporting {
        reporter: reporter(0),
        reporting: reporting(batches, true),
    }
}

fn lease(hour: u64, next: u64) -> Change {
    Change::LeasePlaces {
        kind: CredentialKind::Token,
        hour,
        next,
    }
}

/// A guard that holds, one that does not, and what that one is refused with.
#[expect(clippy::too_many_lines, reason = "a table, a few lines a case")]
fn table() -> Vec<(Guard, Guard, Refusal)> {
    let live = task(1, 0, at(100), &[]);
    let over = task_id(9, at(100));
    let owner_key = RowKey::Owner(owner(0));
    let token = |n| token(n, &live, at(1), at(60)).facts();
    let unchanged = |key: &RowKey, version| Guard::Unchanged {
        key: key.clone(),
        version,
    };
    let changed = |key: &RowKey| Refusal::Changed { key: key.clone() };
    let generation_is = |n, generation, broken| Guard::Generation {
        principal: principal(n),
        generation,
        broken,
    };
    let pending = |n| Guard::EnrolmentPending { hash: digest(n) };
    let below = |limit| Guard::Below {
        counter: Counter::Agent(agent(0)),
        limit,
    };
    let full = |limit| Refusal::LimitReached {
        counter: Counter::Agent(agent(0)),
        limit,
        live: 1,
        room_in: (limit > 0).then(|| at(120).since(at(10))),
    };
    let started = |same_request| Refusal::AlreadyStarted {
        task: live.id,
        same_request,
    };
    let fewer = |most, all| Guard::FewerChildren {
        parent: live.id,
        live: most,
        all,
    };
    let new_key = || Guard::NotStarted(idempotency(0, 9, 1));
    let meta_is = |key, value: Option<&[u8]>| Guard::MetaIs {
        key,
        value: value.map(<[u8]>::to_vec),
    };
    let next = |hour, next| Guard::NextPlace {
        kind: CredentialKind::Token,
        hour,
        next,
    };
    let reported = |n, version| Guard::ReportingIs {
        reporter: reporter(n),
        version,
    };
    let by_another = |n| Refusal::ReportingChanged {
        reporter: reporter(n),
    };
    let crl = MetaKey::CrlNumber;
    let moved = Refusal::MetaChanged { key: crl };
    let absent = RowKey::Agent(agent(5));
    vec![
        (
            unchanged(&owner_key, 2),
            unchanged(&owner_key, 1),
            changed(&owner_key),
        ),
        (
            unchanged(&absent, 0),
            unchanged(&owner_key, 0),
            changed(&owner_key),
        ),
        (
            unchanged(&absent, 0),
            unchanged(&absent, 1),
            changed(&absent),
        ),
        (
            Guard::TaskLive { id: live.id },
            Guard::TaskLive { id: over },
            Refusal::TaskUnknown { id: over },
        ),
        (
            Guard::NotEnded { id: live.id },
            Guard::NotEnded { id: over },
            Refusal::TaskUnknown { id: over },
        ),
        (
            Guard::NotRevoked(token(1)),
            Guard::NotRevoked(token(7)),
            Refusal::Revoked { seq: 1 },
        ),
        (pending(0), pending(1), Refusal::EnrolmentSpent),
        (pending(0), pending(2), Refusal::EnrolmentSpent),
        (pending(0), pending(3), Refusal::EnrolmentSpent),
        (
            generation_is(0, 2, false),
            generation_is(0, 1, false),
            Refusal::GenerationChanged,
        ),
        (
            generation_is(0, 2, false),
            generation_is(0, 2, true),
            Refusal::GenerationChanged,
        ),
        (
            generation_is(5, 0, false),
            generation_is(0, 0, false),
            Refusal::GenerationChanged,
        ),
        (
            generation_is(5, 0, false),
            generation_is(5, 1, false),
            Refusal::GenerationChanged,
        ),
        (
            generation_is(1, 1, true),
            generation_is(1, 1, false),
            Refusal::GenerationChanged,
        ),
        (below(2), below(1), full(1)),
        (below(2), below(0), full(0)),
        (
            fewer(1, 1),
            fewer(0, 1),
            Refusal::TooManyChildren { parent: live.id },
        ),
        (
            fewer(1, 1),
            fewer(1, 0),
            Refusal::TooManyChildren { parent: live.id },
        ),
        (
            new_key(),
            Guard::NotStarted(idempotency(0, 1, 1)),
            started(true),
        ),
        (
            new_key(),
            Guard::NotStarted(idempotency(0, 1, 2)),
            started(false),
        ),
        // Another agent's key is another key.
        (
            Guard::NotStarted(idempotency(1, 1, 1)),
            Guard::NotStarted(idempotency(0, 1, 1)),
            started(true),
        ),
        (next(0, 7), next(0, 6), Refusal::PlacesLeased { next: 7 }),
        (next(1, 0), next(0, 0), Refusal::PlacesLeased { next: 7 }),
        (next(1, 0), next(1, 7), Refusal::PlacesLeased { next: 0 }),
        (reported(0, 2), reported(0, 1), by_another(0)),
        (reported(1, 0), reported(0, 0), by_another(0)),
        (reported(1, 0), reported(1, 1), by_another(1)),
        (
            meta_is(crl, Some(&[1])),
            meta_is(crl, Some(&[2])),
            moved.clone(),
        ),
        (meta_is(MetaKey::Shutdown, None), meta_is(crl, None), moved),
        (
            meta_is(MetaKey::Shutdown, None),
            meta_is(MetaKey::Shutdown, Some(&[])),
            Refusal::MetaChanged {
                key: MetaKey::Shutdown,
            },
        ),
    ]
}

fn prepare(subject: &mut dyn Subject) {
    let live = task(1, 0, at(100), &[]);
    let mut broken = line(1, 1, at(0));
    broken.broken_at = Some(at(1));
    let put = |n, expires| Change::PutEnrolment {
        hash: digest(n),
        enrolment: enrolment(n, expires),
    };
    let commit = Commit::new(at(1))
        .change(Change::PutRow(owner_row(0, "first")))
        .change(Change::PutRow(owner_row(0, "second")))
        .change(Change::StartTask {
            task: live.clone(),
            idempotency: Some(idempotency(0, 1, 1)),
            owner: owner(0),
        })
        .change(Change::RecordCredential(token(1, &live, at(1), at(60))))
        .change(Change::Revoke(draft(Selector::Credential(credential_id(
            7,
            at(60),
        )))))
        .change(put(0, at(100)))
        // Expires at the very instant of the guards.
        .change(put(1, at(10)))
        .change(put(2, at(100)))
        .change(Change::UseEnrolment { hash: digest(2) })
        .change(Change::PutIdentity(line(0, 2, at(0))))
        .change(Change::PutIdentity(broken))
        .change(lease(0, 7))
        .change(report(1))
        .change(report(2))
        .change(meta(1));
    subject.commit(commit).unwrap();
}

pub(crate) fn each_holds_and_fails_with_its_own_refusal(subject: &mut dyn Subject) {
    prepare(subject);
    for (holds, fails, refusal) in table() {
        let commit = Commit::new(at(10)).guard(holds.clone());
        assert!(subject.commit(commit).is_ok(), "{holds:?}");
        let commit = Commit::new(at(10)).guard(fails.clone());
        assert_eq!(subject.commit(commit).unwrap_err(), refusal, "{fails:?}");
    }
}

pub(crate) fn a_refused_commit_changes_nothing_at_all(subject: &mut dyn Subject) {
    prepare(subject);
    let before = view(&*subject.reader());
    let other = task(3, 3, at(500), &[]);
    for (holds, fails, refusal) in table() {
        let commit = Commit::new(at(10))
            .guard(holds)
            .guard(fails)
            .change(Change::PutRow(owner_row(4, "new")))
            .change(Change::StartTask {
                task: other.clone(),
                idempotency: Some(idempotency(3, 3, 3)),
                owner: owner(0),
            })
            .change(Change::EndTask {
                id: task_id(1, at(100)),
                ended: taskpass_core::task::Ended {
                    at: at(10),
                    reason: taskpass_core::task::EndReason::Completed,
                },
            })
            .change(Change::RecordCredential(token(3, &other, at(90), at(60))))
            .change(Change::Revoke(draft(Selector::Everything)))
            .change(Change::VoidEnrolments(principal(0)))
            .change(Change::PutIdentity(line(3, 1, at(90))))
            .change(Change::PutKey(key(1, taskpass_core::key::KeyState::Active)))
            .change(Change::Outbox(entry(1)))
            .change(lease(0, 9))
            .change(report(9))
            .change(meta(9));
        assert_eq!(subject.commit(commit).unwrap_err(), refusal);
        assert_eq!(view(&*subject.reader()), before);
    }
    // The next rule shows that neither a `seq` was spent nor an `iat` remembered.
    let made = subject
        .commit(revoke(Selector::Everything, at(20)))
        .unwrap();
    assert_eq!(
        (made.rules[0].seq, made.rules[0].issued_before),
        (2, at(20).secs())
    );
}

pub(crate) fn all_guards_come_before_any_change(subject: &mut dyn Subject) {
    let commit = Commit::new(at(1))
        .change(meta(1))
        .guard(Guard::MetaIs {
            key: MetaKey::CrlNumber,
            value: None,
        })
        .change(meta(2));
    subject.commit(commit).unwrap();
    assert_eq!(
        subject.reader().meta(MetaKey::CrlNumber).unwrap(),
        Some(vec![2])
    );
}

pub(crate) fn later_commits_of_a_group_see_earlier_ones(subject: &mut dyn Subject) {
    let swap = |from: Option<u8>, to| {
        let guard = Guard::MetaIs {
            key: MetaKey::CrlNumber,
            value: from.map(|value| vec![value]),
        };
        Commit::new(at(1)).guard(guard).change(meta(to))
    };
    let row = |version| {
        let guard = Guard::Unchanged {
            key: RowKey::Owner(owner(0)),
            version,
        };
        let row = Change::PutRow(owner_row(0, "contact"));
        Commit::new(at(1)).guard(guard).change(row)
    };
    let group = [
        swap(None, 1),
        swap(None, 2),
        swap(Some(1), 3),
        row(0),
        row(0),
        row(1),
    ];
    let outcomes = subject.apply(&group);
    let held: Vec<bool> = outcomes.iter().map(Result::is_ok).collect();
    assert_eq!(held, [true, false, true, true, false, true]);
    let versions = outcomes.iter().flatten().flat_map(|made| &made.rows);
    assert_eq!(
        versions.map(|(_, version)| *version).collect::<Vec<_>>(),
        [1, 2]
    );
    assert_eq!(
        subject.reader().meta(MetaKey::CrlNumber).unwrap(),
        Some(vec![3])
    );
}

/// Raised once by each commit that writes rows, however many, and by no other; a guard on it holds for
/// one of two that read the same.
pub(crate) fn the_registry_has_a_version_of_its_own(subject: &mut dyn Subject) {
    let read = |subject: &mut dyn Subject| {
        let value = subject.reader().meta(MetaKey::RegistryVersion).unwrap();
        registry_version(value.as_deref())
    };
    assert_eq!(read(subject), 0);
    let at_version = |version| Guard::MetaIs {
        key: MetaKey::RegistryVersion,
        value: registry_version_value(version),
    };
    let rows = |version, contact: &str| {
        Commit::new(at(1))
            .guard(at_version(version))
            .change(Change::PutRow(owner_row(0, contact)))
            .change(Change::PutRow(owner_row(1, contact)))
    };
    let group = [
        rows(0, "first"),
        rows(0, "too late"),
        Commit::new(at(1)).change(meta(1)),
        rows(1, "second"),
    ];
    let made: Vec<_> = subject
        .apply(&group)
        .into_iter()
        .map(|outcome| outcome.map(|made| made.registry_version))
        .collect();
    let moved = Refusal::MetaChanged {
        key: MetaKey::RegistryVersion,
    };
    assert_eq!(made, [Ok(Some(1)), Err(moved), Ok(None), Ok(Some(2))]);
    assert_eq!(read(subject), 2);
}
