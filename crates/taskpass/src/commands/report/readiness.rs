//! `taskpass report readiness`: the report, and an exit code that says what it found.

use std::path::Path;

use taskpass_core::access::Stage;
use taskpass_report::least_privilege::Scope;
use taskpass_report::readiness::{Readiness, RequirementsFile, readiness};

use super::source::Source;
use super::{of_unknown, permits, write};
use crate::cli::report::{ReadinessArgs, SourceArgs};
use crate::context::Context;
use crate::errors::CliError;
use crate::files;
use crate::view::report::Shown;

/// The exit code where an agent is not ready.
const NOT_READY: u8 = 3;
/// The largest file of requirements.
const MAX_REQUIREMENTS: u64 = 64 * 1024;

/// Makes the report.
pub(super) async fn run(context: &Context, args: ReadinessArgs) -> Result<(), CliError> {
    let stage = args.stage.as_deref().map(stage).transpose()?;
    let report = made(
        context,
        &args.source,
        (args.agent.as_deref(), stage),
        args.requirements.as_deref(),
    )
    .await?;
    let passed = report.passed();
    write::write(context, &args.source, &Shown::new(report))?;
    if passed {
        Ok(())
    } else {
        Err(CliError::Ended { code: NOT_READY })
    }
}

/// The report of one agent or all, for one stage or the one that each is at.
pub(in crate::commands) async fn made(
    context: &Context,
    source: &SourceArgs,
    (agent, stage): (Option<&str>, Option<Stage>),
    requirements: Option<&Path>,
) -> Result<Readiness, CliError> {
    let file = requirements.map(read).transpose()?.unwrap_or_default();
    let mut source = Source::open(context, source).await?;
    let scope = Scope {
        agent: agent.map(str::to_owned),
        ..Scope::default()
    };
    source.registry.permits = permits::ask(context, None, &source, &scope).await?;
    let (facts, registry) = (&source.facts, &source.registry);
    readiness(facts, registry, source.about(), (agent, stage), &file).map_err(of_unknown)
}

/// A stage by its word.
pub(in crate::commands) fn stage(text: &str) -> Result<Stage, CliError> {
    text.parse().map_err(|_| {
        let message = format!("`{text}` is no stage");
        CliError::new("INVALID_FIELD", message).hint("read-only, bounded or autonomous")
    })
}

fn read(path: &Path) -> Result<RequirementsFile, CliError> {
    let bytes = files::read_up_to(path, MAX_REQUIREMENTS)?;
    let refused = |message: String| {
        let message = format!("{}: {message}", path.display());
        CliError::new("INVALID_REQUIREMENTS", message)
            .hint("`taskpass report readiness --help` shows the form of the file")
    };
    let text = std::str::from_utf8(&bytes).map_err(|_| refused("is not UTF-8".to_owned()))?;
    let file: RequirementsFile =
        toml::from_str(text).map_err(|error| refused(error.message().to_owned()))?;
    file.check().map_err(|error| refused(error.to_string()))?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_file_of_requirements_reads_or_is_refused_with_its_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("requirements.toml");
        fs::write(
            &path,
            "[all]\ntoken_ttl_max = \"5m\"\nnot_asked = [\"drill\"]\n[read-only]\nused_min_percent = 0\n",
        )
        .unwrap();
        let file = read(&path).unwrap();
        assert_eq!(file.at(Stage::ReadOnly).used_min_percent, 0);
        assert_eq!(file.at(Stage::Bounded).token_ttl_max_s, 300);
        for bad in [
            "[all]\ntoken_ttl = \"5m\"",
            "[all]\nused_min_percent = 101",
            "all = 1",
            "[other]",
        ] {
            fs::write(&path, bad).unwrap();
            let error = read(&path).unwrap_err();
            assert_eq!(error.reason(), "INVALID_REQUIREMENTS", "{bad}");
            assert!(error.to_string().contains("requirements.toml"), "{error}");
        }
    }
}
