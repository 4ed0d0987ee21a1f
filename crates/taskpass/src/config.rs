//! The configuration of `taskpass serve`: a TOML file, parsed into types that cannot hold a wrong value.
//!
//! Unknown keys are refused, times are humantime, secrets are never in the file. Every option with
//! its default is in `config/taskpass.full.toml`, which a test parses and compares with the defaults.

mod audit;
mod federation;
mod file;
mod kek;
mod limits;
mod registry;

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use taskpass_broker::Limits;
use taskpass_server::{CheckpointExport, FederationSettings, HttpTls, TransportLimits};

use crate::errors::CliError;

pub(crate) use federation::Socket;
pub(crate) use kek::KekSource;

/// A configuration that `serve` takes.
#[derive(Debug, Clone)]
pub(crate) struct Config {
    /// Where the store lies.
    pub(crate) data: PathBuf,
    /// Where the audit log goes.
    pub(crate) log_folder: PathBuf,
    /// Where the key-encryption key comes from.
    pub(crate) kek: KekSource,
    /// Where the policies are; the shipped ones if absent.
    pub(crate) policies: Option<PathBuf>,
    /// gRPC.
    pub(crate) grpc: SocketAddr,
    /// Names in the gRPC server's certificate.
    pub(crate) grpc_dns: Vec<String>,
    /// Addresses in it.
    pub(crate) grpc_ips: Vec<IpAddr>,
    /// Public HTTP.
    pub(crate) http: SocketAddr,
    /// How public HTTP is protected.
    pub(crate) http_tls: HttpTls,
    /// Whether a proxy terminates TLS in front of public HTTP: said aloud at the start.
    pub(crate) behind_tls_proxy: bool,
    /// Health and metrics.
    pub(crate) ops: SocketAddr,
    /// The OAuth front; none unless it is configured.
    pub(crate) oauth: Option<SocketAddr>,
    /// Where clients find it.
    pub(crate) oauth_url: Option<String>,
    /// Whom the broker believes besides itself.
    pub(crate) federation: FederationSettings,
    /// The Unix socket; none unless it is configured.
    pub(crate) unix: Option<Socket>,
    /// Limits and defaults of issuing.
    pub(crate) limits: Limits,
    /// How often the reaper looks.
    pub(crate) reap_interval: Duration,
    /// How many months of the audit log are kept; all if absent.
    pub(crate) keep_months: Option<u32>,
    /// Where checkpoints of the audit log go.
    pub(crate) checkpoint_export: CheckpointExport,
    /// How often the archiver looks.
    pub(crate) archive_interval: Duration,
    /// Limits of connections.
    pub(crate) transport: TransportLimits,
    /// The store's page cache, in bytes.
    pub(crate) cache_bytes: usize,
    /// Audit entries that may wait for the log.
    pub(crate) outbox_limit: u64,
    /// What is logged, as `tracing` filters.
    pub(crate) log_filter: String,
    /// Whether diagnostics are JSON.
    pub(crate) log_json: bool,
}

impl Config {
    /// Reads and checks a file. Paths in it are relative to its folder.
    pub(crate) fn load(path: &Path) -> Result<Self, CliError> {
        let text =
            std::fs::read_to_string(path).map_err(|error| CliError::file("read", path, error))?;
        let folder = path.parent().unwrap_or(Path::new("."));
        Self::parse(&text, folder).map_err(|message| {
            CliError::new("INVALID_CONFIG", format!("{}: {message}", path.display()))
                .hint("config/taskpass.full.toml shows every option with its default")
        })
    }

    /// Checks a text. Paths in it are relative to `folder`.
    pub(crate) fn parse(text: &str, folder: &Path) -> Result<Self, String> {
        let file: file::File = toml::from_str(text).map_err(|error| at_line(text, &error))?;
        file.check(folder)
    }
}

/// What is wrong, in which line and at which key, without the picture that the library draws over
/// several lines.
fn at_line(text: &str, error: &toml::de::Error) -> String {
    let Some(before) = error.span().and_then(|span| text.get(..span.start)) else {
        return error.message().to_owned();
    };
    let number = before.matches('\n').count();
    let key = text
        .lines()
        .nth(number)
        .and_then(|line| line.split_once('='))
        .map(|(key, _)| format!(", `{}`", key.trim()))
        .unwrap_or_default();
    format!("line {}{key}: {}", number + 1, error.message())
}

#[cfg(test)]
mod tests;
