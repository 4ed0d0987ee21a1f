//! What is there again after closing and opening.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use taskpass_core::access::{Access, Risk, Stage, TokenAlg, TokenProfile};
use taskpass_core::credential::CredentialKind;
use taskpass_core::key::{KeyId, KeyState};
use taskpass_core::registry::{
    Agent, ClientKey, Limits, Observe, Operator, Role, Row, State, System, Target, Verifier,
};
use taskpass_core::revocation::Selector;
use taskpass_core::secret::Sha256;
use taskpass_core::ttl::{MAX_TOKEN_TTL, Ttl};
use taskpass_store::{Change, Commit, MetaKey};

use crate::subject::Subject;
use crate::values::*;
use crate::view::view;

fn some_limits(set: bool) -> Limits {
    if set {
        Limits {
            live_credentials: Some(0),
            live_tasks: Some(7),
            issues_per_second: Some(100_000),
            depth: Some(2),
            fan_out: Some(9),
        }
    } else {
        Limits::NONE
    }
}

/// Every kind of row, every optional field both set and not.
fn rows() -> Vec<Row> {
    let agent_row = |n, max_ttl| Agent {
        name: agent(n),
        owner: owner(0),
        purpose: "books".to_owned(),
        stage: Stage::Bounded,
        scopes: BTreeSet::from(["https://t0.example#read".parse().unwrap()]),
        valid_until: at(9000),
        max_ttl,
        labels: BTreeMap::from([("env".to_owned(), "prod".to_owned())]),
        state: State::Suspended,
        created_at: at(1),
        client_keys: vec![ClientKey {
            id: KeyId::from_thumbprint(Sha256::of(b"client")),
            jwk: "{}".to_owned(),
            added_at: at(2),
            until: at(8000),
        }],
        limits: some_limits(max_ttl.is_some()),
    };
    let odd = Ttl::new(Duration::from_nanos(1_000_000_001), MAX_TOKEN_TTL).unwrap();
    vec![
        owner_row(0, "ops@example.org"),
        Row::Agent(agent_row(0, None)),
        Row::Agent(agent_row(1, Some(odd))),
        Row::Target(Target {
            uri: target(0),
            scopes: BTreeMap::from([("read".parse().unwrap(), Access::Actuate)]),
            risk: Risk::High,
            token_alg: TokenAlg::Es256,
            token_profile: TokenProfile::Cloud,
            limits: some_limits(true),
            observe: Some(Observe {
                until: taskpass_core::Timestamp::from_millis(1_700_000_000_123),
                reason: "trial".into(),
            }),
            max_ttl: Some(MAX_TOKEN_TTL),
            state: State::Active,
        }),
        Row::Operator(Operator {
            name: "ops".parse().unwrap(),
            roles: BTreeSet::from([Role::Admin, Role::Auditor]),
            state: State::Retired,
        }),
        Row::Verifier(Verifier {
            name: "ledger".parse().unwrap(),
            targets: BTreeSet::from([target(0), target(1)]),
            state: State::Active,
        }),
        Row::System(System::default()),
    ]
}

pub(crate) fn keeps_everything(subject: &mut dyn Subject) {
    let root = task(1, 0, at(300), &[]);
    let child = task(2, 1, at(200), &[&root]);
    let mut commit = Commit::new(at(3));
    for row in rows() {
        commit = commit.change(Change::PutRow(row));
    }
    subject.commit(commit).unwrap();
    for task in [&root, &child] {
        subject.commit(start(task)).unwrap();
    }
    subject
        .commit(issue(1, &token(1, &root, at(4), at(60))))
        .unwrap();
    subject
        .commit(issue(2, &token(2, &child, at(4), at(70))))
        .unwrap();
    let certificate = certificate(token(3, &child, at(4), at(80)));
    subject.commit(issue(3, &certificate)).unwrap();
    let mut rule = draft(Selector::Key(key_id(3)));
    rule.only_target = Some(target(1));
    rule.owner = Some(owner(1));
    let mut broken = line(1, 3, at(0));
    broken.broken_at = Some(at(2));
    let commit = Commit::new(at(5))
        .change(Change::Revoke(rule))
        .change(Change::Revoke(draft(Selector::Everything)))
        .change(Change::PutEnrolment {
            hash: digest(0),
            enrolment: enrolment(0, at(100)),
        })
        .change(Change::UseEnrolment { hash: digest(0) })
        .change(Change::PutIdentity(line(0, 1, at(0))))
        .change(Change::PutIdentity(broken))
        .change(Change::PutKey(key(0, KeyState::Active)))
        .change(Change::PutKey(key(1, KeyState::Tainted)))
        .change(Change::LeasePlaces {
            kind: CredentialKind::Certificate,
            hour: 472_222,
            next: 4096,
        })
        .change(Change::TieTask(tie(&root)))
        .change(Change::PutReporting {
            reporter: reporter(0),
            reporting: reporting(3, true),
        })
        .change(Change::PutReporting {
            reporter: reporter(1),
            reporting: reporting(1, false),
        })
        .change(Change::PutMeta {
            key: MetaKey::PolicySet,
            value: vec![7; 32],
        });
    subject.commit(commit).unwrap();
    let reader = subject.reader();
    let rows_back: BTreeSet<String> = reader
        .registry()
        .unwrap()
        .iter()
        .map(|row| format!("{:?}", row.value))
        .collect();
    assert_eq!(
        rows_back,
        rows().iter().map(|row| format!("{row:?}")).collect()
    );
    let before = view(&*reader);
    drop(reader);
    subject.reopen();
    assert_eq!(view(&*subject.reader()), before);
}

pub(crate) fn keeps_the_newest_seq_without_its_rule(subject: &mut dyn Subject) {
    let soon = task_id(1, at(60));
    subject.commit(revoke(Selector::Task(soon), at(0))).unwrap();
    assert_eq!(subject.reap(at(10_000), 100).rules, 1);
    subject.reopen();
    let rules = subject.reader().rules();
    assert_eq!((rules.len(), rules.newest_seq()), (0, 1));
    let made = subject.commit(revoke(Selector::Everything, at(1))).unwrap();
    assert_eq!(made.rules[0].seq, 2);
}
