//! `taskpass apply`: make the registry match a reviewed file.
//!
//! The broker judges the file as a whole. If something is wrong with it already on this side, it is put
//! to the broker as a dry run all the same, so that one run names everything that is wrong.

use std::path::Path;

use taskpass_api::v1;
use tonic::Status;
use tonic_types::StatusExt as _;

use crate::cli::apply::ApplyArgs;
use crate::context::Context;
use crate::errors::CliError;
use crate::files;
use crate::registry_file::{Dates, Fault, RegistryFile};
use crate::view::apply::Applied;

/// The largest file: more than the broker takes in one message.
const MAX_FILE: u64 = 1024 * 1024;

/// Applies a file.
pub(crate) async fn run(context: &Context, args: ApplyArgs) -> Result<(), CliError> {
    let text = read(&args.file)?;
    let file =
        RegistryFile::parse(&text, Dates::Fixed).map_err(|error| named(error, &args.file))?;
    let dry_run = args.dry_run || !file.faults.is_empty();
    let request = v1::ApplyRequest {
        entries: file.entries.clone(),
        expected_version: args.expect_version,
        dry_run,
        reason: args.reason,
        prune: args.prune,
        force: args.force,
    };
    let mut registry = context.session().await?.registry();
    let reply = registry.apply(request).await;
    if !file.faults.is_empty() {
        let theirs = reply.err().map(|status| violations(&status));
        return Err(refused(&file, &args.file, theirs.unwrap_or_default(), 0));
    }
    match reply {
        Ok(reply) => context
            .output
            .show(&Applied::new(reply.into_inner(), dry_run)),
        Err(status) => {
            let found = violations(&status);
            if found.is_empty() {
                return Err(status.into());
            }
            let counted = status.get_details_error_info();
            let counted = counted.and_then(|info| info.metadata.get("faults")?.parse().ok());
            Err(refused(&file, &args.file, found, counted.unwrap_or(0)))
        }
    }
}

fn read(path: &Path) -> Result<String, CliError> {
    let bytes = files::read_up_to(path, MAX_FILE)?;
    String::from_utf8(bytes.to_vec()).map_err(|_| {
        let message = format!("{} is not UTF-8", path.display());
        CliError::new("INVALID_REGISTRY", message)
    })
}

fn named(error: CliError, path: &Path) -> CliError {
    match error {
        CliError::Local {
            reason,
            message,
            hint,
            source,
        } => CliError::Local {
            reason,
            message: format!("{}, {message}", path.display()),
            hint,
            source,
        },
        other => other,
    }
}

/// What the broker finds wrong, by its names for the places.
fn violations(status: &Status) -> Vec<Fault> {
    let details = status.get_details_bad_request();
    let found = details.map(|details| details.field_violations);
    let faults = found.unwrap_or_default().into_iter();
    faults
        .map(|violation| Fault {
            path: violation.field,
            text: violation.description,
        })
        .collect()
}

/// Everything that is wrong, in the order of the file. `counted` is how many the broker found.
fn refused(file: &RegistryFile, path: &Path, theirs: Vec<Fault>, counted: usize) -> CliError {
    let unnamed = counted.saturating_sub(theirs.len());
    let mut faults = file.faults.clone();
    for fault in theirs {
        // What this side said already, and better: with the word that is none.
        if file.faults.iter().all(|known| known.path != fault.path) {
            faults.push(fault);
        }
    }
    faults.sort_by_key(|fault| file.places.find(&fault.path));
    let count = faults.len() + unnamed;
    let plural = if count == 1 { "" } else { "s" };
    let message = format!(
        "{count} fault{plural} in {}; nothing was changed",
        path.display()
    );
    let mut lines: Vec<_> = faults
        .iter()
        .map(|fault| fault.line(&file.places))
        .collect();
    if unnamed > 0 {
        lines.push(("…".to_owned(), format!("and {unnamed} more")));
    }
    CliError::Faulty {
        reason: "INVALID_REGISTRY",
        message,
        faults: lines,
    }
}
