//! `taskpass task …`.

use clap::{Args, Subcommand};

use super::PageArgs;

/// `taskpass task`.
#[derive(Debug, Subcommand)]
pub(crate) enum TaskCommand {
    /// Start a task with a scope ceiling and a deadline
    #[command(after_help = "\
Example:
  taskpass task start --purpose 'reconcile invoices' \\
      --scope https://ledger.example#invoices:read --ttl 10m

Nothing issued under the task exceeds its scopes or outlives its deadline. With --parent, the scopes
and the deadline are also within the parent's.

With --parent and --agent the task is handed on: the other agent runs it and finds it in its
`taskpass task list`. A policy must permit the pair (action delegate), and every agent in the chain
must be able to get the scopes itself, now and whenever something is issued. Ending the parent ends it:
  taskpass task start --parent TASK --agent archiver --purpose 'file the report' \\
      --scope https://ledger.example#invoices:read")]
    Start(StartArgs),
    /// List tasks by deadline: your own, or as an operator everybody's
    List(ListArgs),
    /// Show one task
    Show(TaskArgs),
    /// Show a task and what was started beneath it, by whomever; without TASK, everything that is running
    #[command(after_help = "\
Example:
  taskpass task tree 01M82F7QME2SN5NXE43XBVSJNR

Each line is a task: id, agent, state, end, live credentials of its own, purpose. An agent sees the
trees of its tasks, with what other agents run beneath them. Without TASK the credentials are not counted.")]
    Tree(TreeArgs),
    /// End a task of yours, or one beneath it, with its subtree; revokes what it issued
    Complete(TaskArgs),
    /// Say what a credential of yours was used for: kept as your word, beside what verifiers report
    #[command(after_help = "\
Example:
  taskpass task used --credential 01M82F7QME2SN5NXE43XBVSJNR --scope invoices:read \\
      --action search --resource invoices/2026-11

It is recorded with the agent, its owner, the task and the decision that issued the credential, and
shown as the agent's word: it never counts for least privilege. A credential can be named until
some minutes after its end. What is said twice is recorded twice.")]
    Used(UsedArgs),
}

/// What a credential was used for.
#[derive(Debug, Args)]
pub(crate) struct UsedArgs {
    /// A token's `jti`, or a certificate's serial number, as it was issued
    #[arg(long, value_name = "ID")]
    pub(crate) credential: String,
    /// The scope that it was used for, by its name in the target
    #[arg(long, value_name = "SCOPE")]
    pub(crate) scope: Option<String>,
    /// What was done: a tool, a method; at most 128 bytes
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    pub(crate) action: Option<String>,
    /// To what; at most 256 bytes, which stay in the log
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    pub(crate) resource: Option<String>,
    /// The target turned it away
    #[arg(long)]
    pub(crate) refused: bool,
    /// How often
    #[arg(
        long,
        value_name = "NUMBER",
        default_value = "1",
        allow_hyphen_values = true
    )]
    pub(crate) count: String,
}

/// One task.
#[derive(Debug, Args)]
pub(crate) struct TaskArgs {
    /// The task's id
    #[arg(value_name = "TASK")]
    pub(crate) task: String,
}

/// What to start.
#[derive(Debug, Args)]
pub(crate) struct StartArgs {
    /// What the task is for; recorded and seen by policy
    #[arg(long, value_name = "TEXT")]
    pub(crate) purpose: String,
    /// A scope of the ceiling; repeat for more
    #[arg(long = "scope", value_name = "TARGET#SCOPE", value_delimiter = ',', num_args = 1.., required = true)]
    pub(crate) scopes: Vec<String>,
    /// How long it may last, such as 10m; 1h if absent, at most 24h
    #[arg(long, value_name = "DURATION", allow_hyphen_values = true)]
    pub(crate) ttl: Option<String>,
    /// The live task that this one is a part of
    #[arg(long, value_name = "TASK")]
    pub(crate) parent: Option<String>,
    /// The agent that is to run it, where that is another one; needs --parent
    #[arg(long, value_name = "AGENT", requires = "parent")]
    pub(crate) agent: Option<String>,
    /// Starting again with the same key gives the same task
    #[arg(long, value_name = "KEY")]
    pub(crate) idempotency_key: Option<String>,
}

/// Which tasks to list.
#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    /// Only this agent's (for operators)
    #[arg(long, value_name = "AGENT")]
    pub(crate) agent: Option<String>,
    /// Only those directly beneath this task
    #[arg(long, value_name = "TASK")]
    pub(crate) parent: Option<String>,
    /// Only those that are running
    #[arg(long)]
    pub(crate) active: bool,
    #[command(flatten)]
    pub(crate) page: PageArgs,
}

/// Which tree to show.
#[derive(Debug, Args)]
pub(crate) struct TreeArgs {
    /// The task at its top
    #[arg(value_name = "TASK")]
    pub(crate) task: Option<String>,
    /// Only this agent's tasks (for operators)
    #[arg(long, value_name = "AGENT", conflicts_with = "task")]
    pub(crate) agent: Option<String>,
}
