//! The command line as clap sees it: commands, options, help.
//!
//! Only the shape is judged here (exit code 2). Values such as lifetimes, scopes and names arrive
//! as text and are judged by `values` and by the broker (exit code 1, with a reason).

pub(crate) mod apply;
pub(crate) mod approval;
pub(crate) mod audit;
pub(crate) mod backup;
pub(crate) mod drill;
pub(crate) mod issue;
pub(crate) mod keys;
pub(crate) mod policy;
pub(crate) mod registry;
pub(crate) mod report;
pub(crate) mod revoke;
pub(crate) mod run;
pub(crate) mod task;
pub(crate) mod verify;

use std::path::PathBuf;

use clap::builder::{OsStringValueParser, TypedValueParser as _};
use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum};

use crate::commands::{bench, check_config, demo, dev, init, serve};
use crate::env;

const EXAMPLES: &str = "\
Getting started:
  taskpass demo                       the whole story on a throw-away broker
  taskpass dev                        a development broker; prints what to export
  taskpass run --purpose 'reconcile invoices' \\
      --scope https://ledger.example#invoices:read -- python agent.py
  taskpass task start --purpose 'reconcile invoices' \\
      --scope https://ledger.example#invoices:read --ttl 10m
  TOKEN=$(taskpass issue token --task T --target https://ledger.example --scope invoices:read)

Exit codes: 0 done; 1 refused or failed (standard error begins with the reason);
2 the command line is malformed.";

const RUN: &str = "\
Examples:
  taskpass run --purpose 'reconcile march' --scope https://ledger.example#invoices:read -- python agent.py
  taskpass run --purpose drill --scope https://ledger.example#invoices:read -- \\
      sh -c 'curl --cert $TASKPASS_CERT --key $TASKPASS_KEY \\
             -H \"Authorization: Bearer $(cat $TASKPASS_TOKEN_FILE)\" https://ledger.example/'

The command finds TASKPASS_TOKEN_FILE (of the first target; TASKPASS_TOKENS lists all), TASKPASS_CERT,
TASKPASS_KEY and TASKPASS_CA. They are renewed in place: read them anew for each use. Variables that
lead to the identity are taken from it. When it ends, the task is completed and everything is gone;
when this process is killed, the task ends within the broker's grace.

Exit code: the command's; 128 and the signal that ended it; 126 and 127 if it could not be run; 77 if
its credentials ended for good and it was ended for that; 1 if the broker refused, and nothing was run.
docs/RUN.md says what is no boundary.";

/// An ephemeral credential broker for agents.
///
/// An agent asks at the start of a task for exactly the credentials that this task needs. They name
/// the task, reach only what policy allows, and end by themselves, with the task, or when an
/// operator says so.
#[derive(Debug, Parser)]
#[command(name = "taskpass", version, after_help = EXAMPLES)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) globals: Globals,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What every command accepts.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Connection and output")]
pub(crate) struct Globals {
    /// The broker's gRPC address, such as `https://broker.example:8443`; or `unix:/path` of its socket
    #[arg(long, env = env::ADDR, value_name = "URL", global = true, hide_env_values = true)]
    pub(crate) addr: Option<String>,
    /// The folder of the identity to call as: cert.pem, key.pem, ca.pem
    #[arg(long, value_parser = possibly_empty(), env = env::IDENTITY, value_name = "DIR", global = true, hide_env_values = true)]
    pub(crate) identity: Option<PathBuf>,
    /// A token of the platform (Kubernetes, CI) to present instead of an identity; read for each call
    #[arg(long, value_parser = possibly_empty(), env = env::ATTESTATION_TOKEN_FILE, value_name = "FILE", global = true, hide_env_values = true)]
    pub(crate) attestation_token_file: Option<PathBuf>,
    /// Anchors (PEM) to know the broker by, beside --attestation-token-file: the ca.pem of an identity
    #[arg(long, value_parser = possibly_empty(), env = env::CA, value_name = "FILE", global = true, hide_env_values = true)]
    pub(crate) ca: Option<PathBuf>,
    /// The base URL of the broker's public HTTP; the issuer of its tokens
    #[arg(long, env = env::HTTP, value_name = "URL", global = true, hide_env_values = true)]
    pub(crate) http_url: Option<String>,
    /// Anchors (PEM) to trust the public HTTP by; the system's if absent
    #[arg(long, value_parser = possibly_empty(), env = env::HTTP_CA, value_name = "FILE", global = true, hide_env_values = true)]
    pub(crate) http_ca: Option<PathBuf>,
    /// The base URL of the broker's health and metrics, named when it cannot be reached
    #[arg(long, env = env::OPS, value_name = "URL", global = true, hide_env_values = true)]
    pub(crate) ops_url: Option<String>,
    /// How to print: for people, or one JSON object (one per line for streams)
    #[arg(short = 'o', long, value_enum, default_value_t = Format::Table, global = true)]
    pub(crate) output: Format,
    /// Say more on standard error; twice for all of it
    #[arg(short, long, action = ArgAction::Count, global = true)]
    pub(crate) verbose: u8,
    /// No colours, whatever the terminal
    #[arg(
        long, env = env::NO_COLOR, global = true, hide = true,
        num_args = 0..=1, default_missing_value = "1", require_equals = true
    )]
    pub(crate) no_color: Option<String>,
}

