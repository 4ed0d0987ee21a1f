//! Entries as JSON lines: `{"log":…,"index":…,"entry":…}`, or as events of OCSF or CloudEvents. In each
//! of them the entry stands byte for byte as it is hashed.

use std::io::{BufWriter, Write as _};
use std::path::Path;

use taskpass_log::chain::ChainReport;
use taskpass_log::{LogName, Reader};

use taskpass_report::siem::{Placed, cloudevents, ocsf};

use crate::errors::CliError;
use crate::view::audit::Logged;

/// A file is there already.
pub(super) fn exists(path: &Path) -> CliError {
    let message = format!("{} exists already", path.display());
    CliError::new("FILE_EXISTS", message).hint("name another file, or remove it")
}

/// What a line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// The entry and its place.
    Plain,
    /// An event of OCSF.
    Ocsf,
    /// An event of CloudEvents.
    CloudEvents,
}

impl Form {
    fn line(self, entry: &Logged, origin: &str) -> Result<String, CliError> {
        let log = entry.log.to_string();
        let placed = Placed {
            origin,
            log: &log,
            index: entry.index,
            json: entry.json(),
        };
        match self {
            Self::Plain => return Ok(entry.line()),
            Self::Ocsf => ocsf(placed),
            Self::CloudEvents => cloudevents(placed),
        }
        .map_err(|error| CliError::caused("LOG_INVALID", error.to_string(), error))
    }
}

/// Writes the entries of logs that were verified to the new file `out`, by way of one in `beside`.
pub(super) fn write(
    report: &ChainReport,
    form: Form,
    beside: &Path,
    out: &Path,
) -> Result<(), CliError> {
    let failed = |error| CliError::file("write", out, error);
    let mut file = tempfile::NamedTempFile::new_in(beside).map_err(failed)?;
    let mut writer = BufWriter::new(file.as_file_mut());
    for log in &report.logs {
        let name = log.name.ok_or_else(|| CliError::bad_reply("log"))?;
        let reader = Reader::open(&log.folder);
        let size = log.report.checkpoint.size;
        for entry in reader.at(size).entries(0..size) {
            let (index, json) =
                entry.map_err(|error| CliError::caused("FILE_ERROR", error.to_string(), error))?;
            let entry = Logged::new(name, index, json).ok_or_else(|| not_json(name, index))?;
            let line = form.line(&entry, log.report.checkpoint.origin.as_str())?;
            writeln!(writer, "{line}").map_err(failed)?;
        }
    }
    writer.flush().map_err(failed)?;
    drop(writer);
    file.as_file().sync_all().map_err(failed)?;
    match file.persist_noclobber(out) {
        Ok(_) => Ok(()),
        Err(error) if error.error.kind() == std::io::ErrorKind::AlreadyExists => Err(exists(out)),
        Err(error) => Err(failed(error.error)),
    }
}

fn not_json(log: LogName, index: u64) -> CliError {
    let message = format!("entry {index} of log {log} is not JSON on one line");
    CliError::new("LOG_INVALID", message).hint("copy it with --format tiles, which takes any entry")
}

#[cfg(test)]
mod tests;
