//! Where a report goes: standard output, and files for spreadsheets, browsers and `taskpass apply`.

use std::path::{Path, PathBuf};

use serde::Serialize;
use taskpass_report::least_privilege::Suggestion;
use taskpass_report::sheet::{csv, html};

use crate::cli::report::SourceArgs;
use crate::context::Context;
use crate::errors::CliError;
use crate::files::NewSecretFile;
use crate::registry_file::{Snapshot, write_agents};
use crate::view::report::Shown;

/// Prints the report, and writes the files that were asked for. A file that cannot be written is said
/// before anything is printed.
pub(super) fn write<T: Serialize>(
    context: &Context,
    args: &SourceArgs,
    report: &Shown<T>,
) -> Result<(), CliError> {
    let sheet = report.sheet();
    if let Some(out) = &args.csv
        && file(context, out, &csv::write(sheet))?
    {
        return Ok(());
    }
    if let Some(out) = &args.html
        && file(context, out, &html::write(sheet))?
    {
        return Ok(());
    }
    context.output.show(report)
}

/// Says of a file that cannot be made, before anything is read or fetched for it.
pub(super) fn can_be_made(out: Option<&PathBuf>) -> Result<(), CliError> {
    match out {
        // Made and, unfilled, gone again: nothing but trying says whether it can be.
        Some(out) if out != Path::new("-") => NewSecretFile::create(out).map(drop),
        _ => Ok(()),
    }
}

/// Writes a new file, which only its owner can read; or standard output, which it then has for itself.
pub(super) fn file(context: &Context, out: &Path, text: &str) -> Result<bool, CliError> {
    if out == Path::new("-") {
        context.output.raw(text.as_bytes())?;
        return Ok(true);
    }
    NewSecretFile::create(out)?.fill(text.as_bytes())?;
    Ok(false)
}

/// The narrower registration as a file for `taskpass apply`: the agents that it changes, and these whole.
pub(in crate::commands) fn narrower(registry: &Snapshot, suggestion: &Suggestion) -> String {
    let agents: Vec<_> = suggestion
        .agents
        .iter()
        .filter_map(|narrower| {
            let agent = registry.agents.iter().find(|a| a.name == narrower.agent)?;
            let mut agent = agent.clone();
            agent.scopes.clone_from(&narrower.keep);
            Some(agent)
        })
        .collect();
    let heading = format!(
        "# {} agents with fewer scopes. It would have denied {} of {} requests of the period.\n\
         # Review it, then: taskpass apply FILE --dry-run\n",
        agents.len(),
        suggestion.requests,
        suggestion.of_requests
    );
    write_agents(&heading, &agents)
}
