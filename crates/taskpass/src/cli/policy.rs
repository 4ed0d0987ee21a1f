//! `taskpass policy …`: what is allowed to whom, and why.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::PageArgs;

/// `taskpass policy`.
#[derive(Debug, Subcommand)]
pub(crate) enum PolicyCommand {
    /// Check a folder of policies as the broker would, without one
    #[command(after_help = "\
Example: taskpass policy validate /etc/taskpass/policies

Strict: whatever could silently not apply is an error that names file, line and column. Without DIR
it checks the policies that taskpass ships.")]
    Validate(ValidateArgs),
    /// Put the cases of a file to a set of policies, without a broker
    #[command(after_help = "\
Examples:
  taskpass policy test                                  the shipped cases, the shipped policies
  taskpass policy test /etc/taskpass/policies/ours.cases.toml

A case names a request, the decision, and the policies that determine it. How to write one:
docs/POLICY.md.")]
    Test(TestArgs),
    /// Say why something was decided, or what would be
    #[command(after_help = "\
Examples:
  taskpass policy explain DECISION_ID
  taskpass policy explain --agent invoice-bot --scope https://ledger.example#payments:send
  taskpass policy explain --agent invoice-bot --certificate spiffe-svid
  taskpass policy explain --agent invoice-bot --from planner --scope https://ledger.example#invoices:read

The id of a decision is in the refusal, and in the log (`taskpass audit query --outcome deny`).")]
    Explain(ExplainArgs),
    /// Say that a changed set of policies may come into force, where two operators have to
    #[command(after_help = "\
Example:
  taskpass policy validate /etc/taskpass/policies      (its set is the hash)
  taskpass policy approve ec6f90f4b8… --reason 'review 2026-11'

With `policy` in `registry.second_operator` a changed set waits until two operators, with two keys, have
approved its hash within seven days; so does a broker that is started with another set than it had. No policy
is asked about it, so that one which locks everybody out can be replaced.")]
    Approve(PolicyApproveArgs),
    /// List the agents that can have a scope
    #[command(
        after_help = "Example: taskpass policy who-can https://ledger.example#payments:send

Every agent is evaluated by the policies and the registry of this moment."
    )]
    WhoCan(WhoCanArgs),
    /// List the scopes that an agent can have
    #[command(after_help = "Example: taskpass policy what-can invoice-bot --refused")]
    WhatCan(WhatCanArgs),
}

/// What to check.
#[derive(Debug, Args)]
pub(crate) struct ValidateArgs {
    /// The folder: *.cedar and taskpass.cedarschema
    #[arg(value_name = "DIR")]
    pub(crate) dir: Option<PathBuf>,
}

/// What to put to what.
#[derive(Debug, Args)]
pub(crate) struct TestArgs {
    /// The cases
    #[arg(value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,
    /// The policies; if absent those in the folder of FILE, if there are none the shipped ones
    #[arg(long, value_name = "DIR")]
    pub(crate) policies: Option<PathBuf>,
}

/// What a request that nobody made would say of itself.
#[derive(Debug, Args)]
#[command(next_help_heading = "What the request says")]
pub(crate) struct TermsArgs {
    /// What the task would be for
    #[arg(long, value_name = "TEXT")]
    pub(crate) purpose: Option<String>,
    /// The life that would be asked for
    #[arg(long, value_name = "DURATION")]
    pub(crate) ttl: Option<String>,
    /// How the agent would prove itself: mtls, private_key_jwt, federated_jwt, foreign_svid or unix
    #[arg(long, value_name = "METHOD")]
    pub(crate) attestation: Option<String>,
}

/// Which decision.
#[derive(Debug, Args)]
pub(crate) struct ExplainArgs {
    /// A decision that was made
    #[arg(
        value_name = "DECISION_ID",
        required_unless_present = "agent",
        conflicts_with = "agent"
    )]
    pub(crate) decision: Option<String>,
    /// The agent that would ask
    #[arg(long, value_name = "NAME")]
    pub(crate) agent: Option<String>,
    /// A scope that it would ask for, as TARGET#SCOPE; repeat for more
    #[arg(
        long = "scope",
        value_name = "TARGET#SCOPE",
        requires = "agent",
        conflicts_with = "certificate"
    )]
    pub(crate) scopes: Vec<String>,
    /// A certificate that it would ask for: client or spiffe-svid
    #[arg(long, value_name = "PROFILE", requires = "agent")]
    pub(crate) certificate: Option<String>,
    /// The agent that would hand it the work: a child task
    #[arg(long, value_name = "NAME", requires = "agent")]
    pub(crate) from: Option<String>,
    /// How many tasks would be above; 1 with --from
    #[arg(long, value_name = "N", requires = "agent")]
    pub(crate) depth: Option<u32>,
    #[command(flatten)]
    pub(crate) terms: TermsArgs,
}

/// Which scope.
#[derive(Debug, Args)]
pub(crate) struct WhoCanArgs {
    /// The scope
    #[arg(value_name = "TARGET#SCOPE")]
    pub(crate) scope: String,
    /// Also who cannot, and why
    #[arg(long)]
    pub(crate) refused: bool,
    #[command(flatten)]
    pub(crate) terms: TermsArgs,
    #[command(flatten)]
    pub(crate) page: PageArgs,
}

/// Which agent.
#[derive(Debug, Args)]
pub(crate) struct WhatCanArgs {
    /// The agent
    #[arg(value_name = "AGENT")]
    pub(crate) agent: String,
    /// Also what it cannot have, and why
    #[arg(long)]
    pub(crate) refused: bool,
    #[command(flatten)]
    pub(crate) terms: TermsArgs,
    #[command(flatten)]
    pub(crate) page: PageArgs,
}

/// Which set, and why.
#[derive(Debug, Args)]
pub(crate) struct PolicyApproveArgs {
    /// SHA-256 of the set, in hexadecimal
    #[arg(value_name = "HASH")]
    pub(crate) policy_set: String,
    /// Why; recorded
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    pub(crate) reason: String,
}
