//! `taskpass task used`: an agent says what a credential of its own was used for.

use taskpass_api::v1;
use taskpass_core::audit::{UseItem, UseOutcome};
use taskpass_core::{CredentialId, ScopeName, Timestamp};

use crate::cli::task::UsedArgs;
use crate::context::Context;
use crate::errors::CliError;
use crate::view::task::Said;

/// Says it.
pub(super) async fn run(context: &Context, args: UsedArgs) -> Result<(), CliError> {
    let credential = args.credential.clone();
    let item = item(args, context.clock.now())?;
    let count = item.count;
    let request = v1::ReportUseRequest {
        items: vec![item],
        ..v1::ReportUseRequest::default()
    };
    let mut verification = context.session().await?.verification();
    let reply = verification.report_use(tokio_stream::iter([request]));
    if reply.await?.into_inner().accepted == 0 {
        let message = format!("there is no credential {credential} of this agent");
        return Err(CliError::new("CREDENTIAL_NOT_FOUND", message)
            .hint("an agent speaks of its own credentials, until some minutes after their end"));
    }
    context.output.show(&Said::new(credential, count))
}

/// The item, judged as the broker judges it.
fn item(args: UsedArgs, now: Timestamp) -> Result<v1::UseItem, CliError> {
    let wrong = |message: &str| CliError::new("INVALID_FIELD", message);
    let _: CredentialId = args
        .credential
        .parse()
        .map_err(|_| wrong("--credential is a credential's id, of 26 characters"))?;
    let scope: Option<ScopeName> = args.scope.as_deref().map(str::parse).transpose().map_err(
        |error: taskpass_core::scope::ParseScopeError| {
            CliError::new("INVALID_SCOPE", error.to_string())
        },
    )?;
    let count: u64 = args
        .count
        .parse()
        .map_err(|_| wrong("--count is a number, 1 to 4294967295"))?;
    let outcome = UseOutcome::Allowed;
    let (action, resource) = (args.action.clone(), args.resource.clone());
    UseItem::new(scope, action, resource, outcome, count, (now, now)).ok_or_else(|| {
        wrong(
            "--action has 1 to 128 bytes and --resource 1 to 256, without control characters; \
             --count is 1 to 4294967295",
        )
    })?;
    let outcome = if args.refused {
        v1::UseOutcome::Refused
    } else {
        v1::UseOutcome::Allowed
    };
    let at = prost_types::Timestamp {
        seconds: i64::try_from(now.secs()).unwrap_or(i64::MAX),
        nanos: i32::try_from(now.millis() % 1000).unwrap_or(0) * 1_000_000,
    };
    Ok(v1::UseItem {
        credential_id: args.credential,
        scope: args.scope.unwrap_or_default(),
        action: args.action.unwrap_or_default(),
        resource: args.resource.unwrap_or_default(),
        outcome: outcome.into(),
        count,
        first_at: Some(at),
        last_at: Some(at),
    })
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::cli::task::TaskCommand;
    use crate::cli::{Cli, Command};

    const ID: &str = "01M82F7QME2SN5NXE43XBVSJNR";

    fn said(rest: &[&str]) -> Result<v1::UseItem, CliError> {
        let line = [&["taskpass", "task", "used", "--credential"], rest].concat();
        match Cli::try_parse_from(line).unwrap().command {
            Command::Task(TaskCommand::Used(args)) => item(args, Timestamp::from_millis(1_500)),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_was_said_is_what_is_sent() {
        let least = said(&[ID]).unwrap();
        assert_eq!((least.count, least.outcome), (1, 1));
        assert_eq!(least.first_at, least.last_at);
        let all = [
            ID,
            "--scope",
            "a:b",
            "--action",
            "-rm",
            "--resource",
            "--x",
            "--refused",
            "--count",
            "7",
        ];
        let all = said(&all).unwrap();
        assert_eq!((all.scope.as_str(), all.action.as_str()), ("a:b", "-rm"));
        assert_eq!((all.resource.as_str(), all.count), ("--x", 7));
        assert_eq!(all.outcome, i32::from(v1::UseOutcome::Refused));
    }

    #[test]
    fn values_are_judged_here() {
        let long = "x".repeat(129);
        for (rest, reason) in [
            (vec!["me"], "INVALID_FIELD"),
            (vec![ID, "--scope", "A!"], "INVALID_SCOPE"),
            (vec![ID, "--action", long.as_str()], "INVALID_FIELD"),
            (vec![ID, "--action", ""], "INVALID_FIELD"),
            (vec![ID, "--resource", "a\nb"], "INVALID_FIELD"),
            (vec![ID, "--count", "0"], "INVALID_FIELD"),
            (vec![ID, "--count", "-1"], "INVALID_FIELD"),
            (vec![ID, "--count", "4294967296"], "INVALID_FIELD"),
        ] {
            assert_eq!(said(&rest).unwrap_err().reason(), reason, "{rest:?}");
        }
    }
}
