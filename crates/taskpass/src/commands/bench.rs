//! `taskpass bench`: what this machine can issue, beside what it could at most.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use serde::Serialize;
use taskpass_bench::{Outcome, Plan, Progress, Section, Size};

use crate::context::Context;
use crate::errors::CliError;
use crate::host;
use crate::output::{Ink, View};

/// What to measure, and where.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  taskpass bench                            all figures, in less than ten minutes
  taskpass bench --quick --json now.json    a look of about a minute, also as JSON
  taskpass bench --only issue --only batch --data /var/lib/taskpass
  taskpass bench --soak=2h                  does anything grow?

It runs brokers of its own on the loopback, over TLS, with their stores in a new folder beneath
--data: measure on the disk that the broker will use. What is timed takes turns with its floor, which
is the same server doing only what cannot be avoided, so the ratios say more than the numbers. Server
and clients share this machine's CPUs.

What --only names:
  issue        IssueToken, over signing alone                     goal: at least 0.70
  batch        IssueTokens in hundreds, over all cores signing    goal: at least 0.50
  certificate  IssueCertificate, over checking and signing        goal: at least 0.70
  backend      the store in a file, over one in memory            goal: at least 0.85
  log          the audit log written, over not written            goal: at least 0.85
  latency      at 70 % of the peak, open loop                     goal: p50 within 0.5 ms + 2
                                                                  commits, p99 1 ms + 4 commits
  introspect   Introspect, over an empty call                     goal: at least 0.85
  reap         removing what expired, beside issuing              goal: 100 000 a second
  overload     three times the peak                               goal: 0.80 of the peak answered;
                                                                  Revoke and health within 50 ms
                                                                  + 4 commits meanwhile
  idle         beside 10 000 idle connections                     goal: p99 at most twice, 128 KiB
  start        kill -9 to ready, and memory, 5 000 000 records    goal: 1 s, 64 bytes each

Goals are told, not enforced: the exit code is 0 if everything could be measured.")]
pub(crate) struct BenchArgs {
    /// Write floors and results to this file, as JSON
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
    /// Take about a minute: fewer turns, and fewer records than the goals speak of
    #[arg(long)]
    pub(crate) quick: bool,
    /// Measure this part only; may be repeated
    #[arg(long, value_name = "NAME", conflicts_with = "soak")]
    pub(crate) only: Vec<String>,
    /// Issue as much as expires at half load for this long instead, and see whether anything grows
    #[arg(
        long,
        value_name = "TIME",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "30m"
    )]
    pub(crate) soak: Option<String>,
    /// Where to make the folder that is measured on and removed again [default: the system's
    /// temporary folder]
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
}

#[derive(Serialize)]
#[serde(transparent)]
struct Report(Outcome);

impl View for Report {
    fn text(&self, _: &Ink) -> String {
        self.0.to_string()
    }
}

/// The shortest soak that says anything.
const SHORTEST_SOAK: Duration = Duration::from_secs(10);

/// Runs it.
pub(crate) async fn run(context: &Context, args: BenchArgs) -> Result<(), CliError> {
    let filter = if context.verbosity() > 0 {
        "info"
    } else {
        "error"
    };
    host::diagnostics(filter, false)?;
    let sections = sections(&args.only)?;
    let soak = args.soak.as_deref().map(soak).transpose()?;
    let folder = folder(args.data.as_deref())?;
    let program = std::env::current_exe().map_err(|error| {
        CliError::caused("INTERNAL", "this program does not know where it is", error)
    })?;
    let plan = Plan {
        sections,
        size: if args.quick { Size::QUICK } else { Size::FULL },
        soak,
        data: folder.path().to_owned(),
        program,
    };
    let parts = plan.soak.map_or(plan.sections.len(), |_| 1);
    // The floors before and after are steps too.
    let progress = Progress::new(u64::try_from(parts).unwrap_or(u64::MAX).saturating_add(2));
    let (clock, rng) = (Arc::clone(&context.clock), Arc::clone(&context.rng));
    let outcome = taskpass_bench::run(&plan, clock, rng, &progress)
        .await
        .map_err(|error| {
            CliError::caused("BENCH_FAILED", "the bench has no figures", error)
                .hint("nothing else should run on --data's disk; `-v` says what the broker said")
        })?;
    let report = Report(outcome);
    if let Some(path) = &args.json {
        write(path, &report)?;
    }
    context.output.show(&report)
}

fn sections(names: &[String]) -> Result<BTreeSet<Section>, CliError> {
    if names.is_empty() {
        return Ok(Section::ALL.iter().copied().collect());
    }
    let parse = |name: &String| {
        name.parse()
            .map_err(|error: taskpass_bench::plan::UnknownSection| {
                CliError::new("INVALID_SECTION", error.to_string())
                    .hint("`taskpass bench --help` says what each of them measures")
            })
    };
    names.iter().map(parse).collect()
}

fn soak(text: &str) -> Result<Duration, CliError> {
    let time = humantime::parse_duration(text).ok();
    time.filter(|time| *time >= SHORTEST_SOAK).ok_or_else(|| {
        CliError::new(
            "INVALID_DURATION",
            format!("`{text}` is no time to soak for"),
        )
        .hint("write it like `30m` or `2h`; at least 10s")
    })
}

/// A folder that is removed when the run is over, however it ends.
fn folder(beneath: Option<&Path>) -> Result<tempfile::TempDir, CliError> {
    let mut builder = tempfile::Builder::new();
    builder.prefix("taskpass-bench-");
    match beneath {
        Some(data) => builder
            .tempdir_in(data)
            .map_err(|error| CliError::file("write in", data, error)),
        None => builder
            .tempdir()
            .map_err(|error| CliError::caused("FILE_ERROR", "could not make a folder", error)),
    }
}

fn write(path: &Path, report: &Report) -> Result<(), CliError> {
    let text = serde_json::to_string_pretty(report)
        .map_err(|error| CliError::caused("INTERNAL", "could not write JSON", error))?;
    std::fs::write(path, format!("{text}\n")).map_err(|error| CliError::file("write", path, error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_measured_is_refused() {
        assert_eq!(sections(&[]).unwrap().len(), Section::ALL.len());
        let named = sections(&["reap".to_owned(), "issue".to_owned()]).unwrap();
        assert_eq!(named, [Section::Issue, Section::Reap].into());
        let error = sections(&["issue".to_owned(), "tokens".to_owned()]).unwrap_err();
        assert_eq!(error.reason(), "INVALID_SECTION");
    }

    #[test]
    fn a_soak_takes_its_time() {
        assert_eq!(soak("30m").unwrap(), Duration::from_mins(30));
        for text in ["", "5", "9s", "-1m", "long"] {
            assert_eq!(
                soak(text).unwrap_err().reason(),
                "INVALID_DURATION",
                "{text}"
            );
        }
    }

    #[test]
    fn the_help_names_every_part() {
        use clap::CommandFactory as _;
        let mut command = crate::cli::Cli::command();
        let bench = command.find_subcommand_mut("bench").unwrap();
        let help = bench.render_long_help().to_string();
        for section in Section::ALL {
            assert!(help.contains(&format!("\n  {section} ")), "{section}");
        }
    }
}
