//! Random histories over small alphabets: redb and the model answer the same and read the same,
//! also after closing and opening.

use proptest::prelude::*;
use taskpass_core::Timestamp;
use taskpass_core::credential::{Credential, CredentialKind};
use taskpass_core::key::KeyState;
use taskpass_core::listing::list_hour;
use taskpass_core::registry::RowKey;
use taskpass_core::revocation::Selector;
use taskpass_core::task::{EndReason, Ended, Task};
use taskpass_store::{
    ArchiveCursor, Change, Commit, Committed, Counter, Guard, IdempotencyKey, Lane, MetaKey,
    Refusal,
};

use crate::subject::{self, Subject};
use crate::values::*;
use crate::view::view;

#[derive(Debug, Clone)]
enum Step {
    Apply(Vec<Commit>),
    Reap(Timestamp, usize),
    Reopen,
}

/// Tasks 0 to 4: an ancestry of three, and two alone. An id always means the same task.
fn a_task(n: u8) -> Task {
    let deadline = at(400 - u64::from(n) * 60);
    let one = |n: u8, above: &[&Task]| task(n, n % 3, at(400 - u64::from(n) * 60), above);
    match n {
        1 => one(1, &[&a_task(0)]),
        2 => one(2, &[&a_task(1)]),
        _ => task(n, n % 3, deadline, &[]),
    }
}

/// Of whoever starts task `n`: of the two children, the one that runs the task above.
fn a_key(n: u8) -> Option<IdempotencyKey> {
    let starter = if n == 1 || n == 2 { n - 1 } else { n % 3 };
    (n > 0).then(|| idempotency(starter, n % 2, n % 4))
}

fn a_token(n: u16, issued: u64) -> Credential {
    let under = a_task(u8::try_from(n % 5).unwrap());
    let token = token(n, &under, at(issued), at(30 + u64::from(n) * 35));
    if n % 4 == 3 {
        certificate(token)
    } else {
        token
    }
}

fn instant() -> impl Strategy<Value = Timestamp> {
    (0_u64..420, 0_u64..2)
        .prop_map(|(secs, half)| Timestamp::from_millis(at(secs).millis() + half * 500))
}

fn selector() -> impl Strategy<Value = Selector> {
    prop_oneof![
        (0_u16..10).prop_map(|n| Selector::Credential(a_token(n, 0).id)),
        (0_u8..5).prop_map(|n| Selector::Task(a_task(n).id)),
        (0_u8..4).prop_map(|n| Selector::Agent(agent(n))),
        (0_u8..2).prop_map(|n| Selector::Target(target(n))),
        (0_u8..2).prop_map(|n| Selector::Key(key_id(n))),
        Just(Selector::Everything),
    ]
}

fn counter() -> impl Strategy<Value = Counter> {
    (0_u8..5, 0_u8..2).prop_map(|(kind, n)| match kind {
        0 => Counter::Agent(agent(n)),
        1 => Counter::Owner(owner(n)),
        2 => Counter::AgentTasks(agent(n)),
        3 => Counter::OwnerTasks(owner(n)),
        _ => Counter::Target(target(n)),
    })
}

fn meta_key() -> impl Strategy<Value = MetaKey> {
    prop_oneof![Just(MetaKey::SettledSeq), Just(MetaKey::CrlNumber)]
}

fn kind() -> impl Strategy<Value = CredentialKind> {
    prop_oneof![
        Just(CredentialKind::Token),
        Just(CredentialKind::Certificate)
    ]
}

fn hour() -> impl Strategy<Value = u64> {
    (0_u64..2).prop_map(|n| list_hour(at(0)) + n)
}

