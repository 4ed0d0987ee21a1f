//! A list to make the registry match, from proto; and the difference that it makes, to proto.
//!
//! What cannot be read is collected and handed on with the rest, so that one answer names the faults of
//! reading and those of meaning. The broker writes nothing if there is either.

use taskpass_api::v1::{self, entry::Entry as E, entry_change};
use taskpass_broker::{Action, Apply, Error, Fault, FieldChange, Proposed, RowChange};
use taskpass_core::registry::{Row, RowKey};

use super::super::parse;
use super::entry::{Misread, Misreads, read};

/// Reads a request as far as it can be read.
pub(super) fn from_proto(request: &v1::ApplyRequest) -> Apply {
    let mut apply = Apply {
        entries: Vec::new(),
        faults: Vec::new(),
        expected_version: request.expected_version,
        dry_run: request.dry_run,
        reason: request.reason.clone(),
        prune: request.prune,
        force: request.force,
    };
    for (place, entry) in request.entries.iter().enumerate() {
        let mut misreads = Misreads::default();
        let keeps_validity = matches!(
            &entry.entry,
            Some(E::Agent(agent)) if agent.valid_until.is_none()
        );
        let row = read(Some(entry.clone()), &mut misreads);
        // What an agent that is registered need not say is no fault of reading.
        let kept = |misread: &Misread| keeps_validity && misread.field == "valid_until";
        let subject = subject(entry);
        let mut wrong: Vec<Misread> = misreads
            .0
            .into_iter()
            .filter(|misread| !kept(misread))
            .collect();
        match row {
            Some(row @ (Row::Owner(_) | Row::Agent(_) | Row::Target(_))) => {
                apply.entries.push(Proposed {
                    entry: place,
                    row,
                    keeps_validity,
                });
            }
            Some(Row::Operator(_) | Row::Verifier(_) | Row::System(_)) => {
                let expected = "an owner, agent or target; operators and verifiers have commands of \
                                their own";
                wrong.push(Misread {
                    field: "entry",
                    item: None,
                    error: Error::field("entry", expected),
                });
            }
            None => {}
        }
        apply.faults.extend(wrong.into_iter().map(|misread| Fault {
            entry: place,
            subject: subject.clone(),
            field: misread.field,
            item: misread.item,
            index: None,
            error: misread.error,
        }));
    }
    apply
}

/// What an entry is, as it calls itself.
fn subject(entry: &v1::Entry) -> String {
    let (kind, name) = match &entry.entry {
        Some(E::Owner(owner)) => ("owner", owner.name.as_str()),
        Some(E::Agent(agent)) => ("agent", agent.name.as_str()),
        Some(E::Target(target)) => ("target", target.uri.as_str()),
        Some(E::Operator(operator)) => ("operator", operator.name.as_str()),
        Some(E::Verifier(verifier)) => ("verifier", verifier.name.as_str()),
        None => ("entry", ""),
    };
    format!("{kind} {}", parse::shorten(name))
}

/// The error, with the place of each item that it names among those that were sent.
pub(super) fn placed(error: Error, entries: &[v1::Entry]) -> Error {
    let Error::InvalidEntries { mut faults } = error else {
        return error;
    };
    for fault in &mut faults {
        let entry = entries
            .get(fault.entry)
            .and_then(|entry| entry.entry.as_ref());
        let item = fault.item.as_deref();
        // The later one, where it is listed twice.
        fault.index = match entry {
            Some(E::Agent(agent)) => agent
                .scopes
                .iter()
                .rposition(|scope| Some(scope.as_str()) == item),
            Some(E::Target(target)) => target
                .scopes
                .iter()
                .rposition(|scope| Some(scope.name.as_str()) == item),
            _ => None,
        };
    }
    Error::InvalidEntries { faults }
}

/// Says a changed entry in proto.
pub(super) fn change(change: &RowChange) -> v1::EntryChange {
    let RowChange {
        key,
        action,
        fields,
        widened,
        version,
        ended,
    } = change;
    let action = match action {
        Action::Add => entry_change::Action::Add,
        Action::Change => entry_change::Action::Change,
        Action::Retire => entry_change::Action::Retire,
        Action::Suspend => entry_change::Action::Suspend,
    };
    let (kind, name) = named(key);
    v1::EntryChange {
        action: action.into(),
        kind: kind.into(),
        name,
        fields: fields.iter().map(field).collect(),
        widened: widened.iter().map(ToString::to_string).collect(),
        version: *version,
        credentials: ended.live.credentials,
        exact: ended.live.exact,
        tasks: ended.tasks.count,
        tasks_exact: ended.tasks.exact,
    }
}

fn field(change: &FieldChange) -> v1::FieldChange {
    let FieldChange {
        field,
        removed,
        added,
    } = change;
    v1::FieldChange {
        field: (*field).to_owned(),
        removed: removed.clone(),
        added: added.clone(),
    }
}

fn named(key: &RowKey) -> (v1::Kind, String) {
    match key {
        RowKey::Owner(name) => (v1::Kind::Owner, name.to_string()),
        RowKey::Agent(name) => (v1::Kind::Agent, name.to_string()),
        RowKey::Target(uri) => (v1::Kind::Target, uri.to_string()),
        RowKey::Operator(name) => (v1::Kind::Operator, name.to_string()),
        RowKey::Verifier(name) => (v1::Kind::Verifier, name.to_string()),
        RowKey::System => (v1::Kind::Unspecified, String::new()),
    }
}
