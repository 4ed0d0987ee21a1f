//! `taskpass report …`: reports from a broker's log and registry, or from copies of both.

mod registry;
mod source;
mod write;

use taskpass_report::exposure::exposure;
use taskpass_report::inventory::inventory;
use taskpass_report::least_privilege::{Scope, UnknownName, least_privilege, suggest};

use crate::cli::report::{ExposureArgs, InventoryArgs, LeastPrivilegeArgs, ReportCommand};
use crate::context::Context;
use crate::errors::CliError;
use crate::view::report::Shown;
use source::Source;

/// Runs one of the reports.
pub(crate) async fn run(context: &Context, command: ReportCommand) -> Result<(), CliError> {
    match command {
        ReportCommand::Inventory(args) => inventory_of(context, args).await,
        ReportCommand::LeastPrivilege(args) => least_privilege_of(context, args).await,
        ReportCommand::Exposure(args) => exposure_of(context, args).await,
    }
}

async fn inventory_of(context: &Context, args: InventoryArgs) -> Result<(), CliError> {
    let source = Source::open(context, &args.source).await?;
    let report = inventory(&source.facts, &source.registry, source.about());
    write::write(context, &args.source, &Shown::new(report))
}

async fn least_privilege_of(context: &Context, args: LeastPrivilegeArgs) -> Result<(), CliError> {
    let source = Source::open(context, &args.source).await?;
    let scope = Scope {
        agent: args.agent,
        owner: args.owner,
        target: args.target,
    };
    let (facts, registry) = (&source.facts, &source.registry);
    let mut report =
        least_privilege(facts, registry, source.about(), &scope).map_err(of_unknown)?;
    if let Some(out) = &args.suggest {
        let suggestion = suggest(facts, registry, &report);
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
