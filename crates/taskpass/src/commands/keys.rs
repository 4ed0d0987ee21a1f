//! `taskpass keys list`.

use taskpass_api::v1;

use crate::context::Context;
use crate::errors::CliError;
use crate::view::key::{Key, Keys};

/// Lists the signing keys.
pub(crate) async fn list(context: &Context) -> Result<(), CliError> {
    let mut keys = context.session().await?.keys();
    let reply = keys.list(v1::ListKeysRequest {}).await?.into_inner();
    context.output.show(&Keys {
        keys: reply.keys.into_iter().map(Key::from).collect(),
    })
}
