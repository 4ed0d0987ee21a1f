//! `taskpass enrol`, `taskpass introspect` and `taskpass verify`: the commands that are handed a
//! secret, which is always a file or standard input.

use std::path::PathBuf;

use clap::Args;

/// With what to enrol, and where to.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  taskpass enrol --token-file invoice-bot.enrol --out identity
  export TASKPASS_IDENTITY=$PWD/identity

The file comes from `taskpass agent|operator|verifier enrol-token` (or `taskpass init`) and says
where the broker is; --addr goes before it. It works once.")]
pub(crate) struct EnrolArgs {
    /// The enrolment file; `-` for standard input
    #[arg(long, value_name = "FILE")]
    pub(crate) token_file: PathBuf,
    /// The folder for cert.pem, key.pem and ca.pem; made if absent
    #[arg(long, value_name = "DIR")]
    pub(crate) out: PathBuf,
    /// Replace the identity that is in the folder
    #[arg(long)]
    pub(crate) replace: bool,
}

/// About what to ask.
#[derive(Debug, Args)]
#[command(after_help = "\
Example: echo \"$TOKEN\" | taskpass introspect --token-file -

Whatever is not valid now, not of this broker, or not for your targets is `active: false`.
For verifiers and operators.")]
#[group(id = "credential", required = true, multiple = false, args = ["token_file", "cert_file"])]
pub(crate) struct IntrospectArgs {
    /// The file with the token; `-` for standard input
    #[arg(long, value_name = "FILE")]
    pub(crate) token_file: Option<PathBuf>,
    /// The file with the certificate (PEM or DER)
    #[arg(long, value_name = "FILE")]
    pub(crate) cert_file: Option<PathBuf>,
}

/// What to check, and against what.
#[derive(Debug, Args)]
#[command(after_help = "\
Example: taskpass verify --token-file token.jwt --audience https://ledger.example

Fetches the issuer's metadata and keys over TASKPASS_HTTP, connects to the revocation feed with your
identity (an operator's or verifier's), waits until it is complete, and checks the token as a
downstream API would. Exit code 1 and the reason if it does not hold.")]
pub(crate) struct VerifyArgs {
    /// The file with the token; `-` for standard input
    #[arg(long, value_name = "FILE")]
    pub(crate) token_file: PathBuf,
    /// The target that it must be for; the token's own if absent
    #[arg(long, value_name = "URI")]
    pub(crate) audience: Option<String>,
    /// The certificate (PEM or DER) that came with a bound token
    #[arg(long, value_name = "FILE")]
    pub(crate) cert: Option<PathBuf>,
    /// Do not ask for revocations: a revoked token then passes
    #[arg(long)]
    pub(crate) no_feed: bool,
}
