//! `taskpass audit …`: the log that cannot be rewritten unseen.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

/// `taskpass audit`.
#[derive(Debug, Subcommand)]
pub(crate) enum AuditCommand {
    /// Print entries as they are logged
    Tail(TailArgs),
    /// Find entries, the newest first
    Query(QueryArgs),
    /// Print the newest checkpoint, exactly as it is signed
    Checkpoint(CheckpointArgs),
    /// Copy the log into a folder of tiles or a file of JSON lines, and verify the copy
    Export(ExportArgs),
    /// Verify an exported folder offline: every entry, every hash, and that months follow each other
    Verify(VerifyArgs),
    /// Write the proof that a credential's issue is in the log
    Proof(ProofArgs),
    /// Check such a proof offline
    VerifyProof(VerifyProofArgs),
}

/// Which entries: they must match every option that is given.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Which entries")]
pub(crate) struct FilterArgs {
    /// Of this agent
    #[arg(long, value_name = "NAME")]
    pub(crate) agent: Option<String>,
    /// Of this owner's agents
    #[arg(long, value_name = "NAME")]
    pub(crate) owner: Option<String>,
    /// Of this task
    #[arg(long, value_name = "ID")]
    pub(crate) task: Option<String>,
    /// About this target
    #[arg(long, value_name = "URI")]
    pub(crate) target: Option<String>,
    /// About this token or certificate
    #[arg(long, value_name = "ID")]
    pub(crate) credential: Option<String>,
    /// Of this kind, such as credential.token
    #[arg(long, value_name = "KIND")]
    pub(crate) kind: Option<String>,
    /// With this outcome: allow, deny or done
    #[arg(long, value_name = "OUTCOME")]
    pub(crate) outcome: Option<String>,
}

/// What to print as it comes.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  taskpass audit tail --outcome deny
  taskpass audit tail --from 0 --log 2026-11 -o json | jq -r .entry.kind

Prints what is logged from now on, or with --from everything since that index, without a gap: when
the broker restarts, it goes on where it stopped. Each line of -o json has log, index and entry. For
operators.")]
pub(crate) struct TailArgs {
    #[command(flatten)]
    pub(crate) filter: FilterArgs,
    /// Begin with this index of the log, from 0; without, with what comes next
    #[arg(long, value_name = "INDEX")]
    pub(crate) from: Option<u64>,
    /// The log that the index is of, and those after it; the current one if absent
    #[arg(long, value_name = "MONTH")]
    pub(crate) log: Option<String>,
}

/// What to find.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  taskpass audit query --agent invoice-bot --since 2h
  taskpass audit query --kind revocation --from 2026-11-01 --until 2026-11-08 --all
  taskpass audit query --credential ID -o json | jq .entries[0].entry

An instant is written 2026-11-22T09:30:00Z, as a day (2026-11-22), or as how long ago it was (2h,
30m, 7d). A filter that names what was never registered is refused rather than found empty. For
operators.")]
pub(crate) struct QueryArgs {
    #[command(flatten)]
    pub(crate) filter: FilterArgs,
    /// At this instant or later
    #[arg(long, visible_alias = "since", value_name = "TIME")]
    pub(crate) from: Option<String>,
    /// Before this instant
    #[arg(long, value_name = "TIME")]
    pub(crate) until: Option<String>,
    /// Only this log, such as 2026-11
    #[arg(long, value_name = "MONTH")]
    pub(crate) log: Option<String>,
    /// Print at most this many
    #[arg(long, value_name = "N", default_value_t = 100)]
    pub(crate) limit: u32,
    /// Print all of them
    #[arg(long, conflicts_with = "limit")]
    pub(crate) all: bool,
    /// Go on where an earlier query stopped (its next_page_token)
    #[arg(
        long,
        value_name = "TOKEN",
        default_value = "",
        hide_default_value = true
    )]
    pub(crate) page_token: String,
}

/// Of which log.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  taskpass audit checkpoint > $(date +%F).checkpoint
  taskpass audit verify export --since 2026-11-01.checkpoint
  taskpass audit checkpoint -o json | jq -r .vkey > broker.vkey

