//! The process: a `dev` or `serve` broker on a folder of its own.

mod audit;
mod builder;
mod process;

use std::path::{Path, PathBuf};

use taskpass_client::Identity;
use tempfile::TempDir;

use crate::cli::{self, Outcome};
use crate::http::{self, Reply};
pub use builder::Builder;
use process::Process;

/// Where a broker listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Addresses {
    /// gRPC, as `https://127.0.0.1:port`.
    pub addr: String,
    /// The public HTTP, and issuer.
    pub http: String,
    /// Health and metrics.
    pub ops: String,
    /// The OAuth front, as `https://127.0.0.1:port`; empty where there is none.
    pub oauth: String,
}

/// A broker. The process ends and its folder goes when this is dropped.
#[derive(Debug)]
pub struct Broker {
    bin: PathBuf,
    folder: PathBuf,
    args: Vec<String>,
    /// The identity that calls where none is named.
    operator: &'static str,
    serve: bool,
    process: Option<Process>,
    addresses: Addresses,
    _temp: TempDir,
}

impl Broker {
    /// A development broker, ready. `bin` is `env!("CARGO_BIN_EXE_taskpass")`.
    pub fn start(bin: &str) -> Self {
        Self::builder(bin).start()
    }

    /// A broker with other settings.
    pub fn builder(bin: &str) -> Builder {
        Builder::new(bin)
    }

    /// Where it listens.
    pub fn addresses(&self) -> &Addresses {
        &self.addresses
    }

    /// Its data folder.
    pub fn data(&self) -> &Path {
        &self.folder
    }

    /// A path beneath the data folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// A path beneath the data folder, as text for the command line.
    pub fn arg(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }

    /// The binary.
    pub fn bin(&self) -> &Path {
        &self.bin
    }

    /// Who calls where nobody is named: `operator` of `dev`, `admin` of `serve`.
    pub fn operator_name(&self) -> &'static str {
        self.operator
    }

    /// The folder of somebody's identity.
    pub fn identity_folder(&self, who: &str) -> PathBuf {
        self.folder.join("identities").join(who)
    }

    /// Somebody's identity.
    pub fn identity(&self, who: &str) -> Identity {
        match Identity::load(&self.identity_folder(who)) {
            Ok(identity) => identity,
            Err(error) => panic!("{who} has no identity: {error}"),
        }
    }

    /// The process id, while it runs.
    pub fn pid(&self) -> Option<u32> {
        self.process.as_ref().map(Process::id)
    }

    /// Whether the process still runs.
    pub fn is_running(&mut self) -> bool {
        self.process.as_mut().is_some_and(Process::is_running)
    }

    /// What it has written to standard error so far, over all its starts.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.log_file()).unwrap_or_default()
    }

    /// Ends it at once, as by power loss of the process.
    pub fn kill9(&mut self) {
        if let Some(process) = self.process.take() {
            process.kill();
        }
    }

    /// Ends it as an operator does (SIGTERM); its exit code, -1 if a signal ended it.
    pub fn stop(&mut self) -> i32 {
        match self.process.take() {
            Some(process) => match process.terminate() {
                Some(code) => code,
                None => panic!("it does not stop\n{}", self.log()),
            },
            None => panic!("it does not run"),
        }
    }

    /// Waits until it ends by itself; its exit code, -1 if a signal ended it.
    pub fn ended(&mut self) -> i32 {
        match self.process.take() {
            Some(process) => match process.wait() {
                Some(code) => code,
                None => panic!("it does not end\n{}", self.log()),
            },
            None => panic!("it does not run"),
        }
    }

    /// Starts it again on the same folder, and waits until it is ready.
    pub fn restart(&mut self) {
        self.kill9();
        self.launch();
    }

    /// Starts it again on the same folder, and waits only until its process answers: for one that is not
    /// ready, and says why.
    pub fn restart_unready(&mut self) {
        self.kill9();
        self.launch_unready();
    }

    /// Runs the command line as `who` (`""` is the operator), with `-o json`.
    pub fn cli(&self, who: &str, args: &[impl AsRef<str>]) -> Outcome {
        self.cli_with(who, args, b"")
    }

    /// The same with something on standard input.
    pub fn cli_with(&self, who: &str, args: &[impl AsRef<str>], input: &[u8]) -> Outcome {
        let mut all = vec!["-o".to_owned(), "json".to_owned()];
        all.extend(args.iter().map(|arg| arg.as_ref().to_owned()));
        self.cli_raw(who, &all, input)
    }

    /// The same without `-o json`.
    pub fn cli_raw(&self, who: &str, args: &[impl AsRef<str>], input: &[u8]) -> Outcome {
        let who = if who.is_empty() { self.operator } else { who };
        let identity = self.identity_folder(who).display().to_string();
        let environment = [
            ("TASKPASS_ADDR", self.addresses.addr.as_str()),
            ("TASKPASS_HTTP", self.addresses.http.as_str()),
            ("TASKPASS_OPS", self.addresses.ops.as_str()),
            ("TASKPASS_IDENTITY", identity.as_str()),
        ];
        cli::run(&self.bin, &environment, args, input)
    }

    /// Asks the public HTTP for a path such as `/ca.pem`.
    pub fn get(&self, path: &str) -> Reply {
        self.ask(&format!("{}{path}", self.addresses.http))
    }

    /// Asks health and metrics for a path such as `/metrics`.
    pub fn ops(&self, path: &str) -> Reply {
        self.ask(&format!("{}{path}", self.addresses.ops))
    }

    fn ask(&self, url: &str) -> Reply {
        match http::get(url) {
            Ok(reply) => reply,
            Err(error) => panic!("{url}: {error}\n{}", self.log()),
        }
    }

    fn log_file(&self) -> PathBuf {
        self.folder.join("stderr.log")
    }
}
