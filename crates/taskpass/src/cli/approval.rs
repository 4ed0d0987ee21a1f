//! `taskpass approval …`.

use clap::{Args, Subcommand};

/// `taskpass approval`.
#[derive(Debug, Subcommand)]
pub(crate) enum ApprovalCommand {
    /// Show what waits for another operator
    #[command(after_help = "\
Example: taskpass approval list -o json | jq -r '.proposals[].id'

What waits is decided by `registry.second_operator` of the broker's configuration. A proposal ends after
seven days, and when the list is looked at if nobody can approve it any more: its agent was changed since, or
whoever proposed it is no administrator.")]
    List,
    /// Make a change that another operator proposed, as of now
    #[command(after_help = "\
Example: taskpass approval approve 01M82ESWM1NZKTJBETD1S1PBMC

For another operator than the one who proposed it, with another key; both names are recorded.")]
    Approve(ApproveArgs),
    /// End a proposal, also one's own
    #[command(
        after_help = "Example: taskpass approval reject 01M82ESWM1NZKTJBETD1S1PBMC --reason 'too early'"
    )]
    Reject(RejectArgs),
}

/// What to approve.
#[derive(Debug, Args)]
pub(crate) struct ApproveArgs {
    /// The proposal
    pub(crate) id: String,
}

/// What to reject, and why.
#[derive(Debug, Args)]
pub(crate) struct RejectArgs {
    /// The proposal
    pub(crate) id: String,
    /// Why; recorded
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    pub(crate) reason: String,
}
