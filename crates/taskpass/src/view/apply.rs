//! The difference that a registry file makes, and the registry as a file.

use std::fmt::Write as _;

use serde::Serialize;
use taskpass_api::v1::{self, entry_change};

use super::revocation::counted;
use crate::output::text::harmless;
use crate::output::{Ink, View};

/// What was applied, or would be.
#[derive(Debug, Serialize)]
pub(crate) struct Applied {
    changes: Vec<Change>,
    version: u64,
    dry_run: bool,
}

/// An entry that differs.
#[derive(Debug, Serialize)]
struct Change {
    action: Option<&'static str>,
    kind: Option<&'static str>,
    name: String,
    fields: Vec<Field>,
    widened: Vec<String>,
    version: u64,
    credentials: u64,
    exact: bool,
    tasks: u64,
    tasks_exact: bool,
}

/// A field that differs.
#[derive(Debug, Serialize)]
#[expect(clippy::struct_field_names, reason = "the names are the proto's")]
struct Field {
    field: String,
    removed: Vec<String>,
    added: Vec<String>,
}

impl Applied {
    /// The answer to a request, which may have been a dry run.
    pub(crate) fn new(reply: v1::ApplyResponse, dry_run: bool) -> Self {
        Self {
            changes: reply.changes.into_iter().map(Change::new).collect(),
            version: reply.registry_version,
            dry_run,
        }
    }

    fn last_line(&self) -> String {
        let version = self.version;
        if self.changes.is_empty() {
            return format!(
                "nothing to change: the registry, at version {version}, is as the file says"
            );
        }
        if !self.dry_run {
            return format!("applied; the registry is at version {version}");
        }
        let needs = self
            .changes
            .iter()
            .any(|change| !change.widened.is_empty() || change.ends());
        let reason = if needs { " --reason '…'" } else { "" };
        format!("dry run, nothing was changed; to apply this: --expect-version {version}{reason}")
    }
}

impl Change {
    fn new(change: v1::EntryChange) -> Self {
        let field = |change: v1::FieldChange| Field {
            field: change.field,
            removed: change.removed,
            added: change.added,
        };
        Self {
            action: action(change.action),
            kind: kind(change.kind),
            name: change.name,
            fields: change.fields.into_iter().map(field).collect(),
            widened: change.widened,
            version: change.version,
            credentials: change.credentials,
            exact: change.exact,
            tasks: change.tasks,
            tasks_exact: change.tasks_exact,
        }
    }

    fn ends(&self) -> bool {
        matches!(self.action, Some("retire" | "suspend"))
    }

    fn write(&self, text: &mut String) {
        let sign = match self.action {
            Some("add") => "+",
            Some("retire" | "suspend") => "-",
            _ => "~",
        };
        let kind = self.kind.unwrap_or("entry");
        let _ = writeln!(
            text,
            "{sign} {kind} {}{}",
            harmless(&self.name),
            self.note()
        );
        if self.ends() {
            return;
        }
        for field in &self.fields {
            let widens = self.widened.contains(&field.field);
            let lines = field.removed.iter().map(|value| ("-", value));
            let lines = lines.chain(field.added.iter().map(|value| ("+", value)));
            for (index, (sign, value)) in lines.enumerate() {
                let name = if index == 0 { field.field.as_str() } else { "" };
                let mark = if index == 0 && widens {
                    "  (widens)"
                } else {
                    ""
                };
                let _ = writeln!(text, "    {name:<14}{sign} {}{mark}", harmless(value));
            }
        }
    }

    fn note(&self) -> String {
        match (self.action, self.kind) {
            (Some("retire"), Some("agent")) => {
                let tasks = counted(self.tasks, self.tasks_exact);
                let credentials = counted(self.credentials, self.exact);
                format!("  retired: ends {tasks} tasks and {credentials} credentials")
            }
            (Some("retire"), _) => "  retired".to_owned(),
            (Some("suspend"), _) => "  suspended: nothing is issued for it any more".to_owned(),
            _ => String::new(),
        }
    }
}

fn action(number: i32) -> Option<&'static str> {
    match entry_change::Action::try_from(number) {
        Ok(entry_change::Action::Add) => Some("add"),
        Ok(entry_change::Action::Change) => Some("change"),
        Ok(entry_change::Action::Retire) => Some("retire"),
        Ok(entry_change::Action::Suspend) => Some("suspend"),
        Ok(entry_change::Action::Unspecified) | Err(_) => None,
    }
}

