//! What a report rests on: a log that holds, and the registry.
//!
//! From a broker the whole log is copied into a folder for the moment and verified there, exactly as an
//! export is. The registry is read first: so the log has at least what made it what it is.

use std::path::Path;

use taskpass_core::Timestamp;
use taskpass_core::secret::Sha256;
use taskpass_log::Reader;
use taskpass_log::chain::{ChainReport, PublicKeys, verify_logs};
use taskpass_report::facts::{About, KeysFrom, LogHead};
use taskpass_report::registry::Verifier;
use taskpass_report::{Entry, EntryError, Facts, Period, PeriodError, Registry};

use super::registry::{of, verifier};
use super::write;
use crate::cli::report::SourceArgs;
use crate::commands::audit::{export, keys, refusal};
use crate::commands::registry::export::{snapshot, verifiers};
use crate::context::Context;
use crate::errors::CliError;
use crate::files;
use crate::registry_file::{Dates, RegistryFile, Snapshot};
use crate::values;
use crate::view::wire;

/// The largest file of a registry.
const MAX_REGISTRY: u64 = 16 * 1024 * 1024;

/// What a period is.
const PERIOD: &str = "give an instant that has passed (2026-11-22T09:30:00Z), a day (2026-11-22), or how long \
                      ago it was, such as 30d";

/// What a report rests on.
pub(in crate::commands) struct Source {
    /// What the log says.
    pub(in crate::commands) facts: Facts,
    /// What is registered, as reports read it.
    pub(in crate::commands) registry: Registry,
    /// The same as it is applied.
    pub(in crate::commands) snapshot: Snapshot,
    /// Whether a broker gave both.
    pub(super) from_broker: bool,
    keys_from: KeysFrom,
}

impl Source {
    /// Reads and verifies it.
    pub(in crate::commands) async fn open(
        context: &Context,
        args: &SourceArgs,
    ) -> Result<Self, CliError> {
        // What was typed is judged before anything is fetched.
        let period = period(args.since.as_deref(), context.clock.now())?;
        let keys = keys::read(&args.keys)?;
        write::can_be_made(args.csv.as_ref())?;
        write::can_be_made(args.html.as_ref())?;
        let keys_from = match keys {
            Some(_) => KeysFrom::Given,
            None => KeysFrom::Copy,
        };
        let (facts, snapshot, version, verifiers) = match (&args.log, &args.registry) {
            (Some(log), Some(registry)) => {
                let snapshot = from_file(registry)?;
                (verified(log, keys.as_ref(), period)?, snapshot, None, None)
            }
            _ => from_broker(context, keys.as_ref(), period).await?,
        };
        let registry = Registry {
            version,
            verifiers,
            ..of(&snapshot)
        };
        Ok(Self {
            facts,
            registry,
            snapshot,
            from_broker: args.log.is_none(),
            keys_from,
        })
    }

    /// What stands at the head of the report.
    pub(in crate::commands) fn about(&self) -> About {
        self.facts.about(self.keys_from, self.registry.version)
    }
}

/// The period that was asked for.
pub(super) fn period(since: Option<&str>, now: Timestamp) -> Result<Period, CliError> {
    let since = since
        .map(|since| values::instant_before(since, now))
        .transpose()
        .map_err(|error| error.hint(PERIOD))?;
    let since = since.and_then(|since| wire::instant(Some(since)));
    Period::new(since, now).map_err(|error: PeriodError| {
        CliError::caused("INVALID_PERIOD", error.to_string(), error).hint(PERIOD)
    })
}

async fn from_broker(
    context: &Context,
    keys: Option<&PublicKeys>,
    period: Period,
) -> Result<(Facts, Snapshot, Option<u64>, Option<Vec<Verifier>>), CliError> {
    let snapshot = snapshot(context.session().await?.registry()).await?;
    let verifiers = verifiers(context.session().await?.registry()).await?;
    let verifiers = verifiers.into_iter().map(verifier).collect();
    let folder = tempfile::Builder::new()
        .prefix("taskpass-report-")
        .tempdir()
        .map_err(|error| CliError::file("make a folder in", &std::env::temp_dir(), error))?;
    export::copy(context, folder.path()).await?;
    let facts = verified(folder.path(), keys, period)?;
    let version = Some(snapshot.version);
    Ok((facts, snapshot, version, Some(verifiers)))
}

/// The facts of the logs in a folder; an error if they do not hold.
pub(super) fn verified(
    root: &Path,
    keys: Option<&PublicKeys>,
    period: Period,
) -> Result<Facts, CliError> {
    let report = verify_logs(root, keys, None).map_err(refusal::of_chain)?;
    gathered(&report, period)
}

fn gathered(report: &ChainReport, period: Period) -> Result<Facts, CliError> {
    let mut facts = Facts::new(period);
    for log in &report.logs {
        let name = log.name.map(|name| name.to_string()).unwrap_or_default();
        let size = log.report.checkpoint.size;
        for entry in Reader::open(&log.folder).at(size).entries(0..size) {
            let (index, json) =
                entry.map_err(|error| CliError::caused("FILE_ERROR", error.to_string(), error))?;
            let entry = Entry::parse(&name, index, &json).map_err(|error: EntryError| {
                CliError::caused("LOG_INVALID", error.to_string(), error)
            })?;
            facts.add(&entry);
        }
    }
    if let Some(newest) = report.logs.last() {
        let checkpoint = &newest.report.checkpoint;
        facts.of_head(LogHead {
            origin: checkpoint.origin.to_string(),
            size: checkpoint.size,
            root: Sha256::from_bytes(*checkpoint.root.as_bytes()),
        });
    }
    Ok(facts)
}

/// The registry in a file, which says nothing of states and versions.
pub(super) fn from_file(path: &Path) -> Result<Snapshot, CliError> {
    use taskpass_api::v1::entry::Entry as E;
    let bytes = files::read_up_to(path, MAX_REGISTRY)?;
    let text = std::str::from_utf8(&bytes).map_err(|error| {
        let message = format!("{} is not UTF-8", path.display());
        CliError::caused("INVALID_REGISTRY", message, error)
    })?;
    let file = RegistryFile::parse(text, Dates::Fixed)?;
    if !file.faults.is_empty() {
        let faults = file.faults.iter().map(|fault| fault.line(&file.places));
        return Err(CliError::Faulty {
            reason: "INVALID_REGISTRY",
            message: format!("{} cannot be reported on", path.display()),
            faults: faults.collect(),
        });
    }
    let mut snapshot = Snapshot::default();
    for entry in file.entries {
        match entry.entry {
            Some(E::Owner(owner)) => snapshot.owners.push(owner),
            Some(E::Target(target)) => snapshot.targets.push(target),
            Some(E::Agent(agent)) => snapshot.agents.push(agent),
            Some(E::Operator(_) | E::Verifier(_)) | None => {}
        }
    }
    Ok(snapshot)
}
