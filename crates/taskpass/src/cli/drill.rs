//! `taskpass drill …`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// `taskpass drill`.
#[derive(Debug, Subcommand)]
pub(crate) enum DrillCommand {
    /// Revoke a canary's fresh credential, and measure until everybody refuses it
    Revoke(DrillRevokeArgs),
    /// Register a canary, and enrol it into a folder
    Setup(DrillSetupArgs),
}

/// The drill.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  taskpass drill setup --out canary --target https://ledger.example --scope invoices:read
  taskpass drill revoke --canary canary
  taskpass drill revoke --canary canary --timeout 10s --reason 'quarterly drill' -o json

The canary starts a task and is issued a token in the ordinary way; this command's identity revokes it in
the ordinary way. Then it is measured, by the broker's monotonic clock and from the arrival of the
revocation: until it is on disk, until the broker's own introspection refuses, and until each verifier
on the feed that speaks for the target has confirmed that it refuses. A verifier that is connected and
does not confirm in time is silent: it does not know of drills, or does not refuse.

The canary is an agent with the label drill=canary; nobody else's credentials are taken. By hand:
  taskpass agent register canary --owner OWNER --purpose 'drills' --scope TARGET#SCOPE --label drill=canary
  taskpass agent enrol-token canary --out t && taskpass enrol --token-file t --out canary
Its identity is renewed like any other: taskpass --identity canary renew

Exit code: 0 if the broker and everything that was connected refused in time; 1 otherwise (DRILL_FAILED).
The drill is an entry of the audit log. One a minute. For administrators and responders.")]
pub(crate) struct DrillRevokeArgs {
    /// The folder of the canary's identity: cert.pem, key.pem, ca.pem
    #[arg(long, value_name = "DIR", default_value = "canary")]
    pub(crate) canary: PathBuf,
    /// The target whose verifiers are drilled; the first that the canary is registered for, if absent
    #[arg(long, value_name = "URI")]
    pub(crate) target: Option<String>,
    /// A scope at that target; all that the canary is registered for, if absent
    #[arg(long = "scope", value_name = "SCOPE", value_delimiter = ',', num_args = 1..)]
    pub(crate) scopes: Vec<String>,
    /// How long to wait for verifiers: 100ms to 20s; 5s if absent
    #[arg(long, value_name = "DURATION", allow_hyphen_values = true)]
    pub(crate) timeout: Option<String>,
    /// Why; recorded
    #[arg(
        long,
        value_name = "TEXT",
        default_value = "drill of the kill switch",
        allow_hyphen_values = true
    )]
    pub(crate) reason: String,
}

/// The canary.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  taskpass drill setup --out canary --target https://ledger.example --scope invoices:read

Registers the owner, unless there is one of that name, and an agent with the label drill=canary; makes an
enrolment token, and trades it for an identity in the folder. Choose a scope that does no harm: the token
of a drill is never used, but it is a real one. For administrators.")]
pub(crate) struct DrillSetupArgs {
    /// The folder for the canary's identity; made if absent
    #[arg(long, value_name = "DIR", default_value = "canary")]
    pub(crate) out: PathBuf,
    /// The canary's name
    #[arg(long, value_name = "NAME", default_value = "canary")]
    pub(crate) name: String,
    /// Who is accountable for it
    #[arg(long, value_name = "OWNER", default_value = "drills")]
    pub(crate) owner: String,
    /// How to reach that owner, if it is new
    #[arg(long, value_name = "TEXT", default_value = "security")]
    pub(crate) contact: String,
    /// The target whose verifiers are to be drilled
    #[arg(long, value_name = "URI")]
    pub(crate) target: String,
    /// A scope there that only reads; repeat for more
    #[arg(long = "scope", value_name = "SCOPE", value_delimiter = ',', num_args = 1.., required = true)]
    pub(crate) scopes: Vec<String>,
    /// From when on the canary gets nothing: an instant, a day, or how long from now; at most 400d
    #[arg(
        long,
        value_name = "WHEN",
        default_value = "90d",
        allow_hyphen_values = true
    )]
    pub(crate) valid_until: String,
}
