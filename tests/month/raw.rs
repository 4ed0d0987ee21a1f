//! The log's entries and the registry's file as plain values, in milliseconds.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::{Value, json};
use taskpass_core::Timestamp;
use taskpass_log::{Checkpoint, LogName, Reader};

/// What a report rests on.
pub(crate) struct Raw {
    /// Every entry, in the order of the log.
    pub(crate) entries: Vec<Value>,
    /// When each was.
    pub(crate) at: Vec<u64>,
    /// The registry.
    pub(crate) owners: BTreeMap<String, Value>,
    pub(crate) agents: BTreeMap<String, Value>,
    pub(crate) targets: BTreeMap<String, Value>,
    /// The entries that name an agent: as the one concerned, as the caller, as one above.
    naming: BTreeMap<String, Vec<usize>>,
    /// The state that the registry last gave each subject.
    states: BTreeMap<String, String>,
    /// The owner of each agent, as the log last had it.
    owned_by: BTreeMap<String, String>,
    /// What the newest checkpoint says.
    head: Value,
    /// The period.
    pub(crate) since: Option<u64>,
    pub(crate) until: u64,
}

/// An instant as written, in milliseconds.
pub(crate) fn millis(value: &Value) -> u64 {
    let text = value
        .as_str()
        .unwrap_or_else(|| panic!("no instant: {value}"));
    Timestamp::parse_rfc3339(text).unwrap().millis()
}

/// The same the other way, as a report writes it.
pub(crate) fn instant(at: Option<u64>) -> Value {
    at.map_or(Value::Null, |at| {
        json!(Timestamp::from_millis(at).to_string())
    })
}

/// Text of a field; empty if it is absent.
pub(crate) fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value[field].as_str().unwrap_or_default()
}

/// A list of texts in a field.
pub(crate) fn texts(value: &Value) -> Vec<&str> {
    let items = value.as_array().map_or(&[][..], Vec::as_slice);
    items.iter().map(|item| item.as_str().unwrap()).collect()
}

impl Raw {
    pub(crate) fn read(log: &Path, registry: &Path, about: &Value) -> Self {
        let mut entries: Vec<Value> = Vec::new();
        let mut head = Value::Null;
        for name in LogName::list(log).unwrap() {
            let reader = Reader::open(&name.folder(log));
            let note = reader.checkpoint().unwrap().unwrap();
            let checkpoint = Checkpoint::parse_unverified(&note).unwrap();
            let size = checkpoint.size;
            head = json!({
                "origin": checkpoint.origin.as_str(),
                "size": size,
                "root": data_encoding::HEXLOWER.encode(checkpoint.root.as_bytes()),
            });
            for entry in reader.at(size).entries(0..size) {
                entries.push(serde_json::from_slice(&entry.unwrap().1).unwrap());
            }
        }
        let file: toml::Value =
            toml::from_str(&std::fs::read_to_string(registry).unwrap()).unwrap();
        let file: Value = serde_json::to_value(file).unwrap();
        let by = |kind: &str, name: &str| {
            let rows = file[kind].as_array().unwrap().iter();
            rows.map(|row| (text(row, name).to_owned(), row.clone()))
                .collect()
        };
        let mut naming: BTreeMap<String, Vec<usize>> = BTreeMap::new();
        let (mut states, mut owned_by) = (BTreeMap::new(), BTreeMap::new());
        for (place, entry) in entries.iter().enumerate() {
            let mut named = Self::above(entry);
            named.extend(entry["agent"].as_str());
            named.extend(text(entry, "actor").strip_prefix("agent/"));
            for agent in named {
                naming.entry(agent.to_owned()).or_default().push(place);
            }
            let own = |field: &str| entry[field].as_str().map(str::to_owned);
            if let (Some(agent), Some(owner)) = (own("agent"), own("owner")) {
                owned_by.insert(agent, owner);
            }
            if let ("registry", Some(subject), Some(state)) =
                (text(entry, "kind"), own("subject"), own("state"))
            {
                states.insert(subject, state);
            }
        }
        Self {
            naming,
            states,
            owned_by,
            head,
            at: entries.iter().map(|entry| millis(&entry["at"])).collect(),
            entries,
            owners: by("owner", "name"),
            agents: by("agent", "name"),
            targets: by("target", "uri"),
            since: about["since"].is_string().then(|| millis(&about["since"])),
            until: millis(&about["generated_at"]),
        }
    }

    /// Entries with their instants.
    pub(crate) fn all(&self) -> impl Iterator<Item = (u64, &Value)> {
        self.at.iter().copied().zip(&self.entries)
    }

    /// Those of the period.
    pub(crate) fn of_period(&self) -> impl Iterator<Item = (u64, &Value)> {
        let since = self.since.unwrap_or(0);
        self.all().filter(move |(at, _)| *at >= since)
    }

    /// Those that name an agent, of the whole log.
    pub(crate) fn naming(&self, agent: &str) -> impl Iterator<Item = (u64, &Value)> {
        let places = self.naming.get(agent).into_iter().flatten();
        places.map(|place| (self.at[*place], &self.entries[*place]))
    }

    /// Those of them that are of the period.
    pub(crate) fn naming_in_period(&self, agent: &str) -> impl Iterator<Item = (u64, &Value)> {
        let since = self.since.unwrap_or(0);
        self.naming(agent).filter(move |(at, _)| *at >= since)
    }

    /// The state that the registry last gave something.
    pub(crate) fn state(&self, subject: &str) -> Option<&str> {
        self.states.get(subject).map(String::as_str)
    }

    /// The owner of an agent, as the log last had it.
    pub(crate) fn owner_of(&self, agent: &str) -> Option<&str> {
        self.owned_by.get(agent).map(String::as_str)
    }

    /// The agents that an entry says are above its task, each once.
    pub(crate) fn above(entry: &Value) -> BTreeSet<&str> {
        let above = entry["ancestors"].as_array().map_or(&[][..], Vec::as_slice);
        above.iter().map(|task| text(task, "agent")).collect()
    }

    /// The head of a report on everything.
    pub(crate) fn check_about(&self, about: &Value) {
        let expected = json!({
            "generated_at": instant(Some(self.until)),
            "since": instant(self.since),
            "log_entries": self.entries.len(),
            "log_first_at": instant(self.at.first().copied()),
            "log_last_at": instant(self.at.last().copied()),
            "log_keys_from": "given",
            "registry_version": null,
            "log_head": self.head,
        });
        assert_eq!(*about, expected);
    }
}
