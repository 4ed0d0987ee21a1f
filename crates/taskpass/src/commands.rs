//! One module for each noun, and the one place that says which command runs which function.

pub(crate) mod agent;
pub(crate) mod apply;
pub(crate) mod approval;
pub(crate) mod audit;
pub(crate) mod backup;
pub(crate) mod bench;
pub(crate) mod check_config;
pub(crate) mod completions;
pub(crate) mod demo;
pub(crate) mod dev;
pub(crate) mod drill;
pub(crate) mod enrol;
pub(crate) mod enrol_token;
pub(crate) mod init;
pub(crate) mod introspect;
pub(crate) mod issue;
pub(crate) mod keys;
pub(crate) mod operator;
pub(crate) mod owner;
pub(crate) mod pages;
pub(crate) mod policy;
pub(crate) mod registry;
pub(crate) mod report;
pub(crate) mod restore;
pub(crate) mod revoke;
pub(crate) mod run;
pub(crate) mod serve;
pub(crate) mod target;
pub(crate) mod task;
pub(crate) mod verifier;
pub(crate) mod verify;
pub(crate) mod version;
pub(crate) mod watch;

use crate::cli::Command;
use crate::context::Context;
use crate::errors::CliError;
use crate::logging;

/// Runs one command.
pub(crate) async fn run(context: &Context, command: Command) -> Result<(), CliError> {
    match command {
        Command::Demo(args) => Box::pin(demo::run(context, args)).await,
        Command::Dev(args) => Box::pin(dev::run(context, args)).await,
        Command::Init(args) => Box::pin(init::run(context, args)).await,
        Command::Serve(args) => Box::pin(serve::run(context, args)).await,
        Command::CheckConfig(args) => Box::pin(check_config::run(context, args)).await,
        Command::Bench(args) => Box::pin(bench::run(context, args)).await,
        client_side => {
            logging::init(context.verbosity());
            Box::pin(run_client_side(context, client_side)).await
        }
    }
}

async fn run_client_side(context: &Context, command: Command) -> Result<(), CliError> {
    match command {
        Command::Backup(args) => backup::run(context, args).await,
        Command::Restore(args) => restore::run(context, args).await,
        Command::Unseal(args) => backup::unseal(context, args).await,
        Command::Owner(command) => owner::run(context, command).await,
        Command::Agent(command) => agent::run(context, command).await,
        Command::Target(command) => target::run(context, command).await,
        Command::Operator(command) => operator::run(context, command).await,
        Command::Verifier(command) => verifier::run(context, command).await,
        Command::Apply(args) => apply::run(context, args).await,
        Command::Registry(command) => registry::export::run(context, command).await,
        Command::Approval(command) => approval::run(context, command).await,
        Command::Resume(args) => registry::resume_everything(context, args.reason).await,
        Command::Enrol(args) => enrol::run(context, args).await,
        Command::Renew => enrol::renew(context).await,
        Command::Task(command) => task::run(context, command).await,
        Command::Run(args) => run::run(context, args).await,
        Command::Issue(command) => issue::run(context, command).await,
        Command::Revoke(args) => revoke::run(context, args).await,
        Command::Drill(command) => drill::run(context, command).await,
        Command::Revocations(page) => revoke::list(context, &page).await,
        Command::Watch(command) => watch::run(context, command).await,
        Command::Audit(command) => audit::run(context, command).await,
        Command::Report(command) => report::run(context, command).await,
        Command::Introspect(args) => introspect::run(context, args).await,
        Command::Verify(args) => verify::run(context, args).await,
        Command::Policy(command) => policy::run(context, command).await,
        Command::Keys(command) => keys::run(context, command).await,
        Command::Completions { shell } => completions::run(context, shell),
        Command::Version => version::run(context),
        Command::Demo(_)
        | Command::Dev(_)
        | Command::ExecChild(_)
        | Command::Init(_)
        | Command::Serve(_)
        | Command::CheckConfig(_)
        | Command::Bench(_) => Err(CliError::new("INTERNAL", "not a client-side command")),
    }
}
