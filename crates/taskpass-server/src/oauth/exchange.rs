//! Token exchange (RFC 8693): from one token of a task to another one of the same task.
//!
//! The client is the agent of the subject token: it is who acts, and it proved itself, so there is no
//! actor token. If its task was handed on, the result carries `act`, as every token of that task does;
//! who is above stands in `authorization_details`. What the result may carry is the task's ceiling, and
//! policy's decision, as for any token. If the connection proved a certificate of the task, the result
//! is bound to it; a subject token that is bound needs exactly that.

use axum::response::Response;
use taskpass_broker::{Broker, TokenRequest};

use super::client::Client;
use super::details;
use super::form::Form;
use super::refusal::{Code, Refusal};
use super::token::{granted, scopes, target};

/// RFC 8693 §3.
const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";
/// The same: our access tokens are JWTs.
const JWT: &str = "urn:ietf:params:oauth:token-type:jwt";

pub(super) async fn run(
    broker: &Broker,
    client: &Client,
    form: &Form,
) -> Result<Response, Refusal> {
    let subject_token = form.require("subject_token")?;
    kind(form.require("subject_token_type")?, "subject_token_type")?;
    let issued_type = form.get("requested_token_type").unwrap_or(ACCESS_TOKEN);
    kind(issued_type, "requested_token_type")?;
    if form.get("actor_token").is_some() || form.get("actor_token_type").is_some() {
        let message = "the client is who acts: leave actor_token out; to hand work on, start a task \
                       beneath another with `agent`";
        return Err(Refusal::new(Code::InvalidRequest, message));
    }
    let asked = (target(form, "resource")?, target(form, "audience")?);
    let scopes = scopes(form)?;
    let certificate = client.certificate.as_deref();
    let subject = broker
        .subject(&client.standing, subject_token, certificate)
        .await?
        .ok_or_else(|| {
            let message = "subject_token is not a valid token of this client";
            Refusal::new(Code::InvalidGrant, message)
        })?;
    details::same_task(form, subject.task)?;
    let target = match asked {
        (Some(one), Some(other)) if one != other => {
            let message = "resource and audience name different APIs; a token is for one";
            return Err(Refusal::new(Code::InvalidTarget, message));
        }
        (Some(target), _) | (None, Some(target)) => target,
        (None, None) => subject.target.clone(),
    };
    let scopes = match scopes {
        Some(scopes) => scopes,
        None if target == subject.target => subject.scopes.iter().cloned().collect(),
        None => {
            let message = "name the scopes at the other API: scope=NAME NAME";
            return Err(Refusal::new(Code::InvalidScope, message));
        }
    };
    let wanted = TokenRequest {
        task: subject.task,
        target,
        scopes,
        ttl: None,
        bind: client.certificate.clone(),
    };
    let issued = broker.issue_token(&client.standing, &wanted).await?;
    Ok(granted(
        broker,
        &issued,
        &subject.purpose,
        Some(issued_type),
    ))
}

fn kind(named: &str, parameter: &str) -> Result<(), Refusal> {
    if named == ACCESS_TOKEN || named == JWT {
        return Ok(());
    }
    let message = format!("{parameter} is {ACCESS_TOKEN} or {JWT}");
    Err(Refusal::new(Code::InvalidRequest, message))
}
