//! `POST /oauth2/token`: which grant, and what the answer looks like.

use std::collections::BTreeSet;

use axum::response::{IntoResponse, Response};
use serde_json::json;
use taskpass_broker::{Broker, IssuedToken};
use taskpass_core::credential::CredentialBody;
use taskpass_core::{ScopeName, TargetUri};
use taskpass_token::claims::TASK_DETAILS_TYPE;

use super::client::Client;
use super::form::Form;
use super::refusal::{Code, Refusal};
use super::{credentials, exchange};

/// RFC 8693 §2.1.
pub(super) const TOKEN_EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
/// RFC 6749 §4.4.
pub(super) const CLIENT_CREDENTIALS: &str = "client_credentials";

pub(super) async fn run(
    broker: &Broker,
    client: &Client,
    form: &Form,
) -> Result<Response, Refusal> {
    match form.require("grant_type")? {
        CLIENT_CREDENTIALS => credentials::run(broker, client, form).await,
        TOKEN_EXCHANGE => exchange::run(broker, client, form).await,
        _ => {
            let message = format!("grant_type is {CLIENT_CREDENTIALS} or {TOKEN_EXCHANGE}");
            Err(Refusal::new(Code::UnsupportedGrantType, message))
        }
    }
}

/// The scopes that are asked for, if any (RFC 6749 §3.3).
pub(super) fn scopes(form: &Form) -> Result<Option<BTreeSet<ScopeName>>, Refusal> {
    let Some(text) = form.get("scope") else {
        return Ok(None);
    };
    text.split(' ')
        .map(str::parse)
        .collect::<Result<_, _>>()
        .map(Some)
        .map_err(|_| {
            let message = "scope has names of scopes at the resource, one space between two";
            Refusal::new(Code::InvalidScope, message)
        })
}

/// A parameter that names the API that the token is for, if it is there.
pub(super) fn target(form: &Form, name: &str) -> Result<Option<TargetUri>, Refusal> {
    form.get(name).map(str::parse).transpose().map_err(|_| {
        let message = format!("{name} is the URI of a registered target");
        Refusal::new(Code::InvalidTarget, message)
    })
}

/// The answer (RFC 6749 §5.1, RFC 8693 §2.2.1, RFC 9396 §7).
pub(super) fn granted(
    broker: &Broker,
    issued: &IssuedToken,
    purpose: &str,
    issued_token_type: Option<&str>,
) -> Response {
    let credential = &issued.credential;
    let scopes = match &credential.body {
        CredentialBody::Token { scopes, .. } => scopes.as_slice(),
        CredentialBody::Certificate => &[],
    };
    let scope: Vec<_> = scopes.iter().map(ToString::to_string).collect();
    let left = credential.expires_at().since(broker.now()).as_secs();
    let mut body = json!({
        "access_token": issued.token.expose(),
        "token_type": "Bearer",
        "expires_in": left,
        "scope": scope.join(" "),
        "authorization_details": [{
            "type": TASK_DETAILS_TYPE,
            "task_id": credential.task.to_string(),
            "purpose": purpose,
        }],
    });
    if let (Some(kind), Some(body)) = (issued_token_type, body.as_object_mut()) {
        body.insert("issued_token_type".to_owned(), kind.into());
    }
    axum::Json(body).into_response()
}
