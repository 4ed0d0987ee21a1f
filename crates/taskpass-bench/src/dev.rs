//! A development broker in a process of its own, to be killed.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use taskpass_core::Clock;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};

use crate::error::BenchError;
use crate::machine;
use crate::pace::since;

/// What failed, where it did.
const START: &str = "start a broker";
/// A start that takes longer than this is no start.
const PATIENCE: Duration = Duration::from_mins(2);
/// What a broker needs no answer to, to be told not ready.
const ASK_AGAIN: Duration = Duration::from_millis(2);

/// A broker that runs and is ready. Dropping it kills it.
pub(crate) struct Dev {
    child: Child,
    ready_after: Duration,
}

impl Dev {
    /// Starts `program` on `folder` and waits until it is ready.
    pub(crate) async fn start(
        program: &Path,
        folder: &Path,
        clock: &dyn Clock,
    ) -> Result<Self, BenchError> {
        let mut command = Command::new(program);
        command.args(["--output", "json", "dev", "--data"]);
        command.arg(folder).stdin(Stdio::null());
        if !folder.join("dev.toml").exists() {
            for listener in ["--grpc", "--http", "--ops", "--oauth"] {
                command.args([listener, "127.0.0.1:0"]);
            }
        }
        command.stdout(Stdio::piped()).stderr(Stdio::null());
        command.kill_on_drop(true);
        let began = clock.monotonic();
        let mut child = command.spawn().map_err(BenchError::setup(START))?;
        let ready = tokio::time::timeout(PATIENCE, until_ready(&mut child)).await;
        ready.map_err(BenchError::setup("wait for a broker"))??;
        Ok(Self {
            child,
            ready_after: since(began, clock),
        })
    }

    /// From starting the process to its being ready.
    pub(crate) const fn ready_after(&self) -> Duration {
        self.ready_after
    }

    /// The memory that it holds.
    pub(crate) fn resident(&self) -> Option<u64> {
        machine::resident(Some(self.child.id()?))
    }

    /// Kills it as nothing can be prepared for: SIGKILL.
    pub(crate) async fn kill(mut self) -> Result<(), BenchError> {
        self.child
            .kill()
            .await
            .map_err(BenchError::setup("kill a broker"))
    }
}

fn failed(why: &str) -> BenchError {
    BenchError::setup(START)(why)
}

/// Waits for its line, and for its readiness.
async fn until_ready(child: &mut Child) -> Result<(), BenchError> {
    let output = child.stdout.take();
    let output = output.ok_or_else(|| failed("it has no output"))?;
    let mut line = String::new();
    let mut lines = BufReader::new(output);
    lines
        .read_line(&mut line)
        .await
        .map_err(BenchError::setup(START))?;
    let said: serde_json::Value = serde_json::from_str(&line)
        .map_err(|_| failed("it ended early; run `taskpass dev` to see why"))?;
    let ops = said.get("ops").and_then(serde_json::Value::as_str);
    let ops = ops.and_then(|url| url.strip_prefix("http://"));
    let ops = ops.ok_or_else(|| failed("it did not say where its health is"))?;
    while !is_ready(ops).await {
        tokio::time::sleep(ASK_AGAIN).await;
    }
    Ok(())
}

async fn is_ready(ops: &str) -> bool {
    let Ok(mut stream) = TcpStream::connect(ops).await else {
        return false;
    };
    let request = format!("GET /readyz HTTP/1.1\r\nHost: {ops}\r\nConnection: close\r\n\r\n");
    let mut answer = Vec::new();
    stream.write_all(request.as_bytes()).await.is_ok()
        && stream.read_to_end(&mut answer).await.is_ok()
        && answer.starts_with(b"HTTP/1.1 200")
}
