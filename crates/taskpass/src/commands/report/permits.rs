//! What the policies say of the agents of a report: those of a folder, evaluated here, or the broker's own.
//!
//! Of copies without a folder of policies nothing is asked, and the report says so.

use std::collections::BTreeSet;
use std::path::Path;

use taskpass_api::v1::{self, entry::Entry as E};
use taskpass_broker::reaches;
use taskpass_core::registry::{Registry as Rows, Row, Versioned};
use taskpass_core::{AgentName, Timestamp};
use taskpass_report::least_privilege::{Answer, Permits, Scope};

use super::source::Source;
use crate::cli::PageArgs;
use crate::commands::pages;
use crate::context::Context;
use crate::errors::CliError;
use crate::host;
use crate::registry_file::Snapshot;
use crate::session::Session;

/// Pairs of agent and scope that a broker is asked about for one report: it decides for agents meanwhile.
const MOST_ASKED: usize = 100_000;

/// Asks the policies about every agent that `scope` means; `None` if there are none to ask.
pub(super) async fn ask(
    context: &Context,
    folder: Option<&Path>,
    source: &Source,
    scope: &Scope,
) -> Result<Option<Permits>, CliError> {
    let agents = source.registry.agents.iter();
    let meant = agents.filter(|agent| scope.has(&agent.name, Some(&agent.owner)));
    let meant: Vec<&str> = meant.map(|agent| agent.name.as_str()).collect();
    if meant.is_empty() {
        return Ok(None);
    }
    if let Some(folder) = folder {
        let now = source.facts.period().until;
        return by_folder(folder, &source.snapshot, &meant, now).map(Some);
    }
    if !source.from_broker {
        return Ok(None);
    }
    let scopes = scopes(&source.snapshot, scope);
    let pairs = scopes.len().saturating_mul(meant.len());
    if pairs > MOST_ASKED {
        context.output.note(&format!(
            "the policies were not asked: {pairs} pairs of agent and scope are more than a broker is asked \
             for one report ({MOST_ASKED}). Name an --agent, --owner or --target, or the folder of the \
             policies with --policies\n"
        ));
        return Ok(None);
    }
    let session = context.session().await?;
    let permits = if scopes.len() < meant.len() {
        who_can(&session, &scopes, &meant).await
    } else {
        what_can(&session, &meant).await
    };
    permits.map(Some)
}

/// The scopes of the targets that are meant, as TARGET#SCOPE.
fn scopes(registry: &Snapshot, scope: &Scope) -> Vec<String> {
    let targets = registry.targets.iter();
    let meant = targets.filter(|target| scope.target.as_ref().is_none_or(|uri| *uri == target.uri));
    let scopes = meant.flat_map(|target| {
        let scopes = target.scopes.iter();
        scopes.map(|scope| format!("{}#{}", target.uri, scope.name))
    });
    scopes.collect()
}

/// Evaluates here: the same questions as a broker answers, by the same engine.
fn by_folder(
    folder: &Path,
    registry: &Snapshot,
    agents: &[&str],
    now: Timestamp,
) -> Result<Permits, CliError> {
    let set = host::policies(Some(folder)).map_err(|error| {
        error
            .hint("`taskpass policy validate DIR` checks a folder of policies, and shows its place")
    })?;
    let rows = rows(registry)?;
    let mut permits = Permits::new(set.hash().to_string());
    for name in agents {
        let agent: AgentName = name.parse().map_err(|error| misread(name, error))?;
        let reached = reaches(&set, &rows, &agent, now).map_err(|error| misread(name, error))?;
        for reach in reached {
            let answer = Answer {
                refused: reach.refused.map(str::to_owned),
                policies: reach.policies,
                would_deny: reach.would_deny,
            };
            permits.add(name, &reach.scope.to_string(), answer);
        }
    }
    Ok(permits)
}

/// The registry as the engine reads it. States are the report's matter: it looks at them first.
fn rows(registry: &Snapshot) -> Result<Rows, CliError> {
    let owners = registry.owners.iter().cloned().map(E::Owner);
    let targets = registry.targets.iter().cloned().map(E::Target);
    let agents = registry.agents.iter().cloned().map(E::Agent);
    let rows = owners.chain(targets).chain(agents).map(|entry| {
        let name = name(&entry).to_owned();
        let entry = v1::Entry {
            entry: Some(entry),
            version: 1,
        };
        let value: Row = taskpass_server::row_of(entry).map_err(|error| misread(&name, error))?;
        Ok(Versioned { value, version: 1 })
    });
    Ok(Rows::from_rows(rows.collect::<Result<Vec<_>, CliError>>()?))
}

fn name(entry: &E) -> &str {
    match entry {
        E::Owner(owner) => &owner.name,
        E::Agent(agent) => &agent.name,
        E::Target(target) => &target.uri,
        E::Operator(operator) => &operator.name,
        E::Verifier(verifier) => &verifier.name,
    }
}

fn misread(name: &str, error: impl std::error::Error + Send + Sync + 'static) -> CliError {
    let message = format!("no policy can be asked about {name}");
    CliError::caused("INVALID_REGISTRY", message, error)
}

/// Asks the broker agent by agent.
async fn what_can(session: &Session, agents: &[&str]) -> Result<Permits, CliError> {
    let mut policy = session.policy();
    let (whole, mut permits) = (all(), Permits::default());
    for agent in agents {
        let listing = pages::read(&whole, async |page| {
            let request = v1::WhatCanRequest {
                agent: (*agent).to_owned(),
                terms: None,
                refused_too: true,
                page: Some(page),
            };
            let reply = policy.what_can(request).await?.into_inner();
            by_one_set(&mut permits, reply.policy_set)?;
            Ok((reply.reaches, reply.next_page_token))
        });
        for reach in listing.await?.items {
            permits.add(agent, &reach.scope.clone(), answer(reach));
        }
    }
    Ok(permits)
}

/// Asks the broker scope by scope.
async fn who_can(
    session: &Session,
    scopes: &[String],
    agents: &[&str],
) -> Result<Permits, CliError> {
    let meant: BTreeSet<&str> = agents.iter().copied().collect();
    let mut policy = session.policy();
    let (whole, mut permits) = (all(), Permits::default());
    for scope in scopes {
        let listing = pages::read(&whole, async |page| {
            let request = v1::WhoCanRequest {
                scope: scope.clone(),
                terms: None,
                refused_too: true,
                page: Some(page),
            };
            let reply = policy.who_can(request).await?.into_inner();
            by_one_set(&mut permits, reply.policy_set)?;
            Ok((reply.reaches, reply.next_page_token))
        });
        for reach in listing.await?.items {
            if meant.contains(reach.agent.as_str()) {
                permits.add(&reach.agent.clone(), scope, answer(reach));
            }
        }
    }
    Ok(permits)
}

/// A report rests on one set of policies: another may have come into force between two answers.
fn by_one_set(permits: &mut Permits, policy_set: String) -> Result<(), CliError> {
    if permits.policy_set.is_empty() {
        permits.policy_set = policy_set;
    } else if permits.policy_set != policy_set {
        let message = "the policies changed while they were asked";
        return Err(CliError::new("VERSION_CHANGED", message));
    }
    Ok(())
}

/// Whatever there is.
const fn all() -> PageArgs {
    PageArgs {
        limit: u32::MAX,
        page_token: String::new(),
    }
}

fn answer(reach: v1::Reach) -> Answer {
    Answer {
        refused: Some(reach.refused).filter(|reason| !reason.is_empty()),
        policies: reach.policies,
        would_deny: reach.would_deny,
    }
}
