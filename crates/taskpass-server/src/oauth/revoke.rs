//! `POST /oauth2/revoke` (RFC 7009): an agent gives up a token of its own.
//!
//! The answer is the same for a token that is unknown, another's, or over: 200, and nothing else.

use axum::response::{IntoResponse, Response};
use http::StatusCode;
use taskpass_broker::Broker;

use super::client::Client;
use super::form::Form;
use super::refusal::Refusal;

pub(super) async fn run(
    broker: &Broker,
    client: &Client,
    form: &Form,
) -> Result<Response, Refusal> {
    let token = form.require("token")?;
    broker.give_up(&client.standing, token).await?;
    Ok(StatusCode::OK.into_response())
}
