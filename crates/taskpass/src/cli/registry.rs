//! `taskpass owner|agent|target|operator|verifier …`: what can be said about the registry.

mod agent;
mod operator;
mod target;
mod verifier;

use std::path::PathBuf;

use clap::{ArgGroup, Args, Subcommand};

use super::PageArgs;

pub(crate) use agent::{
    AgentCommand, AgentExtendArgs, AgentPromoteArgs, AgentRegisterArgs, AgentUpdateArgs,
};
pub(crate) use operator::OperatorCommand;
pub(crate) use target::{TargetCommand, TargetRegisterArgs, TargetUpdateArgs};
pub(crate) use verifier::VerifierCommand;

/// One entry, by its name.
#[derive(Debug, Args)]
pub(crate) struct NameArgs {
    /// Its name; of a target, its URI
    pub(crate) name: String,
}

/// One entry, and why.
#[derive(Debug, Args)]
pub(crate) struct NameReasonArgs {
    /// Its name; of a target, its URI
    pub(crate) name: String,
    /// Why; recorded
    #[arg(long, value_name = "TEXT")]
    pub(crate) reason: String,
}

/// One entry to retire, and why.
#[derive(Debug, Args)]
pub(crate) struct RetireArgs {
    /// Its name
    pub(crate) name: String,
    /// Why; recorded
    #[arg(long, value_name = "TEXT", required_unless_present = "dry_run")]
    pub(crate) reason: Option<String>,
    /// Say what that would end; change nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
}

/// Who may enrol, and where the token goes.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  taskpass agent enrol-token invoice-bot --out invoice-bot.enrol
  taskpass enrol --token-file invoice-bot.enrol --out identity      (on the agent's machine)

The token works once and for ten minutes.")]
pub(crate) struct EnrolTokenArgs {
    /// Who may enrol with it
    pub(crate) name: String,
    /// Write the enrolment here, readable by you alone; to standard output if absent
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
}

/// `taskpass owner`.
#[derive(Debug, Subcommand)]
pub(crate) enum OwnerCommand {
    /// Register an owner
    #[command(
        after_help = "Example: taskpass owner register payments --contact payments@example.org"
    )]
    Register(OwnerRegisterArgs),
    /// Change how an owner is reached, or how much its agents may take; what is not named stays
    Update(OwnerUpdateArgs),
    /// List the owners
    List(PageArgs),
    /// Show one owner
    Show(NameArgs),
    /// Refuse all agents of an owner until it is resumed
    Suspend(NameReasonArgs),
    /// Let a suspended owner's agents take part again
    Resume(NameReasonArgs),
    /// Retire an owner, and end all tasks and credentials of its agents, at once
    #[command(
        visible_alias = "retire",
        after_help = "\
Example:
  taskpass owner offboard payments --dry-run
  taskpass owner offboard payments --reason 'left the company'
  taskpass agent update invoice-bot --owner billing --reason 'taken over'

For ever: the name is not used again. Its agents get nothing, by no path, until each is given to an
active owner and has enrolled anew."
    )]
    Offboard(RetireArgs),
}

/// What to register of an owner.
#[derive(Debug, Args)]
pub(crate) struct OwnerRegisterArgs {
    /// Its name: 1 to 63 of a-z 0-9 - _ .
    pub(crate) name: String,
    /// How to reach it: an address, a channel, a rota
    #[arg(long, value_name = "TEXT")]
    pub(crate) contact: String,
    /// A limit (live_credentials, live_tasks, issues_per_second, depth, fan_out) instead of the configuration's default; repeat for more. Zero is none at all
    #[arg(long = "limit", value_name = "NAME=N", value_delimiter = ',')]
    pub(crate) limits: Vec<String>,
}

/// What to change of an owner.
#[derive(Debug, Args)]
#[command(group(ArgGroup::new("change").required(true).multiple(true)))]
pub(crate) struct OwnerUpdateArgs {
    /// Its name
    pub(crate) name: String,
    /// How to reach it
    #[arg(group = "change", long, value_name = "TEXT")]
    pub(crate) contact: Option<String>,
    /// A limit to set, or `NAME=default` to leave it to the configuration again; repeat for more
    #[arg(
        group = "change",
        long = "limit",
        value_name = "NAME=N",
        value_delimiter = ','
    )]
    pub(crate) limits: Vec<String>,
    /// Why; recorded
    #[arg(
        long,
        value_name = "TEXT",
        default_value = "",
        hide_default_value = true
    )]
    pub(crate) reason: String,
}
