//! `taskpass revoke`, `taskpass resume` and `taskpass watch …`.

use clap::{Args, Subcommand};

/// What to revoke, and why.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  taskpass revoke --task T --reason 'wrong input'            the task, and all it spawned
  taskpass revoke --agent invoice-bot --reason incident-42 --dry-run
  taskpass revoke --all --reason drill                       then: taskpass resume --all --reason …

It is on disk before the command returns, and verifiers on the feed hear of it at once. An agent,
owner or target is also suspended, unless --no-suspend.")]
pub(crate) struct RevokeArgs {
    #[command(flatten)]
    pub(crate) selector: SelectorArgs,
    /// Why; recorded
    #[arg(long, value_name = "TEXT")]
    pub(crate) reason: String,
    /// Change nothing; say what it would do
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Of an agent, owner or target: do not suspend it
    #[arg(long)]
    pub(crate) no_suspend: bool,
}

/// Exactly one of these.
#[derive(Debug, Args)]
#[group(id = "selector", required = true, multiple = false)]
pub(crate) struct SelectorArgs {
    /// One token or certificate
    #[arg(long, value_name = "ID")]
    pub(crate) credential: Option<String>,
    /// A task with its subtree: it ends, and whatever it issued
    #[arg(long, value_name = "ID")]
    pub(crate) task: Option<String>,
    /// Whatever an agent holds, and what was delegated beneath it
    #[arg(long, value_name = "NAME")]
    pub(crate) agent: Option<String>,
    /// Each agent of an owner
    #[arg(long, value_name = "NAME")]
    pub(crate) owner: Option<String>,
    /// Tokens for a target
    #[arg(long, value_name = "URI")]
    pub(crate) target: Option<String>,
    /// Whatever a signing key signed
    #[arg(long, value_name = "KEY_ID", allow_hyphen_values = true)]
    pub(crate) key: Option<String>,
    /// Every credential of every task; the broker issues nothing until `taskpass resume --all`
    #[arg(long)]
    pub(crate) all: bool,
}

/// What to resume.
#[derive(Debug, Args)]
#[command(after_help = "\
Example: taskpass resume --all --reason 'drill is over'

One agent, owner or target: taskpass agent|owner|target resume NAME --reason …")]
pub(crate) struct ResumeArgs {
    /// The whole broker
    #[arg(long, required = true)]
    pub(crate) all: bool,
    /// Why; recorded
    #[arg(long, value_name = "TEXT")]
    pub(crate) reason: String,
}

/// `taskpass watch`.
#[derive(Debug, Subcommand)]
pub(crate) enum WatchCommand {
    /// Print the revocations in force, then each new one as it is made
    #[command(after_help = "\
Example: taskpass watch revocations -o json | jq -r 'select(.event == \"revocation\") | .selector'

Each line of -o json has `event`: snapshot, resumed, revocation, resync, or (with --heartbeats)
heartbeat. For operators and verifiers.")]
    Revocations(WatchRevocationsArgs),
}

/// From where to watch.
#[derive(Debug, Args)]
pub(crate) struct WatchRevocationsArgs {
    /// Go on after this seq of an earlier stream (with --epoch)
    #[arg(
        long,
        value_name = "SEQ",
        requires = "epoch",
        default_value_t = 0,
        hide_default_value = true
    )]
    pub(crate) after_seq: u64,
    /// The earlier stream's epoch
    #[arg(
        long,
        value_name = "EPOCH",
        default_value_t = 0,
        hide_default_value = true
    )]
    pub(crate) epoch: u64,
    /// Print the heartbeats too
    #[arg(long)]
    pub(crate) heartbeats: bool,
}
