//! `taskpass report …`: what an auditor asks, answered from the log and the registry.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

/// `taskpass report`.
#[derive(Debug, Subcommand)]
pub(crate) enum ReportCommand {
    /// Every agent: owner, purpose, stage, attestation, end date, last task; what is wrong on top
    Inventory(InventoryArgs),
    /// What agents may have beside what they were granted; with a narrower registration
    LeastPrivilege(LeastPrivilegeArgs),
    /// For how long credentials live, outlive their tasks, and are there before they are revoked
    Exposure(ExposureArgs),
    /// For each control of a framework: what the broker does, what was measured, what that leaves open
    Evidence(EvidenceArgs),
    /// Whether agents may go to a stage, or stay at it: each requirement with what was measured
    Readiness(ReadinessArgs),
}

/// What a report rests on, and where else it goes.
#[derive(Debug, Args)]
pub(crate) struct SourceArgs {
    /// From this instant on: 2026-11-22T09:30:00Z, a day, or as how long ago it was (30d); the whole
    /// log if absent
    #[arg(long, value_name = "TIME")]
    pub(crate) since: Option<String>,
    /// Read the log in this folder (`taskpass audit export --out DIR`), and no broker
    #[arg(long, value_name = "DIR", requires = "registry")]
    pub(crate) log: Option<PathBuf>,
    /// Beside --log: the registry in this file (`taskpass registry export --out FILE`)
    #[arg(long, value_name = "FILE", requires = "log")]
    pub(crate) registry: Option<PathBuf>,
    /// The log's public key, or a file with it; repeat if it was changed. Without, the keys that come
    /// with the log are used
    #[arg(long = "key", value_name = "KEY|FILE")]
    pub(crate) keys: Vec<String>,
    /// Also write the main table to this new file, as CSV; `-` is standard output instead of the report
    #[arg(long, value_name = "FILE")]
    pub(crate) csv: Option<PathBuf>,
    /// Also write the report to this new file, as one HTML page; `-` is standard output instead of
    /// the report
    #[arg(long, value_name = "FILE", conflicts_with = "csv")]
    pub(crate) html: Option<PathBuf>,
}

/// The inventory.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  taskpass report inventory
  taskpass report inventory --since 30d --html inventory.html
  taskpass report inventory -o json | jq '.rows[] | select(.faults != [])'
  taskpass report inventory --log copy --registry registry.toml --key broker.vkey

Faults: an owner that is not registered or not active; an end date that has passed; an agent that never
started a task, as far back as the log goes; one key by which two agents prove themselves. Counts are of
the period. The log is verified first, and a report on one that does not hold is refused. For operators.")]
pub(crate) struct InventoryArgs {
    #[command(flatten)]
    pub(crate) source: SourceArgs,
}

/// Least privilege.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  taskpass report least-privilege --agent invoice-bot --since 30d
  taskpass report least-privilege --owner payments-team --csv scopes.csv
  taskpass report least-privilege --agent invoice-bot --since 90d --suggest narrower.toml
  taskpass report least-privilege --since 90d --suggest narrower.toml --by used
  taskpass apply narrower.toml --dry-run
  taskpass report least-privilege --log copy --registry registry.toml --policies /etc/taskpass/policies

permitted: what the policies say to each agent and scope. A broker is asked for its own; --policies DIR
are evaluated here; copies without them say what registration and stage let the agent have, which a policy
can narrow (permitted_by: registration). blocked_by names the policy. granted: in how many tokens of the
period it was; granted_below: in those of agents beneath its tasks. used: how
often verifiers let the scope through, and 0 only where everything is known since use_known_since; otherwise
unknown. own_word is what the agent says, and counts for nothing. coverage says who reports, and the gaps.
--suggest keeps what was granted in the period, and says what it would have denied. With --by used it keeps
what was used; at targets of whose use not everything is known for the whole period, what was granted.")]
pub(crate) struct LeastPrivilegeArgs {
    #[command(flatten)]
    pub(crate) source: SourceArgs,
    /// Only this agent
    #[arg(long, value_name = "NAME")]
    pub(crate) agent: Option<String>,
    /// Only this owner's agents
    #[arg(long, value_name = "NAME")]
    pub(crate) owner: Option<String>,
    /// Only scopes at this target
    #[arg(long, value_name = "URI")]
    pub(crate) target: Option<String>,
    /// What is permitted is what the policies in this folder say; without, a broker is asked for its own
    #[arg(long, value_name = "DIR")]
    pub(crate) policies: Option<PathBuf>,
    /// Suggest a narrower registration, and write it to this new file for `taskpass apply`; `-` is
    /// standard output instead of the report
    #[arg(long, value_name = "FILE", conflicts_with_all = ["csv", "html"])]
    pub(crate) suggest: Option<PathBuf>,
    /// Beside --suggest: keep what tokens had, or what verifiers saw used
    #[arg(
        long,
        value_name = "WHAT",
        default_value = "granted",
        requires = "suggest"
    )]
    pub(crate) by: SuggestBy,
}

