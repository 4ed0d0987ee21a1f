//! Calls to the sample API: one that is let in, and three that are not.

use std::sync::Arc;

use hyper::StatusCode;
use taskpass_client::{Certificate, Task, Token};

use super::caller::{Answer, Caller, turned_away_without_certificate};
use super::downstream::Downstream;
use super::house::{House, SCOPE, TARGET};
use super::sample_api::{Door, SampleApi};
use super::step::{Expecting as _, Outcome, Unmet, ensure, millis};
use super::work;

/// The API with a connection to it that was let in.
#[derive(Debug)]
pub(super) struct Calls {
    pub(super) api: SampleApi,
    pub(super) caller: Caller,
    /// Bound to the certificate of the connection.
    pub(super) bound: Token,
    /// Another certificate of the same task.
    pub(super) other: Certificate,
}

/// Step: a call over mutual TLS.
pub(super) async fn call(
    house: &House<'_>,
    downstream: &Downstream,
    task: &Task,
    certificate: &Certificate,
    unbound: &Token,
) -> Outcome<Calls> {
    let clock = &house.context.clock;
    let bound = task
        .bound_token(TARGET, [SCOPE], None, certificate)
        .await
        .expecting("policy lets the task have a bound token")?;
    let door = Door {
        verifier: downstream.verifier.clone(),
        audience: downstream.audience.clone(),
        scope: SCOPE.parse().expecting("a scope")?,
    };
    let api = SampleApi::start(door, &downstream.anchors_pem, Arc::clone(clock))
        .await
        .expecting("the sample API listens")?;
    let caller = Caller::connect(&api, certificate, Arc::clone(clock))
        .await
        .expecting("the handshake with the task's certificate")?;
    let mut calls = Calls {
        api,
        caller,
        bound,
        other: work::certificate_under(task).await?,
    };
    let begun = clock.monotonic();
    let answer = calls.let_in(task).await?;
    let took = clock.monotonic().saturating_sub(begun);
    let mut told = vec![
        format!("{} in {} ms", answer.brief(), millis(took)),
        format!(
            "task {} from the certificate, scope {} from the token bound to it",
            answer.body.task.as_deref().unwrap_or_default(),
            answer.body.scope.as_deref().unwrap_or_default()
        ),
    ];
    told.extend(calls.kept_out(house, unbound).await?);
    Ok((calls, told))
}

impl Calls {
    /// One request that must be let in as `task`.
    pub(super) async fn let_in(&mut self, task: &Task) -> Result<Answer, Unmet> {
        let expected = "the API lets the task in";
        let token = self.bound.expose();
        let answer = self.caller.call(token).await.expecting(expected)?;
        ensure(answer.status == StatusCode::OK, expected, answer.brief())?;
        let id = task.id().to_string();
        ensure(
            answer.body.task.as_deref() == Some(id.as_str())
                && answer.body.scope.as_deref() == Some(SCOPE),
            format!("task {id} and scope {SCOPE}"),
            format!("{:?}", answer.body),
        )?;
        Ok(answer)
    }

    async fn kept_out(&mut self, house: &House<'_>, unbound: &Token) -> Result<Vec<String>, Unmet> {
        let clock = &house.context.clock;
        let expected = "the API demands a certificate in the handshake";
        let turned_away = turned_away_without_certificate(&self.api, Arc::clone(clock))
            .await
            .expecting(expected)?;
        ensure(turned_away, expected, "it let a peer without one go on")?;
        let plain = self
            .caller
            .call(unbound.expose())
            .await
            .expecting("an answer to an unbound token")?;
        refused(&plain, "binding", "an unbound token is refused")?;
        let mut thief = Caller::connect(&self.api, &self.other, Arc::clone(clock))
            .await
            .expecting("the handshake with another certificate of the task")?;
        let stolen = thief
            .call(self.bound.expose())
            .await
            .expecting("an answer to a token that is bound to another certificate")?;
        refused(
            &stolen,
            "binding",
            "a token of another certificate is refused",
        )?;
        Ok(vec![
            "without a certificate: turned away in the handshake".to_owned(),
            format!("with an unbound token: {}", plain.brief()),
            format!("with another certificate: {}", stolen.brief()),
        ])
    }
}

/// Nothing, if the API refused for that reason.
pub(super) fn refused(answer: &Answer, word: &str, expected: &str) -> Result<(), Unmet> {
    ensure(
        answer.status == StatusCode::UNAUTHORIZED && answer.body.refused.as_deref() == Some(word),
        format!("{expected}: 401 {word}"),
        answer.brief(),
    )
}
