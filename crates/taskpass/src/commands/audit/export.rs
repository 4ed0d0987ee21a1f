//! `taskpass audit export`: a copy of the log, which is verified before it is called one.

use std::path::Path;

use taskpass_log::LogName;
use taskpass_log::chain::{ChainReport, verify_logs};

use super::lines::{self, Form};
use super::{mirror, refusal};
use crate::cli::audit::{ExportArgs, ExportFormat};
use crate::context::Context;
use crate::errors::CliError;
use crate::session::Session;
use crate::values;
use crate::view::audit::chain::Verified;

/// Exports.
pub(super) async fn run(context: &Context, args: ExportArgs) -> Result<(), CliError> {
    let log = args.log.as_deref().map(values::log).transpose()?;
    let report = match args.format {
        ExportFormat::Tiles => tiles(context, &args.out, log).await?,
        ExportFormat::Jsonl => one_file(context, &args.out, log, Form::Plain).await?,
        ExportFormat::Ocsf => one_file(context, &args.out, log, Form::Ocsf).await?,
        ExportFormat::Cloudevents => one_file(context, &args.out, log, Form::CloudEvents).await?,
    };
    context.output.show(&Verified::exported(&report, &args.out))
}

/// Copies the logs into `root`, and verifies all that is there.
async fn tiles(
    context: &Context,
    root: &Path,
    log: Option<LogName>,
) -> Result<ChainReport, CliError> {
    fetch(context, root, log).await?;
    verify_logs(root, None, None).map_err(refusal::of_chain)
}

/// Copies all logs into an empty folder. Whoever reads the copy verifies it as a whole first.
pub(in crate::commands) async fn copy(context: &Context, root: &Path) -> Result<(), CliError> {
    fetch(context, root, None).await
}

async fn fetch(context: &Context, root: &Path, log: Option<LogName>) -> Result<(), CliError> {
    // No timeout may cut a long copy; connecting once first says at once if nobody is there.
    context.session().await?;
    let session = Session::for_stream(&context.required_address()?, &context.identity()?)?;
    mirror::mirror(context, &mut session.audit(), root, log).await
}

/// Copies the logs into a folder for the moment, verifies them, and writes their entries to `out`.
async fn one_file(
    context: &Context,
    out: &Path,
    log: Option<LogName>,
    form: Form,
) -> Result<ChainReport, CliError> {
    if out.symlink_metadata().is_ok() {
        return Err(lines::exists(out));
    }
    let beside = match out.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let folder = tempfile::Builder::new()
        .prefix(".taskpass-export-")
        .tempdir_in(beside)
        .map_err(|error| CliError::file("make a folder in", beside, error))?;
    let report = tiles(context, folder.path(), log).await?;
    lines::write(&report, form, beside, out)?;
    Ok(report)
}
