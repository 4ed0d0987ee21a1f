//! A `taskpass run` that goes on while a test looks at it.

use std::io::{BufRead as _, BufReader, Read as _};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use taskpass_testkit::{Broker, until};

/// The process; it ends with the test.
pub(crate) struct Running {
    child: Child,
    out: BufReader<ChildStdout>,
    said: std::thread::JoinHandle<String>,
    folder: PathBuf,
    task: String,
}

/// How it ended.
pub(crate) struct Ended {
    pub(crate) code: i32,
    pub(crate) stderr: String,
}

impl Running {
    /// Starts it as `who`, and waits until the command runs.
    pub(crate) fn start(broker: &Broker, who: &str, options: &[&str], command: &[&str]) -> Self {
        let mut child = Command::new(broker.bin())
            .args(["-o", "json", "run", "--purpose", "drill"])
            .args(options)
            .arg("--")
            .args(command)
            .env("TASKPASS_ADDR", &broker.addresses().addr)
            .env("TASKPASS_IDENTITY", broker.identity_folder(who))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        let mut err = BufReader::new(child.stderr.take().unwrap());
        let mut first = String::new();
        err.read_line(&mut first).unwrap();
        let begun: Value = serde_json::from_str(&first).unwrap_or_else(|_| {
            let mut rest = String::new();
            let _ = err.read_to_string(&mut rest);
            panic!("it did not begin: {first}{rest}");
        });
        let said = std::thread::spawn(move || {
            let mut text = String::new();
            let _ = err.read_to_string(&mut text);
            text
        });
        Self {
            child,
            out,
            said,
            folder: begun["folder"].as_str().unwrap().into(),
            task: begun["task_id"].as_str().unwrap().to_owned(),
        }
    }

    pub(crate) fn task(&self) -> &str {
        &self.task
    }

    pub(crate) fn folder(&self) -> &PathBuf {
        &self.folder
    }

    /// The next line that the command says.
    pub(crate) fn line(&mut self) -> String {
        let mut line = String::new();
        self.out.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    pub(crate) fn send(&self, signal: Signal) {
        let pid = Pid::from_raw(self.child.id().try_into().unwrap()).unwrap();
        kill_process(pid, signal).unwrap();
    }

    /// Waits until it has ended by itself.
    pub(crate) fn ended(mut self) -> Ended {
        let status = until("it ends", || self.child.try_wait().unwrap());
        // Whatever it started has its standard error too: this ends when all of that has.
        let mut text = None;
        until("nobody writes any more", || {
            self.said.is_finished().then_some(())
        });
        let said = std::mem::replace(&mut self.said, std::thread::spawn(String::new));
        text.get_or_insert(said.join().unwrap());
        Ended {
            code: status.code().unwrap_or(-1),
            stderr: text.unwrap_or_default(),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Whether a process is there, and is no zombie.
pub(crate) fn is_alive(pid: &str) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let state = stat
        .rsplit_once(')')
        .and_then(|(_, rest)| rest.trim().chars().next());
    state.is_some_and(|state| state != 'Z' && state != 'X')
}
