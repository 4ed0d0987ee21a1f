//! `taskpass operator …`.

use taskpass_api::v1::principal;
use taskpass_api::v1::{self, Kind, entry};

use super::{enrol_token, registry};
use crate::cli::registry::OperatorCommand;
use crate::context::Context;
use crate::errors::CliError;
use crate::values;
use crate::view::registry::Entry;

/// Runs one of the operator commands.
pub(crate) async fn run(context: &Context, command: OperatorCommand) -> Result<(), CliError> {
    match command {
        OperatorCommand::Register(args) => {
            let operator = v1::Operator {
                roles: values::roles(&args.roles)?,
                name: args.name,
                ..v1::Operator::default()
            };
            registry::register(context, entry::Entry::Operator(operator)).await
        }
        OperatorCommand::Update(args) => {
            let roles = values::roles(&args.roles)?;
            registry::update(
                context,
                Kind::Operator,
                args.name,
                args.reason,
                |entry| match entry {
                    entry::Entry::Operator(operator) => {
                        operator.roles = roles;
                        Ok(())
                    }
                    _ => Err(registry::wrong_kind()),
                },
            )
            .await
        }
        OperatorCommand::List(page) => {
            registry::list(context, Kind::Operator, &page, |entry| match entry {
                Entry::Operator(operator) => Some(operator),
                _ => None,
            })
            .await
        }
        OperatorCommand::Show(args) => registry::show(context, Kind::Operator, args.name).await,
        OperatorCommand::EnrolToken(args) => {
            enrol_token::run(context, principal::Kind::Operator, args).await
        }
        OperatorCommand::Suspend(args) => registry::suspend(context, Kind::Operator, args).await,
        OperatorCommand::Resume(args) => registry::resume(context, Kind::Operator, args).await,
        OperatorCommand::Retire(args) => registry::retire(context, Kind::Operator, args).await,
    }
}
