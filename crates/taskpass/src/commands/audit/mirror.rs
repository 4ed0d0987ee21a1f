//! Copying logs from the broker into a folder, as a mirror does.
//!
//! Tiles never change: one that the checkpoint in the folder covers must be what the broker sends.
//! Each file is written aside and moved to its place, and a log's checkpoint only after everything
//! that it covers was verified, against the checkpoint that was there before too. So the folder is,
//! at any moment, a good copy of what its checkpoints say.

mod copy;

use std::path::Path;

use taskpass_api::v1;
use taskpass_api::v1::audit_service_client::AuditServiceClient;
use taskpass_client::Connection;
use taskpass_log::LogName;
use taskpass_log::chain::{ChainError, survey};

use self::copy::Copy;
use super::refusal;
use crate::context::Context;
use crate::errors::CliError;

/// Brings the copy in `root` up to date: of one log, or of all.
pub(super) async fn mirror(
    context: &Context,
    client: &mut AuditServiceClient<Connection>,
    root: &Path,
    only: Option<LogName>,
) -> Result<(), CliError> {
    usable(root)?;
    let logs = match only {
        Some(log) => vec![log],
        None => list(client).await?,
    };
    for log in logs {
        let request = v1::ExportRequest {
            log: log.to_string(),
            from_size: 0,
        };
        Copy::open(root, log)?.run(context, client, request).await?;
    }
    Ok(())
}

/// Checks that the folder is an export, or can become one. One that is not there is made with the
/// first file that comes: of a log that the broker does not have, nothing is left behind.
fn usable(root: &Path) -> Result<(), CliError> {
    if let Err(error) = root.symlink_metadata()
        && error.kind() == std::io::ErrorKind::NotFound
    {
        return Ok(());
    }
    std::fs::create_dir_all(root)
        .map_err(|error| CliError::file("make the folder", root, error))?;
    let months = match survey(root) {
        Ok(places) => places.iter().all(|place| place.folder != root),
        // An empty folder, or one whose copying was cut off.
        Err(ChainError::NoLogs { .. } | ChainError::NoLog { .. }) => true,
        Err(error @ ChainError::Io { .. }) => return Err(refusal::of_chain(error)),
        Err(_) => false,
    };
    if months {
        return Ok(());
    }
    let message = format!("{} holds something else than an export", root.display());
    Err(CliError::new("FILE_EXISTS", message)
        .hint("name a new or empty folder with --out, or that of an earlier export"))
}

async fn list(client: &mut AuditServiceClient<Connection>) -> Result<Vec<LogName>, CliError> {
    let reply = client.list_logs(v1::ListLogsRequest {}).await?.into_inner();
    let name =
        |log: v1::list_logs_response::Log| log.log.parse().map_err(|_| CliError::bad_reply("log"));
    reply.logs.into_iter().map(name).collect()
}

#[cfg(test)]
mod tests;
