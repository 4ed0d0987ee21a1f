//! `taskpass operator …`.

use clap::{Args, Subcommand};

use super::{EnrolTokenArgs, NameArgs, NameReasonArgs, RetireArgs};
use crate::cli::PageArgs;

/// `taskpass operator`.
#[derive(Debug, Subcommand)]
pub(crate) enum OperatorCommand {
    /// Register an operator
    #[command(after_help = "Example: taskpass operator register on-call --role responder")]
    Register(OperatorRegisterArgs),
    /// Change what an operator may do
    Update(OperatorUpdateArgs),
    /// List the operators
    List(PageArgs),
    /// Show one operator
    Show(NameArgs),
    /// Make a single-use token with which the operator enrols
    EnrolToken(EnrolTokenArgs),
    /// Refuse an operator until it is resumed
    Suspend(NameReasonArgs),
    /// Let a suspended operator take part again
    Resume(NameReasonArgs),
    /// Refuse an operator for ever; never the last administrator
    Retire(RetireArgs),
}

/// What to register of an operator.
#[derive(Debug, Args)]
pub(crate) struct OperatorRegisterArgs {
    /// Its name: 1 to 63 of a-z 0-9 - _ .
    pub(crate) name: String,
    /// What it may do: admin, responder or auditor; repeat for more
    #[arg(
        long = "role",
        value_name = "ROLE",
        value_delimiter = ',',
        required = true
    )]
    pub(crate) roles: Vec<String>,
}

/// What to change of an operator.
#[derive(Debug, Args)]
pub(crate) struct OperatorUpdateArgs {
    /// Its name
    pub(crate) name: String,
    /// What it may do, instead of the present roles; repeat for more
    #[arg(
        long = "role",
        value_name = "ROLE",
        value_delimiter = ',',
        required = true
    )]
    pub(crate) roles: Vec<String>,
    /// Why; recorded
    #[arg(
        long,
        value_name = "TEXT",
        default_value = "",
        hide_default_value = true
    )]
    pub(crate) reason: String,
}
