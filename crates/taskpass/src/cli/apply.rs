//! `taskpass apply` and `taskpass registry`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// What to make the registry match.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  taskpass registry export --out registry.toml     (change it, have it reviewed)
  taskpass apply registry.toml --dry-run
  taskpass apply registry.toml --expect-version 17 --reason 'review 2026-11'

All of the file or nothing, in one change. What it does not name is left alone, unless --prune is
given. Whether an agent or owner is suspended is not a file's to say. What lets somebody have or do
more than before, and what --prune ends, needs a --reason. A stage rises by `taskpass agent promote`; by a
file only with --force. docs/REGISTRY.md has the form.")]
pub(crate) struct ApplyArgs {
    /// The file: owners, agents and targets in TOML; `-` is standard input
    pub(crate) file: PathBuf,
    /// Say what would change; change nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Refuse if the registry is at another version than the one that was reviewed
    #[arg(long, value_name = "N")]
    pub(crate) expect_version: Option<u64>,
    /// Why; recorded
    #[arg(
        long,
        value_name = "TEXT",
        default_value = "",
        hide_default_value = true,
        allow_hyphen_values = true
    )]
    pub(crate) reason: String,
    /// Also end what the file does not have: retire agents and owners, which revokes what they hold;
    /// suspend targets
    #[arg(long)]
    pub(crate) prune: bool,
    /// Let stages rise without a readiness report; recorded as forced, with --reason
    #[arg(long)]
    pub(crate) force: bool,
}

/// `taskpass registry`.
#[derive(Debug, Subcommand)]
pub(crate) enum RegistryCommand {
    /// Write the owners, agents and targets as a file for `apply`
    #[command(after_help = "\
Example: taskpass registry export --out registry.toml

What is retired is left out. Applied unchanged, the file changes nothing.")]
    Export(ExportArgs),
    /// Show the version of the registry, which every change raises
    Version,
}

/// Where the file goes.
#[derive(Debug, Args)]
pub(crate) struct ExportArgs {
    /// Write it here, where nothing is yet; to standard output if absent
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
}
