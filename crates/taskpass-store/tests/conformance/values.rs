//! Values from small alphabets: tests name an agent or a task by a number.

use std::collections::BTreeSet;

use taskpass_core::coverage::{BatchId, Reporting, Span};
use taskpass_core::credential::{Credential, CredentialBody};
use taskpass_core::enrolment::Enrolment;
use taskpass_core::identity::{IdentityLine, Link, Principal};
use taskpass_core::key::{KeyId, KeyPurpose, KeyRecord, KeyState};
use taskpass_core::listing::ListPlace;
use taskpass_core::registry::{Owner, Row, State};
use taskpass_core::revocation::{RuleDraft, Selector};
use taskpass_core::rng::SeededRng;
use taskpass_core::secret::Sha256;
use taskpass_core::task::Task;
use taskpass_core::tie::Tie;
use taskpass_core::{AgentName, CredentialId, DecisionId, OwnerName, TargetUri, TaskId, Timestamp};
use taskpass_store::{Birth, Change, Commit, Guard, IdempotencyKey, Outboxed, Reporter};

/// The instant `secs` after the epoch of the tests, which is a whole hour.
pub(crate) fn at(secs: u64) -> Timestamp {
    Timestamp::from_secs(1_800_000_000 + secs)
}

pub(crate) fn birth() -> Birth {
    Birth {
        trust_domain: "example.org".parse().unwrap(),
        public_url: "https://taskpass.example.org".to_owned(),
        crl_url: "http://crl.example.org".to_owned(),
        dev: false,
        born_at: at(0),
        epoch: 1,
    }
}

pub(crate) fn agent(n: u8) -> AgentName {
    format!("agent-{n}").parse().unwrap()
}

pub(crate) fn owner(n: u8) -> OwnerName {
    format!("owner-{n}").parse().unwrap()
}

pub(crate) fn target(n: u8) -> TargetUri {
    format!("https://t{n}.example").parse().unwrap()
}

pub(crate) fn digest(n: u8) -> Sha256 {
    Sha256::of(&[n])
}

pub(crate) fn key_id(n: u8) -> KeyId {
    KeyId::from_thumbprint(digest(n))
}

pub(crate) fn principal(n: u8) -> Principal {
    Principal::Agent(agent(n))
}

pub(crate) fn task_id(n: u8, deadline: Timestamp) -> TaskId {
    TaskId::generate(deadline, &SeededRng::new(u64::from(n)))
}

pub(crate) fn credential_id(n: u16, ends_at: Timestamp) -> CredentialId {
    CredentialId::generate(ends_at, &SeededRng::new(u64::from(n)))
}

pub(crate) fn decision_id(n: u16, decided_at: Timestamp) -> DecisionId {
    DecisionId::generate(decided_at, &SeededRng::new(u64::from(n)))
}

/// Task `n` of `agent`, started at 0.
pub(crate) fn task(n: u8, by: u8, deadline: Timestamp, above: &[&Task]) -> Task {
    let ancestors = above.first().map(|parent| parent.lineage());
    Task {
        id: task_id(n, deadline),
        agent: agent(by),
        purpose: format!("purpose {n}"),
        scopes: BTreeSet::from([format!("{}#read", target(n)).parse().unwrap()]),
        ancestors: ancestors.unwrap_or_default(),
        started_at: at(0),
        decision: decision_id(u16::from(n), at(0)),
        ended: None,
    }
}

/// Token `n` under `task`, for target 0.
pub(crate) fn token(n: u16, task: &Task, issued_at: Timestamp, ends_at: Timestamp) -> Credential {
    Credential {
        id: credential_id(n, ends_at),
        task: task.id,
        ancestors: task.ancestors.clone(),
        agent: task.agent.clone(),
        owner: owner(0),
        issued_at,
        key: key_id(0),
        decision: decision_id(n, issued_at),
        digest: Sha256::of(&n.to_be_bytes()),
        listed: ListPlace::new(u32::from(n % 3), u32::from(n)).filter(|_| n % 5 != 4),
        body: CredentialBody::Token {
            target: target(0),
            scopes: vec!["read".parse().unwrap(), "write:x".parse().unwrap()],
            bound_to: n.is_multiple_of(2).then(|| digest(1)),
        },
    }
}

