//! The demonstration's broker: a process of its own, that never outlives the demonstration.
//!
//! It is this program again, as `taskpass dev`. It holds on to its standard input: when that closes,
//! however the demonstration ended (SIGKILL included), the broker ends too.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Read as _};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use clap::Parser as _;
use tokio::process::{Child, Command};

use super::step::{Expecting as _, Unmet};
use crate::cli::{Cli, Command as Subcommand};
use crate::commands::dev;
use crate::context::Context;
use crate::env;
use crate::errors::CliError;
use crate::host::Layout;

/// How long the broker may take until it is ready.
const READY: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(5);
/// Where the broker's diagnostics go.
const DIAGNOSTICS: &str = "broker.log";
/// How much of them is shown if it does not start.
const LAST_LINES: usize = 3;

/// Where a broker listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Addresses {
    /// gRPC, `https://host:port`.
    pub(super) grpc: String,
    /// Public HTTP, the issuer.
    pub(super) http: String,
}

/// The broker's process, if it runs.
#[derive(Debug)]
pub(super) struct Process {
    folder: PathBuf,
    child: Option<Child>,
}

impl Process {
    /// Not started yet.
    pub(super) fn new(folder: &Path) -> Self {
        Self {
            folder: folder.to_owned(),
            child: None,
        }
    }

    /// Its data.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Its process id.
    pub(super) fn id(&self) -> Option<u32> {
        self.child.as_ref().and_then(Child::id)
    }

    /// Starts it, and waits until it is ready.
    pub(super) async fn start(&mut self) -> Result<Addresses, Unmet> {
        let env = Layout::of(&self.folder).env();
        // It is written once the broker is ready: one from an earlier run would say so too early.
        match std::fs::remove_file(&env) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
        .expecting("the broker's folder can be written to")?;
        let child = self
            .command()
            .and_then(|mut command| command.spawn())
            .expecting("the broker's process starts")?;
        self.child = Some(child);
        tokio::time::timeout(READY, self.ready(&env))
            .await
            .unwrap_or_else(|_| {
                let expected = format!("the broker is ready within {}s", READY.as_secs());
                Err(Unmet::new(expected, self.last_words()))
            })
    }

    /// Kills it (SIGKILL), and waits until it is gone.
    pub(super) async fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            // Fails only if it has ended by itself.
            let _ = child.kill().await;
        }
    }

    fn command(&self) -> std::io::Result<Command> {
        let diagnostics = OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.folder.join(DIAGNOSTICS))?;
        let mut command = Command::new(std::env::current_exe()?);
        command
            .args(["demo", "--broker"])
            .arg(&self.folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(diagnostics)
            .kill_on_drop(true)
            // Ctrl-C is for the demonstration, which ends the broker when it has heard of it.
            .process_group(0);
        for name in [env::ADDR, env::IDENTITY, env::HTTP, env::OPS, env::HTTP_CA] {
            command.env_remove(name);
        }
        Ok(command)
    }

    async fn ready(&mut self, env: &Path) -> Result<Addresses, Unmet> {
        loop {
            let exports = std::fs::read_to_string(env).unwrap_or_default();
            if let Some(addresses) = addresses(&exports) {
                return Ok(addresses);
            }
            let ended = match &mut self.child {
                Some(child) => child.try_wait().expecting("the broker runs")?,
                None => return Err(Unmet::new("the broker runs", "it was not started")),
            };
            if let Some(status) = ended {
                let happened = format!("it ended with {status}: {}", self.last_words());
                return Err(Unmet::new("the broker becomes ready", happened));
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// The end of what it said.
    fn last_words(&self) -> String {
        let said = std::fs::read_to_string(self.folder.join(DIAGNOSTICS)).unwrap_or_default();
        let mut lines: Vec<&str> = said.lines().rev().take(LAST_LINES).collect();
        lines.reverse();
        if lines.is_empty() {
            return "it said nothing".to_owned();
        }
        lines.join(" | ")
    }
}

/// What the exports of `taskpass dev` say; nothing until they are all there.
fn addresses(exports: &str) -> Option<Addresses> {
    // The file is written in order, and a line that has no end is not whole.
    let complete = exports.ends_with('\n');
    let value = |name: &str| {
        exports
            .lines()
            .filter_map(|line| line.strip_prefix("export ")?.split_once('='))
            .find(|(found, _)| *found == name)
            .map(|(_, value)| value.trim_matches('\'').to_owned())
    };
    value(env::IDENTITY).filter(|_| complete)?;
    Some(Addresses {
        grpc: value(env::ADDR)?,
        http: value(env::HTTP)?,
    })
}

/// Is the broker, until it is told to stop or standard input closes.
pub(super) async fn serve(context: &Context, folder: &Path) -> Result<(), CliError> {
    let any = "127.0.0.1:0";
    let mut line = vec!["taskpass".into(), "dev".into(), "--data".into()];
    line.push(folder.as_os_str().to_owned());
    line.extend(["--grpc", any, "--http", any, "--ops", any].map(Into::into));
    line.extend(["--retention", "0s"].map(Into::into));
    let parsed = Cli::try_parse_from(line).map(|cli| cli.command);
    let Ok(Subcommand::Dev(args)) = parsed else {
        return Err(CliError::new("INTERNAL", "no such command line"));
    };
    tokio::select! {
        outcome = Box::pin(dev::run(context, args)) => outcome,
        () = abandoned() => Ok(()),
    }
}

/// Ends when nobody holds the other end of standard input any more.
async fn abandoned() {
    let (told, end) = tokio::sync::oneshot::channel::<()>();
    // A thread of its own: the runtime would wait for one of its own before it ends.
    std::thread::spawn(move || {
        let mut stdin = std::io::stdin().lock();
        let mut nothing = [0_u8; 16];
        loop {
            match stdin.read(&mut nothing) {
                Ok(1..) => {}
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Ok(_) | Err(_) => break,
            }
        }
        drop(told);
    });
    let _ = end.await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exports_count_when_they_are_whole() {
        let whole = "export TASKPASS_ADDR=https://127.0.0.1:1\nexport TASKPASS_HTTP=http://127.0.0.1:2\n\
            export TASKPASS_OPS=http://127.0.0.1:3\nexport TASKPASS_IDENTITY='/tmp/a b/operator'\n";
        let expected = Addresses {
            grpc: "https://127.0.0.1:1".to_owned(),
            http: "http://127.0.0.1:2".to_owned(),
        };
        assert_eq!(addresses(whole), Some(expected));
        for (end, _) in whole.char_indices() {
            let part: String = whole.chars().take(end).collect();
            assert_eq!(addresses(&part), None, "{part:?}");
        }
    }
}
