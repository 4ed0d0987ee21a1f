//! `client_credentials` (RFC 6749 §4.4): an agent starts a task and gets one token of it.
//!
//! `resource` and `scope` are both the task's ceiling and what the token carries; the purpose and the
//! task's lifetime are in `authorization_details`. For more than one token start a task over gRPC, or
//! exchange the first.

use axum::response::Response;
use taskpass_broker::{Broker, StartRequest, TokenRequest};
use taskpass_core::{ScopeRef, TaskId};

use super::client::Client;
use super::details;
use super::form::Form;
use super::refusal::{Code, Refusal};
use super::token::{granted, scopes, target};

pub(super) async fn run(
    broker: &Broker,
    client: &Client,
    form: &Form,
) -> Result<Response, Refusal> {
    if client.certificate.is_some() {
        let message =
            "a certificate of one task is of no use for starting another: connect without it";
        return Err(Refusal::new(Code::InvalidRequest, message));
    }
    let target = target(form, "resource")?.ok_or_else(|| {
        let message = "name the API that the token is for: resource=URI";
        Refusal::new(Code::InvalidTarget, message)
    })?;
    let scopes = scopes(form)?.ok_or_else(|| {
        let message = "name the scopes that the task needs: scope=NAME NAME";
        Refusal::new(Code::InvalidScope, message)
    })?;
    let task = details::new_task(form)?;
    let ceiling = scopes.iter().map(|scope| ScopeRef {
        target: target.clone(),
        scope: scope.clone(),
    });
    let start = StartRequest {
        purpose: task.purpose,
        scopes: ceiling.collect(),
        ttl: task.ttl,
        parent: None,
        agent: None,
        idempotency_key: None,
    };
    let started = broker.start_task(&client.standing, start).await?.task;
    let wanted = TokenRequest {
        task: started.id,
        target,
        scopes,
        ttl: None,
        bind: None,
    };
    match broker.issue_token(&client.standing, &wanted).await {
        Ok(issued) => Ok(granted(broker, &issued, &started.purpose, None)),
        Err(error) => {
            give_back(broker, client, started.id).await;
            Err(error.into())
        }
    }
}

/// Ends a task of which the client never hears. If that fails it ends at its deadline, empty.
async fn give_back(broker: &Broker, client: &Client, task: TaskId) {
    if let Err(error) = broker.complete_task(&client.standing, task).await {
        tracing::debug!(error = &error as &dyn std::error::Error, %task, "could not be ended");
    }
}
