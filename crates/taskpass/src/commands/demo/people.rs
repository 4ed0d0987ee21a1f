//! Registering and enrolling: who takes part, and how each first proves itself.

use std::collections::HashMap;

use taskpass_api::v1::{self, entry, principal};
use taskpass_client::{Agent, EnrolError, Identity};
use taskpass_core::Timestamp;
use taskpass_core::secret::Secret;

use super::house::{AGENT, BEYOND, House, OWNER, SCOPE, TARGET, VERIFIER};
use super::step::{Answered as _, Expecting as _, Outcome, Unmet, ensure};
use crate::values;
use crate::view::wire;

/// The agent's registration ends after this; so do its tasks.
const VALID_FOR: &str = "8h";
/// The agent's longest credential.
const LONGEST_SECS: i64 = 600;

/// An agent that enrolled.
#[derive(Debug)]
pub(super) struct Enrolled {
    pub(super) agent: Agent,
    /// What it enrolled with.
    pub(super) token: Secret,
}

/// Step: the operator registers an owner, a target and an agent. Gives the agent's end.
pub(super) async fn register(house: &House<'_>) -> Outcome<Timestamp> {
    let valid_until = values::valid_until(VALID_FOR, house.context.clock.now())
        .expecting("an instant some hours ahead")?;
    let ends_at = wire::instant(Some(valid_until))
        .ok_or_else(|| Unmet::new("an instant some hours ahead", "there is none"))?;
    let owner = v1::Owner {
        name: OWNER.to_owned(),
        contact: "billing-team@example.org".to_owned(),
        ..v1::Owner::default()
    };
    let agent = v1::Agent {
        name: AGENT.to_owned(),
        owner: OWNER.to_owned(),
        purpose: "closes the books of a month".to_owned(),
        stage: v1::Stage::ReadOnly.into(),
        scopes: vec![format!("{TARGET}#{SCOPE}"), format!("{TARGET}#{BEYOND}")],
        valid_until: Some(valid_until),
        max_ttl: Some(prost_types::Duration {
            seconds: LONGEST_SECS,
            nanos: 0,
        }),
        labels: HashMap::new(),
        ..v1::Agent::default()
    };
    enter(house, entry::Entry::Owner(owner)).await?;
    enter(house, entry::Entry::Target(target())).await?;
    enter(house, entry::Entry::Agent(agent)).await?;
    let told = vec![
        format!("target {TARGET}: {SCOPE} (read), {BEYOND} (actuate)"),
        format!("agent {AGENT} of {OWNER}, stage read-only, until {ends_at}"),
    ];
    Ok((ends_at, told))
}

fn target() -> v1::Target {
    let scope = |name: &str, access: v1::Access| v1::TargetScope {
        name: name.to_owned(),
        access: access.into(),
    };
    v1::Target {
        uri: TARGET.to_owned(),
        scopes: vec![
            scope(SCOPE, v1::Access::Read),
            scope(BEYOND, v1::Access::Actuate),
        ],
        risk: v1::Risk::Medium.into(),
        token_alg: v1::TokenAlg::Es256.into(),
        ..v1::Target::default()
    }
}

async fn enter(house: &House<'_>, entry: entry::Entry) -> Result<(), Unmet> {
    let request = v1::RegisterRequest {
        entry: Some(v1::Entry {
            entry: Some(entry),
            version: 0,
        }),
    };
    let expected = "the operator may register it";
    let mut registry = house.operator.registry();
    registry.register(request).await.answered(expected)?;
    Ok(())
}

/// Step: the agent enrols with a single-use token.
pub(super) async fn enrol(house: &House<'_>) -> Outcome<Enrolled> {
    let (identity, token) = identity(house, principal::Kind::Agent(AGENT.to_owned())).await?;
    let again = taskpass_client::enrol(house.address.authority(), identity.ca_pem(), &token).await;
    let reason = match again.refused("the token works once")? {
        EnrolError::Refused(refused) => refused.reason,
        other => {
            return Err(Unmet::new(
                "the broker refuses the token",
                other.to_string(),
            ));
        }
    };
    ensure(
        reason == "ENROLMENT_REFUSED",
        "ENROLMENT_REFUSED for a used token",
        &reason,
    )?;
    let agent = Agent::connect(house.address.authority(), &identity)
        .await
        .expecting("the broker accepts the agent's identity")?;
    let told = vec![
        format!("{}, until {}", identity.name(), identity.expires_at()),
        "the key was made here; the broker saw a signing request".to_owned(),
        format!("the same enrolment token again: {reason}"),
    ];
    Ok((Enrolled { agent, token }, told))
}

/// Registers a verifier that speaks for the target, and enrols it.
pub(super) async fn verifier(house: &House<'_>) -> Result<(Identity, Secret), Unmet> {
    let verifier = v1::Verifier {
        name: VERIFIER.to_owned(),
        targets: vec![TARGET.to_owned()],
        ..v1::Verifier::default()
    };
    enter(house, entry::Entry::Verifier(verifier)).await?;
    identity(house, principal::Kind::Verifier(VERIFIER.to_owned())).await
}

/// An identity for somebody registered, kept in the folder of identities, and what it cost.
async fn identity(house: &House<'_>, kind: principal::Kind) -> Result<(Identity, Secret), Unmet> {
    let name = match &kind {
        principal::Kind::Agent(name)
        | principal::Kind::Operator(name)
        | principal::Kind::Verifier(name) => name.clone(),
    };
    let request = v1::CreateEnrolmentTokenRequest {
        principal: Some(v1::Principal { kind: Some(kind) }),
    };
    let made = house
        .operator
        .enrolment()
        .create_enrolment_token(request)
        .await
        .answered("the operator may make an enrolment token")?;
    let token = Secret::new(made.token);
    let enrolled = taskpass_client::enrol(house.address.authority(), &made.ca_pem, &token)
        .await
        .expecting("the token is traded for an identity")?;
    enrolled
        .identity
        .save(&house.layout().identities().join(name))
        .expecting("the identity is saved")?;
    Ok((enrolled.identity, token))
}