fn kind(number: i32) -> Option<&'static str> {
    match v1::Kind::try_from(number) {
        Ok(v1::Kind::Owner) => Some("owner"),
        Ok(v1::Kind::Agent) => Some("agent"),
        Ok(v1::Kind::Target) => Some("target"),
        Ok(v1::Kind::Operator) => Some("operator"),
        Ok(v1::Kind::Verifier) => Some("verifier"),
        Ok(v1::Kind::Unspecified) | Err(_) => None,
    }
}

impl View for Applied {
    fn text(&self, _: &Ink) -> String {
        let mut text = String::new();
        for change in &self.changes {
            change.write(&mut text);
        }
        text.push_str(&self.last_line());
        text.push('\n');
        text
    }
}

/// The version of the registry.
#[derive(Debug, Serialize)]
pub(crate) struct RegistryVersion {
    /// Raised by one with every change.
    pub(crate) version: u64,
}

impl View for RegistryVersion {
    fn text(&self, _: &Ink) -> String {
        format!("{}\n", self.version)
    }
}

/// The registry as a file.
#[derive(Debug, Serialize)]
pub(crate) struct Exported {
    /// The version that it shows.
    pub(crate) version: u64,
    /// Where it was written, unless to standard output.
    pub(crate) path: Option<String>,
    /// The file itself, if it was written nowhere else.
    pub(crate) file: Option<String>,
}

impl View for Exported {
    fn text(&self, _: &Ink) -> String {
        match (&self.file, &self.path) {
            // Made to be read back: as it is.
            (Some(file), _) => file.clone(),
            (None, path) => format!(
                "wrote the registry at version {} to {}\n",
                self.version,
                harmless(path.as_deref().unwrap_or("-"))
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn changed() -> v1::ApplyResponse {
        let field = |field: &str, removed: &[&str], added: &[&str]| v1::FieldChange {
            field: field.to_owned(),
            removed: removed.iter().map(|text| (*text).to_owned()).collect(),
            added: added.iter().map(|text| (*text).to_owned()).collect(),
        };
        let change = |action: entry_change::Action, kind: v1::Kind, name: &str| v1::EntryChange {
            action: action.into(),
            kind: kind.into(),
            name: name.to_owned(),
            exact: true,
            tasks_exact: true,
            ..v1::EntryChange::default()
        };
        v1::ApplyResponse {
            changes: vec![
                v1::EntryChange {
                    fields: vec![field("contact", &[], &["a@example.org"])],
                    ..change(entry_change::Action::Add, v1::Kind::Owner, "audit")
                },
                v1::EntryChange {
                    fields: vec![field("stage", &["read-only"], &["bounded"])],
                    widened: vec!["stage".to_owned()],
                    ..change(entry_change::Action::Change, v1::Kind::Agent, "bot")
                },
                v1::EntryChange {
                    credentials: 3,
                    exact: false,
                    tasks: 2,
                    ..change(entry_change::Action::Retire, v1::Kind::Agent, "old")
                },
            ],
            registry_version: 16,
        }
    }

    #[test]
    fn a_difference_reads_as_one() {
        let text = Applied::new(changed(), true).text(&Ink::plain());
        assert_eq!(
            text,
            "+ owner audit\n    contact       + a@example.org\n\
             ~ agent bot\n    stage         - read-only  (widens)\n                  + bounded\n\
             - agent old  retired: ends 2 tasks and at most 3 credentials\n\
             dry run, nothing was changed; to apply this: --expect-version 16 --reason '…'\n"
        );
        let done = Applied::new(changed(), false).text(&Ink::plain());
        assert!(done.ends_with("applied; the registry is at version 16\n"));
        let none = Applied::new(v1::ApplyResponse::default(), false).text(&Ink::plain());
        assert!(none.starts_with("nothing to change"));
    }

    #[test]
    fn every_field_is_there_in_json() {
        let json = serde_json::to_value(Applied::new(changed(), true)).unwrap();
        assert_eq!(
            json["changes"][2],
            serde_json::json!({
                "action": "retire", "kind": "agent", "name": "old", "fields": [], "widened": [],
                "version": 0, "credentials": 3, "exact": false, "tasks": 2, "tasks_exact": true,
            })
        );
        assert_eq!(
            (&json["version"], &json["dry_run"]),
            (&16.into(), &true.into())
        );
    }
}
