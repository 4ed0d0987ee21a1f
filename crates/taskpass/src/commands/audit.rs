//! `taskpass audit …`: reading the log from the broker, and verifying copies of it without one.

mod checkpoint;
pub(super) mod export;
mod filter;
pub(super) mod keys;
mod lines;
mod mirror;
mod proof;
mod query;
pub(super) mod refusal;
mod tail;
#[cfg(test)]
pub(super) mod testing;
mod verify;

use crate::cli::audit::AuditCommand;
use crate::context::Context;
use crate::errors::CliError;

/// Runs one of the audit commands.
pub(crate) async fn run(context: &Context, command: AuditCommand) -> Result<(), CliError> {
    match command {
        AuditCommand::Tail(args) => tail::run(context, args).await,
        AuditCommand::Query(args) => query::run(context, args).await,
        AuditCommand::Checkpoint(args) => checkpoint::run(context, args).await,
        AuditCommand::Export(args) => export::run(context, args).await,
        AuditCommand::Verify(args) => verify::run(context, &args),
        AuditCommand::Proof(args) => proof::write(context, args).await,
        AuditCommand::VerifyProof(args) => proof::verify(context, &args),
    }
}
