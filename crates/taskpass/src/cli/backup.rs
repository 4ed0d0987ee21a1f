//! `taskpass backup`, `restore` and `unseal`.

use std::path::PathBuf;

use clap::Args;

/// From where to where.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  taskpass backup --out /backup/taskpass-2026-11-23
  taskpass backup --data /var/lib/taskpass --out /backup/before-upgrade      (the broker is stopped)

The store as it is at one moment, while the broker goes on. Signing keys are in it sealed: the
key-encryption key is not, so keep that elsewhere, and the audit log (`taskpass audit export`) too.
The file is checked once it is written, and appears under its name only then. `taskpass restore` reads
it; docs/OPERATIONS.md says how.")]
pub(crate) struct BackupArgs {
    /// The file to write; it must not be there
    #[arg(long, value_name = "FILE")]
    pub(crate) out: PathBuf,
    /// The data folder of a broker that is stopped, instead of asking one that runs
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
}

/// What becomes what.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  taskpass restore --from /backup/taskpass-2026-11-23 --data /var/lib/taskpass-new \\
      --kek-file /etc/taskpass/kek --log /mirror/audit

What happened after the backup is not in it, so nothing that was out then is believed: all credentials
are revoked, the keys that signed them are tainted, enrolment tokens are void, verifiers start over, and
a new audit log begins that names the last checkpoint of the old one. With --log, a copy of the audit log
(`taskpass audit export`, or the old folder), suspensions, retirements and revocations since are done
again; the report says what could not be.

The broker starts sealed: it refuses to issue until an administrator has enrolled anew, with the
enrolment that this writes, and unsealed it (`taskpass unseal`).")]
pub(crate) struct RestoreArgs {
    /// The backup
    #[arg(long, value_name = "FILE")]
    pub(crate) from: PathBuf,
    /// The data folder to make; a store that is there is left alone
    #[arg(long, value_name = "DIR")]
    pub(crate) data: PathBuf,
    /// The key-encryption key that the broker had when the backup was made
    #[arg(long, value_name = "FILE")]
    pub(crate) kek_file: PathBuf,
    /// A copy of the audit log, to do again what happened since
    #[arg(long, value_name = "DIR")]
    pub(crate) log: Option<PathBuf>,
    /// The administrator who is to unseal it; the only one if absent
    #[arg(long, value_name = "NAME")]
    pub(crate) operator: Option<String>,
}

/// Why.
#[derive(Debug, Args)]
#[command(after_help = "\
Example: taskpass unseal --reason 'restored after the disk failed; two agents registered anew'

Needs an identity that is newer than the restoring. Look first at what `taskpass restore` could not do
again: entries that were registered, changed or retired after the backup.")]
pub(crate) struct UnsealArgs {
    /// Why; recorded
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    pub(crate) reason: String,
}
