//! The section about the audit log.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;
use taskpass_server::CheckpointExport;

use super::file::{Time, positive};

/// The longest interval: a checkpoint within a second is promised.
const INTERVAL_MAX: Duration = Duration::from_secs(1);

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Audit {
    dir: Option<PathBuf>,
    interval: Option<Time>,
    outbox_limit: Option<u64>,
    keep_months: Option<u32>,
    export: Option<Export>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Export {
    file: Option<PathBuf>,
    command: Option<Vec<String>>,
    interval: Option<Time>,
}

impl Audit {
    /// Where the log lies.
    pub(super) fn folder(&self, folder: &Path, data: &Path) -> PathBuf {
        match &self.dir {
            Some(dir) => folder.join(dir),
            None => data.join("audit"),
        }
    }

    pub(super) fn interval(&self) -> Result<Duration, String> {
        let interval = positive("audit.interval", self.interval, Duration::from_millis(250))?;
        if interval > INTERVAL_MAX {
            return Err(
                "audit.interval: at most 1s, within which a checkpoint is promised".to_owned(),
            );
        }
        Ok(interval)
    }

    pub(super) fn outbox_limit(&self) -> Result<u64, String> {
        match self.outbox_limit.unwrap_or(200_000) {
            limit @ 1_000.. => Ok(limit),
            _ => Err("audit.outbox_limit: at least 1000 entries".to_owned()),
        }
    }

    pub(super) fn keep_months(&self) -> Result<Option<u32>, String> {
        match self.keep_months {
            Some(0 | 1) => Err(
                "audit.keep_months: at least 2, or the last hour of a month would be gone in the \
                 first of the next; leave it out to keep all"
                    .to_owned(),
            ),
            months => Ok(months),
        }
    }

    pub(super) fn export(
        &self,
        folder: &Path,
        log_folder: &Path,
    ) -> Result<CheckpointExport, String> {
        let Some(export) = &self.export else {
            return Ok(CheckpointExport::default());
        };
        if export.file.is_none() && export.command.is_none() {
            return Err("audit.export: name a `file`, a `command`, or both".to_owned());
        }
        Ok(CheckpointExport {
            file: export
                .file
                .as_ref()
                .map(|file| target(&folder.join(file), log_folder))
                .transpose()?,
            command: export.command.clone().map(command).transpose()?,
            interval: match export.interval {
                None => CheckpointExport::default().interval,
                Some(Time(interval)) if interval >= Duration::from_secs(1) => interval,
                Some(_) => return Err("audit.export.interval: at least 1s".to_owned()),
            },
        })
    }
}

fn target(file: &Path, log_folder: &Path) -> Result<PathBuf, String> {
    if file.file_name().is_none() {
        return Err(format!(
            "audit.export.file: `{}` names no file",
            file.display()
        ));
    }
    if file.starts_with(log_folder) {
        return Err(
            "audit.export.file: not in the folder of the log, with which it would be lost"
                .to_owned(),
        );
    }
    Ok(file.to_owned())
}

fn command(argv: Vec<String>) -> Result<Vec<String>, String> {
    if argv.first().is_none_or(|program| program.trim().is_empty()) {
        return Err(
            "audit.export.command: the program and its arguments, such as [\"/usr/bin/sink\", \"-q\"]"
                .to_owned(),
        );
    }
    if argv.iter().any(|text| text.contains('\0')) {
        return Err("audit.export.command: no argument can hold a zero byte".to_owned());
    }
    Ok(argv)
}
