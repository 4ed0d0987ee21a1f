//! `taskpass agent …`.

mod client_key;
mod promote;

use taskpass_api::v1::principal;
use taskpass_api::v1::{self, Kind, entry};
use taskpass_core::Timestamp;
use taskpass_core::ttl::MAX_CERTIFICATE_TTL;

use super::{enrol_token, registry};
use crate::cli::registry::{AgentCommand, AgentExtendArgs, AgentRegisterArgs, AgentUpdateArgs};
use crate::context::Context;
use crate::errors::CliError;
use crate::values;
use crate::view::registry::Entry;

/// Runs one of the agent commands.
pub(crate) async fn run(context: &Context, command: AgentCommand) -> Result<(), CliError> {
    match command {
        AgentCommand::Register(args) => {
            let agent = agent(args, context.clock.now())?;
            registry::register(context, entry::Entry::Agent(agent)).await
        }
        AgentCommand::Update(args) => update(context, args).await,
        AgentCommand::Promote(args) => promote::run(context, args).await,
        AgentCommand::Extend(args) => extend(context, args).await,
        AgentCommand::List(page) => {
            registry::list(context, Kind::Agent, &page, |entry| match entry {
                Entry::Agent(agent) => Some(agent),
                _ => None,
            })
            .await
        }
        AgentCommand::Show(args) => registry::show(context, Kind::Agent, args.name).await,
        AgentCommand::EnrolToken(args) => {
            enrol_token::run(context, principal::Kind::Agent, args).await
        }
        AgentCommand::Suspend(args) => registry::suspend(context, Kind::Agent, args).await,
        AgentCommand::Resume(args) => registry::resume(context, Kind::Agent, args).await,
        AgentCommand::Retire(args) => registry::retire(context, Kind::Agent, args).await,
    }
}

fn agent(args: AgentRegisterArgs, now: Timestamp) -> Result<v1::Agent, CliError> {
    Ok(v1::Agent {
        name: args.name,
        owner: args.owner,
        purpose: args.purpose,
        stage: values::stage(&args.stage)?.into(),
        scopes: values::scope_refs(&args.scopes)?,
        valid_until: Some(values::valid_until(&args.valid_until, now)?),
        max_ttl: values::maybe_ttl(args.max_ttl.as_deref(), MAX_CERTIFICATE_TTL)?,
        labels: values::labels(&args.labels)?,
        limits: values::limits(&args.limits, None)?,
        ..v1::Agent::default()
    })
}

async fn update(context: &Context, args: AgentUpdateArgs) -> Result<(), CliError> {
    let now = context.clock.now();
    // What cannot be written is refused before anything is read.
    let (name, reason) = (args.name.clone(), args.reason.clone());
    let mut probe = v1::Agent::default();
    change(&mut probe, &args, now)?;
    registry::update(context, Kind::Agent, name, reason, |entry| match entry {
        entry::Entry::Agent(agent) => change(agent, &args, now),
        _ => Err(registry::wrong_kind()),
    })
    .await
}

/// Replaces what was named, and leaves the rest.
fn change(agent: &mut v1::Agent, args: &AgentUpdateArgs, now: Timestamp) -> Result<(), CliError> {
    if let Some(owner) = &args.owner {
        agent.owner.clone_from(owner);
    }
    if let Some(purpose) = &args.purpose {
        agent.purpose.clone_from(purpose);
    }
    if let Some(stage) = &args.stage {
        agent.stage = values::stage(stage)?.into();
    }
    if args.no_scopes || !args.scopes.is_empty() {
        agent.scopes = values::scope_refs(&args.scopes)?;
    }
    if let Some(until) = &args.valid_until {
        agent.valid_until = Some(values::valid_until(until, now)?);
    }
    if args.no_max_ttl || args.max_ttl.is_some() {
        agent.max_ttl = values::maybe_ttl(args.max_ttl.as_deref(), MAX_CERTIFICATE_TTL)?;
    }
    if args.no_labels || !args.labels.is_empty() {
        agent.labels = values::labels(&args.labels)?;
    }
    agent.limits = values::limits(&args.limits, agent.limits.take())?;
    client_key::change(agent, args, now)
}

async fn extend(context: &Context, args: AgentExtendArgs) -> Result<(), CliError> {
    let until = values::valid_until(&args.until, context.clock.now())?;
    registry::update(
        context,
        Kind::Agent,
        args.name,
        args.reason,
        |entry| match entry {
            entry::Entry::Agent(agent) => prolong(agent, until),
            _ => Err(registry::wrong_kind()),
        },
    )
    .await
}

