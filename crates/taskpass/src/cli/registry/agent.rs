//! `taskpass agent …`.

use std::path::PathBuf;

use clap::{ArgGroup, Args, Subcommand};

use super::{EnrolTokenArgs, NameArgs, NameReasonArgs, RetireArgs};
use crate::cli::PageArgs;

/// `taskpass agent`.
#[derive(Debug, Subcommand)]
pub(crate) enum AgentCommand {
    /// Register an agent
    #[command(after_help = "\
Example:
  taskpass agent register invoice-bot --owner payments --purpose 'reconcile invoices' \\
      --stage read-only --scope https://ledger.example#invoices:read --valid-until 90d")]
    Register(AgentRegisterArgs),
    /// Change what is registered of an agent; what is not named stays
    #[command(
        after_help = "Example: taskpass agent update invoice-bot --valid-until 90d --reason 'review 2026-11'"
    )]
    Update(AgentUpdateArgs),
    /// Trust an agent further: read-only → bounded → autonomous
    #[command(after_help = "\
Examples:
  taskpass report readiness invoice-bot --stage bounded --since 30d
  taskpass agent promote invoice-bot --to bounded --since 30d --report-out readiness.json
  taskpass agent promote invoice-bot --to bounded --force --reason 'incident 42: needed now'

The log is fetched and verified, and the readiness report made; where a requirement does not pass, nothing is
changed and each is named (NOT_READY). The broker records the report's hash and the state of the log that it
rests on, after comparing that with its own. --force needs no report, and is recorded as forced. Where a
second operator is asked for, the change waits: taskpass approval list.")]
    Promote(AgentPromoteArgs),
    /// Let an agent go on for longer
    #[command(
        after_help = "Example: taskpass agent extend invoice-bot --until 90d --reason 'review 2026-11'"
    )]
    Extend(AgentExtendArgs),
    /// List the agents
    List(PageArgs),
    /// Show one agent
    Show(NameArgs),
    /// Make a single-use token with which the agent enrols
    EnrolToken(EnrolTokenArgs),
    /// Refuse an agent until it is resumed; what it holds lives on (see `revoke`)
    Suspend(NameReasonArgs),
    /// Let a suspended agent take part again
    Resume(NameReasonArgs),
    /// Refuse an agent for ever, and revoke whatever it holds
    Retire(RetireArgs),
}

/// What to register of an agent.
#[derive(Debug, Args)]
pub(crate) struct AgentRegisterArgs {
    /// Its name: 1 to 63 of a-z 0-9 - _ .
    pub(crate) name: String,
    /// Who is accountable for it: a registered owner
    #[arg(long, value_name = "OWNER")]
    pub(crate) owner: String,
    /// What it is for
    #[arg(long, value_name = "TEXT")]
    pub(crate) purpose: String,
    /// How far it is trusted: read-only, bounded or autonomous
    #[arg(long, value_name = "STAGE", default_value = "read-only")]
    pub(crate) stage: String,
    /// A scope that it may be granted at all; repeat for more. None means nothing
    #[arg(long = "scope", value_name = "TARGET#SCOPE", value_delimiter = ',')]
    pub(crate) scopes: Vec<String>,
    /// From when on it gets nothing: an instant, a day, or how long from now; at most 400d
    #[arg(
        long,
        value_name = "WHEN",
        default_value = "90d",
        allow_hyphen_values = true
    )]
    pub(crate) valid_until: String,
    /// The longest credential it may hold
    #[arg(long, value_name = "DURATION", allow_hyphen_values = true)]
    pub(crate) max_ttl: Option<String>,
    /// A fact for policy; repeat for more
    #[arg(long = "label", value_name = "KEY=VALUE")]
    pub(crate) labels: Vec<String>,
    /// A limit (live_credentials, live_tasks, issues_per_second, depth, fan_out) instead of the configuration's default; repeat for more. Zero is none at all
    #[arg(long = "limit", value_name = "NAME=N", value_delimiter = ',')]
    pub(crate) limits: Vec<String>,
}

