//! From the domain to proto.

use taskpass_api::v1;
use taskpass_core::access::{Access, Risk, Stage, TokenAlg, TokenProfile};
use taskpass_core::credential::{Credential, CredentialBody, CredentialKind, CredentialState};
use taskpass_core::identity::Principal;
use taskpass_core::key::KeyState;
use taskpass_core::registry::{Role, State};
use taskpass_core::revocation::{Rule, Selector};
use taskpass_core::task::{Ancestor, TaskState};
use taskpass_core::{Timestamp, Ttl};

pub(super) fn timestamp(at: Timestamp) -> prost_types::Timestamp {
    let seconds = i64::try_from(at.secs()).unwrap_or(i64::MAX);
    let nanos = i32::try_from(at.millis() % 1000).unwrap_or(0) * 1_000_000;
    prost_types::Timestamp { seconds, nanos }
}

pub(super) fn duration(ttl: Ttl) -> prost_types::Duration {
    let seconds = i64::try_from(ttl.duration().as_secs()).unwrap_or(i64::MAX);
    let nanos = i32::try_from(ttl.duration().subsec_nanos()).unwrap_or(0);
    prost_types::Duration { seconds, nanos }
}

pub(super) fn ancestors(ancestors: &[Ancestor]) -> Vec<v1::Ancestor> {
    ancestors
        .iter()
        .map(|above| v1::Ancestor {
            task_id: above.task.to_string(),
            agent: above.agent.to_string(),
        })
        .collect()
}

pub(super) fn principal(principal: &Principal) -> v1::Principal {
    use v1::principal::Kind;
    let kind = match principal {
        Principal::Agent(name) => Kind::Agent(name.to_string()),
        Principal::Operator(name) => Kind::Operator(name.to_string()),
        Principal::Verifier(name) => Kind::Verifier(name.to_string()),
    };
    v1::Principal { kind: Some(kind) }
}

pub(super) fn state(state: State) -> v1::State {
    match state {
        State::Active => v1::State::Active,
        State::Suspended => v1::State::Suspended,
        State::Retired => v1::State::Retired,
    }
}

pub(super) fn access(access: Access) -> v1::Access {
    match access {
        Access::Read => v1::Access::Read,
        Access::Write => v1::Access::Write,
        Access::Actuate => v1::Access::Actuate,
    }
}

pub(super) fn stage(stage: Stage) -> v1::Stage {
    match stage {
        Stage::ReadOnly => v1::Stage::ReadOnly,
        Stage::Bounded => v1::Stage::Bounded,
        Stage::Autonomous => v1::Stage::Autonomous,
    }
}

pub(super) fn risk(risk: Risk) -> v1::Risk {
    match risk {
        Risk::Low => v1::Risk::Low,
        Risk::Medium => v1::Risk::Medium,
        Risk::High => v1::Risk::High,
    }
}

pub(super) fn token_alg(alg: TokenAlg) -> v1::TokenAlg {
    match alg {
        TokenAlg::Es256 => v1::TokenAlg::Es256,
        TokenAlg::EdDsa => v1::TokenAlg::Eddsa,
    }
}

pub(super) fn token_profile(profile: TokenProfile) -> v1::TokenProfile {
    match profile {
        TokenProfile::OAuth => v1::TokenProfile::Oauth,
        TokenProfile::Cloud => v1::TokenProfile::Cloud,
    }
}

pub(super) fn role(role: Role) -> v1::Role {
    match role {
        Role::Admin => v1::Role::Admin,
        Role::Responder => v1::Role::Responder,
        Role::Auditor => v1::Role::Auditor,
    }
}

pub(super) fn task_state(state: TaskState) -> v1::TaskState {
    match state {
        TaskState::Active => v1::TaskState::Active,
        TaskState::Completed => v1::TaskState::Completed,
        TaskState::Revoked => v1::TaskState::Revoked,
        TaskState::Lost => v1::TaskState::Lost,
        TaskState::Expired => v1::TaskState::Expired,
    }
}

pub(super) fn key_state(state: KeyState) -> v1::KeyState {
    match state {
        KeyState::Waiting => v1::KeyState::Waiting,
        KeyState::Prepared => v1::KeyState::Prepared,
        KeyState::Active => v1::KeyState::Active,
        KeyState::Retired => v1::KeyState::Retired,
        KeyState::Tainted => v1::KeyState::Tainted,
    }
}

pub(super) fn credential_kind(kind: CredentialKind) -> v1::CredentialKind {
    match kind {
        CredentialKind::Token => v1::CredentialKind::Token,
        CredentialKind::Certificate => v1::CredentialKind::Certificate,
    }
}

pub(super) fn credential(credential: &Credential, state: CredentialState) -> v1::Credential {
    let state = match state {
        CredentialState::Active => v1::CredentialState::Active,
        CredentialState::Expired => v1::CredentialState::Expired,
        CredentialState::Revoked => v1::CredentialState::Revoked,
    };
    let (target, scopes, bound_to) = match &credential.body {
        CredentialBody::Token {
            target,
            scopes,
            bound_to,
        } => (
            target.to_string(),
            scopes.iter().map(ToString::to_string).collect(),
            bound_to
                .map(|digest| digest.base64url())
                .unwrap_or_default(),
        ),
        CredentialBody::Certificate => Default::default(),
    };
    v1::Credential {
        credential_id: credential.id.to_string(),
        kind: credential_kind(credential.kind()).into(),
        task_id: credential.task.to_string(),
        agent: credential.agent.to_string(),
        owner: credential.owner.to_string(),
        target,
        scopes,
        issued_at: Some(timestamp(credential.issued_at)),
        expires_at: Some(timestamp(credential.expires_at())),
        state: state.into(),
        key_id: credential.key.to_string(),
        decision_id: credential.decision.to_string(),
        sha256: credential.digest.to_string(),
        bound_to,
        ancestors: ancestors(&credential.ancestors),
    }
}

/// A rule. Verifiers are told what it matches, operators also who made it, and why.
pub(super) fn rule(rule: &Rule, for_operator: bool) -> v1::Revocation {
    use v1::revocation_selector::Selector as S;
    let selector = match &rule.selector {
        Selector::Credential(id) => S::CredentialId(id.to_string()),
        Selector::Task(id) => S::TaskId(id.to_string()),
        Selector::Agent(name) => S::Agent(name.to_string()),
        Selector::Target(uri) => S::Target(uri.to_string()),
        Selector::Key(id) => S::KeyId(id.to_string()),
        Selector::Everything => S::Everything(true),
    };
    let mut out = v1::Revocation {
        seq: rule.seq,
        selector: Some(v1::RevocationSelector {
            selector: Some(selector),
        }),
        issued_before: rule.issued_before,
        at: Some(timestamp(rule.at)),
        prune_at: Some(timestamp(rule.prune_at)),
        ..v1::Revocation::default()
    };
    if for_operator {
        out.reason.clone_from(&rule.reason);
        out.actor = Some(principal(&rule.actor));
        out.owner = rule
            .owner
            .as_ref()
            .map(ToString::to_string)
            .unwrap_or_default();
    }
    out
}