fn guard() -> impl Strategy<Value = Guard> {
    prop_oneof![
        (0_u8..2, 0_u64..3).prop_map(|(n, version)| Guard::Unchanged {
            key: RowKey::Owner(owner(n)),
            version
        }),
        (0_u8..6).prop_map(|n| Guard::TaskLive { id: a_task(n).id }),
        (0_u8..6).prop_map(|n| Guard::NotEnded { id: a_task(n).id }),
        (0_u8..6).prop_map(|n| Guard::NotTied { id: a_task(n).id }),
        (0_u16..10, 0_u64..400).prop_map(|(n, iat)| Guard::NotRevoked(a_token(n, iat).facts())),
        (0_u8..3).prop_map(|n| Guard::EnrolmentPending { hash: digest(n) }),
        (0_u8..2, 0_u64..3, any::<bool>()).prop_map(|(n, generation, broken)| {
            Guard::Generation {
                principal: principal(n),
                generation,
                broken,
            }
        }),
        (counter(), 0_u64..5).prop_map(|(counter, limit)| Guard::Below { counter, limit }),
        (0_u8..3, 0_u64..3, 0_u64..3).prop_map(|(n, live, all)| Guard::FewerChildren {
            parent: a_task(n).id,
            live,
            all,
        }),
        (1_u8..5).prop_map(|n| Guard::NotStarted(a_key(n).unwrap())),
        (kind(), hour(), 0_u64..3).prop_map(|(kind, hour, next)| Guard::NextPlace {
            kind,
            hour,
            next
        }),
        (0_u8..2, 0_u64..3).prop_map(|(n, version)| Guard::ReportingIs {
            reporter: reporter(n),
            version
        }),
        (meta_key(), proptest::option::of(0_u8..2)).prop_map(|(key, value)| Guard::MetaIs {
            key,
            value: value.map(|byte| vec![byte])
        }),
    ]
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
           1 => (0_u8..2).prop_map(|n| Change::PutRow(owner_row(n, "contact"))),
           4 => (0_u8..5).prop_map(|n| Change::StartTask {
               task: a_task(n),
               idempotency: a_key(n),
    owner: owner(n % 2),
    }),
           1 => (0_u8..6, instant()).prop_map(|(n, at)| Change::EndTask {
               id: a_task(n).id,
               ended: Ended { at, reason: EndReason::Completed },
           }),
           2 => (0_u8..5).prop_map(|n| Change::TieTask(tie(&a_task(n)))),
        4 => (0_u16..10, 0_u64..400).prop_map(|(n, iat)| Change::RecordCredential(a_token(n, iat))),
           2 => (selector(), proptest::option::of(instant())).prop_map(|(selector, live_until)| {
               let mut draft = draft(selector);
               draft.live_until = live_until;
               Change::Revoke(draft)
           }),
           1 => (0_u8..3, 0_u8..2, instant()).prop_map(|(hash, n, expires)| Change::PutEnrolment {
               hash: digest(hash),
               enrolment: enrolment(n, expires),
           }),
           1 => (0_u8..3).prop_map(|n| Change::UseEnrolment { hash: digest(n) }),
           1 => (0_u8..2).prop_map(|n| Change::VoidEnrolments(principal(n))),
           1 => (0_u8..2, 1_u64..3, instant(), any::<bool>()).prop_map(|(n, generation, at, broken)| {
               let mut line = line(n, generation, at);
               line.broken_at = broken.then_some(at);
               Change::PutIdentity(line)
           }),
           1 => (0_u8..2).prop_map(|n| Change::PutKey(key(n, KeyState::Prepared))),
           2 => (0_u16..8).prop_map(|n| Change::Outbox(entry(n))),
           1 => proptest::collection::vec(0_u16..8, 0..4).prop_map(|ids| Change::Archived {
               cursor: ArchiveCursor { log: "l".to_owned(), state: vec![9] },
               ids: ids.into_iter().map(|n| entry(n).id).collect(),
           }),
           2 => (kind(), hour(), 0_u64..3).prop_map(|(kind, hour, next)| Change::LeasePlaces {
               kind,
               hour,
               next,
           }),
           1 => (0_u8..2, 0_u8..3, any::<bool>()).prop_map(|(n, batches, goes_on)| Change::PutReporting {
               reporter: reporter(n),
               reporting: reporting(batches, goes_on),
           }),
           1 => (meta_key(), 0_u8..2).prop_map(|(key, byte)| Change::PutMeta { key, value: vec![byte] }),
       ]
}

fn commit() -> impl Strategy<Value = Commit> {
    let lane = prop_oneof![
        Just(Lane::Urgent),
        Just(Lane::Normal),
        Just(Lane::Background)
    ];
    let guards = proptest::collection::vec(guard(), 0..2);
    let changes = proptest::collection::vec(change(), 0..4);
    (instant(), lane, guards, changes).prop_map(|(at, lane, guards, changes)| Commit {
        at,
        lane,
        guards,
        changes,
    })
}

fn step() -> impl Strategy<Value = Step> {
    // Far enough for rules, whose ends lie beyond their causes by skew and staleness.
    // Some beyond the hour, whose leases are over then.
    let before = prop_oneof![4 => 0_u64..1200, 1 => 3500_u64..7300].prop_map(at);
    prop_oneof![
        8 => proptest::collection::vec(commit(), 1..6).prop_map(Step::Apply),
        2 => (before, 1_usize..5).prop_map(|(before, limit)| Step::Reap(before, limit)),
        1 => Just(Step::Reopen),
    ]
}

/// Which of several matching rules is named is not prescribed, only that it matches.
fn checked(subject: &dyn Subject, commit: &Commit, outcome: &Result<Committed, Refusal>) -> String {
    if let Err(Refusal::Revoked { seq }) = *outcome {
        let reader = subject.reader();
        let rules = reader.rules().after(seq - 1, 1);
        let named = commit.guards.iter().any(|guard| match guard {
            Guard::NotRevoked(facts) => rules[0].seq == seq && rules[0].matches(facts),
            _ => false,
        });
        assert!(named, "rule {seq} does not match");
        return "revoked".to_owned();
    }
    format!("{outcome:?}")
}

fn apply(subject: &mut dyn Subject, group: &[Commit]) -> Vec<String> {
    let outcomes = subject.apply(group);
    assert_eq!(outcomes.len(), group.len());
    let each = group.iter().zip(outcomes);
    each.map(|(commit, outcome)| checked(subject, commit, &outcome))
        .collect()
}

fn run(steps: Vec<Step>) -> Result<(), TestCaseError> {
    let mut model = subject::all().remove(0)();
    let mut redb = subject::redb_file();
    for step in steps {
        match step {
            Step::Apply(group) => {
                prop_assert_eq!(apply(&mut *model, &group), apply(&mut *redb, &group));
            }
            Step::Reap(before, limit) => {
                prop_assert_eq!(model.reap(before, limit), redb.reap(before, limit));
            }
            Step::Reopen => {
                redb.reopen();
            }
        }
        prop_assert_eq!(view(&*model.reader()), view(&*redb.reader()));
    }
    redb.reopen();
    prop_assert_eq!(view(&*model.reader()), view(&*redb.reader()));
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn redb_and_the_model_agree(steps in proptest::collection::vec(step(), 1..16)) {
        run(steps)?;
    }
}
