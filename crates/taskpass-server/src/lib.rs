//! The edges of taskpass: gRPC for callers, HTTP for everybody who verifies, operations on loopback.
//!
//! | module | what is in it |
//! |---|---|
//! | `accept`, `tls` | sockets, limits, TLS with client certificates of the Control hierarchy |
//! | `lanes` | threads for revocation, health and handshakes, which load cannot fill |
//! | `peer` | what a verified client certificate says |
//! | `federation` | callers by the word of other issuers, trust domains and the kernel |
//! | `unix` | gRPC for processes on this machine |
//! | [`access`] | the one table: which kind of caller may call which method |
//! | `gate` | asks the table and the broker before any handler runs |
//! | `grpc` | one file for each service: proto to domain, call, domain to proto |
//! | `status` | the one place where an error becomes a gRPC status |
//! | `http` | JWKS, metadata, anchors, CRLs, checkpoints of the log |
//! | `oauth` | the OAuth front: token, introspection and revocation endpoints |
//! | `ops` | health, readiness, metrics |
//! | `background` | reaper, archiver, settling of rules, renewal of the server's certificate |
//! | `floors` | methods of a bench, which no broker that is served has |
//! | `export` | hands checkpoints of the log outward |
//! | `pressure` | says when the outbox fills |
//!
//! Nothing is decided here but who may call what; the rest is the broker's.

mod accept;
pub mod access;
mod background;
mod callers;
mod export;
mod federation;
mod floors;
mod gate;
mod grpc;
mod http;
mod lanes;
mod metrics;
mod oauth;
mod ops;
mod peer;
mod pressure;
mod run;
mod settings;
mod status;
mod tls;
mod unix;

pub use export::CheckpointExport;
pub use federation::{FederationError, FederationSettings, JwtIssuer, KeySource, SvidDomain};
pub use floors::Floors;
pub use grpc::{entry_of, row_of};
pub use peer::proved;
pub use run::{Listeners, Running, StartError, start, start_with_floors};
pub use settings::{CallerLimits, HttpTls, Settings, TransportLimits};
pub use tls::TlsError;
