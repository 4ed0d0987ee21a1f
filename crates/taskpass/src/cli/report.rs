//! `taskpass report …`: what an auditor asks, answered from the log and the registry.

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// `taskpass report`.
#[derive(Debug, Subcommand)]
pub(crate) enum ReportCommand {
    /// Every agent: owner, purpose, stage, attestation, end date, last task; what is wrong on top
    Inventory(InventoryArgs),
    /// What agents may have beside what they were granted; with a narrower registration
    LeastPrivilege(LeastPrivilegeArgs),
    /// For how long credentials live, outlive their tasks, and are there before they are revoked
    Exposure(ExposureArgs),
}

/// What a report rests on, and where else it goes.
#[derive(Debug, Args)]
pub(crate) struct SourceArgs {
    /// From this instant on: 2026-11-22T09:30:00Z, a day, or as how long ago it was (30d); the whole
    /// log if absent
    #[arg(long, value_name = "TIME")]
    pub(crate) since: Option<String>,
    /// Read the log in this folder (`taskpass audit export --out DIR`), and no broker
    #[arg(long, value_name = "DIR", requires = "registry")]
    pub(crate) log: Option<PathBuf>,
    /// Beside --log: the registry in this file (`taskpass registry export --out FILE`)
    #[arg(long, value_name = "FILE", requires = "log")]
    pub(crate) registry: Option<PathBuf>,
    /// The log's public key, or a file with it; repeat if it was changed. Without, the keys that come
    /// with the log are used
    #[arg(long = "key", value_name = "KEY|FILE")]
    pub(crate) keys: Vec<String>,
    /// Also write the main table to this new file, as CSV; `-` is standard output instead of the report
    #[arg(long, value_name = "FILE")]
    pub(crate) csv: Option<PathBuf>,
    /// Also write the report to this new file, as one HTML page; `-` is standard output instead of
    /// the report
    #[arg(long, value_name = "FILE", conflicts_with = "csv")]
    pub(crate) html: Option<PathBuf>,
}

/// The inventory.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  taskpass report inventory
  taskpass report inventory --since 30d --html inventory.html
  taskpass report inventory -o json | jq '.rows[] | select(.faults != [])'
  taskpass report inventory --log copy --registry registry.toml --key broker.vkey

Faults: an owner that is not registered or not active; an end date that has passed; an agent that never
started a task, as far back as the log goes; one key by which two agents prove themselves. Counts are of
the period. The log is verified first, and a report on one that does not hold is refused. For operators.")]
pub(crate) struct InventoryArgs {
    #[command(flatten)]
    pub(crate) source: SourceArgs,
}

/// Least privilege.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  taskpass report least-privilege --agent invoice-bot --since 30d
  taskpass report least-privilege --owner payments-team --csv scopes.csv
  taskpass report least-privilege --agent invoice-bot --since 90d --suggest narrower.toml
  taskpass apply narrower.toml --dry-run

permitted: what registration and stage let the agent have; a policy can forbid more. granted: in how
many tokens of the period it was; granted_below: in those of agents beneath its tasks. used is unknown
where no verifier reports use: what was granted and never used is not told apart.
--suggest keeps what was granted in the period, and says what it would have denied.")]
pub(crate) struct LeastPrivilegeArgs {
    #[command(flatten)]
    pub(crate) source: SourceArgs,
    /// Only this agent
    #[arg(long, value_name = "NAME")]
    pub(crate) agent: Option<String>,
    /// Only this owner's agents
    #[arg(long, value_name = "NAME")]
    pub(crate) owner: Option<String>,
    /// Only scopes at this target
    #[arg(long, value_name = "URI")]
    pub(crate) target: Option<String>,
    /// Suggest a narrower registration, and write it to this new file for `taskpass apply`; `-` is
    /// standard output instead of the report
    #[arg(long, value_name = "FILE", conflicts_with_all = ["csv", "html"])]
    pub(crate) suggest: Option<PathBuf>,
}

/// Exposure.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  taskpass report exposure --since 7d
  taskpass report exposure --owner payments-team -o json | jq .beyond_task.max_s

Lives are from issue to end or revocation, in whole seconds, begun ones too. How long it takes from a
revocation until verifiers refuse is not in the log.")]
pub(crate) struct ExposureArgs {
    #[command(flatten)]
    pub(crate) source: SourceArgs,
    /// Only this agent
    #[arg(long, value_name = "NAME")]
    pub(crate) agent: Option<String>,
    /// Only this owner's agents
    #[arg(long, value_name = "NAME")]
    pub(crate) owner: Option<String>,
}
