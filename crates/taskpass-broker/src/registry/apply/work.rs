//! What a list changes, worked out from the registry as it stands. Nothing here is asynchronous, and
//! nothing is written: either every fault, or every change.

use std::collections::BTreeSet;

use taskpass_core::Timestamp;
use taskpass_core::registry::{Registry, Row, RowKey, State, Versioned, Widening, widening};

use super::{Action, Apply, Proposed, RowChange};
use crate::error::Error;
use crate::registry::check::{self, Wrong};
use crate::registry::diff::difference;
use crate::registry::fault::Fault;
use crate::registry::{read, state};
use crate::revoke::{Ended, retired};

/// What changes: each change with the row that it writes.
pub(super) struct Work {
    pub(super) changes: Vec<RowChange>,
    pub(super) rows: Vec<Row>,
}

impl Work {
    /// What any of it widens, each once.
    pub(super) fn widened(&self) -> impl Iterator<Item = Widening> {
        let all = self.changes.iter().flat_map(|change| &change.widened);
        let each: BTreeSet<_> = all.copied().collect();
        each.into_iter()
    }

    /// Whether anything is retired or suspended.
    pub(super) fn ends_something(&self) -> bool {
        self.changes
            .iter()
            .any(|change| matches!(change.action, Action::Retire | Action::Suspend))
    }

    fn add(&mut self, registry: &Registry, action: Action, row: Row) {
        let present = read(registry, &row.key()).ok().map(|row| row.value);
        self.changes.push(RowChange {
            key: row.key(),
            action,
            fields: difference(present.as_ref(), &row),
            widened: present
                .map(|present| widening(&present, &row))
                .unwrap_or_default(),
            version: 0,
            ended: Ended::NOTHING,
        });
        self.rows.push(row);
    }
}

/// Works out what `request` changes in `registry`.
pub(super) fn work_out(
    registry: &Registry,
    request: &Apply,
    now: Timestamp,
) -> Result<Work, Error> {
    let mut faults = Faults::default();
    let mut named = BTreeSet::new();
    let mut work = Work {
        changes: Vec::new(),
        rows: Vec::new(),
    };
    let mut changed = Vec::new();
    let mut next = registry.clone();
    for proposed in &request.entries {
        let key = proposed.row.key();
        if !named.insert(key.clone()) {
            let error = Error::field("name", "each once: this one is listed twice");
            faults.note(proposed, "name", error);
            continue;
        }
        match as_written(registry, proposed, now) {
            Ok(None) => {}
            Ok(Some((action, row))) => {
                put(&mut next, registry, row.clone());
                work.add(registry, action, row.clone());
                changed.push((proposed, row));
            }
            Err((field, error)) => faults.note(proposed, field, error),
        }
    }
    if request.prune {
        prune(registry, &named, &mut work);
        for row in &work.rows {
            // Of the owners only the list speaks: an agent whose owner is missing is told so below.
            if matches!(row, Row::Agent(_)) {
                put(&mut next, registry, row.clone());
            }
        }
        for proposed in &request.entries {
            faults.all(proposed, missing(&proposed.row, &named, registry));
        }
    }
    for (proposed, row) in &changed {
        faults.all(proposed, check::faults(&next, registry, row, now));
    }
    let mut all: Vec<Fault> = faults.0;
    all.extend(request.faults.iter().map(Fault::again));
    if all.is_empty() {
        return Ok(work);
    }
    all.sort_by_key(|fault| fault.entry);
    Err(Error::InvalidEntries { faults: all })
}

