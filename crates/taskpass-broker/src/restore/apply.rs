//! What the entries after a backup change in a restored store: only what takes something away.
//!
//! An entry says that a row was registered or changed, not how it reads; such rows are named in the report,
//! to be applied again. Where an entry gave something back (a resume), the row stays as the backup has it.

use std::collections::{BTreeMap, BTreeSet};

use taskpass_core::AgentName;
use taskpass_core::identity::{IdentityLine, Principal};
use taskpass_core::key::KeyId;
use taskpass_core::registry::{Registry, Row, RowKey, State};
use taskpass_store::Store;

use super::replay::{Mirror, Told as Line};
use super::{Replayed, RestoreError};
use crate::registry::{read, state, with_state};
use crate::revoke::retired;

/// What is to be changed.
#[derive(Debug, Default)]
pub(super) struct Told {
    /// Rows, in another state.
    pub(super) rows: Vec<Row>,
    /// Agents whose identities are revoked.
    pub(super) revoked: BTreeSet<AgentName>,
    /// Identity lines that end.
    pub(super) lines: Vec<IdentityLine>,
    /// Keys that are tainted.
    pub(super) keys: BTreeSet<KeyId>,
    /// What to say of it.
    pub(super) report: Replayed,
}

/// Works out what `mirror` tells about the store.
pub(super) async fn tell(
    mirror: &Mirror,
    registry: &Registry,
    store: &dyn Store,
) -> Result<Told, RestoreError> {
    let mut told = Told::default();
    // What waited for the log at the moment of the backup came into it later, and is no news.
    let waiting = store.outbox(usize::MAX).await?;
    let waiting: BTreeSet<String> = waiting.iter().map(|entry| entry.id.to_string()).collect();
    let known = mirror.ids.iter().map(ToString::to_string);
    let known = known.filter(|id| waiting.contains(id)).count();
    let known = u64::try_from(known).unwrap_or(u64::MAX);
    told.report.entries = mirror.count.saturating_sub(known);
    let mut states: BTreeMap<String, (State, u64)> = BTreeMap::new();
    let mut moved: BTreeSet<String> = BTreeSet::new();
    let news = mirror.entries.iter();
    let news = news.filter(|line| happened(line) && !waiting.contains(&line.id));
    for line in news {
        match line.kind.as_str() {
            "registry" => {
                let state = line.state.as_deref().and_then(|state| state.parse().ok());
                if let (Some(subject), Some(state)) = (&line.subject, state) {
                    states.insert(subject.clone(), (state, line.version.unwrap_or(0)));
                }
            }
            "revocation" => revocation(line, registry, &mut told),
            _ => moved.extend(line.subject.clone()),
        }
    }
    for (subject, (next, version)) in states {
        row(&subject, next, version, registry, &mut told);
    }
    // Their registered keys end with them, as they did then.
    for agent in &told.revoked {
        let key = RowKey::Agent(agent.clone());
        if told.rows.iter().any(|row| row.key() == key) {
            continue;
        }
        if let Some(present) = registry.agent(agent)
            && !present.value.client_keys.is_empty()
        {
            let mut agent = present.value.clone();
            agent.client_keys.clear();
            told.rows.push(Row::Agent(agent));
        }
    }
    for subject in moved {
        let principal = subject
            .split_once('/')
            .and_then(|(kind, name)| Principal::from_parts(kind, name));
        let Some(principal) = principal else { continue };
        told.report.ended_identities.push(subject);
        let line = store.identity(&principal).await?;
        told.lines.extend(line);
    }
    told.report.revoked = told.revoked.iter().map(ToString::to_string).collect();
    Ok(told)
}

/// Whether an entry tells of something that happened; a theft does, although it was refused.
fn happened(line: &Line) -> bool {
    line.outcome != "deny" || line.kind == "identity.theft"
}

fn revocation(line: &Line, registry: &Registry, told: &mut Told) {
    let Some(revocation) = &line.revocation else {
        return;
    };
    match revocation.selector.as_str() {
        "agent" => {
            let name = revocation.value.parse::<AgentName>().ok();
            told.revoked
                .extend(name.filter(|name| registry.agent(name).is_some()));
        }
        "owner" => {
            if let Ok(owner) = revocation.value.parse() {
                let agents = registry.agents_of(&owner);
                told.revoked
                    .extend(agents.map(|row| row.value.name.clone()));
            }
        }
        "key" => told.keys.extend(KeyId::parse(&revocation.value)),
        _ => told.report.revocations = told.report.revocations.saturating_add(1),
    }
}

/// Brings a row into the state that it had last, if that is a stricter one.
fn row(subject: &str, next: State, version: u64, registry: &Registry, told: &mut Told) {
    let present = key(subject).and_then(|key| read(registry, &key).ok());
    let Some(present) = present.filter(|present| present.version > 0) else {
        // Suspending everything writes the row of the broker, which the backup may not have.
        if subject == RowKey::System.to_string() && next != State::Active {
            told.rows
                .push(with_state(Row::System(registry.system()), next));
            told.report.suspended.push(subject.to_owned());
        } else if subject != RowKey::System.to_string() {
            told.report.apply_again.push(subject.to_owned());
        }
        return;
    };
    // Told by an entry that the backup has already seen the effect of.
    let sealing = u64::from(present.value.key() == RowKey::System);
    if version <= present.version.saturating_sub(sealing) {
        return;
    }
    let before = state(&present.value);
    match (before, next) {
        (State::Active | State::Suspended, State::Retired) => {
            told.rows.push(retired(present.value));
            told.report.retired.push(subject.to_owned());
        }
        (State::Active, State::Suspended) => {
            told.rows.push(with_state(present.value, State::Suspended));
            told.report.suspended.push(subject.to_owned());
        }
        (State::Suspended, State::Active) => told.report.resume_again.push(subject.to_owned()),
        _ => told.report.apply_again.push(subject.to_owned()),
    }
}

/// The row that an entry is about.
fn key(subject: &str) -> Option<RowKey> {
    if subject == RowKey::System.to_string() {
        return Some(RowKey::System);
    }
    let (kind, name) = subject.split_once(' ')?;
    Some(match kind {
        "owner" => RowKey::Owner(name.parse().ok()?),
        "agent" => RowKey::Agent(name.parse().ok()?),
        "target" => RowKey::Target(name.parse().ok()?),
        "operator" => RowKey::Operator(name.parse().ok()?),
        "verifier" => RowKey::Verifier(name.parse().ok()?),
        _ => return None,
    })
}
