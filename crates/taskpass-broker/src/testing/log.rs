//! Reading the log that an archiver wrote, as an auditor would: verified, month after month.

use std::path::Path;

use taskpass_log::{LogName, NoteKey, Reader, verify_folder};

/// An entry of a log.
#[derive(Debug, Clone)]
pub(crate) struct Line {
    pub(crate) log: LogName,
    pub(crate) index: u64,
    pub(crate) entry: serde_json::Value,
}

/// Every entry under the published checkpoints, the oldest first. Each log is verified, and must
/// begin with the last checkpoint of the one before.
pub(crate) fn lines(root: &Path) -> Vec<Line> {
    let mut lines = Vec::new();
    let mut previous: Option<String> = None;
    for log in LogName::list(root).unwrap() {
        let vkey = std::fs::read_to_string(log.vkey(root)).unwrap();
        let key = NoteKey::parse(vkey.trim_end()).unwrap();
        let folder = log.folder(root);
        let report = verify_folder(&folder, &[key], None).unwrap();
        let reader = Reader::open(&folder);
        let view = reader.at(report.checkpoint.size);
        for entry in view.entries(0..report.checkpoint.size) {
            let (index, json) = entry.unwrap();
            let entry = serde_json::from_slice(&json).unwrap();
            lines.push(Line { log, index, entry });
        }
        let first: serde_json::Value =
            serde_json::from_slice(&report.first_entry.unwrap()).unwrap();
        assert_eq!(first["kind"], "log");
        assert_eq!(first["log"]["origin"], report.checkpoint.origin.as_str());
        if let Some(previous) = previous {
            assert_eq!(first["log"]["previous"], previous);
        }
        let note = reader.checkpoint().unwrap().unwrap();
        previous = Some(String::from_utf8(note).unwrap());
    }
    lines
}

/// The ids of all entries but those that logs begin with, in order.
pub(crate) fn ids(root: &Path) -> Vec<String> {
    lines(root)
        .iter()
        .filter(|line| line.entry["log"].is_null())
        .map(|line| line.entry["id"].as_str().unwrap().to_owned())
        .collect()
}
