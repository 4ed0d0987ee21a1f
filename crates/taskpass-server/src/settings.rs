//! What the edges are told at the start.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use crate::export::CheckpointExport;
use crate::federation::FederationSettings;

/// Bounds on what any peer can make the server hold.
#[derive(Debug, Clone)]
pub struct TransportLimits {
    /// Connections at one listener.
    pub connections: usize,
    /// TLS handshakes at one time.
    pub handshakes: usize,
    /// How long a handshake may take.
    pub handshake_timeout: Duration,
    /// Requests at one time on one connection.
    pub streams: u32,
    /// Requests at one time on all connections; revocation and health have room beside it.
    pub in_flight: usize,
    /// The largest request message, in bytes.
    pub message_bytes: usize,
    /// The largest header list, in bytes.
    pub header_bytes: u32,
    /// How often an idle connection is asked whether it lives.
    pub keepalive: Duration,
    /// How long a connection may stay on which nothing is asked; less where most places are taken.
    pub idle_timeout: Duration,
    /// How long finishing may take when the server stops.
    pub grace: Duration,
    /// Connections from one address at one listener.
    pub connections_per_address: usize,
    /// What one caller may take.
    pub caller: CallerLimits,
}

/// Bounds on what one caller can ask at once, whatever connections it comes over.
#[derive(Debug, Clone, Copy)]
pub struct CallerLimits {
    /// Requests in a second; each item of a batch is one.
    pub requests_per_second: u32,
    /// Requests at one time; sixteen items of a batch are one.
    pub in_flight: usize,
    /// Streams of one kind at one time.
    pub streams: usize,
    /// Requests in a second of all callers together.
    pub all_per_second: u32,
}

impl Default for CallerLimits {
    fn default() -> Self {
        Self {
            requests_per_second: 20_000,
            in_flight: 512,
            streams: 512,
            all_per_second: 100_000,
        }
    }
}

impl Default for TransportLimits {
    fn default() -> Self {
        Self {
            connections: 4096,
            handshakes: 256,
            handshake_timeout: Duration::from_secs(5),
            streams: 256,
            in_flight: 1024,
            message_bytes: 512 * 1024,
            header_bytes: 16 * 1024,
            keepalive: Duration::from_secs(30),
            idle_timeout: Duration::from_mins(10),
            grace: Duration::from_secs(10),
            connections_per_address: 1024,
            caller: CallerLimits::default(),
        }
    }
}

/// How the public HTTP listener is protected.
#[derive(Debug, Clone)]
pub enum HttpTls {
    /// Plain HTTP: on loopback, or behind a proxy that terminates TLS.
    Plain,
    /// TLS with certificate and key files of the operator's.
    Files {
        /// The certificate chain, PEM.
        cert: PathBuf,
        /// The private key, PEM.
        key: PathBuf,
    },
}

/// What the edges are told at the start.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Names that the gRPC server's certificate carries, beside `localhost`.
    pub dns_names: Vec<String>,
    /// Addresses that the gRPC server's certificate carries, beside the loopback ones.
    pub ip_addresses: Vec<IpAddr>,
    /// The public HTTP listener.
    pub http_tls: HttpTls,
    /// Where clients find the OAuth front, if it has a listener: by default its own address.
    pub oauth_url: Option<String>,
    /// Whom the broker believes besides itself.
    pub federation: FederationSettings,
    /// Offers gRPC reflection: for development.
    pub reflection: bool,
    /// Where the policies are, which come into force when they change; absent for the shipped ones.
    pub policies: Option<PathBuf>,
    /// Where the audit log lies.
    pub log_folder: PathBuf,
    /// How many months of it are kept, the current one included; all if absent.
    pub keep_months: Option<u32>,
    /// Where its checkpoints go.
    pub checkpoint_export: CheckpointExport,
    /// How often the reaper looks.
    pub reap_interval: Duration,
    /// How often the archiver looks.
    pub archive_interval: Duration,
    /// The longest list of one page, and other bounds.
    pub limits: TransportLimits,
}