/// A path, or nothing: a variable that is set to nothing counts as absent, and clap refuses it.
fn possibly_empty() -> impl clap::builder::TypedValueParser<Value = PathBuf> {
    OsStringValueParser::new().map(PathBuf::from)
}

/// How results are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// Aligned text for people.
    Table,
    /// One JSON object.
    Json,
}

/// Which part of a listing to print.
#[derive(Debug, Clone, Args)]
pub(crate) struct PageArgs {
    /// Print at most this many
    #[arg(long, value_name = "N", default_value_t = 1000)]
    pub(crate) limit: u32,
    /// Go on where an earlier listing stopped (its next_page_token)
    #[arg(
        long,
        value_name = "TOKEN",
        default_value = "",
        hide_default_value = true
    )]
    pub(crate) page_token: String,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Tell the whole story on a throw-away broker, step by step
    Demo(demo::DemoArgs),
    /// Run a development broker on loopback, with sample agents
    Dev(dev::DevArgs),
    /// Create a broker: its hierarchies, and the first administrator's enrolment
    Init(init::InitArgs),
    /// Run the broker
    Serve(serve::ServeArgs),
    /// Write the whole store into a file, while the broker runs
    Backup(backup::BackupArgs),
    /// Make a sealed store out of a backup
    Restore(backup::RestoreArgs),
    /// Let a broker that was restored issue again
    Unseal(backup::UnsealArgs),
    /// Check a configuration file without running anything
    CheckConfig(check_config::CheckConfigArgs),

    /// Owners: the accountable people and teams
    #[command(subcommand)]
    Owner(registry::OwnerCommand),
    /// Agents: workloads with an identity of their own
    #[command(subcommand)]
    Agent(registry::AgentCommand),
    /// Targets: the protected APIs and their scopes
    #[command(subcommand)]
    Target(registry::TargetCommand),
    /// Operators: who runs the broker
    #[command(subcommand)]
    Operator(registry::OperatorCommand),
    /// Verifiers: APIs that ask the broker about credentials
    #[command(subcommand)]
    Verifier(registry::VerifierCommand),
    /// Make the registry match a reviewed file, in one change
    Apply(apply::ApplyArgs),
    /// The registry as a file, and its version
    #[command(subcommand)]
    Registry(apply::RegistryCommand),
    /// What one operator alone cannot do: look at it, approve it, reject it
    #[command(subcommand)]
    Approval(approval::ApprovalCommand),
    /// Let the whole broker issue again after `revoke --all`
    Resume(revoke::ResumeArgs),

    /// Trade an enrolment token for an identity; the key is made here
    Enrol(verify::EnrolArgs),
    /// Renew the identity in its folder, before it expires
    #[command(after_help = "\
Example: taskpass --identity ~/.taskpass/admin renew

The next key is made here and is in the folder before the broker hears of it, so that an
interruption is never taken for a theft: run it again. Run it from a timer, at a third of the
identity's life or so.")]
    Renew,
    /// Tasks: start, look at and complete pieces of work
    #[command(subcommand)]
    Task(task::TaskCommand),
    /// Run a command with the credentials of one task, for as long as it runs
    #[command(after_help = RUN)]
    Run(run::RunArgs),
    /// Become the command of `taskpass run`
    #[command(hide = true)]
    ExecChild(run::ExecArgs),
    /// Get a token or a certificate under a task
    #[command(subcommand)]
    Issue(issue::IssueCommand),

    /// End credentials, everywhere, at once
    Revoke(revoke::RevokeArgs),
    /// Try the kill switch on a canary, and measure it
    #[command(subcommand)]
    Drill(drill::DrillCommand),
    /// List the revocations in force
    Revocations(PageArgs),
    /// Watch what happens as it happens
    #[command(subcommand)]
    Watch(revoke::WatchCommand),
    /// The audit log: read it, copy it, verify it without trusting the broker
    #[command(subcommand)]
    Audit(audit::AuditCommand),
    /// Reports from the log and the registry: inventory, least privilege, readiness, exposure, evidence
    #[command(subcommand)]
    Report(report::ReportCommand),
    /// Ask the broker whether a credential is valid now
    Introspect(verify::IntrospectArgs),
    /// Check a token offline, against published keys and the revocation feed
    Verify(verify::VerifyArgs),
    /// Policies: check and test them, ask why, who can and what
    #[command(subcommand)]
    Policy(policy::PolicyCommand),
    /// The broker's signing keys: list, rotate, distrust, certify elsewhere, seal anew
    #[command(subcommand)]
    Keys(keys::KeysCommand),

    /// Measure what this machine can issue, beside what it could at most
    Bench(bench::BenchArgs),
    /// Print a completion script for a shell
    #[command(
        after_help = "Example: taskpass completions bash > ~/.local/share/bash-completion/completions/taskpass"
    )]
    Completions {
        /// For which shell
        #[arg(value_enum)]
        shell: clap_complete::Shell,
    },
    /// Print the version
    Version,
}

#[cfg(test)]
mod tests;
