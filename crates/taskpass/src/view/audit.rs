//! The audit log: entries, and what verifying found.
//!
//! An entry's JSON is passed on byte for byte, since that is what is hashed. For people it is read
//! leniently: a broker of a newer version may know fields that are not known here.

pub(crate) mod chain;
pub(crate) mod proof;

use std::fmt::Write as _;

use serde::de::IgnoredAny;
use serde_json::Value;
use taskpass_api::v1;
use taskpass_log::LogName;

use super::listing::Listing;
use crate::errors::CliError;
use crate::output::Ink;
use crate::output::table::Table;
use crate::output::text::{NOTHING, harmless};

/// An entry and its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Logged {
    /// The log.
    pub(crate) log: LogName,
    /// Its index there.
    pub(crate) index: u64,
    json: String,
}

impl Logged {
    /// An entry as it was read from a log.
    pub(crate) fn new(log: LogName, index: u64, json: Vec<u8>) -> Option<Self> {
        let json = String::from_utf8(json).ok()?;
        // It becomes a part of a line.
        serde_json::from_str::<IgnoredAny>(&json).ok()?;
        (!json.contains(['\n', '\r'])).then_some(Self { log, index, json })
    }

    /// From the proto.
    pub(crate) fn from_proto(entry: v1::LogEntry) -> Result<Self, CliError> {
        let log = entry.log.parse().map_err(|_| CliError::bad_reply("log"))?;
        Self::new(log, entry.index, entry.json.into())
            .ok_or_else(|| CliError::bad_reply("entry in JSON"))
    }

    /// The entry as it is hashed.
    pub(crate) fn json(&self) -> &str {
        &self.json
    }

    /// `{"log":…,"index":…,"entry":…}`.
    pub(crate) fn line(&self) -> String {
        let Self { log, index, json } = self;
        format!("{{\"log\":\"{log}\",\"index\":{index},\"entry\":{json}}}")
    }

    /// What people look at, one after the other.
    fn cells(&self) -> [String; 6] {
        let facts = Facts::of(&self.json);
        let place = format!("{}/{}", self.log, self.index);
        [
            place,
            facts.text("/at"),
            facts.text("/kind"),
            facts.text("/outcome"),
            facts.who(),
            facts.what(),
        ]
    }

    /// One line for people, ending in a line feed.
    pub(crate) fn text(&self) -> String {
        let [place, at, kind, outcome, who, what] = self.cells();
        let line = format!("{at:<24}  {place}  {kind}  {outcome}  {who}  {what}");
        format!("{}\n", harmless(line.trim_end()))
    }
}

/// A page of entries as one JSON object.
pub(crate) fn page_json(page: &Listing<Logged>) -> String {
    let entries: Vec<_> = page.items.iter().map(Logged::line).collect();
    let token = Value::from(page.next_page_token.as_str());
    format!(
        "{{\"entries\":[{}],\"next_page_token\":{token}}}",
        entries.join(",")
    )
}

/// A page of entries as a table.
pub(crate) fn page_text(page: &Listing<Logged>, ink: &Ink) -> String {
    let mut table = Table::new(&["PLACE", "TIME", "KIND", "OUTCOME", "WHO", "WHAT"]);
    for entry in &page.items {
        table.row(entry.cells());
    }
    let mut text = table.render(ink, "no entries");
    if !page.next_page_token.is_empty() {
        let token = harmless(&page.next_page_token);
        let _ = writeln!(text, "… more: --page-token {token}, or --all");
    }
    text
}

/// What an entry says, as far as it is known here.
#[derive(Debug)]
pub(crate) struct Facts(Value);

impl Facts {
    /// Of an entry.
    pub(crate) fn of(json: &str) -> Self {
        Self(serde_json::from_str(json).unwrap_or_default())
    }

    /// A text; a dash if there is none.
    pub(crate) fn text(&self, at: &str) -> String {
        self.maybe(at).unwrap_or(NOTHING).to_owned()
    }

    /// A text that may be absent.
    pub(crate) fn maybe(&self, at: &str) -> Option<&str> {
        self.0.pointer(at)?.as_str()
    }

    /// Who did it: a caller, or the broker by itself.
    pub(crate) fn who(&self) -> String {
        self.maybe("/actor").unwrap_or("broker").to_owned()
    }

    /// What it is about, in a few words.
    pub(crate) fn what(&self) -> String {
        let mut words: Vec<String> = Vec::new();
        let mut add = |before: &str, at: &str| {
            if let Some(text) = self.maybe(at) {
                words.push(format!("{before}{text}"));
            }
        };
        add("", "/subject");
        add("", "/log/origin");
        match self.maybe("/credential/kind") {
            Some(kind) => add(&format!("{kind} "), "/credential/id"),
            None => add("credential ", "/credential/id"),
        }
        match self.maybe("/revocation/selector") {
            Some(selector) => add(&format!("{selector} "), "/revocation/value"),
            None => add("", "/revocation/value"),
        }
        add("for ", "/target");
        if let Some(scopes) = self.scopes() {
            words.push(format!("[{scopes}]"));
        }
        let mut add = |before: &str, at: &str| {
            if let Some(text) = self.maybe(at) {
                words.push(format!("{before}{text}"));
            }
        };
        let own = self.maybe("/agent").map(|agent| format!("agent/{agent}"));
        let said = |own: &str| {
            let said = [self.maybe("/actor"), self.maybe("/subject")];
            said.contains(&Some(own)) || self.maybe("/revocation/selector") == Some("agent")
        };
        if own.is_some_and(|own| !said(&own)) {
            add("agent ", "/agent");
        }
        add("task ", "/task");
        add("purpose ", "/purpose");
        let what = words.join(" ");
        match self.maybe("/reason") {
            Some(reason) if what.is_empty() => reason.to_owned(),
            Some(reason) => format!("{what}: {reason}"),
            None => what,
        }
    }

    /// The scopes that were granted, or else asked for.
    fn scopes(&self) -> Option<String> {
        let of = |at| self.0.pointer(at).and_then(Value::as_array);
        let scopes = of("/granted/scopes").or_else(|| of("/asked/scopes"))?;
        let target = self.maybe("/target");
        // At the target that is named already, the scope's own name is enough.
        let name = |scope: &str| match (scope.split_once('#'), target) {
            (Some((at, name)), Some(target)) if at == target => name.to_owned(),
            _ => scope.to_owned(),
        };
        let scopes: Vec<_> = scopes.iter().filter_map(Value::as_str).map(name).collect();
        (!scopes.is_empty()).then(|| scopes.join(" "))
    }
}

#[cfg(test)]
mod tests;