/// What to change of an agent.
#[derive(Debug, Args)]
#[command(group(ArgGroup::new("change").required(true).multiple(true)))]
pub(crate) struct AgentUpdateArgs {
    /// Its name
    pub(crate) name: String,
    /// Who is accountable for it
    #[arg(group = "change", long, value_name = "OWNER")]
    pub(crate) owner: Option<String>,
    /// What it is for
    #[arg(group = "change", long, value_name = "TEXT")]
    pub(crate) purpose: Option<String>,
    /// How far it is trusted: read-only, bounded or autonomous
    #[arg(group = "change", long, value_name = "STAGE")]
    pub(crate) stage: Option<String>,
    /// The scopes that it may be granted, instead of the present ones; repeat for more
    #[arg(
        group = "change",
        long = "scope",
        value_name = "TARGET#SCOPE",
        value_delimiter = ','
    )]
    pub(crate) scopes: Vec<String>,
    /// No scope at all
    #[arg(group = "change", long, conflicts_with = "scopes")]
    pub(crate) no_scopes: bool,
    /// From when on it gets nothing: an instant, a day, or how long from now
    #[arg(
        group = "change",
        long,
        value_name = "WHEN",
        allow_hyphen_values = true
    )]
    pub(crate) valid_until: Option<String>,
    /// The longest credential it may hold
    #[arg(
        group = "change",
        long,
        value_name = "DURATION",
        allow_hyphen_values = true
    )]
    pub(crate) max_ttl: Option<String>,
    /// No cap of its own
    #[arg(group = "change", long, conflicts_with = "max_ttl")]
    pub(crate) no_max_ttl: bool,
    /// The facts for policy, instead of the present ones; repeat for more
    #[arg(group = "change", long = "label", value_name = "KEY=VALUE")]
    pub(crate) labels: Vec<String>,
    /// No facts at all
    #[arg(group = "change", long, conflicts_with = "labels")]
    pub(crate) no_labels: bool,
    /// A limit to set, or `NAME=default` to leave it to the configuration again; repeat for more
    #[arg(
        group = "change",
        long = "limit",
        value_name = "NAME=N",
        value_delimiter = ','
    )]
    pub(crate) limits: Vec<String>,
    /// A public key by which it may authenticate at the OAuth front: a JWK or PEM file; needs --until
    #[arg(group = "change", long, value_name = "FILE", requires = "until")]
    pub(crate) client_key: Option<PathBuf>,
    /// From when on that key proves nothing: an instant, a day, or how long from now; at most 400d
    #[arg(
        long,
        value_name = "WHEN",
        requires = "client_key",
        allow_hyphen_values = true
    )]
    pub(crate) until: Option<String>,
    /// Remove the client key of this id; repeat for more
    // One key id in sixty-four begins with a hyphen.
    #[arg(
        group = "change",
        long = "remove-client-key",
        value_name = "KEY-ID",
        allow_hyphen_values = true
    )]
    pub(crate) remove_client_keys: Vec<String>,
    /// Why; recorded
    #[arg(
        long,
        value_name = "TEXT",
        default_value = "",
        hide_default_value = true
    )]
    pub(crate) reason: String,
}

/// How far to trust an agent from now on.
#[derive(Debug, Args)]
pub(crate) struct AgentPromoteArgs {
    /// Its name
    pub(crate) name: String,
    /// The stage to raise it to: bounded or autonomous; the next one if absent
    #[arg(long = "to", visible_alias = "stage", value_name = "STAGE")]
    pub(crate) stage: Option<String>,
    /// Without a readiness report; recorded as forced
    #[arg(long, requires = "reason", conflicts_with_all = ["requirements", "since", "keys", "report_out"])]
    pub(crate) force: bool,
    /// Why; recorded. Without --force, what the report says if absent
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    pub(crate) reason: Option<String>,
    /// What is enough, where the defaults are not it; see `taskpass report readiness --help`
    #[arg(long, value_name = "FILE")]
    pub(crate) requirements: Option<PathBuf>,
    /// What is measured is of the time from this instant on, or this long ago (30d); the whole log if
    /// absent
    #[arg(long, value_name = "TIME")]
    pub(crate) since: Option<String>,
    /// The log's public key, or a file with it; repeat if it was changed
    #[arg(long = "key", value_name = "KEY|FILE")]
    pub(crate) keys: Vec<String>,
    /// Keep the report in this new file: its SHA-256 is what is recorded
    #[arg(long, value_name = "FILE")]
    pub(crate) report_out: Option<PathBuf>,
}

/// How long an agent may go on.
#[derive(Debug, Args)]
pub(crate) struct AgentExtendArgs {
    /// Its name
    pub(crate) name: String,
    /// From when on it gets nothing: an instant, a day, or how long from now; at most 400d
    #[arg(long, value_name = "WHEN", allow_hyphen_values = true)]
    pub(crate) until: String,
    /// Why; recorded
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    pub(crate) reason: String,
}
