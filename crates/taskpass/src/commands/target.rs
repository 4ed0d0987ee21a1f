//! `taskpass target …`.

use taskpass_api::v1::{self, Kind, entry};
use taskpass_core::ttl::MAX_TOKEN_TTL;

use super::registry;
use crate::cli::registry::{TargetCommand, TargetRegisterArgs, TargetUpdateArgs};
use crate::context::Context;
use crate::errors::CliError;
use crate::values;
use crate::view::registry::Entry;

/// Runs one of the target commands.
pub(crate) async fn run(context: &Context, command: TargetCommand) -> Result<(), CliError> {
    match command {
        TargetCommand::Register(args) => {
            let target = target(&args)?;
            registry::register(context, entry::Entry::Target(target)).await
        }
        TargetCommand::Update(args) => update(context, args).await,
        TargetCommand::List(page) => {
            registry::list(context, Kind::Target, &page, |entry| match entry {
                Entry::Target(target) => Some(target),
                _ => None,
            })
            .await
        }
        TargetCommand::Show(args) => registry::show(context, Kind::Target, args.name).await,
        TargetCommand::Suspend(args) => registry::suspend(context, Kind::Target, args).await,
        TargetCommand::Resume(args) => registry::resume(context, Kind::Target, args).await,
        TargetCommand::Observe(args) => {
            let until = values::observe_until(&args.until, context.clock.now())?;
            let observe = v1::ObserveMode {
                observe_until: Some(until),
                reason: args.reason.clone(),
            };
            set_observe(context, args.uri, args.reason, Some(observe)).await
        }
        TargetCommand::Enforce(args) => set_observe(context, args.uri, args.reason, None).await,
    }
}

fn target(args: &TargetRegisterArgs) -> Result<v1::Target, CliError> {
    Ok(v1::Target {
        uri: values::target(&args.uri)?,
        scopes: values::target_scopes(&args.scopes)?,
        risk: values::risk(&args.risk)?.into(),
        token_alg: values::token_alg(&args.token_alg)?.into(),
        token_profile: values::token_profile(&args.token_profile)?.into(),
        max_ttl: values::maybe_ttl(args.max_ttl.as_deref(), MAX_TOKEN_TTL)?,
        limits: values::limits(&args.limits, None)?,
        ..v1::Target::default()
    })
}

async fn set_observe(
    context: &Context,
    uri: String,
    reason: String,
    observe: Option<v1::ObserveMode>,
) -> Result<(), CliError> {
    let uri = values::target(&uri)?;
    registry::update(context, Kind::Target, uri, reason, |entry| match entry {
        entry::Entry::Target(target) => {
            target.observe = observe;
            Ok(())
        }
        _ => Err(registry::wrong_kind()),
    })
    .await
}

async fn update(context: &Context, args: TargetUpdateArgs) -> Result<(), CliError> {
    // What cannot be written is refused before anything is read.
    let (uri, reason) = (args.uri.clone(), args.reason.clone());
    change(&mut v1::Target::default(), &args)?;
    registry::update(context, Kind::Target, uri, reason, |entry| match entry {
        entry::Entry::Target(target) => change(target, &args),
        _ => Err(registry::wrong_kind()),
    })
    .await
}

/// Replaces what was named, and leaves the rest.
fn change(target: &mut v1::Target, args: &TargetUpdateArgs) -> Result<(), CliError> {
    if !args.scopes.is_empty() {
        target.scopes = values::target_scopes(&args.scopes)?;
    }
    if let Some(risk) = &args.risk {
        target.risk = values::risk(risk)?.into();
    }
    if let Some(profile) = &args.token_profile {
        target.token_profile = values::token_profile(profile)?.into();
    }
    if let Some(alg) = &args.token_alg {
        target.token_alg = values::token_alg(alg)?.into();
    }
    if args.no_max_ttl || args.max_ttl.is_some() {
        target.max_ttl = values::maybe_ttl(args.max_ttl.as_deref(), MAX_TOKEN_TTL)?;
    }
    target.limits = values::limits(&args.limits, target.limits.take())?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::{Cli, Command};
    use clap::Parser as _;

    fn parsed(line: &str) -> TargetCommand {
        match Cli::try_parse_from(line.split(' ')).unwrap().command {
            Command::Target(command) => command,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn registers_and_changes() {
        let line = "taskpass target register https://a --risk high --scope x:read=read,pay=actuate --max-ttl 10m";
        let TargetCommand::Register(args) = parsed(line) else {
            panic!("{line}");
        };
        let mut registered = target(&args).unwrap();
        assert_eq!(registered.scopes.len(), 2);
        assert_eq!(registered.token_alg(), v1::TokenAlg::Es256);
        let line = "taskpass target update https://a --no-max-ttl --risk low";
        let TargetCommand::Update(args) = parsed(line) else {
            panic!("{line}");
        };
        change(&mut registered, &args).unwrap();
        assert_eq!(registered.max_ttl, None);
        assert_eq!(registered.risk(), v1::Risk::Low);
        assert_eq!(registered.scopes.len(), 2);
    }

    #[test]
    fn values_are_judged_here() {
        for (rest, reason) in [
            ("a --risk low", "INVALID_TARGET"),
            ("https://a --risk none", "INVALID_FIELD"),
            ("https://a --risk low --scope x", "INVALID_SCOPE"),
            ("https://a --risk low --max-ttl 2h", "INVALID_TTL"),
            ("https://a --risk low --token-alg none", "INVALID_FIELD"),
        ] {
            let TargetCommand::Register(args) = parsed(&format!("taskpass target register {rest}"))
            else {
                panic!("{rest}");
            };
            assert_eq!(target(&args).unwrap_err().reason(), reason, "{rest}");
        }
    }
}
