//! `taskpass revoke` and `taskpass revocations`.

use taskpass_api::v1::{self, revocation_selector::Selector};

use super::pages;
use crate::cli::PageArgs;
use crate::cli::revoke::{RevokeArgs, SelectorArgs};
use crate::context::Context;
use crate::errors::CliError;
use crate::view::revocation::{Revocation, Revoked};

/// Revokes.
pub(crate) async fn run(context: &Context, args: RevokeArgs) -> Result<(), CliError> {
    let request = v1::RevokeRequest {
        selector: Some(selector(args.selector)?),
        reason: args.reason,
        dry_run: args.dry_run,
        no_suspend: args.no_suspend,
    };
    let mut revocations = context.session().await?.revocations();
    let reply = revocations.revoke(request).await?.into_inner();
    context.output.show(&Revoked::new(reply, args.dry_run))
}

/// Lists the rules in force.
pub(crate) async fn list(context: &Context, page: &PageArgs) -> Result<(), CliError> {
    let revocations = context.session().await?.revocations();
    let listing = pages::read(page, async |page| {
        let request = v1::ListRevocationsRequest { page: Some(page) };
        let reply = revocations.clone().list(request).await?.into_inner();
        let rules = reply.revocations.into_iter().map(Revocation::from_proto);
        Ok((rules.collect::<Result<_, _>>()?, reply.next_page_token))
    })
    .await?;
    context.output.show(&listing)
}

fn selector(args: SelectorArgs) -> Result<v1::RevocationSelector, CliError> {
    let given = [
        args.credential.map(Selector::CredentialId),
        args.task.map(Selector::TaskId),
        args.agent.map(Selector::Agent),
        args.owner.map(Selector::Owner),
        args.target.map(Selector::Target),
        args.key.map(Selector::KeyId),
        args.all.then_some(Selector::Everything(true)),
    ];
    // clap admits exactly one; a kill switch does not rely on that.
    let mut given = given.into_iter().flatten();
    match (given.next(), given.next()) {
        (Some(selector), None) => Ok(v1::RevocationSelector {
            selector: Some(selector),
        }),
        _ => Err(CliError::new(
            "INVALID_SELECTOR",
            "name exactly one thing to revoke",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::{Cli, Command};
    use clap::Parser as _;

    fn selected(rest: &[&str]) -> Result<Selector, clap::error::ErrorKind> {
        let line = [&["taskpass", "revoke", "--reason", "r"], rest].concat();
        match Cli::try_parse_from(line)
            .map_err(|error| error.kind())?
            .command
        {
            Command::Revoke(args) => Ok(selector(args.selector).unwrap().selector.unwrap()),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn exactly_one_selector() {
        use clap::error::ErrorKind::{ArgumentConflict, MissingRequiredArgument};
        for (rest, expected) in [
            (
                &["--credential", "C"][..],
                Ok(Selector::CredentialId("C".into())),
            ),
            (&["--task", "T"], Ok(Selector::TaskId("T".into()))),
            (&["--agent", "a"], Ok(Selector::Agent("a".into()))),
            (&["--owner", "o"], Ok(Selector::Owner("o".into()))),
            (
                &["--target", "https://a"],
                Ok(Selector::Target("https://a".into())),
            ),
            (&["--key", "k"], Ok(Selector::KeyId("k".into()))),
            (&["--all"], Ok(Selector::Everything(true))),
            (&[], Err(MissingRequiredArgument)),
            (&["--all", "--agent", "a"], Err(ArgumentConflict)),
            (&["--task", "T", "--agent", "a"], Err(ArgumentConflict)),
        ] {
            assert_eq!(selected(rest), expected, "{rest:?}");
        }
    }
}
