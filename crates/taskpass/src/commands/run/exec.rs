//! Becoming the command: the last step before it, in a process of its own.
//!
//! The process asks the kernel to be killed when `taskpass run` is gone, however that went, and
//! then becomes the command. It is a step of its own because what a process asks about itself does not
//! survive a change of its user, which comes before.

use std::os::unix::process::CommandExt as _;
use std::process::Command;

use crate::cli::run::ExecArgs;
use crate::errors::CliError;

/// What a shell answers when there is no such command, and when it cannot be run.
const NOT_FOUND: u8 = 127;
const NOT_EXECUTABLE: u8 = 126;

/// Becomes the command; returns only if it cannot.
pub(crate) fn exec(args: &ExecArgs) -> (CliError, u8) {
    let Some((program, rest)) = args.command.split_first() else {
        return (CliError::new("INTERNAL", "no command"), NOT_FOUND);
    };
    if let Err(error) = die_with(args.parent) {
        return (error, NOT_EXECUTABLE);
    }
    let error = Command::new(program).args(rest).exec();
    let code = match error.kind() {
        std::io::ErrorKind::NotFound => NOT_FOUND,
        _ => NOT_EXECUTABLE,
    };
    let message = format!("could not run {}", program.to_string_lossy());
    (CliError::caused("COMMAND_FAILED", message, error), code)
}

#[cfg(target_os = "linux")]
fn die_with(parent: i32) -> Result<(), CliError> {
    use rustix::process::{Signal, getppid, set_parent_process_death_signal};
    let failed = |error| CliError::caused("INTERNAL", "could not be tied to taskpass run", error);
    set_parent_process_death_signal(Some(Signal::KILL)).map_err(failed)?;
    // It may have gone before the kernel was asked.
    if getppid().map(|pid| pid.as_raw_nonzero().get()) == Some(parent) {
        Ok(())
    } else {
        Err(CliError::new("INTERNAL", "taskpass run is gone"))
    }
}

/// Elsewhere nobody can be asked: the command outlives a `taskpass run` that is killed.
#[cfg(not(target_os = "linux"))]
#[expect(clippy::unnecessary_wraps, reason = "on Linux it can fail")]
fn die_with(_: i32) -> Result<(), CliError> {
    Ok(())
}

/// Closes this process to others of the same user as far as the kernel does that: its memory, its
/// environment and its open files, and makes it the one that orphans of the command come to. What the
/// kernel refuses is not worth a word: neither is a boundary.
pub(super) fn harden() {
    #[cfg(target_os = "linux")]
    {
        use rustix::process::{
            DumpableBehavior, getpid, set_child_subreaper, set_dumpable_behavior,
        };
        let _ = set_dumpable_behavior(DumpableBehavior::NotDumpable);
        let _ = set_child_subreaper(Some(getpid()));
    }
}
