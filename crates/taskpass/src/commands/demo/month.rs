//! `taskpass demo --month`: a month of many agents, played in a minute, and the reports on it.
//!
//! A broker in this process lives through simulated days that end now: agents of several kinds enrol,
//! work, hand work on, ask for too much, forget to finish; operators revoke, extend, narrow, offboard.
//! All of it goes through the broker's own use cases, so that the log says what a broker in service
//! would have written; nothing is entered into it by hand. What is left is the log with its keys, the
//! registry, the policies and the reports, for whoever wants to see what they look like. No broker is
//! left, and no credential of it is good for anything.

mod agenda;
mod apis;
mod copy;
mod dice;
mod habit;
mod house;
mod member;
mod operate;
mod people;
mod plan;
mod play;
mod policies;
mod roles;
mod tally;
mod tasks;
mod uses;
mod world;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use serde::Serialize;
use taskpass_bench::Progress;
use taskpass_broker::Error;
use taskpass_core::Timestamp;

use crate::context::Context;
use crate::errors::CliError;
use crate::files::folder;
use crate::output::{Ink, View};
use copy::{Folder, Written};
use house::House;
use play::Play;
use tally::Tally;
use world::{Size, World};

const DAY: Duration = Duration::from_hours(24);
/// Who runs the broker of the month.
const OPERATOR: &str = "operator";

/// How large the month is.
#[derive(Debug, Clone, Args)]
pub(crate) struct MonthArgs {
    /// Play a month of many agents instead, and write the reports on it
    #[arg(long, conflicts_with_all = ["keep", "broker"])]
    pub(crate) month: bool,
    /// What is played: the same number plays the same month
    #[arg(long, value_name = "N", default_value_t = 1, requires = "month")]
    pub(crate) seed: u64,
    /// How many agents there are
    #[arg(long, value_name = "N", default_value_t = 200, requires = "month",
          value_parser = clap::value_parser!(u32).range(20..=2000))]
    pub(crate) agents: u32,
    /// How many owners they have
    #[arg(long, value_name = "N", default_value_t = 20, requires = "month",
          value_parser = clap::value_parser!(u32).range(2..=200))]
    pub(crate) owners: u32,
    /// How many days it has
    #[arg(long, value_name = "N", default_value_t = 30, requires = "month",
          value_parser = clap::value_parser!(u32).range(3..=30))]
    pub(crate) days: u32,
    /// Where log, registry, policies and reports go (a new or empty folder)
    #[arg(
        long,
        value_name = "DIR",
        default_value = "taskpass-month",
        requires = "month"
    )]
    pub(crate) out: PathBuf,
}

/// What there is to see.
#[derive(Debug, Serialize)]
struct Played {
    folder: String,
    seed: u64,
    agents: usize,
    owners: usize,
    from: Timestamp,
    until: Timestamp,
    #[serde(flatten)]
    tally: Tally,
    log: String,
    keys: String,
    registry: String,
    policies: String,
    narrower: String,
    reports: Vec<Written>,
}

impl View for Played {
    fn text(&self, ink: &Ink) -> String {
        use std::fmt::Write as _;
        let t = &self.tally;
        let mut text = format!(
            "{} agents of {} owners, from {} to {} (seed {}):\n{} tasks, {} tokens, {} certificates, \
             {} refusals, {} revocations.\n\n{}\n",
            self.agents,
            self.owners,
            self.from,
            self.until,
            self.seed,
            t.tasks,
            t.tokens,
            t.certificates,
            t.refusals,
            t.revocations,
            ink.heading("Open"),
        );
        for report in &self.reports {
            let _ = writeln!(text, "  {}", report.html);
        }
        let _ = write!(
            text,
            "\n{}\n  taskpass audit verify {log} --key {keys}\n  \
             taskpass report least-privilege --log {log} --registry {registry} --key {keys}\n  \
             less {narrower}\n",
            ink.heading("Then"),
            log = self.log,
            keys = self.keys,
            registry = self.registry,
            narrower = self.narrower,
        );
        text
    }
}

/// Plays it.
pub(super) async fn run(context: &Context, args: &MonthArgs) -> Result<(), CliError> {
    let until = context.clock.now().floor_to_second();
    let size = Size {
        seed: args.seed,
        agents: usize::try_from(args.agents).unwrap_or(usize::MAX),
        owners: usize::try_from(args.owners).unwrap_or(usize::MAX),
        days: args.days,
        from: until.minus(DAY.saturating_mul(args.days)),
    };
    let folder = empty(args)?;
    let mut world = World::new(&size)?;
    let planned = plan::plan(&size, &mut world)?;
    let policies = policies::write(&folder.policies(), &world)?;
    let house = House::open(context, policies, &folder.log(), size.from).await?;
    let mut play = Play::new(house, world, planned.agenda, &size)?;
    play.sharing = planned.sharing;
    play.people.first(&play.house, &*context.rng).await?;
    let progress = Progress::new(u64::from(size.days) + 1);
    for day in 1..=size.days {
        progress.begin(&format!("day {day} of {}", size.days));
        play.until(size.day(day)).await?;
        progress.advance();
    }
    play.report_uses().await?;
    progress.begin("reports");
    let (tally, clock) = (play.tally, play.house.clock.clone());
    let broker = play.house.close().await?;
    copy::registry(&broker, &folder)?;
    copy::keys(&folder)?;
    let reports = copy::reports(context, Arc::new(clock), &folder).await?;
    progress.finish();
    let path = |path: PathBuf| path.display().to_string();
    context.output.show(&Played {
        folder: path(folder.root().to_owned()),
        seed: size.seed,
        agents: size.agents,
        owners: size.owners,
        from: size.from,
        until,
        tally,
        log: path(folder.log()),
        keys: path(folder.keys()),
        registry: path(folder.registry()),
        policies: path(folder.policies()),
        narrower: path(folder.narrower()),
        reports,
    })
}

/// The folder, if nothing is in it.
fn empty(args: &MonthArgs) -> Result<Folder, CliError> {
    let root = &args.out;
    folder::make(root)?;
    let entries = std::fs::read_dir(root);
    let mut entries = entries.map_err(|error| CliError::file("look into", root, error))?;
    if entries.next().is_some() {
        let message = format!("{} is not empty", root.display());
        let hint = "name a new or empty folder with --out";
        return Err(CliError::new("FILE_EXISTS", message).hint(hint));
    }
    Ok(Folder::of(root))
}

/// An error of something that must succeed.
fn broken<E: Into<Box<dyn std::error::Error + Send + Sync>>>(
    what: &'static str,
) -> impl FnOnce(E) -> CliError {
    move |error| CliError::caused("MONTH_FAILED", format!("could not {what}"), error)
}

/// What came of a request; nothing if the broker refused it, which is a part of the story.
fn refused<T>(outcome: Result<T, Error>, what: &'static str) -> Result<Option<T>, CliError> {
    match outcome {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.is_denial() || is_a_matter_of_time(&error) => Ok(None),
        Err(error) => Err(broken(what)(error)),
    }
}

/// What another moment, or another identity, would have changed.
const fn is_a_matter_of_time(error: &Error) -> bool {
    matches!(
        error,
        Error::RetryAfterRevocation
            | Error::Unauthenticated { .. }
            | Error::CredentialNotFound { .. }
    )
}
