//! One process, which never outlives the test.

use std::fs::File;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use crate::wait::{PATIENCE, poll};

#[derive(Debug)]
pub(super) struct Process(Child);

impl Process {
    pub(super) fn spawn(bin: &Path, args: &[String], log: File) -> Self {
        let child = Command::new(bin)
            .args(args)
            .env_clear()
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("the binary can be run");
        Self(child)
    }

    pub(super) fn id(&self) -> u32 {
        self.0.id()
    }

    pub(super) fn is_running(&mut self) -> bool {
        matches!(self.0.try_wait(), Ok(None))
    }

    pub(super) fn kill(mut self) {
        self.end();
    }

    /// Tells it to end; the exit code, nothing if it goes on running.
    pub(super) fn terminate(self) -> Option<i32> {
        let pid = i32::try_from(self.0.id()).ok().and_then(Pid::from_raw);
        let pid = pid.expect("a process has an id");
        kill_process(pid, Signal::TERM).expect("our own process can be told to end");
        self.wait()
    }

    /// The exit code once it has ended, -1 if a signal ended it; nothing if it goes on running.
    pub(super) fn wait(mut self) -> Option<i32> {
        let status = poll(PATIENCE, &mut || self.0.try_wait().ok().flatten())?;
        Some(status.code().unwrap_or(-1))
    }

    fn end(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.end();
    }
}
