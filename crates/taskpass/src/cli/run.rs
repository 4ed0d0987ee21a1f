//! `taskpass run`, and the helper that it starts the command through.

use std::ffi::OsString;

use clap::Args;

/// What to run, as what, and under which ceiling.
#[derive(Debug, Args)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a switch of the command line"
)]
pub(crate) struct RunArgs {
    /// What the task is for; recorded and seen by policy
    #[arg(long, value_name = "TEXT")]
    pub(crate) purpose: String,
    /// A scope of the task; repeat for more. One token is made for each target
    #[arg(long = "scope", value_name = "TARGET#SCOPE", value_delimiter = ',', num_args = 1.., required = true)]
    pub(crate) scopes: Vec<String>,
    /// How long the task may last, such as 10m; 1h if absent, at most 24h
    #[arg(long, value_name = "DURATION", allow_hyphen_values = true)]
    pub(crate) ttl: Option<String>,
    /// The live task that this one is a part of
    #[arg(long, value_name = "TASK")]
    pub(crate) parent: Option<String>,
    /// How long each token lives, such as 90s; it is renewed in time
    #[arg(long, value_name = "DURATION", allow_hyphen_values = true)]
    pub(crate) token_ttl: Option<String>,
    /// How long each certificate lives, such as 10m; it is renewed with the tokens
    #[arg(long, value_name = "DURATION", allow_hyphen_values = true)]
    pub(crate) cert_ttl: Option<String>,
    /// Make no certificate; the tokens are then bearer tokens
    #[arg(long, conflicts_with = "cert_ttl")]
    pub(crate) no_cert: bool,
    /// Run the command as this user (needs root): a name in /etc/passwd, or numbers
    #[arg(long, value_name = "NAME|UID[:GID]")]
    pub(crate) user: Option<String>,
    /// How long the command may take to end once it was told to
    #[arg(
        long,
        value_name = "DURATION",
        default_value = "10s",
        allow_hyphen_values = true
    )]
    pub(crate) grace: String,
    /// Let the command go on when its credentials have ended for good
    #[arg(long)]
    pub(crate) keep_running: bool,
    /// Do not end the task when this process is gone; it ends at its deadline
    #[arg(long)]
    pub(crate) no_keep_alive: bool,
    /// Say nothing but errors
    #[arg(short, long)]
    pub(crate) quiet: bool,
    /// The command and its arguments
    #[arg(last = true, required = true, value_name = "CMD")]
    pub(crate) command: Vec<OsString>,
}

/// What becomes the command.
#[derive(Debug, Args)]
pub(crate) struct ExecArgs {
    /// The process without which it ends
    #[arg(long, value_name = "PID")]
    pub(crate) parent: i32,
    /// The command and its arguments
    #[arg(last = true, required = true, value_name = "CMD")]
    pub(crate) command: Vec<OsString>,
}
