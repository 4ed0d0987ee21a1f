//! The operator revokes the task; whatever it could do a moment ago is refused.

use std::sync::Arc;
use std::time::Duration;

use hyper::StatusCode;
use taskpass_api::v1::{self, revocation_selector::Selector};
use taskpass_client::{AgentError, Certificate, Task, Token};
use taskpass_core::Clock;
use taskpass_verify::Reason;

use super::caller::Caller;
use super::calls::{Calls, refused};
use super::downstream::{Downstream, refused_for};
use super::house::{House, SCOPE, TARGET};
use super::step::{Answered as _, Expecting as _, Outcome, Unmet, ensure, millis};

/// How long the API may go on letting the task in.
const FELT_WITHIN: Duration = Duration::from_secs(5);
/// Two tokens and two certificates were issued under the task.
const CREDENTIALS: u64 = 4;

/// Step: the operator revokes the task.
pub(super) async fn revoke(
    house: &House<'_>,
    downstream: &Downstream,
    task: &Task,
    (token, certificate): (&Token, &Certificate),
    mut calls: Calls,
) -> Outcome<()> {
    calls.let_in(task).await?;
    let clock = &*house.context.clock;
    let begun = clock.monotonic();
    let revoking = async {
        let selector = Selector::TaskId(task.id().to_string());
        let reply = send(house, selector, "drill").await?;
        Ok((reply, clock.monotonic()))
    };
    let (reply, felt) = tokio::join!(revoking, first_refusal(clock, &mut calls));
    let ((reply, acknowledged), felt) = (reply?, felt?);
    ensure(
        reply.credentials == CREDENTIALS && reply.exact,
        format!("exactly {CREDENTIALS} credentials ended"),
        format!("{}, exact: {}", reply.credentials, reply.exact),
    )?;
    let asked = felt.requests;
    let felt = felt.at.saturating_sub(begun);
    still_refused(house, downstream, task, (token, certificate), &calls).await?;
    let told = vec![
        format!(
            "{} credentials ended (exact), by rule {}, acknowledged after {} ms",
            reply.credentials,
            reply.seq,
            millis(acknowledged.saturating_sub(begun))
        ),
        format!(
            "{} ms after the call was sent the API refused, on the open connection",
            millis(felt)
        ),
        format!("{asked} requests on it were let in meanwhile"),
        "on a new connection, offline, and by introspection: refused as well".to_owned(),
        "the task gets nothing more: TASK_NOT_ACTIVE".to_owned(),
    ];
    Ok(((), told))
}

/// Revokes.
pub(super) async fn send(
    house: &House<'_>,
    selector: Selector,
    reason: &str,
) -> Result<v1::RevokeResponse, Unmet> {
    let request = v1::RevokeRequest {
        selector: Some(v1::RevocationSelector {
            selector: Some(selector),
        }),
        reason: reason.to_owned(),
        ..v1::RevokeRequest::default()
    };
    house
        .operator
        .revocations()
        .revoke(request)
        .await
        .answered("the operator may revoke")
}

/// When a request was first refused, and how many had been let in before.
struct Felt {
    at: Duration,
    requests: u64,
}

/// Sends one request after the other until one is refused as revoked.
async fn first_refusal(clock: &dyn Clock, calls: &mut Calls) -> Result<Felt, Unmet> {
    let asking = async {
        let mut requests = 0;
        loop {
            let answer = calls
                .caller
                .call(calls.bound.expose())
                .await
                .expecting("the API answers")?;
            if answer.status != StatusCode::OK {
                let at = clock.monotonic();
                refused(&answer, "revoked", "the task's call is refused")?;
                return Ok(Felt { at, requests });
            }
            requests += 1;
        }
    };
    tokio::time::timeout(FELT_WITHIN, asking)
        .await
        .unwrap_or_else(|_| {
            let expected = format!("the API refuses within {}s", FELT_WITHIN.as_secs());
            Err(Unmet::new(expected, "it went on letting the task in"))
        })
}

/// Every other way is closed too.
async fn still_refused(
    house: &House<'_>,
    downstream: &Downstream,
    task: &Task,
    (token, certificate): (&Token, &Certificate),
    calls: &Calls,
) -> Result<(), Unmet> {
    let clock = Arc::clone(&house.context.clock);
    let mut anew = Caller::connect(&calls.api, certificate, clock)
        .await
        .expecting("a new connection to the API")?;
    let answer = anew
        .call(calls.bound.expose())
        .await
        .expecting("an answer on the new connection")?;
    refused(&answer, "revoked", "a new connection is refused")?;
    refused_for(downstream.check(token.expose()), Reason::Revoked)?;
    inactive(house, token).await?;
    inactive(house, &calls.bound).await?;
    let found = house.introspect_certificate(certificate.leaf_der()).await?;
    ensure(!found.active, "the certificate is inactive", "it is active")?;
    match task
        .token(TARGET, [SCOPE], None)
        .await
        .refused("a revoked task gets no token")?
    {
        AgentError::Refused(why) if why.is("TASK_NOT_ACTIVE") => Ok(()),
        other => Err(Unmet::new("TASK_NOT_ACTIVE", other.to_string())),
    }
}

/// Nothing, if introspection says that a token is not valid.
pub(super) async fn inactive(house: &House<'_>, token: &Token) -> Result<(), Unmet> {
    let found = house.introspect(token.expose()).await?;
    let expected = format!("introspection of {}: inactive", token.id());
    ensure(!found.active, expected, "it is active")
}