/// The row that is written for an entry, and whether it is new; `None` if that says what stands.
fn as_written(
    registry: &Registry,
    proposed: &Proposed,
    now: Timestamp,
) -> Result<Option<(Action, Row)>, (&'static str, Error)> {
    let key = proposed.row.key();
    let Ok(present) = read(registry, &key) else {
        if proposed.keeps_validity {
            let error = Error::field("valid_until", "required of an agent that is new");
            return Err(("valid_until", error));
        }
        return Ok(Some((Action::Add, check::fresh(proposed.row.clone(), now))));
    };
    if state(&present.value) == State::Retired {
        return Err(("name", Error::Retired { key }));
    }
    let row = keeping_unsaid(proposed, &present.value);
    let row = check::keeping(row, &present.value, now);
    let same = difference(Some(&present.value), &row).is_empty();
    Ok((!same).then_some((Action::Change, row)))
}

/// What a list need not say stays: until when an agent is valid, its keys, and whether a target is
/// observed. Keys in particular are removed by a revocation, and must not come back unnamed.
fn keeping_unsaid(proposed: &Proposed, present: &Row) -> Row {
    match (proposed.row.clone(), present) {
        (Row::Agent(mut agent), Row::Agent(present)) => {
            if proposed.keeps_validity {
                agent.valid_until = present.valid_until;
            }
            if agent.client_keys.is_empty() {
                agent.client_keys.clone_from(&present.client_keys);
            }
            Row::Agent(agent)
        }
        (Row::Target(mut target), Row::Target(present)) => {
            if target.observe.is_none() {
                target.observe.clone_from(&present.observe);
            }
            Row::Target(target)
        }
        (row, _) => row,
    }
}

fn put(next: &mut Registry, registry: &Registry, value: Row) {
    let version = registry.version(&value.key()).saturating_add(1);
    next.put(Versioned { value, version });
}

/// Adds what ends because the list does not have it: agents first, then who answered for them.
fn prune(registry: &Registry, named: &BTreeSet<RowKey>, work: &mut Work) {
    let agents = registry.agents().map(|row| Row::Agent(row.value.clone()));
    let owners = registry.owners().map(|row| Row::Owner(row.value.clone()));
    let targets = registry.targets().map(|row| Row::Target(row.value.clone()));
    for row in agents.chain(owners).chain(targets) {
        if named.contains(&row.key()) {
            continue;
        }
        match (&row, state(&row)) {
            (_, State::Retired) | (Row::Target(_), State::Suspended) => {}
            (Row::Target(_), State::Active) => {
                let row = check::with_state(row, State::Suspended);
                work.add(registry, Action::Suspend, row);
            }
            _ => work.add(registry, Action::Retire, retired(row)),
        }
    }
}

/// What an entry relies on and pruning would end.
fn missing(row: &Row, named: &BTreeSet<RowKey>, registry: &Registry) -> Vec<Wrong> {
    let Row::Agent(agent) = row else {
        return Vec::new();
    };
    let ends = |key: &RowKey| !named.contains(key) && registry.version(key) > 0;
    let mut wrong = Vec::new();
    if ends(&RowKey::Owner(agent.owner.clone())) {
        let expected = format!(
            "an owner in the list: `{}` is not, and pruning would retire it",
            agent.owner
        );
        wrong.push(Wrong {
            field: "owner",
            item: None,
            error: Error::field("owner", expected),
        });
    }
    for scope in &agent.scopes {
        if ends(&RowKey::Target(scope.target.clone())) {
            let message =
                format!("`{scope}`: its target is not in the list, and pruning would suspend it");
            wrong.push(Wrong {
                field: "scopes",
                item: Some(scope.to_string()),
                error: Error::InvalidScope { message },
            });
        }
    }
    wrong
}

/// Collects faults of entries.
#[derive(Default)]
struct Faults(Vec<Fault>);

impl Faults {
    fn note(&mut self, proposed: &Proposed, field: &'static str, error: Error) {
        let item = None;
        self.all(proposed, vec![Wrong { field, item, error }]);
    }

    fn all(&mut self, proposed: &Proposed, wrong: Vec<Wrong>) {
        let subject = proposed.row.key().to_string();
        let of_entry = |wrong| Fault::new(proposed.entry, &subject, wrong);
        self.0.extend(wrong.into_iter().map(of_entry));
    }
}
