//! `taskpass issue …`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// `taskpass issue`.
#[derive(Debug, Subcommand)]
pub(crate) enum IssueCommand {
    /// Get a token for one target
    #[command(after_help = "\
Example:
  TOKEN=$(taskpass issue token --task T --target https://ledger.example --scope invoices:read)

Standard output is the token and nothing else; the rest is on standard error. With -o json it is one
object. A scope that actuates needs a bound token: issue a certificate first, then --bind-cert.")]
    Token(TokenArgs),
    /// Get a client certificate that proves the task
    #[command(after_help = "\
Example:
  taskpass issue cert --task T --out tls
  curl --cert tls/cert.pem --key tls/key.pem https://ledger.example/

The key is made here and never leaves this machine. With --csr no key is made.")]
    Cert(CertArgs),
}

/// Which token.
#[derive(Debug, Args)]
pub(crate) struct TokenArgs {
    /// A live task of yours
    #[arg(long, value_name = "TASK")]
    pub(crate) task: String,
    /// The audience: a registered target's URI
    #[arg(long, value_name = "URI")]
    pub(crate) target: String,
    /// A scope at that target, within the task's; repeat for more
    #[arg(long = "scope", value_name = "SCOPE", value_delimiter = ',', num_args = 1.., required = true)]
    pub(crate) scopes: Vec<String>,
    /// How long it lives, such as 90s; 5m if absent, at most 1h
    #[arg(long, value_name = "DURATION", allow_hyphen_values = true)]
    pub(crate) ttl: Option<String>,
    /// A certificate of the same task (PEM or DER); the token then works only with its key
    #[arg(long, value_name = "FILE")]
    pub(crate) bind_cert: Option<PathBuf>,
}

/// Which certificate, and where to.
#[derive(Debug, Args)]
pub(crate) struct CertArgs {
    /// A live task of yours
    #[arg(long, value_name = "TASK")]
    pub(crate) task: String,
    /// The folder for cert.pem, key.pem and ca.pem; made if absent
    #[arg(long, value_name = "DIR")]
    pub(crate) out: PathBuf,
    /// How long it lives, such as 10m; 15m if absent, at most 24h
    #[arg(long, value_name = "DURATION", allow_hyphen_values = true)]
    pub(crate) ttl: Option<String>,
    /// What it is for: client, or spiffe-svid to be a server as well, which a policy must permit
    #[arg(long, value_name = "PROFILE", default_value = "client")]
    pub(crate) profile: String,
    /// Certify the key of this request (PKCS#10, PEM or DER) instead of making one
    #[arg(long, value_name = "FILE")]
    pub(crate) csr: Option<PathBuf>,
}
