//! The story: each step stands on what the ones before it gave.

use taskpass_core::secret::Secret;

use super::broker::Process;
use super::step::Teller;
use super::trail::Expected;
use super::{calls, denial, downstream, expiry, house, people, revocation, trail, work, wreck};
use crate::context::Context;
use crate::errors::CliError;

/// Tells it; ends at the first step that does not hold.
pub(super) async fn tell(
    context: &Context,
    teller: &mut Teller<'_>,
    process: &mut Process,
) -> Result<(), CliError> {
    let clock = &*context.clock;
    let begun = clock.monotonic();
    let house = teller
        .step("a broker starts", house::start(context, process))
        .await?;
    let agent_ends_at = teller
        .step(
            "an owner, a target and an agent are registered",
            people::register(&house),
        )
        .await?;
    let enrolled = teller
        .step("the agent enrols, once", people::enrol(&house))
        .await?;
    let task = teller
        .step(
            "the agent starts a task",
            work::start_task(&enrolled.agent, agent_ends_at),
        )
        .await?;
    let token = teller
        .step("a token is issued", work::token(&task, clock.now()))
        .await?;
    let certificate = teller
        .step(
            "a certificate is issued for a key made here",
            work::certificate(&task, clock.now()),
        )
        .await?;
    let api = teller
        .step(
            "the token verifies offline",
            downstream::verify(&house, &token),
        )
        .await?;
    let calls = teller
        .step(
            "an API is called over mutual TLS",
            calls::call(&house, &api, &task, &certificate, &token),
        )
        .await?;
    let bound = calls.bound.clone();
    let other = calls.other.id();
    let decision = teller
        .step(
            "a request beyond policy is denied",
            denial::deny(&house, &task, &certificate),
        )
        .await?;
    teller
        .step(
            "the operator revokes the task",
            revocation::revoke(&house, &api, &task, (&token, &certificate), calls),
        )
        .await?;
    let survivor = teller
        .step(
            "a credential expires and is reaped",
            expiry::expire(&house, &enrolled.agent, &api),
        )
        .await?;
    let house = teller
        .step(
            "the broker is killed, and nothing is forgotten",
            wreck::crash(&house, process, &api, &token, &survivor),
        )
        .await?;
    let tokens = [&token, &bound, &survivor.expired, &survivor.alive];
    let expected = Expected {
        credentials: tokens
            .iter()
            .map(|token| token.id())
            .chain([certificate.id(), other])
            .collect(),
        denial: decision,
        secrets: tokens
            .iter()
            .map(|token| Secret::new(token.expose().to_owned()))
            .chain([enrolled.token.clone(), api.enrolled_with.clone()])
            .collect(),
    };
    teller
        .step(
            "the audit trail is whole, and holds no token",
            trail::check(&house, &expected, survivor.alive.id()),
        )
        .await?;
    teller.finish(clock.monotonic().saturating_sub(begun))
}
