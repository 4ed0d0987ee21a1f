//! The sample registry of a development broker: `config/registry.dev.toml`, as rows.

use std::time::Duration;

use taskpass_core::Timestamp;
use taskpass_core::identity::Principal;
use taskpass_core::registry::Row;

use crate::errors::CliError;
use crate::registry_file::{Dates, RegistryFile};

const SOURCE: &str = include_str!("../../../../config/registry.dev.toml");

/// How long the sample agents are valid.
const VALIDITY: Duration = Duration::from_hours(24 * 365);

/// The sample registry.
#[derive(Debug)]
pub(crate) struct Sample {
    /// Its rows, in an order in which each finds what it names.
    pub(crate) rows: Vec<Row>,
    /// Everybody in it who can call the broker.
    pub(crate) principals: Vec<Principal>,
}

/// Parses the sample registry, as of `now`.
pub(crate) fn sample(now: Timestamp) -> Result<Sample, CliError> {
    let file = RegistryFile::parse(SOURCE, Dates::FromNow(now, VALIDITY))?;
    let wrong = |what: &str| {
        let message = format!("the sample registry does not read: {what}");
        CliError::new("INVALID_REGISTRY", message)
    };
    if let Some(fault) = file.faults.first() {
        return Err(wrong(&fault.text));
    }
    let rows = file
        .entries
        .into_iter()
        .map(|entry| taskpass_server::row_of(entry).map(|row| dated(row, now)))
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| wrong(&error.to_string()))?;
    let principals = rows.iter().filter_map(principal).collect();
    Ok(Sample { rows, principals })
}

fn dated(row: Row, now: Timestamp) -> Row {
    match row {
        Row::Agent(mut agent) => {
            agent.created_at = now;
            for key in &mut agent.client_keys {
                key.added_at = now;
            }
            Row::Agent(agent)
        }
        other => other,
    }
}

fn principal(row: &Row) -> Option<Principal> {
    match row {
        Row::Agent(agent) => Some(Principal::Agent(agent.name.clone())),
        Row::Operator(operator) => Some(Principal::Operator(operator.name.clone())),
        Row::Verifier(verifier) => Some(Principal::Verifier(verifier.name.clone())),
        Row::Owner(_) | Row::Target(_) | Row::System(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sample_reads() {
        let sample = sample(Timestamp::from_secs(1_700_000_000)).unwrap();
        let names: Vec<_> = sample.principals.iter().map(ToString::to_string).collect();
        assert_eq!(
            names,
            [
                "agent/invoice-bot",
                "agent/payout-bot",
                "operator/operator",
                "verifier/ledger"
            ]
        );
        assert_eq!(sample.rows.len(), 6);
    }
}
