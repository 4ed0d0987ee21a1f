//! `taskpass verifier …`.

use clap::{Args, Subcommand};

use super::{EnrolTokenArgs, NameArgs, NameReasonArgs, RetireArgs};
use crate::cli::PageArgs;

/// `taskpass verifier`.
#[derive(Debug, Subcommand)]
pub(crate) enum VerifierCommand {
    /// Register a verifier
    #[command(
        after_help = "Example: taskpass verifier register ledger --target https://ledger.example"
    )]
    Register(VerifierRegisterArgs),
    /// Change the targets that a verifier speaks for
    Update(VerifierUpdateArgs),
    /// List the verifiers
    List(PageArgs),
    /// Show one verifier
    Show(NameArgs),
    /// Make a single-use token with which the verifier enrols
    EnrolToken(EnrolTokenArgs),
    /// Refuse a verifier until it is resumed
    Suspend(NameReasonArgs),
    /// Let a suspended verifier take part again
    Resume(NameReasonArgs),
    /// Refuse a verifier for ever
    Retire(RetireArgs),
}

/// What to register of a verifier.
#[derive(Debug, Args)]
pub(crate) struct VerifierRegisterArgs {
    /// Its name: 1 to 63 of a-z 0-9 - _ .
    pub(crate) name: String,
    /// A target that it speaks for; repeat for more
    #[arg(
        long = "target",
        value_name = "URI",
        value_delimiter = ',',
        required = true
    )]
    pub(crate) targets: Vec<String>,
}

/// What to change of a verifier.
#[derive(Debug, Args)]
pub(crate) struct VerifierUpdateArgs {
    /// Its name
    pub(crate) name: String,
    /// The targets that it speaks for, instead of the present ones; repeat for more
    #[arg(
        long = "target",
        value_name = "URI",
        value_delimiter = ',',
        required = true
    )]
    pub(crate) targets: Vec<String>,
    /// Why; recorded
    #[arg(
        long,
        value_name = "TEXT",
        default_value = "",
        hide_default_value = true
    )]
    pub(crate) reason: String,
}
