//! `taskpass report …`: reports from a broker's log and registry, or from copies of both.

mod permits;
pub(in crate::commands) mod readiness;
mod registry;
mod source;
mod write;

use taskpass_report::evidence::{Framework, UnknownFramework, evidence};
use taskpass_report::exposure::exposure;
use taskpass_report::inventory::inventory;
use taskpass_report::least_privilege::{By, Scope, UnknownName, least_privilege, suggest_by};

use crate::cli::report::{
    EvidenceArgs, ExposureArgs, InventoryArgs, LeastPrivilegeArgs, ReportCommand, SuggestBy,
};
use crate::context::Context;
use crate::errors::CliError;
use crate::view::report::Shown;
pub(in crate::commands) use source::Source;
pub(in crate::commands) use write::narrower;

/// Runs one of the reports.
pub(crate) async fn run(context: &Context, command: ReportCommand) -> Result<(), CliError> {
    match command {
        ReportCommand::Inventory(args) => inventory_of(context, args).await,
        ReportCommand::LeastPrivilege(args) => least_privilege_of(context, args).await,
        ReportCommand::Exposure(args) => exposure_of(context, args).await,
        ReportCommand::Evidence(args) => evidence_of(context, args).await,
        ReportCommand::Readiness(args) => readiness::run(context, args).await,
    }
}

async fn inventory_of(context: &Context, args: InventoryArgs) -> Result<(), CliError> {
    let source = Source::open(context, &args.source).await?;
    let report = inventory(&source.facts, &source.registry, source.about());
    write::write(context, &args.source, &Shown::new(report))
}

async fn least_privilege_of(context: &Context, args: LeastPrivilegeArgs) -> Result<(), CliError> {
    write::can_be_made(args.suggest.as_ref())?;
    let mut source = Source::open(context, &args.source).await?;
    let scope = Scope {
        agent: args.agent,
        owner: args.owner,
        target: args.target,
    };
    let permits = permits::ask(context, args.policies.as_deref(), &source, &scope).await?;
    source.registry.permits = permits;
    let (facts, registry) = (&source.facts, &source.registry);
    let mut report =
        least_privilege(facts, registry, source.about(), &scope).map_err(of_unknown)?;
    if let Some(out) = &args.suggest {
        let by = match args.by {
            SuggestBy::Granted => By::Granted,
            SuggestBy::Used => By::Used,
        };
        let suggestion = suggest_by(facts, registry, &report, by);
        let file = write::narrower(&source.snapshot, &suggestion);
        report.suggestion = Some(suggestion);
        if write::file(context, out, &file)? {
            return Ok(());
        }
    }
    write::write(context, &args.source, &Shown::new(report))
}

async fn exposure_of(context: &Context, args: ExposureArgs) -> Result<(), CliError> {
    let source = Source::open(context, &args.source).await?;
    let (facts, registry) = (&source.facts, &source.registry);
    let scope = Scope {
        agent: args.agent,
        owner: args.owner,
        target: None,
    };
    scope.check(facts, registry).map_err(of_unknown)?;
    let keep = |agent: &str| {
        let registered = registry.agent(agent).map(|agent| agent.owner.as_str());
        let logged = || facts.agent(agent).and_then(|agent| agent.owner.as_deref());
        scope.has(agent, registered.or_else(logged))
    };
    let report = exposure(facts, source.about(), keep);
    write::write(context, &args.source, &Shown::new(report))
}

async fn evidence_of(context: &Context, args: EvidenceArgs) -> Result<(), CliError> {
    let framework = args.framework.trim().parse();
    let framework: Framework = framework.map_err(|error: UnknownFramework| {
        CliError::caused("UNKNOWN_FRAMEWORK", error.to_string(), error)
    })?;
    let mut source = Source::open(context, &args.source).await?;
    let permits = permits::ask(context, None, &source, &Scope::default()).await?;
    source.registry.permits = permits;
    let report = evidence(&source.facts, &source.registry, source.about(), framework);
    write::write(context, &args.source, &Shown::new(report))
}

fn of_unknown(error: UnknownName) -> CliError {
    let reason = match error {
        UnknownName::Agent(_) => "AGENT_NOT_FOUND",
        UnknownName::Owner(_) => "OWNER_NOT_FOUND",
        UnknownName::Target(_) => "TARGET_NOT_FOUND",
    };
    CliError::caused(reason, error.to_string(), error)
}

#[cfg(test)]
mod tests;