fn prolong(agent: &mut v1::Agent, until: prost_types::Timestamp) -> Result<(), CliError> {
    let at = |at: Option<prost_types::Timestamp>| at.map(|at| (at.seconds, at.nanos));
    if at(Some(until)) <= at(agent.valid_until) {
        let message = format!("{} is valid for longer already", agent.name);
        return Err(CliError::new("NOT_AN_EXTENSION", message)
            .hint("`taskpass agent update NAME --valid-until …` also shortens it"));
    }
    agent.valid_until = Some(until);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::{Cli, Command};
    use clap::Parser as _;

    const NOW: Timestamp = Timestamp::from_secs(1_700_000_000);

    fn registered(line: &str) -> Result<v1::Agent, CliError> {
        let line = line.split(' ');
        match Cli::try_parse_from(line).unwrap().command {
            Command::Agent(AgentCommand::Register(args)) => agent(args, NOW),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_is_not_said_is_the_least() {
        let agent = registered("taskpass agent register a --owner o --purpose p").unwrap();
        assert_eq!(agent.stage(), v1::Stage::ReadOnly);
        assert!(agent.scopes.is_empty() && agent.labels.is_empty());
        assert_eq!(
            agent.valid_until.unwrap().seconds,
            1_700_000_000 + 90 * 86_400
        );
        assert_eq!(agent.max_ttl, None);
    }

    #[test]
    fn everything_said_arrives() {
        let agent = registered(
            "taskpass agent register a --owner o --purpose p --stage bounded --scope https://a#x,https://a#y \
             --scope https://b#z --valid-until 1h --max-ttl 5m --label env=prod",
        )
        .unwrap();
        assert_eq!(agent.scopes, ["https://a#x", "https://a#y", "https://b#z"]);
        assert_eq!(agent.stage(), v1::Stage::Bounded);
        assert_eq!(agent.max_ttl.unwrap().seconds, 300);
        assert_eq!(agent.labels["env"], "prod");
    }

    #[test]
    fn values_are_judged_here() {
        for (rest, reason) in [
            ("--stage root", "INVALID_FIELD"),
            ("--scope x", "INVALID_SCOPE"),
            ("--max-ttl 25h", "INVALID_TTL"),
            ("--max-ttl -5m", "INVALID_TTL"),
            ("--valid-until never", "INVALID_VALID_UNTIL"),
            ("--label env", "INVALID_FIELD"),
        ] {
            let line = format!("taskpass agent register a --owner o --purpose p {rest}");
            assert_eq!(registered(&line).unwrap_err().reason(), reason, "{rest}");
        }
    }

    fn changed(rest: &str) -> v1::Agent {
        let line = format!("taskpass agent update a {rest}");
        let Command::Agent(AgentCommand::Update(args)) =
            Cli::try_parse_from(line.split(' ')).unwrap().command
        else {
            panic!("{line}");
        };
        let mut agent =
            registered("taskpass agent register a --owner o --purpose p --scope https://a#x --max-ttl 5m --label k=v")
                .unwrap();
        change(&mut agent, &args, NOW).unwrap();
        agent
    }

    #[test]
    fn an_update_replaces_what_was_named() {
        let same = changed("--owner o");
        assert_eq!((same.scopes.len(), same.max_ttl.unwrap().seconds), (1, 300));
        assert_eq!(changed("--purpose q").purpose, "q");
        assert!(changed("--no-scopes").scopes.is_empty());
        assert_eq!(changed("--scope https://b#y").scopes, ["https://b#y"]);
        assert_eq!(changed("--no-max-ttl").max_ttl, None);
        assert!(changed("--no-labels").labels.is_empty());
        assert_eq!(changed("--stage autonomous").stage(), v1::Stage::Autonomous);
    }

    #[test]
    fn an_extension_only_prolongs() {
        let at = |seconds, nanos| prost_types::Timestamp { seconds, nanos };
        for (until, extends) in [
            (at(100, 0), false),
            (at(100, 5), false),
            (at(100, 6), true),
            (at(101, 0), true),
        ] {
            let mut agent = v1::Agent {
                valid_until: Some(at(100, 5)),
                ..v1::Agent::default()
            };
            let outcome = prolong(&mut agent, until);
            assert_eq!(outcome.is_ok(), extends, "{until:?}");
            let expected = if extends { until } else { at(100, 5) };
            assert_eq!(agent.valid_until, Some(expected));
        }
    }
}
