//! `taskpass verifier …`.

use taskpass_api::v1::principal;
use taskpass_api::v1::{self, Kind, entry};

use super::{enrol_token, registry};
use crate::cli::registry::VerifierCommand;
use crate::context::Context;
use crate::errors::CliError;
use crate::values;
use crate::view::registry::Entry;

/// Runs one of the verifier commands.
pub(crate) async fn run(context: &Context, command: VerifierCommand) -> Result<(), CliError> {
    match command {
        VerifierCommand::Register(args) => {
            let verifier = v1::Verifier {
                targets: targets(&args.targets)?,
                name: args.name,
                ..v1::Verifier::default()
            };
            registry::register(context, entry::Entry::Verifier(verifier)).await
        }
        VerifierCommand::Update(args) => {
            let targets = targets(&args.targets)?;
            registry::update(
                context,
                Kind::Verifier,
                args.name,
                args.reason,
                |entry| match entry {
                    entry::Entry::Verifier(verifier) => {
                        verifier.targets = targets;
                        Ok(())
                    }
                    _ => Err(registry::wrong_kind()),
                },
            )
            .await
        }
        VerifierCommand::List(page) => {
            registry::list(context, Kind::Verifier, &page, |entry| match entry {
                Entry::Verifier(verifier) => Some(verifier),
                _ => None,
            })
            .await
        }
        VerifierCommand::Show(args) => registry::show(context, Kind::Verifier, args.name).await,
        VerifierCommand::EnrolToken(args) => {
            enrol_token::run(context, principal::Kind::Verifier, args).await
        }
        VerifierCommand::Suspend(args) => registry::suspend(context, Kind::Verifier, args).await,
        VerifierCommand::Resume(args) => registry::resume(context, Kind::Verifier, args).await,
        VerifierCommand::Retire(args) => registry::retire(context, Kind::Verifier, args).await,
    }
}

fn targets(texts: &[String]) -> Result<Vec<String>, CliError> {
    texts.iter().map(|text| values::target(text)).collect()
}
