//! Bringing a state about, and taking it back: by an operator, as far as it is not the agent's to do.

use std::time::Duration;

use taskpass_api::v1::entry::Entry as Kind;
use taskpass_api::v1::resume_request::Subject;
use taskpass_api::v1::revocation_selector::Selector;
use taskpass_api::v1::{self};
use taskpass_testkit::people::from_now;
use taskpass_testkit::{eventually, within};

use crate::column::Column;
use crate::issuer::now;
use crate::path::{By, What};
use crate::state::State;

const REASON: &str = "drill";

/// Brings the state about. New policies are the house's to write.
pub(crate) async fn bring_about(column: &Column) {
    let state = column.state;
    let owner = if state.is_of_those_above() {
        state.owner_above()
    } else {
        state.owner()
    };
    match state {
        State::Suspended | State::AboveSuspended => {
            suspend(column, v1::Kind::Agent, state.whom()).await;
        }
        State::OwnerSuspended => suspend(column, v1::Kind::Owner, owner).await,
        State::TargetSuspended => suspend(column, v1::Kind::Target, state.target()).await,
        State::Retired | State::AboveRetired => {
            retire(column, v1::Kind::Agent, state.whom()).await;
        }
        State::OwnerOffboarded | State::AboveOwnerOffboarded => {
            retire(column, v1::Kind::Owner, owner).await;
        }
        State::TargetRetired => retire(column, v1::Kind::Target, state.target()).await,
        State::PastValidity | State::AbovePastValidity => {
            // As soon as may be; `holds` waits for it.
            let end = from_now(Duration::from_secs(2));
            update(column, |agent| agent.valid_until = Some(end)).await;
        }
        State::ScopeTaken | State::ScopeTakenAbove => {
            let left = state.scopes().into_iter().skip(1);
            update(column, |agent| agent.scopes = left.collect()).await;
        }
        State::Revoked | State::AboveRevoked => {
            revoke(column, Selector::Agent(state.whom())).await;
        }
        State::TargetRevoked => revoke(column, Selector::Target(state.target())).await,
        State::TaskRevoked | State::TaskAboveRevoked => {
            let task = if state.is_of_those_above() {
                column.above.1.id()
            } else {
                column.identity.task.id()
            };
            revoke(column, Selector::TaskId(task.to_string())).await;
        }
        State::TaskCompleted => {
            let task = column.identity.task.clone();
            within(task.complete()).await.unwrap();
        }
        State::TaskAboveCompleted => {
            let (agent, task) = &column.above;
            within(agent.end(task.id())).await.unwrap();
        }
        State::PolicyChanged | State::PolicyChangedAbove => {}
    }
}

/// Takes the state back, if that can be; whether it was.
pub(crate) async fn take_back(column: &Column) -> bool {
    let state = column.state;
    match state {
        State::Suspended | State::AboveSuspended => {
            resume(column, v1::Kind::Agent, state.whom()).await;
        }
        State::OwnerSuspended => resume(column, v1::Kind::Owner, state.owner()).await,
        State::TargetSuspended | State::TargetRevoked => {
            resume(column, v1::Kind::Target, state.target()).await;
        }
        State::PastValidity | State::AbovePastValidity => {
            let end = from_now(Duration::from_hours(24));
            update(column, |agent| agent.valid_until = Some(end)).await;
        }
        State::ScopeTaken | State::ScopeTakenAbove => {
            let all = state.scopes();
            update(column, |agent| agent.scopes = all).await;
        }
        State::PolicyChanged | State::PolicyChangedAbove => {}
        State::Retired
        | State::Revoked
        | State::OwnerOffboarded
        | State::TaskCompleted
        | State::TaskRevoked
        | State::TaskAboveCompleted
        | State::TaskAboveRevoked
        | State::AboveRetired
        | State::AboveRevoked
        | State::AboveOwnerOffboarded
        | State::TargetRetired => return false,
    }
    true
}

/// Whether it comes about with time, or when a file is read.
const fn takes_time(state: State) -> bool {
    matches!(
        state,
        State::PastValidity
            | State::AbovePastValidity
            | State::PolicyChanged
            | State::PolicyChangedAbove
    )
}

/// Waits until it has come about, as far as a token says so.
pub(crate) async fn holds(column: &Column) {
    if takes_time(column.state) {
        eventually(column.state.agent(), async || {
            column.go((By::Identity, What::Token)).await.err()
        })
        .await;
    }
}

/// Waits until this second is over: a revocation is of whole seconds, and says of a connection that is made
/// within one that it was revoked too.
pub(crate) async fn next_second() {
    let from = now();
    eventually("the next second", async || (now() > from).then_some(())).await;
}

/// Waits until it was taken back.
pub(crate) async fn is_over(column: &Column) {
    if takes_time(column.state) {
        eventually(column.state.agent(), async || {
            column.go((By::Identity, What::Token)).await.ok()
        })
        .await;
    }
}

async fn suspend(column: &Column, kind: v1::Kind, name: String) {
    let request = v1::SuspendRequest {
        kind: kind.into(),
        name,
        reason: REASON.to_owned(),
    };
    let mut registry = column.house.operator.registry();
    within(registry.suspend(request)).await.unwrap();
}

async fn resume(column: &Column, kind: v1::Kind, name: String) {
    let kind = kind.into();
    let request = v1::ResumeRequest {
        subject: Some(Subject::Entry(v1::Named { kind, name })),
        reason: REASON.to_owned(),
    };
    let mut registry = column.house.operator.registry();
    within(registry.resume(request)).await.unwrap();
}

async fn retire(column: &Column, kind: v1::Kind, name: String) {
    let request = v1::RetireRequest {
        kind: kind.into(),
        name,
        reason: REASON.to_owned(),
        dry_run: false,
    };
    let mut registry = column.house.operator.registry();
    within(registry.retire(request)).await.unwrap();
}

async fn revoke(column: &Column, selector: Selector) {
    let request = v1::RevokeRequest {
        selector: Some(v1::RevocationSelector {
            selector: Some(selector),
        }),
        reason: REASON.to_owned(),
        ..v1::RevokeRequest::default()
    };
    let mut revocations = column.house.operator.revocations();
    within(revocations.revoke(request)).await.unwrap();
}

/// Changes the registration of the agent to which it happens.
async fn update(column: &Column, change: impl FnOnce(&mut v1::Agent)) {
    let mut registry = column.house.operator.registry();
    let request = v1::GetRequest {
        kind: v1::Kind::Agent.into(),
        name: column.state.whom(),
    };
    let reply = within(registry.get(request)).await.unwrap();
    let mut entry = reply.into_inner().entry.unwrap();
    let Some(Kind::Agent(agent)) = &mut entry.entry else {
        panic!("{entry:?}");
    };
    change(agent);
    let request = v1::UpdateRequest {
        expected_version: entry.version,
        entry: Some(entry),
        reason: REASON.to_owned(),
        ..v1::UpdateRequest::default()
    };
    within(registry.update(request)).await.unwrap();
}

/// Everything that any task has ever issued, and nothing more until an administrator resumes.
pub(crate) async fn halt(column: &Column) {
    revoke(column, Selector::Everything(true)).await;
}

/// Lets the broker issue again.
pub(crate) async fn go_on(column: &Column) {
    let request = v1::ResumeRequest {
        subject: Some(Subject::Everything(true)),
        reason: REASON.to_owned(),
    };
    let mut registry = column.house.operator.registry();
    within(registry.resume(request)).await.unwrap();
}
