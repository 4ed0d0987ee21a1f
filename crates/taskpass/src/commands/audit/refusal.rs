//! Why a copy of the log is not accepted, in one word for scripts.

use std::io::ErrorKind;

use taskpass_log::chain::ChainError;
use taskpass_log::checkpoint::CheckpointError;
use taskpass_log::note::NoteError;
use taskpass_log::read::ReadError;
use taskpass_log::verify::VerifyError;

use super::keys;
use crate::errors::CliError;

const EXPORT: &str = "name the folder of an export: `taskpass audit export --out DIR` makes one";

/// A folder does not hold.
pub(in crate::commands) fn of_chain(error: ChainError) -> CliError {
    let hint = match &error {
        ChainError::Io { source, .. }
            if matches!(
                source.kind(),
                ErrorKind::NotFound | ErrorKind::NotADirectory
            ) =>
        {
            Some(EXPORT)
        }
        ChainError::Key { .. } => Some(keys::FORM),
        _ => None,
    };
    let error = CliError::caused(chain_reason(&error), error.to_string(), error);
    match hint {
        Some(hint) => error.hint(hint),
        None => error,
    }
}

/// A log does not hold.
pub(super) fn of_log(error: VerifyError) -> CliError {
    CliError::caused(log_reason(&error), error.to_string(), error)
}

fn chain_reason(error: &ChainError) -> &'static str {
    match error {
        ChainError::Io { .. } => "FILE_ERROR",
        ChainError::NoLogs { .. } => "NO_LOG",
        ChainError::Foreign { .. } => "LOG_FOREIGN_FILE",
        ChainError::NoLog { .. } => "LOG_INCOMPLETE",
        ChainError::NoKey { .. } => "NO_KEY",
        ChainError::Key { .. } => "INVALID_KEY",
        ChainError::OtherKey { .. } | ChainError::OtherFamily { .. } => "LOG_UNTRUSTED",
        ChainError::Since(_) => "INVALID_CHECKPOINT",
        ChainError::OtherLog { .. } => "OTHER_LOG",
        ChainError::Log { source, .. } => log_reason(source),
        ChainError::OtherMonth { .. }
        | ChainError::Beginning { .. }
        | ChainError::Unlinked { .. }
        | ChainError::Missing { .. }
        | ChainError::Previous { .. }
        | ChainError::CutOff { .. }
        | ChainError::WentOn { .. }
        | ChainError::Rewritten { .. } => "CHAIN_BROKEN",
    }
}

fn log_reason(error: &VerifyError) -> &'static str {
    match error {
        VerifyError::NoCheckpoint | VerifyError::Read(ReadError::Missing { .. }) => {
            "LOG_INCOMPLETE"
        }
        VerifyError::Checkpoint(
            CheckpointError::Note(NoteError::Unknown { .. }) | CheckpointError::OtherLog { .. },
        ) => "LOG_UNTRUSTED",
        VerifyError::Since(_) => "INVALID_CHECKPOINT",
        VerifyError::OtherLog { .. } => "OTHER_LOG",
        VerifyError::RolledBack { .. } => "LOG_ROLLED_BACK",
        VerifyError::Rewritten { .. } => "LOG_REWRITTEN",
        VerifyError::Read(ReadError::Io { .. }) => "FILE_ERROR",
        VerifyError::Foreign { .. } => "LOG_FOREIGN_FILE",
        VerifyError::Checkpoint(_)
        | VerifyError::Read(_)
        | VerifyError::Hash { .. }
        | VerifyError::Root { .. }
        | VerifyError::Partial { .. } => "LOG_INVALID",
    }
}