/// The same as a certificate.
pub(crate) fn certificate(token: Credential) -> Credential {
    Credential {
        body: CredentialBody::Certificate,
        ..token
    }
}

pub(crate) fn draft(selector: Selector) -> RuleDraft {
    RuleDraft {
        selector,
        only_target: None,
        reason: "drill".to_owned(),
        actor: Principal::from_parts("operator", "ops").unwrap(),
        owner: None,
        key: None,
        live_until: None,
    }
}

pub(crate) fn entry(n: u16) -> Outboxed {
    Outboxed {
        id: decision_id(n, at(0)),
        json: format!("{{\"n\":{n}}}").into_bytes().into(),
    }
}

pub(crate) fn owner_row(n: u8, contact: &str) -> Row {
    Row::Owner(Owner {
        name: owner(n),
        contact: contact.to_owned(),
        limits: taskpass_core::registry::Limits::NONE,
        state: State::Active,
    })
}

pub(crate) fn enrolment(n: u8, expires_at: Timestamp) -> Enrolment {
    Enrolment {
        principal: principal(n),
        created_at: at(0),
        expires_at,
        used_at: None,
    }
}

pub(crate) fn line(n: u8, generation: u64, issued_at: Timestamp) -> IdentityLine {
    let link = |byte| Link {
        key: digest(byte),
        issued_at,
        expires_at: issued_at.plus(std::time::Duration::from_hours(24)),
    };
    IdentityLine {
        principal: principal(n),
        generation,
        current: link(1),
        previous: (generation > 1).then(|| link(2)),
        earlier: (generation > 2).then(|| link(3)).into_iter().collect(),
        broken_at: None,
    }
}

pub(crate) fn key(n: u8, state: KeyState) -> KeyRecord {
    KeyRecord {
        id: key_id(n),
        purpose: KeyPurpose::TaskIssuing,
        state,
        created_at: at(0),
        activate_at: Some(at(2)),
        activated_at: Some(at(1)),
        retired_at: None,
        not_after: Some(at(1000)),
        public: vec![1, 2],
        certificate: Some(vec![3]),
        chain: vec![vec![7], vec![8, 9]],
        crl: Some(vec![10]),
        sealed: vec![4, 5, 6],
    }
}

pub(crate) fn idempotency(by: u8, key: u8, request: u8) -> IdempotencyKey {
    IdempotencyKey {
        agent: agent(by),
        key: digest(key),
        request: digest(request),
    }
}

/// A commit that starts `task`.
/// The tie of `task`.
pub(crate) fn reporter(n: u8) -> Reporter {
    Reporter {
        verifier: format!("verifier-{n}").parse().unwrap(),
        target: target(n),
    }
}

/// With a span, or after the last report.
pub(crate) fn reporting(batches: u8, goes_on: bool) -> Reporting {
    Reporting {
        batches: (0..batches)
            .map(|n| BatchId::from_slice(&[n + 1; 16]).unwrap())
            .collect(),
        span: goes_on.then_some(Span {
            since: at(1),
            from: at(2),
            until: at(u64::from(batches) + 3),
            lost: 4,
            unknown: 5,
            told_at: at(6),
        }),
    }
}

pub(crate) fn tie(task: &Task) -> Tie {
    Tie {
        task: task.id,
        at: task.started_at,
        entry: task.decision,
    }
}

pub(crate) fn start(task: &Task) -> Commit {
    Commit::new(task.started_at).change(Change::StartTask {
        task: task.clone(),
        idempotency: None,
        owner: owner(0),
    })
}

/// A commit as an issue makes it: live task, no rule, the record and its audit entry.
pub(crate) fn issue(n: u16, credential: &Credential) -> Commit {
    Commit::new(credential.issued_at)
        .guard(Guard::TaskLive {
            id: credential.task,
        })
        .guard(Guard::NotRevoked(credential.facts()))
        .change(Change::RecordCredential(credential.clone()))
        .change(Change::Outbox(entry(n)))
}

/// A commit that revokes.
pub(crate) fn revoke(selector: Selector, when: Timestamp) -> Commit {
    Commit::new(when)
        .in_lane(taskpass_store::Lane::Urgent)
        .change(Change::Revoke(draft(selector)))
}
