//! `taskpass audit export`: a copy of the log, which is verified before it is called one.

use std::path::Path;

use taskpass_log::LogName;
use taskpass_log::chain::{ChainReport, verify_logs};

use super::{lines, mirror, refusal};
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
        ExportFormat::Jsonl => jsonl(context, &args.out, log).await?,
    };
    context.output.show(&Verified::exported(&report, &args.out))
}

/// Copies the logs into `root`, and verifies all that is there.
async fn tiles(
    context: &Context,
    root: &Path,
    log: Option<LogName>,
) -> Result<ChainReport, CliError> {
    // No timeout may cut a long copy; connecting once first says at once if nobody is there.
    context.session().await?;
    let session = Session::for_stream(&context.required_address()?, &context.identity()?)?;
    mirror::mirror(context, &mut session.audit(), root, log).await?;
    verify_logs(root, None, None).map_err(refusal::of_chain)
}

/// Copies the logs into a folder for the moment, verifies them, and writes their entries to `out`.
async fn jsonl(
    context: &Context,
    out: &Path,
    log: Option<LogName>,
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
    lines::write(&report, beside, out)?;
    Ok(report)
}
