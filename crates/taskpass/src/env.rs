//! The environment variables that the command line reads, by name.
//!
//! Only their names: clap reads them, once, together with the options that go before them.

/// Where the broker's gRPC front is.
pub(crate) const ADDR: &str = "TASKPASS_ADDR";
/// The folder of the identity by which to call.
pub(crate) const IDENTITY: &str = "TASKPASS_IDENTITY";
/// A token of the platform to present instead of an identity.
pub(crate) const ATTESTATION_TOKEN_FILE: &str = "TASKPASS_ATTESTATION_TOKEN_FILE";
/// The anchors by which the broker is known, where no identity holds them.
pub(crate) const CA: &str = "TASKPASS_CA";
/// The base URL of the broker's public HTTP.
pub(crate) const HTTP: &str = "TASKPASS_HTTP";
/// The base URL of health and metrics.
pub(crate) const OPS: &str = "TASKPASS_OPS";
/// The anchors by which to trust the public HTTP, where the system's do not do.
pub(crate) const HTTP_CA: &str = "TASKPASS_HTTP_CA";
/// Set to anything: no colours (no-color.org).
pub(crate) const NO_COLOR: &str = "NO_COLOR";
