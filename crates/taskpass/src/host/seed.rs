//! The sample registry of a development broker: `config/registry.dev.toml`, as rows.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::Deserialize;
use taskpass_core::Timestamp;
use taskpass_core::access::{TokenAlg, TokenProfile};
use taskpass_core::identity::Principal;
use taskpass_core::registry::{Agent, Operator, Owner, Row, State, Target, Verifier};

use crate::errors::CliError;

const SOURCE: &str = include_str!("../../../../config/registry.dev.toml");

/// How long the sample agents are valid.
const VALIDITY: Duration = Duration::from_hours(24 * 365);

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    owner: Vec<FileOwner>,
    target: Vec<FileTarget>,
    agent: Vec<FileAgent>,
    operator: Vec<FileOperator>,
    verifier: Vec<FileVerifier>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct FileOwner {
    name: String,
    contact: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct FileTarget {
    uri: String,
    risk: String,
    scopes: BTreeMap<String, String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct FileAgent {
    name: String,
    owner: String,
    purpose: String,
    stage: String,
    scopes: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct FileOperator {
    name: String,
    roles: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct FileVerifier {
    name: String,
    targets: Vec<String>,
}

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
    parse(SOURCE, now).map_err(|message| {
        CliError::new(
            "INVALID_REGISTRY",
            format!("the sample registry does not read: {message}"),
        )
    })
}

fn word<T: std::str::FromStr<Err: std::fmt::Display>>(text: &str) -> Result<T, String> {
    text.parse().map_err(|error| format!("`{text}`: {error}"))
}

fn words<T, C>(texts: &[String]) -> Result<C, String>
where
    T: std::str::FromStr<Err: std::fmt::Display>,
    C: FromIterator<T>,
{
    texts.iter().map(|text| word(text)).collect()
}

fn parse(source: &str, now: Timestamp) -> Result<Sample, String> {
    let file: File = toml::from_str(source).map_err(|error| error.to_string())?;
    let mut rows = Vec::new();
    let mut principals = Vec::new();
    for owner in file.owner {
        let name = word(&owner.name)?;
        rows.push(Row::Owner(Owner {
            name,
            contact: owner.contact,
            state: State::Active,
        }));
    }
    for target in &file.target {
        rows.push(Row::Target(to_target(target)?));
    }
    for agent in file.agent {
        let agent = to_agent(agent, now)?;
        principals.push(Principal::Agent(agent.name.clone()));
        rows.push(Row::Agent(agent));
    }
    for operator in file.operator {
        let name: taskpass_core::OperatorName = word(&operator.name)?;
        let roles: BTreeSet<_> = words(&operator.roles)?;
        principals.push(Principal::Operator(name.clone()));
        rows.push(Row::Operator(Operator {
            name,
            roles,
            state: State::Active,
        }));
    }
    for verifier in file.verifier {
        let name: taskpass_core::VerifierName = word(&verifier.name)?;
        let targets = words(&verifier.targets)?;
        principals.push(Principal::Verifier(name.clone()));
        rows.push(Row::Verifier(Verifier {
            name,
            targets,
            state: State::Active,
        }));
    }
    Ok(Sample { rows, principals })
}

fn to_target(target: &FileTarget) -> Result<Target, String> {
    let scopes = target
        .scopes
        .iter()
        .map(|(name, access)| Ok((word(name)?, word(access)?)))
        .collect::<Result<_, String>>()?;
    Ok(Target {
        uri: word(&target.uri)?,
        scopes,
        risk: word(&target.risk)?,
        token_alg: TokenAlg::Es256,
        token_profile: TokenProfile::OAuth,
        max_ttl: None,
        state: State::Active,
    })
}

fn to_agent(agent: FileAgent, now: Timestamp) -> Result<Agent, String> {
    Ok(Agent {
        name: word(&agent.name)?,
        owner: word(&agent.owner)?,
        purpose: agent.purpose,
        stage: word(&agent.stage)?,
        scopes: words(&agent.scopes)?,
        valid_until: now.plus(VALIDITY),
        max_ttl: None,
        labels: BTreeMap::new(),
        state: State::Active,
        created_at: now,
        client_keys: Vec::new(),
    })
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
