//! What verifying a folder of logs found.

use std::fmt::Write as _;
use std::path::Path;

use data_encoding::HEXLOWER;
use serde::Serialize;
use taskpass_log::Checkpoint;
use taskpass_log::chain::{Before, ChainReport, LogReport};

use super::Facts;
use crate::output::table::Fields;
use crate::output::text::NOTHING;
use crate::output::{Ink, View};

/// A tree, as a checkpoint names it.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct Tree {
    origin: String,
    size: u64,
    root: String,
}

impl From<&Checkpoint> for Tree {
    fn from(checkpoint: &Checkpoint) -> Self {
        Self {
            origin: checkpoint.origin.to_string(),
            size: checkpoint.size,
            root: checkpoint.root.to_string(),
        }
    }
}

/// One log.
#[derive(Debug, Serialize)]
struct Log {
    #[serde(flatten)]
    tree: Tree,
    first_at: Option<String>,
    last_at: Option<String>,
    /// The public key, in hex.
    key: String,
    /// The log that it goes on from, if there was one.
    previous: Option<Tree>,
    /// Whether that is there, and was compared.
    previous_is_here: bool,
    /// Files that no checkpoint covers yet.
    unsigned_files: u64,
}

impl From<&LogReport> for Log {
    fn from(log: &LogReport) -> Self {
        let at = |entry: Option<&Vec<u8>>| {
            let json = std::str::from_utf8(entry?).ok()?;
            Facts::of(json).maybe("/at").map(str::to_owned)
        };
        let (previous, previous_is_here) = match &log.before {
            Before::Nothing => (None, false),
            Before::NotHere(previous) => (Some(previous.into()), false),
            Before::Follows(previous) => (Some(previous.into()), true),
        };
        Self {
            tree: (&log.report.checkpoint).into(),
            first_at: at(log.report.first_entry.as_ref()),
            last_at: at(log.report.last_entry.as_ref()),
            key: HEXLOWER.encode(log.key.public()),
            previous,
            previous_is_here,
            unsigned_files: log.report.unsigned_files,
        }
    }
}

impl Log {
    fn text(&self, ink: &Ink) -> String {
        let before = match &self.previous {
            None => "nothing: it is the first".to_owned(),
            Some(previous) if self.previous_is_here => {
                let Tree { origin, size, .. } = previous;
                format!("{origin}, as it ended after {size} entries")
            }
            Some(previous) => {
                let Tree { origin, size, .. } = previous;
                format!("{origin} after {size} entries, which is not here")
            }
        };
        let at = |at: &Option<String>| at.clone().unwrap_or_else(|| NOTHING.to_owned());
        let unsigned = (self.unsigned_files > 0).then(|| {
            format!(
                "{} files that no checkpoint covers yet",
                self.unsigned_files
            )
        });
        Fields::default()
            .with("log", self.tree.origin.clone())
            .with("entries", self.tree.size.to_string())
            .with("root", self.tree.root.clone())
            .with("first", at(&self.first_at))
            .with("last", at(&self.last_at))
            .with("follows", before)
            .maybe("beyond", unsigned)
            .render(ink)
    }
}

/// The whole folder.
#[derive(Debug, Serialize)]
pub(crate) struct Verified {
    valid: bool,
    logs: Vec<Log>,
    entries: u64,
    /// The public keys that signed, in hex.
    keys: Vec<String>,
    /// `given`, or else from the `folder` itself, or from the `broker` that was copied.
    keys_from: &'static str,
    since: Option<Tree>,
    /// Where an export was written.
    #[serde(skip_serializing_if = "Option::is_none")]
    out: Option<String>,
}

impl From<&ChainReport> for Verified {
    fn from(report: &ChainReport) -> Self {
        let logs: Vec<Log> = report.logs.iter().map(Log::from).collect();
        let mut keys: Vec<String> = Vec::new();
        for log in &logs {
            if !keys.contains(&log.key) {
                keys.push(log.key.clone());
            }
        }
        Self {
            valid: true,
            entries: logs.iter().map(|log| log.tree.size).sum(),
            logs,
            keys,
            keys_from: if report.keys_given { "given" } else { "folder" },
            since: report.since.as_ref().map(Tree::from),
            out: None,
        }
    }
}

impl Verified {
    /// An export that is good.
    pub(crate) fn exported(report: &ChainReport, out: &Path) -> Self {
        Self {
            keys_from: "broker",
            out: Some(out.display().to_string()),
            ..Self::from(report)
        }
    }

    /// What must be said aloud; nothing if the keys are not from the folder.
    pub(crate) fn warning(&self) -> Option<String> {
        (self.keys_from == "folder").then(|| {
            let keys = self.keys.join(" and ");
            format!(
                "WARNING: the key is from the folder itself, so this shows that the folder is of \
                 one piece, NOT where it is from. Compare {keys} with the broker's public key that \
                 you have from elsewhere, and give that with --key."
            )
        })
    }
}

impl View for Verified {
    fn text(&self, ink: &Ink) -> String {
        let mut text = String::new();
        for log in &self.logs {
            text.push_str(&log.text(ink));
            text.push('\n');
        }
        let source = match self.keys_from {
            "folder" => "from the folder itself",
            "broker" => "from the broker",
            other => other,
        };
        let keys: Vec<String> = self
            .keys
            .iter()
            .map(|key| format!("{key} ({source})"))
            .collect();
        let since = self.since.as_ref().map(|since| {
            let Tree { origin, size, .. } = since;
            format!("{origin} has only grown since it had {size} entries")
        });
        let fields = Fields::default()
            .each("key", &keys)
            .maybe("since", since)
            .maybe("written", self.out.clone());
        text.push_str(&fields.render(ink));
        let (logs, entries) = (self.logs.len(), self.entries);
        let chain = if logs > 1 {
            ", and the chain of months"
        } else {
            ""
        };
        let _ = writeln!(
            text,
            "\nvalid: {} with {}; every entry, every hash, every signature{chain} held",
            counted(logs as u64, "log", "logs"),
            counted(entries, "entry", "entries"),
        );
        text
    }
}

/// What is said of a folder that does not hold.
#[derive(Debug, Serialize)]
pub(crate) struct Invalid {
    valid: bool,
    reason: String,
}

impl Invalid {
    /// For this reason.
    pub(crate) fn because(reason: &str) -> Self {
        Self {
            valid: false,
            reason: reason.to_owned(),
        }
    }
}

fn counted(count: u64, one: &str, several: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { several })
}
