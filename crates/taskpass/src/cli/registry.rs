//! `taskpass owner|agent|target|operator|verifier …`: what can be said about the registry.

mod agent;
mod operator;
mod target;
mod verifier;

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::PageArgs;

pub(crate) use agent::{AgentCommand, AgentPromoteArgs, AgentRegisterArgs, AgentUpdateArgs};
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
    /// Change how an owner is reached
    Update(OwnerUpdateArgs),
    /// List the owners
    List(PageArgs),
    /// Show one owner
    Show(NameArgs),
    /// Refuse all agents of an owner until it is resumed
    Suspend(NameReasonArgs),
    /// Let a suspended owner's agents take part again
    Resume(NameReasonArgs),
}

/// What to register of an owner.
#[derive(Debug, Args)]
pub(crate) struct OwnerRegisterArgs {
    /// Its name: 1 to 63 of a-z 0-9 - _ .
    pub(crate) name: String,
    /// How to reach it: an address, a channel, a rota
    #[arg(long, value_name = "TEXT")]
    pub(crate) contact: String,
}

/// What to change of an owner.
#[derive(Debug, Args)]
pub(crate) struct OwnerUpdateArgs {
    /// Its name
    pub(crate) name: String,
    /// How to reach it
    #[arg(long, value_name = "TEXT")]
    pub(crate) contact: String,
    /// Why; recorded
    #[arg(
        long,
        value_name = "TEXT",
        default_value = "",
        hide_default_value = true
    )]
    pub(crate) reason: String,
}