/// By what the scopes that an agent keeps are chosen.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum SuggestBy {
    /// What tokens had in the period
    Granted,
    /// What was used in it, where that is known of the whole period
    Used,
}

/// Exposure.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  taskpass report exposure --since 7d
  taskpass report exposure --owner payments-team -o json | jq .beyond_task.max_s

Lives are from issue to end or revocation, in whole seconds, begun ones too. How long it takes from a
revocation until verifiers refuse is what `taskpass drill revoke` measures.")]
pub(crate) struct ExposureArgs {
    #[command(flatten)]
    pub(crate) source: SourceArgs,
    /// Only this agent
    #[arg(long, value_name = "NAME")]
    pub(crate) agent: Option<String>,
    /// Only this owner's agents
    #[arg(long, value_name = "NAME")]
    pub(crate) owner: Option<String>,
}

/// Readiness.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  taskpass report readiness invoice-bot --since 30d
  taskpass report readiness invoice-bot --stage autonomous --requirements requirements.toml
  taskpass report readiness -o json | jq '.rows[] | select(.ready | not) | .agent'
  taskpass report readiness --html readiness.html || echo not ready

Asked: an active owner, attestation without a shared secret, used scopes of those permitted, short lives,
bound tokens, few refusals, nothing that is only observed, a drill of the kill switch, a log that holds, a
review date. What cannot be measured is unknown, which does not pass, and says what would make it known.
--requirements changes what is enough:

  [all]                          # at every stage; then [read-only], [bounded], [autonomous]
  used_min_percent = 50          # also bound_min_percent, denials_max_percent, would_deny_max
  token_ttl_max = \"15m\"        # also certificate_ttl_max, drill_max_age, drill_max, review_within
  not_asked = [\"drill\"]        # by the names in the report
  log_keys = \"given\"           # only with --key

Exit code: 0 if every agent in the report is ready; 3 if one is not; 1 if there is no report.")]
pub(crate) struct ReadinessArgs {
    /// Only this agent; all that are not retired if absent
    pub(crate) agent: Option<String>,
    /// Judge for this stage; for the one that each agent is at if absent
    #[arg(long, value_name = "STAGE")]
    pub(crate) stage: Option<String>,
    /// What is enough, where the defaults are not it
    #[arg(long, value_name = "FILE")]
    pub(crate) requirements: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) source: SourceArgs,
}

/// Evidence.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  taskpass report evidence --framework owasp-nhi --since 90d
  taskpass report evidence --framework nist-ai-rmf --html evidence.html
  taskpass report evidence --framework owasp-asi -o json | jq '.rows[].figures[] | select(.alarm)'

Frameworks: owasp-nhi (OWASP Non-Human Identities Top 10, 2025), owasp-asi (OWASP Top 10 for Agentic
Applications, 2026), maestro (CSA MAESTRO), nist-ai-rmf (NIST AI RMF 1.0). Each control that the broker
touches has figures from the log and the registry, and the limit of what they show; the others are named.
A figure that should be zero and is not has alarm. It is no statement that anybody complies.")]
pub(crate) struct EvidenceArgs {
    #[command(flatten)]
    pub(crate) source: SourceArgs,
    /// Which: owasp-nhi, owasp-asi, maestro or nist-ai-rmf
    #[arg(long, value_name = "FRAMEWORK", allow_hyphen_values = true)]
    pub(crate) framework: String,
}