A checkpoint commits the broker to everything that is in the log: whoever keeps one outside the
broker notices if what it covers is changed later. Keep the public key (vkey) as well.")]
pub(crate) struct CheckpointArgs {
    /// Of this log, such as 2026-11; of the current one if absent
    #[arg(long, value_name = "MONTH")]
    pub(crate) log: Option<String>,
}

/// In which form to copy the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ExportFormat {
    /// A folder that anybody can verify (C2SP tlog-tiles), with the public keys
    Tiles,
    /// One file with one entry a line; verified while it is written, and never again
    Jsonl,
    /// As jsonl, each entry as an event of OCSF
    Ocsf,
    /// As jsonl, each entry as an event of CloudEvents 1.0
    Cloudevents,
}

/// What to copy, and where to.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  taskpass audit export --out audit              then, anywhere and offline:
  taskpass audit verify audit --key broker.vkey
  taskpass audit export --format jsonl --log 2026-11 --out november.jsonl

Run it again with the same folder to bring that up to date: only what is new is copied, and if the
log no longer continues what was exported before, it is refused and the folder keeps what it had. A
copy that was cut off goes on. For operators.")]
pub(crate) struct ExportArgs {
    /// In which form
    #[arg(long, value_enum, default_value_t = ExportFormat::Tiles)]
    pub(crate) format: ExportFormat,
    /// The folder, which may be an earlier export; otherwise a new file
    #[arg(long, value_name = "PATH")]
    pub(crate) out: PathBuf,
    /// Only this log, such as 2026-11; all of them if absent
    #[arg(long, value_name = "MONTH")]
    pub(crate) log: Option<String>,
}

/// What to verify, and by what.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  taskpass audit verify audit --key broker.vkey
  taskpass audit verify audit --key broker.vkey --since 2026-11-01.checkpoint
  taskpass audit verify audit/2026-11

Needs no broker and no identity. DIR is an export, one month of it, or the broker's own folder. A key
is the log's public key: a line as in a .vkey file, 32 bytes in hex or base64, or a file with that;
the key of one month serves for all. Without --key the keys in DIR are used, which shows that DIR is
of one piece but not where it is from: compare the key that is printed. With --since it is proved that
the log has only grown since that checkpoint. Exit code 1 and the reason if anything does not hold.")]
pub(crate) struct VerifyArgs {
    /// The folder
    #[arg(value_name = "DIR")]
    pub(crate) dir: PathBuf,
    /// A checkpoint that was kept: the log must have grown from it; `-` for standard input
    #[arg(long, value_name = "FILE")]
    pub(crate) since: Option<PathBuf>,
    /// The public key, or a file with it; repeat if it was changed
    #[arg(long = "key", value_name = "KEY|FILE")]
    pub(crate) keys: Vec<String>,
}

/// Of what to write a proof.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  taskpass audit proof ID --out payment.tlog-proof
  taskpass audit verify-proof payment.tlog-proof --key broker.vkey

The file (C2SP tlog-proof) has the entry about the issue in its `extra` line, the hashes that lead
from it to the root, and the checkpoint that the broker signed: with the public key alone, anybody can
check it for ever. It is checked here before it is written. For operators.")]
pub(crate) struct ProofArgs {
    /// The id of a token or certificate
    #[arg(value_name = "CREDENTIAL")]
    pub(crate) credential: String,
    /// Write it here; to CREDENTIAL.tlog-proof if absent
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
}

/// What to check, and by what.
#[derive(Debug, Args)]
#[command(after_help = "\
Example: taskpass audit verify-proof payment.tlog-proof --key broker.vkey

Needs no broker and no identity. The entry is the one in the file's `extra` line, or that of --entry:
it must be byte for byte as it is in the log. The key is the log's public key, as for `taskpass audit
verify`; a proof says nothing without it. Exit code 1 and the reason if the proof does not hold.")]
pub(crate) struct VerifyProofArgs {
    /// The proof; `-` for standard input
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// The public key, or a file with it; repeat for more
    #[arg(long = "key", value_name = "KEY|FILE")]
    pub(crate) keys: Vec<String>,
    /// The entry, if the proof does not hold it
    #[arg(long, value_name = "FILE")]
    pub(crate) entry: Option<PathBuf>,
}
