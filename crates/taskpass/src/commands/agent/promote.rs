//! `taskpass agent promote`: a stage rises on a readiness report that passes, or by force.
//!
//! The report is made here, from the whole log, which is fetched and verified first; the broker is told
//! its hash and the state of the log that it rests on, which it compares with its own.

use ring::digest::{SHA256, digest};
use taskpass_api::v1::{self, Kind, entry};
use taskpass_core::access::Stage;
use taskpass_report::readiness::{Outcome, Readiness};

use crate::cli::registry::AgentPromoteArgs;
use crate::cli::report::SourceArgs;
use crate::commands::registry::{self, Grounds};
use crate::commands::report::readiness;
use crate::context::Context;
use crate::errors::CliError;
use crate::files::NewSecretFile;
use crate::values;
use crate::view::wire;

/// Promotes.
pub(super) async fn run(context: &Context, args: AgentPromoteArgs) -> Result<(), CliError> {
    let asked = args
        .stage
        .as_deref()
        .map(|text| Ok::<_, CliError>((values::stage(text)?, readiness::stage(text)?)))
        .transpose()?;
    let (mut entry, expected_version) = registry::read(context, Kind::Agent, &args.name).await?;
    let entry::Entry::Agent(agent) = &mut entry else {
        return Err(registry::wrong_kind());
    };
    let (stage, word) = match asked {
        Some(asked) => asked,
        None => next(agent)?,
    };
    raise(agent, stage)?;
    let (grounds, reason) = if args.force {
        (Grounds::Force, args.reason.unwrap_or_default())
    } else {
        let report = report(context, &args, word).await?;
        let json = serde_json::to_vec(&report)
            .map_err(|error| CliError::caused("INTERNAL", "could not write JSON", error))?;
        if let Some(out) = &args.report_out {
            NewSecretFile::create(out)?.fill(&json)?;
        }
        let checks: usize = report.rows.iter().map(|row| row.checks.len()).sum();
        let otherwise = format!("readiness: {checks} of {checks} requirements pass");
        let statement = statement(&report, &json, &args.name, (stage, word))?;
        let reason = args.reason.unwrap_or(otherwise);
        (Grounds::Readiness(statement), reason)
    };
    registry::replace(context, entry, expected_version, reason, grounds).await
}

/// The report of the one agent, all of whose requirements pass.
async fn report(
    context: &Context,
    args: &AgentPromoteArgs,
    stage: Stage,
) -> Result<Readiness, CliError> {
    let source = SourceArgs {
        since: args.since.clone(),
        log: None,
        registry: None,
        keys: args.keys.clone(),
        csv: None,
        html: None,
    };
    let who = (Some(args.name.as_str()), Some(stage));
    let report = readiness::made(context, &source, who, args.requirements.as_deref()).await?;
    asks_something(&report, &args.name)?;
    if report.passed() {
        return Ok(report);
    }
    let checks = report.rows.iter().flat_map(|row| &row.checks);
    let missing = checks.filter(|check| check.outcome != Outcome::Pass);
    let faults: Vec<(String, String)> = missing
        .map(|check| {
            let (name, outcome) = (check.requirement.as_str(), check.outcome.as_str());
            let to_do = check.to_do.as_deref().unwrap_or_default();
            let what = format!("asked: {}; {}; {to_do}", check.asks, check.rests_on);
            (format!("{name}: {outcome}"), what)
        })
        .collect();
    Err(CliError::Faulty {
        reason: "NOT_READY",
        message: format!(
            "{} is not ready for {stage}: {} requirements do not pass; nothing was changed",
            args.name,
            faults.len()
        ),
        faults,
    })
}

/// A report that asked for nothing passes, and shows nothing.
fn asks_something(report: &Readiness, name: &str) -> Result<(), CliError> {
    if report.rows.iter().all(|row| !row.checks.is_empty()) {
        return Ok(());
    }
    let message = format!("nothing is asked of {name}, so nothing is shown; nothing was changed");
    Err(CliError::new("NOT_READY", message).hint(
        "ask for at least one requirement in the file (`not_asked` has all of them), or raise it with --force \
         --reason TEXT",
    ))
}

/// What the broker is told of a report that passed.
fn statement(
    report: &Readiness,
    json: &[u8],
    name: &str,
    (stage, word): (v1::Stage, Stage),
) -> Result<v1::Readiness, CliError> {
    let head = report.about.log_head.as_ref().ok_or_else(|| {
        let message = "the log is empty: no report rests on it";
        CliError::new("NOT_READY", message)
    })?;
    let asked = report.requirements.get(word.as_str());
    let asked = asked.ok_or_else(|| CliError::new("INTERNAL", "no requirements of that stage"))?;
    let requirements = serde_json::to_vec(asked)
        .map_err(|error| CliError::caused("INTERNAL", "could not write JSON", error))?;
    let checks: usize = report.rows.iter().map(|row| row.checks.len()).sum();
    let count = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
    Ok(v1::Readiness {
        passed: report.passed(),
        report_sha256: digest(&SHA256, json).as_ref().to_vec().into(),
        log_origin: head.origin.clone(),
        log_size: head.size,
        log_root: head.root.as_bytes().to_vec().into(),
        made_at: Some(values::wire_time(report.about.generated_at)),
        agent: name.to_owned(),
        stage: stage.into(),
        requirements_sha256: digest(&SHA256, &requirements).as_ref().to_vec().into(),
        requirements_asked: count(checks),
        requirements_not_asked: count(asked.not_asked.len()),
    })
}

/// The stage above the one that it is at.
fn next(agent: &v1::Agent) -> Result<(v1::Stage, Stage), CliError> {
    match wire::stage(agent.stage) {
        Some("read-only") => Ok((v1::Stage::Bounded, Stage::Bounded)),
        Some("bounded") => Ok((v1::Stage::Autonomous, Stage::Autonomous)),
        at => Err(not_a_promotion(agent, at)),
    }
}

pub(super) fn raise(agent: &mut v1::Agent, stage: v1::Stage) -> Result<(), CliError> {
    if i32::from(stage) <= agent.stage {
        return Err(not_a_promotion(agent, wire::stage(agent.stage)));
    }
    agent.stage = stage.into();
    Ok(())
}

fn not_a_promotion(agent: &v1::Agent, at: Option<&'static str>) -> CliError {
    let message = format!("{} is {} already", agent.name, wire::shown(at));
    CliError::new("NOT_A_PROMOTION", message)
        .hint("`taskpass agent update NAME --stage …` also lowers it")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(stage: v1::Stage) -> v1::Agent {
        v1::Agent {
            stage: stage.into(),
            ..v1::Agent::default()
        }
    }

    #[test]
    fn a_promotion_only_raises() {
        let mut agent = at(v1::Stage::ReadOnly);
        raise(&mut agent, v1::Stage::Bounded).unwrap();
        assert_eq!(agent.stage(), v1::Stage::Bounded);
        for to in [v1::Stage::ReadOnly, v1::Stage::Bounded] {
            let refused = raise(&mut at(v1::Stage::Bounded), to).unwrap_err();
            assert_eq!(refused.reason(), "NOT_A_PROMOTION");
        }
    }

    #[test]
    fn without_a_stage_it_is_the_one_above() {
        for (from, to) in [
            (v1::Stage::ReadOnly, Some(Stage::Bounded)),
            (v1::Stage::Bounded, Some(Stage::Autonomous)),
            (v1::Stage::Autonomous, None),
            (v1::Stage::Unspecified, None),
        ] {
            let found = next(&at(from)).ok().map(|(_, stage)| stage);
            assert_eq!(found, to, "{from:?}");
        }
    }
}
