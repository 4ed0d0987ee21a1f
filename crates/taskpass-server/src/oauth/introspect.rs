//! `POST /oauth2/introspect` (RFC 7662): whether a token is valid at this instant.
//!
//! For verifiers, about tokens for their own targets. Whatever is not valid, or not theirs, is
//! `{"active":false}` and nothing more.

use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use taskpass_broker::{Broker, Introspected, Presented};
use taskpass_core::AgentName;
use taskpass_core::credential::{Credential, CredentialBody};
use taskpass_core::spiffe::{SpiffeId, Subject};
use taskpass_core::task::actors;
use taskpass_token::claims::TASK_DETAILS_TYPE;

use super::client::Client;
use super::form::Form;
use super::refusal::Refusal;

pub(super) async fn run(
    broker: &Broker,
    client: &Client,
    form: &Form,
) -> Result<Response, Refusal> {
    let presented = Presented::Token(form.require("token")?);
    let found = broker.introspect(&client.standing, &presented).await?;
    let body = found.map_or_else(
        || json!({ "active": false }),
        |found| active(broker, &found),
    );
    Ok(axum::Json(body).into_response())
}

fn active(broker: &Broker, found: &Introspected) -> Value {
    let credential = &found.credential;
    let CredentialBody::Token {
        target,
        scopes,
        bound_to,
    } = &credential.body
    else {
        return json!({ "active": false });
    };
    let agent = Subject::Agent(credential.agent.clone());
    let scope: Vec<_> = scopes.iter().map(ToString::to_string).collect();
    let ancestors: Vec<_> = credential
        .ancestors
        .iter()
        .map(|above| json!({ "task_id": above.task.to_string(), "agent": above.agent.as_str() }))
        .collect();
    let mut body = json!({
        "active": true,
        "iss": broker.birth().public_url,
        "sub": SpiffeId::new(broker.trust_domain().clone(), agent).to_string(),
        "aud": target.as_str(),
        "client_id": credential.agent.as_str(),
        "token_type": "Bearer",
        "scope": scope.join(" "),
        "iat": credential.issued_at.secs(),
        "nbf": credential.issued_at.secs(),
        "exp": credential.expires_at().secs(),
        "jti": credential.id.to_string(),
        "authorization_details": [{
            "type": TASK_DETAILS_TYPE,
            "task_id": credential.task.to_string(),
            "purpose": found.purpose,
            "ancestors": ancestors,
        }],
    });
    if let Some(body) = body.as_object_mut() {
        if let Some(digest) = bound_to {
            body.insert("cnf".to_owned(), json!({ "x5t#S256": digest.base64url() }));
        }
        body.extend(act(broker, credential).map(|act| ("act".to_owned(), act)));
    }
    body
}

/// Who acts, and who handed the work on, as the token itself says it; nothing where nobody did.
fn act(broker: &Broker, credential: &Credential) -> Option<Value> {
    let actors = actors(&credential.agent, &credential.ancestors);
    let id = |agent: &AgentName| {
        let subject = Subject::Agent(agent.clone());
        SpiffeId::new(broker.trust_domain().clone(), subject).to_string()
    };
    let (first, handed_on) = actors.split_last().filter(|(_, later)| !later.is_empty())?;
    let began = json!({ "sub": id(first) });
    let nest = |act, agent: &&AgentName| json!({ "sub": id(agent), "act": act });
    Some(handed_on.iter().rev().fold(began, nest))
}
