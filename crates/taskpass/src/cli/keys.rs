//! `taskpass keys …`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

/// `taskpass keys`.
#[derive(Debug, Subcommand)]
pub(crate) enum KeysCommand {
    /// List what each key signs and where in its life it is
    List,
    /// Let the next key of a slot take over, as soon as verifiers can know it
    #[command(after_help = "\
Examples:
  taskpass keys rotate token-es256
  taskpass keys rotate KEY_ID            the slot of that key; of a prepared one, that one

Keys rotate by themselves: tokens and the feed every 30 days, issuing authorities every 120. The key
before stays published until everything that it signed has ended. For a key that may be stolen:
taskpass keys taint.")]
    Rotate(RotateArgs),
    /// Distrust a key: whatever it signed is refused at once, and the next one takes over
    #[command(after_help = "\
Example: taskpass keys taint KEY_ID --reason 'host compromised'

Verifiers on the feed hear of it at once. Tainting a control-issuing key ends every identity that it
certified, your own included: first make an enrolment token for yourself with
`taskpass operator enrol-token NAME`, and enrol with it afterwards. That needs --ends-identities.")]
    Taint(TaintArgs),
    /// Print a request for an authority's certificate, to be signed elsewhere
    #[command(after_help = "\
Examples:
  taskpass keys export-csr task > task.csr          an issuing authority beneath an offline root
  taskpass keys export-csr task-root > root.csr     the broker's own root beneath a corporate one

How to sign it, step by step: docs/KEYS.md.")]
    ExportCsr(ExportCsrArgs),
    /// Take the certificate that an authority was given elsewhere
    #[command(after_help = "\
Example: taskpass keys import --certificate chain.pem

The file holds the certificate and those above it up to a self-signed one, in PEM, in any order. A
root that was not known is trusted from then on; the authority takes over a week later, when every
identity has been renewed, and at once if its root is known. Also takes a root's list of revoked
authorities (an X509 CRL alone), where the root's key is not here.")]
    Import(ImportArgs),
    /// Destroy the private half of a hierarchy's root, which is kept elsewhere
    #[command(after_help = "\
Example: taskpass keys forget-root task --reason 'authorities are certified offline now'

It cannot be undone. What is certified stays good; the next issuing authority needs
`taskpass keys export-csr` and a root elsewhere.")]
    ForgetRoot(ForgetRootArgs),
    /// Seal every private key under another key-encryption key; the broker must not be running
    #[command(after_help = "\
Example:
  systemctl stop taskpass
  taskpass keys rewrap --config /etc/taskpass/taskpass.toml --new-kek /etc/taskpass/kek.new
  mv /etc/taskpass/kek.new /etc/taskpass/kek
  systemctl start taskpass

If the file is not there, a fresh key is written to it. All keys are sealed anew in one commit, so an
interruption leaves either key-encryption key the right one; run it again. Afterwards the old one
opens nothing.")]
    Rewrap(RewrapArgs),
}

/// What to rotate.
#[derive(Debug, Args)]
pub(crate) struct RotateArgs {
    /// A purpose, such as token-es256, or a key
    #[arg(value_name = "PURPOSE|KEY", allow_hyphen_values = true)]
    pub(crate) key: String,
    /// Now, even if verifiers cannot know the next key yet: some refuse what it signs for minutes
    #[arg(long)]
    pub(crate) now: bool,
}

/// What to distrust.
#[derive(Debug, Args)]
pub(crate) struct TaintArgs {
    /// The key
    #[arg(value_name = "KEY", allow_hyphen_values = true)]
    pub(crate) key: String,
    /// Why; recorded
    #[arg(long, value_name = "TEXT")]
    pub(crate) reason: String,
    /// Of a control-issuing key: everybody that it certified must enrol anew
    #[arg(long)]
    pub(crate) ends_identities: bool,
}

/// Which authority.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Authority {
    /// Issues identities and the broker's server certificate
    Control,
    /// Issues task certificates
    Task,
    /// The root above control
    ControlRoot,
    /// The root above task
    TaskRoot,
}

impl Authority {
    /// The purpose of its key.
    pub(crate) const fn purpose(self) -> &'static str {
        match self {
            Self::Control => "control-issuing",
            Self::Task => "task-issuing",
            Self::ControlRoot => "control-root",
            Self::TaskRoot => "task-root",
        }
    }
}

/// For what.
#[derive(Debug, Args)]
pub(crate) struct ExportCsrArgs {
    /// Which authority
    #[arg(value_enum, value_name = "AUTHORITY")]
    pub(crate) authority: Authority,
}

/// What was signed.
#[derive(Debug, Args)]
pub(crate) struct ImportArgs {
    /// The certificate and those above it, PEM; `-` for standard input
    #[arg(long, value_name = "FILE")]
    pub(crate) certificate: PathBuf,
    /// Do not take over: stand by, as the prepared key
    #[arg(long)]
    pub(crate) standby: bool,
}

/// Which root.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum RootOf {
    /// The root of callers and of the broker
    Control,
    /// The root of tasks
    Task,
}

/// Which root, and why.
#[derive(Debug, Args)]
pub(crate) struct ForgetRootArgs {
    /// Which hierarchy's root
    #[arg(value_enum, value_name = "HIERARCHY")]
    pub(crate) hierarchy: RootOf,
    /// Why; recorded
    #[arg(long, value_name = "TEXT")]
    pub(crate) reason: String,
}

/// From what to what.
#[derive(Debug, Args)]
pub(crate) struct RewrapArgs {
    /// The broker's configuration, which names the present key-encryption key
    #[arg(long, value_name = "FILE")]
    pub(crate) config: PathBuf,
    /// The next key-encryption key; made if the file is not there
    #[arg(long, value_name = "FILE")]
    pub(crate) new_kek: PathBuf,
}
