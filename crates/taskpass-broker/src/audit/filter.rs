//! What a filter may name: only what there is, so that nothing found means that nothing happened.

use taskpass_core::Timestamp;
use taskpass_core::audit::{EntryKind, Outcome};
use taskpass_core::registry::RowKey;
use taskpass_log::find::Filter;

use crate::broker::Broker;
use crate::error::Error;

/// Refuses a filter that names an agent, owner or target that was never registered, a kind or
/// outcome that no entry has, or a period that is empty or has not begun.
pub(super) fn check(broker: &Broker, filter: &Filter) -> Result<(), Error> {
    registered(broker, filter)?;
    if let Some(kind) = &filter.kind
        && kind.parse::<EntryKind>().is_err()
    {
        return Err(Error::field("kind", one_of(EntryKind::ALL)));
    }
    if let Some(outcome) = &filter.outcome
        && outcome.parse::<Outcome>().is_err()
    {
        return Err(Error::field("outcome", one_of(Outcome::ALL)));
    }
    period(filter, broker.now())
}

fn registered(broker: &Broker, filter: &Filter) -> Result<(), Error> {
    let registry = broker.registry();
    if let Some(name) = &filter.agent {
        let name = name.parse().map_err(|_| name_field("agent"))?;
        if registry.agent(&name).is_none() {
            return Err(Error::EntryNotFound {
                key: RowKey::Agent(name),
            });
        }
    }
    if let Some(name) = &filter.owner {
        let name = name.parse().map_err(|_| name_field("owner"))?;
        if registry.owner(&name).is_none() {
            return Err(Error::EntryNotFound {
                key: RowKey::Owner(name),
            });
        }
    }
    if let Some(uri) = &filter.target {
        let uri = uri
            .parse()
            .map_err(|_| Error::field("target", "the URI of a target"))?;
        if registry.target(&uri).is_none() {
            return Err(Error::EntryNotFound {
                key: RowKey::Target(uri),
            });
        }
    }
    Ok(())
}

fn name_field(field: &'static str) -> Error {
    Error::field(field, "a name: lower-case letters, digits and hyphens")
}

fn period(filter: &Filter, now: Timestamp) -> Result<(), Error> {
    if let Some(from) = filter.from
        && from > now
    {
        let expected = format!("a period that has begun: it is {now} now, not {from}");
        return Err(Error::field("from", expected));
    }
    if let (Some(from), Some(until)) = (filter.from, filter.until)
        && until <= from
    {
        let expected = format!("later than the beginning of the period, {from}, not {until}");
        return Err(Error::field("until", expected));
    }
    Ok(())
}

fn one_of<T: std::fmt::Display>(all: &[T]) -> String {
    let all: Vec<_> = all.iter().map(ToString::to_string).collect();
    format!("one of {}", all.join(", "))
}

/// The filter in words, for the entry that records the reading.
pub(super) fn describe(filter: &Filter) -> String {
    let named = [
        ("agent", filter.agent.clone()),
        ("owner", filter.owner.clone()),
        ("task", filter.task.clone()),
        ("target", filter.target.clone()),
        ("credential", filter.credential.clone()),
        ("kind", filter.kind.clone()),
        ("outcome", filter.outcome.clone()),
        ("from", filter.from.map(|at| at.to_string())),
        ("until", filter.until.map(|at| at.to_string())),
    ];
    let named: Vec<_> = named
        .into_iter()
        .filter_map(|(name, value)| Some(format!(" {name}={}", value?)))
        .collect();
    named.concat()
}
