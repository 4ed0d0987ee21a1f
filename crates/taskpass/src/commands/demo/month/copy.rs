//! What is left of the month: the registry as a file, the log's keys, and every report on them.
//!
//! The reports are made from the copies, as by `taskpass report --log … --registry … --key …`; the
//! log is verified first.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Serialize;
use taskpass_api::v1::entry::Entry as E;
use taskpass_broker::Broker;
use taskpass_core::Clock;
use taskpass_core::registry::{Row, Versioned};
use taskpass_log::LogName;
use taskpass_report::evidence::{Framework, evidence};
use taskpass_report::exposure::exposure;
use taskpass_report::inventory::inventory;
use taskpass_report::least_privilege::{Scope, least_privilege, suggest};
use taskpass_report::readiness::{RequirementsFile, readiness};
use taskpass_report::sheet::{Sheet, html};

use super::broken;
use crate::cli::report::SourceArgs;
use crate::commands::report::{Source, narrower};
use crate::context::Context;
use crate::errors::CliError;
use crate::registry_file::{self, Snapshot};

/// Evidence by framework, and what its files are called.
const FRAMEWORKS: [(&str, Framework); 4] = [
    ("evidence-owasp-nhi", Framework::OwaspNhi),
    ("evidence-owasp-asi", Framework::OwaspAsi),
    ("evidence-maestro", Framework::Maestro),
    ("evidence-nist-ai-rmf", Framework::NistAiRmf),
];

/// A report that was written.
#[derive(Debug, Serialize)]
pub(super) struct Written {
    pub(super) name: &'static str,
    pub(super) html: String,
    pub(super) json: String,
}

/// Where everything of a month is.
#[derive(Debug)]
pub(super) struct Folder {
    root: PathBuf,
}

impl Folder {
    /// In a folder that nothing else is in.
    pub(super) fn of(root: &Path) -> Self {
        Self {
            root: root.to_owned(),
        }
    }

    /// The folder of everything.
    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    /// The log, as `taskpass audit export` writes it.
    pub(super) fn log(&self) -> PathBuf {
        self.root.join("log")
    }

    /// The registry, as `taskpass registry export` writes it.
    pub(super) fn registry(&self) -> PathBuf {
        self.root.join("registry.toml")
    }

    /// The log's public keys.
    pub(super) fn keys(&self) -> PathBuf {
        self.root.join("broker.vkey")
    }

    /// The policies that were in force.
    pub(super) fn policies(&self) -> PathBuf {
        self.root.join("policies")
    }

    /// The suggested registration.
    pub(super) fn narrower(&self) -> PathBuf {
        self.root.join("narrower.toml")
    }

    fn report(&self, name: &str, form: &str) -> PathBuf {
        self.root.join("reports").join(format!("{name}.{form}"))
    }
}

/// Writes the registry as it is at the end.
pub(super) fn registry(broker: &Broker, folder: &Folder) -> Result<(), CliError> {
    let registry = broker.registry();
    let mut snapshot = Snapshot {
        version: registry.version_of_all(),
        ..Snapshot::default()
    };
    let owners = registry.owners().map(|row| said(row, Row::Owner));
    let targets = registry.targets().map(|row| said(row, Row::Target));
    let agents = registry.agents().map(|row| said(row, Row::Agent));
    for entry in owners.chain(targets).chain(agents).flatten() {
        match entry {
            E::Owner(owner) => snapshot.owners.push(owner),
            E::Target(target) => snapshot.targets.push(target),
            E::Agent(agent) => snapshot.agents.push(agent),
            E::Operator(_) | E::Verifier(_) => {}
        }
    }
    write(&folder.registry(), &registry_file::write(&snapshot))
}

fn said<T: Clone>(row: &Versioned<T>, as_row: impl Fn(T) -> Row) -> Option<E> {
    let row = Versioned {
        value: as_row(row.value.clone()),
        version: row.version,
    };
    taskpass_server::entry_of(&row).entry
}

/// Writes the keys of all months of the log into one file.
pub(super) fn keys(folder: &Folder) -> Result<(), CliError> {
    let root = folder.log();
    let logs = LogName::list(&root).map_err(|error| CliError::file("look into", &root, error))?;
    let mut text = String::new();
    for log in logs {
        let path = log.vkey(&root);
        let key = std::fs::read_to_string(&path);
        let key = key.map_err(|error| CliError::file("read", &path, error))?;
        text.push_str(key.trim_end());
        text.push('\n');
    }
    write(&folder.keys(), &text)
}

/// Makes all reports as of the end of the month.
pub(super) async fn reports(
    context: &Context,
    clock: Arc<dyn Clock>,
    folder: &Folder,
) -> Result<Vec<Written>, CliError> {
    let args = SourceArgs {
        since: None,
        log: Some(folder.log()),
        registry: Some(folder.registry()),
        keys: vec![folder.keys().display().to_string()],
        csv: None,
        html: None,
    };
    let source = Source::open(&context.at(clock), &args).await?;
    let (facts, registry) = (&source.facts, &source.registry);
    let all = Scope::default();
    let mut least = least_privilege(facts, registry, source.about(), &all)
        .map_err(broken("report on least privilege"))?;
    let suggestion = suggest(facts, registry, &least);
    let file = narrower(&source.snapshot, &suggestion);
    write(&folder.narrower(), &file)?;
    least.suggestion = Some(suggestion);
    let reports = folder.root().join("reports");
    std::fs::create_dir(&reports).map_err(|error| CliError::file("create", &reports, error))?;
    let asks = RequirementsFile::default();
    let ready = readiness(facts, registry, source.about(), (None, None), &asks)
        .map_err(broken("report on readiness"))?;
    let mut written = vec![
        both(
            folder,
            "inventory",
            &inventory(facts, registry, source.about()),
        )?,
        both(folder, "least-privilege", &least)?,
        both(
            folder,
            "exposure",
            &exposure(facts, source.about(), |_| true),
        )?,
        both(folder, "readiness", &ready)?,
    ];
    for (name, framework) in FRAMEWORKS {
        let report = evidence(facts, registry, source.about(), framework);
        written.push(both(folder, name, &report)?);
    }
    Ok(written)
}

/// A report as a page and as JSON.
fn both<T: Serialize>(folder: &Folder, name: &'static str, report: &T) -> Result<Written, CliError>
where
    for<'a> Sheet: From<&'a T>,
{
    let (page, json) = (folder.report(name, "html"), folder.report(name, "json"));
    write(&page, &html::write(&Sheet::from(report)))?;
    let text = serde_json::to_string(report).map_err(broken("write a report"))?;
    write(&json, &text)?;
    Ok(Written {
        name,
        html: page.display().to_string(),
        json: json.display().to_string(),
    })
}

fn write(path: &Path, text: &str) -> Result<(), CliError> {
    std::fs::write(path, text).map_err(|error| CliError::file("write", path, error))
}
