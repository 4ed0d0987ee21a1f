//! The command's process: started, told, waited for.
//!
//! It is waited for without being reaped: as long as it is not, its id and its group's are nobody
//! else's, so that a signal can reach no stranger.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::IsTerminal as _;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::{Child, Command, ExitStatus};

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, kill_process_group};
use tokio::task::JoinHandle;

use super::plan::Plan;
use super::signals::Forwarded;
use crate::errors::CliError;

/// The command as it runs.
pub(super) struct Running {
    child: Child,
    pid: Pid,
    /// Whether it has a process group of its own, which is told as a whole. It has none where it
    /// shares the terminal with us: then the terminal tells both of us.
    own_group: bool,
    ended: JoinHandle<()>,
}

/// Starts the command.
pub(super) fn spawn(
    plan: &Plan,
    environment: &BTreeMap<OsString, OsString>,
) -> Result<Running, CliError> {
    let failed = |error| CliError::caused("INTERNAL", "the command could not be started", error);
    let own_group = !std::io::stdin().is_terminal();
    let mut command = Command::new(ourselves().map_err(failed)?);
    command
        .arg("exec-child")
        .arg("--parent")
        .arg(std::process::id().to_string())
        .arg("--")
        .args(&plan.command)
        .env_clear()
        .envs(environment);
    if own_group {
        command.process_group(0);
    }
    if let Some(user) = &plan.user {
        // For root this also leaves every other group.
        command.uid(user.uid).gid(user.gid);
    }
    let child = command.spawn().map_err(failed)?;
    let Some(pid) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) else {
        return Err(CliError::new("INTERNAL", "the command has no process id"));
    };
    Ok(Running {
        child,
        pid,
        own_group,
        ended: tokio::task::spawn_blocking(move || wait_for(pid)),
    })
}

/// This program: the one that runs, even if another has taken its place on disk meanwhile, and even if
/// the user who is to run it cannot reach its folder.
fn ourselves() -> std::io::Result<std::path::PathBuf> {
    if cfg!(target_os = "linux") {
        return Ok("/proc/self/exe".into());
    }
    std::env::current_exe()
}

/// Waits until it has ended, and leaves it to be reaped.
fn wait_for(pid: Pid) {
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
    while let Err(rustix::io::Errno::INTR) = rustix::process::waitid(WaitId::Pid(pid), options) {}
}

impl Running {
    pub(super) fn pid(&self) -> Pid {
        self.pid
    }

    /// Waits for its end. Can be cancelled, and called again until it has returned.
    pub(super) async fn ended(&mut self) {
        let _ = (&mut self.ended).await;
    }

    /// Hands a signal on that somebody sent to us.
    pub(super) fn forward(&self, signal: Forwarded) {
        if self.own_group || !signal.is_of_terminal() {
            self.tell(signal.signal());
        }
    }

    /// Sends it a signal: to all of its group, if it has one.
    pub(super) fn tell(&self, signal: Signal) {
        // It may have ended a moment ago.
        let _ = if self.own_group {
            kill_process_group(self.pid, signal)
        } else {
            kill_process(self.pid, signal)
        };
    }

    /// Reaps it, once it has ended; its exit code.
    pub(super) fn reap(mut self) -> Result<u8, CliError> {
        let status = self.child.wait();
        let status =
            status.map_err(|error| CliError::caused("INTERNAL", "the command is lost", error))?;
        Ok(code(status))
    }
}

/// As a shell says it: 128 and the signal, of a command that a signal ended.
fn code(status: ExitStatus) -> u8 {
    let code = match (status.code(), status.signal()) {
        (Some(code), _) => code,
        (None, Some(signal)) => 128 + signal,
        (None, None) => 255,
    };
    u8::try_from(code & 0xff).unwrap_or(255)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exit_codes_as_a_shell_has_them() {
        // As wait(2) encodes them: the code in the second byte, the signal in the first.
        for (raw, expected) in [(0, 0), (7 << 8, 7), (255 << 8, 255), (9, 137), (15, 143)] {
            assert_eq!(code(ExitStatus::from_raw(raw)), expected);
        }
    }
}
