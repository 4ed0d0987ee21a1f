//! `taskpass audit checkpoint`.

use serde::Serialize;
use taskpass_api::v1;
use taskpass_log::{Checkpoint, NoteKey};

use super::filter;
use crate::cli::audit::CheckpointArgs;
use crate::context::Context;
use crate::errors::CliError;
use crate::session::Session;

/// A checkpoint, and what to check it by.
#[derive(Debug, Serialize)]
struct Signed {
    log: String,
    checkpoint: String,
    vkey: String,
}

/// Prints the newest checkpoint.
pub(super) async fn run(context: &Context, args: CheckpointArgs) -> Result<(), CliError> {
    let log = filter::log(args.log.as_deref())?;
    let session = context.session().await?;
    let (reply, _) = fetch(&session, log).await?;
    if context.output.is_json() {
        return context.output.json(&Signed {
            log: reply.log,
            checkpoint: reply.checkpoint,
            vkey: reply.vkey,
        });
    }
    context.output.raw(reply.checkpoint.as_bytes())
}

/// The newest checkpoint of a log, which holds by the key that came with it.
pub(super) async fn fetch(
    session: &Session,
    log: String,
) -> Result<(v1::GetCheckpointResponse, Checkpoint), CliError> {
    let request = v1::GetCheckpointRequest { log };
    let reply = session.audit().get_checkpoint(request).await?.into_inner();
    let checkpoint = open(&reply.checkpoint, &reply.vkey)?;
    Ok((reply, checkpoint))
}

/// Opens a checkpoint by the key that came with it.
pub(super) fn open(note: &str, vkey: &str) -> Result<Checkpoint, CliError> {
    let key = NoteKey::parse(vkey.trim()).map_err(|error| {
        CliError::caused("BAD_REPLY", "the broker's answer has no public key", error)
    })?;
    Checkpoint::open(note.as_bytes(), &[key]).map_err(|error| {
        let message = "the broker's checkpoint does not hold by its own key";
        CliError::caused("BAD_REPLY", message, error)
    })
}
