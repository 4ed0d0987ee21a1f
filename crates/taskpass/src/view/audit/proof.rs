//! What a proof about one entry proves.

use serde::Serialize;
use taskpass_log::Checkpoint;

use super::Facts;
use crate::output::Ink;
use crate::output::table::Fields;

/// An entry that is in a log.
#[derive(Debug)]
pub(crate) struct Proved {
    /// The log as its checkpoint has it.
    pub(crate) checkpoint: Checkpoint,
    /// Where the entry is in it.
    pub(crate) index: u64,
    /// The entry as it is hashed; JSON, if it is one of a broker's.
    pub(crate) entry: String,
    /// The file that was written.
    pub(crate) file: Option<String>,
}

/// All but the entry.
#[derive(Serialize)]
struct Head<'a> {
    valid: bool,
    origin: &'a str,
    index: u64,
    size: u64,
    root: String,
    file: Option<&'a str>,
}

impl Proved {
    /// One JSON object, with the entry as it is hashed.
    pub(crate) fn line(&self) -> String {
        let head = Head {
            valid: true,
            origin: self.checkpoint.origin.as_str(),
            index: self.index,
            size: self.checkpoint.size,
            root: self.checkpoint.root.to_string(),
            file: self.file.as_deref(),
        };
        let head = serde_json::to_string(&head).unwrap_or_default();
        let is_line = !self.entry.contains(['\n', '\r'])
            && serde_json::from_str::<serde::de::IgnoredAny>(&self.entry).is_ok();
        let entry = if is_line {
            self.entry.clone()
        } else {
            serde_json::Value::from(self.entry.as_str()).to_string()
        };
        let head = head.strip_suffix('}').unwrap_or(&head);
        format!("{head},\"entry\":{entry}}}")
    }

    /// For people.
    pub(crate) fn text(&self, ink: &Ink) -> String {
        let facts = Facts::of(&self.entry);
        let maybe = |at: &str| facts.maybe(at).map(str::to_owned);
        Fields::default()
            .with("valid", "yes: this entry is in the log")
            .with("log", self.checkpoint.origin.to_string())
            .with("index", self.index.to_string())
            .with("checkpoint", format!("{} entries", self.checkpoint.size))
            .with("root", self.checkpoint.root.to_string())
            .with("time", facts.text("/at"))
            .with("kind", facts.text("/kind"))
            .with("outcome", facts.text("/outcome"))
            .maybe("credential", maybe("/credential/id"))
            .maybe("sha256", maybe("/credential/sha256"))
            .maybe("agent", maybe("/agent"))
            .maybe("task", maybe("/task"))
            .with("who", facts.who())
            .with("what", facts.what())
            .maybe("written", self.file.clone())
            .render(ink)
    }
}
