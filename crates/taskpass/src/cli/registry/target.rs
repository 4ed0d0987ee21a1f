//! `taskpass target …`.

use clap::{ArgGroup, Args, Subcommand};

use super::{NameArgs, NameReasonArgs};
use crate::cli::PageArgs;

/// `taskpass target`.
#[derive(Debug, Subcommand)]
pub(crate) enum TargetCommand {
    /// Register a target
    #[command(after_help = "\
Example:
  taskpass target register https://ledger.example --risk medium \\
      --scope invoices:read=read --scope invoices:pay=actuate --max-ttl 10m")]
    Register(TargetRegisterArgs),
    /// Change what is registered of a target; what is not named stays
    Update(TargetUpdateArgs),
    /// List the targets
    List(PageArgs),
    /// Show one target
    Show(NameArgs),
    /// Issue nothing for a target until it is resumed
    Suspend(NameReasonArgs),
    /// Issue for a suspended target again
    Resume(NameReasonArgs),
    /// Allow and mark, for a while, what no policy permits at a target
    #[command(after_help = "\
Example:
  taskpass target observe https://ledger.example --until 14d --reason 'trial of the narrower set'

For trying out a narrower set of policies. Only the absence of a permit is overridden: what a policy
forbids, a policy that fails, a scope that is not registered, whatever is suspended, and every ceiling
and limit refuse as before. What was let through is marked would_deny in the reply, the audit entry
and taskpass_would_deny_total. It ends by itself; `taskpass target enforce` ends it at once.")]
    Observe(ObserveArgs),
    /// End observing a target: what no policy permits is denied
    Enforce(EnforceArgs),
}

/// Which target to observe, until when, and why.
#[derive(Debug, Args)]
pub(crate) struct ObserveArgs {
    /// Its audience URI
    #[arg(value_name = "URI")]
    pub(crate) uri: String,
    /// Until when: a time from now (14d), a day or an instant; at most 30 days ahead
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub(crate) until: String,
    /// Why; recorded
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    pub(crate) reason: String,
}

/// Which target to enforce, and why.
#[derive(Debug, Args)]
pub(crate) struct EnforceArgs {
    /// Its audience URI
    #[arg(value_name = "URI")]
    pub(crate) uri: String,
    /// Why; recorded
    #[arg(
        long,
        value_name = "TEXT",
        default_value = "",
        hide_default_value = true,
        allow_hyphen_values = true
    )]
    pub(crate) reason: String,
}

/// What to register of a target.
#[derive(Debug, Args)]
pub(crate) struct TargetRegisterArgs {
    /// Its audience URI, such as `https://ledger.example`; compared byte for byte
    #[arg(value_name = "URI")]
    pub(crate) uri: String,
    /// A scope and what it does (read, write or actuate); repeat for more
    #[arg(long = "scope", value_name = "NAME=ACCESS", value_delimiter = ',')]
    pub(crate) scopes: Vec<String>,
    /// How much harm it can do: low, medium or high
    #[arg(long, value_name = "RISK")]
    pub(crate) risk: String,
    /// The algorithm of its tokens: ES256 or EdDSA
    #[arg(long, value_name = "ALG", default_value = "ES256")]
    pub(crate) token_alg: String,
    /// The form of its tokens: oauth, or cloud for clouds that exchange them for their own
    #[arg(long, value_name = "PROFILE", default_value = "oauth")]
    pub(crate) token_profile: String,
    /// The longest token it accepts
    #[arg(long, value_name = "DURATION", allow_hyphen_values = true)]
    pub(crate) max_ttl: Option<String>,
    /// A limit (live_credentials, issues_per_second) instead of the configuration's default; repeat for more. Zero is none at all
    #[arg(long = "limit", value_name = "NAME=N", value_delimiter = ',')]
    pub(crate) limits: Vec<String>,
}

/// What to change of a target.
#[derive(Debug, Args)]
#[command(group(ArgGroup::new("change").required(true).multiple(true)))]
pub(crate) struct TargetUpdateArgs {
    /// Its audience URI
    #[arg(group = "change", value_name = "URI")]
    pub(crate) uri: String,
    /// The scopes and what they do, instead of the present ones; repeat for more
    #[arg(
        group = "change",
        long = "scope",
        value_name = "NAME=ACCESS",
        value_delimiter = ','
    )]
    pub(crate) scopes: Vec<String>,
    /// How much harm it can do: low, medium or high
    #[arg(group = "change", long, value_name = "RISK")]
    pub(crate) risk: Option<String>,
    /// The algorithm of its tokens: ES256 or EdDSA
    #[arg(group = "change", long, value_name = "ALG")]
    pub(crate) token_alg: Option<String>,
    /// The form of its tokens: oauth, or cloud for clouds that exchange them for their own
    #[arg(group = "change", long, value_name = "PROFILE")]
    pub(crate) token_profile: Option<String>,
    /// The longest token it accepts
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
    /// A limit to set, or `NAME=default` to leave it to the configuration again; repeat for more
    #[arg(
        group = "change",
        long = "limit",
        value_name = "NAME=N",
        value_delimiter = ','
    )]
    pub(crate) limits: Vec<String>,
    /// Why; recorded
    #[arg(
        long,
        value_name = "TEXT",
        default_value = "",
        hide_default_value = true
    )]
    pub(crate) reason: String,
}
